//! Bad input, and disks that fail: each fault is an error that names the object, and nothing is lost by it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carstone_car::{Cid, cid_of, codec};
use carstone_store::{
    Blob, CheckOptions, Error, ErrorKind, Finding, Hash, Layout, LocalObjects, Location, Lost,
    Objects as _, PackSource, PackWriterOptions, Result, SegmentBuilder, Spool, Store, Written,
    check, collect, copy, heal, rebuild_index, remove_root, text_of,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

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

/// A store in a new directory, of one file in several packs, and its root.
async fn stored() -> (tempfile::TempDir, Store, Cid) {
    let directory = tempfile::tempdir().expect("made");
    let store = Store::create_local(directory.path()).await.expect("made");
    let root = store.put(Blob::bytes(noise(7000, 1)), options()).await.expect("put").root;
    (directory, store, root)
}

/// The same store, on a disk with faults.
async fn faulty(directory: &Path, disk: &FaultyDisk) -> Result<Store> {
    Store::open(Arc::new(LocalObjects::on(Arc::new(disk.clone()), directory))).await
}

/// Whether all of the file of [`stored`] is there, and nothing is wrong with the store but for packs that nobody needs.
async fn is_sound(directory: &Path, root: Cid) {
    let store = Store::open_local(directory).await.expect("opened");
    assert_eq!(read(&store, root).await.expect("whole"), 8);
    for finding in findings(&store).await {
        assert!(matches!(finding, Finding::Unindexed(_)), "{finding}");
    }
    let names = fs::read_dir(directory).expect("there").map(|entry| entry.expect("there"));
    let spools = names.filter(|entry| entry.file_name().to_string_lossy().starts_with(".spool-"));
    assert_eq!(spools.count(), 0);
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("there").map(|entry| entry.expect("there").path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    files
}

/// Whether the error tells of an object with this in its name.
#[track_caller]
fn names(error: &Error, part: &str) {
    assert!(error.object().is_some_and(|object| object.contains(part)), "{part}: {error}");
}

/// A disk that is full from some moment on, whichever it is.
#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    run(async {
        let (directory, _, root) = stored().await;
        let disk = FaultyDisk::default();
        let mut failed = 0;
        for moment in 0.. {
            let store = faulty(directory.path(), &disk).await.expect("opened");
            let mut done = 0;
            disk.plan(move |operation, _| {
                done += u32::from(operation.changes() && operation != Operation::Remove);
                (done > moment && operation != Operation::Remove && operation.changes())
                    .then_some(io::ErrorKind::StorageFull)
            });
            // Every time it is another file, so that all of it has to be written.
            let put = store.put(Blob::bytes(noise(4000, 100 + u64::from(moment))), options());
            let put = put.await;
            disk.behave();
            is_sound(directory.path(), root).await;
            let Err(error) = put else { break };
            failed += 1;
            let is_full = matches!(error.kind(), ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::StorageFull);
            assert!(is_full, "{moment}: {error} {:?}", error.kind());
            assert!(error.object().is_some(), "{moment}: {error}");
            let blob = Blob::bytes(noise(4000, 100 + u64::from(moment)));
            let written = store.put(blob, options()).await.expect("there is room again");
            assert_eq!(read(&store, written.root).await.expect("whole"), 5);
        }
        assert!(failed > 20, "{failed}");
        let store = Store::open_local(directory.path()).await.expect("opened");
        assert!(findings(&store).await.is_empty());
    });
}

/// One operation fails, whichever it is: the put says so, and the store is as good as before.
#[test]
fn an_operation_that_fails_is_told() {
    run(async {
        for moment in 0.. {
            let (directory, _, root) = stored().await;
            let disk = FaultyDisk::default();
            let done = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&done);
            disk.plan(move |_, _| {
                let is_it = counted.fetch_add(1, Ordering::Relaxed) == moment;
                is_it.then_some(io::ErrorKind::Other)
            });
            let put = async {
                let store = faulty(directory.path(), &disk).await?;
                store.put(Blob::bytes(noise(4000, 2)), options()).await
            };
            let put = put.await;
            disk.behave();
            LocalObjects::new(directory.path()).clean(Duration::ZERO).await.expect("cleaned");
            is_sound(directory.path(), root).await;
            match put {
                Err(error) => assert!(error.object().is_some(), "{moment}: {error}"),
                // What was said to be there is there.
                Ok(written) => {
                    let store = Store::open_local(directory.path()).await.expect("opened");
                    assert_eq!(read(&store, written.root).await.expect("whole"), 5);
                }
            }
            if done.load(Ordering::Relaxed) <= moment {
                assert!(moment > 40, "{moment}");
                break;
            }
        }
    });
}

