//! An index that is hash-stream's records, in memory.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::{Cid, codec};

use super::format::malformed;
use super::location::Location;
use super::record_layout::{RecordId, RecordLayout};
use super::records::{BLOB_VARIANT, CONTAINING_VARIANT, IndexRecord, RecordKind, RecordLocation};
use super::segment::Found;
use super::traits::{IndexReader, IndexWriter, Source};
use crate::error::Result;
use crate::name::{Hash, Key};
use crate::pack::PackWritten;

/// Which records are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the format has these and no others")]
pub enum RecordLevel {
    /// One for each place of a blob, and one for each pack: what hash-stream calls single-level, variant `index/blob@0.1`.
    Blob,
    /// One for each DAG, or for each pack where the DAG is not told, with all others in it: what hash-stream calls multiple-level, variant
    /// `index/containing@0.1`.
    Containing,
}

impl RecordLevel {
    /// The name of the variant that is stored with its records.
    pub fn variant(self) -> &'static str {
        match self {
            Self::Blob => BLOB_VARIANT,
            Self::Containing => CONTAINING_VARIANT,
        }
    }

    /// The records of blobs, in their order.
    pub(crate) fn records(self, places: &[RecordPlace], root: Option<&Hash>) -> Vec<IndexRecord> {
        match self {
            Self::Blob => blob_records(places),
            Self::Containing => containing_records(places, root),
        }
    }

    /// Key and bytes of a record.
    pub(crate) fn stored(
        self,
        record: &IndexRecord,
        layout: &RecordLayout,
        id: &RecordId,
    ) -> Result<(Key, String)> {
        Ok((layout.key(&record.multihash, id)?, record.encode(self.variant())?))
    }
}

/// Gives records their ids, each of those of one hash another.
#[derive(Debug)]
pub(crate) struct RecordIds {
    milliseconds: u64,
    earlier: HashMap<Hash, u64>,
    first: HashSet<(Hash, Hash)>,
}

impl RecordIds {
    pub(crate) fn new(milliseconds: u64) -> Self {
        Self { milliseconds, earlier: HashMap::new(), first: HashSet::new() }
    }

    pub(crate) fn next(&mut self, record: &IndexRecord) -> RecordId {
        let count = self.earlier.entry(record.multihash).or_default();
        let time = RecordId::Milliseconds(self.milliseconds.saturating_add(*count));
        *count += 1;
        match record.sub_records.first() {
            // A set that was packed again may have the same first pack.
            Some(first) if self.first.insert((record.multihash, first.multihash)) => {
                RecordId::First(first.multihash)
            }
            _ => time,
        }
    }
}

/// Where a record says that a blob lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    pub(crate) hash: Hash,
    pub(crate) location: RecordLocation,
    pub(crate) offset: u64,
    /// `None`: up to the end.
    pub(crate) len: Option<u64>,
}

impl RecordPlace {
    fn record(&self) -> IndexRecord {
        IndexRecord {
            multihash: self.hash,
            kind: RecordKind::Blob,
            location: self.location.clone(),
            offset: Some(self.offset),
            length: self.len,
            sub_records: Vec::new(),
        }
    }

    /// The pack in which it lies, if that is not itself.
    fn pack(&self) -> Option<&Hash> {
        match &self.location {
            RecordLocation::Multihash(pack) if *pack != self.hash => Some(pack),
            _ => None,
        }
    }

    /// The same as an index has it; `None` if that cannot be said.
    fn found(&self) -> Option<Found> {
        let (codec, offset, len) = (codec::RAW, self.offset, self.len?);
        Some(Found { location: location_of(&self.location)?, codec, offset, len })
    }
}

fn blob_records(places: &[RecordPlace]) -> Vec<IndexRecord> {
    let (mut records, mut packs) = (Vec::new(), HashSet::new());
    for place in places {
        records.push(place.record());
        if let Some(pack) = place.pack().filter(|pack| packs.insert(**pack)) {
            records.push(group(RecordKind::Pack, pack, Vec::new()));
        }
    }
    records
}

