//! Blocks that their CIDs hold.

use std::collections::HashMap;
use std::io::Read;

use carstone_car::cid::Version;
use carstone_unixfs::{
    Cid, CidVersion, DirectoryBuilder, EntryKind, Error, ErrorKind, FileReader, Layout, Leaves,
    Limits, Link, Node, Profile, ShardThreshold, State, Step, decode, directory_links, resolve,
    symlink, walk, write_file,
};

type Blocks = HashMap<Cid, Vec<u8>>;

fn v1(limit: usize) -> Profile {
    Profile::unixfs_v1_2025().with_inline_limit(limit).expect("in range")
}

fn is_inline(cid: &Cid) -> bool {
    cid.hash().code() == 0
}

/// What goes to a sink, which must not be what a CID holds.
fn keep(blocks: &mut Blocks) -> impl FnMut(&Cid, &[u8]) -> std::io::Result<()> {
    |cid, block| {
        assert!(!is_inline(cid), "{cid} holds its block");
        blocks.insert(*cid, block.to_vec());
        Ok(())
    }
}

#[track_caller]
fn check_kubo(profile: Profile, text: &str, expected: &str) {
    let profile = profile.with_inline_limit(32).expect("in range");
    let mut blocks = Blocks::new();
    let root = write_file(&profile, text.as_bytes(), &mut keep(&mut blocks)).expect("no failure");
    assert_eq!((root.cid.to_string().as_str(), blocks.len()), (expected, 0));
    let mut back = String::new();
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the CID holds the block");
    reader.read_to_string(&mut back).expect("the CID holds the block");
    assert_eq!(back, text);
}

/// From Kubo's own tests of `ipfs add --inline`, and a record that one made.
#[test]
fn small_files_are_as_kubo_makes_them() {
    let old = Profile::unixfs_v0_2015;
    let raw = "bafkqaedknncdsodknncdsnzvnbvuioak";
    check_kubo(old().with_leaves(Leaves::Raw), "jkD98jkD975hkD8\n", raw);
    check_kubo(Profile::unixfs_v1_2025(), "jkD98jkD975hkD8\n", raw);
    check_kubo(old(), "helloworld\n", "bafyaaeykceeaeeqlnbswy3dpo5xxe3debimaw");
    check_kubo(Profile::unixfs_v1_2025(), "", "bafkqaaa");
}

#[test]
fn directories_and_symlinks_are_held_as_well() {
    let (mut blocks, profile) = (Blocks::new(), v1(64));
    let empty = DirectoryBuilder::new(&profile).finish(&mut keep(&mut blocks)).expect("no failure");
    assert_eq!((empty.cid.to_string().as_str(), empty.tsize), ("bafyaabakaieac", 4));
    let link = symlink(&profile, b"there", &mut keep(&mut blocks)).expect("no failure");
    assert!(is_inline(&link.cid));
    let mut builder = DirectoryBuilder::new(&profile);
    builder.add("e", empty).expect("a good name");
    let outer = builder.finish(&mut keep(&mut blocks)).expect("no failure");
    assert!(is_inline(&outer.cid) && blocks.is_empty());
    let entries = directory_links(&blocks, &outer.cid, &Limits::default()).expect("all is there");
    assert_eq!(entries, [(b"e".to_vec(), empty)]);
    let found = resolve(&blocks, &outer.cid, b"e").expect("all is there").expect("it is an entry");
    assert_eq!((found.cid, found.kind), (empty.cid, EntryKind::Directory));
}

/// The identity CIDs below a node of a file, and their blocks' lengths.
fn inline_lengths(blocks: &Blocks, cid: &Cid, lengths: &mut Vec<usize>) {
    let digest = cid.hash().digest();
    let block = if is_inline(cid) { digest } else { &blocks[cid] };
    if is_inline(cid) {
        lengths.push(digest.len());
    }
    if let Ok(Node::File(file)) = decode(cid, block) {
        file.links.for_each(|link| inline_lengths(blocks, &link.cid, lengths));
    }
}

#[test]
fn blocks_up_to_the_limit_are_held_and_longer_ones_are_not() {
    let data = (0..333).map(|i| (i * 31 + (i >> 8)) as u8).collect::<Vec<_>>();
    for layout in [Layout::Balanced, Layout::Trickle] {
        for leaves in [Leaves::Raw, Leaves::DagPb] {
            let plain = Profile::unixfs_v1_2025().with_layout(layout).with_leaves(leaves);
            let plain =
                plain.with_chunk_size(20).expect("in range").with_width(3).expect("in range");
            // The leaf of 20 bytes is at the limit; then it is one above.
            let len = plain.leaf(vec![0; 20]).block.len();
            for (limit, held) in [(len, 17), (len - 1, 1), (0, 0)] {
                let profile = plain.clone().with_inline_limit(limit).expect("in range");
                let (mut blocks, mut lengths) = (Blocks::new(), Vec::new());
                let root = write_file(&profile, &data[..], &mut keep(&mut blocks));
                let root = root.expect("neither side fails");
                assert!(blocks.values().all(|block| block.len() > limit));
                inline_lengths(&blocks, &root.cid, &mut lengths);
                assert!(lengths.iter().all(|len| *len <= limit));
                assert_eq!(lengths.len(), held, "{layout} {leaves:?} {limit}");
            }
        }
    }
}

