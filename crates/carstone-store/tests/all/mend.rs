//! Packs that are put together again from what is left of them, from other packs, and from other stores.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carstone_car::{CarReader, CarWriter, Cid, cid_of, codec};
use carstone_store::{
    Blob, Key, LocalObjects, Location, Lost, PackWriterOptions, SegmentBuilder, SourceReader,
    Store, Unmended, add_pack, copy, heal, index_in_place, parse_text,
};
use carstone_unixfs::Profile;

use crate::packs::noise;
use crate::support::{content, findings, read};

fn profile() -> Profile {
    Profile::default().with_chunk_size(1000).expect("fine")
}

fn options() -> PackWriterOptions {
    PackWriterOptions::default().shard_size(5000).profile(profile())
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

fn packs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("packs")).expect("there");
    let mut packs: Vec<_> = entries.map(|entry| entry.expect("there").path()).collect();
    packs.sort();
    packs
}

/// A store of one file, in packs of one size, or of two.
async fn stored(directory: &Path, is_twice: bool) -> (Store, Cid) {
    let store = Store::create_local(directory).await.expect("made");
    let put = |options| store.put(Blob::bytes(noise(9000, 1)), options);
    let root = put(options()).await.expect("put").root;
    if is_twice {
        assert_eq!(put(options().shard_size(3500)).await.expect("put").root, root);
    }
    (store, root)
}

/// Puts these bytes in place of a pack, and looks whether it is as it was after healing from these stores.
async fn heals(store: &Store, pack: &Path, bytes: Option<&[u8]>, from: &[&Store], what: &str) {
    let sound = fs::read(pack).expect("read");
    match bytes {
        Some(bytes) => fs::write(pack, bytes).expect("written"),
        None => fs::remove_file(pack).expect("removed"),
    }
    let sources: Vec<_> =
        from.iter().map(|store| *store as &dyn carstone_store::PackSource).collect();
    let healed = heal(store, &sources).await.expect("healed");
    assert!(healed.lost.is_empty(), "{what}: {:?}", healed.lost);
    let name = pack.file_stem().and_then(|name| parse_text(name.to_str()?)).expect("a name");
    assert_eq!(healed.packs, [name], "{what}");
    assert!(fs::read(pack).expect("read") == sound, "{what}");
}

/// What is said to be lost, while nothing is changed.
async fn loses(store: &Store, pack: &Path, bytes: &[u8], from: &[&Store]) -> Lost {
    fs::write(pack, bytes).expect("written");
    let sources: Vec<_> =
        from.iter().map(|store| *store as &dyn carstone_store::PackSource).collect();
    let mut healed = heal(store, &sources).await.expect("healed");
    assert!(healed.packs.is_empty() && healed.lost.len() == 1, "{healed:?}");
    assert!(fs::read(pack).expect("read") == bytes);
    let names = fs::read_dir(pack.ancestors().nth(2).expect("a store")).expect("there");
    let is_left = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".spool-");
    assert_eq!(names.filter(|name| is_left(&name.as_ref().expect("there").file_name())).count(), 0);
    healed.lost.remove(0)
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1;
    flipped
}

/// Of each block of a pack: its CID, and the bytes of the pack where its section and its data begin.
fn blocks(pack: &[u8]) -> Vec<(Cid, usize, usize)> {
    let mut reader = CarReader::open(pack).expect("a CAR");
    let start = reader.payload_start() as usize;
    let (mut blocks, mut data) = (Vec::new(), Vec::new());
    while let Some(section) = reader.read_block(&mut data).expect("sound") {
        let (offset, at) = (section.offset as usize, section.data_offset as usize);
        blocks.push((section.cid, start + offset, start + at));
    }
    blocks
}

#[test]
fn what_lies_in_other_packs_too_mends_a_pack() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, root) = stored(directory.path(), true).await;
        for pack in packs(directory.path()) {
            let sound = fs::read(&pack).expect("read");
            let blocks = blocks(&sound);
            // Every byte of the header and of the first heads, and some of all that follow.
            let front = blocks[1.min(blocks.len() - 1)].2;
            let front = (0..front).filter(|at| *at < 100 || *at > blocks[0].2 + 990);
            for at in front.chain((0..sound.len()).step_by(701)) {
                heals(&store, &pack, Some(&flipped(&sound, at)), &[], &format!("byte {at}")).await;
            }
            let lens = [0, 1, 17, 18, 40, 57, 500, 1100, sound.len() - 1];
            for len in lens.into_iter().filter(|len| *len < sound.len()) {
                let what = format!("cut to {len}");
                heals(&store, &pack, Some(&sound[..len]), &[], &what).await;
            }
            let longer = [&sound[..], &[7; 100]].concat();
            heals(&store, &pack, Some(&longer), &[], "longer").await;
            heals(&store, &pack, Some(&vec![0; sound.len()]), &[], "zeros").await;
            heals(&store, &pack, None, &[], "missing").await;
            // All of its blocks at once, and what is between them.
            let mut bytes = sound.clone();
            for (_, head, data) in &blocks {
                bytes[*head] ^= 0x10;
                bytes[*data] ^= 0x10;
            }
            heals(&store, &pack, Some(&bytes), &[], "everywhere").await;
        }
        assert_eq!(content(&store, root).await.expect("sound"), noise(9000, 1));
        assert!(findings(&store).await.is_empty());
    });
}

