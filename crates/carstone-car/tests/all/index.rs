//! Indexes: those of other implementations, those that are made here, searched where they are stored, and what is refused.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use crate::sources::raw;
use carstone_car::multihash::Multihash;
use carstone_car::{
    CarReader, CarSlice, Cid, ErrorKind, Index, IndexBuilder, IndexCodec, IndexEntry, Part, ReadAt,
    SeekSource, cid_of, codec, hash_code,
};
use proptest::prelude::*;

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    match fs::read(Path::new(folder).join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

fn write(builder: IndexBuilder) -> Vec<u8> {
    let sorted = builder.finish().expect("sorted");
    let mut out = Vec::new();
    sorted.write(&mut out).expect("memory");
    assert_eq!(out.len() as u64, sorted.encoded_len());
    out
}

/// The index of a payload.
fn scan(payload: &[u8], codec: IndexCodec, identity: bool) -> Vec<u8> {
    let mut builder = IndexBuilder::new(codec).with_identity(identity);
    let mut reader = CarReader::open(Cursor::new(payload)).expect("header");
    builder.add_all(&mut reader).expect("sections");
    write(builder)
}

#[test]
fn a_payload_gives_the_foreign_index_by_hash_function() {
    let (Some(car), Some(foreign), Some(wrapped)) = (
        fixture("sample-v1.car"),
        fixture("sample-multihash-index-sorted.carindex"),
        fixture("sample-wrapped-v2.car"),
    ) else {
        return;
    };
    assert_eq!(scan(&car, IndexCodec::MultihashSorted, false), foreign);
    let embedded = CarSlice::parse(&wrapped).expect("header").index().expect("sound");
    let embedded: Vec<_> =
        embedded.expect("one").entries().map(|entry| entry.expect("sound")).collect();
    let detached = Index::open(&foreign[..]).expect("sound");
    let detached: Vec<_> = detached.entries().map(|entry| entry.expect("sound")).collect();
    assert_eq!(embedded, detached);
    assert_eq!(embedded.len(), 1043);
    assert!(embedded.iter().all(|entry| entry.hash_code == Some(hash_code::BLAKE2B_256)));
}

#[test]
fn the_foreign_index_by_digest_finds_every_section() {
    let (Some(car), Some(foreign)) = (fixture("sample-v1.car"), fixture("sample-index.carindex"))
    else {
        return;
    };
    let index = Index::open(&foreign[..]).expect("sound");
    assert_eq!((index.codec(), index.len()), (IndexCodec::Sorted, 1049));
    index.check().expect("sound");
    // It has identity CIDs, in widths of their own.
    assert_eq!(scan(&car, IndexCodec::Sorted, true), foreign);
    for item in &CarSlice::parse(&car).expect("header") {
        let (section, _) = item.expect("block");
        let offsets: Result<Vec<_>, _> =
            index.offsets(section.cid.hash()).expect("sound").collect();
        assert!(offsets.expect("sound").contains(&section.offset));
    }
}

/// A source that counts how many bytes are read.
struct Counting<'a>(&'a [u8], Cell<u64>);

impl ReadAt for Counting<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, offset)?;
        self.1.set(self.1.get() + read as u64);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn a_search_reads_little_of_a_large_index() {
    for codec in [IndexCodec::Sorted, IndexCodec::MultihashSorted] {
        let mut builder = IndexBuilder::with_budget(codec, 100_000);
        let cids: Vec<_> = (0..100_000u32).map(|n| cid_of(codec::RAW, &n.to_le_bytes())).collect();
        for (cid, offset) in cids.iter().zip(18..) {
            builder.add(cid, offset).expect("add");
        }
        let bytes = write(builder);
        let index = Index::open(Counting(&bytes, Cell::new(0))).expect("sound");
        for (cid, offset) in cids.iter().zip(18..).step_by(997) {
            assert_eq!(index.find(cid).expect("sound"), Some(offset));
        }
        assert_eq!(index.find(&cid_of(codec::RAW, b"absent")).expect("sound"), None);
        let searches = 100_000 / 997 + 2;
        let read = index.into_inner().1.get();
        assert!(read < searches * 4096 + 64, "{read} bytes for {searches} searches");
    }
}

