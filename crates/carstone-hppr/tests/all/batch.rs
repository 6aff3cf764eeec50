//! Packets that are stored together.

use carstone_hppr::{Packet, Repository, StoreOptions};

use crate::sample::{blob, plex, seal, tree};

fn packets() -> Vec<Packet> {
    let mut packets = vec![blob("lone"), blob("")];
    for number in 0..60_u64 {
        let location = ["item", "item/deeper", "other/place"][number as usize % 3];
        let (seconds, data) = (number * 7 % 13, format!("data {}", number % 5));
        packets.push(match number % 4 {
            0 => seal(location, seconds, &data, (number % 3) as u8),
            _ => plex(location, seconds, &data),
        });
    }
    packets
}

#[test]
fn a_batch_of_any_size_comes_to_what_single_packets_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let single = Repository::init(directory.path().join("single")).expect("a repository");
    for packet in packets() {
        single.store(&packet, &StoreOptions::default()).expect("it is stored");
    }
    for size in [0, 1, 2, 7, 61, 62, 63, 1024] {
        let many = Repository::init(directory.path().join(size.to_string())).expect("one");
        let mut batch = many.batch(&StoreOptions::default().batch(size));
        for packet in packets() {
            batch.store(&packet).expect("it is taken");
        }
        assert_eq!(batch.commit().expect("all are stored"), 62);
        assert_eq!(tree(many.root()), tree(single.root()), "in parts of {size}");
    }
}

#[test]
fn so_many_that_threads_make_them_come_to_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let [few, many] = ["few", "many"]
        .map(|name| Repository::init(directory.path().join(name)).expect("a repository"));
    let mut in_order = few.batch(&StoreOptions::default().batch(20));
    let mut batch = many.batch(&StoreOptions::default());
    for number in 0..400_u64 {
        let (location, data) = (format!("item-{}", number % 90), format!("data {}", number % 150));
        let packet = match number % 8 {
            0 => seal(&location, number * 7 % 400, &data, (number % 3) as u8),
            1 => blob(&data),
            _ => plex(&location, number * 7 % 400, &data),
        };
        batch.store(&packet).expect("it is taken");
        in_order.store(&packet).expect("it is taken");
    }
    assert_eq!(batch.commit().expect("all are stored"), 400);
    assert_eq!(in_order.commit().expect("all are stored"), 400);
    assert_eq!(tree(many.root()), tree(few.root()));
}

#[test]
fn what_was_detached_is_attached_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    let packet = plex("item", 5, "data");
    repository.store(&packet, &StoreOptions::default()).expect("it is stored");
    let before = tree(repository.root());
    repository.detach(&packet.hash()).expect("it is detached");
    let mut batch = repository.batch(&StoreOptions::default());
    batch.store(&packet).expect("it is taken");
    batch.commit().expect("it is stored");
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn a_batch_that_is_dropped_has_stored_whole_parts() {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    let mut batch = repository.batch(&StoreOptions::default().batch(2));
    for data in ["one", "two", "three"] {
        batch.store(&blob(data)).expect("it is taken");
    }
    drop(batch);
    let has =
        |data| tree(repository.root()).contains_key(&crate::sample::hash_file(&blob(data).hash()));
    assert_eq!(["one", "two", "three"].map(has), [true, true, false]);
}

#[test]
fn an_empty_batch_writes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    let before = tree(repository.root());
    assert_eq!(repository.batch(&StoreOptions::default()).commit().expect("it is none"), 0);
    assert_eq!(tree(repository.root()), before);
}
