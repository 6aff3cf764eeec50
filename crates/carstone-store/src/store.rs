//! A store: packs, the index of what is in them, and the roots that were put.

mod format;
mod marks;
mod parts;
mod publish;
mod roots;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

use bytes::Bytes;
use carstone_car::{Cid, codec, hash_code};
use futures::stream::{BoxStream, StreamExt};

pub(crate) use self::format::MARK;
use self::format::{Format, PACK_EXTENSION, PACKS};
pub(crate) use self::parts::IndexPart;
pub use self::publish::Published;
pub use self::roots::RootRecord;
pub(crate) use self::roots::{RootRecords, is_record_of, root_of};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{
    EntryKind, Found, Index, IndexReader, IndexWriter, Location, SegmentBuilder, Source,
    SourceReader,
};
use crate::name::{Hash, Key, Layout};
use crate::objects::{
    Content, Created, Disk, LocalObjects, Objects, RealDisk, RemoteObjects, StoreUrl,
};
use crate::pack::{
    Blob, LayeredPacks, ObjectPackStore, PackLayers, PackStore, PackWriter, PackWriterOptions,
    PackWritten, Put, Written,
};

/// Packs, their index, and the roots that were put into it.
///
/// What is put is there in this order: packs, index, root. So whatever a root leads to can be found, and an index can always be made again.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{Blob, PackWriterOptions, Store};
/// let store = Store::in_memory().await?;
/// let written = store.put(Blob::bytes(&b"keystone"[..]), PackWriterOptions::default()).await?;
/// let block = store.block(&written.root).await?.expect("it was put");
/// assert_eq!(&block[..], b"keystone");
/// assert_eq!(store.roots().await?[0].root, written.root);
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn Objects>,
    packs: Arc<dyn PackStore>,
    /// The keys of packs.
    layout: Layout,
    index: Index,
    sources: SourceReader,
    layers: Option<Arc<dyn PackLayers>>,
}

