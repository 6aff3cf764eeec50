//! What the format does not have, and options accept by name: by every reader alike, and by none unless it is told to.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::sources::{Stutter, car, raw, small};
use carstone_car::{
    Block, CarFileWriter, CarReader, CarScan, CarSlice, Cid, ErrorKind, FileOptions, Index,
    IndexCodec, IndexedCar, Part, ReaderOptions, ScanOptions,
};
use proptest::prelude::*;

/// What every reader makes of these bytes: the CIDs, and the error that ends them.
#[track_caller]
fn read(bytes: &[u8], options: ReaderOptions) -> (Vec<Cid>, Option<String>) {
    let expected = stream(bytes, options);
    for steps in [vec![1], vec![7, 0, 300]] {
        let reader = CarReader::with_options(Stutter::new(bytes, steps), options);
        assert_eq!(collect(reader.map(|reader| reader.into_cids())), expected);
    }
    let blocks = CarReader::with_options(bytes, options);
    let blocks = blocks.map(|reader| reader.into_iter().map(|block| block.map(|b| b.cid)));
    assert_eq!(collect(blocks), expected, "blocks");
    let slice = CarSlice::with_options(bytes, options);
    let blocks =
        slice.map(|slice| slice.into_iter().map(|block| block.map(|(section, _)| section.cid)));
    assert_eq!(collect(blocks), expected, "slice");
    for threads in [1, 3] {
        let source = Cursor::new(bytes.to_vec());
        let scan = CarScan::with_options(source, options, ScanOptions::default().threads(threads));
        assert_eq!(collect(scan.map(Scanned)), expected, "scan");
    }
    if let Ok(indexed) = IndexedCar::ignoring_index(bytes, options) {
        indexed.scan().expect("scan");
        let fault = indexed.scan_fault().map(ToString::to_string);
        assert_eq!(fault, expected.1, "indexed");
        for cid in &expected.0 {
            assert!(indexed.has(cid).expect("search"));
            assert!(indexed.get(cid).expect("search").is_some());
        }
    }
    expected
}

struct Scanned(CarScan<Cursor<Vec<u8>>>);

impl Iterator for Scanned {
    type Item = carstone_car::Result<Cid>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.next_block().map(|found| found.map(|(section, _)| section.cid));
        item.transpose()
    }
}

fn stream(bytes: &[u8], options: ReaderOptions) -> (Vec<Cid>, Option<String>) {
    let reader = CarReader::with_options(bytes, options);
    collect(reader.map(|reader| reader.into_cids()))
}

fn collect(
    items: carstone_car::Result<impl Iterator<Item = carstone_car::Result<Cid>>>,
) -> (Vec<Cid>, Option<String>) {
    let mut found = Vec::new();
    let items = match items {
        Ok(items) => items,
        Err(error) => return (found, Some(error.to_string())),
    };
    for item in items {
        match item {
            Ok(cid) => found.push(cid),
            Err(error) => return (found, Some(error.to_string())),
        }
    }
    (found, None)
}

fn strict() -> ReaderOptions {
    ReaderOptions::default()
}

/// The name of the option that the first error asks for.
fn asks_for(bytes: &[u8]) -> Option<&'static str> {
    let reader = match CarReader::open(bytes) {
        Ok(reader) => reader,
        Err(error) => return error.accepted_by(),
    };
    let error = reader.into_cids().find_map(Result::err).expect("an error");
    error.accepted_by()
}

/// A varint that takes this many bytes.
fn padded(value: usize, len: usize) -> Vec<u8> {
    let mut bytes: Vec<_> = (0..len).map(|n| (value >> (7 * n)) as u8 & 0x7f | 0x80).collect();
    bytes[len - 1] &= 0x7f;
    bytes
}

/// A CAR whose lengths of header and sections take this many bytes.
fn padded_car(roots: &[Cid], blocks: &[Block], len: usize) -> Vec<u8> {
    let header = carstone_car::Header { roots: roots.to_vec() }.encode();
    let mut bytes = padded(header.len() - 1, len);
    bytes.extend(&header[1..]);
    for block in blocks {
        let cid = block.cid.to_bytes();
        bytes.extend(padded(cid.len() + block.data.len(), len));
        bytes.extend(cid);
        bytes.extend(&block.data);
    }
    bytes
}

/// A CARv2 without an index around this payload.
fn wrapped(payload: &[u8]) -> Vec<u8> {
    let header = carstone_car::V2Header {
        data_offset: 51,
        data_size: payload.len() as u64,
        ..carstone_car::V2Header::default()
    };
    [&carstone_car::V2_PRAGMA[..], &header.encode(), payload].concat()
}

