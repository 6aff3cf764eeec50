//! Where blocks lie, by what is asked for: the whole CID or its multihash.

use std::hash::{BuildHasher, RandomState};

use crate::Cid;

/// A table with open addressing. A slot has 16 bytes, whatever a CID takes: whether a place is the right one is read there.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    slots: Vec<Slot>,
    len: usize,
    whole_cids: bool,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    /// Offset of the section, or `EMPTY`.
    offset: u64,
}

impl Places {
    pub(super) fn new(whole_cids: bool) -> Self {
        Places { whole_cids, ..Places::default() }
    }

    /// Whether whole CIDs are told apart, and not multihashes.
    pub(super) fn by_whole_cids(&self) -> bool {
        self.whole_cids
    }

    /// The number of CIDs that are told apart.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a place, unless there is one for this CID. `cid_at` reads the CID at an offset.
    pub(super) fn add(&mut self, cid: &Cid, offset: u64, cid_at: impl Fn(u64) -> Option<Cid>) {
        if self.len >= self.slots.len() / 4 * 3 {
            self.grow();
        }
        let hash = self.hash(cid);
        let found = self.search(hash, cid, cid_at);
        if let Some(slot) = self.slots.get_mut(found)
            && slot.offset == EMPTY
        {
            *slot = Slot { hash, offset };
            self.len += 1;
        }
    }

    pub(super) fn find(&self, cid: &Cid, cid_at: impl Fn(u64) -> Option<Cid>) -> Option<u64> {
        let slot = self.slots.get(self.search(self.hash(cid), cid, cid_at))?;
        Some(slot.offset).filter(|&offset| offset != EMPTY)
    }

    /// The slot of this CID, or the empty one where it belongs.
    fn search(&self, hash: u64, cid: &Cid, cid_at: impl Fn(u64) -> Option<Cid>) -> usize {
        let mut at = self.home(hash);
        // There is an empty slot, since a quarter of them is.
        while let Some(slot) = self.slots.get(at)
            && slot.offset != EMPTY
        {
            let is_found = slot.hash == hash
                && cid_at(slot.offset).is_some_and(|found| self.is_same(&found, cid));
            if is_found {
                break;
            }
            at = self.behind(at);
        }
        at
    }

    fn is_same(&self, found: &Cid, cid: &Cid) -> bool {
        match self.whole_cids {
            true => found == cid,
            false => found.hash() == cid.hash(),
        }
    }

    fn hash(&self, cid: &Cid) -> u64 {
        match self.whole_cids {
            true => self.hasher.hash_one(cid),
            false => self.hasher.hash_one(cid.hash()),
        }
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(LEAST);
        let before =
            std::mem::replace(&mut self.slots, vec![Slot { hash: 0, offset: EMPTY }; count]);
        for slot in before.into_iter().filter(|slot| slot.offset != EMPTY) {
            let mut at = self.home(slot.hash);
            while self.slots[at].offset != EMPTY {
                at = self.behind(at);
            }
            self.slots[at] = slot;
        }
    }

    fn home(&self, hash: u64) -> usize {
        hash as usize & self.slots.len().saturating_sub(1) // A power of two, or none.
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

/// No section starts here, since its length alone would be behind the end of memory.
const EMPTY: u64 = u64::MAX;

/// Slots of the smallest table, a power of two.
const LEAST: usize = 16;
