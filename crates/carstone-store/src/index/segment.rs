//! A segment where it is stored: a look-up reads twice.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::format::{
    Bucket, EntryKind, FRONT_LEN, Front, Group, MAX_BUCKET, MAX_LOCATIONS, malformed,
};
use super::location::Location;
use crate::error::Result;
use crate::name::{Hash, Key};
use crate::objects::{DiskFile, Objects, blocking, read_range};

/// What an index says of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Where it is.
    pub location: Location,
    /// The codec of its CID.
    pub codec: u64,
    /// Where its bytes begin in the location.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

impl Found {
    /// So many bytes of a location, from `offset` on, that a CID of this codec names.
    pub fn new(location: Location, codec: u64, offset: u64, len: u64) -> Self {
        Self { location, codec, offset, len }
    }
}

/// An immutable index of some packs: its front and the list of its locations are in memory, its entries where they are stored.
#[derive(Debug)]
pub struct Segment {
    objects: Arc<dyn Objects>,
    body: Arc<Body>,
}

#[derive(Debug)]
struct Body {
    key: Key,
    front: Front,
    locations: Vec<Location>,
    size: u64,
    near: Near,
}

/// Where a segment is read.
#[derive(Debug)]
enum Near {
    /// Where it is stored.
    No,
    /// In an open file, which is sooner, but takes a handle.
    File(Arc<dyn DiskFile>),
    /// In memory: a small one. A store into which much is put by itself has many of them, until they are put together.
    Memory(Held),
}

/// Memory for the small segments of an index.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<AtomicU64>);

/// Bytes that take a part of it.
#[derive(Debug)]
struct Held {
    bytes: Bytes,
    memory: Memory,
}

