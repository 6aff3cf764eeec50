//! What is there when the power goes in the middle of an operation: see [`Case`] for what is tried, and `outage.rs` for the laws.

use std::sync::Arc;

use carstone_hppr::{OpenOptions, Packet, Repository, Result, StoreOptions};

use crate::losses::Lost;
use crate::outage::{Case, ROOT, Tried, losses, opened};
use crate::sample::{blob, hash_file, plex, plex_at, references, seal, sealed};
use crate::sim::SimDisk;

fn stores(packets: &[Packet]) -> impl Fn(&Repository) {
    move |repository| {
        for packet in packets {
            repository.store(packet, &StoreOptions::default()).expect("it is stored");
        }
    }
}

fn nothing(_: &SimDisk) {}

/// Packets that are there, an operation, what may be told of it, and how many disks that are not alike come of it at least.
#[track_caller]
fn tried(
    old: &[Packet],
    operation: impl Fn(&Repository) -> Result<()>,
    told: &[&'static str],
    least: u64,
) -> Tried {
    let before = stores(old);
    let case =
        Case { before: &before, spoil: &nothing, operation: &operation, is_of_many: false, told };
    enough(case.tried(), least)
}

#[track_caller]
fn enough(tried: Tried, least: u64) -> Tried {
    assert!(tried.steps > 1 && tried.disks >= least, "{tried:?}");
    tried
}

fn store(packet: Packet) -> impl Fn(&Repository) -> Result<()> {
    move |repository| repository.store(&packet, &StoreOptions::default()).map(drop)
}

fn detach(packet: &Packet) -> impl Fn(&Repository) -> Result<()> {
    let hash = packet.hash();
    move |repository| repository.detach(&hash).map(drop)
}

#[test]
fn storing_a_blob() {
    tried(&[], store(blob("new")), &[], 4);
    tried(&[blob("new")], store(blob("new")), &[], 2);
}

#[test]
fn storing_a_plex() {
    let new = || plex("item", 5, "new");
    tried(&[], store(new()), STORING, 18);
    for seconds in [4, 6] {
        let old = [plex("item", seconds, "old"), plex("item/deeper", 9, "deeper")];
        tried(&old, store(new()), STORING, 10);
    }
    tried(&[new()], store(new()), &[], 2);
}

#[test]
fn storing_a_seal() {
    tried(&[], store(seal("item", 5, "new", 1)), STORING, 40);
    tried(&[plex("item", 5, "new")], store(seal("item", 5, "new", 1)), STORING, 16);
}

#[test]
fn storing_a_seal_where_others_are() {
    for (seconds, key) in [(4, 1), (6, 2)] {
        let old = [seal("item", 5, "old", 1), plex("item", 5, "other")];
        tried(&old, store(seal("item", seconds, "new", key)), STORING, 20);
    }
}

#[test]
fn storing_what_was_detached() {
    let new = plex("item", 5, "new");
    let before = |repository: &Repository| {
        stores(&[new.clone(), plex("item", 4, "old")])(repository);
        repository.detach(&new.hash()).expect("it is detached");
    };
    let operation = store(new.clone());
    let case = Case {
        before: &before,
        spoil: &nothing,
        operation: &operation,
        is_of_many: false,
        told: STORING,
    };
    enough(case.tried(), 9);
}

#[test]
fn storing_over_damaged_files() {
    let packet = seal("item", 5, "new", 1);
    for hash in packet.hashes().iter() {
        let old = [packet.clone(), plex("other", 1, "other")];
        let case = Case {
            before: &stores(&old),
            spoil: &|disk: &SimDisk| disk.flip(&format!("{ROOT}/{}", hash_file(&hash))),
            operation: &|repository: &Repository| {
                let verify = StoreOptions::default().verify(true);
                repository.store(&packet, &verify).map(drop)
            },
            is_of_many: false,
            told: &[],
        };
        enough(case.tried(), 3);
    }
}

#[test]
fn storing_many_together() {
    let old = [plex("item", 4, "old"), seal("other", 5, "old", 1)];
    let new = [
        plex("item", 5, "new"),
        plex("item", 6, "newer"),
        seal("item/deeper", 3, "deeper", 1),
        plex("other", 5, "lower"),
        blob("lone"),
        plex("x", 1, "new"),
        seal("x", 2, "new", 2),
    ];
    let told = ["half-stored", "inner-missing"];
    assert_eq!(together(&stores(&old), &new, 10, &told, 700).syncs, 3);
    // In two parts.
    assert_eq!(together(&stores(&old), &new[..5], 3, &told, 300).syncs, 6);
}

#[test]
fn storing_many_again_together() {
    let old = [plex("item", 4, "old"), seal("item", 5, "new", 1), plex("item/deeper", 3, "x")];
    let before = |repository: &Repository| {
        stores(&old)(repository);
        repository.detach(&old[2].hash()).expect("it is detached");
    };
    // A Seal of a Plex that is there too, and one of one that is detached.
    let new = [old[0].clone(), old[1].clone(), sealed(plex_at("item/deeper", 3, "x"), 1)];
    let told = ["half-stored", "inner-missing"];
    together(&before, &new, 10, &told, 40);
    assert_eq!(together(&before, &new[..2], 10, &[], 2).syncs, 2);
}

/// The same of a batch.
#[track_caller]
fn together(
    before: &dyn Fn(&Repository),
    new: &[Packet],
    at_once: usize,
    told: &[&'static str],
    least: u64,
) -> Tried {
    let case = Case {
        before,
        spoil: &nothing,
        operation: &|repository: &Repository| {
            let mut batch = repository.batch(&StoreOptions::default().batch(at_once));
            new.iter().try_for_each(|packet| batch.store(packet))?;
            batch.commit().map(drop)
        },
        is_of_many: true,
        told,
    };
    enough(case.tried(), least)
}

#[test]
fn detaching_a_plex() {
    let all = [plex("item", 4, "one"), plex("item", 5, "two"), plex("item", 5, "one")];
    tried(&all[..1], detach(&all[0]), STORING, 4);
    for packet in &all {
        tried(&all, detach(packet), STORING, 4);
    }
}

#[test]
fn detaching_a_seal_and_its_plex() {
    let packet = seal("item", 5, "new", 1);
    tried(std::slice::from_ref(&packet), detach(&packet), STORING, 20);
    let old = [packet.clone(), plex("item", 4, "old"), seal("item", 3, "old", 2)];
    tried(&old, detach(&packet), STORING, 40);
}

#[test]
fn detaching_one_of_two_seals_and_a_plex_that_has_a_seal() {
    let both = [1, 2].map(|key| sealed(plex_at("item", 5, "new"), key));
    for packet in &both {
        tried(&both, detach(packet), &[], 12);
    }
    tried(&both[..1], detach(&plex("item", 5, "new")), &[], 6);
}

#[test]
fn detaching_a_blob() {
    tried(&[blob("lone")], detach(&blob("lone")), &[], 3);
}

#[test]
fn collecting() {
    let (one, two) = (seal("item", 5, "one", 1), plex("other", 5, "two"));
    let lone = blob("lone");
    let before = |repository: &Repository| {
        stores(&[one.clone(), two.clone(), plex("x", 1, "three"), lone.clone()])(repository);
        for packet in [&one, &two, &lone] {
            repository.detach(&packet.hash()).expect("it is detached");
        }
    };
    let case = Case {
        before: &before,
        spoil: &nothing,
        operation: &|repository: &Repository| repository.collect().map(drop),
        is_of_many: false,
        told: &["half-stored", "inner-missing", "half-collected"],
    };
    enough(case.tried(), 16);
}

#[test]
fn repairing() {
    let old = [
        plex("item", 4, "old"),
        seal("item", 5, "new", 1),
        seal("other", 5, "other", 2),
        plex("x", 1, "x"),
    ];
    let spoil = |disk: &SimDisk| {
        for path in [
            "index/a-group/some-app/item/|/tip".to_owned(),
            "index/a-group/some-app/other".to_owned(),
            "index/a-group/some-app/x/|/plex/tip".to_owned(),
            references(&old[1].plex().expect("one").hash()),
            references(&old[3].blob().hash()),
        ] {
            disk.lose(&format!("{ROOT}/{path}"));
        }
    };
    let case = Case {
        before: &stores(&old),
        spoil: &spoil,
        operation: &|repository: &Repository| repository.repair(true, &mut |_, _| {}).map(drop),
        is_of_many: true,
        told: &[],
    };
    enough(case.tried(), 20);
}

#[test]
fn making_a_repository() {
    let made = |disk: &SimDisk| {
        Repository::init_with(ROOT, OpenOptions::default().disk(Arc::new(disk.clone())))
    };
    let packet = seal("item", 5, "new", 1);
    let uses = |disk: &SimDisk, place: &str| {
        let repository = opened(disk);
        store(packet.clone())(&repository).expect("it is stored");
        let after = disk.after(Lost::All);
        let got = opened(&after).get_hash(&packet.hash());
        assert!(got.is_ok(), "{got:?} {place}");
    };
    let whole = SimDisk::default();
    made(&whole).expect("a repository");
    uses(&whole.after(Lost::All), "of a whole one");
    let mut opened_again = 0;
    for step in 0..whole.steps() {
        let disk = SimDisk::default();
        disk.stop_after(step);
        made(&disk).expect_err("the power went");
        for lost in losses(step) {
            let after = disk.after(lost);
            made(&after).unwrap_or_else(|error| panic!("{error} at step {step}, {lost:?}"));
            uses(&after, "behind an outage");
        }
        // The process alone was killed.
        let killed = disk.fork();
        let options = OpenOptions::default().disk(Arc::new(killed.clone()));
        if Repository::open_with(ROOT, options).is_err() {
            made(&killed).expect("a repository");
        } else {
            opened_again += 1;
        }
        uses(&killed, "of a killed process");
    }
    assert!(opened_again > 10, "{opened_again}");
}

/// What is told of a packet that is not attached, and of which no record tells that it was.
const STORING: &[&str] = &["half-stored"];
