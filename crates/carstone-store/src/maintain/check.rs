//! What is wrong with a store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use super::finding::Finding;
use super::options::{CheckOptions, Checked, is_in};
use super::pack::{PackContent, read_pack};
use super::sidecar::{can_restore, verify};
use super::walk::incomplete;
use crate::error::{Error, Result};
use crate::index::{EntryKind, Found, Index, Location};
use crate::name::{Hash, text_of};
use crate::pack::{BlobPlace, StoredPack};
use crate::store::{RootRecord, RootRecords, Store};

/// Looks for what is wrong with a store. `tell` hears of each thing.
///
/// A pack that cannot be read is told, and the next one is read, as long as the store itself answers. What others put, remove and put together at the same time is no fault: a
/// pack that no segment speaks of is told if a root needs it, or if it is a day old.
///
/// # Errors
/// Something cannot be listed, the index cannot be read, the store does not answer any more, or what `tell` says.
pub async fn check(
    store: &Store,
    options: CheckOptions,
    tell: impl FnMut(Finding) -> Result<()>,
) -> Result<Checked> {
    check_with(store, options, tell, |_| ()).await
}

/// The same. `done` hears of the bytes of each pack that has been read.
///
/// # Errors
/// As [`check`].
pub async fn check_with(
    store: &Store,
    options: CheckOptions,
    tell: impl FnMut(Finding) -> Result<()>,
    mut done: impl FnMut(u64),
) -> Result<Checked> {
    // In this order: what a root needs has been indexed before it was noted, and what is indexed has been put before that.
    let records = store.root_records().await?;
    store.index().refresh().await?;
    let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
    let mut check = Check {
        store,
        options,
        sizes: packs.iter().map(|pack| (pack.name, pack.size)).collect(),
        packs,
        sidecars: sidecars(store).await?,
        records,
        indexed: BTreeSet::new(),
        lost: HashSet::new(),
        counts: HashMap::new(),
        has_damage: false,
        tell,
        checked: Checked::default(),
    };
    check.segments().await?;
    check.listing().await?;
    check.roots().await?;
    check.data(&mut done).await?;
    check.below_roots().await?;
    check.extra_entries().await?;
    check.checked.roots = check.records.sound.len() as u64;
    Ok(check.checked)
}

/// A check under way.
struct Check<'a, T> {
    store: &'a Store,
    options: CheckOptions,
    packs: Vec<StoredPack>,
    sizes: BTreeMap<Hash, u64>,
    /// Packs that have sidecars.
    sidecars: HashSet<Hash>,
    records: RootRecords,
    /// Packs that segments speak of.
    indexed: BTreeSet<Hash>,
    /// Packs with which something is wrong, or which nothing here opens.
    lost: HashSet<Hash>,
    /// How many blobs there are in those packs of which all are known.
    counts: HashMap<Hash, u64>,
    /// Whether a part of the index is damaged.
    has_damage: bool,
    tell: T,
    checked: Checked,
}