#[test]
fn bytes_that_are_no_section_may_follow_the_last_one() {
    let (bytes, blocks) = small();
    let cids: Vec<_> = blocks.iter().map(|block| block.cid).collect();
    let options = strict().ignore_trailing_bytes(true);
    assert_eq!(read(&bytes, options), (cids.clone(), None));
    let junk: [&[u8]; 8] = [
        &[0; 700],
        b"some text behind the sections, which is not one",
        &[0xff; 40],
        &[0x80],
        &[0x81, 0],
        &[40, 1, 0x55],
        &[1, 1, 0x55, 0, 0],
        &[0xff, 0xff, 0xff, 0xff, 0x0f, 9, 9, 9],
    ];
    for junk in junk {
        let car = [&bytes[..], junk].concat();
        for car in [car.clone(), wrapped(&car)] {
            let (found, stop) = read(&car, strict());
            assert_eq!(found, cids);
            assert!(stop.is_some(), "{junk:?}");
            assert_eq!(read(&car, options), (cids.clone(), None), "{junk:?}");
            let mut reader = CarReader::with_options(&car[..], options).expect("header");
            while reader.next_section().expect("section").is_some() {}
            assert_eq!(reader.position(), bytes.len() as u64, "where they start");
        }
    }
    assert_eq!(asks_for(&[&bytes[..], b"text"].concat()), Some("ignore_trailing_bytes"));
}

#[test]
fn a_cut_or_large_section_is_not_taken_for_trailing_bytes() {
    let options = strict().ignore_trailing_bytes(true);
    let whole = car(&[], &[raw(b"one"), raw(&[7; 100])]);
    let (found, stop) = read(&whole[..whole.len() - 1], options);
    assert_eq!(found.len(), 1);
    let expected = format!("the CAR stops inside the data of a block at byte {}", whole.len() - 1);
    assert_eq!(stop, Some(expected));

    let options = options.limits(carstone_car::Limits::default().section(50));
    let (found, stop) = read(&whole, options);
    assert_eq!(found.len(), 1);
    assert_eq!(stop.as_deref(), Some("a section of 136 bytes is over the limit of 50 at byte 58"));
}

#[test]
fn a_stream_that_lacks_a_part_of_its_payload_is_short_whatever_is_accepted() {
    let options = strict().ignore_trailing_bytes(true);
    let payload = car(&[], &[raw(b"one"), raw(b"two")]);
    let file = wrapped(&payload);
    for cut in 1..40 {
        let bytes = &file[..file.len() - cut];
        let (_, stop) = stream(bytes, options);
        assert!(stop.is_some(), "cut by {cut}");
    }
}

#[test]
fn only_zeros_end_the_data_where_only_zeros_are_accepted() {
    let (bytes, blocks) = small();
    let options = strict().zero_section_is_end(true);
    let (found, stop) = read(&[&bytes[..], &[0, 0]].concat(), options);
    assert_eq!((found.len(), stop), (blocks.len(), None));
    let (_, stop) = read(&[&bytes[..], b"text"].concat(), options);
    assert!(stop.is_some());
    assert_eq!(asks_for(&[&bytes[..], &[0]].concat()), Some("zero_section_is_end"));
}

#[test]
fn lengths_may_be_padded() {
    let blocks = [raw(b"one"), raw(b""), raw(&[5; 300])];
    let cids: Vec<_> = blocks.iter().map(|block| block.cid).collect();
    let options = strict().padded_varints(true);
    for len in 2..=9 {
        let bytes = padded_car(&[cids[0]], &blocks, len);
        for bytes in [bytes.clone(), wrapped(&bytes)] {
            assert_eq!(read(&bytes, options), (cids.clone(), None));
            let at = if bytes[0] == 0x0a { 51 } else { 0 };
            let strict = Some(format!("malformed varint in the header at byte {at}"));
            assert_eq!(read(&bytes, self::strict()), (Vec::new(), strict));
        }
        assert_eq!(asks_for(&bytes), Some("padded_varints"));
    }
    let long = padded_car(&[], &blocks, 10);
    assert!(read(&long, options).1.is_some());
    // The CID of a block has one form.
    let cid = [&[0x81, 0][..], &blocks[0].cid.to_bytes()[1..], b"one"].concat();
    let bytes = [&car(&[], &[])[..], &[cid.len() as u8], &cid].concat();
    let stop = Some("malformed varint in a CID at byte 18".to_owned());
    assert_eq!(read(&bytes, options), (Vec::new(), stop));
}

