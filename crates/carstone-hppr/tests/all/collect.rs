//! What a collection removes.

use carstone_hppr::{Collected, Packet, Repository, StoreOptions};
use tempfile::TempDir;

use crate::sample::{blob, hash_file, plex, plex_at, references, seal, sealed, tree};

fn with(packets: &[Packet]) -> (TempDir, Repository) {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    for packet in packets {
        repository.store(packet, &StoreOptions::default()).expect("it is stored");
    }
    (directory, repository)
}

#[track_caller]
fn collect(repository: &Repository) -> Collected {
    repository.collect().expect("it is collected")
}

fn kept(blobs: u64) -> Collected {
    let mut collected = Collected::default();
    collected.kept = blobs;
    collected
}

#[test]
fn packets_that_are_detached_go_and_others_stay() {
    let others = [plex("other", 5, "other"), seal("x", 1, "x", 2), blob("lone")];
    let (_directory, repository) = with(&others);
    let before = tree(repository.root());
    assert_eq!(collect(&repository), Collected::default());
    let (one, two) = (sealed(plex_at("item", 5, "data"), 1), sealed(plex_at("item", 5, "data"), 2));
    let copy = plex("elsewhere", 6, "data");
    for packet in [&one, &two, &copy] {
        repository.store(packet, &StoreOptions::default()).expect("it is stored");
    }
    for packet in [&one, &copy] {
        repository.detach(&packet.hash()).expect("it is detached");
    }
    assert_eq!(collect(&repository), Collected::default(), "a Seal has it");
    repository.detach(&two.hash()).expect("it is detached");
    let collected = collect(&repository);
    assert_eq!((collected.blobs, collected.plexes, collected.seals), (1, 2, 2));
    assert!(collected.bytes > 4);
    let gone = [&one, &two, &copy].map(|packet| hash_file(&packet.hash()));
    let mut after = tree(repository.root());
    assert!(gone.iter().all(|path| !after.contains_key(path)));
    // Directories of hashes stay, without anything in them.
    after.retain(|path, _| before.contains_key(path) || !path.starts_with("hash/"));
    assert_eq!(after, before);
}

#[test]
fn what_was_attached_again_stays() {
    let packet = plex("item", 5, "data");
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    let before = tree(repository.root());
    // As if it had been stored while its record could not be removed.
    let record = repository.root().join("detach").join(packet.blob().hash().to_string());
    std::fs::write(&record, "").expect("it is written");
    assert_eq!(collect(&repository).kept, 1);
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn the_empty_blob_stays_though_somebody_has_marked_it() {
    let (_directory, repository) = with(&[blob("")]);
    let before = tree(repository.root());
    let record = repository.root().join("detach").join(blob("").hash().to_string());
    std::fs::write(&record, "").expect("it is written");
    assert_eq!(collect(&repository).kept, 1);
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn a_blob_that_was_detached_alone() {
    let (_directory, repository) = with(&[blob("data"), blob("other")]);
    repository.detach(&blob("data").hash()).expect("it is detached");
    let collected = collect(&repository);
    assert_eq!((collected.blobs, collected.plexes, collected.bytes), (1, 0, 4));
}

#[test]
fn foreign_files_stay() {
    let (_directory, repository) = with(&[plex("item", 5, "data")]);
    repository.detach(&plex("item", 5, "data").hash()).expect("it is detached");
    for path in ["detach/foreign", "hash/P/foreign", "hash/P/xx", "hash/foreign"] {
        std::fs::write(repository.root().join(path), "foreign").expect("it is written");
    }
    assert_eq!(collect(&repository).plexes, 1);
    assert!(tree(repository.root()).keys().filter(|path| path.ends_with("foreign")).count() == 3);
}

#[test]
fn what_is_attached_stays_though_its_reference_is_lost() {
    let (one, two) = (seal("item", 5, "data", 1), plex("other", 6, "data"));
    for packet in [one.clone(), plex("item", 5, "data")] {
        let (_directory, repository) = with(&[packet.clone(), two.clone()]);
        let inner = packet.plex().expect("a Plex").hash();
        let reference = format!("{}/{inner}", references(&packet.blob().hash()));
        std::fs::remove_file(repository.root().join(reference)).expect("it is removed");
        repository.detach(&two.hash()).expect("it is detached");
        assert_eq!(collect(&repository), kept(1));
        assert_eq!(repository.get_hash(&packet.hash()).expect("it is there"), packet);
        repository.repair(true, &mut |_, _| ()).expect("it is mended");
        assert_eq!(collect(&repository), Collected::default());
    }
}

#[test]
fn a_blob_that_is_stored_again_stays() {
    let packet = plex("item", 5, "data");
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    repository.detach(&packet.hash()).expect("it is detached");
    repository.store(&blob("data"), &StoreOptions::default()).expect("it is stored");
    assert_eq!(collect(&repository), Collected::default());
    assert_eq!(repository.get_hash(&blob("data").hash()).expect("it is there"), blob("data"));
}
