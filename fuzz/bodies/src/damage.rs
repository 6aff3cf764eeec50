//! What happens to stored bytes: accidents, and changes by someone who can compute checksums.

use std::ops::Range;

use carstone::layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, PackId};

use crate::input::{Input, noise};

/// Damage that nobody planned: up to six times bits flip, and bytes are lost, repeated, moved, or overwritten with zeros or noise.
///
/// None of it can be aimed at a checksum: whatever bytes a reader still gives must be the right ones.
pub(crate) fn accidents(stored: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..input.below(7) {
        let range = stretch(stored.len(), input);
        match input.below(7) {
            0 | 1 => flip(stored, range.start, input.byte()),
            2 => stored[range].fill(0),
            3 => {
                let bytes = noise(u64::from(input.byte()), range.len());
                stored[range].copy_from_slice(&bytes);
            }
            4 => drop(stored.drain(range)),
            5 => {
                let copy = stored[range].to_vec();
                let to = input.below(stored.len() + 1);
                stored.splice(to..to, copy);
            }
            _ => stored.truncate(range.start),
        }
    }
}

/// Changes that the input chooses byte by byte, besides accidents.
pub(crate) fn tampering(stored: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..input.below(5) {
        match input.below(4) {
            0 => accidents(stored, input),
            1 => {
                let at = input.below(stored.len() + 1);
                let bytes = input.text(40);
                let end = (at + bytes.len()).min(stored.len());
                stored.splice(at..end, bytes.iter().copied());
            }
            _ => forge(stored, input),
        }
    }
}

/// A place in `0..len`, and some bytes from there on.
fn stretch(len: usize, input: &mut Input<'_>) -> Range<usize> {
    let start = input.below(len + 1);
    let most = input.pick(&[1, 4, 64, 1024, 1 << 20]);
    start..start.saturating_add(1 + input.below(most)).min(len)
}

fn flip(stored: &mut [u8], at: usize, bit: u8) {
    if let Some(byte) = stored.get_mut(at) {
        *byte ^= 1 << (bit % 8);
    }
}

/// Where frames start, from the front on, as far as they stand one behind the other.
pub(crate) fn frames(stored: &[u8]) -> Vec<(usize, FrameHeader)> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(header) = stored.get(at..).and_then(<[u8]>::first_chunk)
        && let Ok(header) = FrameHeader::decode(header)
    {
        found.push((at, header));
        at = at.saturating_add(FRAME_HEADER_LEN).saturating_add(header.stored_len as usize);
    }
    found
}

/// Changes one frame and makes all its checksums fit again.
pub(crate) fn forge(stored: &mut Vec<u8>, input: &mut Input<'_>) {
    let frames = frames(stored);
    if frames.is_empty() {
        return;
    }
    let (at, mut header) = frames[input.below(frames.len())];
    let start = at + FRAME_HEADER_LEN;
    let end = start.saturating_add(header.stored_len as usize).min(stored.len());
    let mut payload = stored[start..end].to_vec();
    for _ in 0..1 + input.below(3) {
        change(&mut header, &mut payload, input);
    }
    header.stored_len = payload.len() as u32;
    let mut frame = header.sealed(&payload).encode().to_vec();
    frame.append(&mut payload);
    match input.below(4) {
        0 => drop(stored.splice(at..at, frame)),
        _ => drop(stored.splice(at..end, frame)),
    }
}

fn change(header: &mut FrameHeader, payload: &mut Vec<u8>, input: &mut Input<'_>) {
    match input.below(14) {
        0 => header.layer = LayerId(input.byte() % 6),
        1 => header.kind = Kind(input.pick(&[0, 1, 2, 3, 4, 5, 6, 127, 128, 255])),
        2 => header.codec = input.byte() % 5,
        3 => header.last = !header.last,
        4 => header.pack = PackId::from_bytes([input.byte(); 16]),
        5 => header.segment = input.number() as u32,
        6 => header.sequence = near(header.sequence, input),
        7 => header.plain_offset = near(header.plain_offset, input),
        8 => header.plain_len = near(header.plain_len.into(), input) as u32,
        9 => header.first_boundary = input.flag().then(|| input.number() as u32),
        10 => payload.truncate(input.below(payload.len() + 1)),
        11 => payload.extend_from_slice(input.text(64)),
        12 => *payload = input.text(256).to_vec(),
        _ => {
            let at = input.below(payload.len());
            for (byte, new) in payload.iter_mut().skip(at).zip(input.text(17)) {
                *byte = *new;
            }
        }
    }
}

fn near(value: u64, input: &mut Input<'_>) -> u64 {
    match input.byte() % 4 {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value.wrapping_add(input.number()),
        _ => input.number(),
    }
}
