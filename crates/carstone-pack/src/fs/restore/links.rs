//! Symlinks and hard links.

use std::fs::File;

use rustix::fs::{AtFlags, linkat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::error::{RestoreError, RestoreErrorKind};
use super::{RestoreObserver, Restorer, problems};
use crate::entry::Metadata;
use crate::path::{check_path, split_path};

impl Restorer {
    pub(super) fn make_symlink(
        &self,
        path: &[u8],
        target: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> Result<bool, RestoreError> {
        if target.is_empty() || target.contains(&0) {
            return Err(RestoreError::new(RestoreErrorKind::Unsupported(
                "the target of the symlink is empty or holds a NUL byte",
            )));
        }
        let Some(place) = self.place_of(path, told)? else { return Ok(false) };
        let Some(spot) = self.spot(path, place, metadata.mtime, told)? else { return Ok(false) };
        let linking = |error| RestoreError::system("make the symlink", error);
        if !spot.taken {
            // A symlink is complete at once, so it needs no other name before.
            let made = symlinkat(target, &*spot.directory, spot.name);
            if !matches!(made, Err(Errno::EXIST)) {
                made.map_err(linking)?;
            } else if !self.unless_exists(made, path, told)? {
                return Ok(false);
            }
            let problem = &mut problems(path, told);
            self.dress.on_symlink(&spot.directory, spot.name, metadata, problem);
            return Ok(true);
        }
        let make = |name: &[u8]| symlinkat(target, &*spot.directory, name);
        let ((), temporary) = self.names.with_fresh(make).map_err(linking)?;
        let temporary = Unfinished { directory: &spot.directory, name: &temporary };
        let name = temporary.name;
        self.dress.on_symlink(&spot.directory, name, metadata, &mut problems(path, told));
        let renamed = self.rename(&spot.directory, temporary.name, spot.name, place);
        self.unless_exists(renamed, path, told)
    }

    pub(super) fn make_hard_link(
        &self,
        path: &[u8],
        original: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> Result<bool, RestoreError> {
        let Some(place) = self.place_of(path, told)? else { return Ok(false) };
        let Some(spot) = self.spot(path, place, metadata.mtime, told)? else { return Ok(false) };
        let lost = || {
            let path = original.escape_ascii().to_string();
            RestoreError::new(RestoreErrorKind::LostOriginal { path })
        };
        check_path(original)?;
        let original = self.stripped(original).ok_or_else(lost)?;
        let (parent, name) = split_path(original).ok_or_else(lost)?;
        let parent = self.directories.open(parent)?;
        // Without a flag the link is to a symlink itself, not to what it points to.
        let link = |to: &[u8]| linkat(&*parent, name, &*spot.directory, to, AtFlags::empty());
        let linking = |error| RestoreError::system("make the hard link", error);
        if !spot.taken {
            return match link(spot.name) {
                Err(Errno::EXIST) => self.unless_exists(Err(Errno::EXIST), path, told),
                made => made.map(|()| true).map_err(linking),
            };
        }
        let ((), temporary) = self.names.with_fresh(link).map_err(linking)?;
        // Renaming one name of a file over another does nothing and leaves both, so what is left is removed.
        let temporary = Unfinished { directory: &spot.directory, name: &temporary };
        let renamed = self.rename(&spot.directory, temporary.name, spot.name, place);
        self.unless_exists(renamed, path, told)
    }
}

/// Removes a temporary name if it is still there.
struct Unfinished<'a> {
    directory: &'a File,
    name: &'a [u8],
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Usually it is gone, since it was renamed.
        let _ = unlinkat(self.directory, self.name, AtFlags::empty());
    }
}