#[test]
fn a_directory_that_may_only_be_read_can_be_read_and_checked() {
    run(async {
        let (directory, _, root) = stored().await;
        let mirror = tempfile::tempdir().expect("made");
        let disk = FaultyDisk::default();
        disk.plan(|operation, _| operation.changes().then_some(io::ErrorKind::ReadOnlyFilesystem));
        let store = faulty(directory.path(), &disk).await.expect("opened");
        assert_eq!(read(&store, root).await.expect("whole"), 8);
        assert!(findings(&store).await.is_empty());
        let other = Store::create_local(mirror.path()).await.expect("made");
        copy(&store, &other, |_| ()).await.expect("copied");
        is_sound(mirror.path(), root).await;
        let denied = |error: Error| {
            assert!(matches!(error.kind(), ErrorKind::Denied(_)), "{error}");
            assert!(error.object().is_some() && !error.is_not_found(), "{error}");
        };
        denied(store.put(Blob::bytes(noise(3000, 2)), options()).await.expect_err("denied"));
        denied(store.index().compact(|_| true).await.expect_err("denied"));
        denied(rebuild_index(&store, |_| ()).await.expect_err("denied"));
        denied(remove_root(&store, &root).await.expect_err("denied"));
        disk.behave();
        remove_root(&store, &root).await.expect("removed");
        disk.plan(|operation, _| operation.changes().then_some(io::ErrorKind::PermissionDenied));
        denied(collect(&store, Duration::ZERO, false).await.expect_err("denied"));
        let elsewhere = Arc::new(LocalObjects::on(Arc::new(disk), mirror.path().join("none")));
        let layout = Layout::flat("packs/", ".car").expect("a layout");
        denied(Store::create(elsewhere, layout).await.expect_err("denied"));
    });
}

/// Access that is denied is not the same as an object that is missing: nothing is healed, made again or removed for it.
#[test]
fn denied_is_not_missing() {
    run(async {
        let (directory, _, root) = stored().await;
        let mirror = tempfile::tempdir().expect("made");
        let mirrored = Store::create_local(mirror.path()).await.expect("made");
        copy(&Store::open_local(directory.path()).await.expect("opened"), &mirrored, |_| ())
            .await
            .expect("copied");
        let disk = FaultyDisk::default();
        let store = faulty(directory.path(), &disk).await.expect("opened");
        for what in [Operation::Open, Operation::Size, Operation::ReadAt, Operation::List] {
            let is_pack = |path: &Path| path.to_string_lossy().contains("packs");
            disk.plan(move |operation, path| {
                (operation == what && is_pack(path)).then_some(io::ErrorKind::PermissionDenied)
            });
            let denied = |error: Error| {
                assert!(matches!(error.kind(), ErrorKind::Denied(_)), "{what:?}: {error}");
                assert!(!error.is_not_found() && !error.is_malformed());
                names(&error, "packs");
            };
            match what {
                Operation::Open | Operation::ReadAt => {
                    denied(store.block(&root).await.expect_err("denied"));
                    denied(read(&store, root).await.expect_err("denied"));
                }
                Operation::Size => {
                    let name = *store.roots().await.expect("read")[0].packs.first().expect("one");
                    denied(store.packs().size(&name).await.expect_err("denied"));
                    denied(store.packs().get(&name).await.expect_err("denied"));
                }
                _ => {
                    denied(store.packs().list().try_collect::<Vec<_>>().await.expect_err("denied"));
                }
            }
            if what == Operation::List {
                let options = CheckOptions::default().read_data(true);
                denied(check(&store, options, |_| Ok(())).await.expect_err("denied"));
                denied(heal(&store, &[]).await.expect_err("denied"));
            } else if what != Operation::Size {
                // Each pack is told, and stays as it is, even where another store has it.
                let all = files(directory.path().join("packs")).len();
                let is_denied = |finding: Finding| match finding {
                    Finding::UnreadablePack { error, .. } => denied(error),
                    other => panic!("{what:?}: {other}"),
                };
                let found = findings(&store).await;
                assert_eq!(found.len(), all);
                found.into_iter().for_each(is_denied);
                let healed = heal(&store, &[&mirrored]).await.expect("went on");
                assert!(healed.packs.is_empty() && healed.lost.is_empty());
                assert_eq!(healed.unread.len(), all);
                healed.unread.into_iter().for_each(is_denied);
            }
            if what != Operation::Size {
                denied(rebuild_index(&store, |_| ()).await.expect_err("denied"));
            }
            is_sound(directory.path(), root).await;
        }
        // The root directory itself.
        disk.plan(|operation, _| {
            (operation == Operation::Size).then_some(io::ErrorKind::PermissionDenied)
        });
        let error = faulty(directory.path(), &disk).await.expect_err("denied");
        assert!(matches!(error.kind(), ErrorKind::Denied(_)), "{error}");
        let error = Store::open_local(directory.path().join("none")).await.expect_err("none");
        assert!(matches!(error.kind(), ErrorKind::NoStore), "{error}");
        names(&error, "none");
    });
}

