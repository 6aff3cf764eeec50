//! One zone, laid out to be restored.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use reed_solomon_simd::ReedSolomonDecoder;

use crate::Error;
use crate::protect::{code, in_parallel};

/// The cells of a zone, and which of them are lost.
pub(crate) struct Desk {
    threads: usize,
    cells: Vec<u8>,
    cell_len: usize,
    lost: Vec<usize>,
}

/// Cells that were restored, strip by strip: in each, the bytes of all lost ones in order.
pub(crate) struct Restored(Vec<(Range<usize>, Vec<u8>)>);

impl Desk {
    /// An empty one, on which so many threads work.
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, cells: Vec::new(), cell_len: 1, lost: Vec::new() }
    }

    /// How many threads work on it.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Shards that are lost, in order.
    pub(crate) fn lost(&self) -> &[usize] {
        &self.lost
    }

    /// Takes the cells of another zone. `read` reads a shard, and says whether it is there.
    pub(crate) fn load(
        &mut self,
        count: usize,
        cell_len: usize,
        read: impl Fn(usize, &mut [u8]) -> Result<bool, Error> + Sync,
    ) -> Result<(), Error> {
        self.cells.resize(count * cell_len, 0);
        self.cell_len = cell_len;
        let parts: Vec<_> =
            self.cells.chunks_mut(CELLS_AT_ONCE * cell_len).map(Mutex::new).collect();
        let lost = Mutex::new(Vec::new());
        in_parallel(
            self.threads,
            parts.len(),
            || (),
            |(), job| {
                let mut part = parts[job].lock().unwrap_or_else(PoisonError::into_inner);
                for (number, cell) in part.chunks_exact_mut(cell_len).enumerate() {
                    let shard = job * CELLS_AT_ONCE + number;
                    if !read(shard, cell)? {
                        lost.lock().unwrap_or_else(PoisonError::into_inner).push(shard);
                    }
                }
                Ok(())
            },
        )?;
        self.lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.lost.sort_unstable();
        Ok(())
    }

    /// Restores the lost cells from recovery cells, which have numbers; a zone has `all` of them, lost ones included.
    ///
    /// The code knows nothing beyond 64 bytes of a shard. So a strip of all shards is restored at a time, which fits into the caches.
    pub(crate) fn decode(
        &self,
        all: usize,
        recovery: &[(usize, Vec<u8>)],
    ) -> Result<Restored, Error> {
        let (cell_len, count) = (self.cell_len, self.cells.len() / self.cell_len);
        let places = (count + all.next_power_of_two()).next_power_of_two();
        let width = (STRIPS / places / 64 * 64).max(64);
        let strips: Vec<_> =
            (0..cell_len).step_by(width).map(|at| at..cell_len.min(at + width)).collect();
        let made = Mutex::new(Vec::new());
        in_parallel(
            self.threads,
            strips.len(),
            || None,
            |decoder, job| {
                let strip = strips[job].clone();
                let decoder = match decoder {
                    Some(decoder) => {
                        ReedSolomonDecoder::reset(decoder, count, all, strip.len())
                            .map_err(code)?;
                        decoder
                    }
                    none => {
                        none.insert(ReedSolomonDecoder::new(count, all, strip.len()).map_err(code)?)
                    }
                };
                let mut lost = self.lost.iter().peekable();
                for (shard, cell) in self.cells.chunks_exact(cell_len).enumerate() {
                    if lost.next_if_eq(&&shard).is_none() {
                        decoder.add_original_shard(shard, &cell[strip.clone()]).map_err(code)?;
                    }
                }
                for (number, cell) in recovery {
                    decoder.add_recovery_shard(*number, &cell[strip.clone()]).map_err(code)?;
                }
                let decoded = decoder.decode().map_err(code)?;
                let mut bytes = Vec::with_capacity(self.lost.len() * strip.len());
                decoded
                    .restored_original_iter()
                    .for_each(|(_, part)| bytes.extend_from_slice(part));
                made.lock().unwrap_or_else(PoisonError::into_inner).push((strip, bytes));
                Ok(())
            },
        )?;
        Ok(Restored(made.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Calls `work` with each restored shard and its bytes.
    pub(crate) fn each_restored(
        &self,
        made: &Restored,
        work: impl Fn(usize, &[u8]) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let jobs = self.lost.len().div_ceil(CELLS_AT_ONCE);
        in_parallel(
            self.threads,
            jobs,
            || vec![0; self.cell_len],
            |cell, job| {
                let numbers = job * CELLS_AT_ONCE..self.lost.len().min((job + 1) * CELLS_AT_ONCE);
                for number in numbers {
                    for (strip, bytes) in &made.0 {
                        let len = strip.len();
                        cell[strip.clone()].copy_from_slice(&bytes[number * len..][..len]);
                    }
                    work(self.lost[number], cell)?;
                }
                Ok(())
            },
        )
    }
}

/// What a strip of all shards of a zone has at most, in bytes.
const STRIPS: usize = 4 << 20;

/// Cells that a thread takes at once.
const CELLS_AT_ONCE: usize = 128;
