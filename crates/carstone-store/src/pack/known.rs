//! Blocks that are in a store already.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use carstone_car::Cid;
use tokio::runtime::Handle;

use super::store::PackStore;
use crate::error::Result;
use crate::index::{IndexReader, Location, Source};
use crate::name::Hash;

/// Says which blocks need not be written again, on a thread that may wait.
pub(super) struct Known {
    index: Arc<dyn IndexReader>,
    packs: Arc<dyn PackStore>,
    runtime: Handle,
    /// Whether packs are there, with the length that the index says.
    there: HashMap<Hash, bool>,
    /// Packs that have blocks which were left out.
    used: BTreeMap<Hash, u64>,
}

impl Known {
    /// By an index of these packs.
    pub(super) fn new(
        index: Arc<dyn IndexReader>,
        packs: Arc<dyn PackStore>,
        runtime: Handle,
    ) -> Self {
        Self { index, packs, runtime, there: HashMap::new(), used: BTreeMap::new() }
    }

    /// Whether a pack has the block. That it has it whole is for a check to say.
    pub(super) fn has(&mut self, cid: &Cid) -> Result<bool> {
        for source in self.runtime.block_on(self.index.blob(cid.hash()))? {
            let Source::Place(found) = source else { continue };
            let Location::Pack { name, size } = found.location else { continue };
            let is_there = match self.there.get(&name) {
                Some(is_there) => *is_there,
                None => {
                    let found = self.runtime.block_on(self.packs.size(&name))?;
                    let is_there = found == Some(size);
                    self.there.insert(name, is_there);
                    is_there
                }
            };
            if is_there {
                self.used.insert(name, size);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The packs that have what was left out.
    pub(super) fn used(self) -> Vec<(Hash, u64)> {
        self.used.into_iter().collect()
    }
}
