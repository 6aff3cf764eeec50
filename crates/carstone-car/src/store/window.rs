//! The payload of a CARv2, as a source of its own: a CARv1.

use std::io;

use crate::read_at::ReadAt;

/// `len` bytes of a source, from `start` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<R> {
    pub(super) source: R,
    pub(super) start: u64,
    pub(super) len: u64,
}

impl<R: ReadAt> ReadAt for Window<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.len.saturating_sub(offset);
        let len = usize::try_from(rest).map_or(buf.len(), |rest| rest.min(buf.len()));
        self.source.read_at(&mut buf[..len], self.start.saturating_add(offset))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}
