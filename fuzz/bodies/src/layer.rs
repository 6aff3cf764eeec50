//! Frames: one header, small damage put right, and the search in a damaged stream.

use carstone::layer::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FailSafeRead, Frame, FrameHeader, FrameScan, Kind, LayerId,
    PackId, PlainSource, ScanLimits, Scanned, correct_block, correct_frame, correct_payload,
    crc32c, crc64, digest16,
};

use crate::damage;
use crate::input::{Input, choices, noise};
use crate::sources::{Gappy, Stutter};
use crate::vectors;

const PACK: PackId = PackId::from_bytes(*b"sandstone & co. ");
const LAYER: LayerId = LayerId::COMPRESSION;

/// Any 96 bytes, also with magic and sum put right: what is read encodes to the same bytes.
pub fn frame(data: &[u8]) {
    let mut bytes = [0; FRAME_HEADER_LEN];
    let (flags, rest) = data.split_first().unwrap_or((&0, &[]));
    for (byte, new) in bytes.iter_mut().zip(rest) {
        *byte = *new;
    }
    if flags & 1 == 1 {
        bytes[..8].copy_from_slice(&FRAME_MAGIC);
        bytes[12] = bytes[12].min(2);
        let sum = crc32c(&[&bytes[..8], &bytes[12..]]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    }
    if let Ok(header) = FrameHeader::decode(&bytes) {
        assert_eq!(header.encode(), bytes);
        assert_eq!(header.covered(), bytes[12..72]);
        assert_eq!(header.frame_len(), 96 + u64::from(header.stored_len));
        let _ = (header.plain_end(), header.kind.is_known(), header.kind.is_ancillary());
        header.payload_is_intact(rest);
    }
}

/// The shared vectors, as they are and with their sums to be put right.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let frames = vectors::values(vectors::FRAMES, "bytes");
    let flagged = |flags| frames.iter().map(move |frame| [&[flags], &frame[..]].concat());
    choices().into_iter().chain(flagged(0)).chain(flagged(1)).collect()
}

/// A burst of at most 32 bits in a payload, a header or a block is put right, and larger damage never is made into something else.
pub fn correct(data: &[u8]) {
    let mut input = Input::new(data);
    let (header, payload) = sample(input.below(300), input.pick(&[Kind::DATA, Kind::FOOTER]));
    let whole = [&header.encode()[..], &payload].concat();
    let (bit, bits) = (usize::from(input.u16()), (input.u64() as u32) | 1);
    let limits = ScanLimits::new(1 << 12, 1 << 12);

    if !payload.is_empty() {
        let mut hit = payload.clone();
        burst(&mut hit, bit, bits);
        let fixed = correct_payload(&header, &mut hit);
        assert!(hit == payload && fixed.is_some(), "a burst is put right");
    }

    let mut hit = whole.clone();
    burst(&mut hit[..FRAME_HEADER_LEN], bit, bits);
    let pack = input.flag().then_some(PACK);
    let fixed = correct_frame(&mut hit, LAYER, pack, limits);
    assert!(hit == whole && fixed.is_some(), "a burst in a header is put right");

    // Anything at all.
    let mut hit = whole.clone();
    damage::tampering(&mut hit, &mut input);
    let before = hit.clone();
    match correct_frame(&mut hit, LAYER, pack, limits) {
        None => assert!(hit == before, "what is not put right is left alone"),
        Some((header, _)) => {
            let stated = FRAME_HEADER_LEN + header.stored_len as usize;
            let frame = &hit[..stated];
            assert_eq!(frame[..FRAME_HEADER_LEN], header.encode());
            assert!(header.payload_matches_digest(&frame[FRAME_HEADER_LEN..]));
        }
    }

    let mut block = noise(1, 32 + input.below(300));
    let at = block.len() - 8;
    let digest = digest16(&[&block[..at]]);
    let sum = crc64(&[&block[..at]]);
    block[at..].copy_from_slice(&sum.to_le_bytes());
    let mut hit = block.clone();
    burst(&mut hit, bit, bits);
    let fixed = correct_block(&mut hit, at, |bytes| digest16(&[&bytes[..at]]) == digest);
    assert!(hit == block && fixed.is_some(), "a burst in a block is put right");
}

/// Flips the bits of `pattern` from `bit` on. A burst that the end cuts off is a shorter one.
fn burst(bytes: &mut [u8], bit: usize, pattern: u32) {
    let bit = bit % (8 * bytes.len());
    for n in (0..32).filter(|n| pattern >> n & 1 == 1) {
        if let Some(byte) = bytes.get_mut((bit + n) / 8) {
            *byte ^= 1 << ((bit + n) % 8);
        }
    }
}

/// A stream of frames and junk, hit by accidents: the items tile it, frames are those that were written, and pieces do not matter.
pub fn scan(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut stored, mut originals) = (Vec::new(), Vec::new());
    for _ in 0..input.below(6) {
        if input.one_in(4) {
            stored.extend_from_slice(input.text(120));
        }
        let kind = input.pick(&[Kind::DATA, Kind::DATA, Kind::FOOTER, Kind(200)]);
        let (header, payload) = sample(input.below(400), kind);
        let mut frame = [&header.encode()[..], &payload].concat();
        originals.push(frame.clone());
        stored.append(&mut frame);
    }
    let is_forged = input.one_in(4);
    match is_forged {
        true => damage::tampering(&mut stored, &mut input),
        false => damage::accidents(&mut stored, &mut input),
    }
    let pack = input.flag().then_some(PACK);
    let limits = ScanLimits::new(input.pick(&[64, 512, 1 << 16]), 300);

    let items = all_items(PlainSource::new(&stored[..]), pack, limits);
    let end = items.iter().fold(0, |at, item| {
        let range = match item {
            Scanned::Lost { stored, .. } => stored.clone(),
            Scanned::Frame(frame) => frame.at..frame.at + frame.header.frame_len(),
            _ => unreachable!("there are two kinds of items"),
        };
        assert_eq!(range.start, at, "items tile the stream");
        range.end
    });
    assert_eq!(end, stored.len() as u64, "items tile the stream");
    for frame in items.iter().filter_map(frame_of) {
        assert!(limits.of(frame.header.kind) as usize >= frame.payload.len());
        assert!(frame.header.payload_matches_crc(&frame.payload));
        let bytes = [&frame.header.encode()[..], &frame.payload].concat();
        assert!(is_forged || originals.contains(&bytes), "a frame that nobody wrote");
    }

    let pieces = all_items(PlainSource::new(Stutter::new(&stored, &mut input)), pack, limits);
    assert!(pieces == items, "pieces make a difference");
    all_items(Gappy::of(&stored, &mut input), pack, limits);
}

fn frame_of(item: &Scanned) -> Option<&Frame> {
    match item {
        Scanned::Frame(frame) => Some(frame),
        _ => None,
    }
}

fn all_items(source: impl FailSafeRead, pack: Option<PackId>, limits: ScanLimits) -> Vec<Scanned> {
    let mut scan = FrameScan::new(source, LAYER, pack, limits);
    let mut items = Vec::new();
    loop {
        match scan.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return items,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::Interrupted),
        }
    }
}

/// A frame with a payload of `len` bytes.
fn sample(len: usize, kind: Kind) -> (FrameHeader, Vec<u8>) {
    let payload = noise(len as u64, len);
    let len = len as u32;
    let mut header = FrameHeader::data(LAYER, PACK, 5, 1 << 20);
    header.kind = kind;
    let plain = if kind == Kind::DATA { len } else { 0 };
    (header.with_lengths(plain, len).sealed(&payload), payload)
}
