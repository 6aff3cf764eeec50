//! Positional reading: sources without a cursor, which many readers may share.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// A source that is read at any offset, by many readers at once.
pub trait ReadAt {
    /// Reads up to `buf.len()` bytes from `offset` on; `Ok(0)` at or behind the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// Reads until `buf` is full or the source ends, and says how much there was.
pub(crate) fn read_full<R: ReadAt + ?Sized>(
    source: &R,
    buf: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let (filled, read) = read_as_much(source, buf, offset);
    read.map(|()| filled)
}

/// The same, which also says how much there was before an error.
pub(crate) fn read_as_much<R: ReadAt + ?Sized>(
    source: &R,
    buf: &mut [u8],
    offset: u64,
) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while filled < buf.len() {
        let Some(at) = offset.checked_add(filled as u64) else { break };
        match source.read_at(&mut buf[filled..], at) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read).min(buf.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

/// Makes a [`ReadAt`] of any `Read + Seek`; readers take turns.
#[derive(Debug)]
pub struct SeekSource<R>(Mutex<R>);

impl<R: Read + Seek> SeekSource<R> {
    /// Wraps `inner`; offset 0 is the first byte of `inner`, wherever it stands now.
    pub fn new(inner: R) -> Self {
        SeekSource(Mutex::new(inner))
    }

    /// Gives `inner` back, standing anywhere.
    pub fn into_inner(self) -> R {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Read + Seek> ReadAt for SeekSource<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        // A reader that panicked left no state behind: each read seeks first.
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.seek(SeekFrom::Start(offset))?;
        inner.read(buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seek(SeekFrom::End(0))
    }
}

/// Reads a [`ReadAt`] from front to back, for instance with a [`CarReader`](crate::CarReader). Clones have positions of their own.
#[derive(Clone, Debug)]
pub struct AtReader<R> {
    source: R,
    position: u64,
}

impl<R: ReadAt> AtReader<R> {
    /// Starts at the first byte.
    pub fn new(source: R) -> Self {
        AtReader { source, position: 0 }
    }

    /// Starts at this offset.
    pub(crate) fn starting_at(source: R, position: u64) -> Self {
        AtReader { source, position }
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: ReadAt> Read for AtReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(buf, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

impl<R: ReadAt> Seek for AtReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(step) => self.source.size()?.checked_add_signed(step),
            SeekFrom::Current(step) => self.position.checked_add_signed(step),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        // Block devices have no length in their metadata, but `&File` seeks without moving data.
        match self.metadata()?.len() {
            0 => (&mut &*self).seek(SeekFrom::End(0)),
            len => Ok(len),
        }
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

macro_rules! forward_read_at {
    ($($pointer:ty),*) => {$(
        impl<R: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
                (**self).read_at(buf, offset)
            }

            fn size(&self) -> io::Result<u64> {
                (**self).size()
            }
        }
    )*};
}

forward_read_at!(&R, Box<R>, Arc<R>);
