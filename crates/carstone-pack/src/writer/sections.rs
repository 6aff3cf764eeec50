//! Writes the sections of the CAR stream, each block once, and remembers where they stand.

use std::io;

use carstone_car::{CarWriter, Cid, cid_of};
use carstone_layer::{Hint, LayerWrite, PackId};

use super::directories::BlockOut;
use crate::block_map::{BlockKey, BlockMap};
use crate::record::{DAG_CBOR, RAW};
use crate::sorter::{Sorted, Sorter};

/// The CAR stream under construction.
pub(super) struct Sections<W: LayerWrite> {
    car: CarWriter<W, Announce<W>>,
    pub(super) pack: PackId,
    /// Where each block stands.
    seen: BlockMap,
    index: Sorter,
    blocks: u64,
    largest: u64,
}

/// Tells the pipe that a section starts.
type Announce<W> = fn(&mut W, u64) -> io::Result<()>;

impl<W: LayerWrite> Sections<W> {
    pub(super) fn new(pipe: W, pack: PackId, index_budget: usize) -> io::Result<Self> {
        let car = CarWriter::with_hook(pipe, &[], (|pipe, _| pipe.boundary()) as Announce<W>)?;
        let index = Sorter::new(index_budget);
        Ok(Self { car, pack, seen: BlockMap::new(SEEN_BUDGET), index, blocks: 0, largest: 0 })
    }

    /// Where a block stands, if it is in the pack.
    pub(super) fn find(&self, cid: &Cid) -> io::Result<Option<u64>> {
        self.seen.get(&block_key(cid)?)
    }

    /// Writes one of carstone's own records. Gives its position.
    pub(super) fn record(&mut self, record: &[u8]) -> io::Result<u64> {
        Ok(self.car.danger_write_unverified(&cid_of(DAG_CBOR, record), record)?.offset)
    }

    /// Passes a hint about the next section to the pipe.
    pub(super) fn hint(&mut self, hint: Hint) -> io::Result<()> {
        self.car.danger_get_mut().hint(hint)
    }

    pub(super) fn position(&self) -> u64 {
        self.car.position()
    }

    /// Position of the last content section.
    pub(super) fn largest(&self) -> u64 {
        self.largest
    }

    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// All content sections by digest prefix and position. Blocks written later are not in it, and not found again.
    pub(super) fn take_index(&mut self) -> io::Result<Sorted> {
        self.seen = BlockMap::new(0);
        std::mem::replace(&mut self.index, Sorter::new(0)).finish()
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.car.finish()
    }
}

impl<W: LayerWrite> BlockOut for Sections<W> {
    fn content(&mut self, cid: &Cid, data: &[u8]) -> io::Result<u64> {
        let key = block_key(cid)?;
        if let Some(position) = self.seen.insert(key, self.car.position())? {
            return Ok(position);
        }
        let position = self.car.danger_write_unverified(cid, data)?.offset;
        let mut sort_key = [0; 16];
        sort_key[..8].copy_from_slice(&key.digest[..8]);
        sort_key[8..].copy_from_slice(&position.to_be_bytes());
        self.index.push(&sort_key, &[])?;
        self.blocks += 1;
        self.largest = position;
        Ok(position)
    }
}

/// All blocks of a pack that carstone writes are raw leaves or dag-pb nodes under a SHA-256.
pub(crate) fn block_key(cid: &Cid) -> io::Result<BlockKey> {
    let digest = cid.hash().digest().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(BlockKey { digest, raw: cid.codec() == RAW })
}

/// Memory for what the pack holds already, before it spills.
pub(crate) const SEEN_BUDGET: usize = 16 << 20;
