//! Where the cells are.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use carstone_layer::ReadAt;

use super::Cut;

/// What is known of where a cell is; offsets are those of the source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nowhere.
    Missing,
    /// Its bytes are there, as the table says.
    At(u64),
    /// Its bytes are there but for the bits that were put right.
    Corrected(u64),
    /// The table does not say what its bytes are; these stand just between its neighbours.
    Assumed(u64),
}

/// How many cells there are of each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Found where they belong.
    pub(crate) in_place: u64,
    /// Found elsewhere.
    pub(crate) moved: u64,
    /// Corrected.
    pub(crate) corrected: u64,
    /// Bits that were flipped in the corrected ones.
    pub(crate) bits: u64,
    /// Assumed.
    pub(crate) assumed: u64,
    /// Missing.
    pub(crate) missing: u64,
}

/// Bits of a byte of a cell that were put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flip {
    /// The cell.
    pub(crate) cell: u32,
    /// The byte of the cell.
    pub(crate) at: u32,
    /// The bits.
    pub(crate) mask: u8,
}

/// The cells of a stream, as far as they were found in a source.
#[derive(Debug)]
pub(crate) struct Found {
    cut: Cut,
    places: Vec<u64>,
    /// In the order of cells and bytes.
    flips: Vec<Flip>,
}

impl Found {
    pub(super) fn new(cut: Cut, places: Places, mut flips: Vec<Flip>) -> Self {
        flips.sort_unstable();
        Self { cut, places: places.into_inner(), flips }
    }

    /// Where a cell is.
    pub(crate) fn state(&self, cell: u64) -> State {
        let place = usize::try_from(cell).ok().and_then(|cell| self.places.get(cell));
        place.map_or(State::Missing, |place| decode(*place))
    }

    /// Reads the `S` bytes of a cell, the last one filled up with zeros; `false` where it is missing.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where `buf` does not have `S` bytes, [`io::ErrorKind::UnexpectedEof`] where the source is shorter now, and
    /// whatever the source gives.
    pub(crate) fn read<S: ReadAt + ?Sized>(
        &self,
        source: &S,
        cell: u64,
        buf: &mut [u8],
    ) -> io::Result<bool> {
        if buf.len() as u64 != self.cut.cell {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (State::At(at) | State::Corrected(at) | State::Assumed(at)) = self.state(cell) else {
            return Ok(false);
        };
        let len = usize::try_from(self.cut.len(cell)).unwrap_or(0).min(buf.len());
        let (bytes, rest) = buf.split_at_mut(len);
        source.read_exact_at(bytes, at)?;
        rest.fill(0);
        for flip in self.flips_of(cell) {
            if let Some(byte) = bytes.get_mut(flip.at as usize) {
                *byte ^= flip.mask;
            }
        }
        Ok(true)
    }

    /// How many cells there are of each state.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (cell, place) in self.places.iter().enumerate() {
            match decode(*place) {
                State::Missing => counts.missing += 1,
                State::At(at) if at == self.cut.home(cell as u64) => counts.in_place += 1,
                State::At(_) => counts.moved += 1,
                State::Corrected(_) => counts.corrected += 1,
                State::Assumed(_) => counts.assumed += 1,
            }
        }
        counts.bits = self.flips.iter().map(|flip| u64::from(flip.mask.count_ones())).sum();
        counts
    }

    /// What was put right, in the order of cells and bytes.
    pub(crate) fn flips(&self) -> &[Flip] {
        &self.flips
    }

    /// What was put right in a cell.
    pub(crate) fn flips_of(&self, cell: u64) -> &[Flip] {
        let from = self.flips.partition_point(|flip| u64::from(flip.cell) < cell);
        let rest = &self.flips[from..];
        &rest[..rest.partition_point(|flip| u64::from(flip.cell) == cell)]
    }

    /// States that a cell is nowhere.
    pub(crate) fn lose(&mut self, cell: u64) {
        let slot = usize::try_from(cell).ok().and_then(|cell| self.places.get_mut(cell));
        if let Some(slot) = slot {
            *slot = MISSING;
        }
    }

    pub(super) fn take_places(&mut self) -> Places {
        let places = std::mem::take(&mut self.places);
        Places(places.into_iter().map(AtomicU64::new).collect())
    }

    pub(super) fn put_places(&mut self, places: Places) {
        self.places = places.into_inner();
    }
}

/// The state of each cell, for many threads to write.
#[derive(Debug)]
pub(super) struct Places(Vec<AtomicU64>);

impl Places {
    /// All cells missing; a layout has at most 2²³.
    pub(super) fn missing(cells: u64) -> Self {
        Self((0..cells).map(|_| AtomicU64::new(MISSING)).collect())
    }

    pub(super) fn get(&self, cell: u64) -> State {
        self.slot(cell).map_or(State::Missing, |slot| decode(slot.load(Relaxed)))
    }

    pub(super) fn is_missing(&self, cell: u64) -> bool {
        self.get(cell) == State::Missing
    }

    /// States where a cell is, whatever was known before.
    pub(super) fn set(&self, cell: u64, state: State) {
        if let Some(slot) = self.slot(cell) {
            slot.store(encode(state), Relaxed);
        }
    }

    /// States that a cell is at `at`, unless it is found at a lower offset: so that the order of threads does not count.
    pub(super) fn lower(&self, cell: u64, at: u64) {
        if let Some(slot) = self.slot(cell) {
            slot.fetch_min(encode(State::At(at)), Relaxed);
        }
    }

    fn slot(&self, cell: u64) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(cell).ok()?)
    }

    fn into_inner(self) -> Vec<u64> {
        self.0.into_iter().map(AtomicU64::into_inner).collect()
    }
}

fn encode(state: State) -> u64 {
    match state {
        State::Missing => MISSING,
        State::At(at) => at,
        State::Corrected(at) => CORRECTED | at,
        State::Assumed(at) => ASSUMED | at,
    }
}

fn decode(place: u64) -> State {
    let at = place & (MAX_SOURCE - 1);
    match place & !(MAX_SOURCE - 1) {
        0 => State::At(at),
        CORRECTED => State::Corrected(at),
        ASSUMED => State::Assumed(at),
        _ => State::Missing,
    }
}

/// Offsets of a source are below this.
pub(super) const MAX_SOURCE: u64 = 1 << 62;

const CORRECTED: u64 = 1 << 62;
const ASSUMED: u64 = 2 << 62;
const MISSING: u64 = u64::MAX;
