//! The shared test vectors: headers, trailers, appendices and whole packs that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::packs;
use carstone_layer::FailSafeRead;
use carstone_raw::{
    Container, Error, ErrorKind, RawFailSafe, RawOptions, RawReader, RawWriter, read_container,
};
use toml::{Table, Value};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors"))
}

/// The cases of one kind in `container.toml`.
fn cases(kind: &str) -> Vec<Table> {
    let text = fs::read_to_string(folder().join("container.toml")).unwrap();
    let file: Table = text.parse().unwrap();
    let cases = file[kind].as_array().unwrap();
    assert!(!cases.is_empty());
    cases.iter().map(|case| case.as_table().unwrap().clone()).collect()
}

fn text<'a>(case: &'a Table, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn bytes(case: &Table, key: &str) -> Option<Vec<u8>> {
    let hex: String = case.get(key)?.as_str()?.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Some((0..hex.len()).step_by(2).map(byte).collect())
}

/// Whether a refusal is the one that a vector names.
fn is_expected(error: &Error, expected: &str) -> bool {
    match error.kind() {
        ErrorKind::Unknown { .. } => expected == "newer",
        ErrorKind::BadField(_) => ["layers", "unit", "reserved", "segment"].contains(&expected),
        ErrorKind::NotAPack => expected == "not-a-pack",
        ErrorKind::ShortHeader { .. } => expected == "truncated",
        ErrorKind::HeaderDamaged => expected == "corrupt",
        // The sums of a trailer can be good although its end magic is not there.
        ErrorKind::TrailerDamaged => ["corrupt", "no-trailer"].contains(&expected),
        ErrorKind::Differ { .. } => expected == "mismatch",
        _ => false,
    }
}

#[test]
fn headers() {
    for case in cases("header") {
        let (name, expected) = (text(&case, "name"), text(&case, "expect"));
        let header = bytes(&case, "bytes").unwrap();
        match read_container(header.as_slice()) {
            // A private layer is the business of the program that knows it: here it only has to be a layer.
            Ok(container) if expected == "ok" || name == "private layer" => {
                assert_eq!(container.encode().as_slice(), header, "{name}");
                if let Some(list) = bytes(&case, "layer_list") {
                    assert_eq!(container.layers.canonical(), list, "{name}");
                    let id = bytes(&case, "pack_id").unwrap();
                    assert_eq!(container.pack_id.as_bytes().as_slice(), id, "{name}");
                }
            }
            Ok(_) => panic!("{name}: expected {expected}"),
            Err(error) => assert!(is_expected(&error, expected), "{name}: {error:?}"),
        }
        if let Some(good) = bytes(&case, "corrects_to") {
            let (container, found) =
                Container::decode_corrected(header.first_chunk().unwrap()).unwrap();
            assert_eq!(container.encode().as_slice(), good, "{name}");
            assert!(found.is_some());
        }
        if case.get("correctable") == Some(&Value::Boolean(false)) {
            assert_eq!(Container::decode_corrected(header.first_chunk().unwrap()), None, "{name}");
        }
    }
}

#[test]
fn trailers() {
    for case in cases("trailer") {
        let (name, expected) = (text(&case, "name"), text(&case, "expect"));
        let trailer = bytes(&case, "bytes").unwrap();
        let good = bytes(&case, "corrects_to");
        let stored_len = good.as_ref().unwrap_or(&trailer)[256..264].try_into().unwrap();
        let framed = vec![7; u64::from_le_bytes(stored_len) as usize - 560];
        let stored = [bytes(&case, "header").unwrap(), framed.clone(), trailer].concat();
        match RawReader::open_at(&stored) {
            Ok(reader) => assert_eq!((expected, reader.len()), ("ok", framed.len() as u64)),
            Err(error) => assert!(is_expected(&error, expected), "{name}: {error:?}"),
        }
        if good.is_some() {
            let mut reader = RawFailSafe::new(stored.as_slice()).unwrap();
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == framed && reader.next_gap().unwrap().is_none(), "{name}");
        }
    }
}

#[test]
fn appendices() {
    let mut stored = packs::pack(b"keystone");
    let cases = cases("appendix");
    cases.iter().for_each(|case| stored.extend(bytes(case, "bytes").unwrap()));
    let reader = RawReader::open_at(&stored).unwrap();
    let seen = reader.appendices().iter();
    let seen: Vec<_> = seen.map(|a| (i64::from(a.kind), a.range.end - a.range.start)).collect();
    let number = |case: &Table, key: &str| case[key].as_integer().unwrap();
    let stated: Vec<_> =
        cases.iter().map(|case| (number(case, "kind"), number(case, "length") as u64)).collect();
    assert_eq!(seen, stated);
}

#[test]
fn packs_are_opened_and_written_alike() {
    let mut seen = 0;
    for entry in fs::read_dir(folder().join("packs")).unwrap() {
        let stored = fs::read(entry.unwrap().path()).unwrap();
        let mut reader = RawReader::open_at(&stored).unwrap();
        let container = reader.container().clone();
        let options = RawOptions::default().with_pack_id(container.pack_id);
        let mut writer = RawWriter::with_options(Vec::new(), container.layers, options).unwrap();
        io::copy(&mut reader, &mut writer).unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.finish().unwrap(), stored[..reader.stored_len() as usize]);
        seen += 1;
    }
    assert!(seen > 0);
}
