//! The index, made again.

use std::fs;

use carstone_hppr::{Packet, Repository, StoreOptions};
use tempfile::TempDir;

use crate::sample::{blob, hash_file, plex, plex_at, seal, sealed, tree};

fn with(packets: &[Packet]) -> (TempDir, Repository) {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    for packet in packets {
        repository.store(packet, &StoreOptions::default()).expect("it is stored");
    }
    (directory, repository)
}

fn packets() -> Vec<Packet> {
    vec![
        plex("item", 5, "one"),
        plex("item", 6, "two"),
        seal("item", 4, "three", 1),
        sealed(plex_at("other/place", 4, "three"), 1),
        sealed(plex_at("other/place", 4, "three"), 2),
        plex("item/deeper", 1, ""),
        blob("lone"),
    ]
}

fn remove_index(repository: &Repository) {
    fs::remove_dir_all(repository.root().join("index")).expect("it is removed");
    fs::create_dir(repository.root().join("index")).expect("a directory");
}

#[test]
fn an_index_that_is_lost_comes_back() {
    let (_directory, repository) = with(&packets());
    let before = tree(repository.root());
    remove_index(&repository);
    let rebuilt = repository.rebuild_index().expect("it is made again");
    assert_eq!((rebuilt.plexes, rebuilt.seals), (5, 3));
    assert!(rebuilt.unattached.is_empty() && rebuilt.lost.is_empty());
    assert_eq!(tree(repository.root()), before);
    repository.rebuild_index().expect("once more");
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn links_that_name_an_older_packet_are_mended() {
    let (_directory, repository) = with(&packets());
    let before = tree(repository.root());
    let link = repository.root().join("index/a-group/some-app/item/|/tip");
    fs::remove_file(&link).expect("it is removed");
    let old = format!("plex/0000000005:000000000/{}", plex("item", 5, "one").hash());
    std::os::unix::fs::symlink(old, &link).expect("a link");
    repository.rebuild_index().expect("it is made again");
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn what_was_detached_stays_so_and_is_told() {
    let (_directory, repository) = with(&packets());
    let gone = plex("item", 6, "two");
    repository.detach(&gone.hash()).expect("it is detached");
    let before = tree(repository.root());
    remove_index(&repository);
    let rebuilt = repository.rebuild_index().expect("it is made again");
    assert_eq!(rebuilt.unattached, [gone.hash()]);
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn packets_that_are_missing_or_damaged_are_told_and_not_attached() {
    let (_directory, repository) = with(&packets());
    remove_index(&repository);
    let (missing, damaged) = (plex("item", 6, "two"), plex("item", 5, "one"));
    fs::remove_file(repository.root().join(hash_file(&missing.hash()))).expect("it is removed");
    let path = repository.root().join(hash_file(&damaged.hash()));
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, text.replace("item", "iten")).expect("it is written");
    let rebuilt = repository.rebuild_index().expect("it is made again");
    let mut lost = [missing.hash(), damaged.hash()];
    lost.sort();
    assert_eq!(rebuilt.lost, lost);
    assert!(!tree(repository.root()).keys().any(|path| path.contains("iten")));
}

#[test]
fn a_seal_whose_plex_has_no_reference_gets_it_back() {
    let (_directory, repository) = with(&[seal("item", 4, "three", 1)]);
    let before = tree(repository.root());
    fs::remove_dir_all(repository.root().join("ref/B")).expect("it is removed");
    remove_index(&repository);
    let rebuilt = repository.rebuild_index().expect("it is made again");
    assert_eq!((rebuilt.plexes, rebuilt.seals), (0, 1));
    // The reference tells the next time that the Plex is attached, too.
    assert_eq!(repository.rebuild_index().expect("it is made again").plexes, 1);
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn a_repair_makes_the_index_that_a_rebuild_makes() {
    let packets = packets();
    let (_directory, rebuilt) = with(&packets);
    let (_other, repaired) = with(&packets);
    let before = tree(rebuilt.root());
    for repository in [&rebuilt, &repaired] {
        remove_index(repository);
        // Whoever attaches takes the record away that says that the data is to be collected.
        let record = format!("detach/{}", packets[0].blob().hash());
        fs::write(repository.root().join(record), "").expect("a record");
    }
    rebuilt.rebuild_index().expect("it is made again");
    repaired.repair(true, &mut |_, _| {}).expect("it is made again");
    assert_eq!(tree(rebuilt.root()), before);
    assert_eq!(tree(repaired.root()), before);
}

#[test]
fn a_seal_comes_back_into_an_index_that_is_lost_with_its_plex() {
    let packet = seal("item", 4, "three", 1);
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    let before = tree(repository.root());
    repository.detach(&packet.plex().expect("a Plex").hash()).expect("it is detached");
    remove_index(&repository);
    repository.repair(true, &mut |_, _| {}).expect("it is made again");
    assert_eq!(tree(repository.root()), before);
}
