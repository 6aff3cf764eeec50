//! hash-stream's records and sharded-DAG indexes, against vectors that another program made.

use std::collections::BTreeMap;
use std::sync::Arc;

use carstone_car::{Cid, cid_of, codec};
use carstone_store::{
    Blob, Content, EntryKind, Found, Hash, IndexReader, IndexRecord, IndexWriter, Key, Location,
    Objects, PackWriterOptions, RecordIndex, RecordKind, RecordLayout, RecordLevel, RecordLocation,
    RecordOptions, RemoteObjects, ShardedDagIndex, Source, Store, export_records, import_records,
    import_sharded_index, parse_text, sharded_index, text_of,
};
use futures::TryStreamExt;
use toml::{Table, Value};

use crate::vectors::{bytes, hash, list, number, rows, text};

/// Keys and texts.
type Stored = BTreeMap<String, String>;

fn vectors(name: &str) -> Table {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("there").parse().expect("TOML")
}

fn level(case: &Value) -> RecordLevel {
    match text(case, "level") {
        "blob" => RecordLevel::Blob,
        "containing" => RecordLevel::Containing,
        other => panic!("{other}"),
    }
}

fn layout(case: &Value) -> RecordLayout {
    match case["nested"].as_bool().expect("a flag") {
        true => RecordLayout::nested("").expect("a layout"),
        false => RecordLayout::flat("").expect("a layout"),
    }
}

fn objects(case: &Value) -> Stored {
    let object = |object| (text(object, "key").to_owned(), text(object, "text").to_owned());
    list(case, "object").map(object).collect()
}

fn stored(index: &RecordIndex, case: &Value) -> Stored {
    let stored = index.stored(&layout(case), MILLISECONDS).expect("small");
    stored.into_iter().map(|(key, text)| (key.to_string(), text)).collect()
}

/// What an export of the index of a store makes.
async fn exported(store: &Store, case: &Value) -> Stored {
    let to = RemoteObjects::in_memory();
    let options = RecordOptions::new(level(case), layout(case)).milliseconds(MILLISECONDS);
    let count = export_records(store, &to, &options).await.expect("written");
    let mut all = Stored::new();
    let listed: Vec<_> = to.list("").try_collect().await.expect("listed");
    for object in listed {
        let key = Key::new(&object.key).expect("a key");
        let bytes = to.read(&key, 0..object.size).await.expect("read");
        all.insert(object.key, String::from_utf8(bytes.to_vec()).expect("text"));
    }
    assert_eq!(all.len() as u64, count, "none is written over another");
    all
}

async fn put(objects: &RemoteObjects, stored: &Stored) {
    for (key, text) in stored {
        let content = Content::Bytes(text.clone().into());
        objects.create(&Key::new(key).expect("a key"), content).await.expect("kept");
    }
}

#[tokio::test]
async fn a_file_has_the_records_of_hash_stream() {
    let file = vectors("index_records.toml");
    let cases = file["file"].as_array().expect("a list");
    assert!(cases.len() >= 10);
    for case in cases {
        let name = text(case, "name");
        let chunks = rows::<2>(case, "chunks").into_iter();
        let content: Vec<u8> =
            chunks.flat_map(|[byte, count]| vec![byte as u8; count as usize]).collect();
        let store = Store::in_memory().await.expect("made");
        let options = PackWriterOptions::default().shard_size(number(case, "pack_size"));
        let written = store.put(Blob::bytes(content), options).await.expect("put");
        assert_eq!(written.root.to_string(), text(case, "root"), "{name}");
        let packs: Vec<_> = written.packs.iter().map(|pack| text_of(&pack.name)).collect();
        let due: Vec<_> = list(case, "packs").map(|pack| pack.as_str().expect("a text")).collect();
        assert_eq!(packs, due, "{name}");

        let mut index = RecordIndex::new(level(case));
        let is_containing = case["containing"].as_bool().expect("a flag");
        for pack in &written.packs {
            index.pack(pack).await.expect("noted");
            if !is_containing {
                index.finish(None).await.expect("noted");
            }
        }
        assert_eq!(index.records().is_empty(), is_containing, "{name}: nothing before the end");
        if is_containing {
            index.finish(Some(&written.root)).await.expect("noted");
            assert_eq!(exported(&store, case).await, objects(case), "{name}");
        }
        assert_eq!(stored(&index, case), objects(case), "{name}");
    }
}

