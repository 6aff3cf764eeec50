//! The shared test vectors: compressed streams that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::{Read, Write};

use carstone_compress::{
    Codec, CompressFailSafe, CompressOptions, CompressReader, CompressWriter, Error, ErrorKind,
    ReadOptions,
};
use carstone_layer::{FailSafeRead, Kind, PackId, PlainSource};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

fn cases(key: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/compression.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    file[key].as_array().unwrap().clone()
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn hex(case: &Value, key: &str) -> Option<Vec<u8>> {
    case.get(key).map(|value| bytes(value.as_str().unwrap()))
}

fn number(case: &Value, key: &str) -> usize {
    case[key].as_integer().unwrap().try_into().unwrap()
}

/// The bytes that long inputs are made of, as the vectors' README says.
fn seeded(label: &str, len: usize) -> Vec<u8> {
    let mut seeded = vec![0; len];
    blake3::Hasher::new().update(label.as_bytes()).finalize_xof().fill(&mut seeded);
    seeded
}

fn pack(case: &Value) -> PackId {
    PackId::from_bytes(bytes(text(case, "pack_id")).try_into().unwrap())
}

fn options(case: &Value) -> ReadOptions {
    let block = u32::try_from(number(case, "block")).unwrap();
    ReadOptions::default().pack_id(pack(case)).max_block(block)
}

fn frame_lengths(case: &Value) -> Vec<usize> {
    match case.get("frame_lengths") {
        Some(lengths) => {
            let len = |len: &Value| len.as_integer().unwrap() as usize;
            lengths.as_array().unwrap().iter().map(len).collect()
        }
        None => vec![1; number(case, "plain_length")],
    }
}

/// Plain bytes, where the vectors state them or where they come from.
fn stated_plain(case: &Value) -> Option<Vec<u8>> {
    let label = case.get("plain_label").map(|label| label.as_str().unwrap());
    let label = label.or((text(case, "name") == "anchor").then_some("anchor"));
    hex(case, "plain").or_else(|| Some(seeded(label?, number(case, "plain_length"))))
}

/// The stream of a case whose frames are all stored, as this crate writes it.
fn written(case: &Value, plain: &[u8]) -> Vec<u8> {
    let mut options = CompressOptions::default()
        // A frame that gains nothing is stored under any codec.
        .codec(if number(case, "codec") == 0 { Codec::Stored } else { Codec::Brotli(5) })
        .block_size(number(case, "block").try_into().unwrap())
        .pack_id(pack(case));
    if let Some(header) = hex(case, "container_header") {
        options = options.anchor(header);
    }
    let mut writer = CompressWriter::with_options(Vec::new(), options).unwrap();
    let mut rest = plain;
    for len in frame_lengths(case) {
        let (block, behind) = rest.split_at(len);
        writer.seek_unit(len as u32);
        writer.write_all(block).unwrap();
        rest = behind;
    }
    assert_eq!(rest, b"");
    writer.finish().unwrap()
}

#[track_caller]
fn check_stored(case: &Value, stored: &[u8]) {
    let name = text(case, "name");
    assert_eq!(stored.len(), number(case, "stored_length"), "{name}");
    assert_eq!(Sha256::digest(stored)[..], bytes(text(case, "stored_sha256")), "{name}");
}

#[track_caller]
fn check_reading(case: &Value, stored: &[u8]) {
    let name = text(case, "name");
    let sum = bytes(text(case, "plain_sha256"));
    let mut reader = CompressReader::with_options(stored, options(case)).unwrap();
    reader.verify(|_| {}).unwrap();
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).unwrap();
    assert_eq!(Sha256::digest(&plain)[..], sum, "{name}");
    if let Some(stated) = hex(case, "plain") {
        assert_eq!(plain, stated, "{name}");
    }
    let frames = reader.frames().map(|frame| frame.unwrap().1);
    let data = frames.filter(|header| header.kind == Kind::DATA);
    let lengths: Vec<usize> = data.map(|header| header.plain_len as usize).collect();
    assert_eq!(lengths, frame_lengths(case), "{name}");

    let mut salvaged = Vec::new();
    let mut reader = CompressFailSafe::new(PlainSource::new(stored), options(case));
    reader.read_to_end(&mut salvaged).unwrap();
    assert!(salvaged == plain, "{name}");
    assert_eq!(reader.next_gap().unwrap(), None, "{name}");
}

#[test]
fn streams() {
    for case in cases("stream") {
        if number(&case, "codec") == 2 && cfg!(not(feature = "zstd")) {
            continue;
        }
        let given = hex(&case, "stored");
        let made = stated_plain(&case).map(|plain| written(&case, &plain));
        for stored in given.iter().chain(&made) {
            check_stored(&case, stored);
        }
        check_reading(&case, &given.or(made).unwrap());
    }
}

/// What a strict reader finds, under the names of the vectors' README.
fn fault(case: &Value, stored: &[u8]) -> &'static str {
    let reader = CompressReader::with_options(stored, options(case));
    let error: Error = reader.and_then(|reader| reader.verify(|_| {})).unwrap_err();
    match error.kind() {
        ErrorKind::Truncated => "truncated",
        ErrorKind::BadPayload { .. } => "codec",
        ErrorKind::Misplaced { what: "stored length", .. } => "length",
        ErrorKind::Misplaced { what: "plain length", .. } => "empty",
        ErrorKind::Misplaced { .. } | ErrorKind::BadFooter("place") => "order",
        ErrorKind::BadFooter(_) => "footer",
        ErrorKind::Missing { .. } => "missing",
        ErrorKind::TooLong { .. } => "limit",
        other => panic!("{}: {other:?}", text(case, "name")),
    }
}

/// Plain bytes that a fail-safe reader gives, and those it reports as lost.
fn salvage(case: &Value, stored: &[u8]) -> (u64, u64) {
    let mut reader = CompressFailSafe::new(PlainSource::new(stored), options(case));
    let (mut plain, mut lost) = (Vec::new(), 0);
    loop {
        reader.read_to_end(&mut plain).unwrap();
        assert_eq!(reader.position(), plain.len() as u64 + lost);
        let Some(gap) = reader.next_gap().unwrap() else { break };
        lost += gap.len.unwrap_or(0);
    }
    (plain.len() as u64, lost)
}

#[test]
fn damaged() {
    for case in cases("damaged") {
        let (name, expected) = (text(&case, "name"), text(&case, "expect"));
        let stored = hex(&case, "stored").unwrap();
        if name == "not zstd" && cfg!(not(feature = "zstd")) {
            continue;
        }
        assert_eq!(fault(&case, &stored), expected, "{name}");
        let (plain, lost) = salvage(&case, &stored);
        match expected {
            // Nothing is wrong with the data frames.
            "footer" | "truncated" => assert_eq!((plain, lost), (500, 0), "{name}"),
            "codec" | "length" | "limit" => assert!(plain == 0 && lost > 0, "{name}"),
            "missing" => assert_eq!((plain, lost), (250, 250), "{name}"),
            _ => assert!(plain >= 250 && lost <= 1, "{name}: {plain} and {lost}"),
        }
    }
}
