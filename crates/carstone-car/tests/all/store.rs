//! The read-write store: a map of blocks, a file like any other, and what it refuses.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use carstone_car::{
    Block, CarFileWriter, CarReader, CarSlice, CarStore, Characteristics, Cid, Error, ErrorKind,
    FileOptions, IndexCodec, IndexedCar, Part, StoreOptions, SyncPolicy, V2_PRAGMA, V2Header,
    cid_of, codec, hash_code,
};
use proptest::prelude::*;

use crate::sources::{blocks, car, hashed, raw, small};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn options() -> StoreOptions {
    StoreOptions::default().sync(SyncPolicy::Never)
}

/// What `CarFileWriter` makes of these blocks.
fn written(roots: &[Cid], blocks: &[Block], options: FileOptions) -> Vec<u8> {
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, roots, options).expect("header");
    for block in blocks {
        writer.danger_write_unverified(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

/// What stands in a file that was never finished.
fn unfinished(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    [&V2_PRAGMA[..], &[0; V2Header::LEN], &car(roots, blocks)].concat()
}

fn save(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("blocks.car");
    fs::write(&path, bytes).expect("written");
    path
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = names
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[track_caller]
fn refused(path: &Path, options: StoreOptions) -> Error {
    let before = fs::read(path).expect("a file");
    let error = CarStore::open(path, options).expect_err("refused");
    assert_eq!(fs::read(path).expect("a file"), before, "a failed open has changed the file");
    error
}

fn put_all(store: &CarStore, blocks: &[Block]) {
    for block in blocks {
        store.put(&block.cid, &block.data).expect("put");
    }
}

fn all(store: &CarStore) -> Vec<Block> {
    let reader = store.reader().expect("header");
    reader.into_iter().collect::<Result<_, _>>().expect("sound blocks")
}

#[test]
fn what_is_put_is_there_and_the_file_is_what_a_writer_makes() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let (_, blocks) = small();
    let roots = [blocks[0].cid, blocks[4].cid];
    for identity in [false, true] {
        for file in [
            FileOptions::v2(),
            FileOptions::v2().index(None),
            FileOptions::v2().index(Some(IndexCodec::Sorted)).index_padding(9).data_padding(70),
            FileOptions::v2().index_identity(identity),
        ] {
            let options = options().file(file).identity(identity);
            let store = CarStore::create(&path, &roots, options).expect("a store");
            assert_eq!((store.roots(), store.is_empty()), (&roots[..], true));
            for block in &blocks {
                let is_identity = block.cid.hash().code() == hash_code::IDENTITY;
                let is_new = identity || !is_identity;
                assert_eq!(store.put(&block.cid, &block.data).expect("put"), is_new);
                assert!(!store.put(&block.cid, &block.data).expect("put"));
                assert!(store.has(&block.cid).expect("read"));
                assert_eq!(store.get(&block.cid).expect("read").as_ref(), Some(&block.data));
                assert_eq!(store.size(&block.cid).expect("read"), Some(block.data.len()));
            }
            let absent = cid_of(codec::RAW, b"absent");
            assert_eq!(store.get(&absent).expect("read"), None);
            assert_eq!(store.size(&absent).expect("read"), None);
            let stored: Vec<_> = blocks
                .iter()
                .filter(|block| identity || block.cid.hash().code() != hash_code::IDENTITY)
                .cloned()
                .collect();
            let cids: Result<Vec<_>, _> = store.cids().expect("header").collect();
            let expected: Vec<_> = stored.iter().map(|block| block.cid).collect();
            assert_eq!(cids.expect("sound"), expected);
            assert_eq!(all(&store), stored);
            assert_eq!(store.len(), stored.len() as u64);
            store.finalize().expect("finalize");
            assert_eq!(fs::read(&path).expect("a file"), written(&roots, &stored, file));
            let v2 = *CarReader::open(File::open(&path).expect("a file"))
                .expect("header")
                .v2_header()
                .expect("version 2");
            let is_full = file.index_identity;
            assert_eq!(v2.characteristics == Characteristics::FULLY_INDEXED, is_full);
            assert_eq!(names(folder.path()), ["blocks.car"]);
            fs::remove_file(&path).expect("removed");
        }
    }
}

#[test]
fn an_unfinished_file_is_that_of_go_car() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let (_, mut blocks) = small();
    blocks.retain(|block| block.cid.hash().code() != hash_code::IDENTITY);
    let roots = [blocks[0].cid];
    let store = CarStore::create(&path, &roots, options()).expect("a store");
    put_all(&store, &blocks);
    drop(store);
    assert_eq!(fs::read(&path).expect("a file"), unfinished(&roots, &blocks));
    let error = CarReader::open(File::open(&path).expect("a file")).expect_err("unfinished");
    assert!(matches!(error.kind(), ErrorKind::Unfinished));
    let store = CarStore::open(&path, options()).expect("a store");
    assert_eq!((store.roots(), all(&store)), (&roots[..], blocks));
}

#[test]
fn other_implementations_read_the_payload() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let all: Vec<_> = (0..50u8).map(|n| raw(&vec![n; usize::from(n) * 40])).collect();
    let store = CarStore::create(&path, &[all[0].cid], options()).expect("a store");
    put_all(&store, &all[..20]);
    drop(store);
    let store = CarStore::open(&path, options()).expect("a store");
    put_all(&store, &all[20..]);
    store.finalize().expect("finalize");
    let file = fs::read(&path).expect("a file");
    let payload = CarSlice::parse(&file).expect("header").payload();
    let reader = fvm_ipld_car::CarReader::new_unchecked(payload).expect("header");
    assert_eq!(reader.header.roots, [all[0].cid]);
    let found: Vec<_> = reader
        .map(|block| block.expect("block"))
        .map(|fvm_ipld_car::Block { cid, data }| Block { cid, data })
        .collect();
    assert_eq!(found, all);
}

