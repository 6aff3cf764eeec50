//! The shared test vectors: encrypted streams that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::{Read, Write};

use carstone_encrypt::{
    EncryptFailSafe, EncryptOptions, EncryptReader, EncryptWriter, Error, ErrorKind, FRAME_LEN,
    FailSafeOptions, ReadOptions,
};
use carstone_layer::{FailSafeRead, FrameHeader, LayerList, LayerSlot, PackId, PlainSource};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

fn cases(key: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/encryption.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    file[key].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn hex(case: &Value, key: &str) -> Option<Vec<u8>> {
    let hex: String = case.get(key)?.as_str().unwrap().split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Some((0..hex.len()).step_by(2).map(byte).collect())
}

/// The first bytes of BLAKE3's extended output for the label.
fn plain(case: &Value) -> Vec<u8> {
    let mut plain = vec![0; case["plain_length"].as_integer().unwrap() as usize];
    let label = text(case, "plain_label").as_bytes();
    blake3::Hasher::new().update(label).finalize_xof().fill(&mut plain);
    plain
}

fn key(case: &Value) -> [u8; 32] {
    hex(case, "content_key").unwrap().try_into().unwrap()
}

fn pack(case: &Value) -> PackId {
    PackId::from_bytes(hex(case, "pack_id").unwrap().try_into().unwrap())
}

fn layers(case: &Value) -> LayerList {
    let list = hex(case, "layer_list").unwrap();
    let (slots, rest) = list[1..].as_chunks::<{ LayerSlot::LEN }>();
    assert_eq!((slots.len(), rest.len()), (list[0].into(), 0));
    let slots = slots.iter().map(|slot| LayerSlot::decode(slot, 0).unwrap()).collect();
    let layers = LayerList::new(slots).unwrap();
    assert_eq!(layers.canonical(), list);
    layers
}

fn writing(case: &Value) -> EncryptOptions {
    EncryptOptions::default()
        .pack_id(pack(case))
        .layers(layers(case))
        .envelope(hex(case, "envelope").unwrap_or_default())
        .container(hex(case, "container_header").unwrap_or_default())
}

fn reading(case: &Value) -> ReadOptions {
    ReadOptions::default().pack_id(pack(case)).layers(layers(case))
}

fn salvaging(case: &Value) -> FailSafeOptions {
    FailSafeOptions::default().pack_id(pack(case)).layers(layers(case))
}

#[track_caller]
fn check_sum(case: &Value, stored: &[u8]) {
    let name = text(case, "name");
    assert_eq!(stored.len() as i64, case["stored_length"].as_integer().unwrap(), "{name}");
    assert_eq!(Some(&Sha256::digest(stored)[..]), hex(case, "stored_sha256").as_deref(), "{name}");
    if let Some(stated) = hex(case, "stored") {
        assert!(stored == stated, "{name}");
    }
}

#[test]
fn commitments() {
    for case in cases("keys") {
        let writer = EncryptWriter::with_options(Vec::new(), &key(&case), writing(&case)).unwrap();
        let stored = writer.finish().unwrap();
        let reader = EncryptReader::with_options(&stored[..], &key(&case), reading(&case)).unwrap();
        let commitment = reader.layer_header().commitment.to_vec();
        assert_eq!(Some(commitment), hex(&case, "commitment"), "{}", text(&case, "name"));
    }
}

/// Each frame is made in its place in a stream.
#[test]
fn frames() {
    let keys = &cases("keys")[0];
    for case in cases("frame") {
        let (name, plain, last) = (text(&case, "name"), plain(&case), case["last"].as_bool());
        let number = |key: &str| case[key].as_integer().unwrap() as usize;
        // No writer makes a short frame that is not last, and half a pebibyte stands before the last frame allowed.
        if ["not last", "last sequence"].contains(&name) {
            continue;
        }
        let mut writer =
            EncryptWriter::with_options(Vec::new(), &key(keys), writing(keys)).unwrap();
        writer.write_all(&vec![0; number("sequence") * FRAME_LEN]).unwrap();
        let (front, back) = plain.split_at(number("first_boundary").min(plain.len()));
        writer.write_all(front).unwrap();
        if !back.is_empty() {
            writer.boundary().unwrap();
        }
        writer.write_all(back).unwrap();
        writer.write_all(if last.unwrap() { b"" } else { b"more" }).unwrap();
        let stored = writer.finish().unwrap();

        let at = 96 + 44 + number("sequence") * (96 + FRAME_LEN + 16);
        let frame = &stored[at..][..number("stored_length")];
        let header = FrameHeader::decode(frame.first_chunk().unwrap()).unwrap();
        assert_eq!(Some(&header.covered()[..]), hex(&case, "aad").as_deref(), "{name}");
        check_sum(&case, frame);
    }
}

#[test]
fn streams() {
    for case in cases("stream") {
        let (name, key, plain) = (text(&case, "name"), key(&case), plain(&case));
        let mut writer = EncryptWriter::with_options(Vec::new(), &key, writing(&case)).unwrap();
        writer.write_all(&plain).unwrap();
        let stored = writer.finish().unwrap();
        check_sum(&case, &stored);

        let mut reader = EncryptReader::with_options(&stored[..], &key, reading(&case)).unwrap();
        reader.verify().unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == plain, "{name}");

        let source = PlainSource::new(&stored[..]);
        let mut reader = EncryptFailSafe::new(source, &key, salvaging(&case)).unwrap();
        read.clear();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == plain, "{name}");
        assert_eq!(reader.next_gap().unwrap(), None, "{name}");
    }
}

