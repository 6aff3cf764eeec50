//! A segment where it is stored: a look-up reads twice.

use std::sync::Arc;

use super::format::{EntryKind, FRONT_LEN, Front, MAX_BUCKET, MAX_LOCATIONS, malformed};
use super::location::Location;
use crate::error::Result;
use crate::name::{Hash, Key};
use crate::objects::Objects;

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
    key: Key,
    front: Front,
    locations: Vec<Location>,
    size: u64,
}

impl Segment {
    /// Opens a segment: reads its front, and its locations.
    ///
    /// # Errors
    /// There is none, it is damaged, or it cannot be read.
    pub async fn open(objects: Arc<dyn Objects>, key: Key, size: u64) -> Result<Self> {
        let opened = Self::read_front(&*objects, &key, size).await;
        let (front, locations) = opened.map_err(|error| error.of(&key))?;
        Ok(Self { objects, key, front, locations, size })
    }

    async fn read_front(
        objects: &dyn Objects,
        key: &Key,
        size: u64,
    ) -> Result<(Front, Vec<Location>)> {
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
        Ok((front, locations))
    }

    /// What the segment says of a hash. At most two ranges are read.
    ///
    /// # Errors
    /// The segment cannot be read, or what was read of it is damaged.
    pub async fn find(&self, kind: EntryKind, hash: &Hash) -> Result<Vec<Found>> {
        let found = self.look_up(kind, hash).await;
        found.map_err(|error| error.of(&self.key))
    }

    async fn look_up(&self, kind: EntryKind, hash: &Hash) -> Result<Vec<Found>> {
        let Some(group) = self.front.group(kind, hash) else { return Ok(Vec::new()) };
        let part = self.objects.read(&self.key, group.table_range(hash.digest())).await?;
        let bucket = group.bucket(&part)?;
        let range = bucket.range.clone();
        if range.end > self.size || range.end - range.start > MAX_BUCKET {
            return Err(malformed("a bucket of an index segment is too large").at(range.start));
        }
        let bytes = match range.is_empty() {
            true => bytes::Bytes::new(),
            false => self.objects.read(&self.key, range.clone()).await?,
        };
        let places = group.find(&bucket, &bytes, hash.digest());
        let places = places.map_err(|error| error.at(range.start))?;
        let found = places.into_iter().map(|place| {
            let location = self.locations.get(place.location as usize);
            let codec = self.front.codecs.get(usize::from(place.codec));
            let (Some(location), Some(codec)) = (location, codec) else {
                return Err(
                    malformed("an entry of an index segment names no location").at(range.start)
                );
            };
            let (offset, len) = (place.offset, place.len);
            Ok(Found { location: location.clone(), codec: *codec, offset, len })
        });
        found.collect()
    }

    /// The packs and other things that it has entries for.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// Bytes of the list of its locations.
    pub(crate) fn locations_len(&self) -> u64 {
        self.front.locations.end - self.front.locations.start
    }

    /// The number of entries.
    pub fn entries(&self) -> u64 {
        self.front.groups.iter().map(|group| group.count).sum()
    }

    /// The number of entries of blobs.
    pub fn blobs(&self) -> u64 {
        let of_blobs = |group: &&super::format::Group| group.kind == EntryKind::Blob;
        self.front.groups.iter().filter(of_blobs).map(|group| group.count).sum()
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Bytes that are read to begin with.
const FIRST_READ: u64 = 64 << 10;
