//! How fast many packets are stored. Run by hand: `cargo test --release -p carstone-hppr --test all -- --ignored --nocapture many`.

use std::time::{Duration, Instant};

use carstone_hppr::{Packet, Repository, StoreOptions};

use crate::sample::plex;

fn packet(number: u64) -> Packet {
    // Their coordinates come in no order.
    let place = number.wrapping_mul(2_654_435_761) % COORDINATES;
    plex(&format!("place-{}/item-{place}", place % 100), number, &format!("data {number}"))
}

fn report(what: &str, count: u64, took: Duration) {
    let rate = count as f64 / took.as_secs_f64();
    eprintln!("{what}: {count} Plexes in {:.1} s, {rate:.0}/s", took.as_secs_f64());
}

fn count(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
#[ignore = "it takes long"]
fn many_in_batches() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    let (all, size) = (count("MANY", 100_000), count("BATCH", 1024));
    let started = Instant::now();
    let mut batch = repository.batch(&StoreOptions::default().batch(size as usize));
    for number in 0..all {
        batch.store(&packet(number)).expect("it is taken");
        if (number + 1) % 20_000 == 0 {
            report("so far", number + 1, started.elapsed());
        }
    }
    assert_eq!(batch.commit().expect("all are stored"), all);
    report("in batches", all, started.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find(|line| line.starts_with("VmHWM"));
    eprintln!("most memory: {}", most.unwrap_or("not known"));
}

#[test]
#[ignore = "it takes long"]
fn many_one_by_one() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let repository = Repository::init(directory.path()).expect("a repository");
    let all = count("MANY", 2_000);
    let started = Instant::now();
    for number in 0..all {
        repository.store(&packet(number), &StoreOptions::default()).expect("it is stored");
    }
    report("one by one", all, started.elapsed());
}

const COORDINATES: u64 = 10_000;
