//! Segments of a store's index: made of entries, put together, damaged, forged under checksums that hold, or any bytes.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use carstone::car::{Cid, codec, hash_code, multihash_of};
use carstone::layer::{crc32c, digest16};
use carstone_store::{
    Content, EntryKind, Hash, Index, IndexEntry, Key, Layout, Location, Objects, RemoteObjects,
    SegmentBuilder,
};
use futures::TryStreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::damage;
use crate::input::Input;

/// Waits for it.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let make = || Builder::new_current_thread().build().expect("a runtime");
    RUNTIME.get_or_init(make).block_on(work)
}

/// What is put in is found, and there is no more of it; of damaged segments nothing wrong comes out; forged ones are errors, or say the same before and after
/// they are put together.
pub fn segment(data: &[u8]) {
    wait(async {
        let mut input = Input::new(data);
        if input.one_in(8) {
            forged(input.rest().to_vec(), &[]).await;
            return;
        }
        let objects = Arc::new(RemoteObjects::in_memory());
        let index = Index::open(objects.clone(), FOLDER).await.expect("empty");
        let mut due = BTreeSet::new();
        for _ in 0..1 + input.below(3) {
            let mut builder = SegmentBuilder::new();
            for _ in 0..input.below(40) {
                due.insert(format!("{:?}", entry(&mut input, &mut builder)));
            }
            index.add(builder).await.expect("kept");
        }
        assert_eq!(told(&index).await.expect("just made"), due);
        if due.is_empty() {
            return;
        }
        index.compact(|_| true).await.expect("just made");
        assert_eq!(told(&index).await.expect("just made"), due);
        let key = index.segments()[0].key().clone();
        let size = index.segments()[0].size();
        let whole = objects.read(&key, 0..size).await.expect("just made").to_vec();

        let mut bytes = whole.clone();
        damage::accidents(&mut bytes, &mut input);
        let is_same = bytes == whole;
        let index = opened(&key, bytes).await;
        for number in 0..HASHES {
            let found = index.find(EntryKind::Blob, &hash(number)).await.unwrap_or_default();
            for found in found {
                let entry = told_of(EntryKind::Blob, hash(number), &found);
                assert!(due.contains(&format!("{entry:?}")), "{entry:?} is wrong");
            }
        }
        let is_told = told(&index).await.is_err() || index.segments().is_empty();
        assert_eq!(is_told, !is_same, "damage that is not told");

        let mut bytes = whole;
        damage::tampering(&mut bytes, &mut input);
        forged(bytes, input.rest()).await;
    });
}

/// What an entry says.
type Told = (EntryKind, Hash, Location, u64, u64, u64);

fn told_of(kind: EntryKind, hash: Hash, found: &carstone_store::Found) -> Told {
    (kind, hash, found.location.clone(), found.codec, found.offset, found.len)
}

/// All that an index says.
async fn told(index: &Index) -> Result<BTreeSet<String>, carstone_store::Error> {
    let entries: Vec<IndexEntry> = index.entries().await?.try_collect().await?;
    let told = entries.iter().map(|entry| told_of(entry.kind, entry.hash, &entry.found));
    Ok(told.map(|told| format!("{told:?}")).collect())
}

/// One of a few hashes, of three functions and lengths.
fn hash(number: u8) -> Hash {
    let whole = multihash_of(hash_code::SHA2_256, &[number]).expect("known");
    let digest = whole.digest();
    let made = match number % 3 {
        0 => Hash::wrap(hash_code::SHA2_256, digest),
        1 => Hash::wrap(hash_code::BLAKE3, digest),
        _ => Hash::wrap(hash_code::SHA2_256, &digest[..usize::from(number % 4)]),
    };
    made.expect("short enough")
}

