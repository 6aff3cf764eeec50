//! Tells in a fraction of the time whether compressing a block can gain anything.
//!
//! Three cheap looks, all over the block, so that a block of which a part is compressible is not taken for noise: the
//! frequency of bytes at many spots, a fast compression of a few longer pieces, and repeats far apart. Only when none finds
//! redundancy is the block stored as it is. All arithmetic is on integers, so that the answer is the same everywhere.

use crate::brotli_codec::Encoders;

/// Whether compression may gain 3 %. Small blocks are simply tried.
pub(crate) fn is_promising(block: &[u8], encoders: &Encoders) -> bool {
    block.len() < SMALLEST
        || has_uneven_bytes(block)
        || pieces_shrink(block, encoders)
        || has_repeats(block)
}

/// Whether at least 2 of 64 spots of 1 KiB have some bytes much more often than others.
fn has_uneven_bytes(block: &[u8]) -> bool {
    let uneven = spread(block, SPOTS, SPOT_LEN).filter(|spot| {
        let mut counts = [0_u32; 256];
        spot.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        // Noise gives about 5,100; 7 bits of entropy a byte give 8,192.
        counts.iter().map(|&n| n * n).sum::<u32>() > UNEVEN
    });
    uneven.take(2).count() == 2
}

/// Whether the fastest compression finds something in pieces that are longer.
fn pieces_shrink(block: &[u8], encoders: &Encoders) -> bool {
    let mut pieces = Vec::with_capacity(PIECES * PIECE_LEN);
    spread(block, PIECES, PIECE_LEN).for_each(|piece| pieces.extend_from_slice(piece));
    encoders.encode(&pieces, 1, pieces.len() - pieces.len() / 64).is_some()
}

/// Whether 1 in 32 of the places looked at stands somewhere else in the block too.
///
/// One position in `step` is entered in a table, and runs of `step` positions are looked up, so that a repeat is
/// found at any distance that the table spans.
fn has_repeats(block: &[u8]) -> bool {
    let step = (block.len() / TABLE).max(64);
    let mut table = vec![0_u32; TABLE];
    let last = block.len() - 8;
    for (number, at) in (1..).zip((0..=last).step_by(step)) {
        let (place, tag) = place(word(block, at));
        // A block has less than 2^17 steps. The tag spares most looks into the block, each of which would miss the caches.
        table[place] = number << TAG_BITS | tag;
    }
    let (mut runs, mut repeats) = (0_usize, 0_usize);
    for run in (0..=last.saturating_sub(step)).step_by(step * 16) {
        runs += 1;
        let found = (run..run + step).any(|at| {
            let here = word(block, at);
            let (place, tag) = place(here);
            let entry = table[place];
            if entry == 0 || entry & TAG_MASK != tag {
                return false;
            }
            let there = ((entry >> TAG_BITS) as usize - 1) * step;
            there != at && word(block, there) == here
        });
        repeats += usize::from(found);
    }
    repeats * 32 >= runs
}

/// `count` pieces of `len` bytes, evenly spread from the first to the last byte. The block is longer than all of them.
fn spread(block: &[u8], count: usize, len: usize) -> impl Iterator<Item = &[u8]> {
    let span = block.len() - len;
    (0..count).map(move |i| {
        let from = span * i / (count - 1);
        &block[from..from + len]
    })
}

fn word(block: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&block[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Where a word belongs in the table, and what tells it from most others there.
fn place(word: u64) -> (usize, u32) {
    let mixed = word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let place = mixed >> (64 - TABLE_BITS);
    (place as usize, (mixed >> (64 - TABLE_BITS - TAG_BITS)) as u32 & TAG_MASK)
}

/// Blocks below this are no longer than what would be looked at.
const SMALLEST: usize = 128 << 10;
const SPOTS: usize = 64;
const SPOT_LEN: usize = 1 << 10;
const UNEVEN: u32 = 8_000;
const PIECES: usize = 4;
const PIECE_LEN: usize = 16 << 10;
const TABLE_BITS: u32 = 16;
const TAG_BITS: u32 = 15;
const TAG_MASK: u32 = (1 << TAG_BITS) - 1;
const TABLE: usize = 1 << TABLE_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x1234_5678_9ABC_DEF1_u64;
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    fn words(len: usize) -> Vec<u8> {
        noise(len)
            .iter()
            .map(|byte| b"the quick brown fox jumps over t"[usize::from(byte & 31)])
            .collect()
    }

    #[track_caller]
    fn check(block: &[u8], expected: bool) {
        assert_eq!(is_promising(block, &Encoders::default()), expected, "{} bytes", block.len());
    }

    #[test]
    fn noise_is_stored() {
        for len in [SMALLEST, SMALLEST + 1, 1 << 20, 4 << 20, 16 << 20] {
            check(&noise(len), false);
        }
    }

    #[test]
    fn text_is_compressed() {
        check(&words(SMALLEST), true);
        check(&words(4 << 20), true);
        check(&vec![0; 4 << 20], true);
    }

    #[test]
    fn a_block_of_which_a_tenth_is_text_is_compressed() {
        for from in [0, 1_000_003, 3_500_000] {
            let mut block = noise(4 << 20);
            block[from..from + (4 << 20) / 10].copy_from_slice(&words((4 << 20) / 10));
            check(&block, true);
        }
    }

    #[test]
    fn noise_that_repeats_far_apart_is_compressed() {
        let half = noise(2 << 20);
        check(&[&half[..], &half[..]].concat(), true);
        let shifted = [&half[..], b"shift", &half[..(2 << 20) - 5]].concat();
        check(&shifted, true);
        let long = noise(7_654_321);
        check(&[&long[..], &long[..]].concat(), true);
    }

    #[test]
    fn small_blocks_are_tried() {
        for len in [0, 1, 8, 1000, SMALLEST - 1] {
            check(&noise(len), true);
        }
    }
}
