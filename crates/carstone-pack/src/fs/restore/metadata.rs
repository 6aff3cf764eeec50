//! Puts mode, times, owner and extended attributes on what was restored.

use std::fs::File;
use std::io;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chownat, fchmod, fchown,
    fsetxattr, futimens, utimensat,
};

use super::error::RestoreError;
use super::options::RestoreOptions;
use crate::entry::{EntryKind, Metadata, Timestamp};

/// How metadata is put on files.
#[derive(Debug)]
pub(super) struct Dress {
    same_permissions: bool,
    same_owner: bool,
    umask: u32,
}

impl Dress {
    pub(super) fn new(options: &RestoreOptions, umask: u32) -> Self {
        let RestoreOptions { same_permissions, same_owner, .. } = *options;
        Self { same_permissions, same_owner, umask }
    }

    /// Puts all on an open file or directory, the mode if `mode` says so; `problem` hears what did not succeed.
    pub(super) fn on_open(
        &self,
        file: &File,
        kind: EntryKind,
        metadata: &Metadata,
        mode: bool,
        problem: &mut dyn FnMut(RestoreError),
    ) {
        let mut told = |what, result: Result<(), rustix::io::Errno>| {
            if let Err(error) = result {
                problem(RestoreError::metadata(what, error));
            }
        };
        // A change of owner takes set-user-id away, so it comes first.
        if let Some((uid, gid)) = self.owner(metadata) {
            told("owner", fchown(file, uid, gid));
        }
        for (name, value) in &metadata.xattrs {
            if name.starts_with(USER) {
                let set = fsetxattr(file, name.as_slice(), value, XattrFlags::empty());
                told("extended attributes", set);
            }
        }
        if mode {
            told("mode", fchmod(file, Mode::from_raw_mode(self.mode(kind, metadata) as _)));
        }
        if let Some(mtime) = metadata.mtime {
            told("modification time", futimens(file, &times(mtime)));
        }
    }

    /// Puts owner and time on a symlink, which has nothing else.
    pub(super) fn on_symlink(
        &self,
        directory: &File,
        name: &[u8],
        metadata: &Metadata,
        problem: &mut dyn FnMut(RestoreError),
    ) {
        if let Some((uid, gid)) = self.owner(metadata)
            && let Err(error) = chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        {
            problem(RestoreError::metadata("owner", error));
        }
        if let Some(mtime) = metadata.mtime
            && let Err(error) = utimensat(directory, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
        {
            problem(RestoreError::metadata("modification time", error));
        }
    }

    /// The mode to create a file with, where the system makes of it what the file is to have, and nothing on the way needs another one.
    pub(super) fn creation_mode(&self, metadata: &Metadata) -> Option<u32> {
        let plain = !self.same_permissions && metadata.xattrs.is_empty();
        let alone = plain && self.owner(metadata).is_none();
        alone.then(|| metadata.mode.unwrap_or(0o666) & 0o777)
    }

    fn owner(&self, metadata: &Metadata) -> Option<(Option<Uid>, Option<Gid>)> {
        // The number with all bits set means "leave it" to the system.
        let uid = metadata.uid.filter(|&id| id != u32::MAX).map(Uid::from_raw);
        let gid = metadata.gid.filter(|&id| id != u32::MAX).map(Gid::from_raw);
        (self.same_owner && (uid.is_some() || gid.is_some())).then_some((uid, gid))
    }

    fn mode(&self, kind: EntryKind, metadata: &Metadata) -> u32 {
        match metadata.mode {
            Some(mode) if self.same_permissions => mode & 0o7777,
            Some(mode) => mode & 0o777 & !self.umask,
            None if kind == EntryKind::Directory => 0o777 & !self.umask,
            None => 0o666 & !self.umask,
        }
    }
}

/// Modification time as given, access time as it is.
fn times(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
    }
}

/// The process's umask, without changing it.
pub(super) fn umask() -> io::Result<u32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    if let Some(umask) = line.and_then(|value| u32::from_str_radix(value.trim(), 8).ok()) {
        return Ok(umask & 0o777);
    }
    // Elsewhere a new directory tells: it gets all bits that the umask does not take.
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir()?;
    let probe = place.path().join("umask");
    std::fs::create_dir(&probe)?;
    Ok(!std::fs::metadata(&probe)?.permissions().mode() & 0o777)
}

const USER: &[u8] = b"user.";