impl<T: FnMut(Finding) -> Result<()>> Check<'_, T> {
    fn find(&mut self, finding: Finding) -> Result<()> {
        self.checked.findings += 1;
        match &finding {
            Finding::MissingPack(name)
            | Finding::NotListed(name)
            | Finding::WrongSize { pack: name, .. }
            | Finding::DamagedPack { name, .. }
            | Finding::UnreadablePack { name, .. } => drop(self.lost.insert(*name)),
            Finding::DamagedSegment(_) => self.has_damage = true,
            _ => {}
        }
        (self.tell)(finding)
    }

    /// Compares segments with their names, and the packs that they speak of with the listing.
    async fn segments(&mut self) -> Result<()> {
        let store = self.store;
        for fault in store.index().damaged() {
            self.find(Finding::DamagedSegment(fault.to_string()))?;
        }
        let (mut unlisted, mut missing) = (Vec::new(), Vec::new());
        for segment in store.index().segments() {
            if let Err(error) = store.index().verify(&segment).await {
                match error.is_malformed() {
                    true => self.find(Finding::DamagedSegment(error.to_string()))?,
                    // It has been put together with others meanwhile.
                    false if error.is_not_found() => {}
                    false => return Err(error),
                }
            }
            for location in segment.locations() {
                let Some(name) = location.pack() else { continue };
                if !self.indexed.insert(*name) {
                    continue;
                }
                match self.sizes.get(name) {
                    None => unlisted.push(*name),
                    Some(size) if *size != location.size() => {
                        let (indexed, found) = (location.size(), *size);
                        self.find(Finding::WrongSize { pack: *name, indexed, found })?;
                    }
                    Some(_) => {}
                }
            }
        }
        for name in unlisted {
            match store.packs().size(&name).await {
                Ok(None) => missing.push(name),
                Ok(Some(_)) => self.find(Finding::NotListed(name))?,
                Err(error) => {
                    let finding = unreadable(store, name, error).await?;
                    self.find(finding)?;
                }
            }
        }
        self.missing(missing).await
    }

    /// Tells that packs are missing, but for those that somebody has taken meanwhile as what nobody needs: then the index does not speak of them any more, and no root.
    async fn missing(&mut self, names: Vec<Hash>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut needed = self.indexed_now().await?;
        let missing: BTreeSet<Hash> = names.into_iter().collect();
        let is_of_one =
            |record: &&RootRecord| record.packs.iter().any(|pack| missing.contains(pack));
        for record in self.records.sound.iter().filter(is_of_one) {
            if self.store.has_record(record).await? {
                needed.extend(&record.packs);
            }
        }
        for name in missing {
            match needed.contains(&name) {
                true => self.find(Finding::MissingPack(name))?,
                false => drop(self.lost.insert(name)),
            }
        }
        Ok(())
    }

    /// The packs that segments speak of by now. A listing beside somebody who puts them together may have left some out.
    async fn indexed_now(&self) -> Result<HashSet<Hash>> {
        self.store.index().refresh().await?;
        let segments = self.store.index().segments();
        let locations = segments.iter().flat_map(|segment| segment.locations());
        Ok(locations.filter_map(Location::pack).copied().collect())
    }

    /// Looks for packs that no segment speaks of.
    async fn listing(&mut self) -> Result<()> {
        let of_roots = self.records.sound.iter().flat_map(|record| &record.packs);
        let of_roots: HashSet<&Hash> = of_roots.collect();
        let before = SystemTime::now().checked_sub(YOUNG);
        let is_told = |pack: &&StoredPack| {
            // Somebody may be about to index it.
            let is_old = pack.modified.zip(before).is_none_or(|(made, before)| made <= before);
            !self.indexed.contains(&pack.name) && (is_old || of_roots.contains(&pack.name))
        };
        let mut told: Vec<Hash> = self.packs.iter().filter(is_told).map(|pack| pack.name).collect();
        if !told.is_empty() {
            let indexed = self.indexed_now().await?;
            told.retain(|name| !indexed.contains(name));
        }
        told.into_iter().try_for_each(|name| self.find(Finding::Unindexed(name)))
    }

    async fn roots(&mut self) -> Result<()> {
        let store = self.store;
        for error in std::mem::take(&mut self.records.damaged) {
            if !error.is_malformed() {
                store.answers().await?;
            }
            self.find(Finding::DamagedRoot(error))?;
        }
        for key in std::mem::take(&mut self.records.odd) {
            self.find(Finding::OddKey(key))?;
        }
        let packs = self.records.sound.iter().flat_map(|record| &record.packs);
        let is_known =
            |name: &&Hash| self.sizes.contains_key(*name) || self.indexed.contains(*name);
        self.missing(packs.filter(|name| !is_known(name)).copied().collect()).await?;
        for record in self.records.sound.clone() {
            // A pack that names no root is one itself.
            let found = entries(store.places(record.root.hash()).await)?;
            if found.is_some_and(|found| found.is_empty()) && store.has_record(&record).await? {
                self.find(Finding::MissingRoot(*record.root.hash()))?;
            }
        }
        Ok(())
    }

    /// Reads packs, and compares them with the index.
    async fn data(&mut self, done: &mut impl FnMut(u64)) -> Result<()> {
        let (store, options) = (self.store, self.options);
        let (mut closed, mut gone) = (Closed { index: store.index(), known: None }, Vec::new());
        for pack in std::mem::take(&mut self.packs) {
            if !is_in(&pack.name, options.part) {
                continue;
            }
            self.checked.packs += 1;
            self.checked.bytes = self.checked.bytes.saturating_add(pack.size);
            self.checked.protected += u64::from(self.sidecars.contains(&pack.name));
            if !options.read_data || !is_in(&pack.name, options.read_part) {
                continue;
            }
            let itself = entries(store.index().find(EntryKind::Blob, &pack.name).await)?;
            let is_blob =
                itself.into_iter().flatten().any(|found| found.location.pack() == Some(&pack.name));
            let read = read_pack(&**store.packs(), &pack.name, pack.size, is_blob).await;
            let has_sidecar = read.is_ok() && self.sidecars.contains(&pack.name);
            match read {
                // That its bytes are right is all that can be said, or that is to be.
                Ok(content) if content.is_lone && closed.has(&pack.name, &self.sizes).await? => {
                    self.lost.insert(pack.name);
                }
                Ok(_) if is_blob => {}
                Ok(content) => self.blobs(&pack.name, &content).await?,
                Err(error) if error.is_malformed() => {
                    let error = error.of(text_of(&pack.name));
                    let parity = can_restore(store, &pack.name).await;
                    self.find(Finding::DamagedPack { name: pack.name, error, parity })?;
                }
                // It went after it was listed.
                Err(error) if error.is_not_found() => gone.push(pack.name),
                Err(error) => {
                    let finding = unreadable(store, pack.name, error).await?;
                    self.find(finding)?;
                }
            }
            if has_sidecar && let Some(error) = verify(store, &pack).await? {
                self.find(Finding::BadSidecar { pack: pack.name, error })?;
            }
            done(pack.size);
        }
        self.missing(gone).await
    }

    /// Looks for the blobs of a pack in the index.
    async fn blobs(&mut self, pack: &Hash, content: &PackContent) -> Result<()> {
        let (mut places, mut is_fresh) = (BTreeSet::new(), false);
        for blob in &content.blobs {
            let hash = blob.cid.hash();
            let is_there = !self.indexed.contains(pack) || self.is_indexed(pack, blob).await?;
            if !is_there && !std::mem::replace(&mut is_fresh, true) {
                self.store.index().refresh().await?;
            }
            if !is_there && !self.is_indexed(pack, blob).await? {
                self.find(Finding::MissingEntry { pack: *pack, blob: *hash })?;
            }
            places.insert((*hash, blob.offset));
        }
        self.counts.insert(*pack, places.len() as u64);
        Ok(())
    }

    /// Whether the index has a blob where it lies. Of what a damaged segment had, nobody knows.
    async fn is_indexed(&self, pack: &Hash, blob: &BlobPlace) -> Result<bool> {
        let found = entries(self.store.index().find(EntryKind::Blob, blob.cid.hash()).await)?;
        let is_it = |found: &Found| {
            found.location.pack() == Some(pack)
                && (found.offset, found.len) == (blob.offset, blob.len)
        };
        Ok(found.is_none_or(|found| found.iter().any(is_it)))
    }

    /// What the packs of a root lack, none of them tells by itself.
    async fn below_roots(&mut self) -> Result<()> {
        if !self.options.read_data || self.has_damage {
            return Ok(());
        }
        let mut whole = HashSet::new();
        for record in self.records.sound.clone() {
            let is_in = |part| is_in(record.root.hash(), part);
            let is_lost = record.packs.iter().any(|name| self.lost.contains(name));
            if !is_in(self.options.part) || !is_in(self.options.read_part) || is_lost {
                continue;
            }
            let is_there = |location: &Location| {
                let is_there = |name| self.sizes.contains_key(name) && !self.lost.contains(name);
                location.pack().is_none_or(is_there)
            };
            if let Some(root) = incomplete(self.store, &record, &mut whole, is_there).await? {
                self.find(Finding::IncompleteRoot(root))?;
            }
        }
        Ok(())
    }

    /// Entries that lead nowhere are more than there are blobs.
    async fn extra_entries(&mut self) -> Result<()> {
        if self.counts.is_empty() || self.has_damage {
            return Ok(());
        }
        let packs: HashSet<Hash> = self.counts.keys().copied().collect();
        let (mut entries, mut last) = (self.store.index().blobs_of(packs).await?, None);
        let mut extra = HashMap::<Hash, u64>::new();
        while let Some((pack, entry)) = entries.try_next().await? {
            // One place may have several codecs.
            let place = Some((pack, entry.hash, entry.found.offset, entry.found.len));
            if place != last {
                *extra.entry(pack).or_default() += 1;
            }
            last = place;
        }
        for (pack, there) in std::mem::take(&mut self.counts) {
            let count = extra.get(&pack).copied().unwrap_or_default().saturating_sub(there);
            if count > 0 {
                self.find(Finding::ExtraEntries { pack, count })?;
            }
        }
        Ok(())
    }
}

