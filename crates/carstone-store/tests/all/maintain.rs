//! Faults are found, an index is made again from packs, and what nobody needs goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carstone_car::Cid;
use carstone_store::{
    Blob, CheckOptions, Finding, PackWriterOptions, Store, check, collect, collect_part, copy,
    finish_rebuild, heal, rebuild_index, rebuild_part, remove_root,
};
use carstone_unixfs::Profile;

use crate::packs::noise;

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(10_000).profile(profile)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

/// A store of two files in several packs.
async fn store(directory: &Path) -> (Store, [Cid; 2]) {
    let store = Store::create_local(directory).await.expect("made");
    let put = |seed| store.put(Blob::bytes(noise(25_000, seed)), options());
    let (first, second) = (put(1).await.expect("put").root, put(2).await.expect("put").root);
    (store, [first, second])
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("there").map(|entry| entry.expect("there").path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    files
}

/// What a check finds, without and with reading all data.
async fn found(directory: &Path, read_data: bool) -> Vec<Finding> {
    let store = Store::open_local(directory).await.expect("opened");
    let mut findings = Vec::new();
    let options = CheckOptions::default().read_data(read_data);
    let checked = check(&store, options, |finding| {
        findings.push(finding);
        Ok(())
    });
    let checked = checked.await.expect("checked");
    assert_eq!(checked.findings, findings.len() as u64);
    findings
}

#[test]
fn a_sound_store_has_nothing_wrong_with_it() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, _) = store(directory.path()).await;
        assert!(found(directory.path(), true).await.is_empty());
        store.index().compact(|_| true).await.expect("put together");
        assert!(found(directory.path(), true).await.is_empty());
        // Every pack is in one of the parts.
        let mut packs = 0;
        for part in 0..3 {
            let options = CheckOptions::default().read_data(true).part(Some((part, 3)));
            packs += check(&store, options, |_| Ok(())).await.expect("checked").packs;
        }
        assert_eq!(packs, files(directory.path().join("packs")).len() as u64);
    });
}

#[test]
fn each_fault_is_found() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        drop(store(directory.path()).await);
        let packs = files(directory.path().join("packs"));
        let sound = fs::read(&packs[0]).expect("read");
        // A flipped bit is found only by reading.
        let mut flipped = sound.clone();
        flipped[5000] ^= 1;
        fs::write(&packs[0], &flipped).expect("written");
        assert!(found(directory.path(), false).await.is_empty());
        assert!(matches!(found(directory.path(), true).await[..], [Finding::DamagedPack { .. }]));
        // A pack that is cut, or gone, is found by its length.
        fs::write(&packs[0], &sound[..sound.len() - 1]).expect("written");
        assert!(matches!(found(directory.path(), false).await[..], [Finding::WrongSize { .. }]));
        fs::remove_file(&packs[0]).expect("removed");
        assert!(matches!(found(directory.path(), false).await[..], [Finding::MissingPack(_)]));
        fs::write(&packs[0], &sound).expect("written");
        // A segment that is damaged, or gone.
        let segments = files(directory.path().join("index"));
        let segment = fs::read(&segments[0]).expect("read");
        for at in [10, 4100, segment.len() - 20] {
            let mut flipped = segment.clone();
            flipped[at] ^= 1;
            fs::write(&segments[0], &flipped).expect("written");
            let findings = found(directory.path(), false).await;
            assert!(
                findings.iter().any(|finding| matches!(finding, Finding::DamagedSegment(_))),
                "{at}"
            );
        }
        fs::remove_file(&segments[0]).expect("removed");
        let findings = found(directory.path(), false).await;
        assert!(findings.iter().any(|finding| matches!(finding, Finding::Unindexed(_))));
        assert!(findings.iter().any(|finding| matches!(finding, Finding::MissingRoot(_))));
        fs::write(&segments[0], &segment).expect("written");
        assert!(found(directory.path(), true).await.is_empty());
    });
}

