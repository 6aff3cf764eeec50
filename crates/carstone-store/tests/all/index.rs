//! The index answers as a list of all that was put into it does.

use std::sync::Arc;

use carstone_car::{Cid, cid_of, codec, hash_code, multihash_of};
use carstone_store::{EntryKind, Index, Location, RemoteObjects, SegmentBuilder};
use proptest::prelude::*;

/// An entry: what it is of, where it lies.
#[derive(Clone, Debug)]
struct Entry {
    blob: u8,
    function: bool,
    pack: u8,
    offset: u32,
    len: u16,
}

fn cid(blob: u8, function: bool) -> Cid {
    let code = if function { hash_code::SHA2_256 } else { hash_code::BLAKE3 };
    let hash = multihash_of(code, &[blob]).expect("known");
    Cid::new_v1(if blob.is_multiple_of(2) { codec::RAW } else { codec::DAG_PB }, hash)
}

fn location(pack: u8) -> Location {
    let name = *cid_of(codec::RAW, &[pack, pack]).hash();
    match pack % 5 {
        4 => Location::Foreign { text: format!("https://host/{pack}"), size: pack.into() },
        _ => Location::Pack { name, size: u64::from(pack) * 1000 },
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (any::<u8>(), any::<bool>(), 0_u8..12, any::<u32>(), any::<u16>());
    let entry = entry.prop_map(|(blob, function, pack, offset, len)| Entry {
        blob,
        function,
        pack,
        offset,
        len,
    });
    prop::collection::vec(entry, 0..300)
}

async fn add(index: &Index, entries: &[Entry]) {
    let mut builder = SegmentBuilder::new();
    for Entry { blob, function, pack, offset, len } in entries {
        let (cid, location) = (cid(*blob, *function), location(*pack));
        builder.add_blob(&cid, &location, (*offset).into(), (*len).into()).expect("in bounds");
        builder.add_containing(&cid, &location).expect("in bounds");
    }
    index.add(builder).await.expect("kept");
}

type Told = Vec<(Location, u64, u64, u64)>;

async fn check(index: &Index, entries: &[Entry]) {
    for (blob, function) in (0..=255).flat_map(|blob| [(blob, true), (blob, false)]) {
        let cid = cid(blob, function);
        let of = |entry: &&Entry| (entry.blob, entry.function) == (blob, function);
        let place = |entry: &Entry| {
            (location(entry.pack), cid.codec(), entry.offset.into(), entry.len.into())
        };
        let mut due: Told = entries.iter().filter(of).map(place).collect();
        due.sort();
        due.dedup();
        let found = index.find(EntryKind::Blob, cid.hash()).await.expect("readable");
        let mut found: Told = found
            .into_iter()
            .map(|found| (found.location, found.codec, found.offset, found.len))
            .collect();
        found.sort();
        assert_eq!(found, due, "{cid}");
        let mut packs: Vec<_> =
            entries.iter().filter(of).map(|entry| location(entry.pack)).collect();
        packs.sort();
        packs.dedup();
        let containing = index.find(EntryKind::Containing, cid.hash()).await.expect("readable");
        let mut containing: Vec<_> = containing.into_iter().map(|found| found.location).collect();
        containing.sort();
        containing.dedup();
        assert_eq!(containing, packs, "{cid}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn it_has_what_was_put_into_it(parts in prop::collection::vec(entries(), 1..5), gone in 0_u8..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let objects = Arc::new(RemoteObjects::in_memory());
            let index = Index::open(objects.clone(), "index/").await.expect("empty");
            for part in &parts {
                add(&index, part).await;
            }
            let mut all = parts.concat();
            check(&index, &all).await;
            // Another reader finds the same, before the segments are put together and behind its back.
            let other = Index::open(objects.clone(), "index/").await.expect("opened");
            check(&other, &all).await;
            let kept = location(gone);
            let done = index.compact(move |location| *location != kept).await.expect("put together");
            all.retain(|entry| location(entry.pack) != location(gone));
            prop_assert!(index.segments().len() <= 1);
            prop_assert!(done.entries as usize <= 2 * all.len());
            check(&index, &all).await;
            other.refresh().await.expect("looked again");
            check(&other, &all).await;
            let again = index.compact(|_| true).await.expect("put together");
            prop_assert_eq!(again.entries, done.entries);
            check(&index, &all).await;
            Ok(())
        })?;
    }
}

