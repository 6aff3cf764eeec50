//! What an index is to those that fill it and to those that ask it.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::Cid;

use super::builder::SegmentBuilder;
use super::format::EntryKind;
use super::location::Location;
use super::segment::Found;
use super::set::Index;
use crate::error::Result;
use crate::name::{Hash, Key};
use crate::pack::{PackWritten, Written};

/// Where the bytes of a blob are to be had. They are not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// There.
    Place(Found),
    /// Here: the index holds them itself.
    Inline(Bytes),
}

/// Something that says where blobs are.
///
/// It is asked by the hash of a blob, by that of a pack, and by that of the root of a DAG. It gives all that it knows: a blob that lies in several places has
/// several sources, which are tried in their order.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{Blob, IndexReader, PackWriterOptions, Source, Store};
/// let store = Store::in_memory().await?;
/// let written = store.put(Blob::bytes(&b"keystone"[..]), PackWriterOptions::default()).await?;
/// let index: &dyn IndexReader = store.index();
///
/// let pack = &written.packs[0];
/// let Source::Place(place) = &index.blob(written.root.hash()).await?[0] else { panic!("in a pack") };
/// assert_eq!(place.location.pack(), Some(&pack.name));
/// assert_eq!(index.blobs_in(&pack.name).await?, [(*written.root.hash(), place.clone())]);
/// assert_eq!(index.containing(written.root.hash()).await?, [place.location.clone()]);
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait IndexReader: std::fmt::Debug + Send + Sync {
    /// All sources of a blob; none if it is not known.
    ///
    /// # Errors
    /// Nothing was found, and part of the index cannot be read.
    async fn blob(&self, hash: &Hash) -> Result<Vec<Source>>;

    /// The blobs of a pack, in the order in which they lie there; none if it is not known.
    ///
    /// # Errors
    /// The index cannot be read.
    async fn blobs_in(&self, pack: &Hash) -> Result<Vec<(Hash, Found)>>;

    /// The packs and other locations that have blobs of the DAG under a root, each once; none if it is not known.
    ///
    /// # Errors
    /// Nothing was found, and part of the index cannot be read.
    async fn containing(&self, root: &Hash) -> Result<Vec<Location>>;
}

/// Something that takes note of packs as they are written.
///
/// It hears of a pack when the pack is durable, never before, and then of the root of all of them. What it took is there for others, and
/// after a crash, when [`finish`](Self::finish) has returned; what was not finished may be lost.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use carstone_store::{
///     Blob, IndexReader, IndexWriter, Layout, ObjectPackStore, PackWriter, RecordIndex, RecordLevel,
///     RemoteObjects, index_written,
/// };
/// let packs = ObjectPackStore::new(Arc::new(RemoteObjects::in_memory()), Layout::flat("", ".car")?);
/// let written = PackWriter::new(Arc::new(packs)).write(Blob::bytes(&b"keystone"[..])).await?;
///
/// // Any number of indexes; none is right too.
/// let mut index = RecordIndex::new(RecordLevel::Containing);
/// let writers: [&mut dyn IndexWriter; 1] = [&mut index];
/// index_written(&written, writers).await?;
/// assert_eq!(index.containing(written.root.hash()).await?.len(), 1);
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait IndexWriter: Send {
    /// Takes note of a pack that is durable.
    ///
    /// # Errors
    /// It cannot be noted.
    async fn pack(&mut self, pack: &PackWritten) -> Result<()>;

    /// Makes what was noted durable, and begins anew. With a root, all packs since the last call hold the DAG under it; without one, nothing is said of that, as with
    /// hash-stream's `notIndexContaining`.
    ///
    /// # Errors
    /// It cannot be kept.
    async fn finish(&mut self, root: Option<&Cid>) -> Result<()>;
}

/// Tells indexes of what was written, one after the other.
///
/// # Errors
/// The first one of an index. The indexes before it have all, and it may be done again for the others: packs do not change.
pub async fn index_written<'a>(
    written: &Written,
    writers: impl IntoIterator<Item = &'a mut dyn IndexWriter>,
) -> Result<()> {
    for writer in writers {
        for pack in &written.packs {
            writer.pack(pack).await?;
        }
        writer.finish(Some(&written.root)).await?;
    }
    Ok(())
}

/// Makes segments of a store's own index. [`Index::writer`] gives it.
#[derive(Debug)]
pub struct SegmentIndexWriter {
    index: Index,
    builder: SegmentBuilder,
    packs: Vec<Location>,
    keys: Vec<Key>,
}

impl Index {
    /// Takes note of packs. Of those of one call of [`finish`](IndexWriter::finish) it makes one segment, or several where there are very many blobs.
    pub fn writer(&self) -> SegmentIndexWriter {
        let (builder, packs) = (SegmentBuilder::new(), Vec::new());
        SegmentIndexWriter { index: self.clone(), builder, packs, keys: Vec::new() }
    }
}

impl SegmentIndexWriter {
    /// Takes note of where a blob lies. Where there are very many, a segment of those so far is kept.
    pub(crate) async fn blob(
        &mut self,
        cid: &Cid,
        location: &Location,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        self.builder.add_blob(cid, location, offset, len)?;
        match self.builder.memory() > MOST_MEMORY {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Takes note that a location has blobs of the DAG under a root.
    pub(crate) fn containing(&mut self, root: &Cid, location: &Location) -> Result<()> {
        self.builder.add_containing(root, location)
    }

    /// Keeps a segment of what was noted.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.keys.extend(self.index.add(std::mem::take(&mut self.builder)).await?);
        Ok(())
    }

    /// The segments that have been kept.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }
}

#[async_trait]
impl IndexWriter for SegmentIndexWriter {
    async fn pack(&mut self, pack: &PackWritten) -> Result<()> {
        let location = Location::Pack { name: pack.name, size: pack.size };
        for blob in &pack.blobs {
            self.blob(&blob.cid, &location, blob.offset, blob.len).await?;
        }
        self.packs.push(location);
        Ok(())
    }

    async fn finish(&mut self, root: Option<&Cid>) -> Result<()> {
        for location in self.packs.drain(..) {
            if let Some(root) = root {
                self.builder.add_containing(root, &location)?;
            }
        }
        self.flush().await
    }
}

/// The pack is looked for in all of every segment that has it: see [`Index::blobs_in`].
#[async_trait]
impl IndexReader for Index {
    async fn blob(&self, hash: &Hash) -> Result<Vec<Source>> {
        let found = self.find(EntryKind::Blob, hash).await?;
        Ok(found.into_iter().map(Source::Place).collect())
    }

    async fn blobs_in(&self, pack: &Hash) -> Result<Vec<(Hash, Found)>> {
        Index::blobs_in(self, pack).await
    }

    async fn containing(&self, root: &Hash) -> Result<Vec<Location>> {
        let found = self.find(EntryKind::Containing, root).await?;
        let mut seen = HashSet::new();
        let locations = found.into_iter().map(|found| found.location);
        Ok(locations.filter(|location| seen.insert(location.clone())).collect())
    }
}

/// Bytes of entries that are held before they are written.
const MOST_MEMORY: usize = 64 << 20;
