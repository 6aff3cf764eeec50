//! Copies of stores that somebody writes to, and of stores that are damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use carstone_car::Cid;
use carstone_store::{
    Blob, PackWriterOptions, Store, collect, copy, copy_packs, rebuild_roots, remove_root,
};
use carstone_unixfs::Profile;
use tempfile::TempDir;

use crate::packs::noise;
use crate::support::{content, findings};

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(3000).profile(profile)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

async fn create() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    (directory, store)
}

async fn put(store: &Store, seed: u64) -> Cid {
    store.put(Blob::bytes(noise(7000, seed)), options()).await.expect("put").root
}

/// Lets another program do something with the store, and waits until it is done.
fn beside<F: Future<Output = ()>>(directory: &Path, work: impl FnOnce(Store) -> F + Send) {
    let work = || run(async { work(Store::open_local(directory).await.expect("opened")).await });
    thread::scope(|scope| scope.spawn(work).join().expect("it ended"));
}

/// Whether nothing is wrong with a store, which has these files and no others.
async fn has(directory: &Path, roots: &[(Cid, u64)]) {
    let store = Store::open_local(directory).await.expect("opened");
    let mut noted: Vec<_> =
        store.roots().await.expect("read").into_iter().map(|record| record.root).collect();
    let mut expected: Vec<_> = roots.iter().map(|(root, _)| *root).collect();
    noted.sort();
    expected.sort();
    assert_eq!(noted, expected);
    for (root, seed) in roots {
        assert!(content(&store, *root).await.expect("whole") == noise(7000, *seed));
    }
    let findings = findings(&store).await;
    assert!(findings.is_empty(), "{findings:?}");
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("there").map(|entry| entry.expect("there").path());
    entries.collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// What is put before is copied whole, with its index, and of what is put meanwhile there is no root without its packs.
#[test]
fn a_copy_beside_a_put_notes_no_root_without_its_packs() {
    run(async {
        let (directory, store) = create().await;
        let (target, to) = create().await;
        let first = put(&store, 1).await;
        // The store that is copied was opened before this.
        let mut second = None;
        beside(directory.path(), |store| {
            let second = &mut second;
            async move { *second = Some(put(&store, 2).await) }
        });
        let second = second.expect("put");
        let mut third = None;
        let copied = |_| {
            if third.is_none() {
                let third = &mut third;
                beside(
                    directory.path(),
                    |store| async move { *third = Some(put(&store, 3).await) },
                );
            }
        };
        copy(&store, &to, copied).await.expect("copied");
        let third = third.expect("put");
        has(target.path(), &[(first, 1), (second, 2)]).await;
        copy(&store, &to, |_| ()).await.expect("copied");
        has(target.path(), &[(first, 1), (second, 2), (third, 3)]).await;
    });
}

/// A segment that is put together with others meanwhile, and with those of packs that were put meanwhile.
#[test]
fn a_copy_beside_who_puts_segments_together() {
    run(async {
        let (directory, store) = create().await;
        let (target, to) = create().await;
        let (first, second) = (put(&store, 1).await, put(&store, 2).await);
        let mut is_done = false;
        let copied = |_| {
            if !std::mem::replace(&mut is_done, true) {
                beside(directory.path(), |store| async move {
                    put(&store, 3).await;
                    store.index().compact(|_| true).await.expect("put together");
                });
            }
        };
        let done = copy(&store, &to, copied).await.expect("copied");
        assert_eq!(
            (done.packs, done.known),
            (files(directory.path().join("packs")).len() as u64, 0)
        );
        let noted = to.roots().await.expect("read");
        assert_eq!(noted.len(), 2);
        for (root, seed) in [(first, 1), (second, 2)] {
            assert!(content(&to, root).await.expect("whole") == noise(7000, seed));
        }
        copy(&store, &to, |_| ()).await.expect("copied");
        has(target.path(), &[(first, 1), (second, 2), (put(&store, 3).await, 3)]).await;
    });
}

/// A root that is removed meanwhile, and its packs with it, is not noted, and no error.
#[test]
fn a_copy_beside_who_removes() {
    run(async {
        let (directory, store) = create().await;
        let (target, to) = create().await;
        let roots = [put(&store, 1).await, put(&store, 2).await];
        let mut is_done = false;
        let copied = |_| {
            if !std::mem::replace(&mut is_done, true) {
                beside(directory.path(), |store| async move {
                    for root in roots {
                        remove_root(&store, &root).await.expect("removed");
                    }
                    collect(&store, std::time::Duration::ZERO, false).await.expect("collected");
                });
            }
        };
        copy(&store, &to, copied).await.expect("copied");
        assert!(to.roots().await.expect("read").is_empty());
        assert_eq!(files(target.path().join("packs")).len(), 1);
    });
}

/// A pack that a root needs and that is nowhere: all else is copied.
#[test]
fn a_pack_that_is_missing_is_told_and_its_root_is_not_noted() {
    run(async {
        let (directory, store) = create().await;
        let (target, to) = create().await;
        let first = put(&store, 1).await;
        let before = files(directory.path().join("packs"));
        let second = put(&store, 2).await;
        let lost = before[0].clone();
        let bytes = fs::read(&lost).expect("read");
        fs::remove_file(&lost).expect("removed");
        let error = copy(&store, &to, |_| ()).await.expect_err("missing");
        assert!(error.is_not_found());
        assert_eq!(error.object(), Some(&stem(&lost)[..]));
        let noted = to.roots().await.expect("read");
        assert_eq!(noted.iter().map(|record| record.root).collect::<Vec<_>>(), [second]);
        assert!(content(&to, second).await.expect("whole") == noise(7000, 2));
        // It is enough that the other store has it.
        fs::write(target.path().join("packs").join(lost.file_name().expect("a name")), bytes)
            .expect("written");
        copy(&store, &to, |_| ()).await.expect("copied");
        has(target.path(), &[(first, 1), (second, 2)]).await;
    });
}

/// Packs are copied, and no part of the index passes for all of it.
#[test]
fn a_damaged_segment_is_told_by_a_copy() {
    run(async {
        let (directory, store) = create().await;
        let (target, to) = create().await;
        let roots = [(put(&store, 1).await, 1), (put(&store, 2).await, 2)];
        let segment = files(directory.path().join("index")).remove(0);
        let mut bytes = fs::read(&segment).expect("read");
        bytes[10] ^= 1;
        fs::write(&segment, bytes).expect("written");
        let store = Store::open_local(directory.path()).await.expect("opened");
        let error = copy(&store, &to, |_| ()).await.expect_err("damaged");
        assert_eq!(error.object(), Some(&format!("index/{}.seg", stem(&segment))[..]));
        assert!(error.is_malformed() && error.to_string().contains("index rebuild"), "{error}");
        let packs = files(directory.path().join("packs")).len();
        assert_eq!(files(target.path().join("packs")).len(), packs);
        assert!(to.roots().await.expect("read").is_empty());
        // Packs need no index.
        let (other, packs_alone) = create().await;
        copy_packs(&store, &packs_alone, None, |_| ()).await.expect("copied");
        assert_eq!(files(other.path().join("packs")).len(), packs);
        // Either of them can make it again.
        rebuild_roots(&packs_alone, |_| ()).await.expect("made again");
        has(other.path(), &roots).await;
        rebuild_roots(&store, |_| ()).await.expect("made again");
        let done = copy(&store, &to, |_| ()).await.expect("copied");
        assert_eq!((done.packs, done.known), (0, packs as u64));
        has(target.path(), &roots).await;
    });
}

/// A pack of the same length is taken for whole, without reading it.
#[test]
fn a_damaged_pack_of_a_copy_is_for_a_check_to_tell() {
    run(async {
        let (_directory, store) = create().await;
        let (target, to) = create().await;
        put(&store, 1).await;
        copy(&store, &to, |_| ()).await.expect("copied");
        let pack = files(target.path().join("packs")).remove(0);
        let sound = fs::read(&pack).expect("read");
        let mut flipped = sound.clone();
        flipped[100] ^= 1;
        fs::write(&pack, &flipped).expect("written");
        copy(&store, &to, |_| ()).await.expect("copied");
        assert!(fs::read(&pack).expect("read") == flipped);
        let found = findings(&to).await;
        assert!(found[0].to_string().contains(&stem(&pack)), "{found:?}");
    });
}
