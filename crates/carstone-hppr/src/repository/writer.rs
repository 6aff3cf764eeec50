//! The steps of a writer, and when what they make is durable.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::disk::{What, is_nothing};
use super::layout::{ENTRY, HASH, REF};
use super::{Repository, Staging};
use crate::error::{Error, Result};

/// A writer, which has the lock. Paths are relative to the repository.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    repository: &'a Repository,
    staging: Arc<Staging<'a>>,
    is_together: bool,
    /// Directories that are there: nobody else removes one meanwhile.
    known: HashSet<PathBuf>,
    /// Directories whose names are not known to be durable.
    changed: BTreeSet<PathBuf>,
}

impl<'a> Writer<'a> {
    /// Takes the lock. Each step is durable before the next is made, or, if they are made together, all are once [`sync_all`](Self::sync_all) is done.
    ///
    /// # Errors
    /// The repository is only read, or cannot be written.
    pub(super) fn begin(repository: &'a Repository, is_together: bool) -> Result<Self> {
        let staging = Arc::new(Staging::begin(repository)?);
        let (known, changed) = (HashSet::new(), BTreeSet::new());
        Ok(Self { repository, staging, is_together, known, changed })
    }

    /// Does something for each of many items, which are other files for each: by threads if steps are made together and there are enough of them, and in order else.
    ///
    /// # Errors
    /// That of the first item that has one.
    pub(super) fn each<T: Sync>(
        &mut self,
        items: &[T],
        work: impl Fn(&mut Self, &T) -> Result<()> + Sync,
    ) -> Result<()> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        if !self.is_together || threads == 1 || items.len() < LEAST_ITEMS {
            return items.iter().try_for_each(|item| work(self, item));
        }
        let work = &work;
        let done = thread::scope(|scope| {
            let parts = items.chunks(items.len().div_ceil(threads)).map(|part| {
                let mut writer = self.another();
                scope.spawn(move || part.iter().try_for_each(|item| work(&mut writer, item)))
            });
            let parts: Vec<_> = parts.collect();
            parts.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        for part in done {
            part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(())
    }

    /// One that makes files beside this one. It is told neither which directories are there, of which each item has its own, nor what is durable, since steps that are made together
    /// need not be.
    fn another(&self) -> Self {
        let (known, changed) = (HashSet::new(), BTreeSet::new());
        let staging = Arc::clone(&self.staging);
        Self { repository: self.repository, staging, is_together: true, known, changed }
    }

    pub(super) fn repository(&self) -> &'a Repository {
        self.repository
    }

    pub(super) fn staging(&self) -> &Staging<'a> {
        &self.staging
    }

    /// Makes a file of these bytes that has no place yet, and tells where it is.
    pub(super) fn stage(&self, bytes: &[&[u8]]) -> Result<PathBuf> {
        let (staged, disk) = (self.staging.fresh(), self.repository.disk());
        disk.create(&staged, bytes).map_err(self.repository.failed(&staged))?;
        if !self.is_together {
            disk.sync(&staged).map_err(self.repository.failed(&staged))?;
        }
        Ok(staged)
    }

    /// Puts that in its place, instead of what is there.
    pub(super) fn place(&mut self, staged: &Path, relative: &Path) -> Result<()> {
        let (path, disk) = (self.repository.path(relative), self.repository.disk());
        self.keep(relative);
        let mut placed = disk.rename(staged, &path);
        // The directory is there more often than not.
        if placed.as_ref().is_err_and(is_nothing) {
            self.directory_of(relative)?;
            placed = disk.rename(staged, &path);
        }
        placed.map_err(self.repository.failed(&path))
    }

    /// Makes a link there, instead of what is there.
    pub(super) fn link(&mut self, relative: &Path, target: &Path) -> Result<()> {
        let staged = self.staging.fresh();
        let made = self.repository.disk().link(target, &staged);
        made.map_err(self.repository.failed(&staged))?;
        self.place(&staged, relative)
    }