/// Entries that say something else than the packs are found, and an index made again says what the packs do.
#[test]
fn an_index_that_lies_is_found_and_made_again() {
    use carstone_store::{Location, SegmentBuilder};
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, roots) = store(directory.path()).await;
        let place = store.places(roots[0].hash()).await.expect("found").remove(0);
        let mut builder = SegmentBuilder::new();
        builder.add_blob(&roots[1], &place.location, place.offset, place.len).expect("in bounds");
        store.index().add(builder).await.expect("kept");
        // The block is found in its other place all the same.
        assert!(store.block(&roots[1]).await.expect("sound").is_some());
        for _ in 0..2 {
            // Whatever the number of segments.
            let findings = found(directory.path(), true).await;
            assert!(
                matches!(findings[..], [Finding::ExtraEntries { count: 1, .. }]),
                "{findings:?}"
            );
            store.index().compact(|_| true).await.expect("put together");
        }
        assert!(store.block(&roots[1]).await.expect("sound").is_some());
        let Location::Pack { .. } = place.location else { panic!("a pack") };

        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert!(done.damaged.is_empty());
        assert_eq!(
            (done.packs, done.roots),
            (files(directory.path().join("packs")).len() as u64, 0)
        );
        store.index().compact(|_| true).await.expect("put together");
        assert!(found(directory.path(), true).await.is_empty());
    });
}

#[test]
fn the_index_and_the_roots_come_from_the_packs_alone() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, roots) = store(directory.path()).await;
        let mut records = store.roots().await.expect("listed");
        fs::remove_dir_all(directory.path().join("index")).expect("removed");
        fs::remove_dir_all(directory.path().join("roots")).expect("removed");
        let store = Store::open_local(directory.path()).await.expect("opened");
        assert_eq!(store.block(&roots[0]).await.expect("none"), None);
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!((done.roots, done.damaged.len()), (2, 0));
        assert!(found(directory.path(), true).await.is_empty());
        let mut found = store.roots().await.expect("listed");
        for record in found.iter_mut().chain(&mut records) {
            record.packs.sort();
        }
        assert_eq!(found, records);
        // A damaged pack is left out and told, and the others are found.
        let packs = files(directory.path().join("packs"));
        let mut bytes = fs::read(&packs[0]).expect("read");
        bytes[5000] ^= 1;
        fs::write(&packs[0], bytes).expect("written");
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!((done.packs, done.damaged.len()), (packs.len() as u64 - 1, 1));
    });
}

/// Several machines read the packs, and one puts what they have made in place of the old index.
#[test]
fn an_index_is_made_again_in_parts() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, roots) = store(directory.path()).await;
        let all = files(directory.path().join("packs")).len() as u64;
        let notes = || match directory.path().join("rebuild") {
            folder if folder.exists() => files(folder),
            _ => Vec::new(),
        };
        // The old index has an entry that leads nowhere.
        let lie = || async {
            let place = store.places(roots[0].hash()).await.expect("found").remove(0);
            let mut builder = carstone_store::SegmentBuilder::new();
            let (location, offset) = (&place.location, place.offset);
            builder.add_blob(&roots[1], location, offset, place.len).expect("in bounds");
            store.index().add(builder).await.expect("kept");
        };
        lie().await;
        let before = files(directory.path().join("index"));
        let mut read = 0;
        for part in 0..3 {
            let done = rebuild_part(&store, (part, 3), |_| ()).await.expect("made again");
            read += done.packs;
            assert_eq!((done.known, done.roots), (0, 0));
        }
        assert_eq!(read, all);
        // Nothing is gone, and nothing is missing beside what there was.
        let between = files(directory.path().join("index"));
        assert!(before.iter().all(|segment| between.contains(segment)));
        assert!(between.len() > before.len());
        let findings = found(directory.path(), true).await;
        assert!(matches!(findings[..], [Finding::ExtraEntries { count: 1, .. }]), "{findings:?}");
        let put = store.put(Blob::bytes(noise(5000, 3)), options()).await.expect("put");
        let done = finish_rebuild(&store, |_| ()).await.expect("made again");
        assert_eq!((done.packs, done.known), (1, all));
        let after = files(directory.path().join("index"));
        assert!(after.iter().any(|segment| between.contains(segment)));
        assert!(!after.iter().any(|segment| before.contains(segment)));
        assert_eq!(notes().len(), 0);
        store.index().compact(|_| true).await.expect("put together");
        assert!(found(directory.path(), true).await.is_empty());
        for root in [roots[0], roots[1], put.root] {
            assert!(store.block(&root).await.expect("sound").is_some());
            assert!(!store.containing(root.hash()).await.expect("read").is_empty());
        }

        // Without some of the parts, or with one that is no more, the rest is read.
        let of = |part, of| rebuild_part(&store, (part, of), |_| ());
        let all = all + 1;
        let first = of(0, 2).await.expect("made again").packs;
        let done = finish_rebuild(&store, |_| ()).await.expect("made again");
        assert_eq!((done.packs, done.known), (all - first, first));
        let first = of(0, 2).await.expect("made again").packs;
        store.index().compact(|_| true).await.expect("put together");
        let second = of(1, 2).await.expect("made again").packs;
        assert_eq!(notes().len(), 2);
        let done = finish_rebuild(&store, |_| ()).await.expect("made again");
        assert_eq!((done.packs, done.known), (first, second));
        // A note that is damaged is none, and so is one of a segment that is.
        let second = of(1, 2).await.expect("made again").packs;
        let note = notes().remove(0);
        let mut bytes = fs::read(&note).expect("read");
        bytes[20] ^= 1;
        fs::write(&note, bytes).expect("written");
        let first = of(0, 2).await.expect("made again").packs;
        let done = finish_rebuild(&store, |_| ()).await.expect("made again");
        assert_eq!((done.packs, done.known), (second, first));
        let before = files(directory.path().join("index"));
        of(0, 1).await.expect("made again");
        let segments = files(directory.path().join("index"));
        let new = segments.iter().find(|segment| !before.contains(segment));
        if let Some(new) = new {
            let mut bytes = fs::read(new).expect("read");
            let last = bytes.len() - 30;
            bytes[last] ^= 1;
            fs::write(new, bytes).expect("written");
            let done = finish_rebuild(&store, |_| ()).await.expect("made again");
            assert_eq!((done.packs, done.known), (all, 0));
        }
        assert!(new.is_some() && notes().is_empty());
        // Roots whose records are gone come from the packs that were read elsewhere.
        let mut records = store.roots().await.expect("listed");
        fs::remove_dir_all(directory.path().join("roots")).expect("removed");
        fs::remove_dir_all(directory.path().join("index")).expect("removed");
        let store = Store::open_local(directory.path()).await.expect("opened");
        for part in 0..2 {
            rebuild_part(&store, (part, 2), |_| ()).await.expect("made again");
        }
        let done = finish_rebuild(&store, |_| ()).await.expect("made again");
        assert_eq!((done.packs, done.known, done.roots), (0, all, 3));
        let mut found = store.roots().await.expect("listed");
        for record in found.iter_mut().chain(&mut records) {
            record.packs.sort();
        }
        assert_eq!(found, records);
    });
}

