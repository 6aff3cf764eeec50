//! hash-stream's records and sharded-DAG indexes, taken into the index of a store.

use std::collections::{BTreeSet, HashMap};
use std::mem::take;

use bytes::Bytes;
use carstone_car::{Cid, codec, verify};
use futures::TryStreamExt;

use super::format::{MAX_PLACE_LEN, MAX_PLACE_OFFSET, malformed};
use super::location::{Location, MAX_TEXT};
use super::record_index::{RecordPlace, Told};
use super::record_layout::RecordLayout;
use super::records::{BLOB_VARIANT, CONTAINING_VARIANT, IndexRecord, RecordLocation};
use super::sharded::ShardedDagIndex;
use super::traits::SegmentIndexWriter;
use crate::error::{Error, Result};
use crate::name::{Hash, Key};
use crate::objects::{Object, Objects};
use crate::pack::{Dedupe, PackWriterOptions};
use crate::store::{RootRecord, Store};

/// What an import came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Imported {
    /// Records that were taken.
    pub records: u64,
    /// Places of blobs that they have.
    pub blobs: u64,
    /// Blobs that records held themselves. They are in packs of the store now.
    pub inline: u64,
    /// Roots that were noted.
    pub roots: u64,
    /// Objects that are no records by their keys.
    pub others: u64,
    /// Records that could not be taken, and why. Nothing of them was.
    pub refused: Vec<Error>,
}

/// Takes all of hash-stream's records among these objects into the index of a store: of all levels, at once.
///
/// The records say nothing of codecs: a root is taken to be of dag-pb, but where it is the only blob of its DAG, and all other blobs to be raw. Each DAG becomes a root
/// of the store, and so does each pack that is told and that no DAG has, so that [`collect`](crate::collect) takes none of them. Small blobs that are
/// held by records are verified and put into a pack. Other places are believed; what they lead to is verified when it is read.
///
/// # Errors
/// Objects cannot be listed or read, or the index cannot be kept. What was taken may stay.
pub async fn import_records(
    store: &Store,
    from: &dyn Objects,
    layout: &RecordLayout,
) -> Result<Imported> {
    let mut import = Import::new(store);
    let mut listed = from.list(layout.prefix());
    while let Some(object) = listed.try_next().await? {
        let Some(subject) = layout.subject(&object.key) else {
            import.done.others += 1;
            continue;
        };
        match import.object(from, &object, &subject).await {
            Ok(()) => import.done.records += 1,
            Err(error) if error.is_malformed() => import.done.refused.push(error.of(&object.key)),
            Err(error) => return Err(error),
        }
    }
    import.finish().await
}

/// Takes a sharded-DAG index into the index of a store, and notes its root.
///
/// # Errors
/// The index cannot be kept, or a place in it is out of all bounds.
pub async fn import_sharded_index(store: &Store, index: &ShardedDagIndex) -> Result<Imported> {
    let mut import = Import::new(store);
    let root = *index.content();
    let packs: Vec<Hash> = index.packs().copied().collect();
    for pack in &packs {
        let location = import.pack(pack).await?;
        for (blob, offset, len) in index.blobs(pack) {
            // The codec is known of the root alone.
            let codec = if blob == root.hash() { root.codec() } else { codec::RAW };
            import.add(blob, codec, &location, offset, len).await?;
        }
        import.writer.containing(&root, &location)?;
    }
    import.roots.push(RootRecord { root, packs });
    import.done.records = 1;
    import.finish().await
}

struct Import<'a> {
    store: &'a Store,
    writer: SegmentIndexWriter,
    sizes: HashMap<Hash, u64>,
    roots: Vec<RootRecord>,
    /// Packs that are told, and those that a DAG has.
    told: BTreeSet<Hash>,
    named: BTreeSet<Hash>,
    /// Blobs that belong to no DAG, and their bytes.
    inline: Vec<(Cid, Bytes)>,
    waiting: usize,
    done: Imported,
}

impl<'a> Import<'a> {
    fn new(store: &'a Store) -> Self {
        let (told, named, inline) = Default::default();
        let (writer, (sizes, roots)) = (store.index().writer(), Default::default());
        let done = Imported::default();
        Self { store, writer, sizes, roots, told, named, inline, waiting: 0, done }
    }

    async fn object(&mut self, from: &dyn Objects, object: &Object, subject: &Hash) -> Result<()> {
        if object.size > MOST_RECORD {
            return Err(malformed("a record of an index is larger than 256 MiB"));
        }
        let key = Key::new(&object.key)?;
        let bytes = from.read(&key, 0..object.size).await?;
        let (record, variant) = IndexRecord::decode(&bytes)?;
        if variant != BLOB_VARIANT && variant != CONTAINING_VARIANT {
            return Err(malformed("a record of an index has an unknown version"));
        }
        if record.multihash != *subject {
            return Err(malformed("a record of an index is not about what its key says"));
        }
        self.record(&record).await
    }