#[test]
fn a_file_that_is_torn_at_any_byte_keeps_all_whole_sections() {
    let folder = folder();
    let (_, mut blocks) = small();
    // A block that holds a CAR looks like sections where it is torn.
    blocks.push(raw(&car(&[], &[raw(b"one"), raw(b"two"), raw(b"three")])));
    blocks.push(raw(b"last"));
    let roots = [blocks[0].cid];
    let ends: Vec<_> = (0..=blocks.len())
        .map(|count| V2Header::DATA_OFFSET as usize + car(&roots, &blocks[..count]).len())
        .collect();
    let file = unfinished(&roots, &blocks);
    for len in 0..=file.len() {
        let path = save(folder.path(), &file[..len]);
        let whole = ends.iter().rposition(|&end| end <= len);
        let Some(whole) = whole else {
            let error = refused(&path, options());
            assert!(matches!(error.kind(), ErrorKind::Truncated(_)), "{error}");
            // Whoever knows the roots can start again.
            let store = CarStore::open_or_create(&path, &roots, options()).expect("a store");
            assert!(store.is_empty());
            drop(store);
            assert_eq!(fs::read(&path).expect("a file"), unfinished(&roots, &[]));
            continue;
        };
        for options in [options(), options().danger_hash_last(10), options().hash_all(true)] {
            let store = CarStore::open(&path, options).expect("a store");
            assert_eq!(all(&store), blocks[..whole], "{len}");
            drop(store);
            assert_eq!(fs::read(&path).expect("a file"), &file[..len], "open has written");
        }
        let store = CarStore::open(&path, options()).expect("a store");
        let more = raw(b"more");
        assert!(store.put(&more.cid, &more.data).expect("put"));
        store.finalize().expect("finalize");
        let expected = [&blocks[..whole], &[more]].concat();
        assert_eq!(fs::read(&path).expect("a file"), written(&roots, &expected, FileOptions::v2()));
    }
}

