//! Blocks in memory by their CIDs: what is found is what a scan from front to back would find first.

use std::io::Cursor;
use std::sync::Arc;

use crate::sources::{car, hashed, raw, small};
use carstone_car::{
    Block, BlockRef, CarFileWriter, CarReader, CarSlice, Cid, ErrorKind, IndexedCar, MemoryCar,
    ReaderOptions, Section, cid_of, codec, hash_code,
};
use proptest::prelude::*;

fn wrapped(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    let mut writer = CarFileWriter::new(Cursor::new(Vec::new()), roots).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

/// The first section that a scan finds for this CID.
fn first(bytes: &[u8], cid: &Cid, whole: bool) -> Option<Section> {
    let sections = CarSlice::parse(bytes).expect("header").sections();
    let mut sections = sections.map(|section| section.expect("section"));
    sections.find(|section| match whole {
        true => section.cid == *cid,
        false => section.cid.hash() == cid.hash(),
    })
}

#[test]
fn owned_and_borrowed_bytes_of_both_versions_are_read() {
    let (bytes, blocks) = small();
    let roots = CarSlice::parse(&bytes).expect("header").roots().to_vec();
    let check = |version, car: &MemoryCar<&[u8]>| {
        assert_eq!((car.version(), car.roots(), car.len()), (version, &roots[..], blocks.len()));
        assert_eq!(car.payload(), bytes);
        assert_eq!(car.distinct(), blocks.len());
        let found: Vec<_> = car.blocks().map(|item| item.expect("block").1.to_block()).collect();
        assert_eq!(found, blocks);
        assert!(car.cids().eq(blocks.iter().map(|block| block.cid)));
        assert!(car.into_iter().count() == blocks.len() && car.cids().count() == blocks.len());
        for block in &blocks {
            let found = car.get(&block.cid).expect("sound").expect("present");
            assert_eq!(found, block.as_ref());
            assert_eq!(car.size(&block.cid), Some(block.data.len()));
            assert_eq!(car.section(&block.cid), first(&bytes, &block.cid, false));
        }
        let absent = cid_of(codec::RAW, b"absent");
        assert!(!car.has(&absent) && car.size(&absent).is_none());
        assert_eq!(car.get(&absent).expect("sound"), None);
    };
    check(1, &MemoryCar::parse(&bytes[..]).expect("v1"));
    let file = wrapped(&roots, &blocks);
    check(2, &MemoryCar::parse(&file[..]).expect("v2"));
    let shared: Arc<[u8]> = bytes.clone().into();
    let owned = MemoryCar::parse(shared).expect("v1");
    assert!(owned.has(&blocks[0].cid) && !owned.is_empty());
    assert_eq!(owned.into_inner()[..], bytes);
}

#[test]
fn data_is_not_copied() {
    let (bytes, blocks) = small();
    let car = MemoryCar::parse(&bytes[..]).expect("header");
    let range = bytes.as_ptr_range();
    for block in blocks.iter().filter(|block| !block.data.is_empty()) {
        let found = car.get(&block.cid).expect("sound").expect("present");
        assert!(range.contains(&found.data.as_ptr()));
    }
}

#[test]
fn the_first_of_duplicates_counts() {
    let one = raw(b"one");
    let other =
        Block { cid: Cid::new_v1(codec::DAG_CBOR, *one.cid.hash()), data: one.data.clone() };
    let bytes = car(&[], &[raw(b"x"), one.clone(), other.clone(), one.clone(), other.clone()]);
    let car = MemoryCar::parse(&bytes[..]).expect("header");
    assert_eq!((car.len(), car.distinct()), (5, 2));
    let offset = |car: &MemoryCar<&[u8]>, cid| car.section(cid).expect("present").offset;
    let firsts: Vec<_> = car.sections().map(|section| section.offset).collect();
    assert_eq!((offset(&car, &one.cid), offset(&car, &other.cid)), (firsts[1], firsts[1]));
    assert_eq!(car.get(&other.cid).expect("sound").expect("present").cid, one.cid);

    let whole = car.whole_cids(true);
    assert_eq!((whole.len(), whole.distinct()), (5, 3));
    assert_eq!((offset(&whole, &one.cid), offset(&whole, &other.cid)), (firsts[1], firsts[2]));
    assert!(!whole.has(&Cid::new_v1(codec::DAG_PB, *one.cid.hash())));
    assert_eq!(whole.whole_cids(false).distinct(), 2);
}

#[test]
fn a_bad_block_is_there_and_is_not_handed_out() {
    let mut bytes = car(&[], &[raw(b"one"), raw(b"two")]);
    *bytes.last_mut().expect("not empty") ^= 1;
    let car = MemoryCar::parse(&bytes[..]).expect("header");
    let cid = raw(b"two").cid;
    assert!(car.has(&cid));
    let error = car.get(&cid).expect_err("damaged");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
    assert_eq!(error.offset(), car.section(&cid).map(|section| section.offset));
    let options = ReaderOptions::default().danger_skip_verification();
    let car = MemoryCar::with_options(&bytes[..], options).expect("header");
    assert_eq!(car.get(&cid).expect("unverified").expect("present").data, b"twn");
}

#[test]
fn a_fault_of_the_payload_is_found_at_once() {
    let bytes = car(&[], &[raw(b"one"), raw(b"two")]);
    let error = MemoryCar::parse(&bytes[..bytes.len() - 1]).expect_err("cut");
    assert_eq!(error.offset(), Some(bytes.len() as u64 - 1));
    let padded = [&bytes[..], &[0; 9]].concat();
    assert!(MemoryCar::parse(&padded[..]).is_err());
    let options = ReaderOptions::default().zero_section_is_end(true);
    assert_eq!(MemoryCar::with_options(padded, options).expect("padded").len(), 2);
}

#[test]
fn an_identity_block_is_found_where_it_is_stored() {
    let (stored, absent) =
        (hashed(hash_code::IDENTITY, b"in"), hashed(hash_code::IDENTITY, b"out"));
    let bytes = car(&[], std::slice::from_ref(&stored));
    let car = MemoryCar::parse(&bytes[..]).expect("header");
    assert!(car.has(&stored.cid) && !car.has(&absent.cid));
}

#[test]
fn threads_share_one_reader() {
    let blocks: Vec<_> = (0..2000u32).map(|n| raw(&n.to_le_bytes())).collect();
    let car = MemoryCar::parse(car(&[], &blocks)).expect("header");
    std::thread::scope(|scope| {
        for part in 0..4 {
            let (car, blocks) = (&car, &blocks);
            scope.spawn(move || {
                for block in blocks.iter().skip(part).step_by(4) {
                    let found: BlockRef<'_> = car.get(&block.cid).expect("sound").expect("one");
                    assert_eq!(found.data, block.data);
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_a_scan_finds_first(
        picks in prop::collection::vec((0..20u8, any::<bool>(), 0..3u8), 0..120),
        asked in prop::collection::vec((0..25u8, any::<bool>(), 0..3u8), 1..20),
    ) {
        let block = |&(n, long, codec): &(u8, bool, u8)| {
            let code = if long { hash_code::SHA2_512 } else { hash_code::SHA2_256 };
            let hash = *hashed(code, &[n]).cid.hash();
            let codec = [codec::RAW, codec::DAG_PB, codec::DAG_CBOR][usize::from(codec)];
            Block { cid: Cid::new_v1(codec, hash), data: vec![n] }
        };
        let blocks: Vec<_> = picks.iter().map(block).collect();
        let bytes = car(&[], &blocks);
        for whole in [false, true] {
            let memory = MemoryCar::parse(&bytes[..]).expect("header").whole_cids(whole);
            let indexed = IndexedCar::open(&bytes[..]).expect("header").whole_cids(whole);
            prop_assert_eq!(memory.len(), CarReader::open(&bytes[..]).expect("header").into_cids().count());
            for block in asked.iter().map(block) {
                prop_assert_eq!(memory.section(&block.cid), first(&bytes, &block.cid, whole));
                prop_assert_eq!(memory.section(&block.cid), indexed.section(&block.cid).expect("scan"));
            }
        }
    }
}
