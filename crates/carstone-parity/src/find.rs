//! Finds the cells of a protected stream in a source that may be damaged (`docs/format.md`, sections 14.2 and 14.7).
//!
//! Cells are looked for where they belong, then with a sliding window wherever no cell lies; what is still missing is corrected at the
//! places where it ought to be. Everything takes time in proportion to the source and the table, whatever they hold.

use std::ops::Range;

use carstone_layer::ReadAt;

use crate::Error;
use crate::layout::Layout;
use found::Places;
use search::Search;

mod assume;
mod correct;
mod entry;
mod found;
mod in_place;
mod index;
mod matcher;
mod pairs;
mod regions;
mod roll;
mod rows;
mod search;
mod slide;
mod word;

#[cfg(test)]
mod tests;

pub(crate) use entry::{Entries, Entry};
pub(crate) use found::{Flip, Found, State};
pub(crate) use rows::{IsMissing, LONG_ROW, missing_rows};
pub(crate) use word::correct_frame;

/// Finds the cells of `layout` in `source`; `entries` says what is known of them.
///
/// `progress` is told, by any thread, how many more bytes were looked at; some are looked at more than once. A cell is found by its CRC-64
/// where it belongs or stands behind a found one, else by its digest too. `goes_on` is asked then, with what says
/// whether a cell is missing, if it is looked for elsewhere and corrected. Takes, besides a few MiB for each thread, 8 bytes for each cell and
/// up to 12 for each that is not where it belongs.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) with the place in the source, [`ErrorKind::TooLong`](crate::ErrorKind::TooLong).
pub(crate) fn find<S: ReadAt + Sync + ?Sized>(
    source: &S,
    layout: &Layout,
    entries: &Entries,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
    goes_on: &dyn Fn(IsMissing<'_>) -> bool,
) -> Result<Found, Error> {
    let places = Places::missing(layout.cells());
    let search = Search::new(source, layout, entries, places, threads, progress)?;
    search.in_place()?;
    let mut flips = Vec::new();
    if goes_on(&|cell| search.places.is_missing(cell)) {
        search.slide()?;
        flips = search.correct()?;
    }
    search.assume();
    Ok(search.into_found(flips))
}

/// Looks once more for the cells that `find` says are missing, now from each byte of the source on, also inside of cells that were found.
///
/// That finds what stands twice in the stream, at distances that are no multiple of a cell. It takes as long as if all of the source
/// were foreign: for when what was found does not suffice. Returns whether more is found now.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_anywhere<S: ReadAt + Sync + ?Sized>(
    found: &mut Found,
    source: &S,
    layout: &Layout,
    entries: &Entries,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<bool, Error> {
    let before = found.counts().missing;
    let places = found.take_places();
    let search = Search::new(source, layout, entries, places, threads, progress)?;
    let result = search.slide_anywhere();
    found.put_places(search.into_places());
    result?;
    Ok(found.counts().missing < before)
}

/// Where the cells of a stream belong.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Bytes of the stream.
    stream: u64,
    /// Bytes of a cell.
    cell: u64,
    cells: u64,
}

impl Cut {
    fn of(layout: &Layout) -> Self {
        Self {
            stream: layout.stream_len(),
            cell: u64::from(layout.cell_len()),
            cells: layout.cells(),
        }
    }

    /// Where a cell belongs.
    fn home(&self, cell: u64) -> u64 {
        cell * self.cell
    }

    /// The bytes of the stream that are in a cell: fewer than `S` in the last one.
    fn len(&self, cell: u64) -> u64 {
        self.stream.saturating_sub(self.home(cell)).min(self.cell)
    }

    /// The last cell, where it is short.
    fn short(&self) -> Option<u64> {
        self.cells.checked_sub(1).filter(|last| self.len(*last) < self.cell)
    }

    /// Where a cell would be if it were moved by `shift`, as far as that is inside of `source`.
    fn moved(&self, cell: u64, shift: i64, source: u64) -> Option<u64> {
        let at = self.home(cell).checked_add_signed(shift)?;
        (at.checked_add(self.len(cell))? <= source).then_some(at)
    }

    /// The cells from `first` on that are within a block.
    fn block(&self, first: u64, step: u64) -> Range<u64> {
        first..first.saturating_add(step).min(self.cells)
    }
}
