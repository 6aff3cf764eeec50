//! CARs and DAGs cut into CARs of limited size, and put together again.

use std::collections::HashSet;
use std::io;

use carstone_car::dag::{
    DagErrorKind, ExportOptions, JoinOptions, Parts, Split, SplitOptions, WalkOptions, export,
    join, joined_roots, no_root, split, split_dag,
};
use carstone_car::{CarReader, Cid, codec};

use super::{Store, blocks, cids, leaf, node, roots};
use crate::sources::{car, raw};

/// Parts that are kept in memory.
#[derive(Default)]
pub struct Kept(pub Vec<Vec<u8>>);

impl Parts for Kept {
    type Sink = Vec<u8>;

    fn open(&mut self, number: u64) -> io::Result<Vec<u8>> {
        assert_eq!(number, self.0.len() as u64);
        Ok(Vec::new())
    }

    fn close(&mut self, number: u64, part: Vec<u8>) -> io::Result<()> {
        assert_eq!(number, self.0.len() as u64);
        self.0.push(part);
        Ok(())
    }
}

pub fn simple(car: &[u8], len: u64) -> (Vec<Vec<u8>>, Split) {
    let mut parts = Kept::default();
    let mut reader = CarReader::open(car).expect("a header");
    let done = split(&mut reader, &mut parts, SplitOptions::new(len)).expect("split");
    (parts.0, done)
}

pub fn treewalk(store: &Store, roots: &[Cid], len: u64) -> (Vec<Vec<u8>>, Split) {
    let mut parts = Kept::default();
    let (walk, options) = (WalkOptions::default(), SplitOptions::new(len));
    let done = split_dag(store, roots, &mut parts, &walk, options).expect("split");
    (parts.0, done)
}

pub fn joined(parts: &[Vec<u8>], options: JoinOptions) -> Vec<u8> {
    let heads: Vec<_> = parts.iter().map(|part| roots(part)).collect();
    let roots = joined_roots(heads.iter().map(|roots| &roots[..]));
    let readers = parts.iter().map(|part| CarReader::open(&part[..]));
    let (car, done) = join(&roots, readers, Vec::new(), options).expect("joined");
    assert_eq!((done.cars, done.len), (parts.len() as u64, car.len() as u64));
    car
}

/// Whether every block of a part can be reached from its root inside of it.
pub fn is_a_dag(part: &[u8]) -> bool {
    let store: Store = blocks(part).into_iter().map(|block| (block.cid, block.data)).collect();
    let options = ExportOptions::default().skip_missing(true);
    let (reached, _) = export(&store, &roots(part), Vec::new(), &options).expect("written");
    let all: HashSet<_> = cids(part).into_iter().collect();
    all.len() == cids(part).len() && all == cids(&reached).into_iter().collect()
}

/// Three levels: a root of four nodes of four leaves each, of 100 bytes.
fn tree() -> (Store, Cid) {
    let mut store = Store::new();
    let nodes: Vec<_> = (0..4_u8)
        .map(|n| {
            let leaves: Vec<_> = (0..4_u8).map(|m| leaf(&mut store, &[n * 4 + m; 100])).collect();
            node(&mut store, codec::DAG_CBOR, &leaves)
        })
        .collect();
    let root = node(&mut store, codec::DAG_PB, &nodes);
    (store, root)
}

#[test]
fn the_simple_parts_are_the_car_in_pieces() {
    let all = [raw(&[1; 50]), raw(&[2; 50]), raw(&[1; 50]), raw(&[3; 50])];
    let file = car(&[all[0].cid, all[3].cid], &all);
    let (parts, done) = simple(&file, 275);
    assert_eq!((done.parts, done.blocks, done.repeated), (2, 4, 0));
    assert_eq!(roots(&parts[0]), [all[0].cid, all[3].cid]);
    assert_eq!((roots(&parts[1]), no_root().to_string()), (vec![no_root()], "bafkqaaa".into()));
    assert!(parts.iter().all(|part| part.len() <= 275));
    assert_eq!(joined(&parts, JoinOptions::default().duplicates(true)), file);
    assert_eq!(blocks(&joined(&parts, JoinOptions::default())).len(), 3);
}

#[test]
fn a_car_without_blocks_is_one_part() {
    for roots in [vec![], vec![no_root()], vec![raw(b"x").cid]] {
        let file = car(&roots, &[]);
        let (parts, done) = simple(&file, 1000);
        assert_eq!((parts, done.parts), (vec![file], 1));
    }
    let (parts, done) = treewalk(&Store::new(), &[], 1000);
    assert_eq!((parts, done.parts), (vec![car(&[], &[])], 1));
}