fn containing_records(places: &[RecordPlace], root: Option<&Hash>) -> Vec<IndexRecord> {
    let mut records: Vec<IndexRecord> = Vec::new();
    let (mut packs, mut alone) = (HashMap::new(), HashSet::new());
    for place in places {
        match (place.pack(), &place.location) {
            (Some(pack), _) => {
                let number = *packs.entry(*pack).or_insert_with(|| {
                    records.push(group(RecordKind::Pack, pack, Vec::new()));
                    records.len() - 1
                });
                records[number].sub_records.push(place.record());
            }
            (None, RecordLocation::Path(path)) if alone.insert((place.hash, Some(path))) => {
                records.push(place.record());
            }
            (None, RecordLocation::Multihash(_)) if alone.insert((place.hash, None)) => {
                records.push(place.record());
            }
            _ => {}
        }
    }
    match root {
        Some(root) => vec![group(RecordKind::Containing, root, records)],
        None => records,
    }
}

/// The record of a pack, or of the set under a root.
pub(crate) fn group(kind: RecordKind, of: &Hash, below: Vec<IndexRecord>) -> IndexRecord {
    IndexRecord {
        multihash: *of,
        kind,
        location: RecordLocation::Multihash(*of),
        offset: None,
        length: None,
        sub_records: below,
    }
}

fn location_of(location: &RecordLocation) -> Option<Location> {
    match location {
        RecordLocation::Multihash(name) => Some(Location::Pack { name: *name, size: 0 }),
        RecordLocation::Path(path) => Some(Location::Foreign { text: path.clone(), size: 0 }),
        RecordLocation::Inline(_) => None,
    }
}

/// What a record says, with all that is in it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) places: Vec<RecordPlace>,
    pub(crate) sets: Vec<ToldSet>,
    /// Packs, whether or not it is told what is in them.
    pub(crate) packs: Vec<Hash>,
}

/// A set of blobs under a root.
#[derive(Debug)]
pub(crate) struct ToldSet {
    pub(crate) root: Hash,
    /// Where its blobs lie, each once.
    pub(crate) locations: Vec<RecordLocation>,
    /// Whether it has other blobs than its root.
    pub(crate) has_others: bool,
}

impl Told {
    pub(crate) fn of(record: &IndexRecord) -> Result<Self> {
        let mut told = Self::default();
        let mut seen = HashSet::new();
        told.take(record, None, &mut seen)?;
        Ok(told)
    }

    fn take(
        &mut self,
        record: &IndexRecord,
        set: Option<usize>,
        seen: &mut HashSet<(usize, RecordLocation)>,
    ) -> Result<()> {
        let hash = record.multihash;
        let location = match record.kind {
            RecordKind::Containing => {
                let (locations, has_others) = (Vec::new(), false);
                self.sets.push(ToldSet { root: hash, locations, has_others });
                let set = self.sets.len() - 1;
                return record
                    .sub_records
                    .iter()
                    .try_for_each(|below| self.take(below, Some(set), seen));
            }
            RecordKind::Pack => {
                self.packs.push(hash);
                RecordLocation::Multihash(hash)
            }
            RecordKind::Blob | RecordKind::InlineBlob => {
                let is_inline = matches!(record.location, RecordLocation::Inline(_));
                if is_inline != (record.kind == RecordKind::InlineBlob) {
                    return Err(malformed("the location of a record is not of its kind"));
                }
                let (location, offset) = (record.location.clone(), record.offset.unwrap_or(0));
                self.places.push(RecordPlace { hash, location, offset, len: record.length });
                record.location.clone()
            }
        };
        if let Some(number) = set {
            let set = &mut self.sets[number];
            set.has_others |= record.kind == RecordKind::Pack && record.sub_records.is_empty();
            set.has_others |= record.kind != RecordKind::Pack && hash != set.root;
            let is_inline = record.kind == RecordKind::InlineBlob;
            if !is_inline && seen.insert((number, location.clone())) {
                set.locations.push(location);
            }
        }
        record.sub_records.iter().try_for_each(|below| self.take(below, set, seen))
    }
}

