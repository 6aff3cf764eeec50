//! Contents of cells that are looked for, by the raw register of their CRC.

use carstone_layer::{ReadAt, crc64};

use super::index::Index;
use super::roll::{Roll, before_zeros};
use super::search::Search;
use super::{Entry, State};
use crate::frame::digest8;

/// The cells that are looked for with windows of one length. Equal ones stand together.
pub(super) struct Matcher<'a, 'b, S: ?Sized> {
    search: &'b Search<'a, S>,
    pub(super) roll: Roll,
    pub(super) window: usize,
    index: Index,
    /// The register of no bytes but zeros, in the CRC: what a register and a CRC differ by.
    constant: u64,
    /// The key of the only cell, where the window is shorter than `S`.
    short: Option<u64>,
}

/// What a piece of the source has cost, and what need not be looked at again in it.
pub(super) struct Spent {
    /// Digests that found nothing new.
    pub(super) vain: u64,
    /// Registers of contents that are settled, each at a place that its lowest byte gives.
    settled: [Option<u64>; 256],
}

impl Spent {
    pub(super) fn new() -> Self {
        Self { vain: 0, settled: [None; 256] }
    }

    fn settle(&mut self, register: u64) {
        self.settled[usize::from(register.to_le_bytes()[0])] = Some(register);
    }

    fn has(&self, register: u64) -> bool {
        self.settled[usize::from(register.to_le_bytes()[0])] == Some(register)
    }
}

impl<'a, 'b, S: ReadAt + Sync + ?Sized> Matcher<'a, 'b, S> {
    /// Looks for all cells of `S` bytes that are missing and known; `None` where there are none, or the windows would be too long.
    pub(super) fn of_missing(search: &'b Search<'a, S>) -> Option<Self> {
        let short = search.cut.short();
        let cells = 0..u32::try_from(search.cut.cells).ok()?;
        let wanted = |cell: &u32| {
            let cell = u64::from(*cell);
            Some(cell) != short && search.wanted(cell).is_some()
        };
        let count = cells.clone().filter(wanted).count();
        let mut order = Vec::with_capacity(count);
        order.extend(cells.filter(wanted));
        Self::new(search, order, usize::try_from(search.cut.cell).ok()?)
    }

    /// Looks for the last cell, where it is short, missing and known.
    pub(super) fn of_short(search: &'b Search<'a, S>) -> Option<Self> {
        let cell = search.cut.short().filter(|cell| search.wanted(*cell).is_some())?;
        let window = usize::try_from(search.cut.len(cell)).ok()?;
        Self::new(search, vec![u32::try_from(cell).ok()?], window)
    }

    fn new(search: &'b Search<'a, S>, mut order: Vec<u32>, window: usize) -> Option<Self> {
        let first = *order.first()?;
        let padded = search.padding(&vec![0; window]);
        let constant = crc64(&[&vec![0; window + padded.len()]]);
        let short = (!padded.is_empty())
            .then(|| before_zeros(entry_of(search, first).crc ^ constant, padded.len()));
        let key = |cell| short.unwrap_or_else(|| entry_of(search, cell).crc ^ constant);
        order.sort_unstable_by_key(|cell| (key(*cell), entry_of(search, *cell).digest, *cell));
        let index = Index::new(order, key);
        Some(Self { search, roll: Roll::new(window), window, index, constant, short })
    }

    /// The register of a window.
    pub(super) fn register(&self, window: &[u8]) -> u64 {
        match self.short {
            None => crc64(&[window]) ^ self.constant,
            Some(_) => {
                let zeros = self.search.padding(window);
                before_zeros(crc64(&[window, &zeros]) ^ self.constant, zeros.len())
            }
        }
    }

    /// Whether a cell may have this register.
    pub(super) fn may_have(&self, register: u64) -> bool {
        self.index.may_have(register)
    }

    /// Looks whether a window is a cell that was not found yet. All cells of its content are found then; they are returned.
    ///
    /// `at` is its place in the source. Not more than `most` digests may be spent in vain.
    pub(super) fn find(
        &self,
        register: u64,
        window: &[u8],
        at: u64,
        spent: &mut Spent,
        most: u64,
    ) -> &[u32] {
        if spent.has(register) {
            return &[];
        }
        let cells = self.index.get(register, |cell| self.key(cell));
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else {
            spent.settle(register);
            return &[];
        };
        let digest = |cell: u32| entry_of(self.search, cell).digest;
        let is_one_content = digest(*first) == digest(*last);
        if is_one_content && self.is_found_before(*first, at) {
            spent.settle(register);
            return &[];
        }
        if spent.vain >= most {
            return &[];
        }
        let wanted = digest8(&[window, &self.search.padding(window)]);
        let from = cells.partition_point(|cell| digest(*cell) < wanted);
        let rest = &cells[from..];
        let same = &rest[..rest.partition_point(|cell| digest(*cell) == wanted)];
        spent.settle(register);
        if same.first().is_none_or(|cell| self.is_found_before(*cell, at)) {
            spent.vain += 1;
            return &[];
        }
        self.found(same, at);
        same
    }

    /// All cells of the content of a cell that was found elsewhere.
    pub(super) fn find_equal(&self, entry: &Entry, at: u64) {
        let register = entry.crc ^ self.constant;
        if self.short.is_some() || !self.may_have(register) {
            return;
        }
        let cells = self.index.get(register, |cell| self.key(cell));
        let digest = |cell: u32| entry_of(self.search, cell).digest;
        let from = cells.partition_point(|cell| digest(*cell) < entry.digest);
        let rest = &cells[from..];
        let same = &rest[..rest.partition_point(|cell| digest(*cell) == entry.digest)];
        if same.first().is_some_and(|cell| self.search.places.is_missing(u64::from(*cell))) {
            self.found(same, at);
        }
    }

    fn found(&self, cells: &[u32], at: u64) {
        for cell in cells {
            let cell = u64::from(*cell);
            let old = self.search.places.get(cell);
            if !matches!(old, State::At(old) if self.search.is_claim(cell, old)) {
                self.search.places.lower(cell, at);
            }
        }
    }

    /// Whether there is nothing to be gained by finding a cell at `at`.
    fn is_found_before(&self, cell: u32, at: u64) -> bool {
        let cell = u64::from(cell);
        match self.search.places.get(cell) {
            State::Missing => false,
            State::At(old) => old <= at || self.search.is_claim(cell, old),
            State::Corrected(_) | State::Assumed(_) => true,
        }
    }

    fn key(&self, cell: u32) -> u64 {
        self.short.unwrap_or_else(|| entry_of(self.search, cell).crc ^ self.constant)
    }
}

/// The entry of a cell that is in a matcher, which is known.
fn entry_of<S: ?Sized>(search: &Search<'_, S>, cell: u32) -> Entry {
    search.entries.get(u64::from(cell)).unwrap_or(Entry { crc: 0, digest: [0; 8] })
}
