//! What has hurt other readers, each under the name that it is known by: an advisory, or the issue of the project that met it.

use std::fs::File;
use std::io::{Cursor, Write};

use carstone_car::dag::{Budget, DagErrorKind, Walk, WalkLimits, WalkOptions};
use carstone_car::{
    Block, CarFileWriter, CarReader, CarSlice, CarStore, Cid, ErrorKind, Index, IndexBuilder,
    IndexCodec, IndexedCar, Limits, MemoryCar, Part, ReaderOptions, StoreOptions, V2_PRAGMA,
    cid_of, codec, hash_code, verify,
};

use crate::sources::{blocks, car, hashed, raw};

/// A CARv1 without roots, and these bytes.
fn behind_header(bytes: &[u8]) -> Vec<u8> {
    [&b"\x11\xa2\x65roots\x80\x67version\x01"[..], bytes].concat()
}

/// What a stream, a slice and a reader of files say of these bytes; all the same.
#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let stream = blocks(bytes).expect_err("refused").to_string();
    let slice =
        CarSlice::parse(bytes).and_then(|slice| slice.blocks().try_for_each(|b| b.map(drop)));
    let memory = MemoryCar::parse(bytes).and_then(|car| car.blocks().try_for_each(|b| b.map(drop)));
    assert_eq!(stream, expected);
    assert_eq!(slice.expect_err("refused").to_string(), expected);
    assert_eq!(memory.expect_err("refused").to_string(), expected);
}

fn v2(blocks: &[Block]) -> Vec<u8> {
    let mut writer = CarFileWriter::new(Cursor::new(Vec::new()), &[]).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// go-car up to 0.3.3 and 2.3.0 allocated what a length announced.
#[test]
fn ghsa_9x4h_8wgm_8xfg_lengths_are_no_orders_for_memory() {
    refused(
        &varint((32 << 20) + 1),
        "the header of 33554433 bytes is over the limit of 33554432 at byte 0",
    );
    let large = behind_header(&varint((8 << 20) + 1));
    refused(&large, "a section of 8388609 bytes is over the limit of 8388608 at byte 18");
    refused(
        &varint(1 << 62),
        "the header of 4611686018427387904 bytes is over the limit of 33554432 at byte 0",
    );
    // Also where any length is allowed, nothing is allocated that has not come.
    let limits = Limits::default().header(usize::MAX).section(usize::MAX);
    let options = ReaderOptions::default().limits(limits);
    let mut bytes = behind_header(&varint(1 << 40));
    bytes.extend(cid_of(codec::RAW, b"").to_bytes());
    bytes.extend([7; 1000]);
    let mut reader = CarReader::with_options(&bytes[..], options).expect("header");
    let mut data = Vec::new();
    let error = reader.read_block(&mut data).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Data)), "{error}");
    assert!(data.capacity() <= 256 << 10, "{} bytes", data.capacity());
    let error = CarReader::with_options(&varint(1 << 40)[..], options).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Header)), "{error}");
}

