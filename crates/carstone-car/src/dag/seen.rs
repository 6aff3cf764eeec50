//! The blocks that have been visited, in little and bounded memory.

use std::collections::HashSet;

use super::error::{Budget, DagError, Result};
use crate::Cid;
use crate::cid_bytes::{self, MAX_CID};

/// A set of CIDs, of which it holds the BLAKE3 hashes: they take a third of the room, and nobody finds two CIDs with the same one.
#[derive(Debug)]
pub(crate) struct Seen {
    hashes: HashSet<[u8; 32]>,
    limit: usize,
}

impl Seen {
    pub(crate) fn new(limit: usize) -> Self {
        Seen { hashes: HashSet::new(), limit }
    }

    /// Adds a CID, and says whether it is new.
    pub(crate) fn insert(&mut self, cid: &Cid) -> Result<bool> {
        self.add(hash_of(cid))
    }

    pub(crate) fn contains(&self, cid: &Cid) -> bool {
        self.hashes.contains(&hash_of(cid))
    }

    /// Adds the multihash of a CID, whatever its version and codec.
    pub(crate) fn insert_multihash(&mut self, cid: &Cid) -> Result<bool> {
        self.add(hash_of_multihash(cid))
    }

    pub(crate) fn contains_multihash(&self, cid: &Cid) -> bool {
        self.hashes.contains(&hash_of_multihash(cid))
    }

    /// Adds a CID together with something else that is known of it.
    pub(crate) fn insert_with(&mut self, cid: &Cid, more: &[u8]) -> Result<bool> {
        let mut bytes = [0; MAX_CID];
        let len = cid_bytes::encode(cid, &mut bytes);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[len as u8]); // At most `MAX_CID`: what follows is told apart.
        hasher.update(&bytes[..len]);
        hasher.update(more);
        self.add(*hasher.finalize().as_bytes())
    }

    fn add(&mut self, hash: [u8; 32]) -> Result<bool> {
        if self.hashes.len() >= self.limit && !self.hashes.contains(&hash) {
            return Err(DagError::over(Budget::Seen, self.limit as u64));
        }
        Ok(self.hashes.insert(hash))
    }
}

fn hash_of(cid: &Cid) -> [u8; 32] {
    let mut bytes = [0; MAX_CID];
    let len = cid_bytes::encode(cid, &mut bytes);
    *blake3::hash(&bytes[..len]).as_bytes()
}

fn hash_of_multihash(cid: &Cid) -> [u8; 32] {
    let hash = cid.hash();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&hash.code().to_le_bytes());
    hasher.update(hash.digest());
    *hasher.finalize().as_bytes()
}

const _: () = assert!(MAX_CID <= 255);
