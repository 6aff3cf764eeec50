//! Positional writing, shared by threads.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use carstone_layer::ReadAt;

/// A target that is written at any offset, by many writers at once.
pub trait WriteAt {
    /// Writes all of `bytes` from `offset` on; what lies between the end and `offset` becomes zeros.
    ///
    /// # Errors
    /// Whatever the target gives.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl<W: WriteAt + ?Sized> WriteAt for &W {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (**self).write_all_at(bytes, offset)
    }
}

impl WriteAt for File {
    #[cfg(unix)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(self, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => (bytes, offset) = (&bytes[n..], offset + n as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A target in memory, for streams that are small.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Vec<u8>>);

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteAt for Memory {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let range =
            usize::try_from(offset).ok().and_then(|at| Some(at..at.checked_add(bytes.len())?));
        let range = range.ok_or(io::ErrorKind::OutOfMemory)?;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() < range.end {
            held.resize(range.end, 0);
        }
        held[range].copy_from_slice(bytes);
        Ok(())
    }
}

impl ReadAt for Memory {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size()
    }
}
