//! A CAR that is a file, locked, with its journal beside it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::disk::{Disk, Fill};
use crate::error::{Error, ErrorKind, Result};
use crate::read_at::ReadAt;

/// The file stays locked until it is dropped.
pub(super) struct FileDisk {
    file: File,
    /// Without symbolic links, so that everybody finds the same journal.
    path: PathBuf,
}

impl FileDisk {
    /// Makes a file that must not be there yet.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path).map_err(io_error)?;
        FileDisk::lock_new(file, path)
    }

    /// Locks a file that has just been made. Who has it locked meanwhile may have put blocks into it, so it is theirs.
    fn lock_new(file: File, path: &Path) -> Result<Self> {
        FileDisk::lock(file, path).inspect_err(|error| match error.kind() {
            ErrorKind::Locked => {}
            _ => drop(fs::remove_file(path)),
        })
    }

    /// Opens a file that must be there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error)?;
        FileDisk::lock(file, path)
    }

    fn lock(file: File, path: &Path) -> Result<Self> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::new(ErrorKind::Locked)),
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
        let path = fs::canonicalize(path).map_err(io_error)?;
        let disk = FileDisk { file, path };
        // Whoever had the lock until now may have removed the file.
        match disk.is_named().map_err(io_error)? {
            true => Ok(disk),
            false => Err(Error::new(ErrorKind::Locked)),
        }
    }

    /// Whether the file is still the one with this name.
    #[cfg(unix)]
    fn is_named(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let (ours, there) = (self.file.metadata()?, fs::metadata(&self.path)?);
        Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    }

    /// A file that is open cannot lose its name.
    #[cfg(not(unix))]
    fn is_named(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().map(OsStr::to_os_string).unwrap_or_default();
        name.push(suffix);
        self.path.with_file_name(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        // Elsewhere folders cannot be opened, and need not be synced.
        match self.path.parent() {
            Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

impl Disk for FileDisk {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    offset = offset.saturating_add(written as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data() // With the length, which is needed to read the data.
    }

    fn sync_name(&self) -> io::Result<()> {
        self.sync_folder()
    }

    fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        self.sync_folder()
    }

    fn journal(&self) -> io::Result<Option<Box<dyn ReadAt + Send + Sync>>> {
        match File::open(self.beside(JOURNAL)) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_journal(&self, fill: Fill<'_>) -> io::Result<()> {
        let (journal, part) = (self.beside(JOURNAL), self.beside(PART));
        let create = || File::create_new(&part);
        let file = match create() {
            // Left behind by somebody who did not get as far as to change the CAR.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&part)?;
                create()?
            }
            result => result?,
        };
        let write = || -> io::Result<()> {
            let mut out = BufWriter::new(&file);
            fill(&mut out)?;
            out.flush()?;
            file.sync_all()?;
            fs::rename(&part, journal)
        };
        let result = write();
        if result.is_err() {
            let _ = fs::remove_file(&part); // The first error counts.
        }
        result.and_then(|()| self.sync_folder())
    }

    fn remove_journal(&self) -> io::Result<()> {
        fs::remove_file(self.beside(JOURNAL))?;
        self.sync_folder()
    }
}

impl ReadAt for FileDisk {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(&self.file, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        ReadAt::size(&self.file)
    }
}

impl Drop for FileDisk {
    /// Closing is not enough: a process that is being started has the file, too, until it runs.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn io_error(error: io::Error) -> Error {
    Error::new(ErrorKind::Io(error))
}

/// What the name of a journal has behind that of the CAR.
const JOURNAL: &str = ".journal";

/// What it has until it is complete.
const PART: &str = ".journal.part";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_that_somebody_else_has_locked_first_is_left_to_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new.car");
        let ours = File::create_new(&path).expect("a new file");
        let theirs = FileDisk::open(&path).expect("nobody has it");
        let error = FileDisk::lock_new(ours, &path).err().expect("it is locked");
        assert!(matches!(error.kind(), ErrorKind::Locked));
        assert!(theirs.is_named().expect("readable"));
    }
}
