//! Cells whose entry is lost.

use carstone_layer::ReadAt;

use super::State;
use super::search::Search;

impl<S: ReadAt + Sync + ?Sized> Search<'_, S> {
    /// Assumes cells that nothing is known of, where the nearest that are found at both sides of a row of them are just so far apart. Where none
    /// is found at a side, the other tells, and where none is found at all, they are assumed to stand where they belong. Of two that differ, one that has no equal counts
    /// before one that has; if both have equals, the one that is not where it belongs: all are looked for there first.
    pub(super) fn assume(&self) {
        if (0..self.cut.cells).all(|cell| self.entries.get(cell).is_some()) {
            return;
        }
        let equal = self.equal();
        let mut cell = 0;
        let (mut before, mut behind) = (None, 0);
        while cell < self.cut.cells {
            if self.entries.get(cell).is_some() {
                before = self.sign(cell, &equal).or(before);
                cell += 1;
                continue;
            }
            let first = cell;
            while cell < self.cut.cells && self.entries.get(cell).is_none() {
                cell += 1;
            }
            // It only goes forwards, so that all rows together take one pass.
            behind = behind.max(cell);
            while behind < self.cut.cells && self.sign(behind, &equal).is_none() {
                behind += 1;
            }
            let shift = match (before, self.sign(behind, &equal)) {
                (Some(before), Some(behind)) if before.shift != behind.shift => {
                    match (before.is_sure, behind.is_sure) {
                        (true, true) => continue,
                        (true, false) => before.shift,
                        (false, true) => behind.shift,
                        (false, false) => self.shift,
                    }
                }
                (one, other) => one.or(other).map_or(0, |sign| sign.shift),
            };
            self.assume_moved(first, cell, shift);
        }
    }

    /// CRCs that more than one cell has, in order.
    fn equal(&self) -> Vec<u64> {
        let entries = (0..self.cut.cells).filter_map(|cell| self.entries.get(cell));
        let mut crcs: Vec<u64> = entries.map(|entry| entry.crc).collect();
        crcs.sort_unstable();
        let mut equal: Vec<u64> =
            crcs.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        equal.dedup();
        equal
    }

    /// What a cell says of those beside it. One that has equals may have been found at one of these: it says something only where it was looked for first, or in a row with
    /// another one.
    fn sign(&self, cell: u64, equal: &[u64]) -> Option<Sign> {
        let (shift, entry) = self.shift_of(cell).zip(self.entries.get(cell))?;
        if equal.binary_search(&entry.crc).is_err() {
            return Some(Sign { shift, is_sure: true });
        }
        let is_row = || {
            [cell.checked_sub(1), Some(cell + 1)].into_iter().flatten().any(|beside| {
                self.entries.get(beside).is_some() && self.shift_of(beside) == Some(shift)
            })
        };
        match shift == 0 || shift == self.shift {
            true => Some(Sign { shift, is_sure: false }),
            false => is_row().then_some(Sign { shift, is_sure: true }),
        }
    }

    /// By how much the cell before `cell` was moved; `None` where it is missing.
    pub(super) fn shift_before(&self, cell: u64) -> Option<i64> {
        match cell.checked_sub(1) {
            None => Some(0),
            Some(before) => self.shift_of(before),
        }
    }

    /// By how much `cell` was moved, or what is behind the last one.
    pub(super) fn shift_behind(&self, cell: u64) -> Option<i64> {
        match cell < self.cut.cells {
            false => Some(self.shift),
            true => self.shift_of(cell),
        }
    }

    fn shift_of(&self, cell: u64) -> Option<i64> {
        match self.places.get(cell) {
            State::Missing => None,
            State::At(at) | State::Corrected(at) | State::Assumed(at) => {
                // Both are below 2⁶³.
                Some(at.wrapping_sub(self.cut.home(cell)).cast_signed())
            }
        }
    }

    fn assume_moved(&self, first: u64, end: u64, shift: i64) {
        for cell in first..end {
            if let Some(at) = self.cut.moved(cell, shift, self.len) {
                self.places.set(cell, State::Assumed(at));
            }
        }
    }
}

/// By how much cells were moved, as far as one of them tells.
#[derive(Debug, Clone, Copy)]
struct Sign {
    shift: i64,
    /// Whether no equal one may have been found in its place.
    is_sure: bool,
}
