//! A whole index as hash-stream's records, and that of a DAG as a sharded-DAG index.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use carstone_car::Cid;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::format::EntryKind;
use super::location::Location;
use super::record_index::{RecordIds, RecordLevel, RecordPlace, group};
use super::record_layout::{RecordId, RecordLayout};
use super::records::{IndexRecord, RecordKind, RecordLocation};
use super::scan::IndexEntry;
use super::segment::Found;
use super::sharded::ShardedDagIndex;
use crate::error::Result;
use crate::name::{Hash, Key};
use crate::objects::{Content, Objects};
use crate::store::Store;

/// How an index is written as records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordOptions {
    /// Which records there are. hash-stream's `all` is both levels, one after the other.
    pub level: RecordLevel,
    /// The keys of records.
    pub layout: RecordLayout,
    /// The time, in milliseconds from 1970 on, for keys that say when a record was made. With the same time the same keys come out. Default: 0.
    pub milliseconds: u64,
}

impl RecordOptions {
    /// Records of a level, with keys of a layout.
    pub fn new(level: RecordLevel, layout: RecordLayout) -> Self {
        Self { level, layout, milliseconds: 0 }
    }

    /// Sets the time.
    #[must_use]
    pub fn milliseconds(mut self, milliseconds: u64) -> Self {
        self.milliseconds = milliseconds;
        self
    }
}

/// Writes the whole index of a store as hash-stream stores it, and says how many records there are.
///
/// Of the level of blobs there is an object for each place of each blob. Where a blob has several places, they have one time after the other, so that none is
/// written over another. Of the level of sets there is a record for each DAG that was put, with its packs in their order, and one for each pack that no
/// DAG names; its memory is that of the largest DAG, and the index is read once for each million of blobs. Codecs are not in these records.
///
/// # Errors
/// The index is damaged or cannot be read, or a record cannot be kept. Records that have been kept stay.
pub async fn export_records(
    store: &Store,
    to: &dyn Objects,
    options: &RecordOptions,
) -> Result<u64> {
    let mut out = Out { to, options, waiting: Vec::new(), count: 0 };
    match options.level {
        RecordLevel::Blob => single(store, &mut out).await?,
        RecordLevel::Containing => multiple(store, &mut out).await?,
    }
    out.flush().await?;
    Ok(out.count)
}

/// Where the blobs of the DAG under a root lie, as far as the packs of the store that have blobs of it tell: blobs of other DAGs in the same packs are among
/// them. `None` if the root is not known.
///
/// # Errors
/// The index is damaged, or cannot be read.
pub async fn sharded_index(store: &Store, root: &Cid) -> Result<Option<ShardedDagIndex>> {
    let locations = store.containing(root.hash()).await?;
    if locations.is_empty() {
        return Ok(None);
    }
    let mut index = ShardedDagIndex::new(*root);
    let packs: HashSet<Hash> = locations.iter().filter_map(Location::pack).copied().collect();
    packs.iter().for_each(|pack| index.add_pack(*pack));
    let mut blobs = store.index().blobs_of(packs).await?;
    while let Some((pack, entry)) = blobs.try_next().await? {
        index.add(pack, entry.hash, entry.found.offset, entry.found.len);
    }
    Ok(Some(index))
}

/// Records that are written, some at a time.
struct Out<'a> {
    to: &'a dyn Objects,
    options: &'a RecordOptions,
    waiting: Vec<(Key, String)>,
    count: u64,
}

