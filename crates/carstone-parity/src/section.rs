//! A part of a source.

use std::io;
use std::ops::Range;

use carstone_layer::ReadAt;

use crate::protect::within;

/// Bytes `range` of a source, as a source.
#[derive(Debug, Clone)]
pub struct Section<R> {
    source: R,
    range: Range<u64>,
}

impl<R: ReadAt> Section<R> {
    /// What is behind the end of the source counts as not there.
    pub fn new(source: R, range: Range<u64>) -> Self {
        Self { source, range }
    }
}

impl<R: ReadAt> ReadAt for Section<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.range.start).saturating_sub(offset);
        let most = within(left, buf.len());
        let Some(at) = self.range.start.checked_add(offset) else { return Ok(0) };
        self.source.read_at(&mut buf[..most], at)
    }

    fn size(&self) -> io::Result<u64> {
        let end = self.range.end.min(self.source.size()?);
        Ok(end.saturating_sub(self.range.start))
    }
}
