//! Writes the sections of the CAR stream, each block once, and remembers where they stand.

use std::collections::HashMap;
use std::io;

use carstone_car::{CarWriter, Cid, cid_of};
use carstone_layer::{Hint, LayerWrite, PackId};

use super::directories::BlockOut;
use crate::record::{DAG_CBOR, RAW};
use crate::sorter::{Sorted, Sorter};

/// The CAR stream under construction.
pub(super) struct Sections<W: LayerWrite> {
    car: CarWriter<W, Announce<W>>,
    pub(super) pack: PackId,
    seen: HashMap<(bool, [u8; 32]), u64>,
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
        Ok(Self { car, pack, seen: HashMap::new(), index, blocks: 0, largest: 0 })
    }

    /// Where a block stands, if it is in the pack.
    pub(super) fn find(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(self.seen.get(&block_key(cid)?).copied())
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
        self.seen = HashMap::new();
        std::mem::replace(&mut self.index, Sorter::new(0)).finish()
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.car.finish()
    }
}

impl<W: LayerWrite> BlockOut for Sections<W> {
    fn content(&mut self, cid: &Cid, data: &[u8]) -> io::Result<u64> {
        let key = block_key(cid)?;
        if let Some(&position) = self.seen.get(&key) {
            return Ok(position);
        }
        let position = self.car.danger_write_unverified(cid, data)?.offset;
        self.seen.insert(key, position);
        let mut sort_key = [0; 16];
        sort_key[..8].copy_from_slice(&key.1[..8]);
        sort_key[8..].copy_from_slice(&position.to_be_bytes());
        self.index.push(&sort_key, &[])?;
        self.blocks += 1;
        self.largest = position;
        Ok(position)
    }
}

/// All blocks of a pack that carstone writes are raw leaves or dag-pb nodes under a SHA-256.
pub(crate) fn block_key(cid: &Cid) -> io::Result<(bool, [u8; 32])> {
    let digest = cid.hash().digest().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok((cid.codec() == RAW, digest))
}
