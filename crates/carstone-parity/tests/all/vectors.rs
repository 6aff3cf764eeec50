//! The shared test vectors: layouts and parities that another program made.

use std::fs;

use carstone_parity::{ErrorKind, Layout, Share};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

/// A table of `parity.toml`.
pub fn vectors(table: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/parity.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    file[table].as_array().unwrap().clone()
}

pub fn bytes(value: &Value) -> Vec<u8> {
    let hex: String = value.as_str().unwrap().split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

pub fn number(case: &Value, key: &str) -> u64 {
    case[key].as_integer().unwrap().try_into().unwrap()
}

/// A whole parity of this case must be these bytes.
pub fn check(case: &Value, made: &[u8]) {
    let name = case["name"].as_str().unwrap();
    assert_eq!(made.len() as u64, number(case, "parity_len"), "{name}");
    if let Some(known) = case.get("bytes") {
        assert_eq!(made, bytes(known), "{name}");
    }
    // The frames before the hash: they tell where it goes wrong.
    for frame in case.get("frame").map_or(&[][..], |frames| frames.as_array().unwrap()) {
        let begin = number(frame, "offset") as usize;
        let whole = &made[begin..][..number(frame, "length") as usize];
        let starts = bytes(&frame["starts"]);
        assert_eq!(whole[..starts.len()], starts, "{name}: frame at byte {begin}");
        assert_eq!(
            Sha256::digest(whole)[..],
            bytes(&frame["sha256"]),
            "{name}: frame at byte {begin}"
        );
    }
    if let Some(known) = case.get("sha256") {
        assert_eq!(Sha256::digest(made)[..], bytes(known), "{name}");
    }
}

#[test]
fn layouts() {
    for case in vectors("layout") {
        let share = u32::try_from(number(&case, "share")).unwrap();
        let Some(share) = Share::new(share) else {
            assert_eq!(case["expect"].as_str(), Some("share"), "{case}");
            continue;
        };
        let layout = match Layout::new(number(&case, "length"), share) {
            Ok(layout) => layout,
            Err(error) => {
                assert_eq!(case["expect"].as_str(), Some("length"), "{case}");
                assert!(matches!(error.kind(), ErrorKind::TooLong { .. }), "{error}");
                continue;
            }
        };
        assert_eq!(layout.stream_len(), number(&case, "length"));
        assert_eq!(layout.share(), share);
        let numbers = [
            ("cell_len", layout.cell_len().into()),
            ("cells", layout.cells()),
            ("zones", layout.zones().into()),
            ("recovery", layout.recovery().into()),
            ("parity_len", layout.parity_len()),
        ];
        for (key, found) in numbers {
            assert_eq!(found, number(&case, key), "{key} of {case}");
        }
    }
}