/// golang/vulndb 503 and 504: an index with entries of no width, giant buckets, negative counts.
#[test]
fn ghsa_f2gr_7299_487h_a_malformed_index_is_refused_or_done_without() {
    let blocks = [raw(b"one"), raw(b"two")];
    let file = v2(&blocks);
    let slice = CarSlice::parse(&file).expect("header");
    let at = slice.v2_header().expect("v2").index_offset.expect("an index") as usize;
    // Behind the codec: number of functions, the function, number of buckets, width, length.
    for (offset, bytes) in [
        (2, &[0xff; 4][..]),
        (2, &[0xff, 0xff, 0xff, 0x7f]),
        (14, &[0xff; 4]),
        (18, &[0; 4]),
        (18, &[7, 0, 0, 0]),
        (18, &[0xff; 4]),
        (22, &[0xff; 8]),
        (22, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        (22, &[0, 0, 0, 0, 1, 0, 0, 0]),
    ] {
        let mut bad = file.clone();
        bad[at + offset..][..bytes.len()].copy_from_slice(bytes);
        Index::open(bad[at..].to_vec()).and_then(|index| index.check()).expect_err("malformed");
        let car = IndexedCar::open(&bad[..]).expect("the payload is sound");
        for block in &blocks {
            assert_eq!(car.get(&block.cid).expect("found").as_ref(), Some(&block.data));
        }
        assert!(car.index_fault().is_some(), "{offset}: {bytes:x?}");
    }
}

/// ipld/js-car 185 and 186: there were no limits.
#[test]
fn js_car_185_limits_are_on_by_default() {
    let limits = Limits::default();
    assert_eq!((limits.header, limits.section), (32 << 20, 8 << 20));
    assert!(limits.cid <= 2 << 10);
}

/// ipld/js-car 186: what came behind was read as if it were a section.
#[test]
fn js_car_186_a_cid_does_not_run_past_its_section() {
    let cid = cid_of(codec::RAW, b"x").to_bytes();
    for len in 1..cid.len() {
        let bytes = behind_header(&[&varint(len as u64)[..], &cid, b"xxxxxxxx"].concat());
        refused(&bytes, "CID runs past the end of its section at byte 18");
    }
}

/// The corpora of go-car's fuzzers: varints that are too long, too large, or padded.
#[test]
fn go_car_fuzz_varints_are_strict() {
    for bad in [
        &[0x80, 0][..],
        &[0x81, 0],
        &[0xff; 10],
        &[0x80; 9],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ] {
        let header = CarReader::open(bad).expect_err("refused");
        assert!(
            matches!(header.kind(), ErrorKind::BadVarint(_) | ErrorKind::TooLarge { .. }),
            "{header}"
        );
        let section = blocks(&behind_header(bad)[..]).expect_err("refused");
        assert!(
            matches!(section.kind(), ErrorKind::BadVarint(_) | ErrorKind::TooLarge { .. }),
            "{section}"
        );
        assert_eq!(section.offset(), Some(18));
    }
}

/// go-cid: a digest of gigabytes.
#[test]
fn go_cid_a_digest_has_a_limit() {
    for len in [65, 4096, 1 << 30, (1 << 63) - 1] {
        let cid = [&[1, 0x55, 0x12][..], &varint(len), &[7; 200]].concat();
        let bytes = behind_header(&[varint(4 << 20), cid].concat());
        let error = blocks(&bytes[..]).expect_err("refused");
        assert!(
            matches!(error.kind(), ErrorKind::TooLarge { .. } | ErrorKind::BadCid(_)),
            "{error}"
        );
    }
}

/// ipld/go-ipld-prime 630 and MarshalX/python-libipld 15: repeated keys. ipld/libipld 121: trailing and indefinite forms.
#[test]
fn go_ipld_prime_630_a_header_repeats_no_key() {
    for body in [
        &b"\xa2\x65roots\x80\x65roots\x80"[..],
        b"\xa3\x65roots\x80\x65roots\x80\x67version\x01",
        b"\xa3\x65roots\x80\x67version\x01\x67version\x01",
        b"\xbf\x65roots\x80\x67version\x01\xff",
        b"\xa2\x65roots\x9f\xff\x67version\x01",
        b"\xa2\x65roots\x80\x67version\x01\0",
        b"\xa2\x65roots\x80\x67version\x18\x01",
    ] {
        let bytes = [&varint(body.len() as u64)[..], body].concat();
        CarReader::open(&bytes[..]).expect_err("refused");
    }
}

/// CVE-2026-35480: memory for as many roots as a header announces.
#[test]
fn cve_2026_35480_a_count_of_roots_is_no_order_for_memory() {
    for count in [
        &b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x9b\0\0\0\x10\0\0\0\0",
        b"\x9a\xff\xff\xff\xff",
    ] {
        let body = [&b"\xa2\x65roots"[..], count, b"\x67version\x01"].concat();
        let bytes = [&varint(body.len() as u64)[..], &body].concat();
        let options = ReaderOptions::default().limits(Limits::default().roots(usize::MAX));
        CarReader::open(&bytes[..]).expect_err("refused");
        CarReader::with_options(&bytes[..], options).expect_err("refused");
    }
}

/// ipld/ipld 292: a CARv2 in a CARv2, and a pragma with roots.
#[test]
fn ipld_292_a_carv2_holds_no_carv2() {
    let inner = v2(&[raw(b"one")]);
    let mut outer = V2_PRAGMA.to_vec();
    outer.extend([0; 16]);
    outer.extend(51u64.to_le_bytes());
    outer.extend((inner.len() as u64).to_le_bytes());
    outer.extend(0u64.to_le_bytes());
    outer.extend(inner);
    let error = CarReader::open(&outer[..]).expect_err("refused");
    assert_eq!(error.to_string(), "invalid CAR header: a CARv2 inside of a CARv2 at byte 51");
    let pragma = b"\xa2\x65roots\x80\x67version\x02";
    let bytes = [&varint(pragma.len() as u64)[..], pragma, &[0; 100]].concat();
    CarReader::open(&bytes[..]).expect_err("refused");
}

/// The fixture `sample-v2-corrupt` of go-car: places that overflow, or that lie outside of the file.
#[test]
fn go_car_sample_v2_corrupt_places_are_checked() {
    let file = v2(&[raw(b"one")]);
    let place = |at: usize, value: u64| {
        let mut bad = file.clone();
        bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
        bad
    };
    for bad in [
        place(27, 0),
        place(27, 50),
        place(27, u64::MAX),
        place(27, 0x7fff_ffff_ffff_ffff),
        place(35, u64::MAX),
        place(35, u64::MAX - 50),
        place(35, file.len() as u64),
        place(43, 52),
        place(43, u64::MAX),
    ] {
        let error = IndexedCar::open(&bad[..]).map(|car| car.index_codec().is_some());
        assert!(!error.unwrap_or(false), "no index is used of a header that lies");
        CarSlice::parse(&bad).expect_err("refused");
    }
}

/// n0-computer/iroh-car 16: data is not compared with its CID. An unknown function is not taken for a right one.
#[test]
fn iroh_car_16_data_is_what_its_cid_says() {
    let mut bytes = car(&[], &[raw(b"one")]);
    *bytes.last_mut().expect("data") ^= 1;
    let error = blocks(&bytes[..]).expect_err("refused");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }), "{error}");
    let unknown = Cid::new_v1(
        codec::RAW,
        carstone_car::multihash::Multihash::wrap(0x9999, &[1; 32]).expect("short"),
    );
    let section =
        [&varint(unknown.to_bytes().len() as u64 + 1)[..], &unknown.to_bytes(), b"x"].concat();
    let error = blocks(&behind_header(&section)[..]).expect_err("refused");
    assert!(matches!(error.kind(), ErrorKind::Unverifiable { .. }), "{error}");
}

