//! What is left of a protected stream, and whether that is enough.

use std::cell::Cell;
use std::ops::Range;

use carstone_layer::ReadAt;

use crate::desk::prepare;
use crate::find::{
    Entries, Entry, Found, IsMissing, LONG_ROW, State, find, find_anywhere, missing_rows,
};
use crate::{Error, ErrorKind, Layout, Parity};

/// What is left of a protected stream.
#[derive(Debug)]
pub struct Survey {
    pub(crate) found: Found,
    /// The table, as far as it is left.
    pub(crate) entries: Entries,
    pub(crate) zones: Vec<Zone>,
    layout: Layout,
    source_len: u64,
    /// Cells that are missing although the table says what they are.
    known_missing: u64,
    is_thorough: bool,
}

/// How many cells are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Where they belong.
    pub in_place: u64,
    /// Found elsewhere, since bytes were inserted or removed, or moved.
    pub moved: u64,
    /// There, with a few bits that were put right.
    pub corrected: u64,
    /// Bits that were put right in them.
    pub bits: u64,
    /// Between their neighbours, and not confirmed: what tells them is lost.
    pub assumed: u64,
    /// Lost.
    pub missing: u64,
}

/// Cells that a zone lacks, and what is left to restore them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) lost: u32,
    pub(crate) assumed: u32,
    pub(crate) left: u32,
}

impl Survey {
    /// Looks for the cells of the stream in `source`, wherever they lie, and corrects those of which a few bits flipped.
    ///
    /// Reads the source on `threads` threads, once where it is sound and at most three times, in time that is linear in its length.
    /// `progress` is told how many bytes were done since the last time.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Foreign`] where too little is found for this to be the stream that was protected.
    pub fn of<S, P>(
        source: &S,
        parity: &Parity<P>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, Error>
    where
        S: ReadAt + Sync + ?Sized,
        P: ReadAt + Sync,
    {
        Self::look(source, parity, threads, progress, true)
    }

    /// The same for who heals next: cells that bursts took are looked for elsewhere, and corrected, only where recovery cells are too few for all of them.
    ///
    /// They count as lost then, and what is [used](Self::used) is what healing uses. Where healing ends with something else all the same, [`Survey::of`] is left to be tried, if
    /// this is not [thorough](Self::is_thorough).
    ///
    /// # Errors
    /// As [`Survey::of`].
    pub fn enough<S, P>(
        source: &S,
        parity: &Parity<P>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, Error>
    where
        S: ReadAt + Sync + ?Sized,
        P: ReadAt + Sync,
    {
        Self::look(source, parity, threads, progress, false)
    }

    fn look<S, P>(
        source: &S,
        parity: &Parity<P>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
        all: bool,
    ) -> Result<Self, Error>
    where
        S: ReadAt + Sync + ?Sized,
        P: ReadAt + Sync,
    {
        let layout = parity.descriptor().layout().clone();
        let source_len = source.size()?;
        let entries = parity.entries()?;
        let left = |zone| Zone { lost: 0, assumed: 0, left: parity.recovery_left(zone) };
        let zones: Vec<Zone> = (0..layout.zones()).map(left).collect();
        let is_thorough = Cell::new(true);
        let may_end = !all && source_len == layout.stream_len();
        let goes_on = |is_missing: IsMissing<'_>| {
            let mut zones = zones.clone();
            let rows = missing_rows(layout.cells(), is_missing);
            let cells = || rows.iter().cloned().flatten();
            cells().for_each(|cell| zones[layout.zone_of(cell).0 as usize].lost += 1);
            if cells().count() as u64 > LONG_ROW {
                prepare();
            }
            let are_bursts = rows.iter().all(|row| row.end - row.start > LONG_ROW);
            let is_enough = zones.iter().all(|zone| zone.lost <= zone.left);
            is_thorough.set(!(may_end && are_bursts && is_enough));
            is_thorough.get()
        };
        let found = find(source, &layout, &entries, threads, progress, &goes_on)?;
        let is_thorough = is_thorough.into_inner();
        let mut survey =
            Self { found, entries, zones, layout, source_len, known_missing: 0, is_thorough };
        survey.count();
        if !survey.can_heal() {
            let Self { found, layout, entries, .. } = &mut survey;
            if find_anywhere(found, source, layout, entries, threads, progress)? {
                survey.count();
            }
        }
        survey.refuse_foreign(source_len.saturating_add(parity.source_len()?))?;
        Ok(survey)
    }

    /// Whether all cells were looked for in all ways there are.
    pub fn is_thorough(&self) -> bool {
        self.is_thorough
    }

    /// Compares all cells that were found with their whole entries, and takes those that differ for lost: for when all seems to be there and the hash of the
    /// stream differs, since bytes were put in the place of others that have the same CRC. Says whether there are any.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn doubt<S: ReadAt + ?Sized>(&mut self, source: &S) -> Result<bool, Error> {
        let mut cell = vec![0; self.layout.cell_len() as usize];
        let mut any = false;
        for number in 0..self.layout.cells() {
            let Some(entry) = self.entries.get(number) else { continue };
            let is_there = self.found.read(source, number, &mut cell)?;
            if is_there && Entry::of(&cell) != entry {
                self.found.lose(number);
                any = true;
            }
        }
        if any {
            self.count();
        }
        Ok(any)
    }

