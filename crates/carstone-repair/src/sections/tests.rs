//! What is found in bytes that no frame proves.

use std::io::Cursor;
use std::ops::Range;

use carstone_car::{CarWriter, Cid, cid_of, codec};

use super::Proof;
use super::resync::{Part, Resync};
use crate::BlockSearch;

fn sections(blocks: &[&[u8]]) -> Vec<u8> {
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("memory");
    let header = writer.position() as usize;
    for data in blocks {
        writer.write_data(codec::RAW, data).expect("memory");
    }
    writer.finish().expect("memory").split_off(header)
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Block(Cid, Proof),
    Lost(Range<u64>),
}

use Seen::{Block, Lost};

#[track_caller]
fn check(bytes: &[u8], due: bool, expected: &[Seen]) {
    let mut resync = Resync::new(Cursor::new(bytes.to_vec()), 0);
    if due {
        resync.expect(0, Proof::Chain).expect("memory");
    }
    let mut seen = Vec::new();
    while let Some(part) = resync.next().expect("memory") {
        match part {
            Part::Block(block) => seen.push(Block(block.cid, block.proof)),
            Part::Lost(range) => seen.push(Lost(range)),
            Part::Open { .. } => {}
        }
    }
    assert_eq!(seen, expected);
}

fn leaf(data: &[u8]) -> Cid {
    cid_of(codec::RAW, data)
}

const INNER: [&[u8]; 2] = [b"an inner block", b"another inner block"];

#[test]
fn where_the_next_section_stands_nothing_inside_of_a_damaged_one_is_looked_at() {
    let inner = sections(&INNER);
    let mut bytes = sections(&[&inner, b"next"]);
    let first = sections(&[&inner]).len();
    bytes[first - 1] ^= 1;
    let found = Block(leaf(b"next"), Proof::Found);
    check(&bytes, true, &[Lost(0..first as u64), found]);
    // Two in a row.
    let mut bytes = sections(&[&inner, &inner, b"next"]);
    bytes[first - 1] ^= 1;
    bytes[2 * first - 1] ^= 1;
    let (first, found) = (first as u64, Block(leaf(b"next"), Proof::Found));
    check(&bytes, true, &[Lost(0..first), Lost(first..2 * first), found]);
}

#[test]
fn what_stands_in_a_damaged_section_and_leads_nowhere_is_inside() {
    let content = [&sections(&INNER)[..], b"and something else"].concat();
    let first = sections(&[&content]).len();
    for shift in [1, 2] {
        let mut bytes = sections(&[&content, b"next", b"the one behind it"]);
        // The next one stands earlier than it should.
        bytes.drain(first - shift..first);
        let head = (first - content.len()) as u64;
        let (inner, end) = (sections(&INNER).len() as u64, (first - shift) as u64);
        let expected = [
            Lost(0..head),
            Block(leaf(INNER[0]), Proof::Inside),
            Block(leaf(INNER[1]), Proof::Inside),
            Lost(head + inner..end),
            Block(leaf(b"next"), Proof::Found),
            Block(leaf(b"the one behind it"), Proof::Found),
        ];
        check(&bytes, true, &expected);
    }
}

#[test]
fn a_length_that_is_too_large_claims_nothing_that_leads_on() {
    let blocks: [&[u8]; 4] = [&[7; 60], b"second", b"third", &[9; 90]];
    let mut bytes = sections(&blocks);
    bytes[0] += 20; // Up into the third.
    let first = sections(&blocks[..1]).len() as u64;
    let found = |data: &[u8]| Block(leaf(data), Proof::Found);
    check(&bytes, true, &[Lost(0..first), found(b"second"), found(b"third"), found(&[9; 90])]);
}

#[test]
fn without_a_place_to_begin_sections_are_found() {
    let bytes = [&[0; 100][..], &sections(&[b"sand", b"silt"])].concat();
    let found = |data: &[u8]| Block(leaf(data), Proof::Found);
    check(&bytes, false, &[Lost(0..100), found(b"sand"), found(b"silt")]);
    let chain = |data: &[u8]| Block(leaf(data), Proof::Chain);
    check(&sections(&[b"sand", b"silt"]), true, &[chain(b"sand"), chain(b"silt")]);
}

#[test]
fn hashing_is_linear_whatever_is_announced_and_from_gap_to_gap() {
    let mut bytes = Vec::new();
    for n in 0..(1 << 18) / 64_u32 {
        // A head in front of 128 KiB of data.
        bytes.extend_from_slice(&[0x80, 0x80, 0x08]);
        bytes.extend_from_slice(&cid_of(codec::RAW, &n.to_le_bytes()).to_bytes());
        bytes.resize((n as usize + 1) * 64, 0xff);
    }
    let mut resync = Resync::new(Cursor::new(Vec::new()), 0);
    let mut taken = 0;
    for _ in 0..20 {
        *resync.search().get_mut() = Cursor::new(bytes.clone());
        resync.restart(0);
        resync.expect(0, Proof::Broken).expect("memory");
        while let Some(part) = resync.next().expect("memory") {
            assert!(!matches!(part, Part::Block(_)));
        }
        taken += bytes.len() as u64;
    }
    let hashed = resync.search().hashed();
    let most = BlockSearch::<&[u8]>::HASHED_PER_BYTE * taken + 2 * (8 << 20);
    assert_eq!(resync.search().taken(), taken);
    assert!(hashed > taken && hashed <= most, "{hashed} of {taken}");
}
