//! Roots whose DAGs are not whole: nobody makes a record that says too little, and a check tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carstone_car::Cid;
use carstone_store::{
    Blob, Dedupe, Finding, LocalObjects, PackWriterOptions, RootRecord, SourceReader, Store,
    StreamOptions, Written, collect, collect_part, copy, heal, index_in_place, rebuild_index,
    rebuild_roots, remove_root, text_of,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::packs::noise;
use crate::support::{findings, read};

/// Nodes of four links, so that each pack has some.
fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    let profile = profile.with_width(4).expect("fine");
    PackWriterOptions::default().shard_size(10_000).profile(profile)
}

async fn put(store: &Store, seed: u64) -> Written {
    store.put(Blob::bytes(noise(60_000, seed)), options()).await.expect("put")
}

fn pack_path(directory: &Path, pack: &carstone_store::Hash) -> PathBuf {
    directory.join(format!("packs/{}.car", text_of(pack)))
}

/// Flips a bit in a node of the first pack that has one below the root.
fn hurt_a_node(directory: &Path, written: &Written) -> carstone_store::Hash {
    for pack in &written.packs {
        for blob in &pack.blobs {
            if blob.cid.codec() == carstone_car::codec::DAG_PB && blob.cid != written.root {
                let path = pack_path(directory, &pack.name);
                let mut bytes = fs::read(&path).expect("read");
                bytes[blob.offset as usize + 3] ^= 1;
                fs::write(&path, bytes).expect("written");
                return pack.name;
            }
        }
    }
    panic!("there is no such node");
}

fn records(directory: &Path) -> Vec<PathBuf> {
    let roots = fs::read_dir(directory.join("roots")).expect("there");
    let inside = roots.flat_map(|root| fs::read_dir(root.expect("there").path()).expect("there"));
    inside.map(|record| record.expect("there").path()).collect()
}

#[tokio::test]
async fn no_record_says_too_little() {
    for has_record in [false, true] {
        let directory = tempfile::tempdir().expect("made");
        let mirror = Store::in_memory().await.expect("made");
        let store = Store::create_local(directory.path()).await.expect("made");
        let written = put(&store, 1).await;
        copy(&store, &mirror, |_| ()).await.expect("copied");
        hurt_a_node(directory.path(), &written);
        let record = records(directory.path()).remove(0);
        match has_record {
            // A damaged one, which is in its place still.
            true => {
                let mut bytes = fs::read(&record).expect("read");
                bytes[10] ^= 1;
                fs::write(&record, bytes).expect("written");
            }
            false => fs::remove_file(&record).expect("removed"),
        }
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!((done.roots, done.damaged.len()), (0, 1));
        let [incomplete] = &done.incomplete[..] else { panic!("{:?}", done.incomplete) };
        assert_eq!(incomplete.root, written.root);
        assert_eq!(done.damaged_roots.len(), usize::from(has_record));
        assert_eq!(record.exists(), has_record);
        if has_record {
            // So that nothing goes.
            collect(&store, Duration::ZERO, false).await.expect_err("a record is damaged");
        }
        assert!(heal(&store, &[&mirror]).await.expect("healed").lost.is_empty());
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!((done.roots, done.incomplete.len(), done.damaged_roots.len()), (1, 0, 0));
        let roots = store.roots().await.expect("read");
        assert_eq!(roots[0].packs.len(), written.packs.len());
        let none = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert!(none.packs.is_empty());
        assert!(findings(&store).await.is_empty());
        assert_eq!(read(&store, written.root).await.expect("whole"), 60 + 15 + 4 + 1);
    }
}

#[tokio::test]
async fn a_root_that_was_removed_stays_so() {
    let store = Store::in_memory().await.expect("made");
    let (gone, kept) = (put(&store, 1).await, put(&store, 2).await);
    remove_root(&store, &gone.root).await.expect("removed");
    let roots = || async {
        let roots = store.roots().await.expect("read");
        roots.into_iter().map(|record| record.root).collect::<Vec<Cid>>()
    };
    assert_eq!(rebuild_index(&store, |_| ()).await.expect("made again").roots, 0);
    assert_eq!(roots().await, [kept.root]);
    // Unless somebody asks for all.
    assert_eq!(rebuild_roots(&store, |_| ()).await.expect("made again").roots, 1);
    assert!(roots().await.contains(&gone.root));
    remove_root(&store, &gone.root).await.expect("removed");
    // Of one that is half gone nothing comes back, nor of the only one.
    remove_root(&store, &kept.root).await.expect("removed");
    collect_part(&store, Duration::ZERO, false, (0, 2)).await.expect("collected");
    for _ in 0..2 {
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!(done.roots, 0, "{:?}", done.incomplete);
        assert!(!done.incomplete.is_empty());
        assert!(findings(&store).await.is_empty());
    }
    assert!(rebuild_roots(&store, |_| ()).await.expect("made again").incomplete.len() == 2);
    assert!(roots().await.is_empty());
}

