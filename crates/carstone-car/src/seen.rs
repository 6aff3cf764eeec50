//! Which blocks a writer has written, in memory that is counted.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use crate::Cid;
use crate::cid_bytes::{self, MAX_CID};
use crate::error::{ErrorKind, Part};
use crate::options::{Dedupe, WriterOptions};

/// A set of CIDs or multihashes, of which it holds 128 bits each. They come from a keyed hash, so that nobody can make two blocks that it
/// takes for one.
#[derive(Debug)]
pub(crate) struct Seen {
    by: Dedupe,
    key: [u8; 32],
    set: HashSet<u128, BuildHasherDefault<Low>>,
    budget: usize,
}

impl Seen {
    /// `None` if nothing is to be remembered.
    pub(crate) fn new(options: &WriterOptions) -> Option<Self> {
        let (by, budget) = (options.dedupe, options.dedupe_budget);
        if by == Dedupe::Off {
            return None;
        }
        let mut key = [0; 32];
        for part in key.chunks_exact_mut(8) {
            part.copy_from_slice(&RandomState::new().hash_one(budget).to_le_bytes());
        }
        Some(Seen { by, key, set: HashSet::default(), budget })
    }

    pub(crate) fn has(&self, cid: &Cid) -> bool {
        self.set.contains(&self.mark(cid))
    }

    /// Makes room for a block, which [`add`](Self::add) will need.
    pub(crate) fn reserve(&mut self, cid: &Cid) -> Result<u128, ErrorKind> {
        let mark = self.mark(cid);
        if self.set.len() < self.set.capacity() || self.set.contains(&mark) {
            return Ok(mark);
        }
        // The set doubles, and is copied.
        let now = table_len(self.set.capacity());
        let needed = now.saturating_add(now.saturating_mul(2).max(LEAST));
        if needed > self.budget {
            let (size, limit) = (needed as u64, self.budget as u64);
            return Err(ErrorKind::TooLarge { part: Part::Dedupe, size, limit });
        }
        Ok(mark)
    }

    pub(crate) fn add(&mut self, mark: u128) {
        self.set.insert(mark);
    }

    fn mark(&self, cid: &Cid) -> u128 {
        let by_hash = Cid::new_v1(0, *cid.hash());
        let counted = if self.by == Dedupe::WholeCid { cid } else { &by_hash };
        let mut bytes = [0; MAX_CID];
        let len = cid_bytes::encode(counted, &mut bytes);
        let hash = blake3::keyed_hash(&self.key, &bytes[..len]);
        hash.as_bytes().first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
    }
}

/// Bytes of a table that holds so many marks.
fn table_len(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        _ => (capacity.saturating_mul(8) / 7).next_power_of_two().saturating_mul(SLOT),
    }
}

/// Marks are random already.
#[derive(Default)]
struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    }

    fn write_u128(&mut self, mark: u128) {
        self.0 = mark as u64;
    }
}

/// Bytes of a mark and its control byte.
const SLOT: usize = 17;

/// Bytes of the smallest table.
const LEAST: usize = 4 * SLOT;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cid_of, codec};

    #[test]
    fn memory_stays_in_the_budget() {
        for budget in [0, 100, 10_000, 1 << 20] {
            let options = WriterOptions::default().dedupe(Dedupe::Multihash).dedupe_budget(budget);
            let mut seen = Seen::new(&options).expect("one");
            let full = (0u64..).find_map(|n| {
                let cid = cid_of(codec::RAW, &n.to_le_bytes());
                let mark = seen.reserve(&cid);
                assert!(table_len(seen.set.capacity()) <= budget);
                mark.map(|mark| seen.add(mark)).err()
            });
            let ErrorKind::TooLarge { part: Part::Dedupe, size, limit } = full.expect("full")
            else {
                panic!("another error")
            };
            assert!(size > limit && limit == budget as u64);
            assert!(seen.set.len() >= budget / 3 / 2 / SLOT * 7 / 8, "{}", seen.set.len());
        }
    }
}