/// One pack that cannot be read does not keep the others from being looked at. It is replaced only where the disk says so again.
#[test]
fn a_pack_that_cannot_be_read_is_told_and_the_others_are_healed() {
    run(async {
        let (directory, store, root) = stored().await;
        let mirror = tempfile::tempdir().expect("made");
        let other = Store::create_local(mirror.path()).await.expect("made");
        copy(&store, &other, |_| ()).await.expect("copied");
        let packs = files(directory.path().join("packs"));
        let sound: Vec<_> = packs.iter().map(|pack| fs::read(pack).expect("read")).collect();
        let disk = FaultyDisk::default();
        let store = faulty(directory.path(), &disk).await.expect("opened");
        // What the disk says, how often, and whether the file is replaced.
        let eio = || io::Error::from_raw_os_error(if cfg!(windows) { 23 } else { 5 });
        let timeout = || io::Error::from(io::ErrorKind::TimedOut);
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        type Fault = (fn() -> io::Error, u32, bool);
        let faults: [Fault; 5] = [
            (eio, u32::MAX, true),
            (eio, 1, false),
            (timeout, u32::MAX, false),
            (denied, u32::MAX, false),
            (|| io::Error::other("whatever"), u32::MAX, false),
        ];
        for (number, (fault, times, is_replaced)) in faults.into_iter().enumerate() {
            let mut flipped = sound[1].clone();
            flipped[1500] ^= 4;
            fs::write(&packs[1], flipped).expect("written");
            let renamed = Arc::new(AtomicU64::new(0));
            let plan = |times: u32| {
                let (unread, mut left) = (packs[0].clone(), times);
                let renamed = Arc::clone(&renamed);
                move |operation, path: &Path| {
                    let is_new = operation == Operation::Rename && path == unread;
                    renamed.fetch_add(is_new.into(), Ordering::Relaxed);
                    let is_it = operation == Operation::ReadAt && path == unread && left > 0;
                    left = left.saturating_sub(u32::from(is_it));
                    is_it.then(fault)
                }
            };
            disk.fail(plan(u32::MAX));
            let found = findings(&store).await;
            let is_told = |finding: &&Finding| matches!(finding, Finding::UnreadablePack { .. });
            assert_eq!((found.len(), found.iter().filter(is_told).count()), (2, 1), "{number}");
            // Without a source nothing changes.
            let healed = heal(&store, &[]).await.expect("went on");
            assert_eq!((healed.packs.len(), healed.lost.len(), healed.unread.len()), (0, 1, 1));
            disk.fail(plan(times));
            let healed = heal(&store, &[&other]).await.expect("went on");
            disk.behave();
            let name = packs[0].file_stem().expect("a name").to_string_lossy();
            assert_eq!(healed.unread.len(), usize::from(!is_replaced), "{number}");
            assert!(healed.unread.iter().all(|finding| finding.to_string().contains(&*name)));
            assert_eq!(healed.packs.len(), 1 + usize::from(is_replaced), "{number}");
            assert_eq!(renamed.load(Ordering::Relaxed), u64::from(is_replaced), "{number}");
            is_sound(directory.path(), root).await;
        }
        // A store that goes away as a whole is no list of packs.
        disk.plan(|operation, path| {
            let is_store = !path.to_string_lossy().contains("index")
                && matches!(operation, Operation::Open | Operation::Size);
            is_store.then_some(io::ErrorKind::Other)
        });
        let options = CheckOptions::default().read_data(true);
        let error = check(&store, options, |_| Ok(())).await.expect_err("gone");
        names(&error, "carstone-store.json");
    });
}

