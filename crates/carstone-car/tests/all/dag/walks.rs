//! Which blocks a walk visits, in which order, and what stops it.

use std::cell::Cell;
use std::io;

use carstone_car::dag::{
    Budget, DagError, DagErrorKind, NodeLimits, Visit, Walk, WalkLimits, WalkOptions,
    blocks_from_fn, check_complete, implicit_roots,
};
use carstone_car::{CarReader, Cid, ErrorKind, IndexedCar, cid_of, codec, hash_code, multihash_of};

use super::{Store, encode, leaf, node, put};
use crate::sources::car;

/// Two roads to one leaf: the root has `left`, `right` and `left` again.
fn diamond() -> (Store, [Cid; 4]) {
    let mut store = Store::new();
    let end = leaf(&mut store, b"end");
    let left = node(&mut store, codec::DAG_PB, &[end]);
    let right = node(&mut store, codec::DAG_CBOR, &[end, left]);
    let root = node(&mut store, codec::DAG_JSON, &[left, right, left]);
    (store, [root, left, right, end])
}

fn walk<'b>(store: &'b Store, root: &Cid, options: WalkOptions) -> Walk<'b, Store> {
    Walk::new(store, &[*root], options)
}

fn visited(store: &Store, root: &Cid, options: WalkOptions) -> Vec<Cid> {
    walk(store, root, options).map(|visit| visit.expect("a block").cid).collect()
}

fn limited(limits: WalkLimits) -> WalkOptions {
    WalkOptions::default().limits(limits)
}

