//! Where objects are kept: a directory, memory, or a service. Objects are made once and never changed.

mod cached;
mod catalog;
mod disk;
#[cfg(feature = "http")]
mod http;
mod local;
mod published;
mod remote;
mod spool;
mod turn;
mod upload;
mod url;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::ReadAt;
use futures::stream::BoxStream;

pub use cached::CachedObjects;
pub(crate) use catalog::{CATALOG, Catalog, PARTS, Part, layout as catalog_layout};
pub use disk::{Disk, DiskEntry, DiskFile, RealDisk};
pub use local::LocalObjects;
pub(crate) use local::{blocking, read_range};
pub use published::PublishedObjects;
pub use remote::RemoteObjects;
pub use spool::Spool;
pub use turn::{Done, Turn};
pub use url::StoreUrl;

use crate::error::{Error, ErrorKind, Result};
use crate::name::Key;

/// What keeps objects. All of its keys are [`Key`]s, so that none leads out of it.
#[async_trait]
pub trait Objects: fmt::Debug + fmt::Display + Send + Sync {
    /// Keeps an object under a key. When this returns, the object is there whole and stays there after a crash; if it fails, there is either none, or the
    /// one that was there.
    ///
    /// An object that is there with the same length is left, and counts as kept: keys are made of hashes, so that the same key means the same bytes. One of
    /// another length is damaged, and replaced; so is one of other bytes where it costs no request to see that.
    async fn create(&self, key: &Key, content: Content) -> Result<Created>;

    /// The same, but not before its turn has come. What takes long may be done before that.
    async fn create_in_turn(&self, key: &Key, content: Content, turn: Turn) -> Result<Created> {
        turn.come().await?;
        self.create(key, content).await
    }

    /// Keeps an object in place of one that may be there and is damaged. Else as [`create`](Self::create).
    async fn replace(&self, key: &Key, content: Content) -> Result<()>;

    /// The bytes of a range, all of them.
    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes>;

    /// The bytes of a range, or of the whole object, in pieces. A stream that ends before the range does gives an error.
    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>>;

    /// An object as an open file, for one that is read often. `None` where objects are no files, or enough of them are open.
    async fn open_file(&self, _key: &Key) -> Result<Option<Arc<dyn DiskFile>>> {
        Ok(None)
    }

    /// Bytes of an object; `None` if there is none.
    async fn size(&self, key: &Key) -> Result<Option<u64>>;

    /// All objects whose keys begin with `prefix`, in no order.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>>;

    /// Keys of what stands where objects do whose keys begin with `prefix`, and can be none: in a directory all that is no regular file, and leads to none.
    async fn odd(&self, _prefix: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Removes an object, and says whether there was one.
    async fn delete(&self, key: &Key) -> Result<bool>;

    /// A place for an object that is yet to get its name.
    fn spool(&self) -> Result<Spool>;

    /// Whether nothing can be written, so that it need not be tried.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Removes what writers left that ended `age` ago or earlier before they could finish, and says how much that was.
    async fn clean(&self, _age: Duration) -> Result<u64> {
        Ok(0)
    }
}

/// The bytes of an object that is to be kept.
#[derive(Debug)]
#[non_exhaustive]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file.
    Spool(Spool),
}

impl Content {
    /// The number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Spool(spool) => spool.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives all bytes to `take`, piece by piece.
    pub(crate) fn for_each(&self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => take(bytes),
            Self::Spool(spool) => spool.for_each(take)?,
        }
        Ok(())
    }
}

/// What became of an object that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// It was not there.
    New,
    /// It was there.
    Existed,
    /// One that is damaged was there.
    Replaced,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// What it is called, which may be no [`Key`] that this program would make.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// When it was made, or put again.
    pub modified: Option<SystemTime>,
}

impl Object {
    /// One with this key, so many bytes, and the time when it was made, if that is known.
    pub fn new(key: impl Into<String>, size: u64, modified: Option<SystemTime>) -> Self {
        Self { key: key.into(), size, modified }
    }
}

/// Fills the buffer from an offset on.
pub(crate) fn read_exact_at(
    source: &(impl ReadAt + ?Sized),
    buf: &mut [u8],
    offset: u64,
) -> io::Result<()> {
    let mut filled = 0;
    while filled < buf.len() {
        match source.read_at(&mut buf[filled..], offset.saturating_add(filled as u64))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(())
}

/// The end of a range that is inside of an object of `size` bytes.
fn end_of(range: &Range<u64>, size: u64) -> Result<u64> {
    match range.start <= range.end && range.end <= size {
        true => Ok(range.end),
        false => {
            let found = size.saturating_sub(range.start);
            let expected = range.end.saturating_sub(range.start);
            Err(Error::new(ErrorKind::Short { expected, found }))
        }
    }
}