#[test]
fn a_pack_that_is_missing_is_told_and_comes_back() {
    run(async {
        let (directory, store, root) = stored().await;
        let mirror = tempfile::tempdir().expect("made");
        let other = Store::create_local(mirror.path()).await.expect("made");
        copy(&store, &other, |_| ()).await.expect("copied");
        for pack in files(directory.path().join("packs")) {
            fs::remove_file(&pack).expect("removed");
            let name = pack.file_stem().expect("a name").to_string_lossy().into_owned();
            let error = read(&store, root).await.expect_err("missing");
            assert!(error.is_not_found(), "{error}");
            names(&error, &name);
            let found = findings(&store).await;
            let [Finding::MissingPack(missing)] = &found[..] else { panic!("{found:?}") };
            assert_eq!(text_of(missing), name);
            assert_eq!(heal(&store, &[]).await.expect("healed").lost.len(), 1);
            assert_eq!(heal(&store, &[&other]).await.expect("healed").packs.len(), 1);
            is_sound(directory.path(), root).await;
        }
    });
}

/// Other bytes under the name of an object, of the same length.
#[test]
fn wrong_bytes_for_a_name_are_not_given() {
    run(async {
        let (directory, store, root) = stored().await;
        let packs = files(directory.path().join("packs"));
        let lens = packs.iter().map(|pack| fs::metadata(pack).expect("there").len());
        let lens: Vec<u64> = lens.collect();
        let (first, second) = (0..packs.len())
            .flat_map(|first| (0..first).map(move |second| (first, second)))
            .find(|(first, second)| lens[*first] == lens[*second])
            .expect("two of a length");
        let sound = fs::read(&packs[first]).expect("read");
        fs::copy(&packs[second], &packs[first]).expect("copied");
        let name = packs[first].file_stem().expect("a name").to_string_lossy().into_owned();
        let hash = carstone_store::parse_text(&name).expect("a name");
        let error = store.packs().get(&hash).await.expect_err("wrong");
        assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }), "{error}");
        names(&error, &name);
        let error = read(&store, root).await.expect_err("wrong");
        assert!(error.is_malformed() && error.offset().is_some(), "{error}");
        names(&error, &name);
        let found = findings(&store).await;
        assert!(
            found.iter().any(
                |finding| matches!(finding, Finding::DamagedPack { name, .. } if *name == hash)
            )
        );
        let rebuilt = rebuild_index(&store, |_| ()).await.expect("made again");
        names(&rebuilt.damaged[0], &name);
        fs::write(&packs[first], sound).expect("written");
        rebuild_index(&store, |_| ()).await.expect("made again");
        is_sound(directory.path(), root).await;
        // Files that are shorter than they were when their lengths were asked for.
        let disk = FaultyDisk::stuttering(7);
        let stuttering = faulty(directory.path(), &disk).await.expect("opened");
        assert_eq!(read(&stuttering, root).await.expect("whole"), 8);
        assert!(findings(&stuttering).await.is_empty());
    });
}

/// Every bit of a record counts: one that is another would let a pack go that is needed.
#[test]
fn a_record_of_a_root_that_is_damaged_is_told_and_made_again() {
    run(async {
        let (directory, store, root) = stored().await;
        let record = files(directory.path().join("roots").join(text_of(root.hash()))).remove(0);
        let sound = fs::read(&record).expect("read");
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            fs::write(&record, flipped).expect("written");
            names(&store.roots().await.expect_err("damaged"), "roots/");
            if at % 16 == 0 {
                names(
                    &collect(&store, Duration::ZERO, false).await.expect_err("damaged"),
                    "roots/",
                );
                let found = findings(&store).await;
                assert!(matches!(found[..], [Finding::DamagedRoot(_)]), "{at}: {found:?}");
            }
        }
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!(done.roots, 1);
        assert_eq!(store.roots().await.expect("sound").len(), 1);
        assert!(findings(&store).await.is_empty());
        is_sound(directory.path(), root).await;
    });
}

