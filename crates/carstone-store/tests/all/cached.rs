//! Segments of an index that are kept on a local disk: they spare requests, and never change what is said.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use carstone_car::Cid;
use carstone_store::{Blob, CachedObjects, Layout, PackWriterOptions, Store};
use carstone_unixfs::Profile;

use crate::packs::noise;
use crate::support::{content, read};
use crate::watched::Watched;

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(10_000).profile(profile)
}

async fn stored() -> (Arc<Watched>, Vec<Cid>) {
    let objects = Arc::new(Watched::new());
    let layout = Layout::nested("packs/", ".car").expect("a layout");
    let store = Store::create(objects.clone(), layout).await.expect("made");
    let mut roots = Vec::new();
    for seed in 0..3 {
        let put = store.put(Blob::bytes(noise(20_000, seed)), options());
        roots.push(put.await.expect("put").root);
    }
    (objects, roots)
}

async fn open(objects: &Arc<Watched>, cache: &Path, limit: u64) -> Store {
    let cached = CachedObjects::new(objects.clone(), cache, limit);
    Store::open(Arc::new(cached)).await.expect("opened")
}

/// How many reads were of the index.
fn index_reads(objects: &Watched) -> usize {
    objects.taken().iter().filter(|(key, _)| key.starts_with("index/")).count()
}

fn kept(cache: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(cache.join("index")).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("there").path()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn an_index_that_is_kept_is_not_asked_for() {
    let (objects, roots) = stored().await;
    let cache = tempfile::tempdir().expect("made");
    for round in 0..2 {
        objects.taken();
        let store = open(&objects, cache.path(), 1 << 20).await;
        for (seed, root) in roots.iter().enumerate() {
            let found = content(&store, *root).await.expect("whole");
            assert_eq!(found, noise(20_000, seed as u64));
        }
        // They come as streams, which are no reads.
        assert_eq!(index_reads(&objects), 0, "{round}");
        assert_eq!(kept(cache.path()).len(), 3);
    }
    // What another program has put since, and what it has put together.
    let other = Store::open(objects.clone()).await.expect("opened");
    let store = open(&objects, cache.path(), 1 << 20).await;
    let late = other.put(Blob::bytes(noise(5000, 9)), options()).await.expect("put").root;
    store.index().refresh().await.expect("looked again");
    assert!(read(&store, late).await.expect("whole") > 5);
    other.index().compact(|_| true).await.expect("put together");
    let store = open(&objects, cache.path(), 1 << 20).await;
    for root in roots.iter().chain([&late]) {
        assert!(read(&store, *root).await.expect("whole") > 5);
    }
    assert_eq!(store.index().segments().len(), 1);
}

#[tokio::test]
async fn what_is_damaged_in_the_directory_comes_again() {
    let (objects, roots) = stored().await;
    let cache = tempfile::tempdir().expect("made");
    drop(open(&objects, cache.path(), 1 << 20).await);
    let files = kept(cache.path());
    let sound: Vec<_> = files.iter().map(|file| fs::read(file).expect("read")).collect();
    for at in (0..sound[0].len()).step_by(97) {
        let mut bytes = sound[0].clone();
        bytes[at] ^= 0x10;
        fs::write(&files[0], &bytes).expect("written");
        fs::write(&files[1], &sound[1][..at]).expect("written");
        let store = open(&objects, cache.path(), 1 << 20).await;
        assert!(store.index().damaged().is_empty());
        for root in &roots {
            assert_eq!(read(&store, *root).await.expect("whole"), 21);
        }
        let now: Vec<_> = files.iter().map(|file| fs::read(file).expect("read")).collect();
        assert_eq!(now, sound);
    }
    // One that is damaged where it comes from is told, and not kept.
    let key =
        format!("index/{}", files[0].file_name().and_then(|name| name.to_str()).expect("a name"));
    let key = carstone_store::Key::new(&key).expect("a key");
    fs::remove_file(&files[0]).expect("removed");
    let mut bytes = sound[0].clone();
    bytes[20] ^= 1;
    let hurt = carstone_store::Content::Bytes(bytes.into());
    carstone_store::Objects::replace(&*objects, &key, hurt).await.expect("changed");
    let store = open(&objects, cache.path(), 1 << 20).await;
    assert_eq!(store.index().damaged().len(), 1);
    assert_eq!(kept(cache.path()).len(), 2);
}

#[tokio::test]
async fn there_is_room_for_so_much_and_the_oldest_goes() {
    let (objects, roots) = stored().await;
    let cache = tempfile::tempdir().expect("made");
    drop(open(&objects, cache.path(), 1 << 20).await);
    let sizes: u64 =
        kept(cache.path()).iter().map(|file| fs::metadata(file).expect("there").len()).sum();
    // Two of three, and none.
    for limit in [sizes - 1, 100, 0_u64] {
        let cache = tempfile::tempdir().expect("made");
        for _ in 0..2 {
            let store = open(&objects, cache.path(), limit).await;
            for root in &roots {
                assert_eq!(read(&store, *root).await.expect("whole"), 21);
            }
            let all: u64 = kept(cache.path())
                .iter()
                .map(|file| fs::metadata(file).expect("there").len())
                .sum();
            assert!(all <= limit, "{all} of {limit}");
            assert_eq!(all > 0, limit > 100);
        }
    }
    // A directory that cannot be written does not matter.
    let nowhere = cache.path().join("a file");
    fs::write(&nowhere, b"").expect("written");
    let store = open(&objects, &nowhere, 1 << 20).await;
    assert_eq!(read(&store, roots[0]).await.expect("whole"), 21);
}