impl Store {
    /// Makes a store in a directory, which is made if there is none. One that is there is opened.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub async fn create_local(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref().to_owned();
        let told = directory.display().to_string();
        let made = directory.clone();
        crate::objects::blocking(move || Ok(make_directory(&made)?))
            .await
            .map_err(|error| error.of(told))?;
        let objects = Arc::new(LocalObjects::new(directory));
        Self::create(objects, Layout::flat(PACKS, PACK_EXTENSION)?).await
    }

    /// Opens a store in a directory.
    ///
    /// # Errors
    /// There is none.
    pub async fn open_local(directory: impl AsRef<Path>) -> Result<Self> {
        Self::open(Arc::new(LocalObjects::new(directory.as_ref()))).await
    }

    /// Makes a store at a URL, where there is none, and opens it.
    ///
    /// # Errors
    /// It cannot be reached or written.
    pub async fn create_at(url: &StoreUrl) -> Result<Self> {
        match url.directory() {
            Some(directory) => Self::create_local(directory).await,
            None => Self::create(url.objects()?, Layout::nested(PACKS, PACK_EXTENSION)?).await,
        }
    }

    /// Opens the store at a URL. One in memory is empty.
    ///
    /// # Errors
    /// There is none, or it cannot be reached.
    pub async fn open_at(url: &StoreUrl) -> Result<Self> {
        match &url.url[..] {
            "memory:" => Self::in_memory().await,
            _ => Self::open(url.objects()?).await,
        }
    }

    /// A store in memory, which is gone with the last value of it.
    ///
    /// # Errors
    /// None that is known.
    pub async fn in_memory() -> Result<Self> {
        let objects = Arc::new(RemoteObjects::in_memory());
        Self::create(objects, Layout::nested(PACKS, PACK_EXTENSION)?).await
    }

    /// Makes a store of these objects, whose packs have keys of this layout. One that is there is opened, whatever its layout.
    ///
    /// # Errors
    /// The objects cannot be read or written.
    pub async fn create(objects: Arc<dyn Objects>, layout: Layout) -> Result<Self> {
        let key = Key::new(MARK)?;
        if objects.size(&key).await?.is_none() {
            let mark = Format::of(&layout).encode();
            objects.create(&key, Content::Bytes(mark.into())).await?;
        }
        Self::open(objects).await
    }

    /// Opens the store that these objects are.
    ///
    /// # Errors
    /// They are no store, or one of a later version, or cannot be read; what says that they are one is damaged.
    pub async fn open(objects: Arc<dyn Objects>) -> Result<Self> {
        let key = Key::new(MARK)?;
        let no_store = || Error::new(ErrorKind::NoStore).of(&objects);
        let size = objects.size(&key).await?.ok_or_else(no_store)?;
        let mark = objects.read(&key, 0..size.min(MOST_MARK)).await?;
        let layout = Format::decode(&key, &mark)?.layout()?;
        let index = Index::open(Arc::clone(&objects), INDEX).await?;
        let packs = Arc::new(ObjectPackStore::new(Arc::clone(&objects), layout.clone()));
        let sources = SourceReader::new().packs(packs.clone());
        Ok(Self { objects, packs, layout, index, sources, layers: None })
    }

    /// Sets how blobs are read that lie outside of the store, of which the index may know: `sources`, to which the packs of the store are added.
    #[must_use]
    pub fn with_sources(mut self, sources: SourceReader) -> Self {
        self.sources = sources.packs(Arc::clone(&self.packs));
        self
    }

    /// Looks whether it is still there.
    ///
    /// # Errors
    /// It is not, or it cannot be reached.
    pub(crate) async fn answers(&self) -> Result<()> {
        let no_store = || Error::new(ErrorKind::NoStore).of(&self.objects);
        self.objects.size(&Key::new(MARK)?).await?.map(drop).ok_or_else(no_store)
    }

    /// The packs.
    pub fn packs(&self) -> &Arc<dyn PackStore> {
        &self.packs
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Puts a blob as a UnixFS file.
    ///
    /// # Errors
    /// As [`PackWriter::write`]; the index or the root cannot be kept.
    pub async fn put(&self, blob: Blob, options: PackWriterOptions) -> Result<Written> {
        let index = options.index_containing;
        let written = self.writer(options)?.write(blob).await?;
        self.announce(&written, index).await?;
        Ok(written)
    }

    /// One that puts packs here, and asks the index which blocks are there already. What it puts is in no index, and has no root yet.
    ///
    /// # Errors
    /// The store may only be read; packs are to be wrapped, and there are no layers for that.
    pub fn writer(&self, options: PackWriterOptions) -> Result<PackWriter> {
        if self.is_read_only() {
            return Err(Error::new(ErrorKind::ReadOnly).of(&self.objects));
        }
        let (index, layered) = (Arc::new(self.index.clone()), options.layered);
        let writer = PackWriter::with_options(Arc::clone(&self.packs), options).leave_out(index);
        match (&self.layers, layered) {
            (Some(layers), true) => Ok(writer.layers(Arc::clone(layers))),
            (None, true) => Err(Error::new(ErrorKind::Unsupported("wrapped packs without layers"))),
            (_, false) => Ok(writer),
        }
    }

    /// The same store, which takes packs out of these layers, and wraps those into them that [are to be](PackWriterOptions::layered).
    #[must_use]
    pub fn with_layers(mut self, layers: Arc<dyn PackLayers>) -> Self {
        let packs = LayeredPacks::new(Arc::clone(&self.packs), Arc::clone(&layers));
        self.packs = Arc::new(packs);
        self.sources = self.sources.packs(Arc::clone(&self.packs));
        self.layers = Some(layers);
        self
    }

    /// Puts blocks that somebody else makes, as [`PackWriter::write_blocks`].
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_blocks(
        &self,
        make: impl FnOnce(&mut Put<'_>) -> Result<Cid> + Send + 'static,
        options: PackWriterOptions,
        kept: impl FnMut(&PackWritten) -> Result<()>,
    ) -> Result<Written> {
        let index = options.index_containing;
        let written = self.writer(options)?.write_blocks(make, kept).await?;
        self.announce(&written, index).await?;
        Ok(written)
    }

    /// Keeps a blob as it is, under its own hash, whatever it is: a pack that somebody else has made, or a file that is to stay in one piece.
    ///
    /// # Errors
    /// It cannot be read or kept.
    pub async fn put_blob(&self, blob: Blob, options: PackWriterOptions) -> Result<Cid> {
        let pack = self.writer(options)?.put_blob(blob).await?;
        let (name, size) = (pack.name, pack.size);
        let (root, location) = (Cid::new_v1(codec::RAW, name), Location::Pack { name, size });
        let mut builder = SegmentBuilder::new();
        builder.add_blob(&root, &location, 0, size)?;
        builder.add_containing(&root, &location)?;
        let record = RootRecord { root, packs: vec![name] };
        let index = async { self.index.add(builder).await.map(drop) };
        self.note_roots(&[record], &old(&[pack]), index).await?;
        Ok(root)
    }

    /// Indexes packs that are durable, and then notes their root.
    async fn announce(&self, written: &Written, index_containing: bool) -> Result<()> {
        let index = async {
            let mut writer = self.index.writer();
            for pack in &written.packs {
                writer.pack(pack).await?;
            }
            for &(name, size) in written.known.iter().filter(|_| index_containing) {
                writer.containing(&written.root, &Location::Pack { name, size })?;
            }
            writer.finish(Some(&written.root).filter(|_| index_containing)).await
        };
        let known = written.known.iter().map(|(name, _)| *name);
        let packs = written.packs.iter().map(|pack| pack.name).chain(known.clone()).collect();
        let record = RootRecord { root: written.root, packs };
        let old = old(&written.packs).into_iter().chain(known).collect();
        self.note_roots(&[record], &old, index).await
    }

    /// A block, verified; `None` if the index does not have it. One that is damaged in one place is taken from another.
    ///
    /// # Errors
    /// The index has it, and no place that it names has it whole; or part of the index is damaged, and nothing else knows it.
    pub async fn block(&self, cid: &Cid) -> Result<Option<Bytes>> {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(Some(Bytes::copy_from_slice(cid.hash().digest())));
        }
        for _ in 0..MOST_LOOKS {
            match self.block_from_any(cid).await {
                // What others have put, put together or collected meanwhile is elsewhere; and a listing beside that may have left it out.
                Err(error) if error.is_not_found() => {}
                Ok(None) => {}
                found => return found,
            }
            self.index.refresh().await?;
        }
        self.block_from_any(cid).await
    }

    async fn block_from_any(&self, cid: &Cid) -> Result<Option<Bytes>> {
        let found = self.blob_from_any(cid.hash()).await?;
        if found.is_none()
            && let Some(fault) = self.index.damaged().first()
        {
            let what = "it is damaged, and no other part of the index knows the block";
            let error = Error::new(ErrorKind::Malformed(what));
            return Err(error.of(fault.object().unwrap_or_default()));
        }
        Ok(found)
    }

    /// A blob from any of its places, verified; `None` if the index knows none.
    pub(crate) async fn blob_from_any(&self, hash: &Hash) -> Result<Option<Bytes>> {
        let places = self.places(hash).await?;
        let sources: Vec<Source> = places.into_iter().map(Source::Place).collect();
        self.sources.read_any(hash, &sources).await
    }

    /// Every place of a blob that the index knows. A pack that is no blob of another one lies in itself.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub async fn places(&self, hash: &Hash) -> Result<Vec<Found>> {
        let mut found = self.index.find(EntryKind::Blob, hash).await?;
        if found.is_empty()
            && let Some(size) = self.packs.size(hash).await?
        {
            let location = Location::Pack { name: *hash, size };
            found.push(Found { location, codec: codec::RAW, offset: 0, len: size });
        }
        Ok(found)
    }

    /// The packs that have blobs of the DAG under a root.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub async fn containing(&self, root: &Hash) -> Result<Vec<Location>> {
        IndexReader::containing(&self.index, root).await
    }

    /// Removes what was left behind by writers that ended `age` ago or earlier before they could finish, and says how much that was.
    ///
    /// # Errors
    /// It cannot be listed or removed.
    pub async fn clean(&self, age: Duration) -> Result<u64> {
        let marks = self.lift_old(SystemTime::now().checked_sub(age)).await?;
        Ok(marks + self.objects.clean(age).await?)
    }

    /// All objects of the store, whatever they are.
    pub fn objects(&self) -> BoxStream<'static, Result<crate::Object>> {
        self.objects.list("").boxed()
    }
}

/// Those of packs that were there before.
pub(crate) fn old(packs: &[PackWritten]) -> HashSet<Hash> {
    let old = packs.iter().filter(|pack| pack.created == Created::Existed);
    old.map(|pack| pack.name).collect()
}

/// Makes a directory and those above it, and their names durable.
fn make_directory(directory: &Path) -> io::Result<()> {
    let above = |path: &Path| match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut missing = Vec::new();
    let mut path = directory.to_owned();
    while !path.exists() {
        missing.push(above(&path));
        path = above(&path);
    }
    fs::create_dir_all(directory)?;
    missing.iter().try_for_each(|above| RealDisk.sync_directory(above))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("objects", &self.objects).finish_non_exhaustive()
    }
}

/// How often the index is looked for again.
const MOST_LOOKS: usize = 2;
pub(crate) const INDEX: &str = "index/";
const MOST_MARK: u64 = 4 << 10;
