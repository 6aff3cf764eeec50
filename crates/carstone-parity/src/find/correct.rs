//! Cells whose bytes are there but for few bits.

use std::ops::Range;
use std::sync::Mutex;

use carstone_layer::ReadAt;

use super::entry::digest4;
use super::rows::{LONG_ROW, missing_rows};
use super::search::Search;
use super::word::correct;
use super::{Entry, Flip, State};
use crate::Error;
use crate::workers::{into_inner, lock, share};

/// A cell that may be put right.
#[derive(Debug, Clone, Copy)]
struct Task {
    cell: u64,
    /// By how much it may have been moved.
    shifts: [Option<i64>; 4],
}

impl<S: ReadAt + Sync + ?Sized> Search<'_, S> {
    /// Puts right what few bits explain, at all places where a missing cell ought to be. Those that lack few neighbours come first: in long rows
    /// of missing cells there is seldom anything left to put right, and two bits are looked for only where one burst explained some of them.
    pub(super) fn correct(&self) -> Result<Vec<Flip>, Error> {
        let mut rows = missing_rows(self.cut.cells, &|cell| self.places.is_missing(cell));
        rows.sort_by_key(|row| row.end - row.start);
        let long = rows.split_off(rows.partition_point(|row| row.end - row.start <= LONG_ROW));
        let mut flips = self.correct_all(rows.iter().flat_map(|row| self.tasks(row)), true)?;
        for row in &long {
            let found = self.correct_all(self.tasks(row), false)?;
            if !found.is_empty() {
                flips.extend(found);
                flips.extend(self.correct_all(self.tasks(row), true)?);
            }
        }
        Ok(flips)
    }

    /// The cells of a row.
    fn tasks(&self, row: &Range<u64>) -> impl Iterator<Item = Task> {
        let cells = row.clone();
        // The cells at both sides are found, and what is put right within does not change that.
        let shifts = self.shifts_of(&cells);
        cells.map(move |cell| Task { cell, shifts })
    }

    /// Puts right what one burst explains, and two bits if `pairs`.
    fn correct_all(
        &self,
        tasks: impl Iterator<Item = Task>,
        pairs: bool,
    ) -> Result<Vec<Flip>, Error> {
        let flips = Mutex::new(Vec::new());
        let mut failures = 0;
        let mut tasks = tasks.filter(|task| self.wanted(task.cell).is_some());
        loop {
            let batch: Vec<Task> = tasks.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let pairs = pairs && failures < self.most_failures();
            share(self.threads, &batch, Vec::new, |task, buf| {
                self.correct_cell(task, pairs, buf, &flips)
            })?;
            match batch.iter().rposition(|task| !self.places.is_missing(task.cell)) {
                None => failures += batch.len() as u64,
                Some(good) => failures = (batch.len() - 1 - good) as u64,
            }
        }
        Ok(into_inner(flips))
    }

    /// As many failures as take the time that [`MAX_FAILURES`] take with cells of 4 KiB.
    fn most_failures(&self) -> u64 {
        (MAX_FAILURES * 4_096 / self.cut.cell.max(1)).max(1)
    }

    /// By how much a row of missing cells may have been moved, no number twice.
    fn shifts_of(&self, row: &Range<u64>) -> [Option<i64>; 4] {
        let (before, behind) = (self.shift_before(row.start), self.shift_behind(row.end));
        let mut shifts = [Some(0), Some(self.shift), before, behind];
        for at in 1..shifts.len() {
            if shifts[..at].contains(&shifts[at]) {
                shifts[at] = None;
            }
        }
        shifts
    }

    fn correct_cell(
        &self,
        task: &Task,
        pairs: bool,
        word: &mut Vec<u8>,
        flips: &Mutex<Vec<Flip>>,
    ) -> Result<(), Error> {
        let Some(entry) = self.wanted(task.cell) else { return Ok(()) };
        let len = self.cut.len(task.cell);
        for shift in task.shifts.into_iter().flatten() {
            let Some(at) = self.cut.moved(task.cell, shift, self.len) else { continue };
            self.fill(word, at, len)?;
            (self.progress)(word.len() as u64);
            if word.len() as u64 == len
                && let Some(found) = self.correct_bytes(task.cell, &entry, word, pairs)
            {
                lock(flips).extend(found);
                self.places.set(task.cell, State::Corrected(at));
                break;
            }
        }
        Ok(())
    }

    /// What is to be flipped in the bytes of a cell.
    fn correct_bytes(
        &self,
        cell: u64,
        entry: &Entry,
        word: &mut Vec<u8>,
        pairs: bool,
    ) -> Option<Vec<Flip>> {
        let len = word.len();
        let padding = self.padding(word);
        word.extend_from_slice(&padding);
        let crc_at = word.len();
        word.extend_from_slice(&entry.crc.to_le_bytes());
        let before = word[..len].to_vec();
        let confirm = |word: &[u8]| digest4(&[&word[..crc_at]]) == entry.digest;
        if !correct(word, 0..len, pairs, confirm) {
            return None;
        }
        let cell = u32::try_from(cell).ok()?;
        let changed = (0..).zip(before.iter().zip(&*word)).filter(|(_, (old, new))| old != new);
        Some(changed.map(|(at, (old, new))| Flip { cell, at, mask: old ^ new }).collect())
    }
}

/// Cells between two looks at how many could not be put right.
const BATCH: usize = 256;

/// Two bits are not looked for any more when so many cells on end could not be put right.
const MAX_FAILURES: u64 = 16_384;
