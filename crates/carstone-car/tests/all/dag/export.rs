//! DAGs written as CARs, and CARs of which some blocks are kept.

use carstone_car::dag::{
    CidFilter, DagErrorKind, ExportOptions, Selector, WalkOptions, export, export_to, filter,
    filter_to, measure,
};
use carstone_car::{CarReader, CarWriter, Cid, cid_of, codec, hash_code, multihash_of};

use super::{Store, blocks, cids, leaf, node, roots};
use crate::sources::{Sink, car, raw};

fn tree() -> (Store, Cid, Vec<Cid>) {
    let mut store = Store::new();
    let inline = Cid::new_v1(codec::RAW, multihash_of(hash_code::IDENTITY, b"in").expect("short"));
    let [a, b] = [&[1; 300][..], b"b"].map(|data| leaf(&mut store, data));
    let left = node(&mut store, codec::DAG_PB, &[a, b]);
    let right = node(&mut store, codec::DAG_CBOR, &[b, inline, left]);
    let root = node(&mut store, codec::DAG_JSON, &[left, right]);
    leaf(&mut store, b"stray");
    (store, root, vec![root, left, a, b, right])
}

fn options() -> ExportOptions {
    ExportOptions::default()
}

#[test]
fn a_dag_is_written_in_the_order_of_the_walk() {
    let (store, root, order) = tree();
    let (car, done) = export(&store, &[root], Vec::new(), &options()).expect("written");
    assert_eq!((roots(&car), cids(&car)), (vec![root], order));
    assert_eq!((done.blocks, done.len, done.missing), (5, car.len() as u64, 0));
    let measured = measure(&store, &[root], &options()).expect("measured");
    assert_eq!(measured, done);
    let again = export(&store, &[root], Vec::new(), &options()).expect("written").0;
    assert_eq!(again, car);
}

#[test]
fn inline_blocks_and_repeated_ones_are_written_when_asked_for() {
    let (store, root, order) = tree();
    let inline = options().write_inline(true);
    let (car, _) = export(&store, &[root], Vec::new(), &inline).expect("written");
    assert_eq!(cids(&car).len(), order.len() + 1);
    let every = options().walk(WalkOptions::default().duplicates(true));
    let (car, done) = export(&store, &[root], Vec::new(), &every).expect("written");
    let [root, left, a, b, right] = order[..] else { panic!("five blocks") };
    assert_eq!(cids(&car), [root, left, a, b, right, b, left, a, b]);
    assert_eq!(done.len, measure(&store, &[root], &every).expect("measured").len);
}

#[test]
fn a_part_is_written_that_a_selector_names() {
    let (store, root, order) = tree();
    let first = Selector::parse(br#"{"i":{"i":0,">":{".":{}}}}"#).expect("a selector");
    let options = options().walk(WalkOptions::default().selector(first));
    let (car, _) = export(&store, &[root], Vec::new(), &options).expect("written");
    assert_eq!(cids(&car), order[..2]);
}

#[test]
fn a_missing_block_is_an_error_unless_it_may_be_skipped() {
    let (mut store, root, order) = tree();
    store.remove(&order[1]);
    let error = export(&store, &[root], Vec::new(), &options()).expect_err("missing");
    assert!(matches!(error.kind(), DagErrorKind::Missing));
    let skipping = options().skip_missing(true);
    let (car, done) = export(&store, &[root], Vec::new(), &skipping).expect("written");
    assert_eq!((cids(&car), done.missing), (vec![root, order[4], order[3]], 1));
}

#[test]
fn a_failing_sink_is_an_error_of_the_car() {
    let (store, root, _) = tree();
    for room in [0, 70, 200] {
        let error = export(&store, &[root], Sink::new(10, room), &options()).expect_err("full");
        assert!(matches!(error.kind(), DagErrorKind::Car(_)), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
    let full = |_: &Cid, _: &[u8]| Err(carstone_car::verify(&root, b"").expect_err("other"));
    assert!(export_to(&store, &[root], &options(), full).is_err());
}

#[test]
fn a_filter_keeps_or_removes_what_it_lists() {
    let all = [raw(b"one"), raw(b"two"), raw(b"three"), raw(b"one")];
    let [one, two, three, _] = [0, 1, 2, 3].map(|at: usize| all[at].cid);
    let file = car(&[one, two], &all);
    let run = |filter_by: CidFilter| {
        let mut reader = CarReader::open(&file[..]).expect("a header");
        filter(&mut reader, &filter_by, Vec::new(), Default::default()).expect("written")
    };
    let (kept, done) = run(CidFilter::keep([one]));
    assert_eq!((roots(&kept), cids(&kept)), (vec![one], vec![one, one]));
    assert_eq!((done.kept, done.removed, done.roots), (2, 2, 1));
    let (kept, done) = run(CidFilter::remove([one]));
    assert_eq!((roots(&kept), cids(&kept)), (vec![two], vec![two, three]));
    assert_eq!((done.kept, done.removed, done.roots), (2, 2, 1));

    let twin = Cid::new_v1(codec::DAG_CBOR, *one.hash());
    assert_eq!(blocks(&run(CidFilter::keep([twin])).0).len(), 0);
    let by_hash = CidFilter::keep([]).and_multihashes([*twin.hash()]);
    assert_eq!(cids(&run(by_hash).0), [one, one]);

    let mut writer = CarWriter::append(Vec::new(), 0);
    let mut reader = CarReader::open(&file[..]).expect("a header");
    let done = filter_to(&mut reader, &CidFilter::remove([two]), |cid, data| {
        writer.write_block(cid, data).map(drop)
    });
    assert_eq!((done.expect("written").kept, cid_of(codec::RAW, b"two")), (3, two));
}
