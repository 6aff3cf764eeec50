//! Collection where the index is damaged, or the disk is full: nothing goes that is not to go, and room is made where it can be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carstone_car::Cid;
use carstone_store::{
    Blob, Error, ErrorKind, LocalObjects, PackWriterOptions, Store, collect, collect_part,
    rebuild_index, remove_root,
};
use carstone_unixfs::Profile;

use crate::faulty::{FaultyDisk, Operation};
use crate::packs::noise;
use crate::support::{findings, read};

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(3000).profile(profile)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("there").path()).collect();
    files.sort();
    files
}

/// A store with a file, and with the packs of another one that no root needs any more.
async fn garbage(directory: &Path) -> Cid {
    let store = Store::create_local(directory).await.expect("made");
    let put = |seed| store.put(Blob::bytes(noise(7000, seed)), options());
    let (kept, removed) = (put(1).await.expect("put").root, put(2).await.expect("put").root);
    remove_root(&store, &removed).await.expect("removed");
    kept
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NoRoom { .. })
}

#[test]
fn nothing_is_put_together_or_collected_beside_a_damaged_segment() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let kept = garbage(directory.path()).await;
        let segments = files(directory.path().join("index"));
        let packs = files(directory.path().join("packs"));
        for segment in &segments {
            let sound = fs::read(segment).expect("read");
            let mut bytes = sound.clone();
            bytes[10] ^= 1;
            fs::write(segment, bytes).expect("written");
            let store = Store::open_local(directory.path()).await.expect("opened");
            let errors = [
                store.index().compact(|_| true).await.expect_err("damaged"),
                collect(&store, Duration::ZERO, false).await.expect_err("damaged"),
                collect_part(&store, Duration::ZERO, false, (0, 2)).await.expect_err("damaged"),
            ];
            let name = segment.file_name().expect("a name").to_string_lossy();
            for error in errors {
                assert_eq!(error.object(), Some(&format!("index/{name}")[..]));
                assert!(error.is_malformed() && error.to_string().contains("index rebuild"));
            }
            assert_eq!(files(directory.path().join("index")), segments);
            assert_eq!(files(directory.path().join("packs")), packs);
            assert!(files(directory.path().join("condemned")).is_empty());
            let dry = collect(&store, Duration::ZERO, true).await.expect("told");
            assert_eq!(dry.packs.len(), packs.len() / 2);
            fs::write(segment, sound).expect("written");
        }
        let mut bytes = fs::read(&segments[0]).expect("read");
        bytes[10] ^= 1;
        fs::write(&segments[0], bytes).expect("written");
        let store = Store::open_local(directory.path()).await.expect("opened");
        rebuild_index(&store, |_| ()).await.expect("made again");
        let done = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert_eq!(done.packs.len(), packs.len() / 2);
        assert_eq!(read(&store, kept).await.expect("whole"), 8);
        assert!(findings(&store).await.is_empty());
    });
}

/// Without room for anything, only what writers left behind goes, and the error says what to do.
#[test]
fn a_disk_without_any_room() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let kept = garbage(directory.path()).await;
        let packs = files(directory.path().join("packs"));
        let left = directory.path().join(".spool-00000000000000000000000000000001");
        fs::write(&left, b"left behind").expect("written");
        let disk = FaultyDisk::default();
        let objects = LocalObjects::on(Arc::new(disk.clone()), directory.path());
        let store = Store::open(Arc::new(objects)).await.expect("opened");
        disk.plan(|operation, _| {
            use Operation::{Append, Create, CreateDirectory};
            let needs_room = matches!(operation, Append | Create | CreateDirectory);
            needs_room.then_some(io::ErrorKind::StorageFull)
        });
        let error = collect(&store, Duration::ZERO, false).await.expect_err("full");
        assert!(is_full(&error), "{error}");
        assert!(error.object().is_some_and(|key| key.starts_with("condemned/")), "{error}");
        assert!(error.to_string().contains("--grace 0"), "{error}");
        assert!(!left.exists());
        assert_eq!(files(directory.path().join("packs")), packs);
        disk.behave();
        let done = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert_eq!(done.packs.len(), packs.len() / 2);
        assert_eq!(read(&store, kept).await.expect("whole"), 8);
        assert!(findings(&store).await.is_empty());
    });
}

/// Where there is room for a mark, and none for an index, packs go, and the index is put right when there is room.
#[test]
fn a_disk_without_room_for_an_index() {
    run(async {
        for errors in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let directory = tempfile::tempdir().expect("made");
            let kept = garbage(directory.path()).await;
            let packs = files(directory.path().join("packs"));
            let disk = FaultyDisk::default();
            let objects = LocalObjects::on(Arc::new(disk.clone()), directory.path());
            let store = Store::open(Arc::new(objects)).await.expect("opened");
            let mut appended = 0;
            disk.plan(move |operation, _| {
                appended += u32::from(operation == Operation::Append);
                (operation == Operation::Append && appended > 1).then_some(errors)
            });
            let error = collect(&store, Duration::ZERO, false).await.expect_err("full");
            assert!(is_full(&error) && error.object().is_some(), "{error}");
            assert!(error.to_string().contains("again"), "{error}");
            assert_eq!(files(directory.path().join("packs")).len(), packs.len() / 2);
            assert!(files(directory.path().join("condemned")).is_empty());
            assert_eq!(read(&store, kept).await.expect("whole"), 8);
            disk.behave();
            let store = Store::open_local(directory.path()).await.expect("opened");
            let done = collect(&store, Duration::ZERO, false).await.expect("collected");
            assert!(done.packs.is_empty());
            assert!(findings(&store).await.is_empty());
            assert_eq!(read(&store, kept).await.expect("whole"), 8);
            let mut names = files(directory.path().to_owned()).into_iter();
            assert!(!names.any(|path| path.to_string_lossy().contains(".spool-")));
        }
    });
}
