//! Files of every shape come back, at every offset, and holes are noticed.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use carstone_unixfs::{
    BlockSource, Cid, Error, ErrorKind, FileBuilder, FileReader, FileRoot, Limits, Profile,
    leaf_cid, write_file,
};
use proptest::prelude::*;

type Blocks = HashMap<Cid, Vec<u8>>;

fn profile(chunk: usize, width: usize) -> Profile {
    let profile = Profile::unixfs_v1_2025().with_chunk_size(chunk).expect("in range");
    profile.with_width(width).expect("in range")
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + (i >> 8)) as u8).collect()
}

fn store(profile: &Profile, data: &[u8]) -> (Blocks, FileRoot) {
    let mut blocks = Blocks::new();
    let root = write_file(profile, data, &mut |cid: &Cid, data: &[u8]| {
        assert!(is_cid_of(cid, data), "a block is emitted under its own CID");
        blocks.insert(*cid, data.to_vec());
        Ok(())
    });
    (blocks, root.expect("neither side fails"))
}

fn is_cid_of(cid: &Cid, data: &[u8]) -> bool {
    cid.hash() == leaf_cid(data).hash()
}

#[track_caller]
fn check_roundtrip(len: usize, chunk: usize, width: usize) {
    let data = content(len);
    let (blocks, root) = store(&profile(chunk, width), &data);
    assert_eq!(root.size, len as u64);
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
    assert_eq!((reader.len(), reader.is_empty()), (len as u64, len == 0));
    let mut back = Vec::new();
    reader.read_to_end(&mut back).expect("every block is there");
    assert!(back == data, "{len} bytes in chunks of {chunk}, width {width}");
}

#[test]
fn sizes_around_chunks_and_full_levels_come_back() {
    for (chunk, width) in [(1, 2), (3, 2), (4, 3), (10, 4)] {
        let full = [chunk, chunk * width, chunk * width * width, chunk * width * width * width];
        for n in full {
            for len in [0, 1, n - 1, n, n + 1, 2 * n, 2 * n + 1] {
                check_roundtrip(len, chunk, width);
            }
        }
    }
    check_roundtrip((1 << 20) + 1, 1 << 20, 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_and_seeks_agree_with_a_cursor(
        len in 0_usize..600, chunk in 1_usize..40, width in 2_usize..5,
        steps in prop::collection::vec((0_u8..4, -700_i64..700, 0_usize..90), 1..40),
    ) {
        let data = content(len);
        let (blocks, root) = store(&profile(chunk, width), &data);
        let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
        let mut cursor = Cursor::new(&data);
        for (kind, distance, n) in steps {
            let to = match kind {
                0 => SeekFrom::Start(distance.unsigned_abs()),
                1 => SeekFrom::End(distance),
                2 => SeekFrom::Current(distance),
                _ => SeekFrom::Current(0),
            };
            prop_assert_eq!(reader.seek(to).ok(), cursor.seek(to).ok());
            let (mut ours, mut theirs) = (vec![0; n], vec![0; n]);
            let (ours_n, theirs_n) = (read_up_to(&mut reader, &mut ours), read_up_to(&mut cursor, &mut theirs));
            prop_assert_eq!(&ours[..ours_n], &theirs[..theirs_n]);
        }
    }
}

/// Reads until the buffer is full or the input ends.
fn read_up_to(mut reader: impl Read, buf: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buf.len() {
        match reader.read(&mut buf[filled..]).expect("nothing is missing") {
            0 => break,
            n => filled += n,
        }
    }
    filled
}

#[test]
fn what_cannot_be_read_is_as_large_as_the_block_that_is_missing() {
    let data = content(90);
    let (mut blocks, root) = store(&profile(10, 3), &data);
    let inner: Vec<_> = blocks.iter().filter(|(cid, _)| cid.codec() == 0x70).collect();
    // The node above the second three leaves.
    let second = leaf_cid(&data[30..40]).to_bytes();
    let holds = |block: &[u8]| block.windows(second.len()).any(|bytes| bytes == second);
    let node = inner.iter().find(|(_, block)| holds(block)).map(|(cid, _)| **cid);
    blocks.remove(&node.expect("it links to its leaves"));
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
    reader.seek(SeekFrom::Start(47)).expect("any place will do");
    reader.read(&mut [0; 5]).expect_err("a node is missing");
    assert_eq!(reader.unreadable(), 30..60);
    reader.seek(SeekFrom::Start(60)).expect("any place will do");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("the rest is there");
    assert_eq!(rest, data[60..]);
}

#[test]
fn a_missing_leaf_fails_only_reads_that_need_it() {
    let data = content(90);
    let (mut blocks, root) = store(&profile(10, 3), &data);
    let hole = leaf_cid(&data[40..50]);
    blocks.remove(&hole);
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
    let mut head = Vec::new();
    let error = reader.read_to_end(&mut head).expect_err("a leaf is missing");
    assert_eq!(head, data[..40]);
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let error = Error::of(&error).expect("the typed error rides inside");
    assert!(matches!(error.kind(), ErrorKind::Missing));
    assert_eq!(reader.unreadable(), 40..50);
    assert_eq!(error.cid(), Some(&hole));
    reader.seek(SeekFrom::Start(50)).expect("behind the hole");
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).expect("the rest is there");
    assert_eq!(tail, data[50..]);
}

