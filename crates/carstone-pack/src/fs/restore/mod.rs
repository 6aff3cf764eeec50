//! Puts entries into a directory, safely, whatever the pack says.

mod directories;
mod error;
mod file;
mod files;
mod late;
mod links;
mod metadata;
mod names;
mod options;
mod partial;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

pub(in crate::fs) use directories::Directories;
pub use error::{RestoreError, RestoreErrorKind};
pub use file::NewFile;
pub use options::{Overwrite, RestoreEvent, RestoreObserver, RestoreOptions, Skip};

use crate::entry::{EntryKind, Metadata, Timestamp};
use crate::path::{check_path, split_path};
use late::Late;
use metadata::Dress;
use names::TempNames;
use partial::Partials;

/// Restores entries below a target directory. Threads may share it.
///
/// Nothing is written outside the target or through a symlink: each step of a path is opened from the directory before it. Files and
/// replaced entries get their name when they are complete, with content and metadata. Parents are made as needed.
/// Modes and times of directories are put on by [`finish`](Self::finish).
pub struct Restorer {
    directories: Directories,
    options: RestoreOptions,
    dress: Dress,
    names: TempNames,
    late: Late,
    /// Whether something stood under an entry's name already.
    crowded: AtomicBool,
    partials: Partials,
}

/// Where an entry goes.
struct Spot<'a> {
    directory: Arc<File>,
    name: &'a [u8],
    /// Whether something stands there that is to be replaced.
    taken: bool,
}

impl Restorer {
    /// Restores below `target`, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made or opened.
    pub fn new(target: impl AsRef<Path>, options: RestoreOptions) -> Result<Self, RestoreError> {
        let target = target.as_ref();
        std::fs::create_dir_all(target)
            .map_err(|error| RestoreError::system("make the target directory", error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(target, flags, Mode::empty())
            .map_err(|error| RestoreError::system("open the target directory", error))?;
        let umask = metadata::umask()
            .map_err(|error| RestoreError::system("find out the file mode mask", error))?;
        Ok(Self {
            directories: Directories::new(File::from(root)),
            dress: Dress::new(&options, umask),
            options,
            names: TempNames::new(),
            late: Late::new(),
            crowded: AtomicBool::new(false),
            partials: Partials::default(),
        })
    }

    /// Makes a directory, or keeps the one that is there. Its metadata comes with [`finish`](Self::finish).
    /// Gives whether it is there. The empty path is the target itself.
    pub fn directory(&self, path: &[u8], metadata: &Metadata, told: &mut RestoreObserver) -> bool {
        self.tell(path, EntryKind::Directory, 0, told, |told| {
            let Some(place) = self.place_of(path, told)? else { return Ok(false) };
            if !place.is_empty() && !self.make_directory(path, place, metadata, told)? {
                return Ok(false);
            }
            self.late
                .announced(place, path, metadata.clone())
                .map_err(|error| RestoreError::system("note the directory", error))?;
            Ok(true)
        })
    }

    /// Makes a symlink; gives whether it is there.
    pub fn symlink(
        &self,
        path: &[u8],
        target: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> bool {
        self.tell(path, EntryKind::Symlink, 0, told, |told| {
            self.make_symlink(path, target, metadata, told)
        })
    }

    /// Makes another name of what this restoration put at `original`, a path in the pack; gives whether it is there.
    pub fn hard_link(
        &self,
        path: &[u8],
        original: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> bool {
        self.tell(path, EntryKind::HardLink, 0, told, |told| {
            self.make_hard_link(path, original, metadata, told)
        })
    }

    /// Puts modes and times on directories, deepest first.
    pub fn finish(self, told: &mut RestoreObserver) {
        let Self { directories, dress, late, .. } = self;
        let done = late.sorted().and_then(|sorted| {
            late::for_each(&sorted, |directory| {
                let mut problem = problems(&directory.path, told);
                match directories.open(&directory.place) {
                    Ok(file) => {
                        let metadata = &directory.metadata;
                        dress.on_open(&file, EntryKind::Directory, metadata, true, &mut problem);
                    }
                    Err(error) => problem(error),
                }
            })
        });
        if let Err(error) = done {
            let error = RestoreError::system("read back the list of directories", error);
            told(RestoreEvent::Problem { path: Vec::new(), error });
        }
    }

    /// Opens a file that this restoration placed, for reading back.
    pub(in crate::fs) fn open_placed(&self, place: &[u8]) -> Result<File, RestoreError> {
        let (parent, name) = split_path(place).unwrap_or_default();
        let directory = self.directories.open(parent)?;
        open_file(&directory, name)
    }

    /// Where a path goes below the target; `None` when nothing of it is left.
    pub(in crate::fs) fn stripped<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = path;
        for _ in 0..self.options.strip {
            let slash = rest.iter().position(|&byte| byte == b'/')?;
            rest = &rest[slash + 1..];
        }
        Some(rest)
    }

    fn place_of<'a>(
        &self,
        path: &'a [u8],
        told: &mut RestoreObserver,
    ) -> Result<Option<&'a [u8]>, RestoreError> {
        check_path(path)?;
        let place = self.stripped(path);
        match place {
            Some(place) => self.make_way(place, told),
            None => told(RestoreEvent::Skipped { path: path.to_vec(), why: Skip::Stripped }),
        }
        Ok(place)
    }

    /// Opens the parent of an entry that is no directory, and gives the entry's name in it.
    fn parent<'a>(&self, place: &'a [u8]) -> Result<(Arc<File>, &'a [u8]), RestoreError> {
        let Some((parent, name)) = split_path(place) else {
            return Err(RestoreError::new(RestoreErrorKind::Occupied)); // Only directories can be the root.
        };
        let directory = self.directories.make(parent, &mut |made| {
            self.late
                .implied(made)
                .map_err(|error| RestoreError::system("note the directory", error))
        })?;
        Ok((directory, name))
    }

