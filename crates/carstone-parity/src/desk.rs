//! One zone, laid out for the code.

use std::ops::Range;
use std::sync::{Mutex, Once};

use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use crate::Error;
use crate::pages::Pages;
use crate::protect::code;
use crate::workers::{into_inner, lock, share};

/// The cells of a zone, and which of them are lost.
pub(crate) struct Desk {
    threads: usize,
    cells: Pages,
    cell_len: usize,
    lost: Vec<usize>,
}

/// Makes the tables of the code, once.
pub(crate) fn make_tables() {
    DefaultEngine::new();
}

/// Makes what all healing needs on a thread of its own, which nobody waits for: tables of 8 MiB, once in a process, in some milliseconds.
///
/// Healing makes them otherwise. For a small stream they take as long as all the rest: who expects to heal does this before the parity is opened.
pub fn prepare() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| rayon::spawn(make_tables));
}

/// Something that a thread can do.
pub(crate) type Job<'a> = &'a (dyn Fn() -> Result<(), Error> + Sync);

/// Cells that came of the code, strip by strip: in each, the bytes of all of them in order.
pub(crate) struct Made {
    count: usize,
    bytes: Pages,
}

impl Desk {
    /// An empty one, on which so many threads work.
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, cells: Pages::default(), cell_len: 1, lost: Vec::new() }
    }

    /// How many threads work on it.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Shards that are lost, in order.
    pub(crate) fn lost(&self) -> &[usize] {
        &self.lost
    }

    /// Takes the cells of another zone. `read` reads shards in a row, and adds those that are not there to a list. The threads do what is to be
    /// done `before` first.
    pub(crate) fn load(
        &mut self,
        count: usize,
        cell_len: usize,
        before: &[Job<'_>],
        read: impl Fn(Range<usize>, &mut [u8], &mut Vec<usize>) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        self.cells.resize(count * cell_len);
        self.cell_len = cell_len;
        let parts: Vec<_> =
            self.cells.chunks_mut(CELLS_AT_ONCE * cell_len).map(Mutex::new).collect();
        let lost = Mutex::new(Vec::new());
        share(
            self.threads,
            0..before.len() + parts.len(),
            || (),
            |job, ()| {
                let Some(job) = job.checked_sub(before.len()) else { return before[job]() };
                let mut part = lock(&parts[job]);
                let first = job * CELLS_AT_ONCE;
                let mut missing = Vec::new();
                read(first..first + part.len() / cell_len, &mut part, &mut missing)?;
                lock(&lost).extend(missing);
                Ok(())
            },
        )?;
        self.lost = into_inner(lost);
        self.lost.sort_unstable();
        Ok(())
    }

    /// Makes so many recovery cells.
    pub(crate) fn encode(&self, recovery: usize) -> Result<Made, Error> {
        let count = self.cells.len() / self.cell_len;
        self.strips(recovery, |encoder: &mut Option<ReedSolomonEncoder>, strip, made| {
            let encoder = match encoder {
                Some(encoder) => {
                    encoder.reset(count, recovery, strip.len()).map_err(code)?;
                    encoder
                }
                none => none
                    .insert(ReedSolomonEncoder::new(count, recovery, strip.len()).map_err(code)?),
            };
            for cell in self.cells.chunks_exact(self.cell_len) {
                encoder.add_original_shard(&cell[strip.clone()]).map_err(code)?;
            }
            let encoded = encoder.encode().map_err(code)?;
            let parts = made.chunks_exact_mut(strip.len()).zip(encoded.recovery_iter());
            parts.for_each(|(made, part)| made.copy_from_slice(part));
            Ok(())
        })
    }

    /// Restores the lost cells from recovery cells, which have numbers; a zone has `all` of them, lost ones included.
    pub(crate) fn decode(&self, all: usize, recovery: &[(usize, Vec<u8>)]) -> Result<Made, Error> {
        let count = self.cells.len() / self.cell_len;
        let lost = self.lost.len();
        self.strips(lost, |decoder: &mut Option<ReedSolomonDecoder>, strip, made| {
            let decoder = match decoder {
                Some(decoder) => {
                    decoder.reset(count, all, strip.len()).map_err(code)?;
                    decoder
                }
                none => {
                    none.insert(ReedSolomonDecoder::new(count, all, strip.len()).map_err(code)?)
                }
            };
            let mut lost = self.lost.iter().peekable();
            for (shard, cell) in self.cells.chunks_exact(self.cell_len).enumerate() {
                if lost.next_if_eq(&&shard).is_none() {
                    decoder.add_original_shard(shard, &cell[strip.clone()]).map_err(code)?;
                }
            }
            for (number, cell) in recovery {
                decoder.add_recovery_shard(*number, &cell[strip.clone()]).map_err(code)?;
            }
            let decoded = decoder.decode().map_err(code)?;
            let restored = decoded.restored_original_iter();
            let parts = made.chunks_exact_mut(strip.len()).zip(restored);
            parts.for_each(|(made, (_, part))| made.copy_from_slice(part));
            Ok(())
        })
    }

    /// Makes `count` cells strip by strip.
    ///
    /// The code knows nothing beyond 64 bytes of a shard. So a strip of all shards is worked on at a time, which fits into the caches.
    fn strips<T>(
        &self,
        count: usize,
        work: impl Fn(&mut Option<T>, Range<usize>, &mut [u8]) -> Result<(), Error> + Sync,
    ) -> Result<Made, Error> {
        let mut bytes = Pages::default();
        bytes.resize(count * self.cell_len);
        let starts = (0..self.cell_len).step_by(STRIP);
        let strips = starts.map(|at| at..self.cell_len.min(at + STRIP));
        let parts = bytes.chunks_mut((count * STRIP).max(1)).map(Mutex::new);
        let tasks: Vec<_> = strips.zip(parts).collect();
        share(
            self.threads,
            &tasks,
            || None,
            |(strip, made), coder| work(coder, strip.clone(), &mut lock(made)),
        )?;
        drop(tasks);
        Ok(Made { count, bytes })
    }

    /// Calls `work` with the number of each cell that was made, and its bytes.
    pub(crate) fn each_made(
        &self,
        made: &Made,
        work: impl Fn(usize, &[u8]) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        share(
            self.threads,
            0..made.count.div_ceil(CELLS_AT_ONCE),
            || vec![0; self.cell_len],
            |job, cell| {
                for number in job * CELLS_AT_ONCE..made.count.min((job + 1) * CELLS_AT_ONCE) {
                    let strips = made.bytes.chunks((made.count * STRIP).max(1));
                    for (cell, strip) in cell.chunks_mut(STRIP).zip(strips) {
                        let len = cell.len();
                        cell.copy_from_slice(&strip[number * len..][..len]);
                    }
                    work(number, cell)?;
                }
                Ok(())
            },
        )
    }
}

/// Bytes of each shard that are worked on at a time.
const STRIP: usize = 256;

/// Cells that a thread takes at once.
const CELLS_AT_ONCE: usize = 64;