fn entry(input: &mut Input<'_>, builder: &mut SegmentBuilder) -> Told {
    let codec = input.pick(&[codec::RAW, codec::DAG_PB, codec::DAG_CBOR]);
    let cid = Cid::new_v1(codec, hash(input.byte() % HASHES));
    let size = u64::from(input.byte());
    let location = match input.byte() % 4 {
        0 => Location::Foreign { text: format!("https://host/{size}"), size },
        number => Location::Pack { name: hash(number), size },
    };
    if input.one_in(4) {
        builder.add_containing(&cid, &location).expect("few");
        return (EntryKind::Containing, *cid.hash(), location, codec, 0, 0);
    }
    let (offset, len) = (input.number() & ((1 << 48) - 1), input.number() & ((1 << 40) - 1));
    builder.add_blob(&cid, &location, offset, len).expect("in bounds");
    (EntryKind::Blob, *cid.hash(), location, codec, offset, len)
}

/// The index that has these bytes as its only segment.
async fn opened(key: &Key, bytes: Vec<u8>) -> Index {
    let objects = Arc::new(RemoteObjects::in_memory());
    objects.create(key, Content::Bytes(bytes.into())).await.expect("kept");
    Index::open(objects, FOLDER).await.expect("what is damaged is told")
}

/// Asks a segment everything whose checksums hold.
async fn forged(mut bytes: Vec<u8>, choices: &[u8]) {
    let mut input = Input::new(choices);
    for _ in 0..input.below(6) {
        let (at, value) = (input.below(400.min(bytes.len())), input.byte());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    seal(&mut bytes);
    let name = multihash_of(hash_code::BLAKE3, &bytes).expect("known");
    let layout = Layout::flat(FOLDER, ".seg").expect("a layout");
    let index = opened(&layout.key(&name).expect("a key"), bytes).await;
    for number in 0..32 {
        for kind in [EntryKind::Blob, EntryKind::Containing] {
            let _ = index.find(kind, &hash(number)).await;
        }
        let _ = index.blobs_in(&hash(number)).await;
    }
    let Ok(before) = told(&index).await else { return };
    if index.compact(|_| true).await.is_ok() {
        assert_eq!(told(&index).await.expect("just made"), before);
    }
}

/// Makes the checksums hold: of the locations, the buckets and the front.
fn seal(bytes: &mut [u8]) {
    if bytes.len() < FRONT {
        return;
    }
    let number = |bytes: &[u8], at: usize| {
        let number = bytes.get(at..at.checked_add(8)?)?;
        usize::try_from(u64::from_be_bytes(number.try_into().ok()?)).ok()
    };
    let places = number(bytes, 16).zip(number(bytes, 24));
    let sum = places.and_then(|(start, end)| Some(digest16(&[bytes.get(start..end)?])));
    if let Some(sum) = sum {
        bytes[32..48].copy_from_slice(&sum);
    }
    for group in 0..usize::from(bytes[10]).min(64) {
        let at = 48 + group * 36;
        let (width, bits) = (usize::from(bytes[at + 1]) + 16, bytes[at + 2]);
        let (table, entries) = (number(bytes, at + 20), number(bytes, at + 28));
        let Some((table, entries)) = table.zip(entries) else { continue };
        for bucket in 0..1_usize << bits.min(8) {
            let Some(record) = table.checked_add(bucket * 12) else { break };
            let ends = number(bytes, record).zip(number(bytes, record.saturating_add(12)));
            let part = ends.and_then(|(first, end)| {
                let start = entries.checked_add(first.checked_mul(width)?)?;
                bytes.get(start..entries.checked_add(end.checked_mul(width)?)?)
            });
            let Some(sum) = part.map(|part| crc32c(&[part])) else { continue };
            if let Some(place) = bytes.get_mut(record + 8..record + 12) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        }
    }
    let sum = digest16(&[&bytes[..FRONT - 16]]);
    bytes[FRONT - 16..FRONT].copy_from_slice(&sum);
}

/// How many hashes there are to choose from.
const HASHES: u8 = 48;
const FOLDER: &str = "index/";
/// Bytes of the front.
const FRONT: usize = 4096;
