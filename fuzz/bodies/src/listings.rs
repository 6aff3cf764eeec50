//! Listings of stores with keys in any form, and records of hash-stream's indexes of any bytes.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carstone::car::{Cid, cid_of, codec, verify};
use carstone_store::{
    CheckOptions, Content, Created, IndexReader, IndexRecord, Key, Layout, Object, Objects,
    RecordIndex, RecordKind, RecordLayout, RecordLevel, RecordLocation, RemoteObjects, Result,
    ShardedDagIndex, Source, Spool, Store, check, collect, import_records, text_of,
};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::input::{Input, choices};
use crate::segments::wait;

/// A record that is read is written to one that means the same, and an index of it finds all that it says. So it is with sharded-DAG indexes.
pub fn record(data: &[u8]) {
    if let Ok((record, variant)) = IndexRecord::decode(data) {
        let stored = record.encode(&variant).expect("it was read");
        let again = IndexRecord::decode(stored.as_bytes()).expect("just written");
        assert_eq!(again, (record.clone(), variant));
        let mut index = RecordIndex::new(RecordLevel::Containing);
        if index.add(record.clone()).is_ok() {
            wait(all_found(&index, &record));
            let layout = RecordLayout::nested("a/").expect("a layout");
            let (key, _) = index.stored(&layout, 7).expect("it was read").remove(0);
            assert_eq!(layout.subject(key.as_str()), Some(record.multihash));
        }
    }
    if let Ok(index) = ShardedDagIndex::decode(data) {
        let car = index.encode().expect("it was read");
        assert_eq!(ShardedDagIndex::decode(&car).expect("just written"), index);
    }
}

/// What is in a record, and in those in it, is found.
async fn all_found(index: &RecordIndex, record: &IndexRecord) {
    let mut left = vec![record];
    while let Some(record) = left.pop() {
        left.extend(&record.sub_records);
        let found = index.blob(&record.multihash).await.expect("in memory");
        let is_there = match &record.location {
            RecordLocation::Inline(data) => {
                found.iter().any(|source| matches!(source, Source::Inline(held) if held == data))
            }
            _ => found.iter().any(|source| {
                matches!(source, Source::Place(found)
                    if Some(found.len) == record.length && found.offset == record.offset.unwrap_or(0))
            }),
        };
        let is_blob = matches!(record.kind, RecordKind::Blob | RecordKind::InlineBlob);
        assert!(is_there || !is_blob, "{record:?} in {found:?}");
    }
}

/// Records and an index to start from.
pub fn record_seeds() -> Vec<Vec<u8>> {
    let (blob, pack) = (*cid_of(codec::RAW, b"x").hash(), *cid_of(codec::RAW, b"pack").hash());
    let made = |kind, location, below| IndexRecord {
        multihash: if kind == RecordKind::Pack { pack } else { blob },
        kind,
        location,
        offset: (kind == RecordKind::Blob).then_some(59),
        length: (kind == RecordKind::Blob).then_some(1),
        sub_records: below,
    };
    let in_pack = RecordLocation::Multihash(pack);
    let leaf = made(RecordKind::Blob, in_pack.clone(), Vec::new());
    let path = made(RecordKind::Blob, RecordLocation::Path("a/b".to_owned()), Vec::new());
    let held = RecordLocation::Inline(b"x".to_vec());
    let inline = made(RecordKind::InlineBlob, held, Vec::new());
    let group = made(RecordKind::Pack, in_pack, vec![leaf.clone()]);
    let itself = RecordLocation::Multihash(blob);
    let below = vec![group.clone(), path.clone(), inline.clone()];
    let set = made(RecordKind::Containing, itself, below);
    let records = [leaf, path, inline, group, set];
    let texts = records.iter().map(|record| record.encode("index/containing@0.1").expect("small"));
    let mut seeds: Vec<Vec<u8>> = texts.map(String::into_bytes).collect();
    let mut index = ShardedDagIndex::new(cid_of(codec::DAG_PB, b"root"));
    seeds.push(index.encode().expect("small"));
    index.add(pack, blob, 59, 1);
    seeds.push(index.encode().expect("small"));
    seeds
}

/// Whatever a listing says, no key leads out of the store, what is listed is what has such a key, and no block comes out that is not one.
pub fn listing(data: &[u8]) {
    let mut input = Input::new(data);
    let blocks: Vec<Cid> = (0..4_u8).map(|number| cid_of(codec::RAW, &[number])).collect();
    let template = wait(template());
    let mut listed = Vec::new();
    for _ in 0..input.below(20) {
        let key = key(&mut input, &blocks);
        keys_hold(&key);
        let mut object = template.clone();
        (object.key, object.size) = (key, input.number());
        listed.push(object);
    }
    let inner = RemoteObjects::in_memory();
    let odd = Arc::new(Odd { inner, listed, content: input.rest().to_vec() });
    wait(async {
        let layout = Layout::nested("packs/", ".car").expect("a layout");
        // The mark of a store may be among what is listed.
        let Ok(store) = Store::create(odd.clone(), layout).await else { return };
        let _ = store.index().refresh().await;
        if let Ok(packs) = store.packs().list().try_collect::<Vec<_>>().await {
            for pack in packs {
                let text = text_of(&pack.name);
                assert!(odd.listed.iter().any(|object| object.key.contains(&text)));
            }
        }
        let _ = store.roots().await;
        let _ = check(&store, CheckOptions::default(), |_| Ok(())).await;
        let _ = collect(&store, Duration::ZERO, true).await;
        for cid in &blocks {
            if let Ok(Some(block)) = store.block(cid).await {
                verify(cid, &block).expect("a block that is given is one");
            }
        }
        for layout in [RecordLayout::flat(""), RecordLayout::nested("")] {
            let all = odd.listed.len() + odd.own().await;
            if let Ok(done) = import_records(&store, &*odd, &layout.expect("a layout")).await {
                let told = done.records + done.others + done.refused.len() as u64;
                assert_eq!(told as usize, all);
            }
        }
    });
}

