//! A plain CAR that was found, and what is left of it.

use std::io::{self, Write};
use std::ops::Range;

use carstone_car::Header;
use carstone_layer::ReadAt;

use super::sightings::SeenCar;
use crate::stack::forward::copy_pieces;

/// A plain CAR, or what is left of one: its good sections.
#[derive(Clone, Debug)]
pub struct CarvedCar {
    header: Option<Range<u64>>,
    sections: Vec<Range<u64>>,
    blocks: u64,
    goes_on: bool,
}

impl CarvedCar {
    pub(super) fn new(seen: SeenCar) -> Self {
        let SeenCar { header, sections, counts, goes_on, .. } = seen;
        let blocks = counts.into_iter().sum();
        Self { header, sections, blocks, goes_on }
    }

    /// The bytes of the source from its first to its last.
    pub fn range(&self) -> Range<u64> {
        let first = self.header.iter().chain(&self.sections).next();
        let last = self.sections.last();
        first.map_or(0, |first| first.start)..last.map_or(0, |last| last.end)
    }

    /// Whether its header is there: without it the roots are unknown.
    pub fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Good blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Bytes of header and good sections.
    pub fn bytes(&self) -> u64 {
        self.header.iter().chain(&self.sections).map(|piece| piece.end - piece.start).sum()
    }

    /// Places at which something else stands between its sections, or a damaged section behind them.
    pub fn holes(&self) -> u64 {
        let pieces: Vec<_> = self.header.iter().chain(&self.sections).collect();
        let breaks = pieces.windows(2).filter(|pair| pair[0].end != pair[1].start).count();
        breaks as u64 + u64::from(self.goes_on)
    }

    /// Whether header and sections are all there, as far as that can be told: a CAR does not say how long it is.
    pub fn is_whole(&self) -> bool {
        self.has_header() && self.holes() == 0
    }

    /// Writes a CARv1 of the good sections, and flushes. Without a header it has no roots. `progress` hears how many bytes have been written.
    ///
    /// # Errors
    /// Whatever source and sink give.
    pub fn copy_to<R: ReadAt, W: Write>(
        &self,
        source: &R,
        mut sink: W,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        if self.header.is_none() {
            sink.write_all(&Header::default().encode())?;
        }
        let pieces = self.header.iter().chain(&self.sections);
        match copy_pieces(source, pieces, sink, progress)? == self.bytes() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
