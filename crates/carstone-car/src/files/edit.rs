//! Files that are changed where they are.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use crate::error::{Error, ErrorKind, Part, Result};

/// A file that is changed where it is: a file, or a vector in a [`Cursor`].
pub trait Editable: Read + Write + Seek {
    /// Cuts the file to this length, or makes it longer with zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Returns when all that has been done to the file outlives a crash of the system.
    fn sync(&mut self) -> io::Result<()>;
}

impl Editable for Cursor<Vec<u8>> {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.get_mut().resize(len, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<E: Editable + ?Sized> Editable for &mut E {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        (**self).set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }
}

/// Copies `len` bytes from this offset on.
pub(super) fn copy_range<R: Read + Seek, W: Write>(
    mut source: R,
    start: u64,
    len: u64,
    part: Part,
    sink: &mut W,
) -> Result<()> {
    let failed = |error| Error::at(ErrorKind::Io(error), start);
    source.seek(SeekFrom::Start(start)).map_err(failed)?;
    match io::copy(&mut source.take(len), sink).map_err(failed)? {
        copied if copied == len => Ok(()),
        copied => Err(Error::at(ErrorKind::Truncated(part), start.saturating_add(copied))),
    }
}

pub(super) fn io_error(error: io::Error) -> Error {
    Error::at(ErrorKind::Io(error), 0)
}
