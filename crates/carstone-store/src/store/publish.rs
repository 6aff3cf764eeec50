//! The catalogue of a store, which lets others read it where they cannot list it.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use super::roots::{ROOTS, is_key_of_record};
use super::{INDEX, PACKS, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::index::SEGMENT_EXTENSION;
use crate::name::{Key, Layout};
use crate::objects::{CATALOG, Catalog, Content, PARTS, Part, blocking, catalog_layout};
use crate::pack::sidecar_layout;

/// What a catalogue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Packs.
    pub packs: u64,
    /// Segments of the index.
    pub segments: u64,
    /// Records of roots.
    pub roots: u64,
}

impl Store {
    /// Writes the catalogue of the store: which objects there are, for [those who read it](crate::PublishedObjects) and cannot list it, as over
    /// HTTP. It takes the place of an older one at once, whatever happens. What is put later is not in it until this is called again; where
    /// segments or packs go, as by [`Index::compact`](crate::Index::compact), it has to be called again.
    ///
    /// What others have put beside the objects of the store is not in it. The keys of one listing are in memory, about 150 bytes for each pack.
    ///
    /// # Errors
    /// The store may only be read; something cannot be listed, or the catalogue cannot be kept. Then the older one stays.
    pub async fn publish(&self) -> Result<Published> {
        if self.is_read_only() {
            return Err(Error::new(ErrorKind::ReadOnly).of(&self.objects));
        }
        let old = match Catalog::read(&*self.objects).await {
            // One that is damaged is put right.
            Err(error) if error.is_malformed() => None,
            old => old?.map(|(_, old)| old),
        };
        let (mut catalog, mut done) = (Catalog::default(), Published::default());
        let segments = Layout::flat(INDEX, SEGMENT_EXTENSION)?;
        let sidecars = sidecar_layout(&self.layout)?;
        let layouts = [&segments, &self.layout, &sidecars];
        let is_own = |key: &str| {
            is_key_of_record(key) || layouts.iter().any(|layout| layout.name(key).is_some())
        };
        // Whatever a root leads to was there before it, and so is listed after it.
        let parts =
            [(ROOTS, &mut done.roots), (INDEX, &mut done.segments), (PACKS, &mut done.packs)];
        for (prefix, count) in parts {
            let listed = self.objects.list(prefix).try_filter_map(|object| async move {
                let key = Some(&object.key).filter(|key| is_own(key.as_str()));
                Ok(key.map(|key| Key::new(key)).transpose()?.map(|key| (key, object.size)))
            });
            let objects: Vec<(Key, u64)> = listed.try_collect().await?;
            let is_counted = |(key, _): &&(Key, u64)| sidecars.name(key.as_str()).is_none();
            *count = objects.iter().filter(is_counted).count() as u64;
            let spool = self.objects.spool()?;
            if let Some((part, spool)) = blocking(move || Part::write(objects, spool)).await? {
                self.objects.create(part.key(), Content::Spool(spool)).await?;
                catalog.add(prefix, part);
            }
        }
        let text = Content::Bytes(catalog.encode().into());
        self.objects.replace(&Key::new(CATALOG)?, text).await?;
        self.forget_catalogs(&[Some(catalog), old]).await?;
        Ok(done)
    }

    /// Writes the catalogue again, if there is one.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_again(&self) -> Result<Option<Published>> {
        match self.objects.size(&Key::new(CATALOG)?).await? {
            Some(_) => self.publish().await.map(Some),
            None => Ok(None),
        }
    }

    /// Removes parts that none of these catalogues names, but those that somebody may be about to name, or may still read.
    async fn forget_catalogs(&self, catalogs: &[Option<Catalog>]) -> Result<()> {
        let (layout, before) = (catalog_layout()?, SystemTime::now().checked_sub(GRACE));
        let listed: Vec<_> = self.objects.list(PARTS).try_collect().await?;
        for object in listed {
            let is_named = catalogs.iter().flatten().any(|catalog| catalog.names(&object.key));
            let is_old = object.modified.zip(before).is_some_and(|(made, before)| made <= before);
            if is_old && !is_named && layout.name(&object.key).is_some() {
                self.objects.delete(&Key::new(&object.key)?).await?;
            }
        }
        Ok(())
    }

    /// Whether nothing can be written into it: it is read over HTTP, or [as others publish it](crate::PublishedObjects).
    pub fn is_read_only(&self) -> bool {
        self.objects.is_read_only()
    }
}

/// How long parts are kept that no catalogue names any more.
const GRACE: Duration = Duration::from_secs(24 * 3600);
