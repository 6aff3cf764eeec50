//! What is there when a writer ends between any two of its steps.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use carstone_hppr::{OpenOptions, Packet, Repository, Result, StoreOptions};

use crate::faulty::Faulty;
use crate::sample::{
    Node, Tree, assert_sound, assert_whole, blob, coordinate, copy, plex, plex_at, seal, sealed,
    tip, tree,
};

fn open(root: &Path) -> (Repository, Arc<Faulty>) {
    let disk = Arc::new(Faulty::default());
    let options = OpenOptions::default().disk(disk.clone());
    (Repository::open_with(root, options).expect("a repository"), disk)
}

/// Stops an operation after each number of its steps. A repair comes to what was, or to what is to be.
#[track_caller]
fn stopped_everywhere(
    before: impl Fn(&Repository),
    operation: impl Fn(&Repository) -> Result<()>,
) -> u64 {
    stopped(before, operation, true)
}

/// The same of one that does several things, between which a repair may leave it.
#[track_caller]
fn stopped(
    before: impl Fn(&Repository),
    operation: impl Fn(&Repository) -> Result<()>,
    is_one: bool,
) -> u64 {
    // In memory where that can be, as there are thousands of files.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let directory = directory.expect("a directory");
    let at = |name: &str| directory.path().join(name);
    Repository::init(at("old")).expect("a repository");
    before(&open(&at("old")).0);
    let old = tree(&at("old"));
    copy(&at("old"), &at("new"));
    operation(&open(&at("new")).0).expect("it is done");
    let new = tree(&at("new"));
    for steps in 0.. {
        let root = at(&steps.to_string());
        copy(&at("old"), &root);
        let (repository, disk) = open(&root);
        disk.stop_after(steps);
        let done = operation(&repository);
        assert_eq!(done.is_err(), disk.is_stopped(), "after {steps} steps");
        if done.is_ok() {
            assert_eq!(tree(&root), new);
            return steps;
        }
        drop(repository);
        let between = tree(&root);
        assert_between(&old, &between, &new, steps);
        copy(&root, &at("repaired"));
        let (repaired, _) = open(&at("repaired"));
        repaired.repair(true, &mut |_, _| ()).expect("it is mended");
        match is_one {
            true => assert_repaired(&old, &tree(&at("repaired")), &new, steps),
            false => assert_sound(&tree(&at("repaired"))),
        }
        std::fs::remove_dir_all(at("repaired")).expect("it is removed");
        let (repository, _) = open(&root);
        for location in LOCATIONS {
            let latest = repository.latest(&coordinate(location)).expect("it is read");
            let latest = latest.map(|version| version.hash.to_string());
            assert_eq!(latest, tip(&between, location, ""), "{location} after {steps} steps");
        }
        operation(&repository).expect("it is done again");
        assert_eq!(tree(&root), new, "after {steps} steps, and again");
        std::fs::remove_dir_all(&root).expect("it is removed");
    }
    unreachable!("an operation ends")
}

/// That each selector has what it had or what it is to have, that what is in the index is whole, and that each file is whole.
#[track_caller]
fn assert_between(old: &Tree, between: &Tree, new: &Tree, steps: u64) {
    assert_whole(between);
    for location in LOCATIONS {
        for below in selectors(old).union(&selectors(new)) {
            let now = tip(between, location, below);
            let (was, is) = (tip(old, location, below), tip(new, location, below));
            assert!(
                now == was || now == is,
                "{location} {below} after {steps} steps: {was:?} {now:?} {is:?}"
            );
        }
    }
    let all = old.keys().chain(new.keys()).filter(|path| path.starts_with("hash/"));
    for path in all {
        match (old.get(path), between.get(path), new.get(path)) {
            (Some(_), None, Some(_)) => panic!("{path} is lost after {steps} steps"),
            (was, Some(now), is) => {
                assert!(Some(now) == was || Some(now) == is, "{path} after {steps} steps");
            }
            _ => {}
        }
    }
}

/// That a repair comes to what was attached and detached before, or to what is to be, as a whole.
#[track_caller]
fn assert_repaired(old: &Tree, repaired: &Tree, new: &Tree, steps: u64) {
    let attached = |tree: &Tree| -> Tree {
        let paths = tree.iter().filter(|(path, _)| !path.starts_with("hash/"));
        paths.map(|(path, node)| (path.clone(), node.clone())).collect()
    };
    let now = attached(repaired);
    if now != attached(old) && now != attached(new) {
        let (old, new) = (attached(old), attached(new));
        let [old, now, new] = [&old, &now, &new].map(|tree| tree.keys().collect::<Vec<_>>());
        panic!("after {steps} steps and a repair:\n{old:#?}\n{now:#?}\n{new:#?}");
    }
}

/// What has a tip, below a marker.
fn selectors(tree: &Tree) -> BTreeSet<String> {
    let links = tree.iter().filter(|(_, node)| matches!(node, Node::Link(_)));
    let links = links.filter_map(|(path, _)| path.split_once("/|/"));
    links.map(|(_, link)| link.trim_end_matches("tip").to_owned()).collect()
}

const LOCATIONS: [&str; 4] = ["item", "item/deeper", "other", "x"];

fn stores(packet: Packet) -> impl Fn(&Repository) -> Result<()> {
    move |repository| repository.store(&packet, &StoreOptions::default()).map(drop)
}

fn has(packets: Vec<Packet>) -> impl Fn(&Repository) {
    move |repository| {
        for packet in &packets {
            repository.store(packet, &StoreOptions::default()).expect("it is stored");
        }
    }
}

#[test]
fn a_blob() {
    assert!(stopped_everywhere(has(vec![]), stores(blob("new"))) > 3);
    stopped_everywhere(has(vec![blob("new")]), stores(blob("new")));
}

