//! Where the blocks of a store lie, in few bytes for each.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use multihash::Multihash;

/// From a multihash to the offsets of sections in the payload. These are hints: two hashes may share a key, so the CID at the place is
/// what counts. Some 20 to 40 bytes for each block, whatever its hash function.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Random, so that nobody can make many hashes that share a key.
    keys: RandomState,
    first: HashMap<u64, u64, BuildHasherDefault<Ready>>,
    /// Further places of a key, in the order in which they were added.
    more: HashMap<u64, Vec<u64>, BuildHasherDefault<Ready>>,
    len: u64,
}

impl Places {
    pub(super) fn add(&mut self, hash: &Multihash<64>, offset: u64) {
        let key = self.key(hash);
        let first = *self.first.entry(key).or_insert(offset);
        if first != offset {
            self.more.entry(key).or_default().push(offset);
        }
        self.len += 1;
    }

    /// Where sections of this hash may be, in the order in which they were added.
    pub(super) fn of(&self, hash: &Multihash<64>) -> impl Iterator<Item = u64> {
        let key = self.key(hash);
        let more = self.more.get(&key).map(Vec::as_slice).unwrap_or_default();
        self.first.get(&key).into_iter().chain(more).copied()
    }

    /// The number of sections.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn key(&self, hash: &Multihash<64>) -> u64 {
        self.keys.hash_one((hash.code(), hash.digest()))
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |key, &byte| key.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
