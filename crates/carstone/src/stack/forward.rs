//! A part of a source, read in order.

use std::io::{self, Read};

use carstone_layer::ReadAt;

/// The bytes from `at` up to `end`, or to the end of the source.
pub(super) struct Forward<'a, R> {
    pub(super) source: &'a R,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl<R: ReadAt> Read for Forward<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = self.end.saturating_sub(self.at);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        let n = self.source.read_at(&mut buf[..room], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