#[test]
fn a_plex_that_is_the_first() {
    assert!(stopped_everywhere(has(vec![]), stores(plex("item", 5, "new"))) > 20);
}

#[test]
fn a_plex_that_is_newer() {
    let old = vec![plex("item", 4, "old"), plex("item/deeper", 9, "deeper")];
    stopped_everywhere(has(old), stores(plex("item", 5, "new")));
}

#[test]
fn a_plex_that_is_older() {
    stopped_everywhere(has(vec![plex("item", 6, "old")]), stores(plex("item", 5, "new")));
}

#[test]
fn a_plex_that_is_there() {
    let old = vec![plex("item", 5, "new")];
    stopped_everywhere(has(old), stores(plex("item", 5, "new")));
}

#[test]
fn a_plex_of_the_same_time() {
    for data in ["one", "two", "three", "four"] {
        stopped_everywhere(has(vec![plex("item", 5, "old")]), stores(plex("item", 5, data)));
    }
}

#[test]
fn a_seal_that_is_the_first() {
    stopped_everywhere(has(vec![]), stores(seal("item", 5, "new", 1)));
}

#[test]
fn a_seal_of_a_plex_that_is_there() {
    let old = vec![plex("item", 5, "new")];
    stopped_everywhere(has(old), stores(seal("item", 5, "new", 1)));
}

#[test]
fn a_seal_that_is_newer_and_one_that_is_older() {
    for seconds in [4, 6] {
        for key in [1, 2] {
            let old = vec![seal("item", 5, "old", 1), plex("item", 5, "other")];
            stopped_everywhere(has(old), stores(seal("item", seconds, "new", key)));
        }
    }
}

#[test]
fn a_seal_that_is_there() {
    let old = vec![seal("item", 5, "new", 1)];
    stopped_everywhere(has(old), stores(seal("item", 5, "new", 1)));
}

#[test]
fn a_plex_that_was_detached() {
    let new = plex("item", 5, "new");
    let before = |repository: &Repository| {
        has(vec![plex("item", 5, "new"), plex("item", 4, "old")])(repository);
        repository.detach(&plex("item", 5, "new").hash()).expect("it is detached");
    };
    stopped_everywhere(before, stores(new));
}

#[test]
fn files_that_are_damaged() {
    let before = |repository: &Repository| {
        has(vec![seal("item", 5, "new", 1)])(repository);
        for hash in seal("item", 5, "new", 1).hashes().iter() {
            let path = repository.root().join(crate::sample::hash_file(&hash));
            let mut bytes = std::fs::read(&path).expect("a file");
            bytes[0] ^= 1;
            std::fs::write(&path, bytes).expect("it is written");
        }
    };
    stopped_everywhere(before, |repository| {
        let verify = StoreOptions::default().verify(true);
        repository.store(&seal("item", 5, "new", 1), &verify).map(drop)
    });
}

#[test]
fn a_batch() {
    let old = vec![plex("item", 4, "old"), seal("other", 5, "old", 1)];
    // One at each coordinate, so that there is nothing between old and new.
    let new = [
        plex("item", 5, "new"),
        seal("item/deeper", 3, "deeper", 1),
        plex("other", 5, "lower"),
        blob("lone"),
        plex("x", 1, "new"),
    ];
    let stores = |repository: &Repository| {
        let mut batch = repository.batch(&StoreOptions::default());
        new.iter().try_for_each(|packet| batch.store(packet))?;
        batch.commit().map(drop)
    };
    stopped(has(old), stores, false);
}

fn detaches(packet: Packet) -> impl Fn(&Repository) -> Result<()> {
    move |repository| repository.detach(&packet.hash()).map(drop)
}

#[test]
fn detaching_the_only_plex() {
    let packet = plex("item", 5, "new");
    assert!(stopped_everywhere(has(vec![packet.clone()]), detaches(packet)) > 8);
}

#[test]
fn detaching_the_latest_and_an_older_plex() {
    let all = || vec![plex("item", 4, "one"), plex("item", 5, "two"), plex("item", 5, "one")];
    for packet in all() {
        stopped_everywhere(has(all()), detaches(packet));
    }
}

#[test]
fn detaching_a_seal_and_its_plex() {
    let packet = seal("item", 5, "new", 1);
    stopped_everywhere(has(vec![packet.clone()]), detaches(packet.clone()));
    let old = vec![packet.clone(), plex("item", 4, "old"), seal("item", 3, "old", 2)];
    stopped_everywhere(has(old), detaches(packet));
}

#[test]
fn detaching_one_of_two_seals() {
    let both = || [1, 2].map(|key| sealed(plex_at("item", 5, "new"), key));
    for packet in both() {
        stopped_everywhere(has(both().to_vec()), detaches(packet));
    }
}

#[test]
fn detaching_a_plex_that_has_a_seal() {
    let packet = seal("item", 5, "new", 1);
    stopped_everywhere(has(vec![packet]), detaches(plex("item", 5, "new")));
}

#[test]
fn detaching_a_blob() {
    stopped_everywhere(has(vec![blob("lone")]), detaches(blob("lone")));
}

#[test]
fn collecting() {
    let before = |repository: &Repository| {
        let (one, two) = (seal("item", 5, "one", 1), plex("other", 5, "two"));
        has(vec![one.clone(), two.clone(), plex("x", 1, "three"), blob("lone")])(repository);
        for hash in [one.hash(), two.hash(), blob("lone").hash()] {
            repository.detach(&hash).expect("it is detached");
        }
    };
    let steps = stopped(before, |repository| repository.collect().map(drop), false);
    assert!(steps > 6);
}