#[test]
fn roots_may_be_asked_for() {
    let block = raw(b"one");
    let options = strict().require_roots(true);
    let bytes = car(&[], std::slice::from_ref(&block));
    let empty = "invalid CAR header: its list of roots is empty at byte ";
    assert_eq!(read(&bytes, options).1, Some(format!("{empty}0")));
    assert_eq!(read(&wrapped(&bytes), options).1, Some(format!("{empty}51")));
    assert_eq!(read(&bytes, strict()).1, None);
    assert_eq!(read(&car(&[block.cid], &[block]), options).1, None);
}

/// A CARv2 whose index has no codec, and its payload's CIDs.
fn legacy() -> (Vec<u8>, Vec<Cid>) {
    let blocks = [raw(b"one"), raw(b"two"), raw(b"three")];
    let options = FileOptions::v2().index(Some(IndexCodec::Sorted));
    let mut writer =
        CarFileWriter::with_options(Cursor::new(Vec::new()), &[], options).expect("header");
    for block in &blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    let mut file = writer.finish().expect("finish").into_inner();
    let at = CarSlice::parse(&file).expect("header").v2_header().and_then(|v2| v2.index_offset);
    let at = at.expect("an index") as usize;
    file.drain(at..at + 2);
    (file, blocks.iter().map(|block| block.cid).collect())
}

#[test]
fn an_index_may_lack_its_codec() {
    let (file, cids) = legacy();
    let options = strict().legacy_index(true);
    let error = CarSlice::parse(&file).expect("header").index().expect_err("legacy");
    assert!(matches!(error.kind(), ErrorKind::UnknownIndex(1)), "{error}");
    assert_eq!(error.accepted_by(), Some("legacy_index"));
    let slice = CarSlice::with_options(&file, options).expect("header");
    let index = slice.index().expect("legacy").expect("an index");
    assert_eq!((index.len(), index.codec()), (3, IndexCodec::Sorted));
    index.check().expect("sorted");

    let car = IndexedCar::with_options(&file[..], options).expect("header");
    assert_eq!(car.index_codec(), Some(IndexCodec::Sorted));
    for cid in &cids {
        let offset = car.section(cid).expect("search").expect("present").offset;
        assert_eq!(index.find(cid).expect("search"), Some(offset));
    }
    assert!(!car.is_scanned() && car.index_fault().is_none());
    let report = car.check_index().expect("payload").expect("an index");
    assert!(report.is_sound());

    // One with its codec is opened as well, and what is neither keeps its error.
    let bytes = slice.v2_header().and_then(|v2| v2.index_offset).expect("an index") as usize;
    let prefixed = [&[0x80, 8][..], &file[bytes..]].concat();
    let len = prefixed.len() as u64;
    assert_eq!(Index::open_legacy(prefixed, 0..len, None).expect("sound").len(), 3);
    let error = Index::open_legacy(vec![2, 0, 0, 0], 0..4, None).expect_err("neither");
    assert!(matches!(error.kind(), ErrorKind::UnknownIndex(2)), "{error}");
    let error = Index::open_legacy(vec![0x81], 0..1, None).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Index)), "{error}");
}

#[test]
fn the_index_of_the_specification_file_is_read_where_that_is_asked_for() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    let file = match fs::read(Path::new(folder).join("carv2-basic.car")) {
        Ok(file) => file,
        Err(error) => return eprintln!("skipped: carv2-basic.car: {error}"),
    };
    let options = strict().legacy_index(true);
    let car = IndexedCar::with_options(file, options).expect("header");
    assert!(car.index_fault().is_none());
    let report = car.check_index().expect("payload").expect("an index");
    assert!(report.is_sound() && report.entries == 5, "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Options accept more, and change nothing of what was accepted before.
    #[test]
    fn what_is_sound_reads_the_same_with_all_options(
        sizes in prop::collection::vec(0..400usize, 0..6),
        junk in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let blocks: Vec<_> = sizes.iter().map(|&len| raw(&vec![len as u8; len])).collect();
        let bytes = car(&[], &blocks);
        let all = strict()
            .ignore_trailing_bytes(true)
            .zero_section_is_end(true)
            .padded_varints(true)
            .legacy_index(true);
        prop_assert_eq!(read(&bytes, all), read(&bytes, strict()));
        let (found, _) = read(&[bytes, junk].concat(), all);
        prop_assert!(found.len() >= blocks.len());
    }
}

#[test]
fn a_cut_behind_a_padded_length_is_inside_of_the_cid() {
    let (v1, _) = small();
    let section = [&[0xa9, 0][..], &raw(b"x").cid.to_bytes()[..9]].concat();
    let bytes = [&v1[..], &section].concat();
    let options = ReaderOptions::default().padded_varints(true);
    let error = CarReader::with_options(&bytes[..], options).expect("header").into_cids().last();
    let error = error.expect("an error").expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Cid)), "{error}");
}
