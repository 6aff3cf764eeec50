//! Packs that are put again where there is one of their name already.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use carstone_store::{
    Blob, Content, Created, Key, LocalObjects, Objects as _, PackWriterOptions, Spool, Store,
};
use carstone_unixfs::Profile;

use crate::faulty::{FaultyDisk, Operation};
use crate::packs::noise;
use crate::support::{content, findings};

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1 << 20).expect("fine");
    PackWriterOptions::default().shard_size(3 << 20).profile(profile)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("there").map(|entry| entry.expect("there").path());
    entries.collect()
}

async fn is_whole(directory: &Path, file: &[u8], root: carstone_car::Cid) {
    let store = Store::open_local(directory).await.expect("opened");
    assert!(content(&store, root).await.expect("whole") == file);
    let findings = findings(&store).await;
    assert!(findings.is_empty(), "{findings:?}");
}

/// Whoever has the right bytes puts a damaged pack right, wherever the damage is.
#[test]
fn a_put_over_a_damaged_pack_heals_it() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let store = Store::create_local(directory.path()).await.expect("made");
        let file = noise(7 << 20, 1);
        let first = store.put(Blob::bytes(file.clone()), options()).await.expect("put");
        assert!(first.packs.len() > 2);
        for damage in ["first byte", "middle", "last byte", "zeros"] {
            let pack = files(directory.path().join("packs")).remove(0);
            let mut bytes = fs::read(&pack).expect("read");
            let len = bytes.len();
            match damage {
                "first byte" => bytes[0] ^= 1,
                "middle" => bytes[len / 2] ^= 0x80,
                "last byte" => bytes[len - 1] ^= 1,
                _ => bytes.fill(0),
            }
            fs::write(&pack, bytes).expect("written");
            let again = store.put(Blob::bytes(file.clone()), options()).await.expect("put");
            assert_eq!(again.root, first.root);
            let replaced = again.packs.iter().filter(|pack| pack.created == Created::Replaced);
            assert_eq!(replaced.count(), 1, "{damage}");
            let existed = again.packs.iter().filter(|pack| pack.created == Created::Existed);
            assert_eq!(existed.count(), first.packs.len() - 1, "{damage}");
            is_whole(directory.path(), &file, first.root).await;
        }
    });
}

/// So does a pack that is kept by itself, and a segment of the index.
#[test]
fn a_blob_and_a_segment_are_put_right_too() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let store = Store::create_local(directory.path()).await.expect("made");
        let blob = noise(5000, 1);
        let root = store.put_blob(Blob::bytes(blob.clone()), options()).await.expect("put");
        for folder in ["packs", "index"] {
            let path = files(directory.path().join(folder)).remove(0);
            let mut bytes = fs::read(&path).expect("read");
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).expect("written");
            store.put_blob(Blob::bytes(blob.clone()), options()).await.expect("put");
            let store = Store::open_local(directory.path()).await.expect("opened");
            assert!(store.block(&root).await.expect("whole").expect("there") == blob);
            assert!(findings(&store).await.is_empty(), "{folder}");
        }
    });
}

/// A sound object is read once, and neither written nor made anew.
#[test]
fn a_sound_object_is_left() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let disk = FaultyDisk::default();
        let objects = LocalObjects::on(Arc::new(disk.clone()), directory.path());
        let key = Key::new("packs/one").expect("a key");
        let bytes = Bytes::from(noise(3 << 20, 1));
        let created = objects.create(&key, Content::Bytes(bytes.clone())).await.expect("kept");
        assert_eq!(created, Created::New);
        let (written, read) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (Arc::clone(&written), Arc::clone(&read));
        disk.plan(move |operation, _| {
            use Operation::{Append, Create, ReadAt, Rename};
            counts
                .0
                .fetch_add(matches!(operation, Create | Append | Rename).into(), Ordering::Relaxed);
            counts.1.fetch_add((operation == ReadAt).into(), Ordering::Relaxed);
            None
        });
        let created = objects.create(&key, Content::Bytes(bytes.clone())).await.expect("kept");
        assert_eq!(created, Created::Existed);
        assert_eq!((written.load(Ordering::Relaxed), read.load(Ordering::Relaxed)), (0, 3));
        let mut spool = Spool::unnamed().expect("made");
        std::io::Write::write_all(&mut spool, &bytes).expect("written");
        let created = objects.create(&key, Content::Spool(spool)).await.expect("kept");
        assert_eq!(created, Created::Existed);
        assert_eq!(written.load(Ordering::Relaxed), 0);
        // One that the disk cannot read any more is made anew.
        disk.plan(|operation, path| {
            let is_it = operation == Operation::ReadAt && path.ends_with("packs/one");
            is_it.then_some(std::io::ErrorKind::Other)
        });
        let created = objects.create(&key, Content::Bytes(bytes.clone())).await.expect("kept");
        assert_eq!(created, Created::Replaced);
        disk.behave();
        assert!(objects.read(&key, 0..bytes.len() as u64).await.expect("read") == bytes);
        // One that may not be read is told, and left.
        disk.plan(|operation, _| {
            (operation == Operation::Open).then_some(std::io::ErrorKind::PermissionDenied)
        });
        let denied = objects.create(&key, Content::Bytes(bytes)).await.expect_err("denied");
        assert!(matches!(denied.kind(), carstone_store::ErrorKind::Denied(_)), "{denied}");
        assert_eq!(denied.object(), Some("packs/one"));
    });
}