    async fn record(&mut self, record: &IndexRecord) -> Result<()> {
        let told = Told::of(record)?;
        // Nothing of a record is taken that is not all in order.
        let (mut places, mut inline) = (Vec::new(), Vec::new());
        for place in told.places {
            match &place.location {
                RecordLocation::Inline(data) => {
                    let cid = Cid::new_v1(codec::RAW, place.hash);
                    verify(&cid, data)?;
                    inline.push((cid, Bytes::copy_from_slice(data)));
                }
                _ => places.push(self.place(place).await?),
            }
        }
        let sets: Vec<(Cid, Vec<RecordLocation>)> = told
            .sets
            .into_iter()
            .map(|set| {
                let codec = if set.has_others { codec::DAG_PB } else { codec::RAW };
                (Cid::new_v1(codec, set.root), set.locations)
            })
            .collect();
        let codec_of: HashMap<Hash, u64> =
            sets.iter().map(|(root, _)| (*root.hash(), root.codec())).collect();
        for (hash, location, offset, len) in places {
            let codec = codec_of.get(&hash).copied().unwrap_or(codec::RAW);
            self.add(&hash, codec, &location, offset, len).await?;
        }
        self.told.extend(told.packs);
        self.done.inline += inline.len() as u64;
        match sets.first() {
            Some((root, _)) if !inline.is_empty() => self.keep(inline, *root).await?,
            _ => {
                self.waiting += inline.iter().map(|(_, data)| data.len()).sum::<usize>();
                self.inline.extend(inline);
                if self.waiting > MOST_INLINE {
                    self.keep_inline().await?;
                }
            }
        }
        for (root, locations) in sets {
            let mut packs = Vec::new();
            for location in locations {
                let location = self.location(&location).await?;
                packs.extend(location.pack().copied());
                self.writer.containing(&root, &location)?;
            }
            self.named.extend(&packs);
            self.roots.push(RootRecord { root, packs });
        }
        Ok(())
    }

    /// A place that an index can have.
    async fn place(&mut self, place: RecordPlace) -> Result<(Hash, Location, u64, u64)> {
        let RecordPlace { hash, location, offset, len } = place;
        let location = self.location(&location).await?;
        let rest = location.size().checked_sub(offset);
        let len = len.or(rest.filter(|_| location.size() > 0));
        let len = len.ok_or_else(|| malformed("a record of a blob does not say how long it is"))?;
        match offset <= MAX_PLACE_OFFSET && len <= MAX_PLACE_LEN {
            true => Ok((hash, location, offset, len)),
            false => Err(malformed("a record has a blob that is too far away, or too long")),
        }
    }

    async fn location(&mut self, location: &RecordLocation) -> Result<Location> {
        match location {
            RecordLocation::Multihash(name) => self.pack(name).await,
            RecordLocation::Path(path) if path.len() <= MAX_TEXT => {
                Ok(Location::Foreign { text: path.clone(), size: 0 })
            }
            RecordLocation::Path(_) => Err(malformed("the text of a location is too long")),
            RecordLocation::Inline(_) => Err(malformed("a record has a set inside of a blob")),
        }
    }

    /// A pack, with its length if the store has it.
    async fn pack(&mut self, name: &Hash) -> Result<Location> {
        let size = match self.sizes.get(name) {
            Some(size) => *size,
            None => self.store.packs().size(name).await?.unwrap_or(0),
        };
        self.sizes.insert(*name, size);
        Ok(Location::Pack { name: *name, size })
    }

    async fn add(
        &mut self,
        hash: &Hash,
        codec: u64,
        location: &Location,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        self.done.blobs += 1;
        self.writer.blob(&Cid::new_v1(codec, *hash), location, offset, len).await
    }

    /// Puts blobs that records held into a pack under this root.
    async fn keep(&mut self, blobs: Vec<(Cid, Bytes)>, root: Cid) -> Result<()> {
        let make = move |put: &mut crate::Put<'_>| {
            blobs.iter().try_for_each(|(cid, data)| put(cid, data))?;
            Ok(root)
        };
        let options = PackWriterOptions::default().dedupe(Dedupe::Blob);
        self.store.put_blocks(make, options, |_| Ok(())).await?;
        self.done.roots += 1;
        Ok(())
    }

    async fn keep_inline(&mut self) -> Result<()> {
        self.waiting = 0;
        let blobs = take(&mut self.inline);
        match blobs.first() {
            Some((first, _)) => {
                let root = *first;
                self.keep(blobs, root).await
            }
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<Imported> {
        self.keep_inline().await?;
        for name in take(&mut self.told).difference(&take(&mut self.named)) {
            let (root, location) = (Cid::new_v1(codec::RAW, *name), self.pack(name).await?);
            self.writer.containing(&root, &location)?;
            self.roots.push(RootRecord { root, packs: vec![*name] });
        }
        self.roots.retain(|record| !record.packs.is_empty());
        // Packs may come later than their records.
        let there = self.sizes.iter().filter(|(_, size)| **size > 0);
        let there = there.map(|(name, _)| *name).collect();
        let index = self.writer.flush();
        self.store.note_roots(&self.roots, &there, index).await?;
        self.done.roots += self.roots.len() as u64;
        Ok(self.done)
    }
}

/// Bytes of a record, which the way from its text to its parts takes several times.
const MOST_RECORD: u64 = 256 << 20;
/// Bytes of blobs that are held before they are packed.
const MOST_INLINE: usize = 16 << 20;
