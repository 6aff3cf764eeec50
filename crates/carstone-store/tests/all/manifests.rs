//! Packs that are DAGs by themselves: the shared test vectors, and files of many packs.

use std::collections::HashMap;
use std::sync::Arc;

use carstone_car::dag::{WalkOptions, check_complete};
use carstone_car::{CarSlice, Cid, cid_of, codec};
use carstone_store::{
    Blob, Dedupe, ErrorKind, Layout, ObjectPackStore, PackManifest, PackStore, PackWriter,
    PackWriterOptions, RemoteObjects, Store, Written, heal, rebuild_index, text_of,
};
use carstone_unixfs::Profile;
use toml::{Table, Value};

use crate::packs::noise;
use crate::support::{findings, read};

fn hex(value: &Value, key: &str) -> Vec<u8> {
    let text: String = value[key].as_str().expect("text").split_whitespace().collect();
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("text"), 16);
    digits.map(|pair| byte(pair).expect("hexadecimal")).collect()
}

fn cid(value: &Value, key: &str) -> Cid {
    Cid::try_from(hex(value, key)).expect("a CID")
}

fn packs() -> Arc<ObjectPackStore> {
    let layout = Layout::flat("", ".car").expect("a layout");
    Arc::new(ObjectPackStore::new(Arc::new(RemoteObjects::in_memory()), layout))
}

#[tokio::test]
async fn manifests_are_those_of_the_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/pack_manifest.toml");
    let file: Table = std::fs::read_to_string(path).expect("there").parse().expect("TOML");
    let cases = file["blob"].as_array().expect("a list");
    assert!(cases.len() >= 9);
    for case in cases {
        let name = case["name"].as_str().expect("text");
        let (root, limit) = (cid(case, "root"), case["limit"].as_integer().expect("a number"));
        let blocks = case["block"].as_array().expect("a list").iter();
        let blocks: Vec<_> = blocks.map(|block| (cid(block, "cid"), hex(block, "data"))).collect();
        let store = packs();
        let options = PackWriterOptions::default().shard_size(limit as u64).manifests(true);
        let writer = PackWriter::with_options(store.clone(), options);
        let make = move |put: &mut carstone_store::Put<'_>| {
            blocks.iter().try_for_each(|(cid, data)| put(cid, data))?;
            Ok(root)
        };
        let written = writer.write_blocks(make, |_| Ok(())).await.expect("put");
        let due = case["pack"].as_array().expect("a list");
        assert_eq!(written.packs.len(), due.len(), "{name}");
        let mut previous = None;
        for (number, (pack, due)) in written.packs.iter().zip(due).enumerate() {
            let is_last = number + 1 == written.packs.len();
            let manifest = cid(due, "cid");
            let due_open = PackManifest::decode(&hex(due, "manifest")).expect("a manifest").open;
            let is_root = is_last && !due_open.contains(&root);
            let roots = if is_root { vec![root, manifest] } else { vec![manifest] };
            assert_eq!(pack.roots, roots, "{name}");
            assert_eq!(pack.blobs.len() as i64, due["blocks"].as_integer().expect("a number") + 1);
            let bytes = store.get(&pack.name).await.expect("sound").expect("there");
            let car = CarSlice::parse(&bytes).expect("a CAR");
            let last = car.sections().last().expect("a block").expect("sound");
            let data = &bytes[last.data_offset as usize..][..last.data_len];
            assert_eq!((last.cid, data), (manifest, &hex(due, "manifest")[..]), "{name}");
            let told = PackManifest::decode(data).expect("a manifest");
            assert_eq!(told.number, number as u64);
            assert_eq!(told.root, is_last.then_some(root));
            assert_eq!(told.previous, previous);
            previous = Some(manifest);
        }
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    let mut block = b"\xa1\x71carstone/pack@0.1".to_vec();
    for wrong in [&b""[..], b"\xa1", b"\xa0", b"\xa1\x71carstone/pack@0.2\xa0", &block.clone()] {
        assert!(PackManifest::decode(wrong).is_err(), "{wrong:?}");
    }
    block.extend(b"\xa5\x64open\x80\x64root\xf6\x65links\x80\x66number\x20\x68previous\xf6");
    assert!(PackManifest::decode(&block).is_err(), "a number below zero");
    let at = block.iter().position(|byte| *byte == 0x20).expect("it is there");
    block[at] = 7;
    assert_eq!(PackManifest::decode(&block).expect("a manifest").number, 7);
    block.push(0);
    assert!(PackManifest::decode(&block).is_err(), "something is behind it");
}

fn options(shard_size: u64) -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(shard_size).profile(profile).manifests(true)
}