/// Records of hash-stream, in memory: what packs are noted in is made into records, and records that were [read](IndexRecord::decode) elsewhere can be asked.
///
/// Unlike hash-stream's reader it gives all places of a blob, and finds blobs that lie inside of records of sets and packs without a hint. It holds small blobs itself,
/// where records do (kind 3).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{IndexReader, IndexRecord, RecordIndex, RecordKind, RecordLevel, RecordLocation, Source};
/// let inline = IndexRecord {
///     multihash: *carstone_car::cid_of(carstone_car::codec::RAW, b"keystone").hash(),
///     kind: RecordKind::InlineBlob,
///     location: RecordLocation::Inline(b"keystone".to_vec()),
///     offset: None,
///     length: None,
///     sub_records: Vec::new(),
/// };
/// let mut index = RecordIndex::new(RecordLevel::Blob);
/// let hash = inline.multihash;
/// index.add(inline)?;
/// assert_eq!(index.blob(&hash).await?, [Source::Inline("keystone".into())]);
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RecordIndex {
    level: RecordLevel,
    /// What has not been finished.
    pending: Vec<RecordPlace>,
    records: Vec<IndexRecord>,
    blobs: HashMap<Hash, Vec<Source>>,
    packs: HashMap<Hash, Vec<(Hash, Found)>>,
    sets: HashMap<Hash, Vec<Location>>,
}

impl RecordIndex {
    /// One without records, that will make records of this level.
    pub fn new(level: RecordLevel) -> Self {
        let (pending, records) = (Vec::new(), Vec::new());
        let (blobs, packs, sets) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { level, pending, records, blobs, packs, sets }
    }

    /// Adds a record of any level.
    ///
    /// # Errors
    /// The record contradicts itself, or has no length for a blob. Then it is not added.
    pub fn add(&mut self, record: IndexRecord) -> Result<()> {
        let told = Told::of(&record)?;
        let mut sources = Vec::new();
        for place in &told.places {
            let source =
                match &place.location {
                    RecordLocation::Inline(data) => Source::Inline(Bytes::copy_from_slice(data)),
                    _ => Source::Place(place.found().ok_or_else(|| {
                        malformed("a record of a blob does not say how long it is")
                    })?),
                };
            sources.push((place.hash, source));
        }
        for (hash, source) in sources {
            let known = self.blobs.entry(hash).or_default();
            if known.contains(&source) {
                continue;
            }
            if let Source::Place(found) = &source
                && let Some(pack) = found.location.pack()
            {
                self.packs.entry(*pack).or_default().push((hash, found.clone()));
            }
            known.push(source);
        }
        for set in &told.sets {
            let known = self.sets.entry(set.root).or_default();
            let earlier: HashSet<Location> = known.iter().cloned().collect();
            let locations = set.locations.iter().filter_map(location_of);
            known.extend(locations.filter(|location| !earlier.contains(location)));
        }
        self.records.push(record);
        Ok(())
    }

    /// The records, in the order in which they were made or added.
    pub fn records(&self) -> &[IndexRecord] {
        &self.records
    }

    /// The records as hash-stream stores them, each with its key. In keys that say when a record was made it is `milliseconds`, or so much later as there are others of
    /// the same hash before it.
    ///
    /// # Errors
    /// A key would be too long, or a number is larger than DAG-JSON has.
    pub fn stored(&self, layout: &RecordLayout, milliseconds: u64) -> Result<Vec<(Key, String)>> {
        let mut ids = RecordIds::new(milliseconds);
        let stored = self.records.iter();
        let stored = stored.map(|record| self.level.stored(record, layout, &ids.next(record)));
        stored.collect()
    }
}

#[async_trait]
impl IndexWriter for RecordIndex {
    async fn pack(&mut self, pack: &PackWritten) -> Result<()> {
        self.pending.extend(pack.blobs.iter().map(|blob| RecordPlace {
            hash: *blob.cid.hash(),
            location: RecordLocation::Multihash(pack.name),
            offset: blob.offset,
            len: Some(blob.len),
        }));
        Ok(())
    }

    async fn finish(&mut self, root: Option<&Cid>) -> Result<()> {
        let places = std::mem::take(&mut self.pending);
        let records = self.level.records(&places, root.map(Cid::hash));
        records.into_iter().try_for_each(|record| self.add(record))
    }
}

#[async_trait]
impl IndexReader for RecordIndex {
    async fn blob(&self, hash: &Hash) -> Result<Vec<Source>> {
        Ok(self.blobs.get(hash).cloned().unwrap_or_default())
    }

    async fn blobs_in(&self, pack: &Hash) -> Result<Vec<(Hash, Found)>> {
        let mut blobs = self.packs.get(pack).cloned().unwrap_or_default();
        blobs.sort_by_key(|(hash, found)| (found.offset, found.len, *hash));
        Ok(blobs)
    }

    async fn containing(&self, root: &Hash) -> Result<Vec<Location>> {
        Ok(self.sets.get(root).cloned().unwrap_or_default())
    }
}