    /// Opens the parent and looks at what stands there. `None` when the entry is skipped.
    fn spot<'a>(
        &self,
        path: &[u8],
        place: &'a [u8],
        mtime: Option<Timestamp>,
        told: &mut RestoreObserver,
    ) -> Result<Option<Spot<'a>>, RestoreError> {
        let (directory, name) = self.parent(place)?;
        let why = match look(&directory, name)? {
            None => return Ok(Some(Spot { directory, name, taken: false })),
            Some(there) => match self.options.overwrite {
                Overwrite::Always => None,
                Overwrite::IfNewer if mtime > Some(mtime_of(&there)) => None,
                Overwrite::IfNewer => Some(Skip::NotNewer),
                Overwrite::Never => Some(Skip::Exists),
            },
        };
        match why {
            None => Ok(Some(Spot { directory, name, taken: true })),
            Some(why) => {
                told(RestoreEvent::Skipped { path: path.to_vec(), why });
                Ok(None)
            }
        }
    }

    fn make_directory(
        &self,
        path: &[u8],
        place: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> Result<bool, RestoreError> {
        let (directory, name) = self.parent(place)?;
        let making = |error| RestoreError::system("make the directory", error);
        match mkdirat(&*directory, name, Mode::RWXU) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(making(error)),
        }
        if look(&directory, name)?.is_some_and(|there| kind_of(&there) == FileType::Directory) {
            return Ok(true);
        }
        let Some(spot) = self.spot(path, place, metadata.mtime, told)? else { return Ok(false) };
        if spot.taken {
            unlinkat(&*spot.directory, name, AtFlags::empty()).map_err(making)?;
        }
        mkdirat(&*spot.directory, name, Mode::RWXU).map_err(making)?;
        Ok(true)
    }

    /// From the temporary name to the real one.
    fn rename(&self, directory: &File, from: &[u8], to: &[u8], place: &[u8]) -> Result<(), Errno> {
        if self.options.overwrite == Overwrite::Never {
            return names::rename_new(directory, from, to);
        }
        match renameat(directory, from, directory, to) {
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                self.directories.forget(place);
                unlinkat(directory, to, AtFlags::REMOVEDIR)?;
                renameat(directory, from, directory, to)
            }
            done => done,
        }
    }

    /// Turns "something has the name" into an event: what came in between counts as if it had been there before.
    fn unless_exists(
        &self,
        result: Result<(), Errno>,
        path: &[u8],
        told: &mut RestoreObserver,
    ) -> Result<bool, RestoreError> {
        match result {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) if self.options.overwrite == Overwrite::Never => {
                self.crowded.store(true, Ordering::Relaxed);
                told(RestoreEvent::Skipped { path: path.to_vec(), why: Skip::Exists });
                Ok(false)
            }
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                Err(RestoreError::new(RestoreErrorKind::Occupied))
            }
            Err(error) => Err(RestoreError::system("give it its name", error)),
        }
    }

    /// Tells what came of an entry.
    fn tell(
        &self,
        path: &[u8],
        kind: EntryKind,
        size: u64,
        told: &mut RestoreObserver,
        restore: impl FnOnce(&mut RestoreObserver) -> Result<bool, RestoreError>,
    ) -> bool {
        let done = restore(told);
        let (done, event) = match done {
            Ok(false) => return false,
            Ok(true) => (true, RestoreEvent::Restored { path: path.to_vec(), kind, size }),
            Err(error) => (false, RestoreEvent::Problem { path: path.to_vec(), error }),
        };
        told(event);
        done
    }
}

/// Tells each fault under the path of its entry.
fn problems<'a>(path: &'a [u8], told: &'a mut RestoreObserver) -> impl FnMut(RestoreError) + 'a {
    |error| told(RestoreEvent::Problem { path: path.to_vec(), error })
}

/// What stands under a name, itself and not what it points to.
pub(in crate::fs) fn look(directory: &File, name: &[u8]) -> Result<Option<Stat>, RestoreError> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(RestoreError::system("look at what is there", error)),
    }
}

/// Opens a regular file for reading, never through a symlink, and never waiting for a pipe.
pub(in crate::fs) fn open_file(directory: &File, name: &[u8]) -> Result<File, RestoreError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(directory, name, flags, Mode::empty())
        .map_err(|error| RestoreError::system("open the file", error))?;
    Ok(File::from(fd))
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "types differ by system")]
pub(in crate::fs) fn mtime_of(stat: &Stat) -> Timestamp {
    Timestamp { seconds: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 }
}

pub(in crate::fs) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