/// Under each root of each pack, all is in the pack, but for the root of the blob.
async fn are_whole(store: &Store, written: &Written, limit: u64) {
    let mut seen = HashMap::new();
    for pack in &written.packs {
        assert!(pack.size <= limit, "{} of {limit}", pack.size);
        let bytes = store.packs().get(&pack.name).await.expect("sound").expect("there");
        let car = CarSlice::parse(&bytes).expect("a CAR");
        assert_eq!(car.roots(), pack.roots);
        let sections = car.sections().map(|section| section.expect("sound"));
        let blocks: HashMap<Cid, Vec<u8>> = sections
            .map(|section| {
                let data = bytes[section.data_offset as usize..][..section.data_len].to_vec();
                (section.cid, data)
            })
            .collect();
        let manifest = pack.roots.last().expect("it has one");
        let roots = check_complete(&blocks, car.roots(), &WalkOptions::default(), 10);
        assert!(roots.expect("walked").is_complete());
        let walked = check_complete(&blocks, &[*manifest], &WalkOptions::default(), 10);
        let walked = walked.expect("walked");
        assert!(walked.is_complete(), "{:?}", walked.faults);
        let told = PackManifest::decode(&blocks[manifest]).expect("a manifest");
        assert!(told.open.iter().all(|cid| blocks.contains_key(cid)));
        assert_eq!(walked.blocks + told.open.len() as u64, blocks.len() as u64);
        seen.extend(blocks);
    }
    let walked = check_complete(&seen, &[written.root], &WalkOptions::default(), 10);
    assert!(walked.expect("walked").is_complete());
}

#[tokio::test]
async fn every_pack_is_a_dag_by_itself() {
    let store = Store::in_memory().await.expect("made");
    let mut counts = Vec::new();
    for len in [0, 1, 1000, 2500, 100_000, 1_500_000] {
        for limit in [7000, 70_000, 10_000_000] {
            // The largest node of such a file has 1024 links.
            if limit == 7000 && len > 100_000 {
                continue;
            }
            let content = noise(len, 3);
            let put = store.put(Blob::bytes(content.clone()), options(limit).dedupe(Dedupe::Blob));
            let written = put.await.expect("put");
            are_whole(&store, &written, limit).await;
            let plain = Store::in_memory().await.expect("made");
            let without = plain.put(Blob::bytes(content), options(limit).manifests(false)).await;
            assert_eq!(written.root, without.expect("put").root);
            counts.push(written.packs.len());
        }
    }
    assert!(counts.iter().any(|count| *count > 20), "{counts:?}");
    // What is left out, since the store has it, is elsewhere.
    let content = [noise(100_000, 3), noise(5000, 4)].concat();
    let put = store.put(Blob::bytes(content), options(70_000).dedupe(Dedupe::Store));
    let written = put.await.expect("put");
    assert!(!written.known.is_empty());
    assert!(read(&store, written.root).await.expect("whole") > 100);
    // A manifest is no root that somebody has put.
    let roots = store.roots().await.expect("read");
    rebuild_index(&store, |_| ()).await.expect("made again");
    assert_eq!(store.roots().await.expect("read"), roots);
    assert!(findings(&store).await.is_empty());
}

/// A block that fits without a manifest, and not with one.
#[tokio::test]
async fn a_manifest_takes_its_room() {
    let writer = PackWriter::with_options(packs(), options(1690));
    let error = writer.write(Blob::bytes(noise(3000, 1))).await.expect_err("no room");
    assert!(matches!(error.kind(), ErrorKind::BlockTooLarge { limit: 1690, .. }), "{error}");
    let writer = PackWriter::with_options(packs(), options(1690).manifests(false));
    writer.write(Blob::bytes(noise(3000, 1))).await.expect("there is room");
    // So many blocks that one manifest cannot tell of all.
    let store = packs();
    let writer = PackWriter::with_options(store.clone(), options(10_000_000));
    let make = |put: &mut carstone_store::Put<'_>| {
        let mut last = Cid::default();
        for number in 0..45_000_u32 {
            let data = number.to_le_bytes();
            last = cid_of(codec::RAW, &data);
            put(&last, &data)?;
        }
        Ok(last)
    };
    let written = writer.write_blocks(make, |_| Ok(())).await.expect("put");
    let counts: Vec<_> = written.packs.iter().map(|pack| pack.blobs.len()).collect();
    assert_eq!(counts, [20_001, 20_001, 5001]);
    assert!(written.packs.iter().all(|pack| pack.blobs.last().expect("it").len < 1 << 20));
}

/// The header of a pack that has lost it is made again, with the manifest in it.
#[tokio::test]
async fn a_header_with_a_manifest_is_made_again() {
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    let content = noise(20_000, 5);
    let written = store.put(Blob::bytes(content), options(7000)).await.expect("put");
    assert!(written.packs.len() > 3);
    for pack in &written.packs {
        let path = directory.path().join(format!("packs/{}.car", text_of(&pack.name)));
        let sound = std::fs::read(&path).expect("read");
        let mut bytes = sound.clone();
        bytes[..40].fill(0);
        std::fs::write(&path, bytes).expect("written");
        let healed = heal(&store, &[]).await.expect("healed");
        assert_eq!(healed.packs, [pack.name]);
        assert_eq!(std::fs::read(&path).expect("read"), sound);
    }
}
