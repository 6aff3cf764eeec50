//! Mode and modification time: written where they are asked for, and read.

use std::collections::HashMap;
use std::io::{self, Read};

use carstone_unixfs::{
    BlockSink, Cid, DirectoryBuilder, DirectorySize, ErrorKind, FileBuilder, FileReader, Layout,
    Leaves, Limits, Link, Metadata, Node, Profile, ShardThreshold, ShardedBuilder, Step, decode,
    leaf_cid, shard_hash, symlink, symlink_with_metadata, walk, write_file,
    write_file_with_metadata,
};
use proptest::prelude::*;

type Blocks = HashMap<Cid, Vec<u8>>;

fn some() -> Metadata {
    Metadata::default().with_mode(0o640).with_mtime(-3, 999_999_999).expect("in range")
}

fn keep(blocks: &mut Blocks) -> impl FnMut(&Cid, &[u8]) -> io::Result<()> {
    |cid, block| {
        blocks.insert(*cid, block.to_vec());
        Ok(())
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31) as u8).collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Root {
    data: Vec<u8>,
    links: Vec<Cid>,
    metadata: Metadata,
}

fn root(blocks: &Blocks, cid: &Cid) -> Root {
    match decode(cid, &blocks[cid]) {
        Ok(Node::File(file)) => {
            let links = file.links.map(|link| link.cid).collect();
            Root { data: file.data.to_vec(), links, metadata: file.metadata }
        }
        Ok(Node::Raw(data)) => {
            Root { data: data.to_vec(), links: Vec::new(), metadata: Metadata::default() }
        }
        other => panic!("{other:?}"),
    }
}

/// Metadata change the root and nothing below it.
#[track_caller]
fn check_file(profile: &Profile, len: usize) {
    let (data, metadata) = (content(len), some());
    let (mut plain, mut told) = (Blocks::new(), Blocks::new());
    let without = write_file(profile, &data[..], &mut keep(&mut plain)).expect("no failure");
    let with = write_file_with_metadata(profile, &metadata, &data[..], &mut keep(&mut told));
    let with = with.expect("neither side fails");
    assert_ne!(with.cid, without.cid);
    let expected = Root { metadata, ..root(&plain, &without.cid) };
    assert_eq!(root(&told, &with.cid), expected, "{len}");
    assert_eq!(told.len(), plain.len(), "no block is written in vain");
    let (root_len, plain_len) = (told[&with.cid].len(), plain[&without.cid].len());
    assert_eq!(with.tsize - without.tsize, (root_len - plain_len) as u64);
    let mut back = Vec::new();
    let mut reader = FileReader::open(&told, &with.cid).expect("the root is there");
    reader.read_to_end(&mut back).expect("every block is there");
    assert_eq!(back, data);
}

#[test]
fn the_root_of_a_file_tells_them_and_nothing_else_does() {
    for layout in [Layout::Balanced, Layout::Trickle] {
        for leaves in [Leaves::Raw, Leaves::DagPb] {
            for width in [2, 3] {
                let profile = Profile::unixfs_v1_2025().with_layout(layout).with_leaves(leaves);
                let profile = profile.with_chunk_size(4).expect("in range");
                let profile = profile.with_width(width).expect("in range");
                (0..130).for_each(|len| check_file(&profile, len));
            }
        }
    }
}

#[test]
fn none_are_no_metadata() {
    let (profile, none) = (Profile::unixfs_v1_2025(), Metadata::default());
    assert!(none.is_empty() && !some().is_empty());
    let sink: &mut BlockSink<'_> = &mut |_, _| Ok(());
    let plain = write_file(&profile, &b"x"[..], sink).expect("no failure");
    assert_eq!(
        write_file_with_metadata(&profile, &none, &b"x"[..], sink).expect("no failure"),
        plain
    );
    let plain = symlink(&profile, b"x", sink).expect("no failure");
    assert_eq!(symlink_with_metadata(&profile, &none, b"x", sink).expect("no failure"), plain);
    let plain = DirectoryBuilder::new(&profile).finish(sink).expect("no failure");
    let with = DirectoryBuilder::with_metadata(&profile, &none).expect("in range");
    assert_eq!(with.finish(sink).expect("no failure"), plain);
}

#[test]
fn a_leaf_that_is_stored_already_gets_a_node_above_it() {
    let (profile, mut blocks) = (Profile::unixfs_v1_2025(), Blocks::new());
    let mut builder = FileBuilder::with_metadata(&profile, &some()).expect("in range");
    builder.add_leaf(leaf_cid(b"x"), 1, &mut keep(&mut blocks)).expect("no failure");
    let file = builder.finish(&mut keep(&mut blocks)).expect("no failure");
    let expected = Root { data: Vec::new(), links: vec![leaf_cid(b"x")], metadata: some() };
    assert_eq!(root(&blocks, &file.cid), expected);
}

/// The metadata of a root, as a walk tells them.
fn walked(blocks: &Blocks, cid: &Cid) -> Metadata {
    let mut found = Metadata::default();
    walk(blocks, cid, &Limits::default(), &mut |entry| {
        (found.mode, found.mtime) = (entry.mode, entry.mtime);
        Ok(Step::Stop)
    })
    .expect("nothing fails");
    found
}