#[test]
fn a_last_block_that_does_not_match_is_cut_and_one_that_is_followed_is_damage() {
    let folder = folder();
    let blocks: Vec<_> = (0..4u8).map(|n| raw(&vec![n; 300])).collect();
    let file = unfinished(&[], &blocks);
    let start = V2Header::DATA_OFFSET as usize;
    let section = |n: usize| start + car(&[], &blocks[..n]).len();
    for at in section(0)..file.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= mask;
            let path = save(folder.path(), &damaged);
            let number = (0..4).rfind(|&n| section(n) <= at).expect("inside of a section");
            // A hash says nothing of the codec, and another hash function is one that nobody can verify.
            if matches!(at - section(number), 3..=5) {
                continue;
            }
            let place = (section(number) - start) as u64;
            match CarStore::open(&path, options()) {
                Ok(store) => {
                    assert_eq!(number, 3, "damage at {at} was cut off");
                    assert_eq!(all(&store), blocks[..3]);
                }
                Err(error) => {
                    assert!(!matches!(error.kind(), ErrorKind::Io(_)));
                    assert_eq!(error.offset(), Some(place), "{error}");
                    assert_eq!(error.file_offset(), Some(section(number) as u64));
                    refused(&path, options());
                    let cutting = options().danger_cut_at_damage();
                    let store = CarStore::open(&path, cutting).expect("a store");
                    assert_eq!(all(&store), blocks[..number]);
                }
            }
        }
    }
}

#[test]
fn blocks_that_nobody_can_verify_are_kept_and_not_handed_out() {
    let folder = folder();
    let hash = carstone_car::multihash::Multihash::wrap(0x22, &[7; 8]).expect("short");
    let unknown = Block { cid: Cid::new_v1(codec::RAW, hash), data: b"murmur".to_vec() };
    let mut writer = carstone_car::CarWriter::new(Vec::new(), &[]).expect("header");
    writer.danger_write_unverified(&unknown.cid, &unknown.data).expect("block");
    writer.write_data(codec::RAW, b"known").expect("block");
    let payload = writer.finish().expect("finish");
    let file = [&V2_PRAGMA[..], &[0; V2Header::LEN], &payload].concat();
    let path = save(folder.path(), &file);
    let store = CarStore::open(&path, options()).expect("a store");
    assert_eq!((store.len(), store.has(&unknown.cid).expect("read")), (2, true));
    let error = store.get(&unknown.cid).expect_err("unverifiable");
    assert!(matches!(error.kind(), ErrorKind::Unverifiable { .. }));
    let error = store.put(&unknown.cid, &unknown.data).expect_err("unverifiable");
    assert!(matches!(error.kind(), ErrorKind::Unverifiable { .. }));
    store.finalize().expect("finalize");
    let file = fs::read(&path).expect("a file");
    assert_eq!(CarSlice::parse(&file).expect("header").payload(), payload);
}

#[test]
fn what_cannot_be_written_is_refused_and_nothing_written() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let limits = carstone_car::Limits::default().section(100);
    let options = options().file(FileOptions::v2().limits(limits));
    let store = CarStore::create(&path, &[], options).expect("a store");
    let before = fs::read(&path).expect("a file");
    let kind = |cid: &Cid, data: &[u8]| {
        let error = store.put(cid, data).expect_err("refused");
        format!("{:?}", error.kind())
    };
    assert!(kind(&raw(b"one").cid, b"two").starts_with("Mismatch"));
    assert!(kind(&raw(&[0; 90]).cid, &[0; 90]).starts_with("TooLarge { part: Section"));
    drop(store);
    assert_eq!(fs::read(&path).expect("a file"), before);
    let error = CarStore::create(&path, &[], options).expect_err("it is there");
    assert!(
        matches!(error.kind(), ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists)
    );
    let other = folder.path().join("other.car");
    let v1 = StoreOptions::default().file(FileOptions::v1());
    for error in [
        CarStore::create(&other, &[], v1).expect_err("version 1"),
        CarStore::open(&path, v1).expect_err("version 1"),
        CarStore::open_or_create(&other, &[], v1).expect_err("version 1"),
    ] {
        assert!(matches!(error.kind(), ErrorKind::UnsupportedVersion(1)));
    }
    assert_eq!(names(folder.path()), ["blocks.car"]);
}