/// Headers and heads of sections follow from the index. Blobs do not, and are named.
#[test]
fn a_blob_that_is_nowhere_else_is_named() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, _) = stored(directory.path(), false).await;
        for pack in packs(directory.path()) {
            let sound = fs::read(&pack).expect("read");
            let blocks = blocks(&sound);
            for (_, head, data) in &blocks {
                for at in *head..*data {
                    heals(&store, &pack, Some(&flipped(&sound, at)), &[], "a head").await;
                }
            }
            for at in 0..blocks[0].1 {
                heals(&store, &pack, Some(&flipped(&sound, at)), &[], "the header").await;
            }
            let ends = blocks.iter().skip(1).map(|(_, head, _)| *head).chain([sound.len()]);
            for ((cid, _, data), end) in blocks.iter().zip(ends) {
                let lost = loses(&store, &pack, &flipped(&sound, (data + end) / 2), &[]).await;
                assert_eq!(lost.why, Unmended::Blobs(vec![*cid]));
                assert!(lost.why.to_string().contains(&cid.to_string()));
            }
            // With one of them, what is behind it is gone.
            let cut = blocks[blocks.len() / 2].2 + 3;
            let lost = loses(&store, &pack, &sound[..cut], &[]).await;
            let gone = blocks[blocks.len() / 2..].iter().map(|(cid, ..)| *cid).collect();
            assert_eq!(lost.why, Unmended::Blobs(gone));
            fs::write(&pack, &sound).expect("written");
        }
        assert!(findings(&store).await.is_empty());
    });
}

/// Two stores in which the same pack is damaged, at different places.
#[test]
fn what_is_damaged_in_both_stores_is_taken_from_both() {
    let (directory, mirror) =
        (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    run(async {
        let (store, _) = stored(directory.path(), false).await;
        let other = Store::create_local(mirror.path()).await.expect("made");
        copy(&store, &other, |_| ()).await.expect("copied");
        for pack in packs(directory.path()) {
            let theirs = mirror.path().join("packs").join(pack.file_name().expect("a name"));
            let sound = fs::read(&pack).expect("read");
            let blocks = blocks(&sound);
            let (first, last) = (blocks[0].2 + 1, blocks[blocks.len() - 1].2 + 1);
            let (mine, yours) = (flipped(&sound, first), flipped(&sound, last));
            if blocks.len() > 1 {
                fs::write(&theirs, &yours).expect("written");
                heals(&store, &pack, Some(&mine), &[&other], "a bit in each").await;
                fs::write(&theirs, &mine).expect("written");
                heals(&store, &pack, Some(&sound[..last]), &[&other], "cut here").await;
                fs::write(&theirs, &sound[..last]).expect("written");
                heals(&store, &pack, Some(&mine), &[&other], "cut there").await;
            }
            fs::write(&theirs, flipped(&mine, 3)).expect("written");
            let lost = loses(&store, &pack, &mine, &[&other]).await;
            assert_eq!(lost.why, Unmended::Blobs(vec![blocks[0].0]));
            fs::write(&pack, &sound).expect("written");
        }
        // Blobs of the other store may lie anywhere in it.
        packs(mirror.path()).iter().for_each(|pack| fs::remove_file(pack).expect("removed"));
        let again = other.put(Blob::bytes(noise(9000, 1)), options().shard_size(2500)).await;
        again.expect("put");
        for pack in packs(directory.path()) {
            heals(&store, &pack, None, &[&other], "from other packs of the other").await;
        }
        assert!(findings(&store).await.is_empty());
    });
}

/// An index that has the codecs wrong, as one that was taken from records without codecs, is no reason to make something else.
#[test]
fn codecs_and_versions_of_cids_are_guessed() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, root) = stored(directory.path(), true).await;
        let all = packs(directory.path());
        let node = store.places(root.hash()).await.expect("found").remove(0);
        let Location::Pack { name, .. } = node.location else { panic!("a pack") };
        let is_it = |pack: &&PathBuf| {
            pack.file_stem().and_then(|stem| parse_text(stem.to_str()?)) == Some(name)
        };
        let with_node = all.iter().find(is_it).expect("there");
        // Everything is raw, as far as this index knows.
        let mut entries = SegmentBuilder::new();
        for pack in &all {
            let name = pack.file_stem().and_then(|name| parse_text(name.to_str()?)).expect("one");
            for (hash, found) in store.index().blobs_in(&name).await.expect("read") {
                let cid = Cid::new_v1(codec::RAW, hash);
                entries.add_blob(&cid, &found.location, found.offset, found.len).expect("fits");
            }
        }
        fs::remove_dir_all(directory.path().join("index")).expect("removed");
        let store = Store::open_local(directory.path()).await.expect("opened");
        store.index().add(entries).await.expect("kept");
        let sound = fs::read(with_node).expect("read");
        let blocks = blocks(&sound);
        heals(&store, with_node, Some(&flipped(&sound, blocks[0].2 + 5)), &[], "data").await;
        for (_, head, data) in blocks {
            for at in head..data {
                heals(&store, with_node, Some(&flipped(&sound, at)), &[], "a head").await;
            }
        }
        heals(&store, with_node, None, &[], "missing").await;
        assert_eq!(read(&store, root).await.expect("sound"), 10);
    });
}

