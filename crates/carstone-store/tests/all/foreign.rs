//! Traits of stores, as programs of others implement them: with nothing but what is public.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::multihash::Multihash;
use carstone_car::{AtReader, Cid, ReadAt};
use carstone_store::{
    Blob, Content, Created, Error, ErrorKind, Found, Hash, IndexReader, IndexWriter, Key, Layout,
    Location, Object, Objects, PackStore, PackWriter, PackWriterOptions, PackWritten,
    PublishedObjects, Result, Source, SourceReader, Spool, Store, StoredPack, index_written,
    remove_root,
};
use carstone_unixfs::Profile;
use futures::stream::{self, BoxStream, StreamExt};

use crate::packs::noise;
use crate::support::{content, findings};

/// Bytes under names, with what both kinds of stores do with them.
#[derive(Clone, Debug)]
struct Map<K>(Arc<Mutex<BTreeMap<K, Bytes>>>);

impl<K: Ord + Clone + fmt::Display> Map<K> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn put(&self, key: K, content: Content) -> Result<Created> {
        let mut bytes = Vec::new();
        match content {
            Content::Bytes(all) => bytes.extend(all),
            Content::Spool(spool) => drop(AtReader::new(spool).read_to_end(&mut bytes)?),
            _ => return Err(Error::new(ErrorKind::Unsupported("other content")).of(key)),
        }
        let mut map = self.0.lock().expect("whole");
        let created = match map.get(&key) {
            None => Created::New,
            Some(kept) if kept.len() == bytes.len() => Created::Existed,
            Some(_) => Created::Replaced,
        };
        map.insert(key, bytes.into());
        Ok(created)
    }

    fn get(&self, key: &K) -> Option<Bytes> {
        self.0.lock().expect("whole").get(key).cloned()
    }

    fn range(&self, key: &K, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = self.get(key).ok_or_else(|| Error::new(ErrorKind::NotFound).of(key))?;
        let Some(range) = range else { return Ok(bytes) };
        let short = || Error::from(io::Error::from(io::ErrorKind::UnexpectedEof)).of(key);
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.filter(|(start, end)| start <= end && *end <= bytes.len());
        part.map(|(start, end)| bytes.slice(start..end)).ok_or_else(short)
    }

    fn sizes(&self) -> Vec<(K, u64)> {
        let map = self.0.lock().expect("whole");
        map.iter().map(|(key, bytes)| (key.clone(), bytes.len() as u64)).collect()
    }

    fn remove(&self, key: &K) -> bool {
        self.0.lock().expect("whole").remove(key).is_some()
    }
}

fn pieces(bytes: Bytes) -> BoxStream<'static, Result<Bytes>> {
    stream::iter([Ok(bytes)]).boxed()
}

#[derive(Clone, Debug)]
struct MapObjects(Map<Key>);

impl fmt::Display for MapObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("map:")
    }
}

#[async_trait]
impl Objects for MapObjects {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        self.0.put(key.clone(), content)
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.0.put(key.clone(), content).map(drop)
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.0.range(key, Some(range))
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.0.range(key, range).map(pieces)
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        Ok(self.0.get(key).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let objects = self.0.sizes().into_iter();
        let objects = objects.map(|(key, size)| Object::new(key.as_str(), size, None));
        let wanted: Vec<_> = objects.filter(|object| object.key.starts_with(prefix)).collect();
        stream::iter(wanted).map(Ok).boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        Ok(self.0.remove(key))
    }

    fn spool(&self) -> Result<Spool> {
        Spool::unnamed()
    }
}

/// A name that can be shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(Hash);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&carstone_store::text_of(&self.0))
    }
}

#[derive(Clone, Debug)]
struct MapPacks(Map<Name>);

#[async_trait]
impl PackStore for MapPacks {
    async fn put(&self, name: &Hash, content: Content) -> Result<Created> {
        self.0.put(Name(*name), content)
    }

    async fn replace(&self, name: &Hash, content: Content) -> Result<()> {
        self.0.put(Name(*name), content).map(drop)
    }

    async fn get(&self, name: &Hash) -> Result<Option<Bytes>> {
        Ok(self.0.get(&Name(*name)))
    }

    async fn read(&self, name: &Hash, range: Range<u64>) -> Result<Bytes> {
        self.0.range(&Name(*name), Some(range))
    }

    async fn stream(&self, name: &Hash) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.0.range(&Name(*name), None).map(pieces)
    }

    async fn size(&self, name: &Hash) -> Result<Option<u64>> {
        Ok(self.0.get(&Name(*name)).map(|bytes| bytes.len() as u64))
    }

    fn list(&self) -> BoxStream<'static, Result<StoredPack>> {
        let packs = self.0.sizes().into_iter();
        let packs: Vec<_> =
            packs.map(|(name, size)| Ok(StoredPack::new(name.0, size, None))).collect();
        stream::iter(packs).boxed()
    }

    async fn delete(&self, name: &Hash) -> Result<bool> {
        Ok(self.0.remove(&Name(*name)))
    }

    fn spool(&self) -> Result<Spool> {
        Spool::unnamed()
    }
}

