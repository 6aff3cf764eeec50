//! Gives a protected stream back.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::{io, thread};

use carstone_layer::ReadAt;
use sha2::{Digest, Sha256};

use crate::desk::Desk;
use crate::find::{Entry, State};
use crate::layout::Slot;
use crate::outcome::{Ending, Outcome, Outcomes};
use crate::protect::{within, write};
use crate::survey::Zone;
use crate::workers::{into_inner, lock, share};
use crate::{Error, ErrorKind, Parity, Survey, WriteAt};

mod suspects;

/// What came of healing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Healed {
    /// Whether BLAKE3 and SHA-256 of what was written are those of the protected stream.
    pub whole: bool,
    /// Cells that were restored from recovery cells.
    pub restored: u64,
    /// Ranges of the target that are lost and hold zeros, in bytes, in order; none where it is whole.
    pub lost: Vec<Range<u64>>,
    budget: Budget,
}

impl Healed {
    /// How much of the budget healing took where it is scarcest, from 0 to 1, and above where it was not enough.
    ///
    /// A zone's budget is the recovery cells that it was made with. It takes one for each cell that was [restored](Self::restored), those that only the code told as wrong
    /// or that were assumed to be right among them, and for each that is lost; lost recovery cells count as well.
    pub fn used(&self) -> f64 {
        f64::from(self.budget.most) / f64::from(self.budget.of.max(1))
    }
}

/// Recovery cells of the zone that has the fewest to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Budget {
    /// That are lost or were needed.
    most: u32,
    /// That it was made with.
    of: u32,
}

