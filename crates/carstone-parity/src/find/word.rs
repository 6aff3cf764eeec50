//! Code words of CRC-64 that are put right: frames of parity, and cells with their CRC.

use std::ops::{ControlFlow, Range};

use carstone_layer::{correct_block, crc64};

use super::pairs::Pairs;
use crate::frame::{self, HEADER_LEN, digest8};

/// Puts right a frame of parity of which `frame` is the whole, where one burst of at most 32 bits or any two bits explain the damage to its
/// bytes 0–31, its payload or its CRC, and the whole digest agrees. Otherwise it is left as it was.
///
/// Two bits are tried where the payload has at most 64 KiB. Says whether it is intact now; a frame that was is not looked at further.
pub(crate) fn correct_frame(frame: &mut [u8]) -> bool {
    if frame::decode(frame).is_some() {
        return true;
    }
    let (Some((head, sums)), Some(payload)) = (
        frame.get(..HEADER_LEN).and_then(|header| header.split_at_checked(COVERED)),
        frame.get(HEADER_LEN..),
    ) else {
        return false;
    };
    let (crc, digest) = sums.split_at(8);
    let mut word = [head, payload, crc].concat();
    let crc_at = word.len() - 8;
    let confirm = |word: &[u8]| digest8(&[&word[..crc_at]]) == digest;
    if !correct(&mut word, 0..crc_at + 8, true, confirm) {
        return false;
    }
    let (head, rest) = word.split_at(COVERED);
    let (payload, crc) = rest.split_at(rest.len() - 8);
    let corrected = [head, crc, digest, payload].concat();
    if frame::decode(&corrected).is_none_or(|header| header.payload_len as usize != payload.len()) {
        return false;
    }
    frame.copy_from_slice(&corrected);
    true
}

/// Puts right a word of which the last 8 bytes are the CRC of those before, where one burst or, if `pairs`, two bits in the bytes `within` explain
/// the damage and `confirm` agrees. Otherwise it is left as it was.
pub(super) fn correct(
    word: &mut [u8],
    within: Range<usize>,
    pairs: bool,
    confirm: impl Fn(&[u8]) -> bool,
) -> bool {
    let Some(crc_at) = word.len().checked_sub(8) else { return false };
    if correct_block(word, crc_at, &confirm).is_some() {
        return true;
    }
    // They are made when they are first asked for.
    let Some(pairs) = pairs.then(|| Pairs::of(crc_at)).flatten() else { return false };
    let (covered, stated) = word.split_at(crc_at);
    let Some(stated) = stated.first_chunk() else { return false };
    let syndrome = crc64(&[covered]) ^ u64::from_le_bytes(*stated);
    if syndrome == 0 {
        return false;
    }
    let last = 8 * word.len() - 1;
    let bits = last + 1 - 8 * within.end..last + 1 - 8 * within.start;
    let mut tried = 0;
    let result = pairs.solve(syndrome, bits, |pair| {
        flip(word, pair.map(|bit| last - bit));
        if confirm(word) {
            return ControlFlow::Break(true);
        }
        flip(word, pair.map(|bit| last - bit));
        tried += 1;
        if tried == MAX_CANDIDATES { ControlFlow::Break(false) } else { ControlFlow::Continue(()) }
    });
    result == ControlFlow::Break(true)
}

fn flip(word: &mut [u8], bits: [usize; 2]) {
    for bit in bits {
        if let Some(byte) = word.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// Bytes of a frame's header that its CRC covers.
const COVERED: usize = 32;

/// Every candidate costs a digest.
const MAX_CANDIDATES: usize = 8;
