//! Both layouts hold their promises: the shape of trees, what comes back, and how few blocks a part of it needs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use carstone_unixfs::{
    BlockSource, Cid, CidVersion, Error, ErrorKind, FileBuilder, FileReader, FileRoot, Layout,
    Leaves, Node, Profile, decode, leaf_cid, write_file,
};
use proptest::prelude::*;

type Blocks = HashMap<Cid, Vec<u8>>;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + (i >> 8) * 7) as u8).collect()
}

fn trickle(chunk: usize, width: usize) -> Profile {
    let profile = Profile::unixfs_v1_2025().with_layout(Layout::Trickle);
    let profile = profile.with_chunk_size(chunk).expect("in range");
    profile.with_width(width).expect("in range")
}

fn store(profile: &Profile, reader: impl Read) -> (Blocks, FileRoot) {
    let mut blocks = Blocks::new();
    let root = write_file(profile, reader, &mut |cid: &Cid, block: &[u8]| {
        blocks.insert(*cid, block.to_vec());
        Ok(())
    });
    (blocks, root.expect("neither side fails"))
}

/// The leaves and the subtrees of a node, in this order.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    leaves: usize,
    subtrees: Vec<Shape>,
}

/// A trickle tree as it is defined, from the root down.
fn expected_shape(left: &mut usize, width: usize, height: usize) -> Shape {
    let leaves = width.min(*left);
    *left -= leaves;
    let mut subtrees = Vec::new();
    for lower in 1..height {
        for _ in 0..4 {
            if *left > 0 {
                subtrees.push(expected_shape(left, width, lower));
            }
        }
    }
    Shape { leaves, subtrees }
}

/// The shape of a tree of raw leaves.
fn shape(blocks: &Blocks, cid: &Cid) -> Shape {
    let Ok(Node::File(file)) = decode(cid, &blocks[cid]) else { panic!("{cid} is no node") };
    assert!(file.data.is_empty());
    let links = file.links.map(|link| link.cid).collect::<Vec<_>>();
    let leaves = links.iter().take_while(|cid| cid.codec() == 0x55).count();
    Shape { leaves, subtrees: links[leaves..].iter().map(|cid| shape(blocks, cid)).collect() }
}

#[test]
fn a_trickle_tree_has_leaves_first_and_four_subtrees_of_each_height() {
    for width in [2, 3, 7] {
        for leaves in (0..300).chain([1000, 1777]) {
            let (blocks, root) = store(&trickle(1, width), &content(leaves)[..]);
            let mut left = leaves;
            assert_eq!(shape(&blocks, &root.cid), expected_shape(&mut left, width, 64), "{leaves}");
        }
    }
}

#[test]
fn the_root_of_a_trickle_tree_is_a_node_whatever_the_size() {
    for leaves in [Leaves::Raw, Leaves::DagPb] {
        let profile = trickle(4, 2).with_leaves(leaves).with_cid_version(CidVersion::V0);
        let (_, empty) = store(&profile, &b""[..]);
        assert_eq!(empty.cid.to_string(), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
        let (blocks, one) = store(&profile, &b"one"[..]);
        assert_eq!(blocks.len(), 2);
        let Ok(Node::File(file)) = decode(&one.cid, &blocks[&one.cid]) else { panic!("no node") };
        assert_eq!((file.links.len(), file.size, one.size), (1, 3, 3));
    }
}

#[test]
fn leaves_of_trickle_trees_are_of_the_type_raw() {
    let leaf = trickle(4, 2).with_leaves(Leaves::DagPb).leaf(b"abc".to_vec());
    assert_eq!(leaf.block, b"\x0a\x09\x08\x00\x12\x03abc\x18\x03");
    assert_eq!(leaf.content(), b"abc");
}

#[test]
fn a_subtree_leaves_as_soon_as_it_is_full() {
    let mut builder = FileBuilder::new(&trickle(1, 2));
    let mut emitted = Vec::new();
    for i in 0..20_u8 {
        let mut nodes = 0;
        let mut sink = |_: &Cid, _: &[u8]| {
            nodes += 1;
            Ok(())
        };
        builder.add_leaf(leaf_cid(&[i]), 1, &mut sink).expect("the sink never fails");
        emitted.push(nodes);
    }
    // Two leaves of the root, four subtrees of two leaves, one of two leaves and four subtrees.
    assert_eq!(emitted, [0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 2]);
}

#[test]
fn a_trickle_builder_whose_sink_failed_never_gives_a_root() {
    let mut builder = FileBuilder::new(&trickle(1, 2));
    let mut full = |_: &Cid, _: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
    for i in 0..3_u8 {
        builder.add_leaf(leaf_cid(&[i]), 1, &mut full).expect("no node is complete yet");
    }
    builder.add_leaf(leaf_cid(b"x"), 1, &mut full).expect_err("the sink is full");
    let error = builder.finish(&mut |_, _| Ok(())).expect_err("a node is lost");
    assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::Broken)));
}

