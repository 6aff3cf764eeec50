//! Files that are made, and then put in their place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::STAGING;
use super::{Lock, Repository};
use crate::error::{Error, Result};

/// A writer, which has the lock: what it makes is in a directory of its own until it is renamed.
#[derive(Debug)]
pub(crate) struct Staging<'a> {
    repository: &'a Repository,
    directory: PathBuf,
    count: AtomicU64,
    _lock: Lock,
}

impl<'a> Staging<'a> {
    /// Waits for the lock, and takes it. What writers have left that ended before they could finish is removed.
    ///
    /// # Errors
    /// The repository is only read, or cannot be written.
    pub(crate) fn begin(repository: &'a Repository) -> Result<Self> {
        Self::locked(repository, repository.lock()?)
    }

    /// The same without waiting: `None` if somebody else has the lock.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(crate) fn try_begin(repository: &'a Repository) -> Result<Option<Self>> {
        repository.try_lock()?.map(|lock| Self::locked(repository, lock)).transpose()
    }

    fn locked(repository: &'a Repository, lock: Lock) -> Result<Self> {
        // Names begin anew with each writer, so that nothing may be in their way.
        repository.clean_staging()?;
        let directory = repository.path(STAGING);
        Ok(Self { repository, directory, count: AtomicU64::new(0), _lock: lock })
    }

    /// A name that nothing has in there.
    pub(super) fn fresh(&self) -> PathBuf {
        self.directory.join(format!("{:08x}", self.count.fetch_add(1, Ordering::Relaxed)))
    }

    /// Puts a file of these bytes at a path of the repository, in place of what is there, and makes it durable: its bytes, its name, and directories that are new.
    ///
    /// # Errors
    /// It cannot be made. Then what was there is there.
    pub(crate) fn put(&self, relative: &Path, bytes: &[&[u8]]) -> Result<()> {
        let disk = self.repository.disk();
        self.place(relative, |staged| {
            disk.create(staged, bytes)?;
            disk.sync(staged)
        })
    }

    /// Puts a link there, in place of what is there.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) fn link(&self, relative: &Path, target: &Path) -> Result<()> {
        self.place(relative, |staged| self.repository.disk().link(target, staged))
    }

    fn place(&self, relative: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
        let (staged, path) = (self.fresh(), self.repository.path(relative));
        let disk = self.repository.disk();
        let above = self.directory_of(relative)?;
        let made = make(&staged).and_then(|()| disk.rename(&staged, &path));
        if let Err(error) = made {
            // The error that ended it is the one to tell.
            let _ = disk.remove(&staged);
            return Err(Error::io(error).of(path));
        }
        disk.sync_directory(&above).map_err(self.repository.failed(&above))
    }

    /// Makes the directory that a path of the repository is in, and those above it, durably.
    fn directory_of(&self, relative: &Path) -> Result<PathBuf> {
        let disk = self.repository.disk();
        let above = self.repository.path(relative.parent().unwrap_or(Path::new("")));
        let mut missing = Vec::new();
        let mut path = above.as_path();
        while path != self.repository.root()
            && disk.look(path).map_err(self.repository.failed(path))?.is_none()
        {
            missing.push(path.to_owned());
            path = path.parent().unwrap_or(self.repository.root());
        }
        for path in missing.iter().rev() {
            disk.create_directory(path).map_err(self.repository.failed(path))?;
            let above = path.parent().unwrap_or(self.repository.root());
            disk.sync_directory(above).map_err(self.repository.failed(above))?;
        }
        Ok(above)
    }
}
