//! All segments of a store.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::builder::SegmentBuilder;
use super::format::{EntryKind, MAX_LOCATIONS};
use super::location::Location;
use super::merge::merge;
use super::segment::{Found, Memory, Segment};
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::{HashFunction, Hasher};
use crate::name::{Hash, Key, Layout};
use crate::objects::{Content, Objects, Spool, blocking};

/// The index of a store: what is in any of its segments. Segments are made and never changed; several are [put together](Self::compact) into one.
#[derive(Clone)]
pub struct Index {
    pub(super) objects: Arc<dyn Objects>,
    layout: Layout,
    segments: Arc<RwLock<Segments>>,
    memory: Memory,
}

#[derive(Default)]
struct Segments {
    good: Vec<Arc<Segment>>,
    /// What is wrong with those that cannot be opened.
    damaged: Vec<Arc<Error>>,
}

/// What putting segments together came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Segments that there were.
    pub segments: usize,
    /// Entries that there are now.
    pub entries: u64,
}

impl Index {
    /// Opens all segments below `prefix`, which ends with a slash. Those that are damaged are [told](Self::damaged), and looked into no more.
    ///
    /// # Errors
    /// They cannot be listed or read.
    pub async fn open(objects: Arc<dyn Objects>, prefix: &str) -> Result<Self> {
        let layout = Layout::flat(prefix, SEGMENT_EXTENSION)?;
        let index = Self { objects, layout, segments: Arc::default(), memory: Memory::default() };
        index.refresh().await?;
        Ok(index)
    }

    /// Looks which segments there are now: other writers may have made some, or put some together.
    ///
    /// # Errors
    /// They cannot be listed or read.
    pub async fn refresh(&self) -> Result<()> {
        for _ in 0..MOST_LOOKS {
            let (segments, is_all) = self.look().await?;
            *self.segments.write().unwrap_or_else(PoisonError::into_inner) = segments;
            if is_all {
                break;
            }
        }
        Ok(())
    }

    /// The segments that are listed, and whether all of them were still there when they were opened. Where one was not, it has been put together with others
    /// into one that the listing may not have.
    async fn look(&self) -> Result<(Segments, bool)> {
        let known = self.segments();
        let listed = self.objects.list(self.layout.prefix());
        let listed = listed.try_filter_map(|object| {
            let key = self.layout.name(&object.key).and_then(|_| Key::new(&object.key).ok());
            async move { Ok(key.map(|key| (key, object.size))) }
        });
        let opened = listed.map_ok(|(key, size)| {
            let known = known.iter().find(|segment| *segment.key() == key).cloned();
            let objects = Arc::clone(&self.objects);
            async move {
                match known {
                    Some(segment) => Ok(Ok(segment)),
                    None => {
                        match Segment::open_with(objects, key, size, Some(&self.memory)).await {
                            Ok(segment) => Ok(Ok(Arc::new(segment))),
                            Err(error) if error.is_not_found() => Ok(Err(None)),
                            Err(error) if error.is_malformed() => Ok(Err(Some(Arc::new(error)))),
                            Err(error) => Err(error),
                        }
                    }
                }
            }
        });
        let (mut segments, mut is_all) = (Segments::default(), true);
        let mut opened = opened.try_buffer_unordered(AT_ONCE).boxed();
        while let Some(found) = opened.try_next().await? {
            match found {
                Ok(segment) => segments.good.push(segment),
                Err(Some(error)) => segments.damaged.push(error),
                Err(None) => is_all = false,
            }
        }
        Ok((segments, is_all))
    }