#[test]
fn a_hole_in_a_trickle_tree_costs_what_lies_in_it() {
    let data = content(40);
    let (mut blocks, root) = store(&trickle(1, 2), &data[..]);
    let Ok(Node::File(file)) = decode(&root.cid, &blocks[&root.cid]) else { panic!("no node") };
    // Behind two leaves and four subtrees of two: the first of height 2, which has ten.
    let hole = file.links.map(|link| link.cid).nth(6).expect("40 leaves need it");
    blocks.remove(&hole);
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
    let mut head = Vec::new();
    let error = reader.read_to_end(&mut head).expect_err("a subtree is missing");
    let error = Error::of(&error).expect("the typed error rides inside");
    assert!(matches!(error.kind(), ErrorKind::Missing));
    assert_eq!(
        (error.cid(), head.as_slice(), reader.unreadable()),
        (Some(&hole), &data[..10], 10..20)
    );
    reader.seek(SeekFrom::Start(20)).expect("behind the hole");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("the rest is there");
    assert_eq!(rest, data[20..]);
}

#[test]
fn layouts_are_their_texts() {
    for layout in Layout::ALL {
        assert_eq!(layout.to_string().parse::<Layout>().expect("its own text"), *layout);
    }
    let error = "Trickle".parse::<Layout>().expect_err("there is none");
    assert!(matches!(error.kind(), ErrorKind::UnknownLayout(name) if name == "Trickle"));
    assert!(error.to_string().contains("balanced"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

/// Gives as many bytes at a time as `sizes` say, over and over.
struct Split<'a>(&'a [u8], &'a [usize], usize);

impl Read for Split<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.2 += 1;
        let n = self.1[self.2 % self.1.len()].min(buf.len());
        self.0.read(&mut buf[..n])
    }
}

/// Notes what is asked for.
struct Noting(Blocks, RefCell<Vec<Cid>>);

impl BlockSource for Noting {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        self.1.borrow_mut().push(*cid);
        self.0.block(cid)
    }
}

/// The blocks that stand for a part of the content, the root included.
fn needed(blocks: &Blocks, cid: &Cid, mut start: u64, range: &Range<u64>, found: &mut Vec<Cid>) {
    let inline = cid.hash().code() == 0;
    let block = if inline { cid.hash().digest() } else { &blocks[cid] };
    if !inline {
        found.push(*cid);
    }
    let Ok(Node::File(file)) = decode(cid, block) else { return };
    start += file.data.len() as u64;
    for (link, size) in file.links.zip(file.blocksizes) {
        if start.max(range.start) < (start + size).min(range.end) {
            needed(blocks, &link.cid, start, range, found);
        }
        start += size;
    }
}

