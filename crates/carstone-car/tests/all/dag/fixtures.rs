//! DAGs in files of other implementations.

use std::fs;
use std::path::Path;

use carstone_car::dag::{
    ExportOptions, NodeLimits, WalkLimits, WalkOptions, check_complete, export, implicit_roots,
    links,
};
use carstone_car::{CarReader, Cid, IndexedCar, codec};

use super::{blocks, cids};

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

/// The CIDs in a value of the description, in their order, as dag-json has them.
fn described(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => match map.get("/").and_then(|link| link.as_str()) {
            Some(link) => found.push(link.to_owned()),
            None => map.values().for_each(|value| described(value, found)),
        },
        serde_json::Value::Array(list) => list.iter().for_each(|value| described(value, found)),
        _ => {}
    }
}

#[test]
fn the_links_of_the_specification_file_are_those_of_its_description() {
    let (Some(car), Some(json)) = (fixture("carv1-basic.car"), fixture("carv1-basic.json")) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let expected = json["blocks"].as_array().expect("array");
    let all = blocks(&car);
    assert_eq!(all.len(), expected.len());
    for (block, expected) in all.iter().zip(expected) {
        let found = links(&block.cid, &block.data, &NodeLimits::default()).expect("sound");
        let mut found: Vec<_> = found.iter().map(Cid::to_string).collect();
        let mut named = Vec::new();
        described(&expected["content"], &mut named);
        found.sort();
        named.sort();
        assert_eq!(found, named, "{}", block.cid);
    }
    let file = IndexedCar::open(&car[..]).expect("a header");
    let found = check_complete(&file, file.roots(), &WalkOptions::default(), 10).expect("read");
    assert!(found.is_complete(), "{:?}", found.faults);
    assert!(cids(&car).iter().all(|cid| found.is_reached(cid)));
}

#[test]
fn every_node_of_the_filecoin_file_is_sound_dag_cbor() {
    let Some(car) = fixture("sample-v1.car") else { return };
    let mut linked = 0;
    for block in blocks(&car).iter().filter(|block| block.cid.codec() == codec::DAG_CBOR) {
        linked += links(&block.cid, &block.data, &NodeLimits::default()).expect("sound").len();
    }
    assert!(linked > 1000, "{linked}");
    let file = IndexedCar::open(&car[..]).expect("a header");
    let found = check_complete(&file, file.roots(), &WalkOptions::default(), 10).expect("read");
    assert_eq!(found.unusable, 0);
    assert!(found.blocks > 0);
}

#[test]
fn a_tree_of_files_is_exported_whole_in_order() {
    let Some(car) = fixture("simple-unixfs.car") else { return };
    let file = IndexedCar::open(&car[..]).expect("a header");
    let options = ExportOptions::default();
    let (out, done) = export(&file, file.roots(), Vec::new(), &options).expect("written");
    let (mut before, mut after) = (cids(&car), cids(&out));
    assert_eq!((after[0], done.missing), (file.roots()[0], 0));
    before.sort();
    after.sort();
    before.dedup();
    assert_eq!(after, before);
    let mut reader = CarReader::open(&car[..]).expect("a header");
    let found = implicit_roots(&mut reader, &WalkLimits::default()).expect("read");
    assert_eq!(found, file.roots());
}