#[test]
fn a_failed_open_never_changes_a_finished_file() {
    let folder = folder();
    let (v1, blocks) = small();
    let file = written(&[blocks[0].cid], &blocks, FileOptions::v2());
    let header = V2Header::decode(file[11..51].try_into().expect("40 bytes"), None).expect("sound");
    let with = |header: V2Header| [&file[..11], &header.encode(), &file[51..]].concat();
    let check = |bytes: &[u8], expected: &str| {
        let path = save(folder.path(), bytes);
        let found = format!("{:?}", refused(&path, options()).kind());
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(names(folder.path()), ["blocks.car"]);
    };
    check(&v1, "UnsupportedVersion(1)");
    check(b"", "Truncated(Header)");
    check(&file[..40], "Truncated(V2Header)");
    check(b"\x02junk, and more of it", "BadHeader");
    check(&file[..header.data_end() as usize - 1], "BadV2Header");
    check(&with(V2Header { data_size: header.data_size - 1, ..header }), "Truncated(Data)");
    check(&with(V2Header { data_offset: 52, ..header }), "");
    check(&with(V2Header { data_size: 0, ..header }), "Unfinished");
    check(&with(V2Header { index_offset: Some(60), ..header }), "BadV2Header");
    check(&with(V2Header { index_offset: None, ..header }), "BadV2Header");
    let mut damaged = file.clone();
    damaged[header.data_offset as usize + 59] = 0; // The length of the first section.
    check(&damaged, "EmptySection");
    // A block that does not match is in the way only of those who look.
    let mut damaged = file.clone();
    let at = file.windows(3).position(|bytes| bytes == b"two").expect("its data");
    damaged[at] ^= 1;
    let path = save(folder.path(), &damaged);
    let error = refused(&path, options().hash_all(true));
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
    let store = CarStore::open(&path, options()).expect("a store");
    assert!(store.get(&blocks[3].cid).expect_err("damaged").is_block_error());
    drop(store);
    // Other roots than are asked for.
    let path = save(folder.path(), &file);
    let roots = [blocks[0].cid, blocks[1].cid];
    let error = CarStore::open_or_create(&path, &roots, options()).expect_err("other roots");
    assert!(matches!(error.kind(), ErrorKind::OtherRoots));
    assert_eq!(fs::read(&path).expect("a file"), file);
    let store = CarStore::open_or_create(&path, &roots[..1], options()).expect("a store");
    assert_eq!(store.roots(), &roots[..1]);
}

#[test]
fn roots_may_be_asked_for_in_any_order() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let roots = [raw(b"one").cid, raw(b"two").cid, raw(b"one").cid];
    drop(CarStore::open_or_create(&path, &roots, options()).expect("a store"));
    let other = [roots[1], roots[0], roots[0]];
    let store = CarStore::open_or_create(&path, &other, options()).expect("a store");
    assert_eq!(store.roots(), roots);
}