#[test]
fn the_budget_changes_nothing() {
    let entries: Vec<_> =
        (0..5_000u32).map(|n| cid_of(codec::RAW, &(n / 2).to_le_bytes())).collect();
    let write = |budget| {
        let mut builder = IndexBuilder::with_budget(IndexCodec::MultihashSorted, budget);
        // From behind: sorting has something to do, also with ties.
        for (cid, offset) in entries.iter().zip(100u32..5_100).rev() {
            builder.add(cid, offset.into()).expect("add");
        }
        write(builder)
    };
    let whole = write(1 << 20);
    assert_eq!(write(1), whole);
    assert_eq!(write(100_000), whole);
    let index = Index::open(SeekSource::new(Cursor::new(&whole))).expect("sound");
    for (n, cid) in entries.iter().enumerate().step_by(2) {
        let found: Result<Vec<_>, _> = index.offsets(cid.hash()).expect("sound").collect();
        assert_eq!(found.expect("sound"), [100 + n as u64, 101 + n as u64], "ties ascend");
    }
}

#[test]
fn many_ties_are_all_found_in_any_order() {
    let cids = [b"a", b"b", b"c"].map(|data| raw(data).cid);
    let mut builder = IndexBuilder::new(IndexCodec::Sorted);
    for offset in 0..1000 {
        builder.add(&cids[(offset % 3) as usize], offset).expect("add");
    }
    let mut bytes = write(builder);
    let head = bytes.len() - 40_000;
    let mut entries: Vec<_> = bytes[head..].chunks(40).map(<[u8]>::to_vec).collect();
    entries.sort_by(|a, b| a[..32].cmp(&b[..32]).then(b[32..].cmp(&a[32..])));
    bytes.splice(head.., entries.concat());
    let index = Index::open(bytes).expect("sound");
    index.check().expect("ties are in no order");
    for (n, cid) in cids.iter().enumerate() {
        let found: Result<Vec<_>, _> = index.offsets(cid.hash()).expect("sound").collect();
        let mut found = found.expect("sound");
        found.sort_unstable();
        let expected: Vec<_> = (0..1000).filter(|offset| offset % 3 == n as u64).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn empty_indexes_are_sound() {
    for (codec, expected) in [
        (IndexCodec::Sorted, &b"\x80\x08\0\0\0\0"[..]),
        (IndexCodec::MultihashSorted, b"\x81\x08\0\0\0\0"),
    ] {
        let bytes = write(IndexBuilder::new(codec));
        assert_eq!(bytes, expected);
        let index = Index::open(bytes).expect("sound");
        assert!(index.is_empty() && index.entries().next().is_none());
        assert_eq!(index.find(&raw(b"x").cid).expect("sound"), None);
    }
}

fn bucket(width: u32, byte_len: u64, entries: &[u8]) -> Vec<u8> {
    [&width.to_le_bytes()[..], &byte_len.to_le_bytes(), entries].concat()
}

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let result = Index::open_range(bytes, 0..bytes.len() as u64, Some(1000));
    let error = result.and_then(|index| index.check()).expect_err("refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_the_format_does_not_allow_is_refused() {
    let sorted = |buckets: &[Vec<u8>]| {
        let count = (buckets.len() as i32).to_le_bytes();
        [&b"\x80\x08"[..], &count, &buckets.concat()].concat()
    };
    refused(b"", "the CAR stops inside the index at byte 0");
    refused(b"\x80\x08\x01\0\0", "the CAR stops inside the index at byte 5");
    refused(b"\x81\x08\x01\0\0\0\x12\0", "the CAR stops inside the index at byte 8");
    refused(b"\x01\0\0\0\x28\0\0\0", "index codec 0x1 is not known at byte 0");
    refused(b"\x80\x80\xc0\x01", "index codec 0x300000 is not known at byte 0");
    refused(b"\x80\0", "malformed varint in the index at byte 0");
    refused(b"\x80\x08\xff\xff\xff\xff", "invalid index: a count is negative at byte 2");
    refused(b"\x81\x08\0\0\0\x80", "invalid index: a count is negative at byte 2");
    refused(b"\x80\x08\xff\xff\xff\x7f", "the CAR stops inside the index at byte 6");
    for width in [0, 1, 7] {
        refused(
            &sorted(&[bucket(width, 0, b"")]),
            "invalid index: the entries of a bucket are shorter than an offset at byte 6",
        );
    }
    refused(
        &sorted(&[bucket(40, 41, &[0; 41])]),
        "invalid index: the length of a bucket is no multiple of that of an entry at byte 6",
    );
    refused(
        &sorted(&[bucket(40, 80, &[0; 79])]),
        "invalid index: a bucket goes past the end at byte 6",
    );
    refused(&sorted(&[bucket(8, !7, b"")]), "invalid index: a bucket goes past the end at byte 6");
    refused(
        &sorted(&[bucket(u32::MAX, 0, b"")]),
        "an index entry of 4294967295 bytes is over the limit of 2056 at byte 6",
    );
    let unsorted = "invalid index: its buckets are not in ascending order at byte 18";
    refused(&sorted(&[bucket(40, 0, b""), bucket(40, 0, b"")]), unsorted);
    refused(&sorted(&[bucket(40, 0, b""), bucket(39, 0, b"")]), unsorted);
    refused(
        &[sorted(&[bucket(40, 0, b"")]), vec![0]].concat(),
        "invalid index: there are bytes behind its last bucket at byte 18",
    );
    for second in [0x11u64, 0x12] {
        let code = |code: u64| [&code.to_le_bytes()[..], &[0; 4]].concat();
        let bytes = [b"\x81\x08\x02\0\0\0".to_vec(), code(0x12), code(second)].concat();
        refused(&bytes, "invalid index: its hash functions are not in ascending order at byte 18");
    }
    let entry = |digest: u8, offset: u64| [&[digest][..], &offset.to_le_bytes()].concat();
    let two = |a: Vec<u8>, b: Vec<u8>| sorted(&[bucket(9, 18, &[a, b].concat())]);
    Index::open(two(entry(1, 0), entry(1, 0))).expect("sound").check().expect("sound");
    refused(&two(entry(2, 0), entry(1, 0)), "invalid index: its entries are not sorted at byte 27");
    refused(
        &two(entry(1, 999), entry(2, 1000)),
        "invalid index: an offset is not in the payload at byte 27",
    );
}

#[test]
fn the_number_of_buckets_is_limited() {
    let head = [b"\x81\x08".as_slice(), &(1i32 << 17).to_le_bytes()].concat();
    let codes = (0..1u64 << 17)
        .map(|code| [&code.to_le_bytes()[..], &1i32.to_le_bytes(), &bucket(8, 0, b"")].concat());
    let bytes = [head, codes.collect::<Vec<_>>().concat()].concat();
    let error = Index::open(bytes).expect_err("too many");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { part: Part::Index, .. }), "{error}");

    let mut builder = IndexBuilder::new(IndexCodec::MultihashSorted);
    let mut add = |code| {
        let hash = Multihash::wrap(code, b"x").expect("short");
        builder.add(&Cid::new_v1(codec::RAW, hash), 1)
    };
    for code in 1..=1 << 16 {
        add(code).expect("room");
    }
    let error = add(0x10001).expect_err("too many");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { part: Part::Index, .. }), "{error}");
    add(1).expect("no bucket more");
}