#[test]
fn a_leaf_of_another_length_than_its_parent_states_is_refused() {
    let mut blocks = Blocks::new();
    let mut builder = FileBuilder::new(&profile(10, 3));
    let leaf = content(9);
    blocks.insert(leaf_cid(&leaf), leaf.clone());
    let root = {
        let mut sink = |cid: &Cid, data: &[u8]| {
            blocks.insert(*cid, data.to_vec());
            Ok(())
        };
        for stated in [9, 10] {
            builder
                .add_leaf(leaf_cid(&leaf), stated, &mut sink)
                .expect("the builder believes its caller");
        }
        builder.finish(&mut sink).expect("the sink never fails")
    };
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is well formed");
    let mut head = Vec::new();
    let error = reader.read_to_end(&mut head).expect_err("the second leaf is too short");
    let error = Error::of(&error).expect("the typed error rides inside");
    assert!(matches!(error.kind(), ErrorKind::SizeMismatch { expected: 10, actual: 9 }), "{error}");
    assert_eq!(head, leaf);
}

#[test]
fn sequential_reading_asks_for_each_block_once() {
    struct Counting(Blocks, Cell<usize>);
    impl BlockSource for Counting {
        fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
            self.1.set(self.1.get() + 1);
            self.0.block(cid)
        }
    }
    let data = content(27 * 300);
    let (blocks, root) = store(&profile(300, 3), &data);
    let count = blocks.len();
    assert_eq!(count, 27 + 9 + 3 + 1, "no leaf repeats");
    let source = Counting(blocks, Cell::new(0));
    let mut reader = FileReader::open(&source, &root.cid).expect("the root is there");
    io::copy(&mut reader, &mut io::sink()).expect("every block is there");
    assert_eq!(source.1.get(), count);
}

#[test]
fn an_inner_node_leaves_as_soon_as_it_is_full() {
    let mut builder = FileBuilder::new(&profile(1, 2));
    let mut emitted = Vec::new();
    for i in 0..8_u8 {
        let mut nodes = 0;
        let mut sink = |_: &Cid, _: &[u8]| {
            nodes += 1;
            Ok(())
        };
        builder.add_leaf(leaf_cid(&[i]), 1, &mut sink).expect("the sink never fails");
        emitted.push(nodes);
    }
    assert_eq!(emitted, [0, 1, 0, 2, 0, 1, 0, 3]);
}