/// A CID that holds its data says what the data is.
#[test]
fn identity_cids_hold_no_other_data() {
    let block = hashed(hash_code::IDENTITY, b"inline");
    let cid = block.cid.to_bytes();
    verify(&block.cid, b"inline").expect("the same");
    let section = [&varint(cid.len() as u64 + 6)[..], &cid, b"inlinf"].concat();
    let error = blocks(&behind_header(&section)[..]).expect_err("refused");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }), "{error}");
}

/// An index that leads from one block to another.
#[test]
fn a_lying_index_gives_no_other_block() {
    let all = [raw(b"one"), raw(b"two!")];
    let payload = car(&[], &all);
    let mut places = CarReader::open(&payload[..]).expect("header").into_places();
    let offsets =
        [places.next(), places.next()].map(|place| place.expect("two").expect("sound").offset());
    let mut builder = IndexBuilder::new(IndexCodec::MultihashSorted);
    builder.add(&all[0].cid, offsets[1]).expect("added");
    builder.add(&all[1].cid, offsets[0]).expect("added");
    let mut index = Vec::new();
    builder.finish().expect("sorted").write(&mut index).expect("memory");
    let index = Index::open(index).expect("sound by itself");
    let car =
        IndexedCar::with_index(&payload[..], ReaderOptions::default(), index).expect("opened");
    for block in &all {
        assert_eq!(car.get(&block.cid).expect("by a scan").as_ref(), Some(&block.data));
    }
    assert!(matches!(car.index_fault().expect("found").kind(), ErrorKind::StaleIndex));
}

