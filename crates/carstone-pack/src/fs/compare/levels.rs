//! What a directory holds, step by step along a walk of what it is compared with.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};
use sha2::{Digest, Sha256};

use super::DifferenceKind;
use crate::block_map::{BlockKey, BlockMap};
use crate::entry::EntryKind;
use crate::fs::restore::{Directories, RestoreError, kind_of, look};
use crate::path::{is_within, split_path};
use crate::sorter::Sorter;

/// Opens the directory to compare with.
pub(super) fn open(directory: &Path) -> Result<Directories, RestoreError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(directory, flags, Mode::empty())
        .map_err(|error| RestoreError::system("open the directory", error))?;
    Ok(Directories::new(File::from(root)))
}

/// The directories on the way to the current entry.
pub(super) struct Levels<'a> {
    directories: &'a Directories,
    stack: Vec<Level>,
}

struct Level {
    path: Vec<u8>,
    /// Names in the directory that have come, under their SHA-256. The numbers mean nothing.
    came: BlockMap,
}

/// Hears of what only the directory has, and of directories that cannot be listed.
type Left<'a> = dyn FnMut(&[u8], DifferenceKind) + 'a;

impl<'a> Levels<'a> {
    pub(super) fn new(directories: &'a Directories) -> Self {
        Self { directories, stack: Vec::new() }
    }

    /// Goes into a directory that is there.
    pub(super) fn enter(&mut self, path: &[u8]) -> Result<(), RestoreError> {
        self.directories.open(path)?;
        self.stack.push(Level { path: path.to_vec(), came: BlockMap::new(NAMES_BUDGET) });
        Ok(())
    }

    /// What stands at `path`. Directories that do not lie on the way to it are left: `left` hears what was
    /// in them besides.
    pub(super) fn take(
        &mut self,
        path: &[u8],
        left: &mut Left<'_>,
    ) -> Result<Option<Stat>, RestoreError> {
        let Some((parent, name)) = split_path(path) else {
            let root = rustix::fs::fstat(&*self.directories.open(path)?);
            return root.map(Some).map_err(|error| RestoreError::system("look at it", error));
        };
        while self.stack.last().is_some_and(|level| !is_within(parent, &level.path)) {
            self.leave(left);
        }
        let Some(here) = self.stack.last_mut().filter(|level| level.path == parent) else {
            return Ok(None);
        };
        match here.came.insert(key(name), 0).map_err(noting)? {
            None => look(&*self.directories.open(parent)?, name),
            Some(_) => Ok(None), // Another entry under the same name.
        }
    }

    /// Leaves the innermost directory.
    fn leave(&mut self, left: &mut Left<'_>) {
        let Some(level) = self.stack.pop() else { return };
        if let Err(error) = self.extra(&level, left) {
            left(&level.path, DifferenceKind::Unreadable(error));
        }
    }

    /// Tells of the names that have not come, in order.
    fn extra(&self, level: &Level, left: &mut Left<'_>) -> Result<(), RestoreError> {
        let listing = |error| RestoreError::system("list the directory", error);
        let directory = self.directories.open(&level.path)?;
        let mut extra = Sorter::new(NAMES_BUDGET);
        for entry in Dir::read_from(&*directory).map_err(listing)? {
            let entry = entry.map_err(listing)?;
            let name = entry.file_name().to_bytes();
            let is_own = name == b"." || name == b"..";
            if !is_own && level.came.get(&key(name)).map_err(noting)?.is_none() {
                extra.push(name, &[]).map_err(noting)?;
            }
        }
        let extra = extra.finish().map_err(noting)?;
        let mut names = extra.iter().map_err(noting)?;
        while let Some((name, _)) = names.next().map_err(noting)? {
            match level.path.is_empty() {
                true => left(name, DifferenceKind::Extra),
                false => left(&[&level.path, name].join(&b'/'), DifferenceKind::Extra),
            }
        }
        Ok(())
    }

    /// Leaves all directories.
    pub(super) fn finish(mut self, left: &mut Left<'_>) {
        while !self.stack.is_empty() {
            self.leave(left);
        }
    }
}

fn key(name: &[u8]) -> BlockKey {
    BlockKey::leaf(Sha256::digest(name).into())
}

fn noting(error: std::io::Error) -> RestoreError {
    RestoreError::system("note the names in the directory", error)
}

/// Whether what stands there is of a kind. A hard link is whatever it is another name of.
pub(super) fn is_kind(stat: &Stat, kind: EntryKind) -> bool {
    let found = kind_of(stat);
    match kind {
        EntryKind::File => found == FileType::RegularFile,
        EntryKind::Directory => found == FileType::Directory,
        EntryKind::Symlink => found == FileType::Symlink,
        EntryKind::HardLink => found == FileType::RegularFile || found == FileType::Symlink,
    }
}

/// Where a symlink points to.
pub(super) fn target(directories: &Directories, path: &[u8]) -> Result<Vec<u8>, RestoreError> {
    let (parent, name) = split_path(path).unwrap_or_default();
    let parent = directories.open(parent)?;
    let target = rustix::fs::readlinkat(&*parent, name, Vec::new());
    let target = target.map_err(|error| RestoreError::system("read the symlink", error))?;
    Ok(target.into_bytes())
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "types differ by system")]
pub(super) fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Memory for the names in one directory before they spill.
const NAMES_BUDGET: usize = 1 << 20;
