//! The blocks of a store, for what reads files and DAGs, and waits.

use std::io;

use anyhow::{anyhow, bail};
use carstone::car::Cid;
use carstone::unixfs::{BlockSource, Entry, resolve};
use carstone_store::Store;
use tokio::runtime::Handle;

use crate::signals;

/// Blocks by their CIDs, verified.
pub(super) struct StoreBlocks {
    pub(super) store: Store,
    pub(super) handle: Handle,
}

impl StoreBlocks {
    /// What `CID/PATH` names.
    pub(super) fn entry(&self, what: &str) -> anyhow::Result<Entry> {
        let (root, path) = what.split_once('/').unwrap_or((what, ""));
        let Ok(root) = Cid::try_from(root) else { bail!("{root:.100} is no CID") };
        let entry = resolve(self, &root, path.trim_end_matches('/').as_bytes())?;
        entry.ok_or_else(|| anyhow!("{what}: there is no such entry"))
    }

    fn fetch(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        signals::check()?;
        Ok(self.handle.block_on(self.store.block(cid))?.map(Vec::from))
    }
}

impl BlockSource for StoreBlocks {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        self.fetch(cid)
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        let places = self.handle.block_on(self.store.places(cid.hash()))?;
        match places.first() {
            Some(place) => Ok(Some(place.len)),
            None => Ok(self.fetch(cid)?.map(|block| block.len() as u64)),
        }
    }
}
