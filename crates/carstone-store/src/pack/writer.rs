//! Blobs into packs.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use carstone_car::{Cid, Header, codec, digest_len};
use carstone_unixfs::{Profile, write_file};
use futures::stream::{self, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::blob::Blob;
use super::keep::{ToKeep, keep, keep_sidecar};
use super::known::Known;
use super::layers::{PackLayers, wrapped};
use super::options::{Dedupe, PackWriterOptions};
use super::shard::{Placed, Shard, Sharder};
use super::store::PackStore;
use crate::error::{Error, ErrorKind, Result};
use crate::index::IndexReader;
use crate::name::Hash;
use crate::objects::{Content, Created, Spool};

/// Makes packs of blobs, and puts them into a store, one after the other.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use carstone_store::{Blob, Layout, ObjectPackStore, PackStore, PackWriter, RemoteObjects};
/// let packs = ObjectPackStore::new(Arc::new(RemoteObjects::in_memory()), Layout::flat("", ".car")?);
/// let writer = PackWriter::new(Arc::new(packs.clone()));
/// let written = writer.write(Blob::bytes(&b"keystone"[..])).await?;
/// assert!(written.root.to_string().starts_with("bafkrei"));
/// assert!(packs.get(&written.packs[0].name).await?.is_some());
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct PackWriter {
    store: Arc<dyn PackStore>,
    options: PackWriterOptions,
    /// What says which blocks are in the store already.
    known: Option<Arc<dyn IndexReader>>,
    layers: Option<Arc<dyn PackLayers>>,
}

/// What has been packed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The root of the blob.
    pub root: Cid,
    /// The packs, in their order. All of them are in the store.
    pub packs: Vec<PackWritten>,
    /// Packs that were there before, and have blocks which were [not written again](PackWriter::leave_out), with their bytes.
    pub known: Vec<(Hash, u64)>,
}

impl Written {
    /// The hash of the root: what hash-stream calls the containing multihash. It does not depend on the size of packs.
    pub fn containing(&self) -> &Hash {
        self.root.hash()
    }
}

/// A pack that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackWritten {
    /// Its name.
    pub name: Hash,
    /// Its bytes.
    pub size: u64,
    /// Its blobs in their order, those that repeat too.
    pub blobs: Vec<BlobPlace>,
    /// The roots in its header.
    pub roots: Vec<Cid>,
    /// Whether it was there before.
    pub created: Created,
    /// Bytes of the [sidecar](crate::Sidecars) that was put beside it; `None` if none was to be there, or one was.
    pub sidecar: Option<u64>,
}

/// Where a blob lies in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BlobPlace {
    /// The blob.
    pub cid: Cid,
    /// Where its bytes begin, from the first byte of the pack.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

impl PackWriter {
    /// One that puts packs into this store.
    pub fn new(store: Arc<dyn PackStore>) -> Self {
        Self::with_options(store, PackWriterOptions::default())
    }

    /// The same with other options.
    pub fn with_options(store: Arc<dyn PackStore>, options: PackWriterOptions) -> Self {
        Self { store, options, known: None, layers: None }
    }

    /// What says which blocks packs of the store have already. With [`Dedupe::Store`] they are left out.
    #[must_use]
    pub fn leave_out(mut self, known: Arc<dyn IndexReader>) -> Self {
        self.known = Some(known);
        self
    }

    /// Wraps packs into these layers. Their size is that of the CARs in them, before that.
    #[must_use]
    pub fn layers(mut self, layers: Arc<dyn PackLayers>) -> Self {
        self.layers = Some(layers);
        self
    }