    /// Counts what each zone lacks.
    fn count(&mut self) {
        self.zones.iter_mut().for_each(|zone| (zone.lost, zone.assumed) = (0, 0));
        self.known_missing = 0;
        for cell in 0..self.layout.cells() {
            let state = self.found.state(cell);
            if matches!(state, State::At(_) | State::Corrected(_)) {
                continue;
            }
            let zone = &mut self.zones[self.layout.zone_of(cell).0 as usize];
            match state {
                State::Assumed(_) => zone.assumed += 1,
                _ => {
                    zone.lost += 1;
                    self.known_missing += u64::from(self.entries.get(cell).is_some());
                }
            }
        }
    }

    /// Cells of which nothing is known count as there, as long as a small part of the others is: where a burst took most of these, the code and the hashes decide. And no more
    /// may be lost than source and parity have bytes, `all` of them: that is never restored, and would be written as zeros however long the stream is said to be.
    fn refuse_foreign(&self, all: u64) -> Result<(), Error> {
        let (cells, known) = (self.layout.cells(), self.entries.count());
        let (found, needed) = (known - self.known_missing, cells - self.layout.may_lack());
        // Numbers of cells are below 2²⁴.
        let part = known * needed.min(cells.div_ceil(PART)).max(1);
        let proved = known.saturating_sub(self.layout.may_lack());
        let mut wanted = proved.max(part.div_ceil(cells.max(1)));
        // Nothing ties these cells to the stream, if the hashes will not.
        if known == 0 && !self.can_heal() {
            wanted = 1;
        }
        let lost: u64 = self.zones.iter().map(|zone| u64::from(zone.lost)).sum();
        let most_lost = all / u64::from(self.layout.cell_len());
        if lost > most_lost {
            wanted = wanted.max(cells - most_lost);
        }
        match found < wanted {
            true => Err(Error::new(ErrorKind::Foreign { found, known, wanted }, 0)),
            false => Ok(()),
        }
    }

    /// How many cells are in which state.
    pub fn counts(&self) -> Counts {
        let counts = self.found.counts();
        Counts {
            in_place: counts.in_place,
            moved: counts.moved,
            corrected: counts.corrected,
            bits: counts.bits,
            assumed: counts.assumed,
            missing: counts.missing,
        }
    }

    /// Bits that were put right: bytes of the stream, by their offset, and which bits of them.
    pub fn corrections(&self) -> impl Iterator<Item = (u64, u8)> {
        let cell = u64::from(self.layout.cell_len());
        let flips = self.found.flips().iter();
        flips.map(move |flip| (u64::from(flip.cell) * cell + u64::from(flip.at), flip.mask))
    }

    /// Whether all cells of these bytes of the stream are known to be where they belong.
    pub fn is_in_place(&self, range: Range<u64>) -> bool {
        let cell = u64::from(self.layout.cell_len());
        let is_home = |number: u64| self.found.state(number) == State::At(number * cell);
        (range.start / cell..range.end.div_ceil(cell)).all(is_home)
    }

    /// Where bytes that are lost would begin in the source, by what stands before them and by what stands behind: the same offset unless bytes were inserted or removed between
    /// the two.
    pub fn around(&self, range: &Range<u64>) -> [Option<u64>; 2] {
        let cell = u64::from(self.layout.cell_len());
        // Both are below 2⁶³.
        let shift = |number: u64| match self.found.state(number) {
            State::At(at) | State::Corrected(at) => {
                Some(at.wrapping_sub(number * cell).cast_signed())
            }
            State::Missing | State::Assumed(_) => None,
        };
        let before = (0..range.start / cell).rev().take(NEAR).find_map(shift);
        let behind = (range.end.div_ceil(cell)..self.layout.cells()).take(NEAR).find_map(shift);
        [before, behind].map(|shift| range.start.checked_add_signed(shift?))
    }

    /// Whether the stream is there as it was: as long, with all cells in their places.
    ///
    /// Cells are told by their CRC-64 here; the hashes are for healing.
    pub fn is_sound(&self) -> bool {
        let counts = self.counts();
        counts.in_place == self.layout.cells() && self.source_len == self.layout.stream_len()
    }

    /// Whether each zone has recovery cells for what it lacks, if the cells that are only assumed are right.
    pub fn can_heal(&self) -> bool {
        self.zones.iter().all(|zone| zone.lost <= zone.left)
    }

    /// Whether each zone has recovery cells for what it lacks and for all that is only assumed, so that healing does not rest on these.
    ///
    /// Where this is false and [`Survey::can_heal`] true, only healing can tell.
    pub fn can_surely_heal(&self) -> bool {
        self.zones.iter().all(|zone| zone.lost.saturating_add(zone.assumed) <= zone.left)
    }

    /// Cells that are lost and for which their zone has too few recovery cells.
    pub fn over_budget(&self) -> u64 {
        let over = self.zones.iter().filter(|zone| zone.lost > zone.left);
        over.map(|zone| u64::from(zone.lost)).sum()
    }

    /// How much of the budget is used where it is scarcest, from 0 to 1, and above where it is not enough.
    ///
    /// The budget of a zone is the recovery cells that it was made with. Those that are lost count as used.
    pub fn used(&self) -> f64 {
        let all = self.layout.recovery();
        let used = |zone: &Zone| {
            f64::from(zone.lost + all.saturating_sub(zone.left)) / f64::from(all.max(1))
        };
        self.zones.iter().map(used).fold(0.0, f64::max)
    }

    /// More cells that the scarcest zone could lose.
    pub fn left(&self) -> u32 {
        self.zones.iter().map(|zone| zone.left.saturating_sub(zone.lost)).min().unwrap_or(0)
    }
}

/// Cells between bytes that are lost and what may still tell where they were.
const NEAR: usize = 1 << 14;

/// Where cells are not known, one of so many that are must be found at least, and no more than parity needs of all.
const PART: u64 = 8;
