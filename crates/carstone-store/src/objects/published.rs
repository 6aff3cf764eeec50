//! Stores that others publish: read where nothing can be listed.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::catalog::Catalog;
use super::disk::DiskFile;
use super::spool::Spool;
use super::{Content, Created, Object, Objects};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Key;
use crate::store::INDEX;

/// Objects of a store that has been [published](crate::Store::publish), to be read and not to be written. What there is, its catalogue tells;
/// where it has none, they are listed, if they can be.
///
/// Stores at `http://` and `https://` URLs are read through this. It takes any other objects too: those of a bucket that gives out what it has,
/// and does not list it, or what a program fetches by itself.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use carstone_store::{Blob, LocalObjects, PackWriterOptions, PublishedObjects, Store};
/// let directory = tempfile::tempdir()?;
/// let store = Store::create_local(directory.path()).await?;
/// let root = store.put(Blob::bytes(&b"keystone"[..]), PackWriterOptions::default()).await?.root;
/// store.publish().await?;
///
/// let objects = PublishedObjects::new(Arc::new(LocalObjects::new(directory.path())));
/// let published = Store::open(Arc::new(objects)).await?;
/// assert_eq!(&published.block(&root).await?.expect("it was put")[..], b"keystone");
/// assert!(published.is_read_only());
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct PublishedObjects {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    objects: Arc<dyn Objects>,
    /// The catalogue that the last listing was taken from.
    seen: Mutex<Option<Bytes>>,
}

impl PublishedObjects {
    /// Those of a store that these objects are.
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self { inner: Arc::new(Inner { objects, seen: Mutex::default() }) }
    }

    fn refused<T>(&self, object: impl fmt::Display) -> Result<T> {
        Err(Error::new(ErrorKind::ReadOnly).of(object))
    }
}

impl Inner {
    async fn list(&self, prefix: String) -> Result<BoxStream<'static, Result<Object>>> {
        let found = Catalog::read(&*self.objects).await?;
        let seen = found.as_ref().map(|(bytes, _)| bytes.clone());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(match found {
            Some((_, catalog)) => catalog.list(Arc::clone(&self.objects), prefix),
            None => {
                let name = self.objects.to_string();
                let listed = self.objects.list(&prefix);
                let told = move |error| Error::new(ErrorKind::NoCatalog(Box::new(error))).of(&name);
                listed.map_err(told).boxed()
            }
        })
    }

    /// What it means that an object is not there. A segment that is gone has been put together with others, and so readers look again; that is of
    /// no use where the catalogue is still the same.
    async fn told(&self, key: &Key, error: Error) -> Error {
        if !error.is_not_found() || !key.as_str().starts_with(INDEX) {
            return error;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(seen) = seen else { return error };
        match Catalog::read(&*self.objects).await {
            Ok(Some((now, _))) if now == seen => Error::new(ErrorKind::StaleCatalog).of(key),
            _ => error,
        }
    }
}

#[async_trait]
impl Objects for PublishedObjects {
    async fn create(&self, key: &Key, _: Content) -> Result<Created> {
        self.refused(key)
    }

    async fn replace(&self, key: &Key, _: Content) -> Result<()> {
        self.refused(key)
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        match self.inner.objects.read(key, range).await {
            Err(error) => Err(self.inner.told(key, error).await),
            read => read,
        }
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self.inner.objects.stream(key, range).await {
            Err(error) => Err(self.inner.told(key, error).await),
            pieces => pieces,
        }
    }

    async fn open_file(&self, key: &Key) -> Result<Option<Arc<dyn DiskFile>>> {
        match self.inner.objects.open_file(key).await {
            Err(error) => Err(self.inner.told(key, error).await),
            file => file,
        }
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.inner.objects.size(key).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.to_owned());
        stream::once(async move { inner.list(prefix).await }).try_flatten().boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.refused(key)
    }

    fn spool(&self) -> Result<Spool> {
        self.refused(self)
    }

    fn is_read_only(&self) -> bool {
        true
    }
}

impl fmt::Display for PublishedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.objects.fmt(f)
    }
}
