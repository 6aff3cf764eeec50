//! Pages that share their children: they make more ways than anybody can go.

use carstone_car::{CarWriter, cid_of};
use carstone_layer::PackId;

use super::PackReader;
use crate::error::ErrorKind;
use crate::record::{DAG_CBOR, LeafIndex, LeafManifest, ParentIndex, ParentManifest, RAW, Tail};

const PACK: PackId = PackId::from_bytes([7; 16]);

/// A pack whose manifest and index are towers: each page but the lowest names the one below it many times.
fn towers() -> (Vec<u8>, u64) {
    let mut car = CarWriter::new(Vec::new(), &[]).expect("memory");
    let mut put = |record: Vec<u8>| {
        let cid = cid_of(DAG_CBOR, &record);
        car.danger_write_unverified(&cid, &record).expect("memory").offset
    };
    let (mut manifest, mut index) =
        (put(LeafManifest::new().encode(&PACK)), put(LeafIndex::new(1, 8).encode(&PACK)));
    for level in 1..=15 {
        let (mut parent, mut other) = (ParentManifest::new(), ParentIndex::new(1, 8));
        for n in 0..100 {
            parent.push(&[b'a', n], manifest);
            other.push(&[n], index);
        }
        manifest = put(parent.encode(&PACK, level));
        index = put(other.encode(&PACK, level));
    }
    let roots = vec![cid_of(RAW, b"")];
    let tail = Tail { roots, manifest, index, entries: 0, blocks: 0, size: 0 };
    let at = put(tail.encode(&PACK));
    (car.finish().expect("memory"), at)
}

#[test]
fn a_page_with_two_parents_is_an_error_and_not_an_endless_walk() {
    let (bytes, tail) = towers();
    let reader = PackReader::open(&bytes, PACK, tail).expect("a tail record");
    let is_shared =
        |kind: &ErrorKind| matches!(kind, ErrorKind::BadRecord("a page has more than one parent"));
    let first = reader.entries().next().expect("a page that is read twice");
    assert!(is_shared(first.expect_err("no tree").kind()));
    assert!(reader.entries_within(b"b").next().is_none(), "one way is enough for one place");
    // Digests of the identity function are what one wants them to be.
    let cid = cid_of(RAW, b"not there");
    assert!(reader.locate(&cid).map_or_else(|error| is_shared(error.kind()), |at| at.is_none()));
    let mut findings = Vec::new();
    reader.verify(&mut |_| {}, &mut |found| findings.push(found.error)).expect("memory");
    assert!(findings.iter().filter(|error| is_shared(error.kind())).count() >= 2);
    assert!(reader.find(b"a").is_ok_and(|found| found.is_none()));
}