/// Bytes that were changed are told, or change nothing: never is a wrong place given.
#[test]
fn damage_gives_no_wrong_place() {
    use carstone_store::{Content, Key, Objects};
    use futures::TryStreamExt;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let objects = Arc::new(RemoteObjects::in_memory());
        let index = Index::open(objects.clone(), "index/").await.expect("empty");
        let entries: Vec<_> = (0..200_u8)
            .map(|blob| Entry { blob, function: true, pack: blob % 4, offset: blob.into(), len: 7 })
            .collect();
        add(&index, &entries).await;
        let listed: Vec<_> = objects.list("index/").try_collect().await.expect("listed");
        let key = Key::new(&listed[0].key).expect("a key");
        let sound = objects.read(&key, 0..listed[0].size).await.expect("read");
        let (mut told, mut same) = (0, 0);
        let flips = (0..sound.len()).step_by(37).map(|at| (at, 1));
        // A sector of zeros, as a disk gives it that has lost one; or as much of them as a record of the table.
        let zeros = (0..sound.len()).step_by(12).flat_map(|at| [(at, 12), (at, 24), (at, 512)]);
        for (at, len) in flips.chain(zeros) {
            let mut bytes = sound.to_vec();
            match len {
                1 => bytes[at] ^= 0x41,
                len => bytes[at..].iter_mut().take(len).for_each(|byte| *byte = 0),
            }
            objects.delete(&key).await.expect("removed");
            objects.create(&key, Content::Bytes(bytes.into())).await.expect("kept");
            let index = Index::open(objects.clone(), "index/").await.expect("opened");
            told += index.damaged().len();
            for entry in &entries {
                let cid = cid(entry.blob, true);
                match index.find(EntryKind::Blob, cid.hash()).await {
                    Ok(found) => {
                        assert!(!found.is_empty() || !index.damaged().is_empty(), "{at} {len}");
                        same += found.len();
                        for found in found {
                            assert_eq!(found.location, location(entry.pack));
                            assert_eq!((found.offset, found.len), (entry.offset.into(), 7));
                        }
                    }
                    Err(error) => {
                        assert!(error.is_malformed(), "{error}");
                        assert!(error.object().is_some_and(|object| object == key.as_str()));
                        told += 1;
                    }
                }
            }
        }
        assert!(told > 100 && same > 1000, "{told} {same}");
    });
}

/// Where one segment cannot have all locations, several stay, and nothing is lost.
#[tokio::test]
async fn what_does_not_fit_into_one_segment_is_put_together_into_several() {
    let objects = Arc::new(RemoteObjects::in_memory());
    let index = Index::open(objects, "index/").await.expect("empty");
    let location = |number: usize| {
        let text = format!("{number:.<60000}");
        Location::Foreign { text, size: 0 }
    };
    let blob = |number: usize| cid_of(codec::RAW, &number.to_le_bytes());
    // 24 MB of locations each, of which one segment takes 67.
    for part in 0..4 {
        let mut builder = SegmentBuilder::new();
        for number in part * 400..(part + 1) * 400 {
            builder.add_blob(&blob(number), &location(number), 0, 1).expect("in bounds");
        }
        index.add(builder).await.expect("kept");
    }
    let gone = location(1);
    let done = index.compact(move |location| *location != gone).await.expect("put together");
    assert_eq!((done.segments, done.entries), (4, 1599));
    assert_eq!(index.segments().len(), 2);
    for number in [0, 1, 399, 400, 1199, 1200, 1599] {
        let found = index.find(EntryKind::Blob, blob(number).hash()).await.expect("readable");
        let found: Vec<_> = found.into_iter().map(|found| found.location).collect();
        let due: Vec<_> = (number != 1).then(|| location(number)).into_iter().collect();
        assert_eq!(found, due, "{number}");
    }
}
