//! The shared test vectors: segments of an index that another program made.

use std::sync::Arc;

use bytes::Bytes;
use carstone_car::{Cid, codec, hash_code, multihash_of};
use carstone_store::{
    Content, EntryKind, Hash, Index, Key, Layout, Location, Object, Objects, RemoteObjects,
    Segment, SegmentBuilder,
};
use futures::TryStreamExt;
use toml::{Table, Value};

use crate::watched::Watched;

pub(crate) fn list<'a>(case: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    case.get(key).into_iter().flat_map(|list| list.as_array().expect("a list"))
}

pub(crate) fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("a text")
}

pub(crate) fn bytes(case: &Value, key: &str) -> Vec<u8> {
    let hex: String = text(case, key).split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn unsigned(value: &Value) -> u64 {
    value.as_integer().expect("a number").try_into().expect("a number from 0 on")
}

pub(crate) fn number(case: &Value, key: &str) -> u64 {
    unsigned(&case[key])
}

/// Several lists of numbers.
pub(crate) fn rows<const N: usize>(case: &Value, key: &str) -> Vec<[u64; N]> {
    let row = |row: &Value| -> Vec<u64> {
        row.as_array().expect("a list").iter().map(unsigned).collect()
    };
    list(case, key).map(|value| row(value).try_into().expect("all numbers")).collect()
}

pub(crate) fn hash(case: &Value, key: &str) -> Hash {
    Hash::from_bytes(&bytes(case, key)).expect("a multihash")
}

fn kind(case: &Value) -> EntryKind {
    match number(case, "kind") {
        0 => EntryKind::Blob,
        2 => EntryKind::Containing,
        other => panic!("kind {other}"),
    }
}

fn location(case: &Value) -> Location {
    let size = number(case, "size");
    match case.get("text") {
        Some(text) => Location::Foreign { text: text.as_str().expect("a text").into(), size },
        None => Location::Pack { name: hash(case, "pack"), size },
    }
}

/// The segment that has the entries of a case.
fn built(case: &Value) -> SegmentBuilder {
    let locations: Vec<Location> = list(case, "location").map(location).collect();
    let mut builder = SegmentBuilder::new();
    for entry in list(case, "entry") {
        let cid = Cid::new_v1(number(entry, "codec"), hash(entry, "hash"));
        let location = &locations[number(entry, "location") as usize];
        match kind(entry) {
            EntryKind::Blob => {
                let (offset, len) = (number(entry, "offset"), number(entry, "length"));
                builder.add_blob(&cid, location, offset, len).expect("in bounds");
            }
            _ => builder.add_containing(&cid, location).expect("in bounds"),
        }
    }
    let ruled = case.get("entries").map_or(0, unsigned);
    for n in 0..ruled {
        let whole = multihash_of(hash_code::SHA2_256, &n.to_be_bytes()).expect("known");
        let digest = &whole.digest()[..number(case, "digest") as usize];
        let hash = Hash::wrap(hash_code::SHA2_256, digest).expect("short enough");
        let location = &locations[n as usize % 3];
        let cid = Cid::new_v1(codec::RAW, hash);
        builder.add_blob(&cid, location, n * 1000, n + 1).expect("in bounds");
    }
    builder
}

/// The bytes of the segment that the index keeps, and its key.
async fn kept(case: &Value) -> (Key, Bytes) {
    let objects = Arc::new(RemoteObjects::in_memory());
    let builder = built(case);
    if builder.is_empty() {
        // An index keeps no segment of nothing.
        let spool = builder.finish(objects.spool().expect("room")).expect("written");
        let key = Key::new("index/empty").expect("a key");
        objects.create(&key, Content::Spool(spool)).await.expect("kept");
    } else {
        let index = Index::open(objects.clone(), "index/").await.expect("empty");
        index.add(builder).await.expect("kept");
    }
    let listed: Vec<Object> = objects.list("index/").try_collect().await.expect("listed");
    assert_eq!(listed.len(), 1);
    let key = Key::new(&listed[0].key).expect("a key");
    let bytes = objects.read(&key, 0..listed[0].size).await.expect("read");
    (key, bytes)
}

/// Compares a segment with the parts that its case gives.
fn compare(name: &str, case: &Value, segment: &[u8]) {
    let mut front = bytes(case, "front");
    front.resize(FRONT - 16, 0);
    front.extend(bytes(case, "sum"));
    assert_eq!(segment[..FRONT], front, "{name}: front");
    if case.get("rest").is_some() {
        assert_eq!(segment[FRONT..], bytes(case, "rest"), "{name}: behind the front");
    }
    assert_eq!(segment.len() as u64, number(case, "length"), "{name}: length");
    let digest = multihash_of(hash_code::BLAKE3, segment).expect("known");
    assert_eq!(digest.digest(), bytes(case, "blake3"), "{name}: hash");
}

/// Every look-up in the segment of a case reads what it should, and finds the places.
async fn look_up(name: &str, case: &Value, segment: Bytes) {
    let objects = Arc::new(Watched::new());
    let hash_of_bytes = Hash::wrap(hash_code::BLAKE3, &bytes(case, "blake3")).expect("a digest");
    let layout = Layout::flat("index/", ".seg").expect("a layout");
    let key = layout.key(&hash_of_bytes).expect("a key");
    objects.create(&key, Content::Bytes(segment)).await.expect("kept");
    let index = Index::open(objects.clone(), "index/").await.expect("opened");
    assert!(index.damaged().is_empty() && index.segments().len() == 1, "{name}");
    let locations: Vec<Location> = list(case, "location").map(location).collect();
    assert_eq!(index.segments()[0].locations(), locations, "{name}");
    for query in list(case, "find") {
        objects.taken();
        let found = index.find(kind(query), &hash(query, "hash")).await.expect("sound");
        let found: Vec<_> = found
            .into_iter()
            .map(|found| (found.location, found.offset, found.len, found.codec))
            .collect();
        let due: Vec<_> = rows(query, "places")
            .into_iter()
            .map(|[number, offset, len, codec]| {
                (locations[number as usize].clone(), offset, len, codec)
            })
            .collect();
        assert_eq!(found, due, "{name}: {query}");
        // One that is not in memory reads as much as that.
        let size = index.segments()[0].size();
        let stored = Segment::open(objects.clone(), key.clone(), size).await.expect("opened");
        objects.taken();
        assert_eq!(
            stored.find(kind(query), &hash(query, "hash")).await.expect("sound").len(),
            due.len()
        );
        let reads: Vec<_> =
            rows(query, "reads").into_iter().map(|[start, end]| start..end).collect();
        assert_eq!(objects.ranges(), reads, "{name}: {query}");
    }
}

#[tokio::test]
async fn the_same_entries_give_the_same_segment() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/store_index.toml");
    let file: Table = std::fs::read_to_string(path).expect("there").parse().expect("TOML");
    let cases = file["segment"].as_array().expect("a list");
    assert!(cases.len() >= 13);
    for case in cases {
        let name = text(case, "name");
        let (key, segment) = kept(case).await;
        compare(name, case, &segment);
        if number(case, "length") > FRONT as u64 {
            let named = Hash::wrap(hash_code::BLAKE3, &bytes(case, "blake3")).expect("a digest");
            let layout = Layout::flat("index/", ".seg").expect("a layout");
            assert_eq!(layout.name(key.as_str()), Some(named), "{name}");
        }
        // The bytes are those of the vector, as their hash says.
        look_up(name, case, segment).await;
    }
}

/// Bytes of the front.
const FRONT: usize = 4096;
