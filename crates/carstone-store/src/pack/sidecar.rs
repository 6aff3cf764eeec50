//! What lies beside packs to restore them.

use std::sync::Arc;

use futures::stream::BoxStream;

use super::store::{StoredPack, list};
use crate::error::Result;
use crate::name::{Hash, Key, Layout};
use crate::objects::{Content, Created, Objects, Spool};

/// The sidecars of packs: beside the pack with the key K, an object with the key `K.par` that restores it when it is damaged (`docs/format.md`, section 14).
///
/// What a sidecar is good for, only its own frames and the name of its pack can tell: it is kept and given back as it is.
#[derive(Clone, Debug)]
pub struct Sidecars {
    objects: Arc<dyn Objects>,
    /// The keys of the packs.
    #[cfg(feature = "parity")]
    packs: Layout,
    /// Those of the sidecars.
    layout: Layout,
}

impl Sidecars {
    /// Those of the packs that have keys of this layout.
    ///
    /// # Errors
    /// No key can be so long.
    pub fn beside(objects: Arc<dyn Objects>, packs: &Layout) -> Result<Self> {
        Ok(Self {
            objects,
            #[cfg(feature = "parity")]
            packs: packs.clone(),
            layout: layout_of(packs)?,
        })
    }

    /// The key of the sidecar of a pack.
    ///
    /// # Errors
    /// No key can be so long.
    pub fn key(&self, pack: &Hash) -> Result<Key> {
        self.layout.key(pack)
    }

    /// Keeps the sidecar of a pack. It is there after a crash when this returns.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn put(&self, pack: &Hash, content: Content) -> Result<Created> {
        self.objects.create(&self.key(pack)?, content).await
    }

    /// Keeps the sidecar of a pack in place of one that may be there and is damaged.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn replace(&self, pack: &Hash, content: Content) -> Result<()> {
        self.objects.replace(&self.key(pack)?, content).await
    }

    /// Bytes of the sidecar of a pack; `None` if it has none.
    ///
    /// # Errors
    /// That cannot be found out.
    pub async fn size(&self, pack: &Hash) -> Result<Option<u64>> {
        self.objects.size(&self.key(pack)?).await
    }

    /// The sidecar of a pack, in the file that is given.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn fetch(&self, pack: &Hash, spool: Spool) -> Result<Spool> {
        spool.filled(self.objects.stream(&self.key(pack)?, None).await?).await
    }

    /// All sidecars, each with the name of its pack and its own bytes, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<StoredPack>> {
        list(&*self.objects, self.layout.clone())
    }

    /// Removes the sidecar of a pack, and says whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn delete(&self, pack: &Hash) -> Result<bool> {
        self.objects.delete(&self.key(pack)?).await
    }

    /// What is left of a pack, as it is stored, in the file that is given; nothing where there is none. What the disk cannot read becomes zeros.
    ///
    /// # Errors
    /// It cannot be read for another reason.
    #[cfg(feature = "parity")]
    pub(crate) async fn remains(&self, pack: &Hash, mut spool: Spool) -> Result<Spool> {
        let key = self.packs.key(pack)?;
        let len = self.objects.size(&key).await?.unwrap_or_default();
        let mut at = 0;
        while at < len {
            let end = len.min(at.saturating_add(PIECE));
            let bytes = match self.objects.read(&key, at..end).await {
                Err(error) if error.is_of_disk() => self.legible(&key, at..end).await?,
                bytes => bytes?,
            };
            spool = crate::objects::blocking(move || {
                std::io::Write::write_all(&mut spool, &bytes)?;
                Ok(spool)
            })
            .await?;
            at = end;
        }
        Ok(spool)
    }

    /// What the disk reads of a range, with zeros for the rest.
    #[cfg(feature = "parity")]
    async fn legible(&self, key: &Key, range: std::ops::Range<u64>) -> Result<bytes::Bytes> {
        let (mut legible, mut at) = (Vec::new(), range.start);
        while at < range.end {
            let end = range.end.min(at.saturating_add(SECTOR));
            match self.objects.read(key, at..end).await {
                Err(error) if error.is_of_disk() => {
                    let zeros = usize::try_from(end - at).map_err(std::io::Error::other)?;
                    legible.resize(legible.len().saturating_add(zeros), 0);
                }
                bytes => legible.extend_from_slice(&bytes?),
            }
            at = end;
        }
        Ok(legible.into())
    }
}

/// The keys of the sidecars of packs that have keys of this layout.
///
/// # Errors
/// No key can be so long.
pub(crate) fn layout_of(packs: &Layout) -> Result<Layout> {
    packs.beside(ENDING)
}

const ENDING: &str = ".par";
/// Bytes that are read at a time.
#[cfg(feature = "parity")]
const PIECE: u64 = 8 << 20;
/// Bytes that a disk fails to read together.
#[cfg(feature = "parity")]
const SECTOR: u64 = 4 << 10;