fn profiles() -> impl Strategy<Value = Profile> {
    let shape = (1_usize..40, 2_usize..6, prop::option::of(0..=Profile::MAX_INLINE));
    (shape, any::<[bool; 3]>()).prop_map(|((chunk, width, inline), [trickle, raw, v0])| {
        let profile = Profile::unixfs_v1_2025().with_chunk_size(chunk).expect("in range");
        let profile = profile.with_width(width).expect("in range");
        let profile = profile.with_inline_limit(inline).expect("in range");
        let profile = profile.with_layout(if trickle { Layout::Trickle } else { Layout::Balanced });
        let profile = profile.with_leaves(if raw { Leaves::Raw } else { Leaves::DagPb });
        profile.with_cid_version(if v0 { CidVersion::V0 } else { CidVersion::V1 })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_file_comes_back_under_any_settings(profile in profiles(), len in 0_usize..900) {
        let data = content(len);
        let (blocks, root) = store(&profile, &data[..]);
        prop_assert_eq!(root.size, len as u64);
        let mut back = Vec::new();
        let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
        reader.read_to_end(&mut back).expect("every block is there");
        prop_assert!(back == data);
    }

    #[test]
    fn any_split_of_the_input_gives_the_same_root(
        profile in profiles(), len in 0_usize..900, sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        let data = content(len);
        let expected = store(&profile, &data[..]);
        prop_assert!(store(&profile, Split(&data, &sizes, 0)) == expected);
        let mut builder = FileBuilder::new(&profile);
        let mut sink = |_: &Cid, _: &[u8]| Ok(());
        for chunk in data.chunks(profile.chunk_size()) {
            builder.add(profile.leaf(chunk.to_vec()), &mut sink).expect("the sink never fails");
        }
        prop_assert_eq!(builder.finish(&mut sink).expect("the sink never fails"), expected.1);
    }

    #[test]
    fn a_part_of_a_file_is_that_part_and_takes_no_block_that_is_not_in_it(
        profile in profiles(), len in 1_usize..900, from in 0_usize..900, n in 1_usize..200,
    ) {
        let data = content(len);
        let from = from % len;
        let to = (from + n).min(len);
        let (blocks, root) = store(&profile, &data[..]);
        let (mut expected, range) = (Vec::new(), from as u64..to as u64);
        needed(&blocks, &root.cid, 0, &range, &mut expected);
        let source = Noting(blocks, RefCell::default());
        let mut reader = FileReader::open(&source, &root.cid).expect("the root is there");
        reader.seek(SeekFrom::Start(range.start)).expect("any place will do");
        let mut part = vec![0; to - from];
        reader.read_exact(&mut part).expect("every block is there");
        prop_assert!(part == data[from..to]);
        prop_assert_eq!(&*source.1.borrow(), &expected, "each once, and in order");
    }
}

proptest! {
    #[test]
    fn leaves_come_out_as_they_went_in(
        len in 0..400_usize,
        start in 0..450_u64,
        is_trickle in any::<bool>(),
        raw in any::<bool>(),
    ) {
        let profile = trickle(7, 3).with_layout(if is_trickle { Layout::Trickle } else { Layout::Balanced });
        let profile = profile.with_leaves(if raw { Leaves::Raw } else { Leaves::DagPb });
        let content = content(len);
        let (blocks, root) = store(&profile, &content[..]);
        let mut reader = FileReader::open(&blocks, &root.cid).expect("a file");
        reader.seek(SeekFrom::Start(start)).expect("a position");
        let from = content.len().min(start as usize);
        // The first one from where it stands, the others whole.
        let first = if from == len { 0 } else { (7 - from % 7).min(len - from) };
        let mut expected: Vec<&[u8]> = vec![&content[from..from + first]];
        expected.extend(content[from + first..].chunks(7));
        expected.retain(|leaf| !leaf.is_empty());
        let mut found = Vec::new();
        while let Some(leaf) = reader.read_leaf().expect("all is there") {
            let is_whole = leaf.content.len() == 7 || from.is_multiple_of(7) || !found.is_empty();
            prop_assert_eq!(leaf.raw.is_some(), raw && is_whole, "{:?}", leaf);
            if let Some(cid) = leaf.raw {
                prop_assert_eq!(cid, leaf_cid(&leaf.content));
                let verified = profile.danger_verified_leaf(&cid, leaf.content.clone());
                prop_assert_eq!(verified, profile.leaf(leaf.content.clone()));
            }
            found.push(leaf.content);
        }
        prop_assert_eq!(found, expected);
        // What is left of the reader reads the same.
        reader.seek(SeekFrom::Start(0)).expect("a position");
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("all is there");
        prop_assert_eq!(all, content);
    }
}
