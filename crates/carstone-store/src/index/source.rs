//! Blobs from where an index says that they are.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::{Cid, codec, verify};

use super::format::malformed;
use super::location::Location;
use super::segment::Found;
use super::traits::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Hash, Key};
use crate::objects::Objects;
use crate::pack::PackStore;

/// Something that reads what URLs name. This crate has none: whoever needs one brings it.
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync {
    /// The bytes of a range, all of them and no others. They are verified by whoever asks.
    ///
    /// # Errors
    /// It cannot be reached, or something else than the range came.
    async fn fetch(&self, url: &str, range: Range<u64>) -> io::Result<Bytes>;
}

/// Reads blobs from their [sources](Source): packs, paths, URLs, and the index itself. What cannot be read this way is an error; what can is verified.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use carstone_store::{Found, LocalObjects, Location, Source, SourceReader};
/// let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join("stones"), b"a keystone")?;
/// let sources = SourceReader::new().paths(Arc::new(LocalObjects::new(directory.path())));
///
/// let cid = carstone_car::cid_of(carstone_car::codec::RAW, b"keystone");
/// let location = Location::Foreign { text: "stones".to_owned(), size: 0 };
/// let source = Source::Place(Found::new(location, cid.codec(), 2, 8));
/// assert_eq!(&sources.read(cid.hash(), &source).await?[..], b"keystone");
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct SourceReader {
    packs: Option<Arc<dyn PackStore>>,
    paths: Option<Arc<dyn Objects>>,
    fetcher: Option<Arc<dyn Fetch>>,
}

impl SourceReader {
    /// One that reads what an index holds itself, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where packs are.
    #[must_use]
    pub fn packs(mut self, packs: Arc<dyn PackStore>) -> Self {
        self.packs = Some(packs);
        self
    }

    /// Sets below what paths are. They are keys there, so that none leads out of it but by a symlink that someone has put there.
    #[must_use]
    pub fn paths(mut self, below: Arc<dyn Objects>) -> Self {
        self.paths = Some(below);
        self
    }

    /// Sets what reads URLs.
    #[must_use]
    pub fn fetcher(mut self, fetcher: Arc<dyn Fetch>) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// A blob from a source, verified.
    ///
    /// # Errors
    /// It cannot be read, is larger than 16 MiB, or is not what the hash names. The error names the place.
    pub async fn read(&self, hash: &Hash, source: &Source) -> Result<Bytes> {
        match source {
            Source::Inline(bytes) => verified(hash, bytes.clone()),
            Source::Place(found) => {
                let read = self.read_place(found).await;
                let read = read.and_then(|bytes| verified(hash, bytes));
                read.map_err(|error| error.of(&found.location).at(found.offset))
            }
        }
    }

    /// A blob from the first source that has it whole; `None` if there are no sources.
    ///
    /// # Errors
    /// There are sources, and none has it whole: that of the last one.
    pub async fn read_any(&self, hash: &Hash, sources: &[Source]) -> Result<Option<Bytes>> {
        let mut failed: Option<Error> = None;
        for source in sources {
            match self.read(hash, source).await {
                Ok(bytes) => return Ok(Some(bytes)),
                // That one is gone says less than that another is damaged.
                Err(error) if error.is_not_found() && failed.is_some() => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    async fn read_place(&self, found: &Found) -> Result<Bytes> {
        if found.len > MOST_BLOCK {
            return Err(malformed("a block is larger than 16 MiB"));
        }
        let range = found.offset..found.offset.saturating_add(found.len);
        let none = |what| Error::new(ErrorKind::Unsupported(what));
        let bytes = match &found.location {
            Location::Pack { name, .. } => {
                let packs = self.packs.as_ref().ok_or_else(|| none("reading packs"))?;
                packs.read(name, range).await?
            }
            Location::Foreign { text, .. } if text.contains("://") => {
                let fetcher = self.fetcher.as_ref().ok_or_else(|| none("reading URLs"))?;
                fetcher.fetch(text, range).await?
            }
            Location::Foreign { text, .. } => {
                let paths = self.paths.as_ref().ok_or_else(|| none("reading paths"))?;
                paths.read(&Key::new(text)?, range).await?
            }
        };
        match bytes.len() as u64 == found.len {
            true => Ok(bytes),
            false => {
                let (expected, came) = (found.len, bytes.len() as u64);
                Err(Error::new(ErrorKind::Short { expected, found: came }))
            }
        }
    }
}

fn verified(hash: &Hash, bytes: Bytes) -> Result<Bytes> {
    verify(&Cid::new_v1(codec::RAW, *hash), &bytes)?;
    Ok(bytes)
}

const MOST_BLOCK: u64 = 16 << 20;