/// What an object is in a listing.
async fn template() -> Object {
    let objects = RemoteObjects::in_memory();
    let key = Key::new("key").expect("a key");
    objects.create(&key, Content::Bytes(Bytes::new())).await.expect("in memory");
    objects.list("").try_next().await.expect("in memory").expect("it was made")
}

/// Inputs of choices, and one that is full of keys.
pub fn listing_seeds() -> Vec<Vec<u8>> {
    let mut seeds = choices();
    seeds.push((0..=255).cycle().take(600).collect());
    seeds
}

/// Laws of any text as a key.
fn keys_hold(text: &str) {
    if let Ok(key) = Key::new(text) {
        let stays = |step: &str| !step.is_empty() && step != "." && step != "..";
        assert!(key.as_str() == text && text.split('/').all(stays), "{text:?} leads out");
        assert!(!text.contains('\\') && !text.contains('\0'));
    }
    for layout in [Layout::flat("packs/", ".car"), Layout::nested("packs/", ".car")] {
        let layout = layout.expect("a layout");
        if let Some(name) = layout.name(text) {
            assert_eq!(layout.key(&name).expect("it has one").as_str(), text);
        }
    }
    for layout in [RecordLayout::flat("index/"), RecordLayout::nested("index/")] {
        if let Some(about) = layout.expect("a layout").subject(text) {
            assert!(text.starts_with(&format!("index/{}/", text_of(&about))));
        }
    }
}

/// A key as a store has it, or nearly so, or any text.
fn key(input: &mut Input<'_>, blocks: &[Cid]) -> String {
    let name = text_of(input.pick(blocks).hash());
    let other = text_of(input.pick(blocks).hash());
    let mut key = match input.below(9) {
        0 => format!("packs/{name}/{other}.car"),
        1 => format!("packs/{name}.car"),
        2 => format!("index/{name}.seg"),
        3 => format!("roots/{name}/{other}.json"),
        4 => format!("{name}/{other}"),
        5 => format!("{name}/{name}/{}", input.byte()),
        6 => format!("{name}/{name}/{other}/{other}"),
        7 => format!("../{name}"),
        _ => String::from_utf8_lossy(input.text(40)).into_owned(),
    };
    if input.one_in(3) {
        let more = String::from_utf8_lossy(input.text(4)).into_owned();
        let at = input.below(key.len() + 1);
        if key.is_char_boundary(at) {
            key.insert_str(at, &more);
        }
    }
    key
}

/// Objects in memory whose listing says more than there is, and gives some bytes for that.
#[derive(Debug)]
struct Odd {
    inner: RemoteObjects,
    listed: Vec<Object>,
    content: Vec<u8>,
}

impl Odd {
    /// Objects that are there.
    async fn own(&self) -> usize {
        self.inner.list("").try_collect::<Vec<_>>().await.expect("in memory").len()
    }

    /// Bytes for a range of anything that is not there.
    fn some(&self, range: &Range<u64>) -> Result<Bytes> {
        let len = range.end.checked_sub(range.start).filter(|len| *len <= 1 << 16);
        let len = len.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(self.content.iter().copied().cycle().take(len as usize).collect())
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd:")
    }
}

#[async_trait::async_trait]
impl Objects for Odd {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        self.inner.create(key, content).await
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.inner.replace(key, content).await
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        match self.inner.size(key).await? {
            Some(_) => self.inner.read(key, range).await,
            None => self.some(&range),
        }
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self.inner.size(key).await? {
            Some(_) => self.inner.stream(key, range).await,
            None => {
                let bytes = self.some(&range.unwrap_or(0..self.content.len() as u64))?;
                Ok(stream::iter([Ok(bytes)]).boxed())
            }
        }
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let listed = self.listed.iter().find(|object| object.key == key.as_str());
        Ok(self.inner.size(key).await?.or(listed.map(|object| object.size)))
    }

    /// What lies elsewhere is among it too.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let listed: Vec<_> = self.listed.iter().cloned().map(Ok).collect();
        self.inner.list(prefix).chain(stream::iter(listed)).boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.inner.delete(key).await
    }

    fn spool(&self) -> Result<Spool> {
        self.inner.spool()
    }
}
