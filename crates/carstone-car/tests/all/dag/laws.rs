//! What holds for all DAGs.

use std::collections::{BTreeSet, HashSet};

use carstone_car::dag::{
    ExportOptions, JoinOptions, NodeLimits, Selector, SplitOptions, Walk, WalkLimits, WalkOptions,
    check_complete, export, links, split_dag,
};
use carstone_car::{Cid, cid_of, codec};
use proptest::prelude::*;

use super::splits::{Kept, is_a_dag, joined, simple, treewalk};
use super::{Store, cids, leaf, node, roots};

const CODECS: [u64; 3] = [codec::DAG_PB, codec::DAG_CBOR, codec::DAG_JSON];

/// A DAG: leaves, then nodes that link to any of what stands before them. The last one is the root.
fn dag() -> impl Strategy<Value = (Store, Vec<Cid>)> {
    let leaves = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..8);
    let links = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    let nodes = prop::collection::vec((prop::sample::select(&CODECS[..]), links), 1..12);
    (leaves, nodes).prop_map(|(leaves, nodes)| {
        let mut store = Store::new();
        let mut all: Vec<Cid> = leaves.iter().map(|data| leaf(&mut store, data)).collect();
        for (codec, links) in nodes {
            let links: Vec<_> = links.iter().map(|at| all[at.index(all.len())]).collect();
            let cid = node(&mut store, codec, &links);
            all.push(cid);
        }
        (store, all)
    })
}

/// The order of a walk, by recursion.
fn model(store: &Store, cid: &Cid, seen: &mut Option<HashSet<Cid>>, order: &mut Vec<Cid>) {
    if seen.as_mut().is_some_and(|seen| !seen.insert(*cid)) || order.len() > 5000 {
        return;
    }
    order.push(*cid);
    let Some(data) = store.get(cid) else { return };
    for link in links(cid, data, &NodeLimits::default()).expect("sound") {
        model(store, &link, seen, order);
    }
}