#[test]
fn a_finished_file_is_untouched_until_something_is_put() {
    let folder = folder();
    let (_, blocks) = small();
    let file = written(&[], &blocks[..2], FileOptions::v2().data_padding(3).index_padding(4));
    let path = save(folder.path(), &file);
    let untouched = || {
        assert_eq!(fs::read(&path).expect("a file"), file);
        assert_eq!(names(folder.path()), ["blocks.car"]);
    };
    let open = || CarStore::open(&path, StoreOptions::default()).expect("a store");
    drop(open());
    untouched();
    open().discard().expect("discard");
    untouched();
    let store = open();
    assert!(!store.put(&blocks[0].cid, &blocks[0].data).expect("put"));
    store.sync().expect("sync");
    store.finalize().expect("finalize");
    untouched();
    assert!(!CarStore::restore(&path).expect("nothing to do"));
    untouched();

    // Begun and left, it is unfinished, and goes both ways.
    let store = open();
    assert!(store.put(&blocks[3].cid, &blocks[3].data).expect("put"));
    drop(store);
    assert_eq!(names(folder.path()), ["blocks.car", "blocks.car.journal"]);
    let error = CarReader::open(File::open(&path).expect("a file")).expect_err("unfinished");
    assert!(matches!(error.kind(), ErrorKind::Unfinished));
    let (left, journal) =
        (fs::read(&path).expect("a file"), fs::read(path.with_extension("car.journal")));
    open().discard().expect("discard");
    untouched();
    fs::write(&path, &left).expect("written");
    fs::write(path.with_extension("car.journal"), journal.expect("a journal")).expect("written");
    assert_eq!(open().len(), 3);
    open().finalize().expect("finalize");
    assert_eq!(names(folder.path()), ["blocks.car"]);
    let expected = [&blocks[..2], &blocks[3..4]].concat();
    let file = written(&[], &expected, FileOptions::v2().data_padding(3));
    assert_eq!(fs::read(&path).expect("a file"), file);
}

#[test]
fn discard_leaves_nothing_of_a_file_that_was_never_finished() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let store = CarStore::create(&path, &[], StoreOptions::default()).expect("a store");
    store.put_data(codec::RAW, b"hello").expect("put");
    store.discard().expect("discard");
    assert!(names(folder.path()).is_empty());
    let path = save(folder.path(), &unfinished(&[], &[raw(b"hello")]));
    CarStore::open(&path, options()).expect("a store").discard().expect("discard");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn one_store_at_a_time() {
    let folder = folder();
    let path = folder.path().join("blocks.car");
    let store = CarStore::create(&path, &[], options()).expect("a store");
    for error in [
        CarStore::open(&path, options()).expect_err("locked"),
        CarStore::open_or_create(&path, &[], options()).expect_err("locked"),
        CarStore::restore(&path).expect_err("locked"),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Locked));
        assert_eq!(error.to_string(), "another store has the CAR open");
    }
    drop(store);
    CarStore::open(&path, options()).expect("a store").finalize().expect("finalize");
    CarStore::open(&path, options()).expect("a store");
}

#[cfg(unix)]
#[test]
fn a_file_has_one_journal_whatever_leads_to_it() {
    let (folder, other) = (folder(), folder());
    let file = written(&[], &[raw(b"one")], FileOptions::v2());
    let path = save(folder.path(), &file);
    let link = other.path().join("link.car");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let store = CarStore::open(&link, options()).expect("a store");
    store.put_data(codec::RAW, b"two").expect("put");
    drop(store);
    assert_eq!(names(folder.path()), ["blocks.car", "blocks.car.journal"]);
    CarStore::open(&path, options()).expect("a store").discard().expect("discard");
    assert_eq!(fs::read(&path).expect("a file"), file);
}

#[test]
fn a_journal_without_its_car_is_not_used_for_another() {
    let folder = folder();
    let path = save(folder.path(), &written(&[], &[raw(b"one")], FileOptions::v2()));
    let store = CarStore::open(&path, options()).expect("a store");
    store.put_data(codec::RAW, b"two").expect("put");
    drop(store);
    fs::remove_file(&path).expect("removed");
    let error = CarStore::create(&path, &[], options()).expect_err("a journal is there");
    assert!(matches!(error.kind(), ErrorKind::BadJournal(_)));
    assert_eq!(names(folder.path()), ["blocks.car.journal"]);
    let other = written(&[], &[raw(b"other")], FileOptions::v2());
    let path = save(folder.path(), &other);
    let error = refused(&path, options());
    assert_eq!(error.to_string(), "unusable journal of the CAR: it belongs to another CAR");
    // What was left of a journal that never was one is in nobody's way.
    fs::rename(
        folder.path().join("blocks.car.journal"),
        folder.path().join("blocks.car.journal.part"),
    )
    .expect("renamed");
    let store = CarStore::open(&path, options()).expect("a store");
    store.put_data(codec::RAW, b"two").expect("put");
    store.finalize().expect("finalize");
    assert_eq!(names(folder.path()), ["blocks.car"]);
}