    /// Makes a file without a byte. One that is there may have any length.
    pub(super) fn entry(&mut self, relative: &Path) -> Result<()> {
        self.directory_of(relative)?;
        let path = self.repository.path(relative);
        match self.repository.disk().create(&path, &[ENTRY]) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.is_file(relative)? {
                    return Ok(());
                }
                self.staging.put(relative, &[ENTRY])
            }
            made => made.map_err(self.repository.failed(&path)),
        }
    }

    /// Removes a file, and says whether there was one.
    pub(super) fn remove(&mut self, relative: &Path) -> Result<bool> {
        let path = self.repository.path(relative);
        let removed = match self.repository.disk().remove(&path) {
            // Something else has the name of a directory that it would be in.
            Err(error) if is_nothing(&error) => false,
            removed => removed.map_err(self.repository.failed(&path))?,
        };
        if removed {
            self.changed.extend(relative.parent().map(Path::to_owned));
        }
        Ok(removed)
    }

    /// The same, and it is not to come back once the step is ended: if there was none, who has removed it may have ended too soon.
    pub(super) fn remove_for_good(&mut self, relative: &Path) -> Result<bool> {
        let removed = self.remove(relative)?;
        if !removed {
            for directory in relative.ancestors().skip(1) {
                if self.repository.what(directory)? == Some(What::Directory) {
                    self.changed.insert(directory.to_owned());
                    break;
                }
            }
        }
        Ok(removed)
    }

    /// Removes this directory and those that it is in up to `base`, which stays, as long as they are empty.
    pub(super) fn tidy(&mut self, relative: &Path, base: &Path) -> Result<()> {
        let below = |path: &&Path| *path != base && path.starts_with(base);
        for directory in relative.ancestors().take_while(below) {
            let path = self.repository.path(directory);
            let removed = self.repository.disk().remove_directory(&path);
            if removed.map_err(self.repository.failed(&path))? {
                self.known.remove(directory);
                self.changed.remove(directory);
                self.changed.extend(directory.parent().map(Path::to_owned));
            }
        }
        Ok(())
    }

    /// Whether a regular file is there.
    pub(super) fn is_file(&self, relative: &Path) -> Result<bool> {
        Ok(matches!(self.repository.what(relative)?, Some(What::File(_))))
    }

    /// That what is there is to be durable with the next step, though it was there before: who has made it may have ended too soon.
    pub(super) fn keep(&mut self, relative: &Path) {
        if !self.is_together {
            self.changed.extend(above(relative).map(Path::to_owned));
        }
    }

    /// Ends a step.
    pub(super) fn end_step(&mut self) -> Result<()> {
        let changed = std::mem::take(&mut self.changed);
        if self.is_together {
            return Ok(());
        }
        for directory in changed {
            let path = self.repository.path(directory);
            let synced = self.repository.disk().sync_directory(&path);
            synced.map_err(self.repository.failed(&path))?;
        }
        Ok(())
    }

    /// Makes all steps durable, if they are made together.
    pub(super) fn sync_all(&self) -> Result<()> {
        if !self.is_together {
            return Ok(());
        }
        self.repository.sync_all()
    }

    /// Ends after an error, which is the one to tell.
    pub(super) fn abandon(self) {
        let _ = self.repository.clean_staging();
    }

    fn directory_of(&mut self, relative: &Path) -> Result<()> {
        if let Some(directory) = relative.parent()
            && !self.known.contains(directory)
        {
            self.make_directory(directory)?;
        }
        self.keep(relative);
        Ok(())
    }

    fn make_directory(&mut self, directory: &Path) -> Result<()> {
        let path = self.repository.path(directory);
        let disk = self.repository.disk();
        let mut made = disk.create_directory(&path);
        // It is tried before those that it is in are: these are there more often than not.
        if let (Err(error), Some(above)) = (&made, directory.parent())
            && is_nothing(error)
            && !above.as_os_str().is_empty()
        {
            self.make_directory(above)?;
            made = disk.create_directory(&path);
        }
        made.map_err(|error| Error::io(error).of(path))?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(directory.to_owned());
        Ok(())
    }
}

/// The directories that a path is in, but for those that are there from the beginning and have no others.
fn above(relative: &Path) -> impl Iterator<Item = &Path> {
    let fixed = ["", HASH, REF].map(Path::new);
    relative.ancestors().skip(1).take_while(move |path| !fixed.contains(path))
}

/// Threads that make files; directories of the file system are what they wait for each other at.
const MOST_THREADS: usize = 4;
/// Items that are worth threads.
const LEAST_ITEMS: usize = 64;
/// Directories that are remembered.
const MOST_KNOWN: usize = 1 << 16;
