//! Where packs are kept.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use super::sidecar::Sidecars;
use crate::error::{Error, Result};
use crate::hasher::{HashFunction, Hasher};
use crate::name::{Hash, Layout};
use crate::objects::{Content, Created, Objects, Spool, Turn};

/// Packs, each under the hash of its bytes.
#[async_trait]
pub trait PackStore: fmt::Debug + Send + Sync {
    /// Keeps a pack. It is there after a crash when this returns. One that is there is left, unless it is [seen](Objects::create) to be damaged.
    ///
    /// # Errors
    /// The bytes do not hash to the name; they cannot be kept.
    async fn put(&self, name: &Hash, content: Content) -> Result<Created>;

    /// The same, but not before its turn has come. What takes long may be done before that.
    ///
    /// # Errors
    /// As [`put`](Self::put); its turn does not come.
    async fn put_in_turn(&self, name: &Hash, content: Content, turn: Turn) -> Result<Created> {
        turn.come().await?;
        self.put(name, content).await
    }

    /// Keeps a pack in place of one that may be there and is damaged.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn replace(&self, name: &Hash, content: Content) -> Result<()>;

    /// All bytes of a pack, verified; `None` if there is none.
    ///
    /// # Errors
    /// They cannot be read, or do not hash to the name.
    async fn get(&self, name: &Hash) -> Result<Option<Bytes>>;

    /// A range of a pack, all of it. Whoever knows what it should hash to has to check that.
    ///
    /// # Errors
    /// There is no such pack, it is shorter, or it cannot be read.
    async fn read(&self, name: &Hash, range: Range<u64>) -> Result<Bytes>;

    /// The CAR in a pack that is [wrapped](crate::PackLayers); `None` if it is not, or if nothing here opens it.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    async fn content(&self, _name: &Hash) -> Result<Option<crate::PackCar>> {
        Ok(None)
    }

    /// The bytes of a pack as they come. Behind the last of them stands an error, if they do not hash to the name.
    ///
    /// # Errors
    /// There is no such pack, or it cannot be read.
    async fn stream(&self, name: &Hash) -> Result<BoxStream<'static, Result<Bytes>>>;

    /// Bytes of a pack; `None` if there is none.
    ///
    /// # Errors
    /// That cannot be found out.
    async fn size(&self, name: &Hash) -> Result<Option<u64>>;

    /// All packs, in no order.
    fn list(&self) -> BoxStream<'static, Result<StoredPack>>;

    /// Removes a pack, and says whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    async fn delete(&self, name: &Hash) -> Result<bool>;

    /// A place for a pack that is yet to get its name.
    ///
    /// # Errors
    /// There is none.
    fn spool(&self) -> Result<Spool>;

    /// What lies beside these packs, to restore them when they are damaged; `None` where nothing can. Default: `None`.
    fn sidecars(&self) -> Option<Sidecars> {
        None
    }
}

/// A pack in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredPack {
    /// Its name.
    pub name: Hash,
    /// Its bytes.
    pub size: u64,
    /// When it was kept.
    pub modified: Option<std::time::SystemTime>,
}

impl StoredPack {
    /// One with this name, so many bytes, and the time when it was kept, if that is known.
    pub fn new(name: Hash, size: u64, modified: Option<std::time::SystemTime>) -> Self {
        Self { name, size, modified }
    }
}

/// Packs among objects.
#[derive(Clone, Debug)]
pub struct ObjectPackStore {
    objects: Arc<dyn Objects>,
    layout: Layout,
}

impl ObjectPackStore {
    /// Those that have keys of this layout.
    pub fn new(objects: Arc<dyn Objects>, layout: Layout) -> Self {
        Self { objects, layout }
    }
}

#[async_trait]
impl PackStore for ObjectPackStore {
    async fn put(&self, name: &Hash, content: Content) -> Result<Created> {
        self.put_in_turn(name, content, Turn::now()).await
    }

