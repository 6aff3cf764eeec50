//! The shared test vectors: footers that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::Write;

use carstone_layer::PackId;
use carstone_position::{ErrorKind, PositionReader, PositionWriter};
use toml::Table;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn footers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/position.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let own = PackId::from_bytes(bytes("b0173c8ab8d00c4355cf0ba01e1816d8").try_into().unwrap());
    for case in file["footer"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let (name, expected) = (text("name"), text("expect"));
        let plain = vec![7; case["length"].as_integer().unwrap() as usize];
        let stored = [plain.clone(), bytes(text("bytes"))].concat();
        let outcome = match PositionReader::open_at(&stored) {
            Ok(reader) if reader.pack_id() != own => vec!["foreign"],
            Ok(reader) => {
                let mark = case.get("mark").map(|mark| mark.as_integer().unwrap() as u64);
                assert_eq!(reader.mark(), mark, "{name}");
                let mut writer = PositionWriter::new(Vec::new(), own);
                let (before, behind) = plain.split_at(mark.unwrap_or(0) as usize);
                writer.write_all(before).unwrap();
                if mark.is_some() {
                    writer.mark();
                }
                writer.write_all(behind).unwrap();
                assert_eq!(writer.finish().unwrap(), stored, "{name}");
                vec!["ok"]
            }
            Err(error) => match error.kind() {
                ErrorKind::FooterMissing => vec!["not-a-footer"],
                ErrorKind::FooterDamaged => vec!["corrupt"],
                ErrorKind::Length { .. } => vec!["length"],
                ErrorKind::BadField(_) => vec!["mark", "segment", "reserved"],
                other => panic!("{name}: {other:?}"),
            },
        };
        assert!(outcome.contains(&expected), "{name}: {outcome:?} instead of {expected}");
    }
}