#[test]
fn blocks_are_the_same_by_multihash_or_by_cid_or_never() {
    let folder = folder();
    let block = raw(b"data");
    let other = Block { cid: Cid::new_v1(codec::DAG_CBOR, *block.cid.hash()), ..block.clone() };
    let both = [block.clone(), other.clone(), block.clone()];
    let check = |options: StoreOptions, stored: &[Block], finds_other: bool| {
        let path = folder.path().join("blocks.car");
        let store = CarStore::create(&path, &[], options).expect("a store");
        store.put(&block.cid, &block.data).expect("put");
        assert_eq!(store.has(&other.cid).expect("read"), finds_other);
        let new = store.put_many(both.iter().map(Block::as_ref)).expect("put");
        assert_eq!(new + 1, stored.len() as u64);
        for _ in 0..2 {
            assert_eq!(all(&store), stored);
            assert!(store.has(&other.cid).expect("read") && store.has(&block.cid).expect("read"));
        }
        drop(store);
        let store = CarStore::open(&path, options).expect("a store");
        assert_eq!(all(&store), stored);
        assert!(options.duplicates || !store.put(&block.cid, &block.data).expect("put"));
        store.discard().expect("discard");
    };
    check(options(), &both[..1], true);
    check(options().whole_cids(true), &both[..2], false);
    let four = [&both[..1], &both].concat();
    check(options().duplicates(true), &four, true);
    check(options().duplicates(true).whole_cids(true), &four, false);
}

#[test]
fn a_damaged_copy_is_passed_over() {
    let folder = folder();
    let (one, two) = (raw(b"one, twice"), raw(b"two"));
    let file = unfinished(&[], &[one.clone(), one.clone(), two.clone()]);
    let path = save(folder.path(), &file);
    let store = CarStore::open(&path, options()).expect("a store");
    let mut damaged = file.clone();
    let start = file.windows(10).position(|bytes| bytes == one.data).expect("its data");
    damaged[start] ^= 1;
    fs::write(&path, &damaged).expect("written");
    assert_eq!(store.get(&one.cid).expect("the other copy"), Some(one.data.clone()));
    let last = file.len() - 1;
    damaged[last] ^= 1;
    fs::write(&path, &damaged).expect("written");
    assert!(store.get(&two.cid).expect_err("damaged").is_block_error());
    fs::write(&path, &file[..last]).expect("written");
    let error = store.get(&two.cid).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Section)));
}

/// What somebody does with a store.
#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    PutMany(Vec<usize>),
    Reopen,
    Finalize,
    Discard,
    /// The end of the file is lost, as it is when a write is torn.
    Tear(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..POOL).prop_map(Step::Put),
        3 => proptest::collection::vec(0..POOL, 0..5).prop_map(Step::PutMany),
        2 => Just(Step::Reopen),
        1 => Just(Step::Finalize),
        1 => Just(Step::Discard),
        1 => (1..40usize).prop_map(Step::Tear),
    ]
}

const POOL: usize = 12;