/// Writes the stream to `target`, from its byte 0 on: what was found where it belongs, what could be restored, and zeros for the
/// rest.
///
/// Only where [`Healed::whole`] is true the target is the stream that was protected. `progress` is told how many bytes were written since the last time.
/// Restoring takes some 70 MiB, more where the share is larger, and 5 MiB for each of `threads` threads. Where more cells are only assumed to be
/// right than could be restored, it is found out which of them are wrong, if not too many are.
///
/// # Errors
/// [`ErrorKind::Io`].
pub fn heal<S, P, W>(
    source: &S,
    parity: &Parity<P>,
    survey: &Survey,
    target: &W,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Healed, Error>
where
    S: ReadAt + Sync + ?Sized,
    P: ReadAt + Sync,
    W: WriteAt + ReadAt + Sync + ?Sized,
{
    let outcomes = Outcomes::of(survey.zones.len());
    let work = Heal { source, parity, survey, target, outcomes: &outcomes, progress };
    // What stands before the first lost cell is written while that is restored.
    let ((restored, budget), (lost, hashes)) = thread::scope(|scope| {
        let written = scope.spawn(|| work.assemble());
        let restored = work.restore(threads);
        let written = written.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, Error>((restored?, written?))
    })?;
    let descriptor = parity.descriptor();
    let whole = hashes == (*descriptor.blake3(), *descriptor.sha256());
    // What could not be restored may have been zeros.
    let lost = if whole { Vec::new() } else { lost };
    Ok(Healed { whole, restored, lost, budget })
}

struct Heal<'a, S: ?Sized, P, W: ?Sized> {
    source: &'a S,
    parity: &'a Parity<P>,
    survey: &'a Survey,
    target: &'a W,
    outcomes: &'a Outcomes,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<S, P, W> Heal<'_, S, P, W>
where
    S: ReadAt + Sync + ?Sized,
    P: ReadAt + Sync,
    W: WriteAt + ReadAt + Sync + ?Sized,
{
    /// Restores the lost cells of all zones that have enough left, and writes them. Gives their number, and what it took.
    fn restore(&self, threads: usize) -> Result<(u64, Budget), Error> {
        let _ending = Ending(self.outcomes);
        let mut desk = Desk::new(threads);
        let mut restored = 0;
        let of = self.parity.descriptor().layout().recovery();
        let mut budget = Budget { most: 0, of };
        let mut effort = suspects::MUCH;
        for (number, zone) in (0..).zip(&self.survey.zones) {
            let mut outcome = Outcome::Left;
            let zone = self.suspect(number, *zone, &mut effort, &mut desk)?;
            if zone.lost + zone.assumed > 0 && zone.lost <= zone.left {
                // What is only assumed to be right is restored as well where that is possible: nothing rests on it then.
                let assumed = zone.lost.saturating_add(zone.assumed) <= zone.left;
                if self.decode(number, zone, assumed, &mut desk)? {
                    outcome = Outcome::Restored { assumed };
                } else if assumed
                    && zone.assumed > 0
                    && self.decode(number, zone, false, &mut desk)?
                {
                    outcome = Outcome::Restored { assumed: false };
                }
            }
            let taken = match outcome {
                Outcome::Restored { .. } => {
                    let made = u32::try_from(desk.lost().len()).unwrap_or(u32::MAX);
                    restored += u64::from(made);
                    made
                }
                _ => zone.lost,
            };
            budget.most = budget.most.max(taken.saturating_add(of.saturating_sub(zone.left)));
            self.outcomes.tell(number, outcome);
        }
        Ok((restored, budget))
    }

    /// Restores the lost cells of a zone, with the assumed ones if `assumed`; `false` where what comes out does not match the table.
    fn decode(
        &self,
        number: u32,
        zone: Zone,
        assumed: bool,
        desk: &mut Desk,
    ) -> Result<bool, Error> {
        let layout = self.parity.descriptor().layout();
        let cells: Vec<u64> = layout.cells_of_zone(number).collect();
        desk.load(cells.len(), layout.cell_len() as usize, &[], |shards, bytes, lost| {
            self.load(&cells[shards.clone()], assumed, bytes, |number| {
                lost.push(shards.start + number)
            })
        })?;
        let most = zone.lost + if assumed { zone.assumed } else { 0 };
        let recovery = self.recovery(number, most, desk.threads())?;
        // Source or parity changed since the survey, if there are too few now.
        if recovery.len() < desk.lost().len() {
            return Ok(false);
        }
        let made = desk.decode(layout.recovery() as usize, &recovery)?;
        let differs = AtomicBool::new(false);
        desk.each_made(&made, |number, bytes| {
            let cell = cells[desk.lost()[number]];
            if self.survey.entries.get(cell).is_some_and(|entry| entry != Entry::of(bytes)) {
                differs.store(true, Ordering::Relaxed);
                return Ok(());
            }
            // All that is not restored in the end is written again.
            let at = cell * u64::from(layout.cell_len());
            write(self.target, &bytes[..within(layout.stream_len() - at, bytes.len())], at)
        })?;
        Ok(!differs.into_inner())
    }

    /// Reads cells of a zone, and says by their numbers in `cells` which are not there; assumed ones are not if `assumed`.
    fn load(
        &self,
        cells: &[u64],
        assumed: bool,
        buf: &mut [u8],
        mut lost: impl FnMut(usize),
    ) -> Result<(), Error> {
        let cell_len = self.parity.descriptor().layout().cell_len() as usize;
        let mut number = 0;
        while let Some(cell) = cells.get(number) {
            // Cells of a zone that is alone in its group stand in a row.
            let row = match cells.last() == Some(&(cell + (cells.len() - number - 1) as u64)) {
                true => self.run(*cell..cell + (cells.len() - number) as u64),
                false => 1,
            };
            let row = within(row, usize::MAX);
            let bytes = &mut buf[number * cell_len..(number + row) * cell_len];
            let is_there = match self.survey.found.state(*cell) {
                State::At(from) if row > 1 => {
                    self.read_row(bytes, from)?;
                    true
                }
                State::Assumed(_) if assumed || self.outcomes.is_lost(*cell) => false,
                _ => self.read(*cell, bytes)?,
            };
            if !is_there {
                lost(number);
            }
            number += row;
        }
        Ok(())
    }

    /// So many of the recovery cells that are left of a zone, by their numbers, in order.
    fn recovery(
        &self,
        zone: u32,
        most: u32,
        threads: usize,
    ) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let all = self.parity.descriptor().layout().recovery();
        let slot = |number| Slot::Recovery { zone, number };
        let left = (0..all).filter(|number| self.parity.has(slot(*number)));
        let numbers: Vec<u32> = left.take(most as usize).collect();
        let cells = Mutex::new(Vec::with_capacity(numbers.len()));
        share(
            threads,
            numbers.chunks(AT_ONCE),
            || (),
            |numbers, ()| {
                for number in numbers {
                    if let Some(cell) = self.parity.payload(slot(*number))? {
                        let mut cells = lock(&cells);
                        cells.push((*number as usize, cell));
                    }
                }
                Ok(())
            },
        )?;
        let mut cells = into_inner(cells);
        cells.sort_unstable_by_key(|(number, _)| *number);
        Ok(cells)
    }

    /// Writes what was found, and zeros for what is lost, in order; hashes all of it.
    #[expect(clippy::type_complexity, reason = "ranges, and the two hashes")]
    fn assemble(&self) -> Result<(Vec<Range<u64>>, ([u8; 32], [u8; 32])), Error> {
        let (blocks, to_hash) = mpsc::sync_channel::<Vec<u8>>(2);
        let (spent, reuse) = mpsc::channel();
        // SHA-256 takes as long as all the rest.
        thread::scope(|scope| {
            let sha256 = scope.spawn(move || {
                let mut sha256 = Sha256::new();
                for block in to_hash {
                    sha256.update(&block);
                    // The writer may have ended already.
                    let _ = spent.send(block);
                }
                sha256.finalize().into()
            });
            let mut blake3 = blake3::Hasher::new();
            let lost = self.copy(|block| {
                blake3.update(&block);
                // The other end goes away only with this one.
                let _ = blocks.send(block);
                reuse.try_recv().unwrap_or_default()
            });
            drop(blocks);
            let sha256 = sha256.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((lost?, (*blake3.finalize().as_bytes(), sha256)))
        })
    }

    /// Calls `done` with each block that is written; it gives a buffer for the next.
    fn copy(&self, mut done: impl FnMut(Vec<u8>) -> Vec<u8>) -> Result<Vec<Range<u64>>, Error> {
        let layout = self.parity.descriptor().layout();
        let cell_len = layout.cell_len() as usize;
        let per_block = (COPIED / cell_len).max(1) as u64;
        let mut lost: Vec<Range<u64>> = Vec::new();
        let mut block = Vec::new();
        let mut first = 0;
        while first < layout.cells() {
            let cells = first..layout.cells().min(first + per_block);
            let start = first * cell_len as u64;
            let end = layout.stream_len().min(cells.end * cell_len as u64);
            block.resize(within(cells.end - first, usize::MAX) * cell_len, 0);
            self.fill(&mut block, cells.clone(), &mut lost)?;
            block.truncate(within(end - start, usize::MAX));
            write(self.target, &block, start)?;
            (self.progress)(block.len() as u64);
            block = done(block);
            first = cells.end;
        }
        Ok(lost)
    }

    /// Fills a block with `cells`, zeros for those that are lost, and adds these to `lost`.
    fn fill(
        &self,
        block: &mut [u8],
        cells: Range<u64>,
        lost: &mut Vec<Range<u64>>,
    ) -> Result<(), Error> {
        let layout = self.parity.descriptor().layout();
        let cell_len = layout.cell_len() as usize;
        let mut cell = cells.start;
        let mut rest = block;
        while cell < cells.end {
            let run = self.run(cell..cells.end);
            let (here, behind) = rest.split_at_mut(within(run, usize::MAX) * cell_len);
            let at = cell * cell_len as u64;
            if self.is_restored(cell) {
                let len = within(layout.stream_len() - at, cell_len);
                self.target
                    .read_exact_at(&mut here[..len], at)
                    .map_err(|error| Error::new(ErrorKind::Io(error), at))?;
            } else if let (State::At(from), true) = (self.survey.found.state(cell), run > 1) {
                self.read_row(here, from)?;
            } else if !self.read(cell, here)? {
                here.fill(0);
                let range = at..layout.stream_len().min(at + cell_len as u64);
                match lost.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => lost.push(range),
                }
            }
            (cell, rest) = (cell + run, behind);
        }
        Ok(())
    }

    /// Whether a cell was restored, which is waited for.
    fn is_restored(&self, cell: u64) -> bool {
        let is_assumed = match self.survey.found.state(cell) {
            State::Missing => false,
            State::Assumed(_) => true,
            State::At(_) | State::Corrected(_) => return false,
        };
        let zone = self.parity.descriptor().layout().zone_of(cell).0;
        let outcome = self.outcomes.wait(zone);
        let is_lost = |assumed| assumed || !is_assumed || self.outcomes.is_lost(cell);
        matches!(outcome, Outcome::Restored { assumed } if is_lost(assumed))
    }

    /// How many whole cells lie in a row in the source, from the first of `cells` on; 1 where that is something else.
    fn run(&self, cells: Range<u64>) -> u64 {
        let layout = self.parity.descriptor().layout();
        let State::At(from) = self.survey.found.state(cells.start) else { return 1 };
        // The last cell may be shorter, and is read by itself.
        let end = cells.end.min(layout.cells() - 1);
        let follows = |cell: &u64| {
            let step = (cell - cells.start) * u64::from(layout.cell_len());
            self.survey.found.state(*cell) == State::At(from + step)
        };
        (cells.start + 1..end).take_while(follows).count() as u64 + 1
    }

    fn read_row(&self, buf: &mut [u8], from: u64) -> Result<(), Error> {
        self.source.read_exact_at(buf, from).map_err(|error| Error::new(ErrorKind::Io(error), from))
    }

    fn read(&self, cell: u64, buf: &mut [u8]) -> Result<bool, Error> {
        self.survey
            .found
            .read(self.source, cell, buf)
            .map_err(|error: io::Error| Error::new(ErrorKind::Io(error), cell))
    }
}

/// Recovery cells that a thread takes at once.
const AT_ONCE: usize = 64;

/// Bytes that are copied and hashed at once.
const COPIED: usize = 1 << 17;
