//! Files under construction: invisible under their name until they are complete.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::error::RestoreError;
use super::names::TempNames;

/// A file that is being restored. Dropped before it is [placed](super::Restorer::place), it leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    directory: Arc<File>,
    /// Its name for now; `None` once it has its own, or none any more.
    temporary: Option<Vec<u8>>,
    /// Path in the pack.
    path: Vec<u8>,
    /// Path below the target.
    place: Vec<u8>,
    /// Whether it has the mode it is to have.
    has_mode: bool,
}

impl NewFile {
    /// With `mode`, less what the process's mask takes; else for the owner only, until it is complete.
    pub(super) fn create(
        directory: Arc<File>,
        names: &TempNames,
        path: &[u8],
        place: &[u8],
        mode: Option<u32>,
    ) -> Result<Self, RestoreError> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let bits = mode.map_or(Mode::RUSR | Mode::WUSR, |mode| Mode::from_raw_mode(mode as _));
        let (fd, temporary) =
            names.with_fresh(|name| openat(&*directory, name, flags, bits)).map_err(creating)?;
        let (path, place) = (path.to_vec(), place.to_vec());
        let (file, temporary, has_mode) = (File::from(fd), Some(temporary), mode.is_some());
        Ok(Self { file, directory, temporary, path, place, has_mode })
    }

    /// Path in the pack.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Path below the target directory.
    pub fn place(&self) -> &[u8] {
        &self.place
    }

    /// Writes all of `data` at `offset`; many threads may do so at once.
    ///
    /// # Errors
    /// Whatever the file system gives.
    pub fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    /// Fills `buf` from `offset` on with what was written there.
    ///
    /// # Errors
    /// Whatever the file system gives.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    /// Takes the name away and keeps the content for as long as `self` is there.
    pub(in crate::fs) fn unname(&mut self) {
        if let Some(name) = self.temporary.take() {
            // It will not get a name any more; that an unused file stays is no fault of the restoration.
            let _ = unlinkat(&*self.directory, name.as_slice(), AtFlags::empty());
        }
    }

    /// Changes the path that it is to get.
    pub(super) fn rename_place(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.place);
    }

    pub(super) fn has_mode(&self) -> bool {
        self.has_mode
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn directory(&self) -> &File {
        &self.directory
    }

    pub(super) fn temporary(&self) -> Option<&[u8]> {
        self.temporary.as_deref()
    }

    /// The file has its name now.
    pub(super) fn named(&mut self) {
        self.temporary = None;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        self.unname();
    }
}

fn creating(error: Errno) -> RestoreError {
    RestoreError::system("create the file", error)
}
