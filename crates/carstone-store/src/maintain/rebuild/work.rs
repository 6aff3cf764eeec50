//! An index in the making.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use carstone_car::{Cid, codec};
use futures::TryStreamExt;

use super::Rebuilt;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{EntryKind, IndexEntry, Location, Segment, SegmentIndexWriter};
use crate::maintain::pack::read_pack;
use crate::maintain::walk::{IncompleteRoot, Under, is_closed, under};
use crate::name::{Hash, Key, text_of};
use crate::pack::StoredPack;
use crate::store::{IndexPart, RootRecord, RootRecords, Store, is_record_of, root_of};

/// An index in the making.
pub(super) struct Work<'a> {
    store: &'a Store,
    pub(super) writer: SegmentIndexWriter,
    /// Segments that there were. Whatever they speak of was durable before them, and so is listed. Those that come later stay.
    old: Vec<Key>,
    segments: Vec<Arc<Segment>>,
    pub(super) packs: Vec<StoredPack>,
    records: Vec<RootRecord>,
    /// The roots of which there are records.
    roots: HashSet<Hash>,
    /// Records of roots that are damaged.
    damaged: Vec<Error>,
    /// Segments of parts that are of use, and the packs that they have, with their bytes.
    keep: HashSet<Key>,
    pub(super) known: HashMap<Hash, u64>,
    /// Packs that are no CAR, and those that are damaged: what the old index says of them stays.
    lone: HashSet<Hash>,
    torn: HashSet<Hash>,
    /// Packs that the new index has, and their bytes.
    pub(super) sizes: BTreeMap<Hash, u64>,
    /// Roots that packs name.
    pub(super) named: BTreeSet<Cid>,
    /// Whether roots that packs name get records, though there are some of others.
    pub(super) all_roots: bool,
    pub(super) done: Rebuilt,
}

impl<'a> Work<'a> {
    pub(super) async fn begin(store: &'a Store) -> Result<Self> {
        let old = store.index().keys().await?;
        store.index().refresh().await?;
        let segments = store.index().segments();
        let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
        is_whole(store, &packs, &segments).await?;
        let RootRecords { sound: records, damaged, .. } = store.root_records().await?;
        let (damaged, unread): (Vec<_>, Vec<_>) =
            damaged.into_iter().partition(Error::is_malformed);
        unread.into_iter().next().map_or(Ok(()), Err)?;
        let roots = records.iter().map(|record| *record.root.hash());
        let roots = roots.chain(damaged.iter().filter_map(root_of)).collect();
        Ok(Self {
            store,
            writer: store.index().writer(),
            old,
            segments,
            packs,
            records,
            roots,
            damaged,
            keep: HashSet::new(),
            known: HashMap::new(),
            lone: HashSet::new(),
            torn: HashSet::new(),
            sizes: BTreeMap::new(),
            named: BTreeSet::new(),
            all_roots: false,
            done: Rebuilt::default(),
        })
    }

    /// Takes over a part, if all of its segments are there and whole.
    pub(super) async fn take(&mut self, part: &IndexPart) -> Result<()> {
        let of_key = |key: &Key| self.segments.iter().find(|segment| segment.key() == key);
        let segments: Option<Vec<_>> = part.segments.iter().map(of_key).collect();
        let Some(segments) =
            segments.filter(|_| part.segments.iter().all(|key| self.old.contains(key)))
        else {
            return Ok(());
        };
        for segment in &segments {
            match self.store.index().verify(segment).await {
                Err(error) if error.is_malformed() || error.is_not_found() => return Ok(()),
                verified => verified?,
            }
        }
        for location in segments.iter().flat_map(|segment| segment.locations()) {
            self.known.extend(location.pack().map(|name| (*name, location.size())));
        }
        self.keep.extend(part.segments.iter().cloned());
        self.named.extend(&part.roots);
        Ok(())
    }

