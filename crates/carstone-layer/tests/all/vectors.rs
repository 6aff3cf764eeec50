//! The shared test vectors: checksums and frames that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;

use carstone_layer::{
    ErrorKind, FRAME_HEADER_LEN, FrameHeader, FrameScan, Kind, LayerId, PackId, PlainSource,
    ScanLimits, Scanned, correct_frame, crc32c, crc64, digest16,
};
use toml::{Table, Value};

fn vectors(file: &str) -> Table {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors");
    fs::read_to_string(format!("{folder}/{file}")).unwrap().parse().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn own() -> PackId {
    PackId::from_bytes(bytes("b0173c8ab8d00c4355cf0ba01e1816d8").try_into().unwrap())
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

#[test]
fn checks() {
    let file = vectors("checks.toml");
    for case in file["check"].as_array().unwrap() {
        let (name, input) = (text(case, "name"), bytes(text(case, "input")));
        let (front, back) = input.split_at(input.len() / 3);
        for parts in [&[&input[..]][..], &[front, back]] {
            assert_eq!(format!("{:08x}", crc32c(parts)), text(case, "crc32c"), "{name}");
            assert_eq!(format!("{:016x}", crc64(parts)), text(case, "crc64"), "{name}");
            assert_eq!(digest16(parts)[..], bytes(text(case, "b3")), "{name}");
        }
    }
    for case in file["seeded"].as_array().unwrap() {
        let mut seeded = vec![0; case["length"].as_integer().unwrap() as usize];
        blake3::Hasher::new()
            .update(text(case, "label").as_bytes())
            .finalize_xof()
            .fill(&mut seeded);
        assert_eq!(seeded, bytes(text(case, "bytes")), "{}", text(case, "label"));
    }
}

/// What this crate makes of a frame by itself. What a layer refuses because of its own rules is none of it.
fn outcome(frame: &[u8]) -> &'static str {
    let Some((head, payload)) = frame.split_first_chunk() else { return "truncated" };
    let header = match FrameHeader::decode(head) {
        Ok(header) => header,
        Err(error) => match error.kind() {
            ErrorKind::BadMagic => return "not-a-frame",
            ErrorKind::BadHeaderSum => return "header-crc",
            ErrorKind::BadField(_) => return "reserved",
            ErrorKind::Unknown { .. } => return "newer",
            other => panic!("{other:?}"),
        },
    };
    assert_eq!(header.encode(), *head);
    let Some(payload) = payload.get(..header.stored_len as usize) else { return "truncated" };
    match (header.payload_matches_crc(payload), header.payload_matches_digest(payload)) {
        _ if header.pack != own() => "foreign",
        (false, _) => "payload-crc",
        (true, false) => "digest",
        (true, true) => "ok",
    }
}

/// The fields of a good header that a layer must refuse: each vector is about one of them.
fn states(header: &FrameHeader, expected: &str) -> bool {
    let max_plain = if header.layer == LayerId::ENCRYPTION { 128 << 10 } else { 16 << 20 };
    match expected {
        "newer" => {
            let known = [LayerId::ENCRYPTION, LayerId::COMPRESSION].contains(&header.layer);
            let codecs = if header.layer == LayerId::ENCRYPTION { 1 } else { 2 };
            !known || !header.kind.is_known() || header.codec > codecs
        }
        "segment" => header.segment != 0,
        "boundary" => header.first_boundary.is_some_and(|at| at >= header.plain_len),
        "plain-length" => header.kind != Kind::DATA && header.plain_len > 0,
        "limit" if header.kind == Kind::HOLE => header.stored_len > 0,
        "limit" => {
            header.plain_len > max_plain
                || header.stored_len > header.plain_len
                || header.sequence >= 1 << 32
        }
        other => panic!("{other}"),
    }
}

#[test]
fn frames() {
    for case in vectors("frames.toml")["frame"].as_array().unwrap() {
        let (name, expected) = (text(case, "name"), text(case, "expect"));
        let stored = bytes(text(case, "bytes"));
        match outcome(&stored) {
            outcome if outcome == expected => {}
            "ok" => {
                let header = FrameHeader::decode(stored.first_chunk().unwrap()).unwrap();
                assert!(states(&header, expected), "{name}: {expected}, but {header:?}");
            }
            outcome => panic!("{name}: {outcome} instead of {expected}"),
        }
        if expected == "ok" {
            check_writing(case, &stored);
        }
        match case.get("corrects_to") {
            Some(whole) => check_correction(name, &stored, Some(&bytes(whole.as_str().unwrap()))),
            None if case.get("correctable").is_some() => check_correction(name, &stored, None),
            None => {}
        }
    }
}

/// Builds the frame from its fields.
#[track_caller]
fn check_writing(case: &Value, stored: &[u8]) {
    let number = |key: &str| u64::try_from(case[key].as_integer().unwrap()).unwrap();
    let short = |key: &str| u32::try_from(number(key)).unwrap();
    let payload = bytes(text(case, "payload"));
    let layer = LayerId(number("layer") as u8);
    let mut header = FrameHeader::data(layer, own(), number("sequence"), number("plain_offset"))
        .with_lengths(short("plain_length"), payload.len() as u32);
    header.kind = Kind(number("kind") as u8);
    header.codec = number("codec") as u8;
    header.last = case["last"].as_bool().unwrap();
    header.first_boundary = Some(short("first_boundary")).filter(|&at| at != u32::MAX);
    let made = [&header.sealed(&payload).encode()[..], &payload].concat();
    assert_eq!(made, stored, "{}", text(case, "name"));
}

/// What a scan, and a correction by itself, make of a damaged frame.
#[track_caller]
fn check_correction(name: &str, stored: &[u8], expected: Option<&[u8]>) {
    let limits = ScanLimits::new(16 << 20, 1 << 16);
    let layer = LayerId(expected.unwrap_or(stored)[13]);
    let mut scan = FrameScan::new(PlainSource::new(stored), layer, Some(own()), limits);
    let scanned = match scan.next().unwrap() {
        Some(Scanned::Frame(frame)) => Some([&frame.header.encode()[..], &frame.payload].concat()),
        _ => None,
    };
    assert_eq!(scanned.as_deref(), expected, "{name}");

    let header_is_good = FrameHeader::decode(stored.first_chunk().unwrap()).is_ok();
    let mut frame = stored.to_vec();
    let corrected = correct_frame(&mut frame, layer, Some(own()), limits);
    if let (false, Some(expected)) = (header_is_good, expected) {
        let (header, made) = corrected.unwrap();
        assert_eq!((&frame[..], made.len()), (expected, 1), "{name}");
        assert_eq!(header.encode(), expected[..FRAME_HEADER_LEN], "{name}");
    }
}