impl Memory {
    fn hold(&self, bytes: &Bytes) -> Option<Held> {
        let take = |left: u64| left.checked_sub(bytes.len() as u64);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Held { bytes: bytes.clone(), memory: self.clone() })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(MOST_IN_MEMORY)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.0.fetch_add(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

impl Segment {
    /// Opens a segment: reads its front, and its locations.
    ///
    /// # Errors
    /// There is none, it is damaged, or it cannot be read.
    pub async fn open(objects: Arc<dyn Objects>, key: Key, size: u64) -> Result<Self> {
        Self::open_with(objects, key, size, None).await
    }

    /// The same; a small one stays in this memory, as long as there is some.
    pub(super) async fn open_with(
        objects: Arc<dyn Objects>,
        key: Key,
        size: u64,
        memory: Option<&Memory>,
    ) -> Result<Self> {
        let opened = Self::read_front(&*objects, &key, size).await;
        let (front, locations, first) = opened.map_err(|error| error.of(&key))?;
        let held =
            memory.filter(|_| first.len() as u64 == size).and_then(|memory| memory.hold(&first));
        let near = match held {
            Some(held) => Near::Memory(held),
            None => objects.open_file(&key).await?.map_or(Near::No, Near::File),
        };
        let body = Arc::new(Body { key, front, locations, size, near });
        Ok(Self { objects, body })
    }

    async fn read_front(
        objects: &dyn Objects,
        key: &Key,
        size: u64,
    ) -> Result<(Front, Vec<Location>, Bytes)> {
        if size < FRONT_LEN as u64 {
            return Err(malformed("it is too short for an index segment"));
        }
        // In most segments the locations follow in the same read.
        let first = objects.read(key, 0..size.min(FIRST_READ)).await?;
        let front = Front::decode(first.get(..FRONT_LEN).unwrap_or_default())?;
        let range = front.locations.clone();
        if range.end > size || range.end - range.start > MAX_LOCATIONS {
            return Err(malformed("the locations of an index segment go past its end"));
        }
        let records = match range.end <= first.len() as u64 {
            // Both are below the length of what is in memory.
            true => first.slice(range.start as usize..range.end as usize),
            false => objects.read(key, range).await?,
        };
        let locations = front.locations_in(&records)?;
        Ok((front, locations, first))
    }

    /// What the segment says of a hash. At most two ranges are read.
    ///
    /// # Errors
    /// The segment cannot be read, or what was read of it is damaged.
    pub async fn find(&self, kind: EntryKind, hash: &Hash) -> Result<Vec<Found>> {
        let body = &self.body;
        let Some(group) = body.front.group(kind, hash) else { return Ok(Vec::new()) };
        let found = match &body.near {
            Near::Memory(held) => body.look_up(group, hash, |range| slice(&held.bytes, range)),
            Near::File(_) => {
                // Both reads in one way to a thread that may wait.
                let (body, hash) = (Arc::clone(body), *hash);
                blocking(move || body.look_up_in_file(kind, &hash)).await
            }
            Near::No => self.look_up(group, hash).await,
        };
        found.map_err(|error| error.of(&self.body.key))
    }

    async fn look_up(&self, group: &Group, hash: &Hash) -> Result<Vec<Found>> {
        let body = &self.body;
        let part = self.objects.read(&body.key, group.table_range(hash.digest())).await?;
        let bucket = body.bucket(group, &part)?;
        let bytes = match bucket.range.is_empty() {
            true => Bytes::new(),
            false => self.objects.read(&body.key, bucket.range.clone()).await?,
        };
        body.found(group, &bucket, &bytes, hash)
    }

    /// The roots that it has entries for. What is read of them is not verified.
    pub(super) async fn roots(&self) -> Result<HashSet<Hash>> {
        let (body, mut roots) = (&self.body, HashSet::new());
        for group in body.front.groups.iter().filter(|group| group.kind == EntryKind::Containing) {
            let len = group.count.saturating_mul(group.width());
            let (mut at, end) = (group.entries, group.entries.saturating_add(len).min(body.size));
            let step = READ / group.width() * group.width();
            while at < end {
                let bytes = self.objects.read(&body.key, at..end.min(at + step)).await?;
                let digests = bytes.chunks_exact(group.width() as usize);
                let digests = digests.map(|entry| &entry[..usize::from(group.len)]);
                roots.extend(digests.filter_map(|digest| Hash::wrap(group.code, digest).ok()));
                at += step;
            }
        }
        Ok(roots)
    }

    /// The packs and other things that it has entries for.
    pub fn locations(&self) -> &[Location] {
        &self.body.locations
    }

    /// Bytes of the list of its locations.
    pub(crate) fn locations_len(&self) -> u64 {
        self.body.front.locations.end - self.body.front.locations.start
    }

    /// The number of entries.
    pub fn entries(&self) -> u64 {
        self.body.front.groups.iter().map(|group| group.count).sum()
    }

    /// The number of entries of blobs.
    pub fn blobs(&self) -> u64 {
        let of_blobs = |group: &&super::format::Group| group.kind == EntryKind::Blob;
        self.body.front.groups.iter().filter(of_blobs).map(|group| group.count).sum()
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.body.key
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.body.size
    }
}

impl Body {
    fn look_up_in_file(&self, kind: EntryKind, hash: &Hash) -> Result<Vec<Found>> {
        let (Near::File(file), Some(group)) = (&self.near, self.front.group(kind, hash)) else {
            return Ok(Vec::new());
        };
        self.look_up(group, hash, |range| read_range(&**file, range))
    }

    fn look_up(
        &self,
        group: &Group,
        hash: &Hash,
        read: impl Fn(Range<u64>) -> Result<Bytes>,
    ) -> Result<Vec<Found>> {
        let bucket = self.bucket(group, &read(group.table_range(hash.digest()))?)?;
        let bytes = read(bucket.range.clone())?;
        self.found(group, &bucket, &bytes, hash)
    }

    /// The bucket that a part of the table names.
    fn bucket(&self, group: &Group, part: &[u8]) -> Result<Bucket> {
        let bucket = group.bucket(part)?;
        let range = &bucket.range;
        if range.end > self.size || range.end - range.start > MAX_BUCKET {
            return Err(malformed("a bucket of an index segment is too large").at(range.start));
        }
        Ok(bucket)
    }

    /// What a bucket says of a hash.
    fn found(
        &self,
        group: &Group,
        bucket: &Bucket,
        bytes: &[u8],
        hash: &Hash,
    ) -> Result<Vec<Found>> {
        let start = bucket.range.start;
        let places = group.find(bucket, bytes, hash.digest());
        let places = places.map_err(|error| error.at(start))?;
        let found = places.into_iter().map(|place| {
            let location = self.locations.get(place.location as usize);
            let codec = self.front.codecs.get(usize::from(place.codec));
            let (Some(location), Some(codec)) = (location, codec) else {
                return Err(malformed("an entry of an index segment names no location").at(start));
            };
            let (offset, len) = (place.offset, place.len);
            Ok(Found { location: location.clone(), codec: *codec, offset, len })
        });
        found.collect()
    }
}

/// A part of what is in memory.
fn slice(bytes: &Bytes, range: Range<u64>) -> Result<Bytes> {
    let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let part = part.filter(|(start, end)| start <= end && *end <= bytes.len());
    let (start, end) =
        part.ok_or_else(|| malformed("a part of an index segment is behind its end"))?;
    Ok(bytes.slice(start..end))
}

/// Bytes of entries that are read together.
const READ: u64 = 1 << 20;
/// Bytes that are read to begin with.
const FIRST_READ: u64 = 64 << 10;
/// Bytes of small segments that are in memory: 15,000 of the smallest.
const MOST_IN_MEMORY: u64 = 64 << 20;