/// An index that is made again still knows what a damaged pack had, by which it is put right.
#[test]
fn what_is_known_of_a_damaged_pack_stays() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, _) = store(directory.path()).await;
        let again = options().shard_size(7000);
        store.put(Blob::bytes(noise(25_000, 1)), again.clone()).await.expect("put");
        store.put(Blob::bytes(noise(25_000, 2)), again).await.expect("put");
        let packs = files(directory.path().join("packs"));
        let sound = fs::read(&packs[0]).expect("read");
        fs::write(&packs[0], &sound[..sound.len() / 2]).expect("written");
        let done = rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!(done.damaged.len(), 1);
        assert_eq!(heal(&store, &[]).await.expect("healed").packs.len(), 1);
        assert!(fs::read(&packs[0]).expect("read") == sound);
        assert!(found(directory.path(), true).await.is_empty());
    });
}

#[test]
fn what_no_root_needs_goes_and_nothing_else() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, roots) = store(directory.path()).await;
        let before = files(directory.path().join("packs")).len();
        let none = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert!(none.packs.is_empty());
        assert_eq!(remove_root(&store, &roots[0]).await.expect("removed"), 1);
        assert_eq!(remove_root(&store, &roots[0]).await.expect("removed"), 0);
        let young = collect(&store, Duration::from_secs(3600), false).await.expect("collected");
        assert!(young.packs.is_empty() && young.young >= 3, "{young:?}");
        let dry = collect(&store, Duration::ZERO, true).await.expect("collected");
        assert_eq!(files(directory.path().join("packs")).len(), before);
        let done = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert_eq!(done, dry);
        assert_eq!(files(directory.path().join("packs")).len(), before - done.packs.len());
        assert!(found(directory.path(), true).await.is_empty());
        assert_eq!(store.block(&roots[0]).await.expect("none"), None);
        assert!(store.block(&roots[1]).await.expect("sound").is_some());
    });
}