#[tokio::test]
async fn what_a_root_lacks_is_told() {
    let store = Store::in_memory().await.expect("made");
    let written = put(&store, 1).await;
    put(&store, 2).await;
    assert!(findings(&store).await.is_empty());
    // A record that names too few packs, as a program that is wrong may write it.
    let [record] = &store
        .roots()
        .await
        .expect("read")
        .into_iter()
        .filter(|record| record.root == written.root)
        .collect::<Vec<_>>()[..]
    else {
        panic!("one")
    };
    assert_eq!(record.packs.len(), written.packs.len());
    for pack in &written.packs {
        let sound = store.packs().get(&pack.name).await.expect("sound").expect("there");
        store.packs().delete(&pack.name).await.expect("removed");
        store
            .index()
            .compact({
                let gone = pack.name;
                move |location| location.pack() != Some(&gone)
            })
            .await
            .expect("put together");
        let found = findings(&store).await;
        assert!(
            found
                .iter()
                .any(|finding| matches!(finding, Finding::MissingPack(name) if *name == pack.name))
        );
        // With a pack that the record needs, the root is not told again.
        assert!(!found.iter().any(|finding| matches!(finding, Finding::IncompleteRoot(_))));
        let content = carstone_store::Content::Bytes(sound);
        store.packs().put(&pack.name, content).await.expect("put");
        // The pack is there, and the index does not have it.
        let found = findings(&store).await;
        let told = |finding: &&Finding| matches!(finding, Finding::IncompleteRoot(found) if found.root == written.root);
        assert_eq!(found.iter().filter(told).count(), 1, "{found:?}");
        rebuild_index(&store, |_| ()).await.expect("made again");
        assert!(findings(&store).await.is_empty());
    }
}

#[tokio::test]
async fn a_file_in_its_place_that_was_changed_is_told() {
    let directory = tempfile::tempdir().expect("made");
    fs::write(directory.path().join("file"), noise(3_000_000, 1)).expect("written");
    let files = Arc::new(LocalObjects::new(directory.path()));
    let store = Store::in_memory().await.expect("made");
    let key = carstone_store::Key::new("file").expect("a key");
    let root =
        index_in_place(&store, files.clone(), &key, Profile::default()).await.expect("indexed");
    let reading = store.clone().with_sources(SourceReader::new().paths(files));
    assert!(findings(&store).await.is_empty() && findings(&reading).await.is_empty());
    let mut bytes = noise(3_000_000, 1);
    bytes[2_000_000] ^= 1;
    fs::write(directory.path().join("file"), bytes).expect("written");
    assert!(findings(&store).await.is_empty(), "nobody says where files are");
    let found = findings(&reading).await;
    assert!(
        matches!(&found[..], [Finding::IncompleteRoot(found)] if found.root == root),
        "{found:?}"
    );
}

/// A bucket that is damaged keeps nobody from looking at all else, and from healing.
#[tokio::test]
async fn a_segment_that_is_damaged_does_not_end_a_check() {
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    let written = put(&store, 1).await;
    let mirror = Store::in_memory().await.expect("made");
    copy(&store, &mirror, |_| ()).await.expect("copied");
    let segment = fs::read_dir(directory.path().join("index")).expect("there").next();
    let segment = segment.expect("one").expect("there").path();
    let sound = fs::read(&segment).expect("read");
    for at in (4096..sound.len()).step_by(501) {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        fs::write(&segment, bytes).expect("written");
        fs::remove_file(pack_path(directory.path(), &written.packs[0].name)).expect("removed");
        let store = Store::open_local(directory.path()).await.expect("opened");
        let found = findings(&store).await;
        assert!(found.iter().any(|finding| matches!(finding, Finding::DamagedSegment(_))), "{at}");
        let healed = heal(&store, &[&mirror]).await.expect("healed");
        assert_eq!(healed.packs, [written.packs[0].name], "{at}: {healed:?}");
        rebuild_index(&store, |_| ()).await.expect("made again");
        assert!(findings(&store).await.is_empty());
        fs::read_dir(directory.path().join("index")).expect("there").for_each(|file| {
            fs::remove_file(file.expect("there").path()).expect("removed");
        });
        fs::write(&segment, &sound).expect("written");
    }
}

