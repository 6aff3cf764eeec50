//! Small damage put right: a CRC proposes, a digest confirms (`docs/format.md`, section 3.3).
//!
//! *Burst*: flipped bits of which the first and the last are less than 32 bits apart, counted as the CRC does: bytes in order, in each byte from
//! the least significant bit. A single bit is a burst.

use crate::{Correction, FrameHeader, LayerId, PackId, ScanLimits, crc64};

mod header;

pub(crate) use header::{Guesses, looks_like_header};

/// Puts right a payload whose header is good, when one burst of at most 32 bits explains the damage.
///
/// The digest has confirmed what is returned; `at` in it counts from the first payload byte. Otherwise the payload is left as it
/// was. Takes the time of a few checksums of the payload, and rarely up to 8 digests.
pub fn correct_payload(header: &FrameHeader, payload: &mut [u8]) -> Option<Correction> {
    if payload.len() != header.stored_len as usize {
        return None;
    }
    let syndrome = crc64(&[payload]) ^ header.payload_crc;
    // The stated sum is good, so that the last bits that can be wrong stand 64 bits before the end of the code word.
    let last = back_32(back_32(syndrome));
    correct_burst(payload, last, |payload| header.payload_matches_digest(payload))
        .map(|(at, bits)| Correction::new(header.layer, at as u64, bits))
}

/// Puts right a frame whose header is damaged, when one burst of at most 32 bits explains the damage.
///
/// `frame` begins with the 96 bytes of the header; behind it stands as much of the stream as there is, up to the longest
/// payload that `limits` allow. The burst may reach from the header into the payload, and may hit the stated lengths and sums
/// themselves; where it hits the end of the header, another one in the payload may be put right too. The digest has confirmed
/// what is returned; `at` in the corrections counts from the first byte of the header. The corrected frame then stands in the front
/// of `frame`, which is otherwise left as it was.
pub fn correct_frame(
    frame: &mut [u8],
    layer: LayerId,
    pack: Option<PackId>,
    limits: ScanLimits,
) -> Option<(FrameHeader, Vec<Correction>)> {
    let bytes = frame.first_chunk()?;
    if !looks_like_header(bytes, layer, pack) {
        return None;
    }
    Guesses::new(bytes, layer, pack, limits).confirm(frame)
}

/// Puts right a block whose bytes `0..crc_at` are covered by the CRC-64 that stands at `crc_at`, when one burst of at most 32 bits in
/// block or sum explains the damage and `confirm` says so of all of `bytes`.
///
/// Otherwise, and when the sum is right, `bytes` is left as it was. The correction is one of the raw layer, and `at` in it counts from the first
/// byte of the block.
pub fn correct_block(
    bytes: &mut [u8],
    crc_at: usize,
    confirm: impl Fn(&[u8]) -> bool,
) -> Option<Correction> {
    let (block, stated) = bytes.split_at_checked(crc_at)?;
    let syndrome = crc64(&[block]) ^ u64::from_le_bytes(*stated.first_chunk()?);
    let word = crc_at + size_of::<u64>();
    correct_burst_in(bytes, word, syndrome, confirm)
        .map(|(at, bits)| Correction::new(LayerId::RAW, at as u64, bits))
}

/// As [`correct_burst_in`] the whole of `bytes`.
fn correct_burst(
    bytes: &mut [u8],
    last: u64,
    confirm: impl Fn(&[u8]) -> bool,
) -> Option<(usize, u32)> {
    correct_burst_in(bytes, bytes.len(), last, confirm)
}

/// Flips the burst that `confirm` agrees to, among those that explain a syndrome. `last` is the error that would explain it from the 64 bits
/// before `end`. Returns the first byte that was changed, and how many bits were flipped.
///
/// Each 64 bits of a code word can explain any syndrome in exactly one way. So it is enough to look at every window of 64 bits,
/// 32 bits apart: a burst has its last bit in the later half of just one of them, and lies in it as a whole.
fn correct_burst_in(
    bytes: &mut [u8],
    end: usize,
    last: u64,
    confirm: impl Fn(&[u8]) -> bool,
) -> Option<(usize, u32)> {
    let (mut error, mut end, mut tried) = (last, end, 0);
    while error != 0 && end > 0 {
        if is_burst(error) {
            if let Some(at) = flip(bytes, end, error) {
                if confirm(bytes) {
                    return Some((at, error.count_ones()));
                }
                flip(bytes, end, error);
                tried += 1;
            }
            if tried == MAX_CANDIDATES {
                return None;
            }
        }
        error = back_32(error);
        end = end.saturating_sub(4);
    }
    None
}

/// Whether the error is at most 32 bits long and ends in the later half of its window.
fn is_burst(error: u64) -> bool {
    let first = error.trailing_zeros();
    error >> 32 != 0 && (error >> first) >> 32 == 0
}

/// Flips the bits of `error` in the 8 bytes before `end`, and returns the first byte that changed. Does nothing when bits stand before the
/// first byte.
fn flip(bytes: &mut [u8], end: usize, error: u64) -> Option<usize> {
    let first = error.trailing_zeros() as usize / 8;
    let at = (end + first).checked_sub(8)?;
    let error = &error.to_le_bytes()[first..];
    bytes.get_mut(at..end)?.iter_mut().zip(error).for_each(|(byte, flips)| *byte ^= flips);
    Some(at)
}

/// The error, 32 bits earlier in the code word, that has the same syndrome: division by x³² modulo the polynomial of CRC-64/NVME, which is
/// written with the highest power in the lowest bit.
fn back_32(error: u64) -> u64 {
    let [.., a, b, c, d] = error.to_le_bytes();
    let [for_a, for_b, for_c, for_d] = &BACK_32;
    (error << 32)
        ^ for_a[usize::from(a)]
        ^ for_b[usize::from(b)]
        ^ for_c[usize::from(c)]
        ^ for_d[usize::from(d)]
}

/// What leaves the word when it moves by 32 bits comes back as this, for each value of the four highest bytes.
const BACK_32: [[u64; 256]; 4] = {
    let mut tables = [[0; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut byte = 0;
        while byte < 256 {
            let mut error = (byte as u64) << (32 + 8 * place);
            let mut step = 0;
            while step < 32 {
                error = if error >> 63 == 1 { ((error ^ CRC64_POLY) << 1) | 1 } else { error << 1 };
                step += 1;
            }
            tables[place][byte] = error;
            byte += 1;
        }
        place += 1;
    }
    tables
};

const CRC64_POLY: u64 = 0x9A6C_9329_AC4B_C9B5;

/// Every candidate costs a digest of the payload.
const MAX_CANDIDATES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_the_error_that_is_proposed_for_its_place() {
        let zeros = [0; 40];
        for bit in 0..320 {
            let mut flipped = zeros;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut error = back_32(back_32(crc64(&[&zeros]) ^ crc64(&[&flipped])));
            let mut end = 40;
            while bit < 8 * end - 32 {
                error = back_32(error);
                end -= 4;
            }
            assert_eq!(error, 1 << (bit + 64 - 8 * end));
        }
    }

    #[test]
    fn bursts_end_in_the_later_half() {
        let bursts = [1 << 63, 1 << 32, 0xFFFF_FFFF << 32, 0xFFFF_FFFF << 1, 0x8000_0001 << 20];
        assert!(bursts.into_iter().all(is_burst));
        let others = [0, 1, 0xFFFF_FFFF, 0x1_0000_0001, 0x1_FFFF_FFFF << 10, u64::MAX];
        assert!(!others.into_iter().any(is_burst));
    }
}
