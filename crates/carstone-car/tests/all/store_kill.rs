//! Processes that write to a store are killed at any moment.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use carstone_car::{
    CarReader, CarStore, Cid, FileOptions, IndexedCar, StoreOptions, SyncPolicy, cid_of, codec,
};

/// The data of the block of this number.
fn data(number: u64) -> Vec<u8> {
    let len = match number % 8 {
        0 => 300_000,
        1 => 0,
        n => 200 * n as usize,
    };
    let mut data = number.to_le_bytes().to_vec();
    data.resize(len + 8, number as u8);
    if number % 8 == 3 {
        data.extend(crate::sources::car(
            &[],
            &[crate::sources::raw(&data), crate::sources::raw(b"inside")],
        ));
    }
    data
}

fn roots() -> [Cid; 1] {
    [cid_of(codec::RAW, b"root")]
}

fn options() -> StoreOptions {
    let file = FileOptions::v2().data_padding(9);
    StoreOptions::default().file(file).sync(SyncPolicy::EveryBytes(100_000))
}

/// What a child does: it puts blocks from a number on, finishes the file now and then, and says so.
#[test]
#[ignore = "is run by the other tests of this file, which kill it"]
fn child() {
    let Ok(path) = std::env::var(PATH) else { return };
    let mut number: u64 = std::env::var(FIRST).expect("a number").parse().expect("a number");
    let say = |what: &str, number: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{what} {number}").and_then(|()| out.flush()).expect("somebody listens");
    };
    loop {
        let store = CarStore::open_or_create(&path, &roots(), options()).expect("a store");
        for _ in 0..20 {
            store.put_data(codec::RAW, &data(number)).expect("put");
            say("put", number);
            number += 1;
        }
        match number % 3 {
            0 => drop(store),
            _ => {
                store.finalize().expect("finalize");
                say("finished", number);
            }
        }
    }
}

const PATH: &str = "CARSTONE_STORE_KILL_PATH";
const FIRST: &str = "CARSTONE_STORE_KILL_FIRST";

fn start(path: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "store_kill::child", "--ignored", "--nocapture"])
        .env(PATH, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

#[derive(Debug, Default)]
struct Figures {
    kills: u64,
    acknowledged: u64,
    torn: u64,
    with_journal: u64,
    in_finished: u64,
}

/// Kills children that write to one file, one after the other, and looks at what is left each time.
fn kill(times: u64) -> Figures {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("blocks.car");
    let journal = folder.path().join("blocks.car.journal");
    let (mut figures, mut next, mut random) = (Figures::default(), 0u64, 0x2545_f491_4f6c_dd1d_u64);
    for round in 0..times {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if round % 25 == 24 {
            fs::remove_file(&path).expect("removed"); // It would grow and grow.
            let _ = fs::remove_file(&journal);
            next = 0;
        }
        let mut child = start(&path, next);
        let out = child.stdout.take().expect("a pipe");
        let wait = Duration::from_micros(random % 60_000);
        let reader = std::thread::spawn(move || {
            let said = BufReader::new(out).lines().map_while(Result::ok);
            said.filter(|line| line.starts_with("put") || line.starts_with("finished"))
                .collect::<Vec<_>>()
        });
        // It takes some time to start.
        std::thread::sleep(Duration::from_millis(3) + wait);
        child.kill().expect("killed"); // SIGKILL where there are signals.
        child.wait().expect("waited");
        let said = reader.join().expect("read");
        figures.kills += 1;
        let acknowledged = said.iter().filter(|line| line.starts_with("put")).count() as u64;
        figures.acknowledged += acknowledged;
        let Ok(len) = fs::metadata(&path).map(|found| found.len()) else {
            assert_eq!(acknowledged, 0);
            continue;
        };
        let is_finished = CarReader::open(fs::File::open(&path).expect("a file")).is_ok();
        figures.in_finished += u64::from(is_finished);
        figures.with_journal += u64::from(journal.exists());
        check_finished(folder.path(), next, &said);

        let store = CarStore::open_or_create(&path, &roots(), options()).expect("it opens");
        let all = store.reader().expect("header").into_iter();
        let all: Vec<_> = all.map(|block| block.expect("only sound blocks")).collect();
        next += acknowledged;
        // One more may have been put that nobody heard of.
        assert!(
            all.len() as u64 == next || all.len() as u64 == next + 1,
            "{} of {next}",
            all.len()
        );
        for (number, block) in all.iter().enumerate() {
            assert_eq!(block.data, data(number as u64));
        }
        next = all.len() as u64;
        let whole: u64 = all
            .iter()
            .map(|block| carstone_car::section_len(&block.cid, block.data.len() as u64))
            .sum();
        let start = 51 + 9 + 59;
        figures.torn += u64::from(!is_finished && start + whole < len);
        assert_eq!(store.len(), next);
    }
    figures
}

/// Goes back to the last finished file, in a copy. It has all that was there when it was finished.
fn check_finished(folder: &Path, first: u64, said: &[String]) {
    let copies = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copies.path().join(entry.file_name())).expect("copied");
    }
    let path = copies.path().join("blocks.car");
    let finished = said.iter().rfind(|line| line.starts_with("finished"));
    let finished = finished.and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    let was_finished =
        finished.is_some() || (first > 0 && path.with_extension("car.journal").exists());
    if !was_finished {
        return;
    }
    CarStore::open_or_create(&path, &roots(), options())
        .expect("it opens")
        .discard()
        .expect("discard");
    assert!(!path.with_extension("car.journal").exists());
    let car = IndexedCar::open(fs::File::open(&path).expect("a file")).expect("a finished file");
    assert!(car.check_index().expect("checked").expect("an index").is_sound());
    let blocks = car.reader().expect("header").into_iter();
    let count = blocks.inspect(|block| assert!(block.is_ok(), "a damaged block")).count() as u64;
    assert!(count >= finished.unwrap_or(0), "{count} blocks of {finished:?}");
}

#[test]
fn twenty_kills_lose_nothing() {
    eprintln!("{:?}", kill(20));
}

#[test]
#[ignore = "takes a minute"]
fn two_hundred_kills_lose_nothing() {
    let figures = kill(200);
    eprintln!("{figures:?}");
    assert!(figures.torn > 0 && figures.with_journal > 0 && figures.in_finished > 0);
}