/// The blocks up to an error, and that.
fn until_error(walk: Walk<'_, Store>) -> (usize, DagError) {
    let mut walk = walk;
    let mut count = 0;
    let error = loop {
        match walk.next().expect("an error before the end") {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    if !error.is_block_error() {
        assert!(walk.next().is_none(), "the walk has ended");
    }
    (count, error)
}

#[track_caller]
fn check_budget(limits: WalkLimits, budget: Budget, limit: u64, blocks: usize) {
    let (store, [root, ..]) = diamond();
    let (count, error) = until_error(walk(&store, &root, limited(limits)));
    let DagErrorKind::OverBudget { budget: found, limit: at, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*found, *at, count), (budget, limit, blocks), "{error}");
}

#[test]
fn blocks_come_before_what_they_link_to_and_once() {
    let (store, [root, left, right, end]) = diamond();
    assert_eq!(visited(&store, &root, WalkOptions::default()), [root, left, end, right]);
    let every = WalkOptions::default().duplicates(true);
    assert_eq!(visited(&store, &root, every), [root, left, end, right, end, left, end, left, end]);
}

#[test]
fn a_visit_says_on_which_way_it_is() {
    let (store, [root, left, right, end]) = diamond();
    let mut walk = walk(&store, &root, WalkOptions::default().duplicates(true));
    let mut ways = Vec::new();
    while let Some(visit) = walk.next() {
        let visit = visit.expect("a block");
        let above: Vec<_> = walk.ancestors().copied().collect();
        assert_eq!(above.len(), visit.depth);
        ways.push((walk.path(), above));
    }
    assert_eq!(ways[0], (vec![0], vec![]));
    assert_eq!(ways[2], (vec![0, 0, 0], vec![root, left]));
    assert_eq!(ways[4], (vec![0, 1, 0], vec![root, right]));
    assert_eq!(ways[6], (vec![0, 1, 1, 0], vec![root, right, left]));
    assert_eq!(ways[8], (vec![0, 2, 0], vec![root, left]));
    assert_eq!(walk.visited(), 9);
    assert_eq!(store[&end].len(), 3);
}

#[test]
fn every_budget_ends_the_walk_with_its_name() {
    let limits = WalkLimits::default();
    check_budget(limits.blocks(2), Budget::Blocks, 2, 2);
    let (store, [root, left, ..]) = diamond();
    let bytes = (store[&root].len() + store[&left].len()) as u64;
    check_budget(limits.bytes(bytes), Budget::Bytes, bytes, 2);
    check_budget(limits.depth(1), Budget::Depth, 1, 1);
    check_budget(limits.waiting(2), Budget::Waiting, 2, 0);
    check_budget(limits.seen(3), Budget::Seen, 3, 3);
    let enough = limits.blocks(4).depth(2).waiting(4).seen(4);
    assert_eq!(visited(&store, &root, limited(enough)).len(), 4);
}

#[test]
fn a_dag_with_more_paths_than_time_is_stopped_or_gone_through_once() {
    let mut store = Store::new();
    let mut top = leaf(&mut store, b"bottom");
    for _ in 0..60 {
        top = node(&mut store, codec::DAG_CBOR, &[top, top]);
    }
    assert_eq!(visited(&store, &top, WalkOptions::default()).len(), 61);
    let every = limited(WalkLimits::default().blocks(10_000)).duplicates(true);
    let (count, error) = until_error(walk(&store, &top, every));
    assert_eq!(
        (count, error.to_string()),
        (
            10_000,
            format!(
                "more than 10000 blocks in the DAG of {}, linked by {}",
                error.cid().expect("a CID"),
                error.parent().expect("a CID")
            )
        )
    );
}

#[test]
fn a_long_chain_is_followed_without_recursion() {
    let mut store = Store::new();
    let mut top = leaf(&mut store, b"bottom");
    for _ in 0..20_000 {
        top = node(&mut store, codec::DAG_CBOR, &[top]);
    }
    assert_eq!(visited(&store, &top, WalkOptions::default()).len(), 20_001);
}

#[test]
fn a_missing_block_is_told_with_its_parent_and_way_and_the_walk_goes_on() {
    let (mut store, [root, left, right, end]) = diamond();
    store.remove(&left);
    let mut walk = walk(&store, &root, WalkOptions::default());
    let found: Vec<_> = walk.by_ref().map(|visit| visit.map(|visit| visit.cid)).collect();
    let [Ok(first), Err(error), Ok(third), Ok(fourth)] = &found[..] else { panic!("{found:?}") };
    assert_eq!([first, third, fourth], [&root, &right, &end]);
    assert!(matches!(error.kind(), DagErrorKind::Missing) && error.is_block_error());
    assert_eq!((error.cid(), error.parent()), (Some(&left), Some(&root)));
    assert_eq!(error.path(), [0, 0]);
    assert_eq!(error.to_string(), format!("missing block of {left}, linked by {root}"));
    let kinds =
        found.into_iter().filter_map(Result::err).map(|error| io::Error::from(error).kind());
    assert_eq!(kinds.collect::<Vec<_>>(), [io::ErrorKind::NotFound]);
}

#[test]
fn malformed_and_unknown_blocks_are_told_and_the_walk_goes_on() {
    let mut store = Store::new();
    let bad = put(&mut store, codec::DAG_CBOR, vec![0x9f, 0xff]);
    let key = put(&mut store, 0x72, b"key".to_vec());
    let end = leaf(&mut store, b"end");
    let root = node(&mut store, codec::DAG_PB, &[bad, key, end]);
    let found: Vec<_> = walk(&store, &root, WalkOptions::default()).collect();
    let [Ok(_), Err(first), Err(second), Ok(last)] = &found[..] else { panic!("{found:?}") };
    assert!(matches!(first.kind(), DagErrorKind::BadNode { codec: 0x71, .. }));
    assert_eq!((first.cid(), first.offset(), first.path()), (Some(&bad), Some(0), &[0, 0][..]));
    assert!(matches!(second.kind(), DagErrorKind::UnknownCodec(0x72)));
    assert_eq!(last.cid, end);

    let leaves = WalkOptions::default().unknown_is_leaf(true);
    let found: Vec<_> = walk(&store, &root, leaves).collect();
    let [Ok(_), Err(_), Ok(opaque), Ok(_)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((opaque.cid, opaque.links_known), (key, false));

    let few = limited(WalkLimits::default().node(NodeLimits::default().links(2)));
    let (_, error) = until_error(walk(&store, &root, few));
    assert!(error.is_block_error(), "{error}");
}

#[test]
fn blocks_in_identity_cids_are_visited_and_not_asked_for() {
    let end = Cid::new_v1(codec::RAW, multihash_of(hash_code::IDENTITY, b"end").expect("short"));
    let data = encode(codec::DAG_CBOR, &[end]);
    let hash = multihash_of(hash_code::IDENTITY, &data).expect("short");
    let root = Cid::new_v1(codec::DAG_CBOR, hash);
    let empty = Store::new();
    let found: Vec<Visit> =
        walk(&empty, &root, WalkOptions::default()).map(|visit| visit.expect("inline")).collect();
    assert_eq!(found.iter().map(|visit| visit.cid).collect::<Vec<_>>(), [root, end]);
    assert!(found.iter().all(Visit::is_inline));
    assert_eq!(found[1].data.as_deref(), Some(&b"end"[..]));
}

#[test]
fn leaves_can_be_left_where_they_are() {
    let (store, [root, .., end]) = diamond();
    let read = Cell::new(0);
    let blocks = blocks_from_fn(|cid| {
        read.set(read.get() + u32::from(*cid == end));
        Ok(store.get(cid).cloned())
    });
    let options = WalkOptions::default().leave_leaves(true);
    let found: Vec<_> = Walk::new(&blocks, &[root], options).flatten().collect();
    let leaf = found.iter().find(|visit| visit.cid == end).expect("visited");
    assert_eq!((leaf.data.is_none(), leaf.len), (true, 3));
}

#[test]
fn a_failing_source_ends_the_walk_and_damage_does_not() {
    let (store, [root, left, ..]) = diamond();
    let blocks = |fault: fn(&Cid) -> io::Error| {
        let store = store.clone();
        blocks_from_fn(move |cid| match *cid == left {
            true => Err(fault(cid)),
            false => Ok(store.get(cid).cloned()),
        })
    };
    let failing = blocks(|_| io::Error::other("no disk"));
    let found: Vec<_> = Walk::new(&failing, &[root], WalkOptions::default()).collect();
    assert_eq!(found.len(), 2);
    let error = found[1].as_ref().expect_err("the source failed");
    let DagErrorKind::Car(cause) = error.kind() else { panic!("{error}") };
    assert!(matches!(cause.kind(), ErrorKind::Io(_)));
    let damaged = blocks(|cid| carstone_car::verify(cid, b"other").expect_err("other").into());
    let found: Vec<_> = Walk::new(&damaged, &[root], WalkOptions::default()).collect();
    assert_eq!((found.len(), found.iter().filter(|visit| visit.is_err()).count()), (4, 1));
}

#[test]
fn what_is_missing_and_what_nothing_leads_to_is_found_in_a_car() {
    let (mut store, [root, left, right, end]) = diamond();
    let stray = leaf(&mut store, b"stray");
    let gone = leaf(&mut store, b"gone");
    let top = node(&mut store, codec::DAG_CBOR, &[root, gone, gone]);
    store.remove(&gone);
    let blocks: Vec<_> = [end, stray, left, right, root, top]
        .map(|cid| carstone_car::Block { cid, data: store[&cid].clone() })
        .into();
    let file = car(&[top], &blocks);
    let indexed = IndexedCar::open(&file[..]).expect("a header");
    let found = check_complete(&indexed, &[top], &WalkOptions::default(), 10).expect("read");
    assert!(!found.is_complete());
    assert_eq!((found.blocks, found.missing, found.unusable, found.faults.len()), (5, 1, 0, 1));
    assert_eq!((found.faults[0].cid(), found.faults[0].path()), (Some(&gone), &[0, 1][..]));
    let stored = CarReader::open(&file[..]).expect("a header").into_cids();
    let left_over: Vec<_> =
        stored.map(|cid| cid.expect("a CID")).filter(|cid| !found.is_reached(cid)).collect();
    assert_eq!(left_over, [stray]);
    let all = check_complete(&indexed, &[root], &WalkOptions::default(), 10).expect("read");
    assert!(all.is_complete());
    let none = check_complete(&indexed, &[top], &WalkOptions::default(), 0).expect("read");
    assert_eq!((none.missing, none.faults.len()), (1, 0));

    let mut reader = CarReader::open(&file[..]).expect("a header");
    let roots = implicit_roots(&mut reader, &WalkLimits::default()).expect("read");
    assert_eq!(roots, [stray, top]);
}

#[test]
fn a_block_of_a_damaged_car_is_unusable_and_not_missing() {
    let (store, [root, left, right, end]) = diamond();
    let blocks: Vec<_> = [root, left, right, end]
        .map(|cid| carstone_car::Block { cid, data: store[&cid].clone() })
        .into();
    let mut file = car(&[root], &blocks);
    let cid = left.to_bytes();
    let at = file.windows(cid.len()).position(|bytes| bytes == cid).expect("its section");
    file[at + 40] ^= 1; // In the data of `left`.
    let indexed = IndexedCar::open(&file[..]).expect("a header");
    let found = check_complete(&indexed, &[root], &WalkOptions::default(), 10).expect("read");
    assert_eq!((found.missing, found.unusable), (0, 1), "{:?}", found.faults);
    assert_eq!(found.faults[0].cid(), Some(&left));
    assert_eq!(cid_of(codec::RAW, b"end"), end);
}