#[test]
fn held_blocks_have_cids_of_version_1_whatever_the_others_have() {
    let profile = v1(64).with_cid_version(CidVersion::V0).with_leaves(Leaves::DagPb);
    assert_eq!(profile.leaf(b"x".to_vec()).cid.version(), Version::V1);
    assert_eq!(profile.leaf(vec![0; 64]).cid.version(), Version::V0);
}

#[test]
fn sizes_count_what_is_held() {
    let text = b"a few bytes";
    let (plain, held) = (Profile::unixfs_v1_2025(), v1(32));
    let size = |profile: &Profile| {
        let file = write_file(profile, &text[..], &mut |_, _| Ok(())).expect("no failure");
        let mut builder = DirectoryBuilder::new(profile);
        builder.add("f", file.into()).expect("a good name");
        (file.tsize, builder.finish(&mut |_, _| Ok(())).expect("no failure").tsize)
    };
    // The CID is 36 bytes where it does not hold the block, and 15 where it does.
    assert_eq!((size(&plain).0, size(&held).0), (11, 11));
    assert_eq!(size(&plain).1 - size(&held).1, 36 - 15);
}

#[test]
fn a_shard_of_held_entries_is_walked() {
    let threshold = ShardThreshold::Entries(0);
    for fanout in [8, 256, 1024] {
        let profile = v1(64).with_shard_threshold(threshold).with_fanout(fanout).expect("allowed");
        let (mut blocks, mut builder) = (Blocks::new(), DirectoryBuilder::new(&profile));
        for i in 0..200 {
            let text = i.to_string();
            let file = write_file(&profile, text.as_bytes(), &mut keep(&mut blocks));
            builder.add(&text, Link::from(file.expect("no failure"))).expect("a good name");
        }
        let root = builder.finish(&mut keep(&mut blocks)).expect("no failure");
        let mut entries = 0;
        walk(&blocks, &root.cid, &Limits::default(), &mut |entry| {
            assert!(matches!(entry.state, State::Present), "{entry:?}");
            if entry.kind == EntryKind::File {
                let mut text = String::new();
                FileReader::open(&blocks, &entry.cid)?.read_to_string(&mut text)?;
                assert_eq!(text.as_bytes(), entry.name());
                entries += 1;
            }
            Ok(Step::Into)
        })
        .expect("nothing fails");
        assert_eq!(entries, 200);
    }
}

#[test]
fn a_limit_beyond_what_a_cid_has_room_for_is_refused() {
    let error = Profile::default().with_inline_limit(65).expect_err("out of range");
    assert!(matches!(error.kind(), ErrorKind::BadSetting { what: "inline limit", value: 65, .. }));
    assert_eq!(v1(64).inline_limit(), Some(64));
    let none = v1(64).with_inline_limit(None).expect("in range");
    assert_eq!((none.inline_limit(), none.name()), (None, Some("unixfs-v1-2025")));
}

/// A node whose only link is this CID and says that it leads to so many bytes.
fn node_over(cid: &Cid, size: u8) -> (Cid, Vec<u8>) {
    let (cid, mut block) = (cid.to_bytes(), vec![0x12]);
    block.extend([cid.len() as u8 + 2, 0x0a, cid.len() as u8]);
    block.extend(cid);
    block.extend([0x0a, 6, 8, 2, 0x18, size, 0x20, size]);
    (Profile::unixfs_v1_2025().node_cid(&block), block)
}

#[test]
fn a_held_leaf_of_another_length_than_its_parent_states_is_refused() {
    let (root, block) = node_over(&v1(32).leaf(b"abc".to_vec()).cid, 100);
    let mut reader = FileReader::open(Blocks::from([(root, block)]), &root).expect("well formed");
    let error = reader.read(&mut [0; 9]).expect_err("the leaf has three bytes");
    let error = Error::of(&error).expect("the typed error rides inside");
    assert!(
        matches!(error.kind(), ErrorKind::SizeMismatch { expected: 100, actual: 3 }),
        "{error}"
    );
}

#[test]
fn a_link_whose_cid_holds_more_than_there_is_room_for_is_told() {
    let long = [&[1, 0x55, 0, 65][..], &[7; 65]].concat();
    let mut block = vec![0x12, long.len() as u8 + 2, 0x0a, long.len() as u8];
    block.extend(long);
    block.extend(b"\x0a\x06\x08\x02\x18\x41\x20\x41");
    let root = Profile::default().node_cid(&block);
    let error = decode(&root, &block).expect_err("no such CID can be had");
    assert!(error.to_string().contains("more than 64 bytes"), "{error}");
    assert_eq!((error.cid(), error.offset()), (Some(&root), 4));
}