/// An index of entries one behind the other.
#[derive(Debug, Default)]
struct Entries {
    pending: Vec<Location>,
    blobs: Vec<(Hash, Found)>,
    roots: Vec<(Hash, Location)>,
}

#[async_trait]
impl IndexWriter for Entries {
    async fn pack(&mut self, pack: &PackWritten) -> Result<()> {
        let location = Location::Pack { name: pack.name, size: pack.size };
        self.blobs.extend(pack.blobs.iter().map(|blob| {
            let found = Found::new(location.clone(), blob.cid.codec(), blob.offset, blob.len);
            (*blob.cid.hash(), found)
        }));
        self.pending.push(location);
        Ok(())
    }

    async fn finish(&mut self, root: Option<&Cid>) -> Result<()> {
        let packs = std::mem::take(&mut self.pending);
        self.roots.extend(
            root.into_iter()
                .flat_map(|root| packs.iter().map(|location| (*root.hash(), location.clone()))),
        );
        Ok(())
    }
}

#[async_trait]
impl IndexReader for Entries {
    async fn blob(&self, hash: &Hash) -> Result<Vec<Source>> {
        let found = self.blobs.iter().filter(|(blob, _)| blob == hash);
        Ok(found.map(|(_, found)| Source::Place(found.clone())).collect())
    }

    async fn blobs_in(&self, pack: &Hash) -> Result<Vec<(Hash, Found)>> {
        let is_there = |found: &Found| found.location.pack() == Some(pack);
        Ok(self.blobs.iter().filter(|(_, found)| is_there(found)).cloned().collect())
    }

    async fn containing(&self, root: &Hash) -> Result<Vec<Location>> {
        let found = self.roots.iter().filter(|(hash, _)| hash == root);
        Ok(found.map(|(_, location)| location.clone()).collect())
    }
}

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(3000).profile(profile)
}

#[tokio::test]
async fn a_store_is_kept_in_objects_of_others() {
    let objects = Arc::new(MapObjects(Map::new()));
    let layout = Layout::flat("packs/", ".car").expect("a layout");
    let store = Store::create(objects.clone(), layout).await.expect("made");
    let root = store.put(Blob::bytes(noise(7000, 1)), options()).await.expect("put").root;
    let other = store.put(Blob::bytes(noise(100, 2)), options()).await.expect("put").root;
    store.index().compact(|_| true).await.expect("put together");
    store.publish().await.expect("published");
    for objects in
        [objects.clone() as Arc<dyn Objects>, Arc::new(PublishedObjects::new(objects.clone()))]
    {
        let store = Store::open(objects).await.expect("opened");
        assert_eq!(content(&store, root).await.expect("whole"), noise(7000, 1));
        assert!(findings(&store).await.is_empty());
    }
    assert_eq!(remove_root(&store, &other).await.expect("removed"), 1);
    assert_eq!(store.roots().await.expect("listed").len(), 1);
    let pack = store.roots().await.expect("listed")[0].packs[0];
    store.packs().delete(&pack).await.expect("removed");
    let error = store.block(&root).await.err();
    let lost = findings(&store).await;
    assert!(!lost.is_empty() && error.is_none_or(|error| error.object().is_some()));
}

#[tokio::test]
async fn packs_and_an_index_of_others_give_what_was_written() {
    let packs = MapPacks(Map::new());
    let writer = PackWriter::with_options(Arc::new(packs.clone()), options());
    let written = writer.write(Blob::bytes(noise(7000, 1))).await.expect("written");
    let mut index = Entries::default();
    let writers: [&mut dyn IndexWriter; 1] = [&mut index];
    index_written(&written, writers).await.expect("noted");

    let index: &dyn IndexReader = &index;
    let locations = index.containing(written.root.hash()).await.expect("asked");
    assert_eq!(locations.len(), written.packs.len());
    let sources = SourceReader::new().packs(Arc::new(packs.clone()));
    let mut listed = packs.list();
    let mut blobs = 0;
    while let Some(pack) = listed.next().await {
        let pack = pack.expect("listed");
        assert_eq!(packs.size(&pack.name).await.expect("asked"), Some(pack.size));
        for (hash, _) in index.blobs_in(&pack.name).await.expect("asked") {
            let found = index.blob(&hash).await.expect("asked");
            sources.read_any(&hash, &found).await.expect("read").expect("known");
            blobs += 1;
        }
    }
    assert_eq!(blobs, 8);
    let nobody = Multihash::wrap(0x12, &[7; 32]).expect("a hash");
    assert!(packs.read(&nobody, 0..1).await.expect_err("missing").is_not_found());
    let spool = packs.spool().expect("made");
    assert_eq!(spool.size().expect("asked"), 0);
}
