//! The shared test vectors: trees that another implementation of the format made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io;

use carstone_unixfs::{
    Chunker, ChunkerSpec, Cid, CidVersion, DirectoryBuilder, Leaves, Link, Profile, ShardThreshold,
    leaf_cid, symlink, write_file,
};
use toml::{Table, Value};

fn cases(key: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/unixfs.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    file[key].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn number(case: &Value, key: &str) -> usize {
    case[key].as_integer().unwrap().try_into().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The content that a case describes.
fn content(case: &Value) -> Vec<u8> {
    let mut data = vec![0; number(case, "length")];
    let label = text(case, "label").as_bytes();
    blake3::Hasher::new().update(label).finalize_xof().fill(&mut data);
    data
}

/// The settings of a case, put together one by one; a published profile must be the same.
fn settings(case: &Value) -> Profile {
    let leaves = match text(case, "leaf") {
        "raw" => Leaves::Raw,
        _ => Leaves::DagPb,
    };
    let above = number(case, "shard_above");
    let threshold = match text(case, "shard_by") {
        "node-bytes" => ShardThreshold::NodeBytes(above),
        "link-bytes" => ShardThreshold::LinkBytes(above),
        "entries" => ShardThreshold::Entries(above),
        other => panic!("{other}"),
    };
    let version = if number(case, "cid_version") == 0 { CidVersion::V0 } else { CidVersion::V1 };
    let profile = Profile::unixfs_v1_2025().with_width(number(case, "width")).unwrap();
    let profile = profile.with_leaves(leaves).with_cid_version(version);
    let profile =
        profile.with_shard_threshold(threshold).with_fanout(number(case, "fanout")).unwrap();
    let profile = match case.get("function") {
        None => profile,
        Some(code) => profile.with_hash(code.as_integer().unwrap().try_into().unwrap()).unwrap(),
    };
    if let Ok(published) = Profile::by_name(text(case, "settings")) {
        assert_eq!(profile.clone().with_chunker(published.chunker()), published);
    }
    profile
}

/// Counts what is written, and keeps the last block, which is the root.
#[derive(Default)]
struct Blocks {
    leaves: usize,
    nodes: usize,
    root: Vec<u8>,
}

impl Blocks {
    fn take(&mut self, cid: &Cid, data: &[u8]) -> io::Result<()> {
        if *cid == leaf_cid(data) {
            self.leaves += 1
        } else {
            self.nodes += 1
        }
        self.root = data.to_vec();
        Ok(())
    }

    #[track_caller]
    fn check_root(&self, case: &Value, root: Link) {
        let name = case.get("name").or(case.get("target"));
        assert_eq!(root.cid.to_string(), text(case, "cid"), "{name:?}");
        assert_eq!(root.tsize, number(case, "total") as u64, "{name:?}");
        if let Some(node) = case.get("root_node").or(case.get("node")) {
            assert_eq!(self.root, bytes(node.as_str().unwrap()), "{name:?}");
        }
    }
}

#[test]
fn files() {
    for case in cases("file") {
        let data = content(&case);
        let profile = Profile::unixfs_v1_2025().with_chunk_size(number(&case, "chunk")).unwrap();
        let mut blocks = Blocks::default();
        let root =
            write_file(&profile, &data[..], &mut |cid, data| blocks.take(cid, data)).unwrap();
        assert_eq!(root.size, data.len() as u64);
        let counts = (blocks.leaves, blocks.nodes);
        assert_eq!(counts, (number(&case, "leaves"), number(&case, "nodes")));
        blocks.check_root(&case, root.into());
    }
}

#[test]
fn symlinks() {
    for case in cases("symlink") {
        let mut blocks = Blocks::default();
        let target = bytes(text(&case, "target"));
        let link =
            symlink(&Profile::unixfs_v1_2025(), &target, &mut |cid, data| blocks.take(cid, data))
                .unwrap();
        blocks.check_root(&case, link);
    }
}

#[test]
fn directories() {
    let hello = Link { cid: leaf_cid(b"hello"), tsize: 5 };
    for case in cases("directory") {
        let mut builder = DirectoryBuilder::new(&Profile::unixfs_v1_2025());
        match case.get("names") {
            Some(names) => names.as_array().unwrap().iter().for_each(|name| {
                let name = String::from_utf8(bytes(name.as_str().unwrap())).unwrap();
                builder.add(&name, hello).unwrap();
            }),
            None => (0..number(&case, "count")).for_each(|i| {
                builder.add(&format!("{}{i:06}", text(&case, "prefix")), hello).unwrap();
            }),
        }
        assert_eq!(builder.is_sharded(), number(&case, "blocks") > 1);
        let mut blocks = Blocks::default();
        let root = builder.finish(&mut |cid, data| blocks.take(cid, data)).unwrap();
        assert_eq!(blocks.nodes, number(&case, "blocks"), "{}", text(&case, "name"));
        blocks.check_root(&case, root);
    }
}

#[test]
fn files_under_other_settings() {
    for case in cases("other_file") {
        let (data, mut blocks) = (content(&case), 0);
        let profile = settings(&case).with_chunk_size(number(&case, "chunk")).unwrap();
        let root = write_file(&profile, &data[..], &mut |_, _| {
            blocks += 1;
            Ok(())
        });
        let root = root.unwrap();
        assert_eq!(blocks, number(&case, "leaves") + number(&case, "nodes"));
        let found = (root.cid.to_string(), root.tsize, root.size);
        let expected = (text(&case, "cid").to_owned(), number(&case, "total") as u64);
        assert_eq!(found, (expected.0, expected.1, data.len() as u64), "{case}");
    }
}

#[test]
fn symlinks_under_other_settings() {
    for case in cases("other_symlink") {
        let (mut blocks, target) = (Blocks::default(), bytes(text(&case, "target")));
        let link = symlink(&settings(&case), &target, &mut |cid, data| blocks.take(cid, data));
        blocks.check_root(&case, link.unwrap());
    }
}

#[test]
fn directories_under_other_settings() {
    for case in cases("other_directory") {
        let profile = settings(&case);
        let hello = write_file(&profile, &b"hello"[..], &mut |_, _| Ok(())).unwrap().into();
        let mut builder = DirectoryBuilder::new(&profile);
        for i in 0..number(&case, "count") {
            builder.add(&format!("{}{i:06}", text(&case, "prefix")), hello).unwrap();
        }
        let mut blocks = Blocks::default();
        let root = builder.finish(&mut |cid, data| blocks.take(cid, data)).unwrap();
        assert_eq!(blocks.nodes, number(&case, "blocks"), "{case}");
        blocks.check_root(&case, root);
    }
}

#[test]
fn content_defined_chunks() {
    for case in cases("chunks") {
        let spec: ChunkerSpec = text(&case, "chunker").parse().unwrap();
        let data = match case.get("zeros") {
            Some(_) => vec![0; number(&case, "zeros")],
            None => content(&case),
        };
        let (mut chunker, mut chunk, mut lengths) = (spec.over(&data[..]), Vec::new(), Vec::new());
        while chunker.next_chunk(&mut chunk).unwrap() {
            lengths.push(Value::from(chunk.len() as i64));
        }
        assert_eq!(Value::from(lengths), case["lengths"], "{} {}", spec, data.len());
    }
}
