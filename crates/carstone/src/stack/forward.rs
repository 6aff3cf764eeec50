//! A part of a source, read in order.

use std::io::{self, Read, Write};
use std::ops::Range;

use carstone_layer::ReadAt;

/// The bytes from `at` up to `end`, or to the end of the source.
pub(super) struct Forward<R> {
    pub(super) source: R,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl<R: ReadAt> Read for Forward<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = self.end.saturating_sub(self.at);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        let n = self.source.read_at(&mut buf[..room], self.at)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

/// Writes pieces of a source one behind the other, and flushes; gives how many bytes that were. `progress` hears how many by now.
pub(super) fn copy_pieces<'a, R: ReadAt>(
    source: &R,
    pieces: impl IntoIterator<Item = &'a Range<u64>>,
    mut sink: impl Write,
    progress: &mut dyn FnMut(u64),
) -> io::Result<u64> {
    let (mut buf, mut written) = (vec![0; COPY], 0);
    for piece in pieces {
        let mut piece = Forward { source, at: piece.start, end: piece.end };
        loop {
            let n = piece.read(&mut buf)?;
            if n == 0 {
                break;
            }
            sink.write_all(&buf[..n])?;
            written += n as u64;
            progress(written);
        }
    }
    sink.flush()?;
    Ok(written)
}

const COPY: usize = 1 << 20;
