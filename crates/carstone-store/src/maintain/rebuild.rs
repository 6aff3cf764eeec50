//! The index, made again from the packs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use carstone_car::{Cid, codec};
use futures::TryStreamExt;

use super::check::is_in;
use super::pack::read_pack;
use super::walk::{IncompleteRoot, Under, under};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{IndexEntry, Location, Segment, SegmentIndexWriter};
use crate::name::{Hash, Key, text_of};
use crate::pack::StoredPack;
use crate::store::{IndexPart, RootRecord, RootRecords, Store, is_record_of};

/// What making an index again came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Packs that were read.
    pub packs: u64,
    /// Blobs that they have.
    pub blobs: u64,
    /// Packs that needed not be read, since a [part](rebuild_part) has them.
    pub known: u64,
    /// Roots that packs name, and no record did.
    pub roots: u64,
    /// Roots of which no record was made, since not all that is under them is there.
    pub incomplete: Vec<IncompleteRoot>,
    /// Records of roots that are damaged, and for which no other stands.
    pub damaged_roots: Vec<Error>,
    /// Packs that could not be used, and why. What the old index says of them stays, so that they can be healed.
    pub damaged: Vec<Error>,
}

/// Makes the index of a store from its packs alone. All packs are read and verified. The old index goes when the new one is there; entries for what lies outside of
/// the store go with it.
///
/// Records of roots that are damaged are made again, and where there are none at all, those of all roots that packs name: of those under which everything is
/// there. Else a root without a record was removed, and stays so; [`rebuild_roots`] makes records of these too.
///
/// `read` hears of the bytes of each pack.
///
/// # Errors
/// Packs cannot be listed or read, the listing leaves out packs of the index that are there, or the new index cannot be kept. Then the old one is there still.
pub async fn rebuild_index(store: &Store, read: impl FnMut(u64)) -> Result<Rebuilt> {
    rebuild(store, false, false, read).await
}

/// The same, with records of all roots that packs name and that have none: when some of the records were lost. A root that was removed comes back with them, as long as all that
/// is under it is there.
///
/// # Errors
/// As [`rebuild_index`].
pub async fn rebuild_roots(store: &Store, read: impl FnMut(u64)) -> Result<Rebuilt> {
    rebuild(store, false, true, read).await
}

/// Makes a part of the index again, that of the packs of part I of N, counted from 0 on, so that several machines can share the work. Nothing goes: the new segments stand
/// beside the old ones until [`finish_rebuild`], which reads what no part has.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{Blob, PackWriterOptions, Store, finish_rebuild, rebuild_part};
/// let store = Store::in_memory().await?;
/// store.put(Blob::bytes(&b"keystone"[..]), PackWriterOptions::default()).await?;
/// // Each of them on another machine.
/// let (first, second) = (rebuild_part(&store, (0, 2), |_| ()).await?, rebuild_part(&store, (1, 2), |_| ()).await?);
/// assert_eq!(first.packs + second.packs, 1);
/// let done = finish_rebuild(&store, |_| ()).await?;
/// assert_eq!((done.packs, done.known), (0, 1));
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// As [`rebuild_index`].
pub async fn rebuild_part(
    store: &Store,
    part: (u64, u64),
    mut read: impl FnMut(u64),
) -> Result<Rebuilt> {
    let mut work = Work::begin(store).await?;
    for pack in std::mem::take(&mut work.packs) {
        if is_in(&pack.name, Some(part)) {
            work.read(&pack, &mut read).await?;
        }
    }
    work.believe().await?;
    work.writer.flush().await?;
    let segments = work.writer.keys().to_vec();
    // Whoever finds the note finds all of its segments, or takes it for none.
    let part = IndexPart { segments, roots: work.named.into_iter().collect() };
    if !part.segments.is_empty() {
        store.note_part(&part).await?;
    }
    Ok(work.done)
}

/// Ends what [`rebuild_part`] has begun: as [`rebuild_index`], but packs that are in a part are not read again. A part of which a segment is gone, because segments have been
/// put together meanwhile, counts as none. So this may run whenever it likes, and has the more to read the fewer parts are done.
///
/// # Errors
/// As [`rebuild_index`].
pub async fn finish_rebuild(store: &Store, read: impl FnMut(u64)) -> Result<Rebuilt> {
    rebuild(store, true, false, read).await
}

