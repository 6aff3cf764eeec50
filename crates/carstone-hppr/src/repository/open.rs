//! A repository that is made, or opened, on a file system that can hold it (HPPR 022, section 13 of what a file system has to do).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Repository;
use super::disk::{Disk, RealDisk, What};
use super::layout::{DETACH, HASH, INDEX, LOCK, REF, STAGING};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_SEGMENT;

/// How a repository is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Whether nothing is written into it. Then the file system is not tried, and what tips are missing is found out each time. Default: no.
    pub read_only: bool,
    /// The file system. Default: that of the machine.
    pub disk: Arc<dyn Disk>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { read_only: false, disk: Arc::new(RealDisk) }
    }
}

impl OpenOptions {
    /// Sets whether nothing is written into it.
    #[must_use]
    pub fn read_only(mut self, yes: bool) -> Self {
        self.read_only = yes;
        self
    }

    /// Sets the file system.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}

impl Repository {
    /// Makes a repository in a directory, which is made if there is none, or completes what is missing of one; and opens it.
    ///
    /// # Errors
    /// It cannot be made, or the file system cannot hold one ([`ErrorKind::UnfitFileSystem`]).
    pub fn init(directory: impl Into<PathBuf>) -> Result<Self> {
        Self::init_with(directory, OpenOptions::default())
    }