    /// Keeps a segment of these entries, and gives its key; `None` where there are none. It is durable when this returns.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn add(&self, builder: SegmentBuilder) -> Result<Option<Key>> {
        if builder.is_empty() {
            return Ok(None);
        }
        let spool = self.objects.spool()?;
        let spool = blocking(move || builder.finish(spool)).await?;
        self.keep(spool).await.map(Some)
    }

    pub(crate) async fn keep(&self, spool: Spool) -> Result<Key> {
        let spool = blocking(move || spool.hashed(HashFunction::Blake3)).await?;
        let (size, name) = (spool.len(), spool.hash().copied().unwrap_or_default());
        let key = self.layout.key(&name)?;
        self.objects.create(&key, Content::Spool(spool)).await?;
        let objects = Arc::clone(&self.objects);
        let opened = Segment::open_with(objects, key.clone(), size, Some(&self.memory)).await;
        let segment = match opened {
            Ok(segment) => segment,
            // Another program has put it together with others already.
            Err(error) if error.is_not_found() => return self.refresh().await.map(|()| key),
            Err(error) => return Err(error),
        };
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if !segments.good.iter().any(|known| known.key() == segment.key()) {
            segments.good.push(Arc::new(segment));
        }
        Ok(key)
    }

    /// The keys of all segments that there are, of those that are damaged too.
    pub(crate) async fn keys(&self) -> Result<Vec<Key>> {
        let listed: Vec<_> = self.objects.list(self.layout.prefix()).try_collect().await?;
        let named = listed.into_iter().filter(|object| self.layout.name(&object.key).is_some());
        named.map(|object| Key::new(&object.key)).collect()
    }

    /// Removes these segments.
    pub(crate) async fn remove(&self, keys: &[Key]) -> Result<()> {
        for key in keys {
            self.objects.delete(key).await?;
        }
        self.refresh().await
    }

    /// Compares a segment with its name.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub async fn verify(&self, segment: &Segment) -> Result<()> {
        // Nothing is written: a store that may only be read can be checked.
        let mut pieces = self.objects.stream(segment.key(), None).await?;
        let mut hasher = Hasher::new(HashFunction::Blake3);
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
        }
        self.compare(segment, &hasher.finish())
    }

    fn compare(&self, segment: &Segment, hash: &Hash) -> Result<()> {
        let name = self.layout.name(segment.key().as_str());
        match name.as_ref() == Some(hash) {
            true => Ok(()),
            false => Err(Error::mismatch(&name.unwrap_or_default()).of(segment.key())),
        }
    }

    /// All that is known of a hash, from all segments. One that cannot be read is an error only if the others have nothing.
    ///
    /// # Errors
    /// Nothing was found, and a segment cannot be read.
    pub async fn find(&self, kind: EntryKind, hash: &Hash) -> Result<Vec<Found>> {
        for _ in 0..MOST_LOOKS {
            let (found, failed) = self.find_in(self.segments(), kind, hash).await;
            match failed {
                // Segments that have been put together meanwhile are in another one.
                Some(error) if error.is_not_found() => self.refresh().await?,
                Some(error) if found.is_empty() => return Err(error),
                _ => return Ok(found),
            }
        }
        let (found, failed) = self.find_in(self.segments(), kind, hash).await;
        failed.filter(|_| found.is_empty()).map_or(Ok(found), Err)
    }

    async fn find_in(
        &self,
        segments: Vec<Arc<Segment>>,
        kind: EntryKind,
        hash: &Hash,
    ) -> (Vec<Found>, Option<Error>) {
        let looked = stream::iter(
            segments.into_iter().map(|segment| async move { segment.find(kind, hash).await }),
        );
        let mut looked = looked.buffered(AT_ONCE);
        let (mut all, mut failed) = (Vec::new(), None);
        while let Some(found) = looked.next().await {
            match found {
                Ok(found) => all.extend(found),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let mut seen = HashSet::new();
        all.retain(|found: &Found| seen.insert((found.location.clone(), found.offset, found.len)));
        (all, failed)
    }

    /// The segments that are known.
    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).good.clone()
    }

    /// What is wrong with segments that cannot be looked into.
    pub fn damaged(&self) -> Vec<Arc<Error>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).damaged.clone()
    }

    /// Whether all segments can be looked into. If not, what is in the index is not known, and `advice` says what to do.
    ///
    /// # Errors
    /// One of them is damaged.
    pub(crate) fn whole(&self, advice: &'static str) -> Result<()> {
        match self.damaged().first() {
            None => Ok(()),
            Some(fault) => {
                let error = Error::new(ErrorKind::Malformed(advice));
                Err(error.of(fault.object().unwrap_or_default()))
            }
        }
    }

    /// Puts all segments together into one, without entries of locations that are not kept; into several where one could not have all locations, of which there may be
    /// about 1.4 million. Each new one is durable before those go that it is made of; a reader that still has them
    /// [looks again](Self::refresh) where they lead to what is gone.
    ///
    /// # Errors
    /// One of them is damaged, or cannot be read; a new one cannot be kept. Then nothing is lost.
    pub async fn compact(
        &self,
        keep: impl Fn(&Location) -> bool + Send + Sync + 'static,
    ) -> Result<Compacted> {
        let keep = Arc::new(keep);
        for _ in 1..MOST_LOOKS {
            match self.compact_once(&keep).await {
                // Somebody else puts them together at the same time.
                Err(error) if error.is_not_found() => {}
                compacted => return compacted,
            }
        }
        self.compact_once(&keep).await
    }

    async fn compact_once(
        &self,
        keep: &Arc<impl Fn(&Location) -> bool + Send + Sync + 'static>,
    ) -> Result<Compacted> {
        self.refresh().await?;
        self.whole(REBUILD)?;
        let old = self.segments();
        for part in parts(&old) {
            let mut inputs = Vec::new();
            for segment in part {
                inputs.push(self.fetch(segment, self.objects.spool()?).await?);
            }
            let (spool, keep) = (self.objects.spool()?, Arc::clone(keep));
            let merged = blocking(move || merge(&inputs, spool, &*keep)).await?;
            let merged = blocking(move || merged.hashed(HashFunction::Blake3)).await?;
            let key = self.keep(merged).await?;
            for segment in part.iter().filter(|segment| *segment.key() != key) {
                self.objects.delete(segment.key()).await?;
            }
        }
        self.refresh().await?;
        let entries = self.segments().iter().map(|segment| segment.entries()).sum();
        Ok(Compacted { segments: old.len(), entries })
    }

    /// A segment in the file that is given, compared with its name.
    pub(crate) async fn fetch(&self, segment: &Segment, spool: Spool) -> Result<Spool> {
        let pieces = self.objects.stream(segment.key(), None).await?;
        let spool = spool.filled(pieces).await?;
        let spool = blocking(move || spool.hashed(HashFunction::Blake3)).await?;
        self.compare(segment, spool.hash().unwrap_or(&Hash::default()))?;
        Ok(spool)
    }
}

/// Segments that can be put together: the lists of their locations make one that a segment may have.
fn parts(segments: &[Arc<Segment>]) -> Vec<&[Arc<Segment>]> {
    let (mut parts, mut rest) = (Vec::new(), segments);
    while !rest.is_empty() {
        let mut sum = 0;
        let fits = rest.iter().take_while(|segment| {
            sum += segment.locations_len();
            sum <= MAX_LOCATIONS
        });
        let (part, more) = rest.split_at(fits.count().max(1));
        parts.push(part);
        rest = more;
    }
    parts
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("segments", &self.segments().len()).finish_non_exhaustive()
    }
}

/// What to do where a segment is damaged.
pub(crate) const REBUILD: &str = "it is damaged: `carstone store index rebuild` makes another one";
pub(crate) const SEGMENT_EXTENSION: &str = ".seg";
/// How often segments are listed, when others put them together meanwhile.
pub(crate) const MOST_LOOKS: usize = 8;
/// Segments that are read at the same time.
const AT_ONCE: usize = 8;
