//! Directories below the target, opened step by step and never through a symlink.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::error::RestoreError;
use crate::path::{is_within, split_path};

/// The open target directory, and some of those below it.
#[derive(Debug)]
pub(in crate::fs) struct Directories {
    root: Arc<File>,
    cache: Mutex<Cache>,
    most_open: usize,
}

#[derive(Debug, Default)]
struct Cache {
    open: HashMap<Vec<u8>, (Arc<File>, u64)>,
    clock: u64,
}

impl Directories {
    pub(in crate::fs) fn new(root: File) -> Self {
        // Files in the order of their names are spread over many directories, so half of what may be open goes to these.
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most_open = (limit / 2).clamp(LEAST_OPEN, MOST_OPEN) as usize;
        Self { root: Arc::new(root), cache: Mutex::default(), most_open }
    }

    /// Opens the directory at `path`, which must be one that [`check_path`](crate::check_path) lets pass.
    pub(in crate::fs) fn open(&self, path: &[u8]) -> Result<Arc<File>, RestoreError> {
        self.descend(path, &mut |_, _, error| {
            Err(RestoreError::system("open the directory", error))
        })
    }

    /// The same, making what is not there. `made` hears the path of each directory that was made.
    pub(super) fn make(
        &self,
        path: &[u8],
        made: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<Arc<File>, RestoreError> {
        self.descend(path, &mut |parent, path, error| {
            if error != Errno::NOENT {
                return Err(RestoreError::system("open the directory", error));
            }
            let name = split_path(path).map_or(path, |(_, name)| name);
            // Only the owner may enter until all is in it; the mode it is to have comes at the end.
            match mkdirat(parent, name, Mode::RWXU) {
                Ok(()) => made(path),
                Err(Errno::EXIST) => Ok(()), // Another thread was first, or the next step will tell.
                Err(error) => Err(RestoreError::system("make the directory", error)),
            }
        })
    }

    /// Walks down. Where a directory cannot be opened, `missing` may make it.
    fn descend(&self, path: &[u8], missing: &mut Missing<'_>) -> Result<Arc<File>, RestoreError> {
        let (mut at, mut here) = self.nearest(path);
        while at < path.len() {
            let start = if at == 0 { 0 } else { at + 1 };
            let rest = path.get(start..).unwrap_or_default();
            let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let (name, end) = (&rest[..len], start + len);
            let step = &path[..end];
            let opened = match self.step(&here, name) {
                Err(error) if error != Errno::NOTDIR && error != Errno::LOOP => {
                    missing(&here, step, error)?;
                    self.step(&here, name)
                }
                other => other,
            };
            here = match opened {
                Ok(fd) => Arc::new(File::from(fd)),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(RestoreError::not_a_directory(step));
                }
                Err(error) => return Err(RestoreError::system("open the directory", error)),
            };
            self.keep(step, &here);
            at = end;
        }
        Ok(here)
    }

    /// Opens a directory in another one. Too many open files may be those that are held here only to be quick.
    fn step(&self, parent: &File, name: &[u8]) -> Result<OwnedFd, Errno> {
        match openat(parent, name, DIRECTORY, Mode::empty()) {
            Err(Errno::MFILE) => {
                self.forget(b"");
                openat(parent, name, DIRECTORY, Mode::empty())
            }
            opened => opened,
        }
    }

    /// The open directory that is nearest to `path` on the way to it, and the length of its path.
    fn nearest(&self, path: &[u8]) -> (usize, Arc<File>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let now = cache.clock;
        let mut prefix = path;
        while !prefix.is_empty() {
            if let Some((found, used)) = cache.open.get_mut(prefix) {
                *used = now;
                return (prefix.len(), Arc::clone(found));
            }
            prefix = split_path(prefix).map_or(&[], |(parent, _)| parent);
        }
        (0, Arc::clone(&self.root))
    }

    fn keep(&self, path: &[u8], directory: &Arc<File>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.open.len() >= self.most_open {
            let mut ages: Vec<u64> = cache.open.values().map(|(_, used)| *used).collect();
            let (_, &mut median, _) = ages.select_nth_unstable(self.most_open / 2);
            cache.open.retain(|_, (_, used)| *used > median);
        }
        let now = cache.clock;
        cache.open.insert(path.to_vec(), (Arc::clone(directory), now));
    }

    /// Forgets a directory, which is about to be removed, and all below it; the empty path is all.
    pub(super) fn forget(&self, path: &[u8]) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.open.retain(|open, _| !is_within(open, path));
    }
}

/// Gets the parent, the path, and why the directory there cannot be opened.
type Missing<'a> = dyn FnMut(&File, &[u8], Errno) -> Result<(), RestoreError> + 'a;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Directories held open, of the 1,024 files that a process may usually have.
const MOST_OPEN: u64 = 512;
const LEAST_OPEN: u64 = 8;
