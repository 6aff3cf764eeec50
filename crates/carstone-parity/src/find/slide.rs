//! Cells that moved: a window is slid over what no cell claims.

use carstone_layer::ReadAt;

use super::State;
use super::matcher::{Matcher, Spent};
use super::regions::Regions;
use super::search::Search;
use crate::Error;
use crate::workers::share;

impl<S: ReadAt + Sync + ?Sized> Search<'_, S> {
    /// Finds cells wherever a window touches bytes that no cell claims.
    pub(super) fn slide(&self) -> Result<(), Error> {
        if let Some(matcher) = Matcher::of_missing(self) {
            self.find_equal(&matcher);
            let regions = Regions::unclaimed(self, matcher.window as u64, self.piece());
            self.slide_over(&matcher, regions, true)?;
        }
        if let Some(matcher) = Matcher::of_short(self) {
            let regions = Regions::unclaimed(self, matcher.window as u64, self.piece());
            self.slide_over(&matcher, regions, true)?;
        }
        Ok(())
    }

    /// Finds cells wherever they stand.
    pub(super) fn slide_anywhere(&self) -> Result<(), Error> {
        let matchers = [Matcher::of_missing(self), Matcher::of_short(self)];
        for matcher in matchers.into_iter().flatten() {
            let regions = Regions::all(self, matcher.window as u64, self.piece());
            self.slide_over(&matcher, regions, false)?;
        }
        Ok(())
    }

    /// Bytes of a piece that one thread looks at.
    fn piece(&self) -> u64 {
        PIECE.max(16 * self.cut.cell)
    }

    /// Finds cells whose content is that of one that was found already.
    fn find_equal(&self, matcher: &Matcher<'_, '_, S>) {
        for cell in 0..self.cut.cells {
            if let Some((at, entry)) = self.found_at(cell).zip(self.entries.get(cell))
                && self.cut.len(cell) == self.cut.cell
            {
                matcher.find_equal(&entry, at);
            }
        }
    }

    fn slide_over(
        &self,
        matcher: &Matcher<'_, '_, S>,
        regions: Regions<'_, '_, S>,
        follow: bool,
    ) -> Result<(), Error> {
        // Which rows are followed says what is passed over, and depends on what was found before: what is found must not depend on which thread was faster.
        let threads = if follow { 1 } else { self.threads };
        share(threads, regions, Vec::new, |starts, buf| {
            let len = starts.end - starts.start + matcher.window as u64 - 1;
            self.fill(buf, starts.start, len)?;
            self.slide_piece(matcher, buf, starts.start, follow);
            (self.progress)(buf.len() as u64);
            Ok(())
        })
    }

    /// Finds what begins and ends in `bytes`, which stand at `start` of the source. Returns the digests that were spent in vain.
    pub(super) fn slide_piece(
        &self,
        matcher: &Matcher<'_, '_, S>,
        bytes: &[u8],
        start: u64,
        follow: bool,
    ) -> u64 {
        let window = matcher.window;
        let mut spent = Spent::new();
        let mut at = 0;
        while let Some(bytes_of_window) = bytes.get(at..at + window) {
            let mut register = matcher.register(bytes_of_window);
            // Slid until something is found, and on from where that ends.
            loop {
                if matcher.may_have(register) {
                    let place = start + at as u64;
                    let most = MIN_VAIN + (at / window) as u64;
                    let found =
                        matcher.find(register, &bytes[at..at + window], place, &mut spent, most);
                    if follow && let Some(last) = self.follow(found, bytes, at, start) {
                        at = last + 1;
                        break;
                    }
                }
                let (outs, ins) = (&bytes[at..], &bytes[at + window..]);
                let stop = |register| matcher.may_have(register);
                match matcher.roll.until(&mut register, outs, ins, stop) {
                    Some(by) => at += by,
                    None => return spent.vain,
                }
            }
        }
        spent.vain
    }

    /// Finds the cells that stand behind one of `cells`, which are equal and stand at `at`, as long as their CRC holds. Returns where the last of
    /// them begins, if there is one.
    fn follow(&self, cells: &[u32], bytes: &[u8], at: usize, start: u64) -> Option<usize> {
        let width = usize::try_from(self.cut.cell).ok()?;
        let behind = bytes.get(at + width..)?;
        let crc = behind.get(..width).map(|bytes| self.padded_crc(bytes));
        let goes_on = |cell: u64| {
            let entry = self.entries.get(cell);
            entry.is_some_and(|entry| match self.cut.len(cell) == self.cut.cell {
                true => Some(entry.crc) == crc,
                false => self.matches_crc(cell, &entry, behind),
            })
        };
        let mut cell = u64::from(*cells.iter().find(|cell| goes_on(u64::from(**cell) + 1))?);
        let mut next = at;
        let mut last = at;
        loop {
            (cell, next) = (cell + 1, next + width);
            if cell >= self.cut.cells || next >= bytes.len() {
                return Some(last);
            }
            // Behind one whose entry is lost the row may go on.
            let Some(entry) = self.entries.get(cell) else { continue };
            if !self.matches_crc(cell, &entry, &bytes[next..]) {
                return Some(last);
            }
            last = next;
            let place = start + next as u64;
            match self.places.get(cell) {
                State::Missing => self.places.lower(cell, place),
                State::At(old) if !self.is_claim(cell, old) => {
                    self.places.set(cell, State::At(place));
                }
                _ => {}
            }
        }
    }
}

/// Offsets that a thread takes at a time. Tests have more than one of them in small sources.
const PIECE: u64 = if cfg!(test) { 1 << 12 } else { 1 << 17 };

/// Digests that may be spent in vain in each piece, besides one for each window's length.
const MIN_VAIN: u64 = 64;