    async fn put_in_turn(&self, name: &Hash, content: Content, turn: Turn) -> Result<Created> {
        let key = self.layout.key(name)?;
        let content = check(name, content).await.map_err(|error| error.of(&key))?;
        self.objects.create_in_turn(&key, content, turn).await
    }

    async fn replace(&self, name: &Hash, content: Content) -> Result<()> {
        let key = self.layout.key(name)?;
        let content = check(name, content).await.map_err(|error| error.of(&key))?;
        self.objects.replace(&key, content).await
    }

    async fn get(&self, name: &Hash) -> Result<Option<Bytes>> {
        let key = self.layout.key(name)?;
        let Some(size) = self.objects.size(&key).await? else { return Ok(None) };
        let bytes = self.objects.read(&key, 0..size).await?;
        let mut hasher = Hasher::new(HashFunction::of(name).map_err(|error| error.of(&key))?);
        hasher.update(&bytes);
        match hasher.finish() == *name {
            true => Ok(Some(bytes)),
            false => Err(Error::mismatch(name).of(&key)),
        }
    }

    async fn read(&self, name: &Hash, range: Range<u64>) -> Result<Bytes> {
        self.objects.read(&self.layout.key(name)?, range).await
    }

    async fn stream(&self, name: &Hash) -> Result<BoxStream<'static, Result<Bytes>>> {
        let key = self.layout.key(name)?;
        let hasher = Hasher::new(HashFunction::of(name).map_err(|error| error.of(&key))?);
        let pieces = self.objects.stream(&key, None).await?;
        let name = *name;
        let verified =
            futures::stream::try_unfold((pieces, Some(hasher)), move |(mut pieces, mut hasher)| {
                let key = key.clone();
                async move {
                    match (pieces.try_next().await?, hasher.take()) {
                        (Some(piece), Some(mut hasher)) => {
                            hasher.update(&piece);
                            Ok(Some((piece, (pieces, Some(hasher)))))
                        }
                        (None, Some(hasher)) => match hasher.finish() == name {
                            true => Ok(None),
                            false => Err(Error::mismatch(&name).of(&key)),
                        },
                        _ => Ok(None),
                    }
                }
            });
        Ok(verified.boxed())
    }

    async fn size(&self, name: &Hash) -> Result<Option<u64>> {
        self.objects.size(&self.layout.key(name)?).await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredPack>> {
        list(&*self.objects, self.layout.clone())
    }

    async fn delete(&self, name: &Hash) -> Result<bool> {
        self.objects.delete(&self.layout.key(name)?).await
    }

    fn spool(&self) -> Result<Spool> {
        self.objects.spool()
    }

    fn sidecars(&self) -> Option<Sidecars> {
        Sidecars::beside(Arc::clone(&self.objects), &self.layout).ok()
    }
}

/// All objects that have keys of a layout.
pub(super) fn list(
    objects: &dyn Objects,
    layout: Layout,
) -> BoxStream<'static, Result<StoredPack>> {
    let listed = objects.list(layout.prefix());
    let named = listed.try_filter_map(move |object| {
        let (size, modified) = (object.size, object.modified);
        let name = layout.name(&object.key);
        async move { Ok(name.map(|name| StoredPack { name, size, modified })) }
    });
    named.boxed()
}

/// The same content, if it hashes to the name.
async fn check(name: &Hash, content: Content) -> Result<Content> {
    let (name, function) = (*name, HashFunction::of(name)?);
    crate::objects::blocking(move || {
        let mut hasher = Hasher::new(function);
        match &content {
            // Whoever filled it has hashed it, which needs not be done again.
            Content::Spool(spool) if spool.hash() == Some(&name) => return Ok(content),
            content => content.for_each(&mut |piece| hasher.update(piece))?,
        }
        match hasher.finish() == name {
            true => Ok(content),
            false => Err(Error::mismatch(&name)),
        }
    })
    .await
}
