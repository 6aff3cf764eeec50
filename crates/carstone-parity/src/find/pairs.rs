//! Which two bits explain a syndrome.

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use super::index::Index;
use super::roll::zero_bit;

/// What each single bit of a code word does to its CRC-64. Bits are counted from the end of the word, which ends with the CRC itself.
pub(super) struct Pairs {
    syndromes: Vec<u64>,
    index: Index,
}

impl Pairs {
    /// Those for words whose CRC covers `covered` bytes; `None` where these are more than 64 KiB and 32 bytes.
    ///
    /// They are made once and kept: 17 bytes for each bit, 9 MiB for the longest.
    pub(super) fn of(covered: usize) -> Option<&'static Self> {
        let log = covered.saturating_sub(BEFORE_PAYLOAD).next_power_of_two().max(64).ilog2();
        let place = PAIRS.get(usize::try_from(log).ok()?)?;
        Some(place.get_or_init(|| Self::new((1 << log) + BEFORE_PAYLOAD)))
    }

    fn new(covered: usize) -> Self {
        let bits = 8 * covered + 64;
        let mut syndromes = Vec::with_capacity(bits);
        syndromes
            .extend(std::iter::successors(Some(1 << 63), |last| Some(zero_bit(*last))).take(bits));
        let key = |bit: u32| syndromes.get(bit as usize).copied().unwrap_or(0);
        let mut order: Vec<u32> = (0..).take(bits).collect();
        order.sort_unstable_by_key(|bit| key(*bit));
        let index = Index::new(order, key);
        Self { syndromes, index }
    }

    /// Tries all pairs of bits in `bits` that explain a syndrome, until `confirm` breaks. Takes the time of one look for each bit.
    pub(super) fn solve<T>(
        &self,
        syndrome: u64,
        bits: Range<usize>,
        mut confirm: impl FnMut([usize; 2]) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        let key = |bit: u32| self.syndromes.get(bit as usize).copied().unwrap_or(0);
        let singles = self.syndromes.get(bits.clone()).unwrap_or_default();
        for (one, single) in (bits.start..).zip(singles) {
            let other = single ^ syndrome;
            if self.index.may_have(other) {
                for two in self.index.get(other, key) {
                    let two = *two as usize;
                    if two > one && bits.contains(&two) {
                        confirm([one, two])?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// By the logarithm of the length of a payload.
static PAIRS: [OnceLock<Pairs>; 17] = [const { OnceLock::new() }; 17];

/// Bytes of a frame's header that its CRC covers besides the payload.
const BEFORE_PAYLOAD: usize = 32;