    /// Packs many blobs, some of them at the same time, each into packs of its own. What was written comes in the order of the blobs.
    pub fn write_all<'a>(
        &'a self,
        blobs: impl Stream<Item = Blob> + Send + 'a,
        at_once: usize,
    ) -> impl Stream<Item = Result<Written>> + Send + 'a {
        blobs.map(|blob| self.write(blob)).buffered(at_once.max(1))
    }

    /// Packs a blob as a UnixFS file: children first, the root last.
    ///
    /// # Errors
    /// The blob cannot be read, a block fits into no pack, or a pack cannot be kept. Packs that have been kept stay.
    pub async fn write(&self, blob: Blob) -> Result<Written> {
        self.write_with(blob, |_| Ok(())).await
    }

    /// The same. `kept` hears of each pack when it is in the store.
    ///
    /// # Errors
    /// As [`write`](Self::write), or what `kept` says.
    pub async fn write_with(
        &self,
        blob: Blob,
        kept: impl FnMut(&PackWritten) -> Result<()>,
    ) -> Result<Written> {
        let (source, len) = blob.into_parts();
        let profile = self.options.profile.clone();
        let make = move |put: &mut Put<'_>| {
            let root = write_file(&profile, source, &mut |cid, data| Ok(put(cid, data)?))?;
            Ok(root.cid)
        };
        self.pack(len, make, kept).await
    }

    /// Packs blocks that somebody else makes. `make` is called on a thread that may wait; it puts all blocks, each verified, and gives the root.
    ///
    /// # Errors
    /// What `make` says, and as [`write`](Self::write).
    pub async fn write_blocks(
        &self,
        make: impl FnOnce(&mut Put<'_>) -> Result<Cid> + Send + 'static,
        kept: impl FnMut(&PackWritten) -> Result<()>,
    ) -> Result<Written> {
        self.pack(None, make, kept).await
    }

    /// Keeps a blob as it is, as a pack of itself: it is found by its own hash, and its one blob is all of it.
    ///
    /// # Errors
    /// It cannot be read or kept.
    pub async fn put_blob(&self, blob: Blob) -> Result<PackWritten> {
        let _turn = FILLING.acquire().await;
        let (mut source, _) = blob.into_parts();
        let (store, function) = (Arc::clone(&self.store), self.options.pack_hasher);
        let spool = crate::objects::blocking(move || {
            let mut spool = store.spool()?;
            io::copy(&mut source, &mut spool)?;
            spool.hashed(function)
        });
        let spool = spool.await?;
        let (name, size) = (spool.hash().copied().unwrap_or_default(), spool.len());
        let (spool, sidecar) = self.protected(&name, spool).await?;
        let created = self.store.put(&name, Content::Spool(spool)).await?;
        let sidecar = keep_sidecar(&*self.store, &name, sidecar).await?;
        let blobs = vec![BlobPlace { cid: Cid::new_v1(codec::RAW, name), offset: 0, len: size }];
        Ok(PackWritten { name, size, blobs, roots: Vec::new(), created, sidecar })
    }

    async fn pack(
        &self,
        len: Option<u64>,
        make: impl FnOnce(&mut Put<'_>) -> Result<Cid> + Send + 'static,
        kept: impl FnMut(&PackWritten) -> Result<()>,
    ) -> Result<Written> {
        let _turn = FILLING.acquire().await;
        // While two packs are kept, the next one is hashed, and the one behind it is filled.
        let (send, mut shards) = mpsc::channel::<Shard>(1);
        let (store, options) = (Arc::clone(&self.store), self.options.clone());
        let runtime = Handle::current();
        let known = self.known.clone().filter(|_| options.dedupe == Dedupe::Store);
        let known = known.map(|index| Known::new(index, Arc::clone(&store), runtime));
        let filling =
            tokio::task::spawn_blocking(move || fill(&*store, &options, known, len, make, &send));
        let shards = stream::poll_fn(move |context| shards.poll_recv(context));
        let hashed = shards.map(|shard| self.hash(shard)).buffered(2);
        let packs = keep(&self.store, hashed, kept).await?;
        let filled = filling.await.map_err(|error| Error::from(io::Error::other(error)))?;
        let (root, known) = filled?;
        Ok(Written { root, packs, known })
    }

    async fn hash(&self, shard: Shard) -> Result<ToKeep> {
        let Shard { spool, blocks, roots } = shard;
        let function = self.options.pack_hasher;
        let spool = match &self.layers {
            None => spool,
            Some(layers) => {
                let (layers, sink) = (Arc::clone(layers), self.store.spool()?);
                crate::objects::blocking(move || wrapped(&*layers, &spool, sink)).await?
            }
        };
        // It is on its way to the disk while it is hashed.
        let spool = Arc::new(spool);
        let writing = crate::objects::blocking({
            let spool = Arc::clone(&spool);
            move || spool.sync_ahead()
        });
        let hashing = crate::objects::blocking({
            let spool = Arc::clone(&spool);
            move || spool.hash_of(function)
        });
        let (hash, ()) = futures::try_join!(hashing, writing)?;
        let spool = Arc::into_inner(spool).ok_or_else(|| io::Error::other("still in use"))?;
        let (name, size, spool) = (hash, spool.len(), spool.verified_as(hash));
        let blobs =
            blocks.into_iter().map(|Placed { cid, offset, len }| BlobPlace { cid, offset, len });
        let (blobs, created) = (blobs.collect(), Created::New);
        let (spool, sidecar) = self.protected(&name, spool).await?;
        let pack = PackWritten { name, size, blobs, roots, created, sidecar: None };
        Ok(ToKeep { pack, spool, sidecar })
    }

    /// A pack, and its sidecar, if it is to have one and has none yet.
    #[cfg(feature = "parity")]
    async fn protected(&self, name: &Hash, pack: Spool) -> Result<(Spool, Option<Spool>)> {
        match self.options.parity {
            Some(share) => super::parity::missing(&*self.store, name, share, pack).await,
            None => Ok((pack, None)),
        }
    }

    #[cfg(not(feature = "parity"))]
    async fn protected(&self, _: &Hash, pack: Spool) -> Result<(Spool, Option<Spool>)> {
        Ok((pack, None))
    }
}

/// Takes a block.
pub type Put<'a> = dyn FnMut(&Cid, &[u8]) -> Result<()> + 'a;

/// Fills packs, and sends each that is full. Gives the root, and the packs that have what was left out.
fn fill(
    store: &dyn PackStore,
    options: &PackWriterOptions,
    mut known: Option<Known>,
    len: Option<u64>,
    make: impl FnOnce(&mut Put<'_>) -> Result<Cid>,
    send: &mpsc::Sender<Shard>,
) -> Result<(Cid, Vec<(Hash, u64)>)> {
    let given_up = || Error::new(ErrorKind::Io(io::ErrorKind::BrokenPipe.into()));
    let root_header = options.root.unwrap_or_else(|| likely_root(&options.profile));
    let root_header = header_len(root_header);
    let mut sharder = Sharder::new(options.shard_size, || store.spool());
    if options.manifests {
        sharder = sharder.with_manifests(root_header);
    }
    let (mut seen, mut left) = (HashSet::new(), len);
    let root = make(&mut |cid, data| {
        if options.dedupe != Dedupe::Off && !seen.insert(*cid) {
            return Ok(());
        }
        if let Some(known) = &mut known
            && known.has(cid)?
        {
            left = left.map(|left| left.saturating_sub(data.len() as u64));
            return Ok(());
        }
        // What is left will fit into this pack, so that it is the last, whose header has the root.
        let with_heads = |left: u64| left.saturating_add(left / 1000).saturating_add(1 << 12);
        let last = left.filter(|left| with_heads(*left) < options.shard_size).map(|_| root_header);
        left = left.map(|left| left.saturating_sub(data.len() as u64));
        match sharder.put(cid, data, last)? {
            Some(shard) => send.blocking_send(shard).map_err(|_| given_up()),
            None => Ok(()),
        }
    })?;
    let known = known.map(Known::used).unwrap_or_default();
    // Where all blocks were there, no pack is needed.
    if known.is_empty() || !sharder.is_empty() {
        for shard in sharder.finish(Some(&options.root.unwrap_or(root)))? {
            send.blocking_send(shard).map_err(|_| given_up())?;
        }
    }
    Ok((root, known))
}

impl fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackWriter").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Blobs that are packed at the same time; others wait. Each holds a thread that may wait, of which tokio has 512, and what it does needs more of them; and a
/// file.
static FILLING: Semaphore = Semaphore::const_new(64);
/// Bytes of a header with this root.
fn header_len(root: Cid) -> u64 {
    Header { roots: vec![root] }.encoded_len() as u64
}

/// A CID as long as that of a root is likely to be. One of version 0 is shorter, and so is one that holds its block, unless that has almost 64 bytes.
fn likely_root(profile: &Profile) -> Cid {
    let (zeros, len) = ([0; 64], digest_len(profile.hash()).unwrap_or_default());
    let hash = Hash::wrap(profile.hash(), zeros.get(..len).unwrap_or_default());
    Cid::new_v1(codec::DAG_PB, hash.unwrap_or_default())
}