fn hurt_record(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    bytes[10] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// What two roots have in common, each of them needs.
#[tokio::test]
async fn roots_that_share_packs_name_all_of_them() {
    for all in [false, true] {
        let directory = tempfile::tempdir().expect("made");
        let store = Store::create_local(directory.path()).await.expect("made");
        let mut roots = Vec::new();
        for seed in 0..6 {
            let more = [noise(60_000, 1), noise(3000, seed)].concat();
            let known = options().dedupe(Dedupe::Store);
            let root = store.put(Blob::bytes(more), known).await.expect("put").root;
            roots.push(root);
        }
        let before = store.roots().await.expect("read");
        for record in records(directory.path()) {
            match all {
                true => fs::remove_file(record).expect("removed"),
                false => hurt_record(&record),
            }
        }
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!((done.roots, done.unneeded.len()), (6, 0));
        let sorted = |records: Vec<RootRecord>| {
            let sorted =
                records.into_iter().map(|record| (record.root, record.packs.into_iter().collect()));
            sorted.collect::<BTreeMap<_, BTreeSet<_>>>()
        };
        assert_eq!(sorted(store.roots().await.expect("read")), sorted(before));
        for gone in 0..5 {
            remove_root(&store, &roots[gone]).await.expect("removed");
            collect(&store, Duration::ZERO, false).await.expect("collected");
            for kept in &roots[gone + 1..] {
                read(&store, *kept).await.expect("kept");
            }
        }
    }
}

/// Files that are kept in one piece, CARs and others, sound ones and such that end too soon, are blobs and nothing else.
#[tokio::test]
async fn a_blob_by_itself_is_what_it_is() {
    let others = Store::in_memory().await.expect("made");
    let other = put(&others, 1).await;
    let car: Vec<u8> = {
        let pieces: Vec<_> = others
            .stream_car(other.root, StreamOptions::default())
            .try_collect()
            .await
            .expect("read");
        pieces.concat()
    };
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    let contents = [car.clone(), car[..car.len() - 700].to_vec(), noise(5000, 9), Vec::new()];
    let mut roots = Vec::new();
    for content in &contents {
        let blob = Blob::bytes(content.clone());
        roots.push(store.put_blob(blob, options()).await.expect("put"));
    }
    let is_well = async || {
        let findings = findings(&store).await;
        assert!(findings.is_empty(), "{findings:?}");
        assert!(heal(&store, &[]).await.expect("healed").packs.is_empty());
        for (root, content) in roots.iter().zip(&contents) {
            assert_eq!(&store.block(root).await.expect("read").expect("there")[..], &content[..]);
        }
        let none = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert!(none.packs.is_empty());
        assert_eq!(store.roots().await.expect("read").len(), contents.len());
    };
    is_well().await;
    let done = rebuild_index(&store, |_| ()).await.expect("made again");
    assert!(done.damaged.is_empty());
    is_well().await;
    // A damaged record is made again, and so are all of them.
    for record in records(directory.path()) {
        hurt_record(&record);
        rebuild_index(&store, |_| ()).await.expect("made again");
        is_well().await;
    }
    for record in records(directory.path()) {
        fs::remove_file(record).expect("removed");
    }
    let done = rebuild_roots(&store, |_| ()).await.expect("made again");
    assert!(done.unneeded.is_empty());
    assert!(store.roots().await.expect("read").iter().any(|record| record.root == other.root));
    for root in &roots {
        assert!(store.roots().await.expect("read").iter().any(|record| record.root == *root));
    }
    remove_root(&store, &other.root).await.expect("removed");
    is_well().await;
}

/// A pack that names no root is told, before somebody collects it.
#[tokio::test]
async fn packs_that_no_root_needs_are_told() {
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    let kept = put(&store, 1).await;
    let writer = store.writer(options()).expect("it may be written");
    let cut = writer.write(Blob::bytes(noise(60_000, 2))).await.expect("put");
    fs::remove_file(pack_path(directory.path(), &cut.packs.last().expect("some").name))
        .expect("removed");
    for record in records(directory.path()) {
        fs::remove_file(record).expect("removed");
    }
    let done = rebuild_roots(&store, |_| ()).await.expect("made again");
    let unneeded: BTreeSet<_> = done.unneeded.into_iter().collect();
    let due = cut.packs[..cut.packs.len() - 1].iter().map(|pack| pack.name);
    assert_eq!(unneeded, due.collect());
    let collected = collect(&store, Duration::ZERO, false).await.expect("collected");
    assert_eq!(collected.packs.into_iter().collect::<BTreeSet<_>>(), unneeded);
    read(&store, kept.root).await.expect("kept");
}

/// What others do at the same time is no fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_beside_others_has_nothing_to_tell() {
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    put(&store, 1).await;
    let path = directory.path().to_owned();
    let others = tokio::spawn(async move {
        let store = Store::open_local(path).await.expect("opened");
        for seed in 10..50 {
            let written = put(&store, seed).await;
            match seed % 4 {
                0 => {
                    remove_root(&store, &written.root).await.expect("removed");
                    collect(&store, Duration::ZERO, false).await.expect("collected");
                }
                1 => drop(store.index().compact(|_| true).await.expect("put together")),
                _ => {}
            }
        }
    });
    while !others.is_finished() {
        let findings = findings(&store).await;
        assert!(findings.is_empty(), "{findings:?}");
    }
    others.await.expect("all was put");
    assert!(findings(&store).await.is_empty());
}