fn visited(store: &Store, root: &Cid, options: WalkOptions) -> Vec<Cid> {
    let walk = Walk::new(store, &[*root], options);
    walk.take(5000).map(|visit| visit.expect("a block").cid).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_is_what_recursion_does((store, all) in dag()) {
        let root = all.last().expect("a node");
        let (mut once, mut every) = (Vec::new(), Vec::new());
        model(&store, root, &mut Some(HashSet::new()), &mut once);
        model(&store, root, &mut None, &mut every);
        prop_assert_eq!(&visited(&store, root, WalkOptions::default()), &once);
        every.truncate(5000);
        prop_assert_eq!(visited(&store, root, WalkOptions::default().duplicates(true)), every);
        let by_selector = WalkOptions::default().selector(Selector::all());
        prop_assert_eq!(visited(&store, root, by_selector), once);
    }

    #[test]
    fn budgets_hold((store, all) in dag(), blocks in 0..10_u64, bytes in 0..400_u64, depth in 0..4_usize) {
        let root = all.last().expect("a node");
        let limits = WalkLimits::default().blocks(blocks).bytes(bytes).depth(depth);
        let mut walk = Walk::new(&store, std::slice::from_ref(root), WalkOptions::default().limits(limits));
        let mut total = 0;
        while let Some(visit) = walk.next() {
            let Ok(visit) = visit else { break };
            total += visit.len;
            prop_assert!(visit.depth <= depth);
            prop_assert!(walk.visited() <= blocks && total <= bytes);
        }
        prop_assert!(walk.next().is_none());
    }

    #[test]
    fn simple_parts_are_joined_to_the_same_car((store, all) in dag(), len in 200..2000_u64) {
        let root = all.last().expect("a node");
        let every = ExportOptions::default().walk(WalkOptions::default().duplicates(true));
        let few = every.walk.limits.blocks(60);
        let every = every.clone().walk(every.walk.clone().limits(few));
        let Ok((car, _)) = export(&store, &[*root], Vec::new(), &every) else { return Ok(()) };
        let largest = car.len() as u64;
        let (parts, done) = simple(&car, len.max(600));
        prop_assert_eq!(parts.len() as u64, done.parts);
        prop_assert!(parts.iter().all(|part| part.len() as u64 <= len.max(600)));
        prop_assert_eq!(&joined(&parts, JoinOptions::default().duplicates(true)), &car);
        prop_assert_eq!(simple(&car, largest).0, [car]);
    }

    #[test]
    fn parts_of_a_tree_are_dags_and_are_joined_to_the_whole(
        (store, all) in dag(),
        more in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        len in 100..3000_u64,
    ) {
        let mut tops = vec![*all.last().expect("a node")];
        tops.extend(more.iter().map(|at| all[at.index(all.len())]));
        let walk = WalkOptions::default();
        let mut parts = Kept::default();
        if split_dag(&store, &tops, &mut parts, &walk, SplitOptions::new(len)).is_err() {
            return Ok(()); // Too small for some way.
        }
        prop_assert!(parts.0.iter().all(|part| part.len() as u64 <= len && is_a_dag(part)));
        prop_assert!(parts.0.iter().all(|part| roots(part).len() == 1));
        let mut seen = HashSet::new();
        tops.retain(|root| seen.insert(*root));
        let whole = export(&store, &tops, Vec::new(), &ExportOptions::default()).expect("written").0;
        prop_assert_eq!(joined(&parts.0, JoinOptions::default()), whole);
    }

    #[test]
    fn what_is_missing_is_what_the_walk_lacks((mut store, all) in dag(), gone in any::<prop::sample::Index>()) {
        let root = all.last().expect("a node");
        let mut order = Vec::new();
        model(&store, root, &mut Some(HashSet::new()), &mut order);
        let gone = all[gone.index(all.len())];
        store.remove(&gone);
        let found = check_complete(&store, &[*root], &WalkOptions::default(), 10).expect("read");
        prop_assert_eq!(found.is_complete(), !order.contains(&gone));
        prop_assert!(found.faults.iter().all(|fault| fault.cid() == Some(&gone)));
        let mut reached = Vec::new();
        model(&store, root, &mut Some(HashSet::new()), &mut reached);
        let reached: BTreeSet<_> = reached.into_iter().filter(|cid| *cid != gone).collect();
        prop_assert_eq!(found.blocks, reached.len() as u64);
        prop_assert!(reached.iter().all(|cid| found.is_reached(cid)));
    }

    #[test]
    fn any_bytes_are_taken_for_nodes_without_panic(
        codec in prop::sample::select(&[0x70, 0x71, 0x0129, 0x55, 0x51, 0x0200, 0x72][..]),
        data in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let cid = cid_of(codec, &data);
        let limits = NodeLimits::default().nesting(16).values(100).links(5);
        if let Ok(links) = links(&cid, &data, &limits) {
            prop_assert!(links.len() <= 5);
        }
        let store = Store::from([(cid, data)]);
        for options in [WalkOptions::default(), WalkOptions::default().selector(Selector::all())] {
            prop_assert!(Walk::new(&store, &[cid], options).count() >= 1);
        }
    }

    #[test]
    fn changed_nodes_are_read_without_panic(
        (store, all) in dag(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (cid, data) in &store {
            let mut data = data.clone();
            for (at, value) in changes.iter().filter(|_| !store[cid].is_empty()) {
                let at = at.index(data.len());
                data[at] = *value;
            }
            let _ = links(cid, &data, &NodeLimits::default());
        }
        prop_assert!(!all.is_empty());
    }

    #[test]
    fn any_text_is_taken_for_a_selector_without_panic(
        parts in prop::collection::vec(
            prop::sample::select(&["{", "}", "[", "]", ":", ",", "\"a\"", "\">\"", "\"R\"", "\":>\"", "\"l\"",
                "\"none\"", "\"depth\"", "\"@\"", "\".\"", "\"|\"", "\"f\"", "\"f>\"", "\"i\"", "1", "0", "\"r\"", "\"^\"", "\"$\""][..]),
            0..30,
        ),
        junk in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let _ = Selector::parse(parts.concat().as_bytes());
        let _ = Selector::parse(&junk);
    }

    #[test]
    fn every_length_of_parts_works_that_is_enough((store, all) in dag()) {
        let root = all.last().expect("a node");
        let (parts, done) = treewalk(&store, &[*root], u64::MAX);
        prop_assert_eq!((parts.len(), done.repeated), (1, 0));
        prop_assert_eq!(cids(&parts[0]).len() as u64, done.blocks);
    }
}
