//! A repository of packets in a directory (HPPR 022).

mod attach;
mod batch;
mod check;
mod collect;
mod detach;
mod disk;
mod export;
mod get;
mod import;
mod layout;
mod list;
mod open;
mod rebuild;
mod repair;
mod staging;
mod store;
mod thin;
mod versions;
#[cfg(feature = "watch")]
mod watch;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::batch::{BATCH_BYTES, Batch};
pub use self::check::{CheckOptions, Checked, Finding};
pub use self::collect::Collected;
pub use self::disk::{Disk, Held, RealDisk, Source, What};
pub use self::export::{ExportOptions, Exported};
pub use self::get::Headers;
pub use self::import::{import, import_car};
pub use self::layout::EMPTY_BLOB;
pub use self::list::{TipPrefix, Tips};
pub use self::open::OpenOptions;
pub use self::rebuild::Rebuilt;
pub(crate) use self::staging::Staging;
pub use self::store::{BATCH, StoreOptions};
pub use self::versions::Version;
#[cfg(feature = "watch")]
pub use self::watch::{Change, WATCH_QUEUE, Watch, WatchOptions};
use crate::error::{Error, ErrorKind, Result};

/// Packets in a directory: under their hashes, and in an index by coordinate and time.
///
/// Readers take no lock. One writer at a time holds one, for as long as an operation takes.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    is_read_only: bool,
}

/// The lock of a writer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: Box<dyn Held>,
}

impl Repository {
    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether nothing is written into it.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// A path of the repository on the disk.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Makes all that is there durable.
    pub(crate) fn sync_all(&self) -> Result<()> {
        self.disk.sync_all(&self.root).map_err(self.failed(&self.root))
    }

    /// Waits until no other writer has the lock, and takes it.
    ///
    /// # Errors
    /// It is opened to be read only; the lock cannot be taken.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let held = self.held(true)?;
        held.ok_or_else(|| Error::io(io::ErrorKind::WouldBlock.into()).of(self.lock_file()))
    }

    /// The lock, if no other writer has it.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>> {
        self.held(false)
    }

    fn held(&self, wait: bool) -> Result<Option<Lock>> {
        if self.is_read_only {
            return Err(Error::new(ErrorKind::ReadOnly).of(&self.root));
        }
        let path = self.lock_file();
        let held = self.disk.lock(&path, wait).map_err(self.failed(&path))?;
        Ok(held.map(|held| Lock { _held: held }))
    }

    /// Takes the lock if there has been a writer, and it can be had: who only reads need not wait, but sees what is half made.
    pub(crate) fn lock_as_reader(&self) -> Option<Lock> {
        let path = self.lock_file();
        self.disk.look(&path).ok()??;
        Some(Lock { _held: self.disk.lock(&path, true).ok()?? })
    }

    fn lock_file(&self) -> PathBuf {
        self.path(layout::STAGING).join(layout::LOCK)
    }

    /// The same of what failed there.
    pub(crate) fn failed(&self, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |error| Error::io(error).of(path)
    }
}