fn pool() -> Vec<Block> {
    let lens = [0, 3, 100, 5000];
    let block = |n: usize| {
        let data = vec![n as u8; lens[n % lens.len()] + n];
        match n % 3 {
            0 => hashed(hash_code::BLAKE2B_256, &data),
            _ => raw(&data),
        }
    };
    (0..POOL).map(block).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_store_is_a_map_and_its_file_is_that_of_a_writer(
        steps in proptest::collection::vec(step(), 0..40),
        index in prop_oneof![
            Just(None), Just(Some(IndexCodec::Sorted)), Just(Some(IndexCodec::MultihashSorted)),
        ],
        paddings in (0..20u64, 0..20u64),
        sync in prop_oneof![
            Just(SyncPolicy::Never), Just(SyncPolicy::EachPut), Just(SyncPolicy::EveryBytes(300)),
        ],
    ) {
        let (folder, pool) = (folder(), pool());
        let path = folder.path().join("blocks.car");
        let roots = [pool[0].cid];
        let file = FileOptions::v2().index(index).data_padding(paddings.0).index_padding(paddings.1);
        let options = StoreOptions::default().file(file).sync(sync);
        let open = || CarStore::open_or_create(&path, &roots, options).expect("a store");
        let (mut store, mut model, mut finished) = (open(), Vec::<Block>::new(), None);
        let mut sealed = 0; // Blocks of the finished file.
        for step in steps {
            match step {
                Step::Put(n) => {
                    let is_new = store.put(&pool[n].cid, &pool[n].data).expect("put");
                    assert_eq!(is_new, !model.contains(&pool[n]));
                    model.extend(is_new.then(|| pool[n].clone()));
                }
                Step::PutMany(numbers) => {
                    let many = numbers.iter().map(|&n| pool[n].as_ref());
                    let before = model.len();
                    let new = store.put_many(many).expect("put");
                    for n in numbers {
                        if !model.contains(&pool[n]) {
                            model.push(pool[n].clone());
                        }
                    }
                    assert_eq!(new as usize, model.len() - before);
                }
                Step::Reopen => {
                    drop(store);
                    store = open();
                }
                Step::Finalize => {
                    store.finalize().expect("finalize");
                    let bytes = fs::read(&path).expect("a file");
                    assert_eq!(bytes, written(&roots, &model, file));
                    (finished, sealed) = (Some(bytes), model.len());
                    store = open();
                }
                Step::Discard => {
                    store.discard().expect("discard");
                    assert_eq!(finished.is_some(), path.exists());
                    if let Some(file) = &finished {
                        assert_eq!(&fs::read(&path).expect("a file"), file);
                    }
                    model.truncate(sealed);
                    store = open();
                }
                Step::Tear(bytes) if model.len() > sealed => {
                    drop(store);
                    let whole = unfinished(&roots, &model).len() as u64 + paddings.0;
                    let last = model.pop().expect("a block");
                    let section = carstone_car::section_len(&last.cid, last.data.len() as u64);
                    let torn = whole - section.min(bytes as u64);
                    let file = File::options().write(true).open(&path).expect("a file");
                    file.set_len(torn).expect("cut");
                    drop(file);
                    store = open();
                }
                Step::Tear(_) => {}
            }
            let cids: Result<Vec<_>, _> = store.cids().expect("header").collect();
            let expected: Vec<_> = model.iter().map(|block| block.cid).collect();
            assert_eq!(cids.expect("sound"), expected);
            for block in &pool {
                let expected = model.contains(block).then_some(&block.data);
                assert_eq!(store.get(&block.cid).expect("read").as_ref(), expected);
                assert_eq!(store.size(&block.cid).expect("read"), expected.map(Vec::len));
            }
            let begun = model.len() > sealed && finished.is_some();
            assert_eq!(folder.path().join("blocks.car.journal").exists(), begun);
        }
        store.finalize().expect("finalize");
        let bytes = fs::read(&path).expect("a file");
        assert_eq!(&bytes, &written(&roots, &model, file));
        assert_eq!(blocks(&bytes[..]).expect("blocks"), model);
        if index.is_some() {
            let car = IndexedCar::open(bytes).expect("header");
            assert!(car.check_index().expect("checked").expect("an index").is_sound());
        }
        assert_eq!(names(folder.path()), ["blocks.car"]);
    }
}
