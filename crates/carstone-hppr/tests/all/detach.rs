//! What is left when a packet is detached.

use carstone_hppr::{ErrorKind, Packet, Repository, StoreOptions};
use tempfile::TempDir;

use crate::sample::{
    Node, Tree, blob, coordinate, hash_file, plex, plex_at, references, seal, sealed, tip, tree,
};

fn with(packets: &[Packet]) -> (TempDir, Repository) {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    for packet in packets {
        repository.store(packet, &StoreOptions::default()).expect("it is stored");
    }
    (directory, repository)
}

#[track_caller]
fn detach(repository: &Repository, packet: &Packet) -> bool {
    repository.detach(&packet.hash()).expect("it is detached")
}

fn record(packet: &Packet) -> String {
    format!("detach/{}", packet.blob().hash())
}

fn without_hash(tree: &Tree) -> Vec<&str> {
    tree.keys().filter(|path| !path.starts_with("hash/")).map(String::as_str).collect()
}

#[test]
fn a_plex() {
    let packet = plex("item", 5, "data");
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    assert!(detach(&repository, &packet));
    let after = tree(repository.root());
    let record = record(&packet);
    assert_eq!(without_hash(&after), [&record[..], "index", "ref/B", "ref/P"]);
    assert_eq!(after[&record], Node::File(Vec::new()));
    assert!(packet.hashes().iter().all(|hash| after.contains_key(&hash_file(&hash))));
    assert_eq!(repository.latest(&coordinate("item")).expect("it is read"), None);
    assert!(!detach(&repository, &packet), "once more changes nothing");
    assert_eq!(tree(repository.root()), after);
}

#[test]
fn the_latest_of_several() {
    let (one, two) = (plex("item", 5, "one"), plex("item", 6, "two"));
    let (_directory, repository) = with(&[one.clone(), two.clone(), plex("item/deeper", 1, "x")]);
    assert!(detach(&repository, &two));
    let after = tree(repository.root());
    for below in ["", "plex/"] {
        assert_eq!(tip(&after, "item", below), Some(one.hash().to_string()));
    }
    assert!(!after.keys().any(|path| path.contains("0000000006")));
    assert!(detach(&repository, &one));
    let after = tree(repository.root());
    assert!(!after.keys().any(|path| path.contains("/item/|")), "{after:?}");
    assert!(after.keys().any(|path| path.contains("/item/deeper/|")));
}

#[test]
fn the_last_seal_takes_its_plex_with_it() {
    let plex = plex_at("item", 5, "data");
    let (one, two) = (sealed(plex.clone(), 1), sealed(plex, 2));
    let (_directory, repository) = with(&[one.clone(), two.clone()]);
    assert!(detach(&repository, &one));
    let between = tree(repository.root());
    assert_eq!(tip(&between, "item", ""), Some(two.hash().to_string()));
    assert!(tip(&between, "item", "plex/").is_some());
    assert!(!between.contains_key(&record(&one)));
    assert!(detach(&repository, &two));
    let after = tree(repository.root());
    assert_eq!(without_hash(&after), [&record(&one)[..], "index", "ref/B", "ref/P"]);
}

#[test]
fn a_plex_that_has_a_seal_keeps_its_data() {
    let (outer, inner) = (seal("item", 5, "data", 1), plex("item", 5, "data"));
    let (_directory, repository) = with(std::slice::from_ref(&outer));
    assert!(detach(&repository, &inner));
    let between = tree(repository.root());
    assert_eq!(tip(&between, "item", "plex/"), None);
    assert_eq!(tip(&between, "item", ""), Some(outer.hash().to_string()));
    let reference = format!("{}/{}", references(&inner.blob().hash()), inner.hash());
    assert!(between.contains_key(&reference) && !between.contains_key(&record(&inner)));
    assert!(!detach(&repository, &inner));
    assert!(detach(&repository, &outer));
    let after = tree(repository.root());
    assert_eq!(without_hash(&after), [&record(&outer)[..], "index", "ref/B", "ref/P"]);
}

#[test]
fn a_seal_that_was_detached_says_nothing_of_a_plex_that_came_later() {
    let (outer, inner) = (seal("item", 5, "data", 1), plex("item", 5, "data"));
    let (_directory, repository) = with(std::slice::from_ref(&outer));
    detach(&repository, &outer);
    repository.store(&inner, &StoreOptions::default()).expect("it is stored");
    let before = tree(repository.root());
    assert!(!detach(&repository, &outer));
    assert_eq!(tree(repository.root()), before);
}

#[test]
fn a_blob_that_another_plex_has_is_not_marked() {
    let (one, two) = (plex("item", 5, "data"), plex("other", 5, "data"));
    let (_directory, repository) = with(&[one.clone(), two.clone()]);
    detach(&repository, &one);
    assert!(!tree(repository.root()).contains_key(&record(&one)));
    detach(&repository, &two);
    assert!(tree(repository.root()).contains_key(&record(&two)));
}

#[test]
fn the_empty_blob_is_never_marked() {
    let packet = plex("item", 5, "");
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    assert!(detach(&repository, &packet));
    assert!(!detach(&repository, &blob("")));
    assert_eq!(tree(repository.root())["detach"], Node::Empty);
}

#[test]
fn a_blob_of_a_plex_cannot_be_detached() {
    let packet = plex("item", 5, "data");
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    let error = repository.detach(&packet.blob().hash()).expect_err("a Plex has it");
    assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}");
    detach(&repository, &packet);
    assert!(!detach(&repository, &blob("data")), "it is marked already");
}

#[test]
fn a_blob_alone_is_marked() {
    let (_directory, repository) = with(&[blob("data")]);
    assert!(detach(&repository, &blob("data")));
    assert!(tree(repository.root()).contains_key(&record(&blob("data"))));
}

#[test]
fn hashes_that_are_not_there() {
    let (_directory, repository) = with(&[plex("item", 5, "data")]);
    for packet in [blob("x"), plex("item", 6, "data"), seal("item", 5, "data", 1)] {
        let error = repository.detach(&packet.hash()).expect_err("it is not there");
        assert_eq!(error.kind(), &ErrorKind::NotFound);
    }
}

#[test]
fn a_damaged_file_does_not_name_another_place() {
    let packet = plex("item", 5, "data");
    let (_directory, repository) = with(&[packet.clone(), plex("other", 5, "data")]);
    let path = repository.root().join(hash_file(&packet.hash()));
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, text.replace("item", "iten")).expect("it is written");
    let damaged = tree(repository.root());
    let error = repository.detach(&packet.hash()).expect_err("it is damaged");
    assert_eq!(tree(repository.root()), damaged);
    assert!(matches!(error.kind(), ErrorKind::HashMismatch { .. }), "{error}");
    assert_eq!(error.path(), Some(path.as_path()));
    std::fs::write(&path, text.replace("TAI: ", "TAI:")).expect("it is written");
    let error = repository.detach(&packet.hash()).expect_err("it is damaged");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::NoSpace, Some(55 + 15 + 14 + 15 + 4)));
}

#[test]
fn what_is_attached_is_detached_though_its_data_is_damaged() {
    let packet = plex("item", 5, "data");
    let (_directory, repository) = with(std::slice::from_ref(&packet));
    let path = repository.root().join(hash_file(&packet.blob().hash()));
    std::fs::write(path, "dat").expect("it is written");
    assert!(detach(&repository, &packet));
}
