//! Where a window is slid over the source: wherever it touches a byte that no cell claims.

use std::ops::Range;

use carstone_layer::ReadAt;

use super::search::Search;

/// Ranges of offsets, in order, at which windows of `window` bytes begin; none is longer than `piece`.
pub(super) struct Regions<'a, 'b, S: ?Sized> {
    search: &'b Search<'a, S>,
    window: u64,
    piece: u64,
    /// The next cells whose claims are looked at: those at home, and those that were moved with the end of the source.
    next: [u64; 2],
    /// All bytes before this are claimed, or their region is known.
    covered: u64,
    /// What is left of the region that is being cut.
    region: Range<u64>,
}

impl<'a, 'b, S: ReadAt + Sync + ?Sized> Regions<'a, 'b, S> {
    /// The regions that no cell claims.
    pub(super) fn unclaimed(search: &'b Search<'a, S>, window: u64, piece: u64) -> Self {
        let moved = if search.shift == 0 { search.cut.cells } else { 0 };
        Self { search, window, piece, next: [0, moved], covered: 0, region: 0..0 }
    }

    /// The whole of the source.
    pub(super) fn all(search: &'b Search<'a, S>, window: u64, piece: u64) -> Self {
        let cells = search.cut.cells;
        Self { search, window, piece, next: [cells; 2], covered: 0, region: 0..0 }
    }

    /// The next bytes that a cell claims.
    fn claim(&mut self) -> Option<Range<u64>> {
        let (cut, len) = (&self.search.cut, self.search.len);
        let mut found = [None; 2];
        for ((next, found), shift) in
            self.next.iter_mut().zip(&mut found).zip([0, self.search.shift])
        {
            while *next < cut.cells && found.is_none() {
                *found = cut
                    .moved(*next, shift, len)
                    .filter(|at| self.search.found_at(*next) == Some(*at));
                *next += u64::from(found.is_none());
            }
        }
        let which = match found {
            [Some(home), Some(moved)] => usize::from(moved < home),
            [home, _] => usize::from(home.is_none()),
        };
        let (start, cell) = (found[which]?, self.next[which]);
        self.next[which] += 1;
        Some(start..start + cut.len(cell))
    }

    /// The next offsets, as many as there are on end.
    fn next_region(&mut self) -> Option<Range<u64>> {
        let len = self.search.len;
        let ends = (len + 1).checked_sub(self.window).filter(|ends| *ends > 0)?;
        while self.covered < len {
            let claim = self.claim().unwrap_or(len..len);
            let gap = self.covered..claim.start;
            self.covered = self.covered.max(claim.end);
            if !gap.is_empty() {
                let from = gap.start.saturating_sub(self.window - 1).max(self.region.end);
                let region = from..gap.end.min(ends);
                if !region.is_empty() {
                    return Some(region);
                }
            }
        }
        None
    }
}

impl<S: ReadAt + Sync + ?Sized> Iterator for Regions<'_, '_, S> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        if self.region.is_empty() {
            self.region = self.next_region()?;
        }
        let end = self.region.end.min(self.region.start.saturating_add(self.piece));
        let piece = self.region.start..end;
        self.region.start = end;
        Some(piece)
    }
}