/// The packs that have sidecars.
async fn sidecars(store: &Store) -> Result<HashSet<Hash>> {
    match store.packs().sidecars() {
        Some(sidecars) => sidecars.list().map_ok(|sidecar| sidecar.name).try_collect().await,
        None => Ok(HashSet::new()),
    }
}

/// What the index says; `None` where a segment is damaged, which is told by itself.
fn entries(found: Result<Vec<Found>>) -> Result<Option<Vec<Found>>> {
    match found {
        Err(error) if error.is_malformed() => Ok(None),
        found => found.map(Some),
    }
}

/// Packs that are no CAR, and in which the index knows blobs: they are wrapped, and nothing here opens them.
struct Closed<'a> {
    index: &'a Index,
    /// Which they are, once that is asked for; `Some(None)`: nobody knows.
    known: Option<Option<HashSet<Hash>>>,
}

impl Closed<'_> {
    async fn has(&mut self, pack: &Hash, all: &BTreeMap<Hash, u64>) -> Result<bool> {
        let known = match &mut self.known {
            Some(known) => known,
            none => {
                let known = match self.index.inhabited(all.keys().copied().collect()).await {
                    // What a damaged segment says of them cannot be known.
                    Err(error) if error.is_malformed() => None,
                    Ok(_) if !self.index.damaged().is_empty() => None,
                    known => Some(known?),
                };
                none.insert(known)
            }
        };
        Ok(known.as_ref().is_none_or(|known| known.contains(pack)))
    }
}

/// What an error of one pack comes to. Where the store itself does not answer, there is nothing to be said of its packs.
async fn unreadable(store: &Store, name: Hash, error: Error) -> Result<Finding> {
    store.answers().await?;
    Ok(Finding::UnreadablePack { name, error: error.of(text_of(&name)) })
}

/// How long a put may take.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
