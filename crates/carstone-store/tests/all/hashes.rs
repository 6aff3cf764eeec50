//! Blobs under other hashes than SHA2-256.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use carstone_car::{CarSlice, Cid, hash_code, verify};
use carstone_store::{
    Blob, Dedupe, Finding, HashFunction, Layout, ObjectPackStore, PackStore, PackWriter,
    PackWriterOptions, RecordLayout, RecordLevel, RecordOptions, RemoteObjects, ShardedDagIndex,
    Store, Written, collect, export_records, heal, import_records, import_sharded_index,
    rebuild_index, sharded_index,
};
use carstone_unixfs::{DirectoryBuilder, Profile, ShardThreshold, symlink, write_file};

use crate::packs::noise;
use crate::support::{content, findings, read};

const FUNCTIONS: [HashFunction; 2] = [HashFunction::Sha2_512, HashFunction::Blake3];

fn profile() -> Profile {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    profile.with_width(4).expect("fine").with_shard_threshold(ShardThreshold::Entries(5))
}

fn options(function: HashFunction) -> PackWriterOptions {
    PackWriterOptions::default().shard_size(5000).profile(profile()).hasher(function)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

/// Whether all blobs but manifests have this function, in packs that have SHA2-256, and are found where they are.
async fn is_under(store: &Store, written: &Written, function: HashFunction) {
    assert_eq!(written.root.hash().code(), function.code());
    for pack in &written.packs {
        assert_eq!(pack.name.code(), hash_code::SHA2_256);
        let bytes = store.packs().get(&pack.name).await.expect("sound").expect("there");
        let sections = CarSlice::parse(&bytes).expect("a CAR").sections().count();
        assert_eq!(sections, pack.blobs.len());
        for blob in &pack.blobs {
            let is_manifest = blob.cid.codec() == 0x71;
            let expected = if is_manifest { hash_code::SHA2_256 } else { function.code() };
            assert_eq!(blob.cid.hash().code(), expected, "{}", blob.cid);
            let data = &bytes[blob.offset as usize..][..blob.len as usize];
            verify(&blob.cid, data).expect("its bytes");
            let block = store.block(&blob.cid).await.expect("sound");
            assert_eq!(block.as_deref(), Some(data));
            let places = store.places(blob.cid.hash()).await.expect("found");
            assert!(places.iter().any(|found| {
                (found.location.pack(), found.offset) == (Some(&pack.name), blob.offset)
            }));
        }
        let containing = store.containing(written.root.hash()).await.expect("found");
        assert!(containing.iter().any(|location| location.pack() == Some(&pack.name)));
    }
}

#[test]
fn files_come_out_as_they_were_and_their_index_is_made_again() {
    run(async {
        let data = noise(20_000, 1);
        for function in FUNCTIONS {
            for manifests in [false, true] {
                let directory = tempfile::tempdir().expect("made");
                let store = Store::create_local(directory.path()).await.expect("made");
                let options = options(function).manifests(manifests);
                let written = store.put(Blob::bytes(data.clone()), options.clone()).await;
                let written = written.expect("put");
                is_under(&store, &written, function).await;
                // Beside blobs under the usual hash, which are others.
                let usual = PackWriterOptions::default().profile(profile());
                let usual = store.put(Blob::bytes(data.clone()), usual).await.expect("put");
                is_under(&store, &usual, HashFunction::Sha2_256).await;
                store.index().compact(|_| true).await.expect("put together");
                is_under(&store, &written, function).await;
                rebuild_index(&store, |_| ()).await.expect("made again");
                let store = Store::open_local(directory.path()).await.expect("opened");
                is_under(&store, &written, function).await;
                is_under(&store, &usual, HashFunction::Sha2_256).await;
                assert!(content(&store, written.root).await.expect("sound") == data);
                assert!(findings(&store).await.is_empty());
                // All of it is there.
                let known = options.clone().dedupe(Dedupe::Store);
                let again = store.put(Blob::bytes(data.clone()), known).await.expect("put");
                assert_eq!((again.root, again.packs.len()), (written.root, 0));
                let gone = collect(&store, Duration::ZERO, false).await.expect("collected");
                assert_eq!(gone.packs.len(), 0);
            }
        }
    });
}

#[test]
fn damage_is_found_and_healed() {
    run(async {
        let data = noise(9000, 2);
        for function in FUNCTIONS {
            let directory = tempfile::tempdir().expect("made");
            let store = Store::create_local(directory.path()).await.expect("made");
            let root = store.put(Blob::bytes(data.clone()), options(function)).await.expect("put");
            let other = options(function).shard_size(3500);
            store.put(Blob::bytes(data.clone()), other).await.expect("put");
            for pack in &root.packs {
                let path = path(directory.path(), &pack.name);
                let sound = fs::read(&path).expect("read");
                let mut damaged = sound.clone();
                let blob = pack.blobs[0];
                damaged[blob.offset as usize + 1] ^= 1;
                fs::write(&path, &damaged).expect("written");
                // Read from the other pack meanwhile.
                assert!(content(&store, root.root).await.expect("read") == data);
                let found = findings(&store).await;
                let [Finding::DamagedPack { name, .. }] = &found[..] else { panic!("{found:?}") };
                assert_eq!(*name, pack.name);
                let healed = heal(&store, &[]).await.expect("healed");
                assert_eq!((healed.packs.len(), healed.lost.len()), (1, 0));
                assert!(fs::read(&path).expect("read") == sound);
            }
            assert!(findings(&store).await.is_empty());
        }
    });
}

fn path(directory: &Path, name: &carstone_store::Hash) -> std::path::PathBuf {
    directory.join("packs").join(format!("{}.car", carstone_store::text_of(name)))
}

#[test]
fn indexes_of_others_take_them() {
    run(async {
        let data = noise(20_000, 3);
        for function in FUNCTIONS {
            let store = Store::in_memory().await.expect("made");
            let written =
                store.put(Blob::bytes(data.clone()), options(function)).await.expect("put");
            let taking = || async {
                let taking = Store::in_memory().await.expect("made");
                for pack in &written.packs {
                    let bytes = store.packs().get(&pack.name).await.expect("sound");
                    let bytes = carstone_store::Content::Bytes(bytes.expect("there"));
                    taking.packs().put(&pack.name, bytes).await.expect("kept");
                }
                taking
            };
            for level in [RecordLevel::Blob, RecordLevel::Containing] {
                let records = RemoteObjects::in_memory();
                let layout = RecordLayout::nested("").expect("a layout");
                let how = RecordOptions::new(level, layout.clone());
                export_records(&store, &records, &how).await.expect("written");
                let taken = taking().await;
                let done = import_records(&taken, &records, &layout).await.expect("taken");
                assert!(done.refused.is_empty() && done.records > 0, "{done:?}");
                for blob in written.packs.iter().flat_map(|pack| &pack.blobs) {
                    assert!(taken.block(&blob.cid).await.expect("sound").is_some());
                }
            }
            let index = sharded_index(&store, &written.root).await.expect("read").expect("there");
            let car = index.encode().expect("small");
            let index = ShardedDagIndex::decode(&car).expect("an index");
            let taken = taking().await;
            import_sharded_index(&taken, &index).await.expect("taken");
            for blob in written.packs.iter().flat_map(|pack| &pack.blobs) {
                assert!(taken.block(&blob.cid).await.expect("sound").is_some());
            }
        }
    });
}

#[test]
fn directories_are_under_the_function_too() {
    run(async {
        for function in FUNCTIONS {
            let store = Store::in_memory().await.expect("made");
            let options = options(function);
            let shape = options.profile.clone();
            let make = move |put: &mut carstone_store::Put<'_>| {
                let put: &mut carstone_unixfs::BlockSink<'_> = &mut |cid, data| Ok(put(cid, data)?);
                let mut directory = DirectoryBuilder::new(&shape);
                for number in 0..40 {
                    let file = write_file(&shape, &noise(number * 100, 5)[..], put)?;
                    directory
                        .add(&format!("{number}"), file.into())
                        .map_err(std::io::Error::from)?;
                }
                let link = symlink(&shape, b"7", put)?;
                directory.add("link", link).map_err(std::io::Error::from)?;
                Ok(directory.finish(put)?.cid)
            };
            let written = store.put_blocks(make, options, |_| Ok(())).await.expect("put");
            is_under(&store, &written, function).await;
            assert!(read(&store, written.root).await.expect("sound") > 60);
        }
    });
}

#[test]
fn packs_keep_to_their_limit_under_longer_cids() {
    run(async {
        let data = noise(6000, 4);
        let layout = Layout::flat("", ".car").expect("a layout");
        let packs = ObjectPackStore::new(Arc::new(RemoteObjects::in_memory()), layout);
        let packs: Arc<dyn PackStore> = Arc::new(packs);
        for function in FUNCTIONS {
            for manifests in [false, true] {
                for limit in 2900..3300 {
                    let options = options(function).shard_size(limit).manifests(manifests);
                    let writer = PackWriter::with_options(Arc::clone(&packs), options);
                    let written = writer.write(Blob::bytes(data.clone())).await.expect("put");
                    let cids: Vec<Cid> = written.packs.last().expect("one").roots.clone();
                    // Beside a manifest, the root is one of the pack only if it is whole there.
                    assert!(manifests || cids == [written.root]);
                    for pack in &written.packs {
                        assert!(pack.size <= limit, "{} of {limit}", pack.size);
                    }
                }
            }
        }
    });
}
