//! The file system of a repository, as far as it is needed. Tests put others in its place, which fail.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// What a file system does. Each function that changes something is one step of what a crash may come between.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a file, which is not there, of these bytes. They need not be durable.
    ///
    /// # Errors
    /// It is there, or cannot be made.
    fn create(&self, path: &Path, bytes: &[&[u8]]) -> io::Result<()>;

    /// Makes the bytes of a file durable.
    ///
    /// # Errors
    /// There is none, or that fails.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// There is none, or that fails.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes all of the file system durable that `path` is on.
    ///
    /// # Errors
    /// That fails.
    fn sync_all(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or a link another name, in place of what has that.
    ///
    /// # Errors
    /// There is none, or that fails.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes a link.
    ///
    /// # Errors
    /// Something is there, or it cannot be made.
    fn link(&self, target: &Path, path: &Path) -> io::Result<()>;

    /// Makes a directory, and says whether there was none. That above it is there.
    ///
    /// # Errors
    /// It cannot be made.
    fn create_directory(&self, path: &Path) -> io::Result<bool>;

    /// Removes a file or a link, and says whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<bool>;

    /// Removes a directory if it is empty, and says whether that was so.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove_directory(&self, path: &Path) -> io::Result<bool>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>>;

    /// What has this name; `None` if nothing has.
    ///
    /// # Errors
    /// It cannot be found out.
    fn look(&self, path: &Path) -> io::Result<Option<What>>;

    /// The target of a link.
    ///
    /// # Errors
    /// It is none, or cannot be read.
    fn target(&self, path: &Path) -> io::Result<PathBuf>;

    /// What is in a directory, in no order. Names that are no UTF-8 are shown as well as they can be.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    fn list(&self, path: &Path) -> io::Result<Vec<(String, What)>>;

    /// Locks a file, which is made if there is none, until what is given is dropped or the process ends. `None` if somebody else has locked it; with `wait`, that is waited for.
    ///
    /// # Errors
    /// It cannot be made or locked.
    fn lock(&self, path: &Path, wait: bool) -> io::Result<Option<Box<dyn Held>>>;
}

/// A file that is locked, until this is dropped.
pub trait Held: fmt::Debug + Send + Sync {}

impl<T: fmt::Debug + Send + Sync> Held for T {}

/// What is read.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// What a name in a directory is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all else is something else")]
pub enum What {
    /// A regular file of so many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A link.
    Link,
    /// Something else, or a name that is no UTF-8.
    Other,
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path, bytes: &[&[u8]]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        bytes.iter().try_for_each(|bytes| file.write_all(bytes))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(path)?)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        unless(fs::remove_file(path), &[io::ErrorKind::NotFound])
    }

    fn remove_directory(&self, path: &Path) -> io::Result<bool> {
        use io::ErrorKind::{DirectoryNotEmpty, NotFound};
        unless(fs::remove_dir(path), &[NotFound, DirectoryNotEmpty])
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let file = File::open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(Box::new(file)),
            false => Err(io::Error::other("it is no regular file")),
        }
    }

    fn look(&self, path: &Path) -> io::Result<Option<What>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(what(&metadata))),
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, What)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // It was removed meanwhile.
                Err(error) if is_nothing(&error) => continue,
                metadata => metadata?,
            };
            found.push(match entry.file_name().into_string() {
                Ok(name) => (name, what(&metadata)),
                Err(name) => (name.to_string_lossy().into_owned(), What::Other),
            });
        }
        Ok(found)
    }

    fn lock(&self, path: &Path, wait: bool) -> io::Result<Option<Box<dyn Held>>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        if wait {
            file.lock()?;
            return Ok(Some(Box::new(file)));
        }
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn what(metadata: &fs::Metadata) -> What {
    let kind = metadata.file_type();
    match kind {
        _ if kind.is_file() => What::File(metadata.len()),
        _ if kind.is_dir() => What::Directory,
        _ if kind.is_symlink() => What::Link,
        _ => What::Other,
    }
}

/// Whether an error says that there is nothing.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether it was done; not, where one of these came out.
fn unless(done: io::Result<()>, but: &[io::ErrorKind]) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if but.contains(&error.kind()) => Ok(false),
        Err(error) => Err(error),
    }
}
