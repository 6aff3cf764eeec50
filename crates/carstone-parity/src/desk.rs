//! One zone, laid out to be restored.

use reed_solomon_simd::ReedSolomonDecoder;

use crate::Error;
use crate::protect::code;

/// The cells of a zone, and recovery cells for those that are lost.
#[derive(Default)]
pub(crate) struct Desk {
    decoder: Option<ReedSolomonDecoder>,
    cells: Vec<u8>,
    cell_len: usize,
    /// Shards that are lost, in order.
    pub(crate) lost: Vec<usize>,
    /// As many recovery cells, by their numbers.
    pub(crate) recovery: Vec<(usize, Vec<u8>)>,
}

impl Desk {
    /// Makes room for another zone.
    pub(crate) fn clear(&mut self, cells: usize, cell_len: usize) {
        self.cells.resize(cells * cell_len, 0);
        self.cell_len = cell_len;
        self.lost.clear();
        self.recovery.clear();
    }

    pub(crate) fn cell(&self, shard: usize) -> &[u8] {
        &self.cells[shard * self.cell_len..][..self.cell_len]
    }

    pub(crate) fn cell_mut(&mut self, shard: usize) -> &mut [u8] {
        &mut self.cells[shard * self.cell_len..][..self.cell_len]
    }

    /// Restores the lost cells, of which a zone with `recovery` recovery cells has so many left.
    ///
    /// The code knows nothing beyond 64 bytes of a shard. So a strip of all shards is restored at a time, which fits into the caches.
    pub(crate) fn decode(&mut self, recovery: usize) -> Result<(), Error> {
        let (cell_len, count) = (self.cell_len, self.cells.len() / self.cell_len.max(1));
        let places = (count + recovery.next_power_of_two()).next_power_of_two();
        let strip = (STRIPS / places.max(1) / 64 * 64).max(64);
        let mut begin = 0;
        while begin < cell_len {
            let strip = begin..cell_len.min(begin + strip);
            let decoder = match &mut self.decoder {
                Some(decoder) => {
                    decoder.reset(count, recovery, strip.len()).map_err(code)?;
                    decoder
                }
                none => none
                    .insert(ReedSolomonDecoder::new(count, recovery, strip.len()).map_err(code)?),
            };
            let mut lost = self.lost.iter().copied().peekable();
            for (shard, cell) in self.cells.chunks_exact(cell_len).enumerate() {
                if lost.next_if_eq(&shard).is_none() {
                    decoder.add_original_shard(shard, &cell[strip.clone()]).map_err(code)?;
                }
            }
            for (number, cell) in &self.recovery {
                decoder.add_recovery_shard(*number, &cell[strip.clone()]).map_err(code)?;
            }
            for (shard, bytes) in decoder.decode().map_err(code)?.restored_original_iter() {
                self.cells[shard * cell_len..][strip.clone()].copy_from_slice(bytes);
            }
            begin = strip.end;
        }
        Ok(())
    }
}

/// What a strip of all shards of a zone has at most, in bytes.
const STRIPS: usize = 4 << 20;
