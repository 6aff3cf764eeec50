//! Cells that are where they belong, counted from the front of the source or from its end.

use std::ops::Range;

use carstone_layer::ReadAt;

use super::State;
use super::search::Search;
use crate::Error;
use crate::workers::share;

impl<S: ReadAt + Sync + ?Sized> Search<'_, S> {
    /// Finds cells at `c·S`, and those that are not there at `c·S + (L − N)`, by their CRC.
    pub(super) fn in_place(&self) -> Result<(), Error> {
        let step = (BLOCK / self.cut.cell).max(1);
        let firsts = (0..self.cut.cells.div_ceil(step)).map(|block| block * step);
        share(self.threads, firsts, Vec::new, |first, buf| {
            let left = self.match_moved(self.cut.block(first, step), 0, buf)?;
            if self.shift != 0 {
                self.match_moved(left, self.shift, buf)?;
            }
            Ok(())
        })
    }

    /// Finds cells that were all moved by `shift`. Returns a range that holds all cells that are still missing and whose entry is known.
    fn match_moved(
        &self,
        cells: Range<u64>,
        shift: i64,
        buf: &mut Vec<u8>,
    ) -> Result<Range<u64>, Error> {
        let mut left = cells.end..cells.start;
        let miss = |cell: u64, left: &mut Range<u64>| {
            *left = left.start.min(cell)..left.end.max(cell + 1);
        };
        let inside = |cell: &u64| self.cut.moved(*cell, shift, self.len).is_some();
        let first = cells.clone().find(inside).unwrap_or(cells.end);
        let start = self.cut.home(first).checked_add_signed(shift).unwrap_or(0);
        if first < cells.end {
            self.fill(buf, start, (cells.end - first) * self.cut.cell)?;
            (self.progress)(buf.len() as u64);
        }
        for cell in cells {
            let Some(entry) = self.wanted(cell) else { continue };
            let at = self.cut.moved(cell, shift, self.len);
            let bytes = at.and_then(|at| buf.get(usize::try_from(at.checked_sub(start)?).ok()?..));
            match (at, bytes) {
                (Some(at), Some(bytes)) if self.matches_crc(cell, &entry, bytes) => {
                    self.places.set(cell, State::At(at));
                }
                _ => miss(cell, &mut left),
            }
        }
        Ok(left)
    }
}

/// Bytes that a thread takes at a time. Tests have more than one of them in small sources.
const BLOCK: u64 = if cfg!(test) { 1 << 12 } else { 1 << 16 };
