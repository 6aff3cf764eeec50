//! The shared test vectors: indexes over many CARs that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;

use super::{Named, PAGE, numbered, open};
use crate::sources::car;
use carstone_car::{CarReader, MultiIndexBuilder, cid::Version, hash_code, multihash_of};
use toml::{Table, Value};

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn field(case: &Value, key: &str) -> Vec<u8> {
    bytes(case[key].as_str().unwrap())
}

fn number(case: &Value, key: &str) -> u64 {
    case[key].as_integer().unwrap() as u64
}

/// The files of a case: those that are given, or those that its numbers say.
fn files(case: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    if let Some(given) = case.get("file") {
        let given = given.as_array().unwrap().iter();
        return given.map(|file| (field(file, "name"), field(file, "car"))).collect();
    }
    let Some(count) = case.get("files") else { return Vec::new() };
    let (step, blocks) = (number(case, "step"), number(case, "blocks"));
    let files = (0..count.as_integer().unwrap() as u64).map(|file| -> Named {
        let blocks: Vec<_> = (0..blocks).map(|n| numbered(file * step + n)).collect();
        (format!("{file}.car"), car(&[], &blocks))
    });
    files.map(|(name, car)| (name.into_bytes(), car)).collect()
}

#[test]
fn the_same_files_give_the_same_index() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/multi_index.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let cases = file["index"].as_array().unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let (name, files) = (case["name"].as_str().unwrap(), files(case));
        let mut builder = MultiIndexBuilder::new();
        for (name, car) in &files {
            builder.add_car(name.clone(), car).unwrap();
        }
        let index = builder.write(Vec::new()).unwrap();
        assert_eq!(index.len() as u64, number(case, "length"), "{name}");
        for (number, page) in case.get("page").into_iter().flat_map(pages).enumerate() {
            assert_eq!(index[number * PAGE..][..PAGE], page, "{name}: page {number}");
        }
        let digest = multihash_of(hash_code::SHA2_256, &index).unwrap();
        assert_eq!(digest.digest(), field(case, "sha256"), "{name}");
        found(&index, &files);
    }
}

fn pages(list: &Value) -> impl Iterator<Item = Vec<u8>> {
    list.as_array().unwrap().iter().map(|page| {
        let mut bytes = field(page, "content");
        bytes.resize(PAGE - 16, 0);
        [bytes, field(page, "sum")].concat()
    })
}

/// Every section is found, and nothing more.
fn found(index: &[u8], files: &[(Vec<u8>, Vec<u8>)]) {
    let index = open(index);
    index.verify().unwrap();
    let mut sections = 0;
    for (number, (name, car)) in files.iter().enumerate() {
        assert_eq!(index.file(number as u32).unwrap().name, *name);
        for section in CarReader::open(&car[..]).unwrap().into_sections() {
            let section = section.unwrap();
            let places = index.find_all(&section.cid).unwrap().map(|place| place.unwrap());
            let is_it = |place: &carstone_car::MultiPlace| {
                (place.file as usize, place.offset, place.len)
                    == (number, section.offset, Some(section.len()))
            };
            let is_inline = section.cid.hash().code() == hash_code::IDENTITY;
            assert_eq!(places.filter(is_it).count(), usize::from(!is_inline));
            assert!(section.cid.version() == Version::V1 || section.cid.codec() == 0x70);
            sections += u64::from(!is_inline);
        }
    }
    assert_eq!(index.len(), sections);
}
