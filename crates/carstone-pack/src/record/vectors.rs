//! The shared test vectors: records that another program made.

use std::fs;

use carstone_layer::PackId;
use toml::Table;

use super::{Record, decode, is_record};
use crate::error::ErrorKind;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn records_are_taken_and_refused_as_the_vectors_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/records.toml");
    let file: Table = fs::read_to_string(path).expect("the vectors").parse().expect("TOML");
    let pack = bytes("b0173c8ab8d00c4355cf0ba01e1816d8").try_into().expect("16 bytes");
    let pack = PackId::from_bytes(pack);
    for case in file["record"].as_array().expect("a list") {
        let text = |key: &str| case[key].as_str().expect("a text");
        let (name, expected, data) = (text("name"), text("expect"), bytes(text("bytes")));
        let cid = text("cid").parse().expect("a CID");
        assert_eq!(is_record(&cid, &data, &pack), expected != "content", "{name}");
        if expected == "content" {
            continue;
        }
        let outcome = match decode(&data, 0) {
            Ok(record) => {
                if let Record::Batch(batch) = record {
                    assert!(super::Batch::encode(&pack, &batch.entries) == data, "{name}");
                }
                vec!["ok"]
            }
            Err(error) => match error.kind() {
                ErrorKind::BadRecord(_) => vec!["cbor", "entry"],
                ErrorKind::BadPath { .. } => vec!["path"],
                ErrorKind::Newer(_) => vec!["newer"],
                other => panic!("{name}: {other:?}"),
            },
        };
        assert!(outcome.contains(&expected), "{name}: {outcome:?} instead of {expected}");
    }
}