    /// The same with options, of which `read_only` means nothing here.
    ///
    /// # Errors
    /// As [`init`](Self::init).
    pub fn init_with(directory: impl Into<PathBuf>, options: OpenOptions) -> Result<Self> {
        let (root, disk) = (directory.into(), options.disk);
        let make = || -> io::Result<()> {
            let above = match root.parent() {
                Some(above) if !above.as_os_str().is_empty() => above,
                _ => Path::new("."),
            };
            // Those above the directory are not ours to make.
            let is_new = disk.create_directory(&root)?;
            match disk.sync_directory(above) {
                // Who has made it may have ended too soon, or it may be in one that is not ours to read.
                Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
            for directory in DIRECTORIES {
                disk.create_directory(&root.join(directory))?;
            }
            Ok(())
        };
        make().map_err(|error| Error::io(error).of(&root))?;
        Self::open_with(root, OpenOptions { read_only: false, disk })
    }

    /// Opens a repository, and tries whether the file system can hold it.
    ///
    /// # Errors
    /// There is none ([`ErrorKind::NoRepository`]), it cannot be read or written, or the file system cannot hold one ([`ErrorKind::UnfitFileSystem`]).
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(directory, OpenOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(directory: impl Into<PathBuf>, options: OpenOptions) -> Result<Self> {
        let root = directory.into();
        let repository = Self { root, disk: options.disk, is_read_only: options.read_only };
        for needed in NEEDED {
            let path = repository.path(needed);
            let what = repository.disk.look(&path).map_err(repository.failed(&path))?;
            if what != Some(What::Directory) {
                return Err(Error::new(ErrorKind::NoRepository).of(&repository.root));
            }
        }
        if !repository.is_read_only {
            for directory in DIRECTORIES {
                let path = repository.path(directory);
                repository.disk.create_directory(&path).map_err(repository.failed(&path))?;
            }
            // Also if they were there: who has made them may have ended too soon, and all that is stored is in them.
            for directory in [HASH, REF, ""] {
                let path = repository.path(directory);
                repository.disk.sync_directory(&path).map_err(repository.failed(&path))?;
            }
            let _lock = repository.lock()?;
            repository.clean_staging()?;
            repository.probe()?;
        }
        Ok(repository)
    }

    /// Removes what writers have left that ended before they could finish. Nobody else writes.
    pub(super) fn clean_staging(&self) -> Result<()> {
        let staging = self.path(STAGING);
        let clean = || -> io::Result<()> {
            for (name, what) in self.disk.list(&staging)? {
                let path = staging.join(&name);
                match what {
                    What::Directory => self.remove_all(&path)?,
                    _ if name == LOCK => {}
                    _ => drop(self.disk.remove(&path)?),
                }
            }
            Ok(())
        };
        clean().map_err(self.failed(&staging))
    }

    /// Removes a directory of [`STAGING`] with what is in it, which is never deep.
    fn remove_all(&self, directory: &Path) -> io::Result<()> {
        let mut left = vec![directory.to_owned()];
        while let Some(path) = left.last().cloned() {
            let mut is_empty = true;
            for (name, what) in self.disk.list(&path)? {
                match what {
                    What::Directory => {
                        left.push(path.join(name));
                        is_empty = false;
                    }
                    _ => drop(self.disk.remove(&path.join(name))?),
                }
            }
            if is_empty {
                self.disk.remove_directory(&path)?;
                left.pop();
            }
        }
        Ok(())
    }

    /// Tries whether the file system does what a repository needs. What it has no room for is not tried: to read, and to remove, needs none.
    fn probe(&self) -> Result<()> {
        let directory = self.path(STAGING).join(PROBE);
        let tried = self.try_all(&directory);
        let removed = match self.disk.look(&directory) {
            Ok(Some(_)) => self.remove_all(&directory),
            looked => looked.map(drop),
        };
        for done in [tried, removed.map_err(self.failed(&directory))] {
            done.or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }

    fn try_all(&self, directory: &Path) -> Result<()> {
        let disk = &*self.disk;
        let failed = |error| Error::io(error).of(directory);
        let unfit = |what| Error::new(ErrorKind::UnfitFileSystem(what)).of(&self.root);
        let not = |error, what| match failed(error) {
            error if is_full(&error) => error,
            _ => unfit(what),
        };
        disk.create_directory(directory).map_err(failed)?;
        let long = "n".repeat(LONGEST_NAME);
        for name in NAMES.into_iter().chain([&long[..]]) {
            // One that takes the name of another is there already.
            let made = disk.create(&directory.join(name), &[name.as_bytes()]);
            made.map_err(|error| {
                let what = match name {
                    "Aa" => "it does not tell upper from lower case",
                    _ if name == long => {
                        "it does not have names as long as those of segments can be"
                    }
                    _ => "it does not have all names of UTF-8",
                };
                not(error, what)
            })?;
        }
        let listed = disk.list(directory).map_err(failed)?;
        let listed: BTreeSet<String> = listed.into_iter().map(|(name, _)| name).collect();
        if !NAMES.iter().all(|name| listed.contains(*name)) || !listed.contains(&long) {
            return Err(unfit("it changes names"));
        }
        self.try_links(directory)
            .map_err(|error| not(error, "it has no links that can take the place of others"))?;
        let (from, to) = (directory.join(NAMES[0]), self.path(HASH).join("B").join(PROBE));
        let moved = disk.rename(&from, &to).and_then(|()| disk.remove(&to));
        let several = "the parts of the repository are on several file systems";
        moved.map(drop).map_err(|error| not(error, several))
    }

    fn try_links(&self, directory: &Path) -> io::Result<()> {
        let (one, two) = (directory.join("link"), directory.join("other-link"));
        self.disk.link(Path::new("plex/nothing"), &one)?;
        self.disk.link(Path::new("seal/nothing"), &two)?;
        self.disk.rename(&two, &one)?;
        match self.disk.target(&one)? == Path::new("seal/nothing") {
            true => Ok(()),
            false => Err(io::Error::other("a link came back as another")),
        }
    }
}

/// Whether there was no room.
fn is_full(error: &Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), ErrorKind::Io(StorageFull | QuotaExceeded))
}

/// What a repository is made of, those above first.
const DIRECTORIES: [&str; 10] =
    [HASH, "hash/B", "hash/P", "hash/S", REF, "ref/B", "ref/P", INDEX, DETACH, STAGING];
/// What is there wherever a repository is.
const NEEDED: [&str; 2] = [HASH, INDEX];
/// The name of what is tried.
const PROBE: &str = "probe";
/// Names that a file system has to keep as they are: case, characters of markers, times and secrets, and of coordinates.
const NAMES: [&str; 7] = ["aA", "Aa", "|", "1:2", "~&+", "\u{1f5a7}", "\u{e9}"];
/// Bytes of the longest name of a file: that of a segment.
const LONGEST_NAME: usize = MAX_SEGMENT;