#[test]
fn a_builder_whose_sink_failed_never_gives_a_root() {
    let mut builder = FileBuilder::new(&profile(1, 2));
    let mut full = |_: &Cid, _: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
    builder.add_leaf(leaf_cid(b"a"), 1, &mut full).expect("no node is complete yet");
    let error = builder.add_leaf(leaf_cid(b"b"), 1, &mut full).expect_err("the sink is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let mut fine = |_: &Cid, _: &[u8]| Ok(());
    for error in [
        builder.add_leaf(leaf_cid(b"c"), 1, &mut fine).expect_err("the node is lost"),
        builder.finish(&mut fine).expect_err("the node is lost"),
    ] {
        assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::Broken)));
    }
}

#[test]
fn sizes_beyond_64_bits_are_refused() {
    let mut builder = FileBuilder::new(&profile(1, 2));
    let mut sink = |_: &Cid, _: &[u8]| Ok(());
    builder.add_leaf(leaf_cid(b"a"), u64::MAX, &mut sink).expect("it fits");
    let error = builder.add_leaf(leaf_cid(b"b"), 1, &mut sink).expect_err("the sum does not");
    assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::TooLarge)));
}

#[test]
fn an_identity_cid_is_its_own_block() {
    let cid = Cid::try_from([&[1, 0x55, 0, 5][..], b"hello"].concat()).expect("a CID");
    let mut text = String::new();
    let mut reader = FileReader::open(Blocks::new(), &cid).expect("the block is in the CID");
    reader.read_to_string(&mut text).expect("the block is in the CID");
    assert_eq!(text, "hello");
}

#[test]
fn nodes_may_hold_content_of_their_own_before_that_of_their_children() {
    // As older programs write it: a node with data and two links, one to a leaf of type Raw, one to a raw block.
    let profile = Profile::unixfs_v0_2015();
    let leaf = b"\x0a\x09\x08\x00\x12\x03bcd\x18\x03".to_vec();
    let (first, second) = (profile.node_cid(&leaf), leaf_cid(b"ef"));
    let mut node = Vec::new();
    for (cid, tsize) in [(first, 11), (second, 2)] {
        let cid = cid.to_bytes();
        node.extend([0x12, cid.len() as u8 + 6, 0x0a, cid.len() as u8]);
        node.extend(cid);
        node.extend([0x12, 0, 0x18, tsize]);
    }
    node.extend(b"\x0a\x0b\x08\x02\x12\x01a\x18\x06\x20\x03\x20\x02");
    let root = profile.node_cid(&node);
    let blocks = Blocks::from([(first, leaf), (second, b"ef".to_vec()), (root, node)]);
    let mut reader = FileReader::open(&blocks, &root).expect("the root is there");
    assert_eq!(reader.len(), 6);
    for start in 0..6 {
        let mut text = String::new();
        reader.seek(SeekFrom::Start(start)).expect("within the file");
        reader.read_to_string(&mut text).expect("every block is there");
        assert_eq!(text, "abcdef"[start as usize..]);
    }
}

#[test]
fn a_directory_is_no_file() {
    let block = b"\x0a\x02\x08\x01".to_vec();
    let cid: Cid =
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354".parse().expect("a CID");
    let error = FileReader::open(Blocks::from([(cid, block)]), &cid).expect_err("a directory");
    assert!(matches!(error.kind(), ErrorKind::NotAFile));
}

#[test]
fn limits_on_depth_and_memory_hold() {
    let (blocks, root) = store(&profile(1, 2), &content(64));
    for limits in [Limits::default().with_depth(6), Limits::default().with_memory(300)] {
        let mut reader =
            FileReader::with_limits(&blocks, &root.cid, limits).expect("the root is within");
        let error = reader.read(&mut [0]).expect_err("the leaf is beyond");
        assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::Limit(_))), "{error}");
    }
    let limits = Limits::default().with_depth(7);
    let mut reader =
        FileReader::with_limits(&blocks, &root.cid, limits).expect("the root is within");
    assert_eq!(reader.read(&mut [0]).expect("seven nodes reach the leaf"), 1);
}