/// Filecoin's zeros, and other bytes behind the last section.
#[test]
fn null_padding_is_an_error_unless_it_is_asked_for() {
    let sound = car(&[], &[raw(b"one")]);
    for tail in [&[0][..], &[0; 512]] {
        let bytes = [&sound[..], tail].concat();
        let error = blocks(&bytes[..]).expect_err("refused");
        assert_eq!(error.offset(), Some(sound.len() as u64));
        let options = ReaderOptions::default().zero_section_is_end(true);
        let reader = CarReader::with_options(&bytes[..], options).expect("header");
        let found: Result<Vec<_>, _> = reader.into_iter().collect();
        assert_eq!(found.expect("sound").len(), 1);
    }
}

/// ipfs/specs 332 and 431: a transfer that ends between two sections looks complete, unless the CAR says how long it is.
#[test]
fn ipfs_specs_332_a_cut_between_sections_is_noticed_in_a_carv2() {
    let file = v2(&[raw(b"one"), raw(b"two")]);
    let v2 = *CarSlice::parse(&file).expect("header").v2_header().expect("v2");
    let place = CarReader::open(&file[..]).expect("header").into_places().nth(1);
    let second = place.expect("two").expect("sound").file_offset() as usize;
    assert!((second as u64) < v2.data_end());
    let error = blocks(&file[..second]).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Payload)), "{error}");
}

/// The limit of Boxo on depth, and `MaxTraversalLinks` of go-car: deep chains, and more paths than there is time for.
#[test]
fn boxo_1197_deep_and_wide_dags_have_budgets() {
    let mut all = std::collections::HashMap::new();
    let mut cid = cid_of(codec::RAW, b"end");
    all.insert(cid, b"end".to_vec());
    for _ in 0..100 {
        // A list with the same link twice.
        let link = [&[0xd8, 0x2a, 0x58, 37, 0][..], &cid.to_bytes()].concat();
        let data = [&[0x82][..], &link, &link].concat();
        cid = cid_of(codec::DAG_CBOR, &data);
        all.insert(cid, data);
    }
    assert_eq!(Walk::new(&all, &[cid], WalkOptions::default()).count(), 101);
    let over = |options: WalkOptions, budget: Budget| {
        let error = Walk::new(&all, &[cid], options).find_map(Result::err).expect("stopped");
        let DagErrorKind::OverBudget { budget: found, .. } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(*found, budget);
    };
    over(WalkOptions::default().limits(WalkLimits::default().depth(50)), Budget::Depth);
    let limits = WalkLimits::default().blocks(10_000);
    over(WalkOptions::default().duplicates(true).limits(limits), Budget::Blocks);
}

/// ipld/go-car 247: an open that failed had cut the index off, and the header's places.
#[test]
fn go_car_247_a_failed_open_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.car");
    let file = v2(&[raw(b"one"), raw(b"two")]);
    std::fs::write(&path, &file).expect("written");
    let other = [cid_of(codec::RAW, b"another root")];
    CarStore::open_or_create(&path, &other, StoreOptions::default()).expect_err("other roots");
    assert!(std::fs::read(&path).expect("read") == file);
    let mut damaged = file.clone();
    damaged[100] ^= 1;
    std::fs::write(&path, &damaged).expect("written");
    let _ = CarStore::open(&path, StoreOptions::default().hash_all(true)).expect_err("damaged");
    assert!(std::fs::read(&path).expect("read") == damaged);
}

/// ipld/go-car 210: a file that is mapped into memory, and shrinks.
#[test]
fn go_car_210_a_file_may_shrink_while_it_is_open() {
    let mut file = tempfile::tempfile().expect("a file");
    let block = raw(&[7; 100_000]);
    file.write_all(&car(&[], std::slice::from_ref(&block))).expect("written");
    let reader: IndexedCar<File> =
        IndexedCar::open(file.try_clone().expect("a file")).expect("header");
    assert!(reader.has(&block.cid).expect("sound"));
    file.set_len(5000).expect("cut");
    let error = reader.get(&block.cid).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(_)), "{error}");
}
