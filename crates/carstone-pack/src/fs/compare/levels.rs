//! What a directory holds, step by step along a walk of what it is compared with.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};

use crate::entry::EntryKind;
use crate::fs::restore::{Directories, RestoreError, kind_of, look};
use crate::path::{is_within, split_path};

/// Opens the directory to compare with.
pub(super) fn open(directory: &Path) -> Result<Directories, RestoreError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(directory, flags, Mode::empty())
        .map_err(|error| RestoreError::system("open the directory", error))?;
    Ok(Directories::new(File::from(root)))
}

/// The directories on the way to the current entry, each with the names in it that have not come yet.
pub(super) struct Levels<'a> {
    directories: &'a Directories,
    stack: Vec<(Vec<u8>, BTreeSet<Vec<u8>>)>,
}

impl<'a> Levels<'a> {
    pub(super) fn new(directories: &'a Directories) -> Self {
        Self { directories, stack: Vec::new() }
    }

    /// Goes into a directory that is there.
    pub(super) fn enter(&mut self, path: &[u8]) -> Result<(), RestoreError> {
        let listing = |error| RestoreError::system("list the directory", error);
        let directory = self.directories.open(path)?;
        let mut names = BTreeSet::new();
        for entry in Dir::read_from(&*directory).map_err(listing)? {
            let entry = entry.map_err(listing)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.insert(name.to_vec());
            }
        }
        self.stack.push((path.to_vec(), names));
        Ok(())
    }

    /// What stands at `path`. Directories that do not lie on the way to it are left: `extra` hears what was
    /// in them besides.
    pub(super) fn take(
        &mut self,
        path: &[u8],
        extra: &mut dyn FnMut(Vec<u8>),
    ) -> Result<Option<Stat>, RestoreError> {
        let Some((parent, name)) = split_path(path) else {
            let root = rustix::fs::fstat(&*self.directories.open(path)?);
            return root.map(Some).map_err(|error| RestoreError::system("look at it", error));
        };
        while self.stack.last().is_some_and(|(open, _)| !is_within(parent, open)) {
            self.leave(extra);
        }
        let here = self.stack.last_mut().filter(|(open, _)| open == parent);
        match here.is_some_and(|(_, names)| names.remove(name)) {
            true => look(&*self.directories.open(parent)?, name),
            false => Ok(None),
        }
    }

    /// Leaves the innermost directory.
    fn leave(&mut self, extra: &mut dyn FnMut(Vec<u8>)) {
        let Some((path, names)) = self.stack.pop() else { return };
        for name in names {
            extra(match path.is_empty() {
                true => name,
                false => [path.as_slice(), &name].join(&b'/'),
            });
        }
    }

    /// Leaves all directories.
    pub(super) fn finish(mut self, extra: &mut dyn FnMut(Vec<u8>)) {
        while !self.stack.is_empty() {
            self.leave(extra);
        }
    }
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
