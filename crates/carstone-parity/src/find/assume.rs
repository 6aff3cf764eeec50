//! Cells whose entry is lost.

use carstone_layer::ReadAt;

use super::State;
use super::search::Search;

impl<S: ReadAt + Sync + ?Sized> Search<'_, S> {
    /// Assumes cells that nothing is known of, where the known ones at both sides of a row of them are found just so far apart. What is before
    /// the first and behind the last cell is found, at the ends of the source.
    pub(super) fn assume(&self) {
        let mut cell = 0;
        while cell < self.cut.cells {
            let first = cell;
            while cell < self.cut.cells && self.entries.get(cell).is_none() {
                cell += 1;
            }
            if let Some(shift) = self.shift_before(first)
                && Some(shift) == self.shift_behind(cell)
            {
                self.assume_moved(first, cell, shift);
            }
            cell += 1;
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
