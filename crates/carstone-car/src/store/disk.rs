//! What a store needs of a file system: one CAR, and one journal beside it.

use std::io::{self, Write};

use crate::read_at::ReadAt;

/// A CAR, which is read as a [`ReadAt`], and its journal.
pub(super) trait Disk: ReadAt + Send + Sync {
    /// Writes all of `bytes` at this offset of the CAR.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the CAR this long.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when all that has been done to the content of the CAR outlasts a power cut.
    fn sync(&self) -> io::Result<()>;

    /// Returns when the name of the CAR outlasts a power cut.
    fn sync_name(&self) -> io::Result<()>;

    /// Removes the CAR.
    fn remove(&self) -> io::Result<()>;

    /// The journal, if there is one.
    fn journal(&self) -> io::Result<Option<Box<dyn ReadAt + Send + Sync>>>;

    /// Makes a journal of what `fill` writes. It is there as a whole or not at all, and when this returns it outlasts a power cut.
    fn make_journal(&self, fill: Fill<'_>) -> io::Result<()>;

    /// Removes the journal.
    fn remove_journal(&self) -> io::Result<()>;
}

/// Writes the content of a journal.
pub(super) type Fill<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Copies bytes of a source into a sink; an error if the source ends before.
pub(super) fn copy_range<R: ReadAt + ?Sized>(
    source: &R,
    mut at: u64,
    end: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buf = vec![0; COPY_LEN];
    while at < end {
        let step = usize::try_from(end - at).map_or(COPY_LEN, |rest| rest.min(COPY_LEN));
        match crate::read_at::read_full(source, &mut buf[..step], at)? {
            read if read == step => sink(&buf[..step])?,
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        at += step as u64;
    }
    Ok(())
}

/// Bytes that are copied at a time.
const COPY_LEN: usize = 64 << 10;