#[test]
fn searches_of_a_lying_index_end() {
    let bytes = [&b"\x80\x08\x01\0\0\0"[..], &bucket(40, 400_000, &[7; 400_000])].concat();
    let index = Index::open_range(bytes, 0..400_018, Some(1000)).expect("heads are sound");
    let hash = Multihash::wrap(hash_code::SHA2_256, &[7; 32]).expect("short");
    let error = index.offsets(&hash).expect("search").next().expect("one").expect_err("offset");
    assert!(matches!(error.kind(), ErrorKind::BadIndex(_)), "{error}");
    assert_eq!(index.find(&raw(b"x").cid).expect("search"), None);
}

fn entries() -> impl Strategy<Value = Vec<(u64, Vec<u8>, u64)>> {
    let code = prop_oneof![Just(0x12u64), Just(0), Just(0xb220), any::<u32>().prop_map(u64::from)];
    let digest = prop_oneof![
        prop::collection::vec(0..3u8, 0..5),
        prop::collection::vec(any::<u8>(), 32),
        prop::collection::vec(any::<u8>(), 0..=64),
    ];
    prop::collection::vec((code, digest, 0..1000u64), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_added_is_found(all in entries(), by_code in any::<bool>(), budget in 0..20_000usize) {
        let format = if by_code { IndexCodec::MultihashSorted } else { IndexCodec::Sorted };
        let mut builder = IndexBuilder::with_budget(format, budget).with_identity(true);
        let mut expected: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for (code, digest, offset) in &all {
            let hash = Multihash::wrap(*code, digest).expect("short");
            builder.add(&Cid::new_v1(codec::RAW, hash), *offset).expect("add");
            let key = (by_code.then_some(*code), digest.len(), digest.clone());
            expected.entry(key).or_default().push(*offset);
        }
        expected.values_mut().for_each(|offsets| offsets.sort_unstable());
        let bytes = write(builder);
        let index = Index::open_range(&bytes[..], 0..bytes.len() as u64, Some(1000)).expect("sound");
        let mut found: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for entry in index.entries() {
            let IndexEntry { hash_code, digest, offset, .. } = entry.expect("sound");
            found.entry((hash_code, digest.len(), digest)).or_default().push(offset);
        }
        prop_assert_eq!(&found, &expected);
        for ((code, _, digest), offsets) in &expected {
            let hash = Multihash::wrap(code.unwrap_or(0x77), digest).expect("short");
            let found: Result<Vec<_>, _> = index.offsets(&hash).expect("sound").collect();
            prop_assert_eq!(&found.expect("sound"), offsets);
        }
    }

    #[test]
    fn changed_indexes_are_searched_without_panic(
        all in entries(),
        by_code in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let format = if by_code { IndexCodec::MultihashSorted } else { IndexCodec::Sorted };
        let mut builder = IndexBuilder::new(format).with_identity(true);
        let hashes: Vec<_> =
            all.iter().map(|(code, digest, _)| Multihash::wrap(*code, digest).expect("short")).collect();
        for (hash, (_, _, offset)) in hashes.iter().zip(&all) {
            builder.add(&Cid::new_v1(codec::RAW, *hash), *offset).expect("add");
        }
        let mut bytes = write(builder);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let len = bytes.len() as u64;
        if let Ok(index) = Index::open_range(&bytes[..], 0..len, Some(1000)) {
            let _ = index.check();
            prop_assert!(index.len() <= len / 8);
            for hash in &hashes {
                if let Ok(offsets) = index.offsets(hash) {
                    prop_assert!(offsets.flatten().all(|offset| offset < 1000));
                }
            }
        }
    }
}

#[test]
fn an_offset_that_no_payload_has_is_not_written() {
    for codec in [IndexCodec::MultihashSorted, IndexCodec::Sorted] {
        let cid = raw(b"hello").cid;
        let mut builder = IndexBuilder::new(codec);
        let error = builder.add(&cid, u64::MAX).expect_err("no payload is longer");
        assert!(
            matches!(error.kind(), ErrorKind::TooLarge { part: Part::Payload, size: u64::MAX, .. }),
            "{error}"
        );
        builder.add(&cid, u64::MAX - 1).expect("the last byte of the longest payload");
        let index = Index::open(write(builder)).expect("just written");
        assert_eq!(index.find(&cid).expect("sound"), Some(u64::MAX - 1));
        index.check().expect("what is written can be read");
    }
}