/// Machines that share the work leave the index, which one more walk puts right.
#[test]
fn garbage_is_collected_in_parts() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (store, roots) = store(directory.path()).await;
        remove_root(&store, &roots[0]).await.expect("removed");
        let all = collect(&store, Duration::ZERO, true).await.expect("collected").packs;
        let mut gone = Vec::new();
        for part in 0..3 {
            let dry = collect_part(&store, Duration::ZERO, true, (part, 3)).await;
            let done = collect_part(&store, Duration::ZERO, false, (part, 3)).await;
            let done = done.expect("collected");
            assert_eq!(done, dry.expect("collected"));
            gone.extend(done.packs);
        }
        gone.sort();
        assert_eq!(gone, all);
        // Nobody needs what is missed now, and what somebody needs is there.
        let missed = found(directory.path(), false).await;
        assert!(missed.iter().all(|finding| matches!(finding, Finding::MissingPack(_))));
        assert_eq!(missed.len(), all.len());
        let done = collect(&store, Duration::ZERO, false).await.expect("collected");
        assert!(done.packs.is_empty());
        assert!(found(directory.path(), true).await.is_empty());
        assert!(store.block(&roots[1]).await.expect("sound").is_some());
        // What a root needs stays in the index, so that it is missed and can be healed.
        let pack = store.roots().await.expect("read")[0].packs[0];
        store.packs().delete(&pack).await.expect("removed");
        collect(&store, Duration::ZERO, false).await.expect("collected");
        let missed = found(directory.path(), false).await;
        assert!(matches!(missed[..], [Finding::MissingPack(name)] if name == pack));
    });
}

/// A mirror has what the store has lost, and no more than that is taken from it.
#[test]
fn damaged_packs_come_back_from_a_mirror() {
    let (directory, mirror) =
        (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    run(async {
        let (store, roots) = store(directory.path()).await;
        let other = Store::create_local(mirror.path()).await.expect("made");
        let done = copy(&store, &other, |_| ()).await.expect("copied");
        let packs = files(directory.path().join("packs"));
        assert_eq!((done.packs, done.known), (packs.len() as u64, 0));
        let again = copy(&store, &other, |_| ()).await.expect("copied");
        assert_eq!((again.packs, again.known), (0, packs.len() as u64));
        assert!(found(mirror.path(), true).await.is_empty());
        assert_eq!(other.roots().await.expect("listed"), store.roots().await.expect("listed"));

        let sound: Vec<_> = packs.iter().map(|pack| fs::read(pack).expect("read")).collect();
        let mut flipped = sound[0].clone();
        flipped[4000] ^= 0x80;
        fs::write(&packs[0], flipped).expect("written");
        fs::write(&packs[1], &sound[1][..3000]).expect("written");
        fs::remove_file(&packs[2]).expect("removed");
        // One that the mirror has damaged too is lost, and stays as it is.
        let hurt = mirror.path().join("packs").join(packs[3].file_name().expect("a name"));
        for pack in [&packs[3], &hurt] {
            let mut flipped = sound[3].clone();
            flipped[4000] ^= 0x80;
            fs::write(pack, flipped).expect("written");
        }
        let healed = heal(&store, &[&other]).await.expect("healed");
        assert_eq!((healed.packs.len(), healed.lost.len(), healed.index.len()), (3, 1, 0));
        for number in 0..3 {
            assert_eq!(fs::read(&packs[number]).expect("read"), sound[number]);
        }
        assert!(matches!(found(directory.path(), true).await[..], [Finding::DamagedPack { .. }]));
        fs::write(&packs[3], &sound[3]).expect("written");
        assert!(heal(&store, &[]).await.expect("healed").packs.is_empty());
        assert!(store.block(&roots[1]).await.expect("sound").is_some());
    });
}

#[test]
fn a_reader_that_was_there_before_finds_what_has_moved() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let (writer, [first, _]) = store(directory.path()).await;
        let reader = Store::open_local(directory.path()).await.expect("opened");
        assert!(reader.block(&first).await.expect("readable").is_some());
        // The same blob in other packs; those that the reader knows are collected.
        let other = options().shard_size(7000);
        let again = writer.put(Blob::bytes(noise(25_000, 1)), other).await.expect("put");
        assert_eq!(again.root, first);
        remove_root(&writer, &first).await.expect("removed");
        let again = writer.put(Blob::bytes(noise(25_000, 1)), options().shard_size(7000)).await;
        assert_eq!(again.expect("put").root, first);
        let collected = collect(&writer, Duration::ZERO, false).await.expect("collected");
        assert_eq!(collected.packs.len(), 3);
        assert!(reader.block(&first).await.expect("readable").is_some());
    });
}