/// A place as a case has it.
fn place(case: &Value) -> (Hash, Location, u64, u64) {
    let location = match case.get("path") {
        Some(path) => Location::Foreign { text: path.as_str().expect("a text").into(), size: 0 },
        None => Location::Pack { name: hash(case, "pack"), size: 0 },
    };
    (hash(case, "hash"), location, number(case, "offset"), number(case, "length"))
}

/// All that a case says is found by a reader, and no more.
async fn check_reader(name: &str, case: &Value, index: &dyn IndexReader) {
    let mut due: BTreeMap<Hash, Vec<Source>> = BTreeMap::new();
    let mut packs: BTreeMap<Hash, Vec<(Hash, Found)>> = BTreeMap::new();
    for (hash, location, offset, len) in list(case, "place").map(place) {
        let pack = location.pack().copied();
        let found = Found::new(location, codec::RAW, offset, len);
        packs.entry(pack.unwrap_or_default()).or_default().push((hash, found.clone()));
        due.entry(hash).or_default().push(Source::Place(found));
    }
    for held in list(case, "inline") {
        due.entry(hash(held, "hash")).or_default().push(Source::Inline(bytes(held, "data").into()));
    }
    for (hash, mut due) in due {
        let mut found = index.blob(&hash).await.expect("there");
        // They come as the records did.
        found.sort_by_key(|source| format!("{source:?}"));
        due.sort_by_key(|source| format!("{source:?}"));
        assert_eq!(found, due, "{name}");
    }
    packs.remove(&Hash::default());
    for (pack, mut due) in packs {
        due.sort_by_key(|(_, found)| found.offset);
        assert_eq!(index.blobs_in(&pack).await.expect("there"), due, "{name}");
    }
    for set in list(case, "set") {
        let found = index.containing(&hash(set, "root")).await.expect("there");
        let found: Vec<_> = found.iter().map(Location::to_string).collect();
        let due: Vec<_> = list(set, "locations").map(|at| at.as_str().expect("a text")).collect();
        assert_eq!(found, due, "{name}");
    }
    let missing = *cid_of(codec::RAW, b"missing").hash();
    assert_eq!(index.blob(&missing).await.expect("none"), []);
    assert_eq!(index.blobs_in(&missing).await.expect("none"), []);
    assert_eq!(index.containing(&missing).await.expect("none"), []);
}

#[tokio::test]
async fn records_of_hash_stream_are_read_and_written_as_they_are() {
    let file = vectors("index_records.toml");
    let cases = file["stored"].as_array().expect("a list");
    assert!(cases.len() >= 8);
    for case in cases {
        let name = text(case, "name");
        let mut index = RecordIndex::new(level(case));
        for (key, text) in objects(case) {
            let (record, variant) = IndexRecord::decode(text.as_bytes()).expect("a record");
            assert_eq!(variant, level(case).variant(), "{name}");
            assert_eq!(record.encode(&variant).expect("small"), text, "{name}");
            assert_eq!(layout(case).subject(&key), Some(record.multihash), "{name}");
            index.add(record).expect("a record");
        }
        check_reader(name, case, &index).await;
        assert_eq!(stored(&index, case), objects(case), "{name}");
    }
}