impl Out<'_> {
    /// Writes a record.
    async fn put(&mut self, record: &IndexRecord, id: &RecordId) -> Result<()> {
        let RecordOptions { level, layout, .. } = self.options;
        self.waiting.push(level.stored(record, layout, id)?);
        self.count += 1;
        let bytes: usize = self.waiting.iter().map(|(_, text)| text.len()).sum();
        match self.waiting.len() >= AT_ONCE || bytes >= MOST_WAITING {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<()> {
        let to = self.to;
        let puts = self.waiting.drain(..).map(|(key, text)| async move {
            to.create(&key, Content::Bytes(Bytes::from(text))).await.map(drop)
        });
        let puts: Vec<_> = puts.collect();
        stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// One record for each place, and one for each pack.
async fn single(store: &Store, out: &mut Out<'_>) -> Result<()> {
    let milliseconds = out.options.milliseconds;
    // One after the other for records of the same hash.
    let time = |earlier| RecordId::Milliseconds(milliseconds.saturating_add(earlier));
    let mut entries = store.index().entries().await?;
    let (mut last, mut earlier): (Option<RecordPlace>, u64) = (None, 0);
    let mut packs = HashSet::new();
    while let Some(entry) = entries.try_next().await? {
        let Some(place) = place_of(&entry) else { continue };
        // The same place under another codec is the same here.
        if last.as_ref() == Some(&place) {
            continue;
        }
        let is_same = last.as_ref().is_some_and(|last| last.hash == place.hash);
        earlier = if is_same { earlier + 1 } else { 0 };
        for record in out.options.level.records(std::slice::from_ref(&place), None) {
            match record.kind {
                RecordKind::Pack => drop(packs.insert(record.multihash)),
                _ => out.put(&record, &time(earlier)).await?,
            }
        }
        last = Some(place);
    }
    let mut packs: Vec<Hash> = packs.into_iter().collect();
    packs.sort();
    for pack in packs {
        // A pack may be a blob of another one, whose records have the same key.
        let places = store.index().find(EntryKind::Blob, &pack).await?;
        let earlier = places.iter().map(|found| (&found.location, found.offset, found.len));
        let earlier = earlier.collect::<HashSet<_>>().len() as u64;
        out.put(&group(RecordKind::Pack, &pack, Vec::new()), &time(earlier)).await?;
    }
    Ok(())
}

/// One record for each set, with all that is in it.
async fn multiple(store: &Store, out: &mut Out<'_>) -> Result<()> {
    let mut counts: HashMap<Location, u64> = HashMap::new();
    let mut others: BTreeMap<Hash, Vec<Location>> = BTreeMap::new();
    let mut entries = store.index().entries().await?;
    while let Some(IndexEntry { kind, hash, found }) = entries.try_next().await? {
        match kind {
            EntryKind::Blob => *counts.entry(found.location).or_default() += 1,
            EntryKind::Containing => others.entry(hash).or_default().push(found.location),
        }
    }
    let sets = sets_of(store, others, &counts).await?;
    let weight = |set: &Set| -> u64 {
        set.locations.iter().filter_map(|location| counts.get(location)).sum()
    };
    let mut ids = RecordIds::new(out.options.milliseconds);
    let mut start = 0;
    while start < sets.len() {
        let (mut end, mut sum) = (start + 1, weight(&sets[start]));
        while let Some(more) = sets.get(end).map(weight).filter(|more| sum + more <= MOST_BLOBS) {
            (end, sum) = (end + 1, sum + more);
        }
        batch(store, &sets[start..end], &mut ids, out).await?;
        start = end;
    }
    Ok(())
}

/// What one record, or the records of one location, are made of.
struct Set {
    root: Option<Hash>,
    locations: Vec<Location>,
}

/// Each DAG with its packs as its root names them, and with what only the index has; then the locations that are of no DAG. All of them have blobs.
async fn sets_of(
    store: &Store,
    others: BTreeMap<Hash, Vec<Location>>,
    counts: &HashMap<Location, u64>,
) -> Result<Vec<Set>> {
    let packs: HashMap<Hash, &Location> =
        counts.keys().filter_map(|location| Some((*location.pack()?, location))).collect();
    let mut sets: Vec<Set> = Vec::new();
    let mut of_root: HashMap<Hash, Vec<usize>> = HashMap::new();
    for record in store.roots().await? {
        let root = *record.root.hash();
        let locations = record.packs.iter().filter_map(|pack| packs.get(pack).copied().cloned());
        of_root.entry(root).or_default().push(sets.len());
        sets.push(Set { root: Some(root), locations: locations.collect() });
    }
    for (root, mut locations) in others {
        let numbers = of_root.get(&root).map_or(&[][..], Vec::as_slice);
        let known = numbers.iter().flat_map(|number| &sets[*number].locations);
        let known: HashSet<Location> = known.cloned().collect();
        locations.sort();
        locations.dedup();
        locations.retain(|location| counts.contains_key(location) && !known.contains(location));
        match numbers {
            [number] => sets[*number].locations.extend(locations),
            _ => sets.push(Set { root: Some(root), locations }),
        }
    }
    let named: HashSet<&Location> = sets.iter().flat_map(|set| &set.locations).collect();
    let mut alone: Vec<_> =
        counts.keys().filter(|location| !named.contains(location)).cloned().collect();
    alone.sort();
    for set in &mut sets {
        // What is kept by itself is its own root, of which records say nothing.
        let itself = set.root;
        if matches!(&set.locations[..], [one] if one.pack() == itself.as_ref()) {
            set.root = None;
        }
    }
    sets.extend(alone.into_iter().map(|one| Set { root: None, locations: vec![one] }));
    sets.retain(|set| !set.locations.is_empty());
    Ok(sets)
}

/// The records of some sets, for which the index is read once.
async fn batch(store: &Store, sets: &[Set], ids: &mut RecordIds, out: &mut Out<'_>) -> Result<()> {
    let locations = sets.iter().flat_map(|set| &set.locations);
    let mut wanted: HashMap<&Location, Vec<RecordPlace>> =
        locations.map(|location| (location, Vec::new())).collect();
    let mut entries = store.index().entries().await?;
    while let Some(entry) = entries.try_next().await? {
        if let Some(place) = place_of(&entry)
            && let Some(places) = wanted.get_mut(&entry.found.location)
        {
            places.push(place);
        }
    }
    for places in wanted.values_mut() {
        places.sort_by_key(|place| (place.offset, place.len, place.hash));
        places.dedup();
    }
    for Set { root, locations } in sets {
        let places = locations.iter().filter_map(|location| wanted.get(location));
        let places: Vec<RecordPlace> = places.flatten().cloned().collect();
        for record in out.options.level.records(&places, root.as_ref()) {
            out.put(&record, &ids.next(&record)).await?;
        }
    }
    Ok(())
}

/// An entry of a blob as a record has it.
fn place_of(entry: &IndexEntry) -> Option<RecordPlace> {
    if entry.kind != EntryKind::Blob {
        return None;
    }
    let Found { location, offset, len, .. } = &entry.found;
    let location = match location {
        Location::Pack { name, .. } => RecordLocation::Multihash(*name),
        Location::Foreign { text, .. } => RecordLocation::Path(text.clone()),
    };
    Some(RecordPlace { hash: entry.hash, location, offset: *offset, len: Some(*len) })
}

/// Records that are written at the same time.
const AT_ONCE: usize = 16;
/// Bytes of records that wait.
const MOST_WAITING: usize = 8 << 20;
/// Blobs whose places are held.
const MOST_BLOBS: u64 = 1 << 20;
