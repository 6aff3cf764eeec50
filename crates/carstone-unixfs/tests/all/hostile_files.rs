//! Files made to hurt their reader: sizes that lie, depth without end, more content than blocks.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use carstone_unixfs::{BlockSource, Cid, Error, ErrorKind, FileReader, Limits, Profile, leaf_cid};

type Blocks = HashMap<Cid, Vec<u8>>;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len() as u64), bytes].concat()
}

/// A node of a file over these children, each with the size that is claimed for it.
fn node(blocks: &mut Blocks, children: &[(Cid, u64)]) -> Cid {
    let (mut block, mut unixfs) = (Vec::new(), vec![8, 2]);
    for (cid, size) in children {
        block.extend(field(2, &field(1, &cid.to_bytes())));
        unixfs.extend([&[0x20][..], &varint(*size)].concat());
    }
    block.extend(field(1, &unixfs));
    let cid = Profile::unixfs_v1_2025().node_cid(&block);
    blocks.insert(cid, block);
    cid
}

fn leaf(blocks: &mut Blocks, data: &[u8]) -> Cid {
    blocks.insert(leaf_cid(data), data.to_vec());
    leaf_cid(data)
}

#[track_caller]
fn read_error(blocks: &Blocks, root: &Cid, at: u64) -> Error {
    let mut reader = FileReader::open(blocks, root).expect("the root is well formed");
    reader.seek(SeekFrom::Start(at)).expect("any place will do");
    let error = reader.read(&mut [0; 8]).expect_err("the file is not what it claims to be");
    Error::from(error)
}

#[test]
fn a_chain_of_nodes_without_end_is_stopped_by_the_limit_on_depth() {
    let mut blocks = Blocks::new();
    let mut cid = leaf(&mut blocks, b"x");
    for _ in 0..5000 {
        cid = node(&mut blocks, &[(cid, 1)]);
    }
    let error = read_error(&blocks, &cid, 0);
    assert!(matches!(error.kind(), ErrorKind::Limit("depth")), "{error}");
}

#[test]
fn wide_nodes_below_each_other_are_stopped_by_the_limit_on_memory() {
    let mut blocks = Blocks::new();
    let mut cid = leaf(&mut blocks, b"x");
    for level in 0..20 {
        // All in the first child; the others are empty and cost memory only.
        let mut children = vec![(leaf_cid(b""), 0); 2000 + level];
        children[0] = (cid, 1);
        cid = node(&mut blocks, &children);
    }
    let limits = Limits::default().with_memory(1 << 20);
    let mut reader = FileReader::with_limits(&blocks, &cid, limits).expect("the root is within");
    let error = Error::from(reader.read(&mut [0]).expect_err("twenty of them are not"));
    assert!(matches!(error.kind(), ErrorKind::Limit("memory")), "{error}");
}

#[test]
fn a_child_that_is_larger_or_smaller_than_claimed_is_refused_at_every_level() {
    let mut blocks = Blocks::new();
    let ten = leaf(&mut blocks, &[7; 10]);
    let honest = node(&mut blocks, &[(ten, 10), (ten, 10)]);
    for (claimed, child) in [(9, ten), (11, ten), (1 << 60, ten), (19, honest), (21, honest)] {
        let root = node(&mut blocks, &[(child, claimed)]);
        let error = read_error(&blocks, &root, 0);
        let actual = if child == ten { 10 } else { 20 };
        assert!(
            matches!(error.kind(), ErrorKind::SizeMismatch { expected, actual: found }
                if (*expected, *found) == (claimed, actual)),
            "{error}"
        );
        assert_eq!(error.cid(), Some(&child));
    }
}

/// 2⁶² bytes in some sixty blocks: any byte is read with as many blocks as the tree is deep, and in no memory to speak of.
#[test]
fn a_file_of_more_content_than_there_is_is_read_where_it_is_asked_for() {
    struct Counting(Blocks, Cell<usize>);
    impl BlockSource for Counting {
        fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
            self.1.set(self.1.get() + 1);
            self.0.block(cid)
        }
    }
    let mut blocks = Blocks::new();
    let (mut cid, mut size) = (leaf(&mut blocks, b"ab"), 2);
    for _ in 0..61 {
        cid = node(&mut blocks, &[(cid, size), (cid, size)]);
        size *= 2;
    }
    let source = Counting(blocks, Cell::new(0));
    let mut reader = FileReader::open(&source, &cid).expect("the root is well formed");
    assert_eq!(reader.len(), 1 << 62);
    reader.seek(SeekFrom::End(-1)).expect("within the file");
    let mut last = [0];
    reader.read_exact(&mut last).expect("every block is there");
    assert_eq!((last[0], source.1.get()), (b'b', 62));
}

#[test]
fn a_file_whose_part_is_a_directory_or_a_symlink_is_none() {
    let mut blocks = Blocks::new();
    for unixfs in [&b"\x08\x01"[..], b"\x08\x04\x12\x01x", b"\x08\x05\x28\x22\x30\x08"] {
        let block = field(1, unixfs);
        let child = Profile::unixfs_v1_2025().node_cid(&block);
        blocks.insert(child, block);
        let root = node(&mut blocks, &[(child, 1)]);
        let error = read_error(&blocks, &root, 0);
        assert!(matches!(error.kind(), ErrorKind::NotAFile), "{error}");
        assert_eq!(error.cid(), Some(&child));
    }
}