async fn rebuild(
    store: &Store,
    with_parts: bool,
    all_roots: bool,
    mut read: impl FnMut(u64),
) -> Result<Rebuilt> {
    // Notes first: the segments of those that are found are then among the old ones.
    let mut notes = if with_parts { store.parts().await? } else { Vec::new() };
    let mut work = Work::begin(store).await?;
    work.all_roots = all_roots;
    for part in notes.iter().filter_map(|(_, part)| part.as_ref()) {
        work.take(part).await?;
    }
    for pack in std::mem::take(&mut work.packs) {
        match work.known.remove(&pack.name) {
            Some(size) => {
                work.sizes.insert(pack.name, size);
                work.done.known += 1;
            }
            None => work.read(&pack, &mut read).await?,
        }
    }
    let done = work.finish().await?;
    if !with_parts {
        // Their segments are gone.
        notes = store.parts().await?;
    }
    let notes: Vec<Key> = notes.into_iter().map(|(key, _)| key).collect();
    store.forget_parts(&notes).await?;
    Ok(done)
}

/// An index in the making.
struct Work<'a> {
    store: &'a Store,
    writer: SegmentIndexWriter,
    /// Segments that there were. Whatever they speak of was durable before them, and so is listed. Those that come later stay.
    old: Vec<Key>,
    segments: Vec<Arc<Segment>>,
    packs: Vec<StoredPack>,
    records: Vec<RootRecord>,
    /// The roots of which there are records.
    roots: HashSet<Hash>,
    /// Records of roots that are damaged.
    damaged: Vec<Error>,
    /// Segments of parts that are of use, and the packs that they have, with their bytes.
    keep: HashSet<Key>,
    known: HashMap<Hash, u64>,
    /// Packs that are no CAR, and those that are damaged: what the old index says of them stays.
    lone: HashSet<Hash>,
    torn: HashSet<Hash>,
    /// Packs that the new index has, and their bytes.
    sizes: BTreeMap<Hash, u64>,
    /// Roots that packs name.
    named: BTreeSet<Cid>,
    /// Whether roots that packs name get records, though there are some of others.
    all_roots: bool,
    done: Rebuilt,
}

impl<'a> Work<'a> {
    async fn begin(store: &'a Store) -> Result<Self> {
        let old = store.index().keys().await?;
        store.index().refresh().await?;
        let segments = store.index().segments();
        let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
        is_whole(store, &packs, &segments).await?;
        let RootRecords { sound: records, damaged, .. } = store.root_records().await?;
        let (damaged, unread): (Vec<_>, Vec<_>) =
            damaged.into_iter().partition(Error::is_malformed);
        unread.into_iter().next().map_or(Ok(()), Err)?;
        let roots = records.iter().map(|record| *record.root.hash()).collect();
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
    async fn take(&mut self, part: &IndexPart) -> Result<()> {
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
    async fn read(&mut self, pack: &StoredPack, read: &mut impl FnMut(u64)) -> Result<()> {
        let (store, name) = (self.store, &pack.name);
        let is_blob = self.roots.contains(name);
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
        let location = Location::Pack { name: *name, size: pack.size };
        for blob in &content.blobs {
            self.writer.blob(&blob.cid, &location, blob.offset, blob.len).await?;
        }
        self.done.blobs += content.blobs.len() as u64;
        self.named.extend(content.roots);
        Ok(())
    }

    /// Notes what the index says of packs that nothing here opens, and of those that are damaged: by that they may be healed. A pack of which it says nothing is a
    /// blob by itself.
    async fn believe(&mut self) -> Result<()> {
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
    async fn finish(mut self) -> Result<Rebuilt> {
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
        // A root that was removed stays so; its packs name it still.
        let wanted = self.named.iter().filter(|root| {
            let stands_in = self.damaged.iter().any(|error| is_record_of(error, root));
            !known.contains(root) && (stands_in || self.all_roots || self.records.is_empty())
        });
        let (mut found, mut whole) = (Vec::new(), HashSet::new());
        let condemned = store.condemned().await?;
        let is_there =
            |location: &Location| location.pack().is_some_and(|name| self.sizes.contains_key(name));
        for root in wanted {
            let locations = match under(store, root, &mut whole, is_there).await? {
                Under::Whole(locations) => locations,
                // What it needs is not known, so that a record of it would say too little.
                Under::Not(block, error) => {
                    self.done.incomplete.push(IncompleteRoot { root: *root, block, error });
                    continue;
                }
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