/// CARs of other makers: CIDs of version 0, several roots, a block that comes twice.
#[test]
fn cars_that_others_have_made_are_mended() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let store = Store::create_local(directory.path()).await.expect("made");
        let data: Vec<_> = (0..4).map(|seed| noise(300, seed)).collect();
        let old = Cid::new_v0(*cid_of(codec::RAW, &data[0]).hash()).expect("SHA-256");
        let cbor = cid_of(codec::DAG_CBOR, &data[1]);
        let raw = cid_of(codec::RAW, &data[2]);
        let blocks = [(old, 0), (cbor, 1), (raw, 2), (raw, 2)];
        for roots in [&[old, cbor][..], &[cbor, old], &[cbor], &[]] {
            let mut car = CarWriter::new(Vec::new(), roots).expect("made");
            for (cid, number) in blocks {
                car.write_block(&cid, &data[number]).expect("written");
            }
            add_pack(&store, Blob::bytes(car.finish().expect("made"))).await.expect("kept");
        }
        for pack in packs(directory.path()) {
            let sound = fs::read(&pack).expect("read");
            for at in (0..200).chain((200..sound.len()).step_by(37)) {
                heals(&store, &pack, Some(&flipped(&sound, at)), &[], &format!("byte {at}")).await;
            }
            heals(&store, &pack, None, &[], "missing").await;
        }
        let found = findings(&store).await;
        assert!(found.is_empty(), "{found:?}");
    });
}

/// Files in place hold the blobs of packs too.
#[test]
fn what_lies_outside_of_the_store_mends_a_pack() {
    let (directory, files) =
        (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    run(async {
        let (store, root) = stored(directory.path(), false).await;
        fs::write(files.path().join("file"), noise(9000, 1)).expect("written");
        let outside = Arc::new(LocalObjects::new(files.path()));
        let key = Key::new("file").expect("a key");
        let placed = index_in_place(&store, outside.clone(), &key, profile()).await;
        assert_eq!(placed.expect("indexed"), root);
        // One of leaves: the root is in two packs.
        let has_leaf =
            |pack: &&PathBuf| blocks(&fs::read(pack).expect("read"))[0].0.codec() == codec::RAW;
        let all = packs(directory.path());
        let pack = all.iter().find(has_leaf).expect("one");
        let sound = fs::read(pack).expect("read");
        let damaged = flipped(&sound, blocks(&sound)[0].2 + 9);
        // Nobody has told where the files are.
        let lost = loses(&store, pack, &damaged, &[]).await;
        assert!(matches!(lost.why, Unmended::Blobs(_)));
        fs::write(pack, &sound).expect("written");
        let store = store.with_sources(SourceReader::new().paths(outside));
        heals(&store, pack, Some(&damaged), &[], "a leaf").await;
    });
}

/// A blob by itself is mended where it is a block of some pack too, and else it is lost as one.
#[test]
fn a_blob_by_itself_is_mended() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let store = Store::create_local(directory.path()).await.expect("made");
        let lone = store.put_blob(Blob::bytes(noise(1000, 1)), options()).await.expect("put");
        let pack = packs(directory.path()).remove(0);
        let sound = fs::read(&pack).expect("read");
        let lost = loses(&store, &pack, &flipped(&sound, 5), &[]).await;
        assert_eq!(lost.why, Unmended::Blobs(vec![lone]));
        fs::write(&pack, &sound).expect("written");
        store.put(Blob::bytes(noise(1500, 1)[..1000].to_vec()), options()).await.expect("put");
        for bytes in [Some(flipped(&sound, 5)), Some(sound[..100].to_vec()), None] {
            heals(&store, &pack, bytes.as_deref(), &[], "a blob").await;
        }
    });
}

/// What no index knows can only come whole.
#[test]
fn a_pack_without_an_index_is_told() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        stored(directory.path(), true).await;
        fs::remove_dir_all(directory.path().join("index")).expect("removed");
        let store = Store::open_local(directory.path()).await.expect("opened");
        let pack = &packs(directory.path())[0];
        let damaged = flipped(&fs::read(pack).expect("read"), 500);
        assert_eq!(loses(&store, pack, &damaged, &[]).await.why, Unmended::Unknown);
    });
}