/// Files that others have put beside the records of roots are told, and are in nobody's way. What may be a record is.
#[test]
fn what_is_no_record_of_a_root_is_told_and_left_alone() {
    run(async {
        let (directory, store, root) = stored().await;
        let roots = directory.path().join("roots");
        let own = roots.join(text_of(root.hash()));
        let record = files(own.clone()).remove(0);
        let bytes = fs::read(&record).expect("read");
        let none = text_of(cid_of(codec::RAW, b"none").hash());
        fs::create_dir(roots.join("other")).expect("made");
        let odd = [
            roots.join(".DS_Store"),
            roots.join("a:b"),
            own.join(".DS_Store"),
            roots.join("other").join(format!("{none}.json")),
        ];
        for path in &odd {
            fs::write(path, b"{}").expect("written");
        }
        assert_eq!(store.roots().await.expect("read").len(), 1);
        let found = findings(&store).await;
        assert_eq!(found.len(), odd.len(), "{found:?}");
        for path in &odd {
            let name = path.strip_prefix(directory.path()).expect("below").to_string_lossy();
            let is_told =
                |finding: &Finding| matches!(finding, Finding::OddKey(key) if *key == name);
            assert!(found.iter().any(is_told), "{name}: {found:?}");
        }
        assert!(collect(&store, Duration::ZERO, false).await.expect("done").packs.is_empty());
        rebuild_index(&store, |_| ()).await.expect("made again");
        // A record under a name that is no record's is still one of packs that somebody needs.
        let moved = own.join("record.txt");
        fs::rename(&record, &moved).expect("renamed");
        names(&store.roots().await.expect_err("damaged"), "record.txt");
        names(&collect(&store, Duration::ZERO, false).await.expect_err("damaged"), "record.txt");
        fs::rename(&moved, &record).expect("renamed");
        // And so is whatever has the name of one.
        let named = own.join(format!("{none}.json"));
        fs::write(&named, b"{}").expect("written");
        names(&collect(&store, Duration::ZERO, false).await.expect_err("damaged"), &none);
        assert_eq!(remove_root(&store, &root).await.expect("removed"), 2);
        assert_eq!(store.roots().await.expect("read").len(), 0);
        assert!(odd.iter().all(|path| path.exists()) && !record.exists());
        fs::write(&record, bytes).expect("written");
        for path in &odd {
            fs::remove_file(path).expect("removed");
        }
        // A record that cannot be read is told, and nothing goes for it.
        let disk = FaultyDisk::default();
        let store = faulty(directory.path(), &disk).await.expect("opened");
        disk.plan(|operation, path| {
            let is_it = operation == Operation::Open && path.to_string_lossy().contains("roots");
            is_it.then_some(io::ErrorKind::Other)
        });
        let found = findings(&store).await;
        assert!(matches!(found[..], [Finding::DamagedRoot(_)]), "{found:?}");
        names(&collect(&store, Duration::ZERO, false).await.expect_err("unread"), "roots/");
        names(&rebuild_index(&store, |_| ()).await.expect_err("unread"), "roots/");
        disk.behave();
        is_sound(directory.path(), root).await;
    });
}

/// Entries of the index that say something else than the packs, where there is no other one.
#[test]
fn an_index_that_lies_is_told_with_pack_and_place() {
    run(async {
        let (directory, store, root) = stored().await;
        let place = store.places(root.hash()).await.expect("found").remove(0);
        let packs: Vec<_> = store.packs().list().try_collect().await.expect("listed");
        let Location::Pack { name, size } = &place.location else { panic!("a pack") };
        let other = packs.iter().find(|pack| pack.name != *name).expect("several packs");
        let pack = |name: &Hash, size: u64| Location::Pack { name: *name, size };
        let none = cid_of(codec::RAW, b"nobody has this");
        let (own, offset, len) = (pack(name, *size), place.offset, place.len);
        let lies = [
            ("another pack", pack(&other.name, other.size), offset, len),
            ("a pack that is not there", pack(none.hash(), 9000), offset, len),
            ("too early", own.clone(), offset - 1, len),
            ("past the end", own.clone(), size - 1, len),
            ("far past the end", own.clone(), u64::MAX - 5, len),
            ("too short", own.clone(), offset, len - 1),
            ("too long", own.clone(), offset, size + 1),
            ("much too long", own.clone(), offset, 1 << 40),
            ("nothing", own.clone(), offset, 0),
            ("another length of the pack", pack(name, size + 1), offset - 1, len),
        ];
        for (what, location, offset, len) in lies {
            for segment in files(directory.path().join("index")) {
                fs::remove_file(segment).expect("removed");
            }
            let mut builder = SegmentBuilder::new();
            // No index takes an entry that goes past the last byte there can be.
            if builder.add_blob(&root, &location, offset, len).is_err() {
                rebuild_index(&store, |_| ()).await.expect("made again");
                continue;
            }
            store.index().refresh().await.expect("listed");
            store.index().add(builder).await.expect("kept");
            let error = store.block(&root).await.expect_err(what);
            names(&error, &text_of(location.pack().expect("a pack")));
            read(&store, root).await.expect_err(what);
            let found = findings(&store).await;
            let is_told = |finding: &Finding| {
                matches!(
                    finding,
                    Finding::MissingEntry { .. }
                        | Finding::MissingPack(_)
                        | Finding::WrongSize { .. }
                        | Finding::Unindexed(_)
                )
            };
            assert!(found.iter().any(is_told), "{what}: {found:?}");
            // Only packs can be lost, and none is.
            let healed = heal(&store, &[]).await.expect("healed");
            assert!(healed.lost.iter().all(|lost| lost.pack == *none.hash()), "{what}");
            rebuild_index(&store, |_| ()).await.expect("made again");
            assert!(findings(&store).await.is_empty(), "{what}");
            is_sound(directory.path(), root).await;
        }
    });
}

