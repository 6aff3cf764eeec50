//! Where blocks lie, in the file and in the payload, and their data read there.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::sources::{Stutter, car, raw, small};
use carstone_car::{
    Block, BlockPlace, CarFileWriter, CarReader, Cid, ErrorKind, FileOptions, IndexedCar, Limits,
    Part, ReaderOptions, SeekSource,
};

fn strict() -> ReaderOptions {
    ReaderOptions::default()
}

fn written(blocks: &[Block], options: FileOptions) -> Vec<u8> {
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, &[], options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

/// The places of all blocks, found in three ways.
#[track_caller]
fn places(bytes: &[u8]) -> Vec<BlockPlace> {
    let places = CarReader::open(bytes).expect("header").into_places();
    let places: Vec<_> = places.map(|place| place.expect("section")).collect();
    let slow = CarReader::open(Stutter::new(bytes, vec![1])).expect("header").into_places();
    assert!(slow.map(|place| place.expect("section")).eq(places.iter().copied()));
    let source = Cursor::new(bytes);
    let seeking = CarReader::open_seekable(source, strict()).expect("header").into_places_seeking();
    assert!(seeking.map(|place| place.expect("section")).eq(places.iter().copied()));
    places
}

#[test]
fn places_count_from_the_file_and_from_the_payload() {
    let blocks = [raw(b"one"), raw(b""), raw(&[7; 300]), raw(&[8; 100_000])];
    for (options, start) in
        [(FileOptions::v1(), 0), (FileOptions::v2(), 51), (FileOptions::v2().data_padding(9), 60)]
    {
        let file = written(&blocks, options);
        let mut offset = 18;
        let places = places(&file);
        assert_eq!(places.len(), blocks.len());
        for (place, block) in places.iter().zip(&blocks) {
            assert_eq!((place.cid(), place.data_len()), (&block.cid, block.data.len()));
            assert_eq!((place.offset(), place.file_offset()), (offset, offset + start));
            assert_eq!(place.file_data_offset(), place.data_offset() + start);
            assert_eq!(place.data_offset() + block.data.len() as u64, offset + place.len());
            let stored = &file[place.file_offset() as usize..][..place.len() as usize];
            assert!(stored.ends_with(&block.data));
            assert_eq!(place.read(&file, strict()).expect("sound"), block.data);
            offset += place.len();
        }
        let car = IndexedCar::open(&file[..]).expect("header");
        for (place, block) in places.iter().zip(&blocks) {
            let section = car.section(&block.cid).expect("sound").expect("there");
            assert_eq!(car.place(&section), *place);
        }
    }
}

#[test]
fn the_specification_file_has_the_offsets_that_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    for name in ["carv1-basic", "carv2-basic"] {
        let read = |ending: &str| fs::read(Path::new(folder).join(format!("{name}.{ending}")));
        let (Ok(bytes), Ok(json)) = (read("car"), read("json")) else {
            eprintln!("skipped: {name}");
            continue;
        };
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let expected = json["blocks"].as_array().expect("array");
        let found = places(&bytes);
        assert_eq!(found.len(), expected.len());
        for (place, expected) in found.iter().zip(expected) {
            let number = |key: &str| expected[key].as_u64().expect("number");
            assert_eq!(place.cid().to_string(), expected["cid"]["/"]);
            assert_eq!(
                (place.len(), place.data_len() as u64),
                (number("length"), number("blockLength"))
            );
            assert_eq!(place.file_offset(), number("offset"));
            assert_eq!(place.file_data_offset(), number("blockOffset"));
        }
    }
}

#[test]
fn what_is_read_is_checked() {
    let (bytes, blocks) = small();
    let last = *places(&bytes).last().expect("a block");
    let file = SeekSource::new(Cursor::new(bytes.clone()));
    assert_eq!(last.read(&file, strict()).expect("sound"), blocks[5].data);
    let kind = |bytes: &[u8], options| {
        let error = last.read(bytes, options).expect_err("refused");
        assert_eq!(error.offset(), Some(last.offset()));
        format!("{:?}", error.kind())
    };
    let cut = &bytes[..bytes.len() - 1];
    assert_eq!(kind(cut, strict()), format!("{:?}", ErrorKind::Truncated(Part::Data)));
    let limits = Limits::default().section(20);
    assert!(kind(&bytes, strict().limits(limits)).starts_with("TooLarge"));
    let mut bad = bytes.clone();
    *bad.last_mut().expect("not empty") ^= 1;
    assert!(kind(&bad, strict()).starts_with("Mismatch"));
    assert!(last.read(&bad, strict().danger_skip_verification()).is_ok());
    let far = BlockPlace { payload_start: u64::MAX, ..last };
    assert!(far.read(&bytes, strict()).is_err());
}

#[test]
fn a_last_section_that_is_cut_ends_the_places_with_an_error() {
    let bytes = car(&[], &[raw(b"one"), raw(&[7; 9000])]);
    let cut = &bytes[..bytes.len() - 1];
    let ends = |mut places: Box<dyn Iterator<Item = carstone_car::Result<BlockPlace>> + '_>| {
        assert!(places.next().expect("one").is_ok());
        assert!(places.next().expect("two").is_err());
        assert!(places.next().is_none());
    };
    ends(Box::new(CarReader::open(cut).expect("header").into_places()));
    let reader = CarReader::open_seekable(Cursor::new(cut), strict()).expect("header");
    ends(Box::new(reader.into_places_seeking()));
    let reader = CarReader::open(cut).expect("header").into_places();
    assert_eq!(reader.get_ref().roots(), &[] as &[Cid]);
}
