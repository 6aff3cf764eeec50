//! What all ways to look for cells share.

use carstone_layer::{ReadAt, crc64, read_full};

use super::found::{MAX_SOURCE, Places};
use super::{Cut, Entries, Entry, Flip, Found, State};
use crate::layout::Layout;
use crate::{Error, ErrorKind};

/// A search for the cells of one stream in one source.
pub(super) struct Search<'a, S: ?Sized> {
    pub(super) source: &'a S,
    /// Bytes of the source.
    pub(super) len: u64,
    pub(super) cut: Cut,
    pub(super) entries: &'a Entries,
    pub(super) places: Places,
    pub(super) threads: usize,
    pub(super) progress: &'a (dyn Fn(u64) + Sync),
    /// How much longer the source is than the stream.
    pub(super) shift: i64,
}

impl<'a, S: ReadAt + Sync + ?Sized> Search<'a, S> {
    pub(super) fn new(
        source: &'a S,
        layout: &Layout,
        entries: &'a Entries,
        places: Places,
        threads: usize,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Self, Error> {
        let (len, cut) = (source.size()?, Cut::of(layout));
        if len >= MAX_SOURCE {
            let what = "source";
            return Err(Error::new(ErrorKind::TooLong { what, len, limit: MAX_SOURCE - 1 }, 0));
        }
        // Both are below 2⁶³.
        let shift = len.wrapping_sub(cut.stream).cast_signed();
        Ok(Self { source, len, cut, entries, places, threads, progress, shift })
    }

    pub(super) fn into_found(self, flips: Vec<Flip>) -> Found {
        Found::new(self.cut, self.places, flips)
    }

    pub(super) fn into_places(self) -> Places {
        self.places
    }

    /// Makes `buf` the bytes from `at` on, `len` of them or as many as there are.
    pub(super) fn fill(&self, buf: &mut Vec<u8>, at: u64, len: u64) -> Result<(), Error> {
        let len = len.min(self.len.saturating_sub(at));
        // Callers ask for blocks of a few MiB.
        buf.resize(usize::try_from(len).unwrap_or(0), 0);
        let got = read_full(self.source, buf, at)
            .map_err(|error| Error::new(ErrorKind::Io(error), at))?;
        buf.truncate(got);
        Ok(())
    }

    /// The entry of a cell that is missing, where it is known.
    pub(super) fn wanted(&self, cell: u64) -> Option<Entry> {
        self.entries.get(cell).filter(|_| self.places.is_missing(cell))
    }

    /// Whether `bytes` begins with bytes of a cell that match its CRC.
    pub(super) fn matches_crc(&self, cell: u64, entry: &Entry, bytes: &[u8]) -> bool {
        let len = usize::try_from(self.cut.len(cell)).unwrap_or(usize::MAX);
        bytes.get(..len).is_some_and(|bytes| self.padded_crc(bytes) == entry.crc)
    }

    /// CRC-64 of a cell that begins with `bytes` and goes on with zeros.
    pub(super) fn padded_crc(&self, bytes: &[u8]) -> u64 {
        match self.padding(bytes) {
            padding if padding.is_empty() => crc64(&[bytes]),
            padding => crc64(&[bytes, &padding]),
        }
    }

    /// The zeros that fill a cell up; no memory for a whole one.
    pub(super) fn padding(&self, bytes: &[u8]) -> Vec<u8> {
        let len = self.cut.cell.saturating_sub(bytes.len() as u64);
        vec![0; usize::try_from(len).unwrap_or(0)]
    }

    /// Where the search claims the bytes of a cell: where it belongs, or would belong if the source were the stream's end.
    pub(super) fn is_claim(&self, cell: u64, at: u64) -> bool {
        at == self.cut.home(cell) || Some(at) == self.cut.home(cell).checked_add_signed(self.shift)
    }

    /// Where a cell was found by its bytes.
    pub(super) fn found_at(&self, cell: u64) -> Option<u64> {
        match self.places.get(cell) {
            State::At(at) => Some(at),
            _ => None,
        }
    }
}
