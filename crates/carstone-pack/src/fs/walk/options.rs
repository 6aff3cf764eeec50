//! What to pack, and how.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exclude::{Exclude, ExcludeSet};
use crate::entry::Timestamp;
use crate::error::{Error, ErrorKind};

/// The order in which entries are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Directories and symlinks by path, then files by extension: first those of a name that several directories have, by name and size,
    /// then the others by path. Like stands near like, which compresses best.
    #[default]
    Type,
    /// By path, component by component, bytewise.
    Path,
    /// Inputs as given; by path within each.
    Given,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileId {
    /// Number of the device.
    pub device: u64,
    /// Number of the file on it.
    pub inode: u64,
}

impl FileId {
    /// The id of an open file.
    ///
    /// # Errors
    /// The file cannot be asked.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Settings of [`add_tree`](crate::fs::add_tree).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeOptions {
    pub(in crate::fs) base: PathBuf,
    pub(in crate::fs) order: Order,
    excludes: Vec<Exclude>,
    pub(in crate::fs) one_file_system: bool,
    pub(in crate::fs) recurse: bool,
    pub(in crate::fs) unwrap_single: bool,
    pub(in crate::fs) owners: bool,
    pub(in crate::fs) xattrs: bool,
    pub(in crate::fs) fixed: Option<Fixed>,
    pub(in crate::fs) own: Vec<FileId>,
    cancel: Option<Arc<AtomicBool>>,
}

/// What stands for the metadata of every entry.
#[derive(Clone, Copy, Debug)]
pub(in crate::fs) struct Fixed {
    pub(in crate::fs) mtime: Option<Timestamp>,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            base: PathBuf::new(),
            order: Order::default(),
            excludes: Vec::new(),
            one_file_system: false,
            recurse: true,
            unwrap_single: true,
            owners: true,
            xattrs: true,
            fixed: None,
            own: Vec::new(),
            cancel: None,
        }
    }
}

impl TreeOptions {
    /// The directory that inputs are relative to; the current one by default.
    #[must_use]
    pub fn base(mut self, directory: impl Into<PathBuf>) -> Self {
        self.base = directory.into();
        self
    }

    /// The order in which entries are packed; [`Order::Type`] by default.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Leaves out what matches a glob. Without `/`, it is matched with the name of every entry; with `/`, with the path in the
    /// pack, where `*` and `?` do not match `/` and `**` does. A `/` at its start or end means nothing more. A directory that
    /// matches is not entered.
    ///
    /// # Errors
    /// [`ErrorKind::BadPattern`] when it is no glob.
    pub fn exclude(mut self, glob: &str) -> Result<Self, Error> {
        self.excludes.push(Exclude::new(glob)?);
        Ok(self)
    }

    /// Whether directories on another file system than their input are not entered. They are packed as empty directories.
    #[must_use]
    pub fn one_file_system(mut self, yes: bool) -> Self {
        self.one_file_system = yes;
        self
    }

    /// Whether directories are entered; yes by default.
    #[must_use]
    pub fn recurse(mut self, yes: bool) -> Self {
        self.recurse = yes;
        self
    }

    /// Whether a single input that is a directory becomes the root of the pack, instead of an entry in it; yes by default.
    #[must_use]
    pub fn unwrap_single(mut self, yes: bool) -> Self {
        self.unwrap_single = yes;
        self
    }

    /// Whether owners and groups are kept; yes by default.
    #[must_use]
    pub fn owners(mut self, yes: bool) -> Self {
        self.owners = yes;
        self
    }

    /// Whether `user.` extended attributes are kept; yes by default.
    #[must_use]
    pub fn xattrs(mut self, yes: bool) -> Self {
        self.xattrs = yes;
        self
    }

    /// Keeps of each entry only what is the same wherever the tree lies, so that equal trees give equal entries: names, contents,
    /// targets of symlinks, and whether the owner may execute a file.
    ///
    /// Files have the mode 0644 or 0755, directories 0755, symlinks 0777, and all of them the modification time `mtime`, or none. Neither
    /// owners nor attributes are kept, whatever was said of them. A further name of a file is a file of its own, whose content the pack
    /// holds once all the same: which names are links is a matter of the file system.
    #[must_use]
    pub fn reproducible(mut self, mtime: Option<Timestamp>) -> Self {
        self.fixed = Some(Fixed { mtime });
        self
    }

    /// Never packs this file, under whatever name it is met: the pack that is being written. May be called for several.
    #[must_use]
    pub fn own_output(mut self, file: FileId) -> Self {
        self.own.push(file);
        self
    }

    /// A flag that stops the walk with [`ErrorKind::Cancelled`] once it is set.
    #[must_use]
    pub fn cancel(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancel = Some(flag);
        self
    }

    pub(in crate::fs) fn exclude_set(&self) -> io::Result<ExcludeSet> {
        ExcludeSet::new(&self.excludes)
    }

    pub(in crate::fs) fn check_cancelled(&self) -> io::Result<()> {
        match self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            true => Err(Error::new(ErrorKind::Cancelled, 0).into()),
            false => Ok(()),
        }
    }
}
