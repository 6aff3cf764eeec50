//! Blocks that are put: which ones are written, and files that are made when there is something to write.

use std::fs;
use std::io::{self, Cursor};

use crate::sources::{Sink, car, hashed, raw, small};
use carstone_car::{
    Block, BlockRef, CarFileWriter, CarReader, CarSlice, CarWriter, Cid, Dedupe, DeferredCarWriter,
    Error, ErrorKind, FileOptions, IndexedCar, Part, ReaderOptions, WriterOptions, cid_of, codec,
    hash_code,
};
use proptest::prelude::*;

fn options(by: Dedupe) -> WriterOptions {
    WriterOptions::default().dedupe(by)
}

fn references(blocks: &[Block]) -> impl Iterator<Item = BlockRef<'_>> {
    blocks.iter().map(Block::as_ref)
}

/// A CAR of these blocks, as they are put, and how many were.
fn put(blocks: &[Block], options: WriterOptions) -> (Vec<u8>, u64) {
    let mut writer = CarWriter::with_options(Vec::new(), &[], options).expect("header");
    let count = writer.put_many(references(blocks)).expect("blocks");
    assert_eq!(count.written + count.left_out, blocks.len() as u64);
    assert_eq!(count.bytes, writer.position() - 18);
    (writer.finish().expect("finish"), count.written)
}

/// The same block under its CIDv1, a CID of another codec, and its CIDv0.
fn twins() -> [Block; 3] {
    let block = raw(b"twin");
    let hash = *block.cid.hash();
    let other = |cid| Block { cid, data: block.data.clone() };
    let zero = other(Cid::new_v0(hash).expect("SHA-256"));
    [block.clone(), other(Cid::new_v1(codec::DAG_PB, hash)), zero]
}

#[test]
fn duplicates_are_written_unless_an_option_says_what_one_is() {
    let [one, other, zero] = twins();
    let all = [one.clone(), other.clone(), one.clone(), zero.clone(), zero.clone(), raw(b"x")];
    assert_eq!(put(&all, options(Dedupe::Off)).0, car(&[], &all));
    let by_hash = [one.clone(), raw(b"x")];
    assert_eq!(put(&all, options(Dedupe::Multihash)), (car(&[], &by_hash), 2));
    let whole = [one, other, zero, raw(b"x")];
    assert_eq!(put(&all, options(Dedupe::WholeCid)), (car(&[], &whole), 4));
}

#[test]
fn a_block_is_there_also_where_it_was_written_in_any_case() {
    let [one, ..] = twins();
    let mut writer =
        CarWriter::with_options(Vec::new(), &[], options(Dedupe::WholeCid)).expect("header");
    writer.write_block(&one.cid, &one.data).expect("block");
    assert!(writer.put_block(&one.cid, &one.data).expect("there").is_none());
    writer.write_block(&one.cid, &one.data).expect("again");
    let bytes = writer.finish().expect("finish");
    assert_eq!(bytes, car(&[], &[one.clone(), one]));
}

#[test]
fn digests_of_two_functions_are_two_blocks() {
    let digest = *b"0123456789abcdef0123456789abcdef";
    let block = |code| {
        let hash = carstone_car::multihash::Multihash::wrap(code, &digest).expect("short");
        Block { cid: Cid::new_v1(codec::RAW, hash), data: digest.to_vec() }
    };
    let mut writer =
        CarWriter::with_options(Vec::new(), &[], options(Dedupe::Multihash)).expect("header");
    for code in [hash_code::IDENTITY, hash_code::BLAKE3, hash_code::SHA2_256] {
        let block = block(code);
        assert!(writer.danger_put_unverified(&block.cid, &block.data).expect("put").is_some());
        assert!(writer.danger_put_unverified(&block.cid, &block.data).expect("put").is_none());
    }
}

#[test]
fn identity_blocks_can_be_left_out() {
    let (_, blocks) = small();
    let without = WriterOptions::default().skip_identity(true);
    let expected: Vec<_> = blocks
        .iter()
        .filter(|block| block.cid.hash().code() != hash_code::IDENTITY)
        .cloned()
        .collect();
    assert!(expected.len() < blocks.len());
    assert_eq!(put(&blocks, without).0, car(&[], &expected));
    let mut writer = CarWriter::with_options(Vec::new(), &[], without).expect("header");
    let identity = hashed(hash_code::IDENTITY, b"in");
    writer.write_block(&identity.cid, &identity.data).expect("in any case");
    assert_eq!(writer.finish().expect("finish"), car(&[], &[identity]));
}