/// A segment with the bytes of another one is damaged, whole as it is.
#[test]
fn a_segment_under_another_name_is_told() {
    run(async {
        let (directory, store, root) = stored().await;
        store.put(Blob::bytes(noise(7000, 2)), options()).await.expect("put");
        let segments = files(directory.path().join("index"));
        fs::copy(&segments[0], &segments[1]).expect("copied");
        let store = Store::open_local(directory.path()).await.expect("opened");
        let name = segments[1].file_stem().expect("a name").to_string_lossy().into_owned();
        let found = findings(&store).await;
        let is_told = |finding: &Finding| matches!(finding, Finding::DamagedSegment(what) if what.contains(&name));
        assert!(found.iter().any(is_told), "{found:?}");
        names(&store.index().compact(|_| true).await.expect_err("damaged"), &name);
        rebuild_index(&store, |_| ()).await.expect("made again");
        assert!(findings(&store).await.is_empty());
        is_sound(directory.path(), root).await;
    });
}

#[test]
fn several_writers_of_the_same_pack() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let writers = (0..6).map(|_| {
            let path = directory.path().to_owned();
            tokio::spawn(async move {
                let store = Store::create_local(path).await?;
                store.put(Blob::bytes(noise(7000, 1)), options()).await
            })
        });
        let written = futures::future::try_join_all(writers).await.expect("they ended");
        let written: Result<Vec<_>> = written.into_iter().collect();
        let written = written.expect("put");
        let names = |one: &Written| one.packs.iter().map(|pack| pack.name).collect::<Vec<_>>();
        assert!(written.iter().all(|one| names(one) == names(&written[0])));
        let packs = files(directory.path().join("packs"));
        assert_eq!(packs.len(), written[0].packs.len());
        is_sound(directory.path(), written[0].root).await;
    });
}

/// What others put while an index is made again stays in it.
#[test]
fn an_index_is_made_again_beside_a_writer() {
    run(async {
        let (directory, store, root) = stored().await;
        let mut put = None;
        let path = directory.path().to_owned();
        let beside = |_| {
            put.get_or_insert_with(|| {
                let path = path.clone();
                let writer = std::thread::spawn(move || {
                    run(async {
                        let store = Store::open_local(path).await.expect("opened");
                        store.put(Blob::bytes(noise(7000, 2)), options()).await.expect("put").root
                    })
                });
                writer.join().expect("it ended")
            });
        };
        rebuild_index(&store, beside).await.expect("made again");
        is_sound(directory.path(), root).await;
        is_sound(directory.path(), put.expect("it was put")).await;
        assert!(findings(&store).await.is_empty());
    });
}

/// A mirror that cannot be reached does not keep others from being asked.
#[test]
fn one_mirror_that_fails_is_not_the_end() {
    #[derive(Debug)]
    struct Unreachable;

    #[async_trait::async_trait]
    impl PackSource for Unreachable {
        async fn pack(&self, _: &Hash, _: Spool) -> Result<Option<Spool>> {
            Err(io::Error::from(io::ErrorKind::HostUnreachable).into())
        }
    }

    run(async {
        let (directory, store, root) = stored().await;
        let mirror = tempfile::tempdir().expect("made");
        let other = Store::create_local(mirror.path()).await.expect("made");
        copy(&store, &other, |_| ()).await.expect("copied");
        let pack = files(directory.path().join("packs")).remove(0);
        fs::remove_file(pack).expect("removed");
        let healed = heal(&store, &[&Unreachable]).await.expect("went on");
        assert!(matches!(healed.lost[..], [Lost { failed: Some(_), .. }]));
        let healed = heal(&store, &[&Unreachable, &other]).await.expect("healed");
        assert_eq!((healed.packs.len(), healed.lost.len()), (1, 0));
        is_sound(directory.path(), root).await;
    });
}