#[tokio::test]
async fn the_index_of_a_store_takes_records_and_gives_them_again() {
    let file = vectors("index_records.toml");
    for case in file["stored"].as_array().expect("a list") {
        let name = text(case, "name");
        let from = RemoteObjects::in_memory();
        put(&from, &objects(case)).await;
        let store = Store::in_memory().await.expect("made");
        let done = import_records(&store, &from, &layout(case)).await.expect("taken");
        assert!(done.refused.is_empty(), "{name}: {:?}", done.refused);
        assert_eq!(done.records as usize, objects(case).len(), "{name}");
        assert_eq!(done.blobs as usize, list(case, "place").count(), "{name}");
        assert_eq!(done.inline as usize, list(case, "inline").count(), "{name}");
        for (hash, location, offset, len) in list(case, "place").map(place) {
            let found = store.index().find(EntryKind::Blob, &hash).await.expect("there");
            let is_it = |found: &Found| {
                (&found.location, found.offset, found.len) == (&location, offset, len)
            };
            assert!(found.iter().any(is_it), "{name}: {location} in {found:?}");
        }
        for held in list(case, "inline") {
            let cid = Cid::new_v1(codec::RAW, hash(held, "hash"));
            let block = store.block(&cid).await.expect("whole");
            assert_eq!(block.as_deref(), Some(&bytes(held, "data")[..]), "{name}");
        }
        for set in list(case, "set") {
            let root = hash(set, "root");
            let record = store.roots().await.expect("listed").into_iter();
            let record = record.into_iter().find(|record| *record.root.hash() == root);
            assert_eq!(record.expect("noted").root.codec(), codec::DAG_PB, "{name}");
        }
        // What has come into packs has other records.
        if list(case, "inline").count() == 0 {
            assert_eq!(exported(&store, case).await, objects(case), "{name}");
            store.index().compact(|_| true).await.expect("put together");
            assert_eq!(exported(&store, case).await, objects(case), "{name}");
        }
        // What is told of a pack stays when nobody else needs it.
        let packs = list(case, "place").filter(|case| case.get("pack").is_some());
        let packs: Vec<Hash> = packs.map(|case| hash(case, "pack")).collect();
        let roots = store.roots().await.expect("listed");
        let is_kept = |pack| roots.iter().any(|record| record.packs.contains(pack));
        let alone = list(case, "place").map(place).filter(|(hash, at, ..)| at.pack() == Some(hash));
        let alone: Vec<Hash> = alone.map(|(hash, ..)| hash).collect();
        assert!(packs.iter().all(|pack| is_kept(pack) || alone.contains(pack)), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_record_is_told_and_the_others_are_taken() {
    let file = vectors("index_records.toml");
    let good = objects(&file["stored"].as_array().expect("a list")[0]);
    let from = RemoteObjects::in_memory();
    put(&from, &good).await;
    let about = parse_text(NOTHING).expect("a hash");
    let mut wrong = Stored::new();
    for (count, case) in file["wrong"].as_array().expect("a list").iter().enumerate() {
        let bad = text(case, "text");
        assert!(IndexRecord::decode(bad.as_bytes()).is_err(), "{}", text(case, "name"));
        wrong.insert(format!("{NOTHING}/{count}"), bad.to_owned());
    }
    assert!(wrong.len() >= 15);
    // A record under the key of another, and one of a later version.
    let (key, text) = good.first_key_value().expect("some");
    wrong.insert(format!("{NOTHING}/another"), text.clone());
    wrong.insert(format!("{key}0"), text.replace("@0.1", "@0.2"));
    // Its bytes are not those of its hash.
    let (mut lie, variant) = IndexRecord::decode(text.as_bytes()).expect("a record");
    (lie.kind, lie.location) = (RecordKind::InlineBlob, RecordLocation::Inline(b"x".to_vec()));
    wrong.insert(format!("{key}1"), lie.encode(&variant).expect("small"));
    put(&from, &wrong).await;
    let others = ["readme", "a/b", &format!("{NOTHING}/a/b"), &format!("x{NOTHING}/1")];
    for other in others {
        put(&from, &[(other.to_owned(), text.clone())].into()).await;
    }
    let store = Store::in_memory().await.expect("made");
    let layout = RecordLayout::flat("").expect("a layout");
    let done = import_records(&store, &from, &layout).await.expect("taken");
    assert_eq!((done.records as usize, done.others as usize), (good.len(), others.len()));
    let mut named: Vec<_> = done.refused.iter().filter_map(|error| error.object()).collect();
    named.sort_unstable();
    assert_eq!(named, wrong.keys().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(store.index().find(EntryKind::Blob, &about).await.expect("sound"), []);
}

#[tokio::test]
async fn sharded_dag_indexes_are_read_and_written_as_they_are() {
    let file = vectors("sharded_index.toml");
    let cases = file["index"].as_array().expect("a list");
    assert!(cases.len() >= 4);
    for case in cases {
        let name = text(case, "name");
        let content = Cid::try_from(text(case, "content")).expect("a CID");
        let mut index = ShardedDagIndex::new(content);
        for pack in list(case, "packs") {
            let pack = Table::from_iter([("pack".to_owned(), pack.clone())]);
            index.add_pack(hash(&Value::Table(pack), "pack"));
        }
        for slice in list(case, "slice") {
            let (offset, len) = (number(slice, "offset"), number(slice, "length"));
            index.add(hash(slice, "pack"), hash(slice, "hash"), offset, len);
        }
        let car = bytes(case, "car");
        assert_eq!(index.encode().expect("small"), car, "{name}");
        assert_eq!(ShardedDagIndex::decode(&car).expect("an index"), index, "{name}");

        let store = Store::in_memory().await.expect("made");
        let done = import_sharded_index(&store, &index).await.expect("taken");
        assert_eq!(done.blobs as usize, list(case, "slice").count(), "{name}");
        for slice in list(case, "slice") {
            let places = store.places(&hash(slice, "hash")).await.expect("there");
            let (offset, len) = (number(slice, "offset"), number(slice, "length"));
            let pack = hash(slice, "pack");
            let is_it = |found: &Found| {
                (found.location.pack(), found.offset, found.len) == (Some(&pack), offset, len)
            };
            assert!(places.iter().any(is_it), "{name}");
        }
        let again = sharded_index(&store, &content).await.expect("readable");
        let due = Some(index).filter(|index| index.packs().next().is_some());
        assert_eq!(again, due, "{name}");
    }
    let wrong = file["wrong"].as_array().expect("a list");
    assert!(wrong.len() >= 15);
    for case in wrong {
        let error = ShardedDagIndex::decode(&bytes(case, "car")).expect_err(text(case, "name"));
        assert!(error.is_malformed(), "{}: {error}", text(case, "name"));
    }
}

/// The index of a store says of its packs what their writer said.
#[tokio::test]
async fn a_store_gives_the_sharded_index_of_what_was_put() {
    let store = Store::in_memory().await.expect("made");
    let content: Vec<u8> = (0..3 << 20_u32).map(|at: u32| (at >> 20) as u8).collect();
    let options = PackWriterOptions::default().shard_size(1_100_000);
    let written = store.put(Blob::bytes(content), options).await.expect("put");
    let mut due = ShardedDagIndex::new(written.root);
    for pack in &written.packs {
        for blob in &pack.blobs {
            due.add(pack.name, *blob.cid.hash(), blob.offset, blob.len);
        }
    }
    assert!(written.packs.len() == 3);
    let index = sharded_index(&store, &written.root).await.expect("readable");
    assert_eq!(index, Some(due.clone()));
    // A store that has the packs, and the index alone of all else, gives the file.
    let other = Store::in_memory().await.expect("made");
    for pack in &written.packs {
        let bytes = store.packs().get(&pack.name).await.expect("whole").expect("there");
        other.packs().put(&pack.name, Content::Bytes(bytes)).await.expect("kept");
    }
    let car = due.encode().expect("small");
    let index = ShardedDagIndex::decode(&car).expect("an index");
    import_sharded_index(&other, &index).await.expect("taken");
    let blocks: Vec<_> = Arc::new(other.clone())
        .stream(written.root, Default::default())
        .try_collect()
        .await
        .expect("whole");
    assert_eq!(blocks.len(), 4);
    assert_eq!(other.roots().await.expect("listed")[0].root, written.root);
}

/// hash-stream would write the second over the first.
#[tokio::test]
async fn a_file_that_is_packed_again_with_the_same_first_pack_has_two_records() {
    let store = Store::in_memory().await.expect("made");
    // The root in a pack of its own; then with the last chunk.
    let content: Vec<u8> = (0..3 << 20_u32).map(|at: u32| (at >> 20) as u8).collect();
    let mut index = RecordIndex::new(RecordLevel::Containing);
    for size in [1_048_576 + 57, 1_048_576 + 57 + 400] {
        let options = PackWriterOptions::default().shard_size(size);
        let written = store.put(Blob::bytes(content.clone()), options).await.expect("put");
        for pack in &written.packs {
            index.pack(pack).await.expect("noted");
        }
        index.finish(Some(&written.root)).await.expect("noted");
    }
    let roots = store.roots().await.expect("listed");
    assert!(roots.len() == 2 && roots[0].packs[0] == roots[1].packs[0]);
    assert_ne!(roots[0].packs, roots[1].packs);
    let layout = RecordLayout::flat("").expect("a layout");
    let mut keys: Vec<_> = index.stored(&layout, MILLISECONDS).expect("small");
    keys.dedup_by_key(|(key, _)| key.clone());
    assert_eq!(keys.len(), 2);
    let to = RemoteObjects::in_memory();
    let options = RecordOptions::new(RecordLevel::Containing, layout.clone());
    assert_eq!(export_records(&store, &to, &options).await.expect("written"), 2);
    let listed: Vec<_> = to.list("").try_collect().await.expect("listed");
    assert_eq!(listed.len(), 2);
    let other = Store::in_memory().await.expect("made");
    import_records(&other, &to, &layout).await.expect("taken");
    assert_eq!(other.roots().await.expect("listed"), roots);
}

const MILLISECONDS: u64 = 1_753_000_000_000;
/// The text of the hash of nothing.
const NOTHING: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