#[test]
fn one_block_more_than_the_memory_holds_is_an_error_and_changes_nothing() {
    let options = options(Dedupe::Multihash).dedupe_budget(10_000);
    let mut writer = CarWriter::with_options(Vec::new(), &[], options).expect("header");
    let blocks: Vec<_> = (0..5000u32).map(|n| raw(&n.to_le_bytes())).collect();
    let error = writer.put_many(references(&blocks)).expect_err("full");
    let ErrorKind::TooLarge { part: Part::Dedupe, limit: 10_000, .. } = error.kind() else {
        panic!("{error}")
    };
    assert!(error.to_string().starts_with("the memory for blocks that are known of "), "{error}");
    // What is there is still known, and the writer goes on.
    let written = CarReader::open(&writer.get_ref()[..]).expect("header").into_cids().count();
    assert!(written > 100, "{written}");
    assert!(writer.put_block(&blocks[0].cid, &blocks[0].data).expect("known").is_none());
    let bytes = writer.finish().expect("finish");
    assert_eq!(bytes, car(&[], &blocks[..written]));
}

#[test]
fn a_bad_block_ends_many_and_is_not_taken_for_one_that_is_there() {
    let good = raw(b"good");
    let bad = Block { cid: good.cid, data: b"bad".to_vec() };
    let mut writer =
        CarWriter::with_options(Vec::new(), &[], options(Dedupe::Multihash)).expect("header");
    let all = [raw(b"first"), bad, good.clone()];
    let error = writer.put_many(references(&all)).expect_err("mismatch");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
    assert!(writer.put_block(&good.cid, &good.data).expect("sound").is_some());
    assert_eq!(writer.finish().expect("finish"), car(&[], &[raw(b"first"), good]));
}

#[test]
fn a_broken_writer_puts_nothing_also_of_what_is_there() {
    let block = raw(b"one");
    let mut writer =
        CarWriter::with_options(Sink::new(9, 70), &[], options(Dedupe::Multihash)).expect("header");
    writer.put_block(&block.cid, &block.data).expect("room");
    writer.put_block(&raw(b"two").cid, b"two").expect_err("full");
    let error = writer.put_block(&block.cid, &block.data).expect_err("broken");
    assert!(matches!(error.kind(), ErrorKind::Broken));
}

#[test]
fn cars_are_merged_block_by_block() {
    let [one, other, _] = twins();
    let cars = [
        car(&[one.cid], &[one.clone(), raw(b"a")]),
        car(&[], &[raw(b"b"), other, raw(b"a"), raw(b"c")]),
    ];
    let file_options = FileOptions::v2().dedupe(Dedupe::Multihash);
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, &[], file_options).expect("header");
    let mut left_out = 0;
    for bytes in &cars {
        let mut reader = CarReader::open(&bytes[..]).expect("header");
        left_out += writer.put_all(&mut reader).expect("blocks").left_out;
    }
    let file = writer.finish().expect("finish").into_inner();
    assert_eq!(left_out, 2);
    let expected = [one, raw(b"a"), raw(b"b"), raw(b"c")];
    assert_eq!(CarSlice::parse(&file).expect("header").payload(), car(&[], &expected));
    let car = IndexedCar::open(file).expect("header");
    assert!(car.check_index().expect("payload").expect("an index").is_sound());

    let mut bad = cars[0].clone();
    *bad.last_mut().expect("not empty") ^= 1;
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("header");
    let error = writer.put_all(&mut CarReader::open(&bad[..]).expect("header"));
    assert!(matches!(error.expect_err("damaged").kind(), ErrorKind::Mismatch { .. }));
    let trusting = ReaderOptions::default().danger_skip_verification();
    let mut reader = CarReader::with_options(&bad[..], trusting).expect("header");
    assert_eq!(writer.put_all(&mut reader).expect("unverified").written, 2);
}

