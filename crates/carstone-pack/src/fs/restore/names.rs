//! Names for what is not complete yet, and the step from such a name to the real one.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, linkat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Gives names that nothing has.
#[derive(Debug)]
pub(super) struct TempNames {
    run: u64,
    next: AtomicU64,
}

impl TempNames {
    pub(super) fn new() -> Self {
        // Nobody who made a pack can know these names beforehand.
        Self { run: RandomState::new().hash_one(std::process::id()), next: AtomicU64::new(0) }
    }

    /// Calls `make` with new names until one is free.
    pub(super) fn with_fresh<T>(
        &self,
        mut make: impl FnMut(&[u8]) -> Result<T, Errno>,
    ) -> Result<(T, Vec<u8>), Errno> {
        let mut tries = 0;
        loop {
            let count = self.next.fetch_add(1, Ordering::Relaxed);
            let mut name = Vec::with_capacity(40);
            // Writing to a vector cannot fail.
            let _ = write!(name, ".carstone-{:016x}-{count:x}", self.run);
            match make(&name) {
                Err(Errno::EXIST) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
                Ok(made) => return Ok((made, name)),
            }
        }
    }
}

/// Renames within a directory, unless something has the new name.
pub(super) fn rename_new(directory: &File, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
            // The file system, or an old system, cannot do this.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            done => return done,
        }
    }
    match linkat(directory, from, directory, to, AtFlags::empty()) {
        Ok(()) => unlinkat(directory, from, AtFlags::empty()),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        // Without hard links there is a moment between looking and renaming; nothing better is to be had.
        Err(_) => match statat(directory, to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => renameat(directory, from, directory, to),
            Err(error) => Err(error),
        },
    }
}

const TRIES: u32 = 64;
