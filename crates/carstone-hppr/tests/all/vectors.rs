//! The shared test vectors, which an independent implementation made: packets, what is in them, and repositories.

mod faults;
mod packets;
mod texts;

use std::io::Read;

use carstone_hppr::{Packet, PacketReader, ParseOptions, Repository, StoreOptions};
use toml::{Table, Value};

use crate::sample::{Node, Tree, tree};

const VECTORS: &str = include_str!("../../../../tests/vectors/hppr.toml");

/// Calls `check` with each case of a table; there is at least one.
#[track_caller]
fn each(name: &str, mut check: impl FnMut(&Value)) {
    let vectors: Table = VECTORS.parse().expect("TOML");
    let cases = vectors[name].as_array().expect("a list");
    assert!(!cases.is_empty(), "{name}");
    cases.iter().for_each(&mut check);
}

/// A text, if it is there.
fn maybe<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case.get(key).map(|value| value.as_str().expect("a text"))
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    maybe(case, key).unwrap_or_else(|| panic!("no {key} in {case}"))
}

fn number(case: &Value, key: &str) -> u64 {
    case[key].as_integer().expect("a number").try_into().expect("a number from 0 on")
}

fn bytes(case: &Value, key: &str) -> Vec<u8> {
    let hex: String = text(case, key).split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn array<const N: usize>(case: &Value, key: &str) -> [u8; N] {
    bytes(case, key).try_into().expect("as many bytes")
}

/// A reader that gives a byte at a time.
struct Single<'a>(&'a [u8]);

impl Read for Single<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let some = buf.len().min(1);
        self.0.read(&mut buf[..some])
    }
}

/// The packets of a stream, however it comes.
fn stream(bytes: &[u8], options: ParseOptions) -> carstone_hppr::Result<Vec<Packet>> {
    let whole = PacketReader::with_options(bytes, options).collect();
    let single = PacketReader::with_options(Single(bytes), options).collect();
    assert_eq!(whole, single);
    whole
}

#[test]
fn stored_packets_come_to_the_same_files() {
    each("repository", |case| {
        let name = text(case, "name");
        let folder = tempfile::tempdir().expect("a folder");
        let repository = Repository::init(folder.path()).expect(name);
        for packet in stream(&bytes(case, "stream"), ParseOptions::default()).expect(name) {
            repository.store(&packet, &StoreOptions::default()).expect(name);
        }
        let mut expected = Tree::from([("detach".to_owned(), Node::Empty)]);
        for file in case["file"].as_array().expect("a list") {
            let node = match maybe(file, "target") {
                Some(target) => Node::Link(target.to_owned()),
                None => Node::File(bytes(file, "content")),
            };
            expected.insert(text(file, "path").to_owned(), node);
        }
        let found = tree(folder.path());
        let paths = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&found), paths(&expected), "{name}");
        for (path, node) in &found {
            assert!(*node == expected[path], "{name}: {path}: {node:?}");
        }
    });
}