#[test]
fn no_file_is_made_before_there_is_a_block() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("deferred.car");
    let root = raw(b"one").cid;
    for options in [FileOptions::v1(), FileOptions::v2()] {
        let open = || DeferredCarWriter::create_new(&path, &[root], options).expect("roots");
        assert!(open().finish().expect("nothing").is_none());
        let mut writer = open();
        let error = writer.put_block(&root, b"bad").expect_err("mismatch");
        assert!(error.is_block_error());
        writer.danger_put_unverified(&root, &vec![0; 9 << 20]).expect_err("too large");
        assert!(!writer.is_started() && !path.exists());
        writer.put_block(&root, b"one").expect("block");
        assert!(writer.is_started() && path.exists());
        writer.put_data(codec::RAW, b"two").expect("block");
        writer.finish().expect("finish").expect("a file").sync_all().expect("sync");
        let car = IndexedCar::open(fs::read(&path).expect("read")).expect("header");
        assert_eq!((car.version(), car.roots()), (options.version(), &[root][..]));
        assert_eq!(car.get(&root).expect("sound").as_deref(), Some(&b"one"[..]));

        // Another one does not write over it, and says so with the first block.
        let mut writer = open();
        let error = writer.put_block(&root, b"one").expect_err("it exists");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AlreadyExists);
        let error = writer.put_block(&root, b"one").expect_err("broken");
        assert!(matches!(error.kind(), ErrorKind::Broken));
        let error = writer.finish().expect_err("broken");
        assert!(matches!(Error::of(&error).expect("ours").kind(), ErrorKind::Broken));
        fs::remove_file(&path).expect("remove");
    }
}

#[test]
fn an_identity_block_that_is_left_out_makes_no_file() {
    let open = || -> io::Result<Cursor<Vec<u8>>> { panic!("there is nothing to write") };
    let options = FileOptions::v1().skip_identity(true);
    let mut writer = DeferredCarWriter::new(open, &[], options).expect("roots");
    let block = hashed(hash_code::IDENTITY, b"in");
    assert!(writer.put_block(&block.cid, &block.data).expect("left out").is_none());
    assert!(writer.finish().expect("nothing").is_none());
}

#[test]
fn hooks_are_called_with_what_is_written() {
    let (mut all, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    let options = FileOptions::v1().dedupe(Dedupe::Multihash);
    let open = || Ok(Cursor::new(Vec::new()));
    let mut writer = DeferredCarWriter::new(open, &[], options).expect("roots");
    writer.on_put(|section| all.push(*section));
    writer.on_next_put(|section| first.push(*section));
    for data in [&b"one"[..], b"two", b"one"] {
        writer.put_data(codec::RAW, data).expect("block");
    }
    writer.on_next_put(|section| second.push(*section));
    writer.put_data(codec::RAW, b"two").expect("there");
    writer.put_data(codec::RAW, b"three").expect("block");
    let file = writer.finish().expect("finish").expect("a file").into_inner();
    let sections: carstone_car::Result<Vec<_>> =
        CarSlice::parse(&file).expect("header").sections().collect();
    let sections = sections.expect("sections");
    assert_eq!((&all, sections.len()), (&sections, 3));
    assert_eq!((first, second), (vec![sections[0]], vec![sections[2]]));
}

#[test]
fn roots_of_a_deferred_car_may_be_known_at_the_end() {
    let placeholder = cid_of(codec::RAW, b"");
    let open = || Ok(Cursor::new(Vec::new()));
    let mut writer = DeferredCarWriter::new(open, &[placeholder], FileOptions::v2()).expect("ok");
    let root = writer.put_data(codec::RAW, b"one").expect("block");
    let file = writer.finish_with_roots(&[root]).expect("finish").expect("a file");
    assert_eq!(CarSlice::parse(file.get_ref()).expect("header").roots(), [root]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_put_is_what_comes_first(picks in prop::collection::vec((0..12u8, 0..3usize), 0..80)) {
        let block = |&(n, codec): &(u8, usize)| {
            let codec = [codec::RAW, codec::DAG_PB, codec::DAG_CBOR][codec];
            Block { cid: cid_of(codec, &[n]), data: vec![n] }
        };
        let all: Vec<_> = picks.iter().map(block).collect();
        for by in [Dedupe::Multihash, Dedupe::WholeCid] {
            let mut expected: Vec<Block> = Vec::new();
            for block in &all {
                let is_there = expected.iter().any(|other| match by {
                    Dedupe::WholeCid => other.cid == block.cid,
                    _ => other.cid.hash() == block.cid.hash(),
                });
                if !is_there {
                    expected.push(block.clone());
                }
            }
            prop_assert_eq!(put(&all, options(by)).0, car(&[], &expected));
        }
    }
}