#[test]
fn a_block_that_no_part_has_room_for_is_an_error() {
    let file = car(&[], &[raw(&[1; 50]), raw(&[2; 500])]);
    let mut reader = CarReader::open(&file[..]).expect("a header");
    let options = SplitOptions::new(300);
    let error = split(&mut reader, &mut Kept::default(), options).expect_err("too large");
    assert!(matches!(error.kind(), DagErrorKind::PartTooSmall { limit: 300, .. }), "{error}");
    assert_eq!(error.cid(), Some(&raw(&[2; 500]).cid));

    let (store, root) = tree();
    let walk = WalkOptions::default();
    let least = {
        let fits = |len| {
            let options = SplitOptions::new(len);
            split_dag(&store, &[root], &mut Kept::default(), &walk, options).is_ok()
        };
        (0..2000).find(|&len| fits(len)).expect("some length is enough")
    };
    let (parts, _) = treewalk(&store, &[root], least);
    assert_eq!(parts.iter().map(Vec::len).max(), Some(least as usize));
}

#[test]
fn every_part_of_a_tree_has_the_root_and_the_way_to_its_blocks() {
    let (store, root) = tree();
    let (parts, done) = treewalk(&store, &[root], 900);
    assert!(parts.len() > 2 && done.repeated >= parts.len() as u64 - 1);
    assert_eq!(done.blocks, 21);
    for part in &parts {
        assert!(part.len() <= 900);
        assert_eq!((roots(part), cids(part)[0]), (vec![root], root));
        assert!(is_a_dag(part));
    }
    let whole = export(&store, &[root], Vec::new(), &ExportOptions::default()).expect("written").0;
    assert_eq!(joined(&parts, JoinOptions::default()), whole);
}

#[test]
fn each_root_has_parts_of_its_own() {
    let (mut store, root) = tree();
    let other = leaf(&mut store, b"other");
    let inner =
        cids(&export(&store, &[root], Vec::new(), &ExportOptions::default()).expect("ok").0)[1];
    let all = [root, inner, other, root];
    let (parts, _) = treewalk(&store, &all, 10_000);
    let heads: Vec<_> = parts.iter().map(|part| roots(part)).collect();
    assert_eq!(heads, [vec![root], vec![inner], vec![other]]);
    assert_eq!([1, 2].map(|at: usize| cids(&parts[at])), [[inner], [other]]);
    assert!(parts.iter().all(|part| is_a_dag(part)));
    assert_eq!(roots(&joined(&parts, JoinOptions::default())), [root, inner, other]);
    let (last, _) = treewalk(&store, &[root, inner], 10_000);
    assert_eq!(last.len(), 2);
}

#[test]
fn a_missing_block_stops_a_split_unless_it_may_be_skipped() {
    let (mut store, root) = tree();
    let gone = leaf(&mut store, &[5; 100]);
    store.remove(&gone);
    let walk = WalkOptions::default();
    let run = |roots: &[Cid], options| {
        let mut parts = Kept::default();
        split_dag(&store, roots, &mut parts, &walk, options).map(|done| (parts.0, done))
    };
    let options = SplitOptions::new(900);
    let error = run(&[root], options).expect_err("missing");
    assert_eq!((matches!(error.kind(), DagErrorKind::Missing), error.cid()), (true, Some(&gone)));
    let (parts, done) = run(&[root], options.skip_missing(true)).expect("split");
    assert_eq!((done.missing, done.blocks), (1, 20));
    assert!(parts.iter().all(|part| is_a_dag(part)));
    let (parts, _) = run(&[root, gone], options.skip_missing(true)).expect("split");
    assert_eq!(roots(parts.last().expect("a part")), [gone]);
    let (parts, _) = run(&[gone, root], options.skip_missing(true)).expect("split");
    assert_eq!((roots(&parts[0]), cids(&parts[0]).len()), (vec![gone], 0));
}

#[test]
fn sinks_that_fail_are_told() {
    let file = car(&[], &[raw(b"one")]);
    let mut reader = CarReader::open(&file[..]).expect("a header");
    let mut none = |_| -> io::Result<io::Sink> { Err(io::Error::other("no room")) };
    let error = split(&mut reader, &mut none, SplitOptions::new(300)).expect_err("no sink");
    assert!(matches!(error.kind(), DagErrorKind::Car(_)));
}

#[test]
fn a_damaged_part_is_not_joined() {
    let mut file = car(&[], &[raw(b"one"), raw(b"two")]);
    let last = file.len() - 1;
    file[last] ^= 1;
    let readers = [CarReader::open(&file[..])];
    assert!(join(&[], readers, Vec::new(), JoinOptions::default()).is_err());
    let few = JoinOptions::default().seen(1);
    let file = car(&[], &[raw(b"one"), raw(b"two")]);
    let error = join(&[], [CarReader::open(&file[..])], Vec::new(), few).expect_err("budget");
    assert!(matches!(error.kind(), DagErrorKind::OverBudget { .. }));
}
