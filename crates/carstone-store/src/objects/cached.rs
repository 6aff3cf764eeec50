//! Segments of an index, kept on a local disk.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, TryStreamExt};

use super::disk::DiskFile;
use super::spool::Spool;
use super::{Content, Created, LocalObjects, Object, Objects, Turn};
use crate::error::Result;
use crate::hasher::{HashFunction, Hasher};
use crate::index::SEGMENT_EXTENSION;
use crate::name::{Key, Layout};
use crate::store::INDEX;

/// The objects of a store, of which segments of the index are kept in a directory once they have been read: then a look-up in a service takes no request.
///
/// Segments never change, and their names are hashes, so that what is kept is never out of date; each is verified when it comes and when it is first used.
/// Where the directory cannot be written, or a segment has no room, it is read where it is.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use carstone_store::{Blob, CachedObjects, Layout, PackWriterOptions, RemoteObjects, Store};
/// let (service, cache) = (RemoteObjects::in_memory(), tempfile::tempdir()?);
/// let store = Store::create(Arc::new(service.clone()), Layout::nested("packs/", ".car")?).await?;
/// let root = store.put(Blob::bytes(&b"keystone"[..]), PackWriterOptions::default()).await?.root;
///
/// let objects = CachedObjects::new(Arc::new(service), cache.path(), 1 << 30);
/// let store = Store::open(Arc::new(objects)).await?;
/// assert_eq!(&store.block(&root).await?.expect("it was put")[..], b"keystone");
/// assert_eq!(std::fs::read_dir(cache.path().join("index"))?.count(), 1);
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct CachedObjects {
    objects: Arc<dyn Objects>,
    cache: Arc<LocalObjects>,
    /// Bytes of all segments that are kept.
    limit: u64,
    /// Segments that are there and have been verified.
    verified: Arc<Mutex<HashSet<Key>>>,
    /// Bytes that are there, about, once they have been counted.
    kept: Arc<tokio::sync::Mutex<Option<u64>>>,
}

impl CachedObjects {
    /// Those of a store. In the directory there are segments of at most `limit` bytes together; those that came first go first. Several programs and stores may share
    /// it.
    pub fn new(
        objects: Arc<dyn Objects>,
        directory: impl Into<std::path::PathBuf>,
        limit: u64,
    ) -> Self {
        let cache = Arc::new(LocalObjects::new(directory));
        Self { objects, cache, limit, verified: Arc::default(), kept: Arc::default() }
    }

    /// Whether an object is in the directory now, whole.
    async fn has(&self, key: &Key) -> Result<bool> {
        let layout = Layout::flat(INDEX, SEGMENT_EXTENSION)?;
        let Some(name) = layout.name(key.as_str()) else { return Ok(false) };
        if self.verified().contains(key) {
            return Ok(true);
        }
        let function = HashFunction::of(&name).map_err(|error| error.of(key))?;
        let is_it = |hasher: Hasher| hasher.finish() == name;
        if let Ok(pieces) = self.cache.stream(key, None).await
            && let Ok(hasher) = hashed(pieces, function).await
        {
            if is_it(hasher) {
                self.verified().insert(key.clone());
                return Ok(true);
            }
            // It is damaged here, and not where it comes from.
            let _ = self.cache.delete(key).await;
        }
        let size = self.objects.size(key).await?;
        let Some(size) = size.filter(|size| *size <= self.limit) else { return Ok(false) };
        let Ok(spool) = self.cache.spool() else { return Ok(false) };
        let spool = spool.filled(self.objects.stream(key, None).await?).await?;
        let hashing = super::blocking(move || spool.hashed(function));
        let spool = hashing.await?;
        if spool.hash() != Some(&name) {
            // Whoever reads it is to be told by what is wrong with it.
            return Ok(false);
        }
        let mut kept = self.kept.lock().await;
        let there = match *kept {
            Some(there) if there.saturating_add(size) <= self.limit => there,
            _ => self.make_room(size).await,
        };
        let is_kept = self.cache.create(key, Content::Spool(spool)).await.is_ok();
        *kept = Some(there.saturating_add(size));
        if is_kept {
            self.verified().insert(key.clone());
        }
        Ok(is_kept)
    }

    /// Removes the oldest segments, until as many bytes fit in, and says how many there are then.
    async fn make_room(&self, size: u64) -> u64 {
        let listed = self.cache.list(INDEX).try_collect::<Vec<_>>().await;
        let mut kept = listed.unwrap_or_default();
        kept.sort_by_key(|object| object.modified);
        let sizes = kept.iter().map(|object| object.size);
        let mut all = sizes.fold(0, u64::saturating_add);
        for object in kept {
            if all.saturating_add(size) <= self.limit {
                break;
            }
            let Ok(key) = Key::new(&object.key) else { continue };
            if self.cache.delete(&key).await.is_ok() {
                all = all.saturating_sub(object.size);
                self.verified().remove(&key);
            }
        }
        all
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashSet<Key>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the directory says, unless that is nothing: another program may have made room there.
    async fn from<T>(&self, key: &Key, cached: impl Future<Output = Result<T>>) -> Option<T> {
        match self.has(key).await {
            Ok(true) => {}
            _ => return None,
        }
        match cached.await {
            Ok(read) => Some(read),
            Err(_) => {
                self.verified().remove(key);
                None
            }
        }
    }
}

async fn hashed(
    mut pieces: BoxStream<'static, Result<Bytes>>,
    function: HashFunction,
) -> Result<Hasher> {
    let mut hasher = Hasher::new(function);
    while let Some(piece) = pieces.try_next().await? {
        hasher.update(&piece);
    }
    Ok(hasher)
}

#[async_trait]
impl Objects for CachedObjects {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        self.objects.create(key, content).await
    }

    async fn create_in_turn(&self, key: &Key, content: Content, turn: Turn) -> Result<Created> {
        self.objects.create_in_turn(key, content, turn).await
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.objects.replace(key, content).await
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        match self.from(key, self.cache.read(key, range.clone())).await {
            Some(bytes) => Ok(bytes),
            None => self.objects.read(key, range).await,
        }
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self.from(key, self.cache.stream(key, range.clone())).await {
            Some(pieces) => Ok(pieces),
            None => self.objects.stream(key, range).await,
        }
    }

    async fn open_file(&self, key: &Key) -> Result<Option<Arc<dyn DiskFile>>> {
        match self.from(key, self.cache.open_file(key)).await {
            Some(file) => Ok(file),
            None => self.objects.open_file(key).await,
        }
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.objects.size(key).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        self.objects.list(prefix)
    }

    async fn odd(&self, prefix: &str) -> Result<Vec<String>> {
        self.objects.odd(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.verified().remove(key);
        let _ = self.cache.delete(key).await;
        self.objects.delete(key).await
    }

    fn spool(&self) -> Result<Spool> {
        self.objects.spool()
    }

    async fn clean(&self, age: Duration) -> Result<u64> {
        let _ = self.cache.clean(age).await;
        self.objects.clean(age).await
    }

    fn is_read_only(&self) -> bool {
        self.objects.is_read_only()
    }
}

impl fmt::Debug for CachedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedObjects").field("objects", &self.objects).finish_non_exhaustive()
    }
}

impl fmt::Display for CachedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}