    /// Reads a pack, and notes its blobs.
    pub(super) async fn read(
        &mut self,
        pack: &StoredPack,
        read: &mut impl FnMut(u64),
    ) -> Result<()> {
        let (store, name) = (self.store, &pack.name);
        let is_blob = self.roots.contains(name) || self.is_own_blob(name).await?;
        let content = match read_pack(&**store.packs(), name, pack.size, is_blob).await {
            Ok(content) => content,
            Err(error) if error.is_malformed() => {
                self.done.damaged.push(error.of(text_of(name)));
                self.torn.insert(*name);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        read(pack.size);
        self.done.packs += 1;
        self.sizes.insert(*name, pack.size);
        if content.is_lone {
            self.lone.insert(*name);
            return Ok(());
        }
        if is_blob {
            self.named.insert(Cid::new_v1(codec::RAW, *name));
        }
        let location = Location::Pack { name: *name, size: pack.size };
        for blob in &content.blobs {
            self.writer.blob(&blob.cid, &location, blob.offset, blob.len).await?;
        }
        self.done.blobs += content.blobs.len() as u64;
        self.named.extend(content.roots);
        Ok(())
    }

    /// Whether the old index says that a pack is a blob by itself.
    async fn is_own_blob(&self, name: &Hash) -> Result<bool> {
        match self.store.index().find(EntryKind::Blob, name).await {
            Err(error) if error.is_malformed() => Ok(false),
            found => Ok(found?.iter().any(|found| found.location.pack() == Some(name))),
        }
    }

    /// Notes what the index says of packs that nothing here opens, and of those that are damaged: by that they may be healed. A pack of which it says nothing is a
    /// blob by itself.
    pub(super) async fn believe(&mut self) -> Result<()> {
        let index = self.store.index();
        let wrapped = match self.lone.is_empty() {
            true => HashSet::new(),
            false => index.inhabited(self.lone.clone()).await?,
        };
        let indexed = self.segments.iter().flat_map(|segment| segment.locations());
        let indexed: HashSet<&Hash> = indexed.filter_map(Location::pack).collect();
        if let Some(fault) = index.damaged().first()
            && let Some(name) = self.lone.iter().find(|name| !indexed.contains(name))
        {
            let what = "it may be wrapped, and the part of the index that may know it is damaged: it needs a key";
            let error = Error::new(ErrorKind::Malformed(what));
            return Err(error.of(format!(
                "{} of {}",
                text_of(name),
                fault.object().unwrap_or_default()
            )));
        }
        for name in self.lone.difference(&wrapped) {
            let (cid, size) = (Cid::new_v1(codec::RAW, *name), self.sizes[name]);
            self.writer.blob(&cid, &Location::Pack { name: *name, size }, 0, size).await?;
            self.done.blobs += 1;
            self.named.insert(cid);
        }
        let packs: HashSet<Hash> = wrapped.iter().chain(&self.torn).copied().collect();
        let mut entries = match index.blobs_of(packs).await {
            // Of packs that are torn, the segment that is lost may be the one that speaks.
            Err(error) if error.is_malformed() && wrapped.is_empty() => return Ok(()),
            entries => entries?,
        };
        while let Some((name, IndexEntry { hash, found, .. })) = entries.try_next().await? {
            let is_wrapped = wrapped.contains(&name);
            if is_wrapped && hash == name {
                continue;
            }
            let cid = Cid::new_v1(found.codec, hash);
            self.writer.blob(&cid, &found.location, found.offset, found.len).await?;
            self.sizes.insert(name, found.location.size());
            self.done.blobs += u64::from(is_wrapped);
        }
        Ok(())
    }

    /// Notes which packs have which DAG, and lets the old index go.
    pub(super) async fn finish(mut self) -> Result<Rebuilt> {
        self.believe().await?;
        let (store, mut writer) = (self.store, self.writer);
        // Which packs have blobs of a DAG, the index of blobs tells.
        writer.flush().await?;
        let known: HashSet<Cid> = self.records.iter().map(|record| record.root).collect();
        for record in &self.records {
            for name in &record.packs {
                if let Some(size) = self.sizes.get(name) {
                    let location = Location::Pack { name: *name, size: *size };
                    writer.containing(&record.root, &location)?;
                }
            }
        }
        let is_all = self.all_roots || self.records.is_empty();
        let by_index = match is_all || !self.damaged.is_empty() {
            true => by_index(store, &self.sizes).await?,
            false => BTreeMap::new(),
        };
        // A root that was removed stays so; its packs name it still.
        let all: BTreeSet<&Cid> = self.named.iter().chain(by_index.keys()).collect();
        let wanted = all.into_iter().filter(|root| {
            let stands_in = self.damaged.iter().any(|error| is_record_of(error, root));
            !known.contains(root) && (stands_in || is_all)
        });
        let mut found = Vec::new();
        let condemned = store.condemned().await?;
        let is_there =
            |location: &Location| location.pack().is_some_and(|name| self.sizes.contains_key(name));
        for root in wanted {
            // Each by itself: what several have in common, each of them needs.
            let locations = match under(store, root, &mut HashSet::new(), is_there).await? {
                Under::Whole(locations) => locations,
                Under::Not(block, error) => match by_index.get(root) {
                    // What is in there nobody can tell, but what was put with it.
                    Some(locations) if is_closed(store, &block, is_there).await? => {
                        locations.clone()
                    }
                    None if !self.named.contains(root) => continue,
                    // What it needs is not known, so that a record of it would say too little.
                    _ => {
                        self.done.incomplete.push(IncompleteRoot { root: *root, block, error });
                        continue;
                    }
                },
            };
            let packs: Vec<Hash> = locations.iter().filter_map(Location::pack).copied().collect();
            // That of packs which are about to go was removed.
            if packs.iter().any(|name| condemned.contains(name)) {
                continue;
            }
            for location in &locations {
                writer.containing(root, location)?;
            }
            found.push(RootRecord { root: *root, packs });
            self.done.roots += 1;
        }
        writer.flush().await?;
        self.keep.extend(writer.keys().iter().cloned());
        self.old.retain(|key| !self.keep.contains(key));
        store.index().remove(&self.old).await?;
        if is_all {
            let needed = self.records.iter().chain(&found).flat_map(|record| &record.packs);
            let needed: HashSet<&Hash> = needed.collect();
            let unneeded = self.sizes.keys().filter(|name| !needed.contains(name));
            self.done.unneeded = unneeded.copied().collect();
        }
        let packs = self.sizes.into_keys().collect();
        let is_known = |error: &Error| {
            let mut roots = self.records.iter().chain(&found).map(|record| &record.root);
            roots.any(|root| is_record_of(error, root))
        };
        let (replaced, kept): (Vec<_>, Vec<_>) = self.damaged.into_iter().partition(is_known);
        store.replace_roots(&found, &replaced, &packs).await?;
        self.done.damaged_roots = kept;
        Ok(self.done)
    }
}

/// The roots that the index knows, with those of these packs that were put for them.
async fn by_index(
    store: &Store,
    sizes: &BTreeMap<Hash, u64>,
) -> Result<BTreeMap<Cid, BTreeSet<Location>>> {
    let mut roots = BTreeMap::<Cid, BTreeSet<Location>>::new();
    let mut entries = match store.index().entries().await {
        // It is of no use, and is made again.
        Err(error) if error.is_malformed() => return Ok(roots),
        entries => entries?,
    };
    while let Some(entry) = entries.try_next().await? {
        let location = entry.found.location;
        let is_there = location.pack().is_some_and(|name| sizes.contains_key(name));
        if entry.kind == EntryKind::Containing && is_there {
            roots.entry(Cid::new_v1(entry.found.codec, entry.hash)).or_default().insert(location);
        }
    }
    Ok(roots)
}

/// Compares a listing with the index: an index without packs that are there is worse than the old one.
async fn is_whole(store: &Store, listed: &[StoredPack], indexed: &[Arc<Segment>]) -> Result<()> {
    let listed: HashSet<Hash> = listed.iter().map(|pack| pack.name).collect();
    for segment in indexed {
        for name in segment.locations().iter().filter_map(Location::pack) {
            if !listed.contains(name) && store.packs().size(name).await?.is_some() {
                return Err(Error::new(ErrorKind::NotListed).of(text_of(name)));
            }
        }
    }
    Ok(())
}