/// What a strict reader finds, under the names of the vectors' README. Where two rules are broken, it is the first that is looked at.
fn fault(case: &Value, stored: &[u8]) -> &'static [&'static str] {
    let reader = EncryptReader::with_options(stored, &key(case), reading(case));
    let error: Error = reader.and_then(|reader| reader.verify()).unwrap_err();
    match error.kind() {
        ErrorKind::WrongKey => &["commitment"],
        ErrorKind::BadTag { .. } => &["tag"],
        ErrorKind::HeadersDiffer => &["mismatch"],
        ErrorKind::Truncated => &["truncated"],
        ErrorKind::BadHeader(_) => &["order"],
        ErrorKind::WrongFrame { field: "last flag", .. } => &["plain-length", "tag"],
        ErrorKind::WrongFrame { field: "sequence", .. } => &["order", "tag"],
        other => panic!("{}: {other:?}", text(case, "name")),
    }
}

/// Plain bytes that a fail-safe reader gives, and those it reports as lost.
fn salvage(case: &Value, stored: &[u8]) -> Result<(u64, u64), Error> {
    let source = PlainSource::new(stored);
    let mut reader = EncryptFailSafe::new(source, &key(case), salvaging(case))?;
    let (mut plain, mut lost) = (Vec::new(), 0);
    loop {
        reader.read_to_end(&mut plain).unwrap();
        let Some(gap) = reader.next_gap().unwrap() else { break };
        lost += gap.len.unwrap();
    }
    Ok((plain.len() as u64, lost))
}

#[test]
fn damaged() {
    for case in cases("damaged") {
        let (name, expected) = (text(&case, "name"), text(&case, "expect"));
        let stored = hex(&case, "stored").unwrap();
        let fault = fault(&case, &stored);
        assert!(fault.contains(&expected), "{name}: {fault:?} instead of {expected}");
        match (expected, salvage(&case, &stored)) {
            ("commitment", outcome) => {
                let error = outcome.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::WrongKey), "{name}");
            }
            // Nothing is wrong with the data frame.
            ("mismatch" | "truncated", outcome) => assert_eq!(outcome.unwrap(), (50, 0), "{name}"),
            (_, outcome) => assert_eq!(outcome.unwrap(), (0, 50), "{name}"),
        }
    }
}