#[test]
fn directories_and_symlinks_tell_them() {
    let plain = Profile::unixfs_v1_2025();
    let sharded = plain.clone().with_shard_threshold(ShardThreshold::Entries(0));
    let mut blocks = Blocks::new();
    for profile in [&plain, &sharded] {
        let mut builder = DirectoryBuilder::with_metadata(profile, &some()).expect("in range");
        for i in 0..300 {
            let link = Link { cid: leaf_cid(b"x"), tsize: 1 };
            builder.add(&i.to_string(), link).expect("a good name");
        }
        let directory = builder.finish(&mut keep(&mut blocks)).expect("no failure");
        assert_eq!(walked(&blocks, &directory.cid), some());
    }
    let shards = blocks.iter().filter(|(cid, block)| match decode(cid, block) {
        Ok(Node::Shard(shard)) => shard.metadata == some(),
        _ => false,
    });
    assert_eq!(shards.count(), 1, "the root, and no shard below it");
    let link = symlink_with_metadata(&plain, &some(), b"there", &mut keep(&mut blocks));
    assert_eq!(walked(&blocks, &link.expect("no failure").cid), some());
}

#[test]
fn the_streaming_builder_of_shards_gives_the_same_root() {
    let profile = Profile::unixfs_v1_2025().with_shard_threshold(ShardThreshold::Entries(0));
    let link = Link { cid: leaf_cid(b"x"), tsize: 1 };
    let mut names = (0..300).map(|i| i.to_string()).collect::<Vec<_>>();
    names.sort_by_key(|name| shard_hash(name));
    let mut streamed = ShardedBuilder::with_metadata(&profile, &some()).expect("in range");
    let mut collected = DirectoryBuilder::with_metadata(&profile, &some()).expect("in range");
    let sink: &mut BlockSink<'_> = &mut |_, _| Ok(());
    for name in &names {
        streamed.add(name, link, sink).expect("in order");
        collected.add(name, link).expect("a good name");
    }
    assert_eq!(
        streamed.finish(sink).expect("no failure"),
        collected.finish(sink).expect("no failure")
    );
}

#[test]
fn they_count_among_the_bytes_of_a_node() {
    let link = Link { cid: leaf_cid(b"x"), tsize: 1 };
    let with = |limit| {
        let profile = Profile::unixfs_v1_2025();
        let profile = profile.with_shard_threshold(ShardThreshold::NodeBytes(limit));
        let mut size = DirectorySize::with_metadata(&profile, &some()).expect("in range");
        let mut builder = DirectoryBuilder::with_metadata(&profile, &some()).expect("in range");
        size.add("name", &link);
        builder.add("name", link).expect("a good name");
        assert_eq!(size.is_sharded(), builder.is_sharded());
        let mut len = 0;
        let sink: &mut BlockSink<'_> = &mut |_, block| {
            len = block.len();
            Ok(())
        };
        let sharded = builder.is_sharded();
        builder.finish(sink).expect("no failure");
        (sharded, len)
    };
    let (_, len) = with(1000);
    assert_eq!(with(len), (false, len));
    assert!(with(len - 1).0);
}

#[test]
fn a_second_of_more_than_its_nanoseconds_is_refused_everywhere() {
    let mut bad = Metadata::default();
    bad.mtime = Some((0, 1_000_000_000));
    let profile = Profile::unixfs_v1_2025();
    let errors = [
        Metadata::default().with_mtime(0, u32::MAX).expect_err("out of range"),
        FileBuilder::with_metadata(&profile, &bad).expect_err("out of range"),
        DirectoryBuilder::with_metadata(&profile, &bad).expect_err("out of range"),
        DirectorySize::with_metadata(&profile, &bad).expect_err("out of range"),
        ShardedBuilder::with_metadata(&profile, &bad).expect_err("out of range"),
    ];
    for error in errors {
        assert!(
            matches!(error.kind(), ErrorKind::BadSetting { what: "nanoseconds", .. }),
            "{error}"
        );
    }
}

#[test]
fn a_fraction_of_zero_is_read_though_it_should_not_be_written() {
    let block = b"\x0a\x0b\x08\x01\x42\x07\x08\x05\x15\0\0\0\0";
    let cid = Profile::unixfs_v1_2025().node_cid(block);
    match decode(&cid, block) {
        Ok(Node::Directory { metadata, .. }) => assert_eq!(metadata.mtime, Some((5, 0))),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        mode in prop::option::of(any::<u32>()),
        mtime in prop::option::of((any::<i64>(), 0_u32..1_000_000_000)),
        len in 0_usize..20,
    ) {
        let mut metadata = Metadata::default();
        (metadata.mode, metadata.mtime) = (mode, mtime);
        let (mut blocks, data) = (Blocks::new(), content(len));
        let profile = Profile::unixfs_v1_2025().with_chunk_size(7).expect("in range");
        let file = write_file_with_metadata(&profile, &metadata, &data[..], &mut keep(&mut blocks));
        prop_assert_eq!(walked(&blocks, &file.expect("no failure").cid), metadata);
        prop_assert_eq!(metadata.permissions(), mode.map(|mode| mode & 0o7777));
    }
}
