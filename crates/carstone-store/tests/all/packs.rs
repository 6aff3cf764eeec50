//! Blobs go in, and come out as they were.

use std::sync::Arc;

use carstone_car::{CarSlice, Cid, cid_of, codec};
use carstone_store::{
    Blob, Content, Dedupe, ErrorKind, HashFunction, Layout, LocalObjects, ObjectPackStore,
    PackStore, PackWriter, PackWriterOptions, RemoteObjects, Store, StreamOptions, parse_text,
};
use carstone_unixfs::{BlockSource, FileReader, Profile};
use futures::{StreamExt, TryStreamExt};

use crate::support::content;

/// No two chunks of it, or of another seed's, are alike.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

/// The blocks of a store, for readers that wait.
struct Blocks(Store, tokio::runtime::Handle);

impl BlockSource for Blocks {
    fn block(&self, cid: &Cid) -> std::io::Result<Option<Vec<u8>>> {
        Ok(self.1.block_on(self.0.block(cid))?.map(Vec::from))
    }

    fn size(&self, cid: &Cid) -> std::io::Result<Option<u64>> {
        Ok(self.block(cid)?.map(|block| block.len() as u64))
    }
}

async fn read(store: &Store, root: Cid) -> Vec<u8> {
    let blocks = Blocks(store.clone(), tokio::runtime::Handle::current());
    let reading = tokio::task::spawn_blocking(move || {
        let mut content = Vec::new();
        let mut file = FileReader::open(&blocks, &root).expect("a file");
        std::io::Read::read_to_end(&mut file, &mut content).expect("all of it");
        content
    });
    reading.await.expect("it ended")
}

/// The content of a file out of its stream.
async fn streamed(store: &Store, root: Cid) -> Vec<u8> {
    let options = StreamOptions::default().unique(false).ahead(3000);
    let blocks: Vec<_> = store.stream(root, options).try_collect().await.expect("all of it");
    let mut content = Vec::new();
    for (cid, block) in blocks {
        match carstone_unixfs::decode(&cid, &block).expect("a node") {
            carstone_unixfs::Node::Raw(data) => content.extend_from_slice(data),
            carstone_unixfs::Node::File(file) => content.extend_from_slice(file.data),
            other => panic!("{other:?}"),
        }
    }
    content
}

/// What repeats itself comes as often as it is linked to, or once; what is missing or damaged is told.
#[test]
fn streams_give_each_block_in_its_place() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let store = Store::create_local(directory.path()).await.expect("made");
        let profile = Profile::default().with_chunk_size(1000).expect("fine");
        let options = PackWriterOptions::default().shard_size(20_000).profile(profile.clone());
        let content = [noise(3000, 1), noise(3000, 1), noise(50_000, 2), noise(3000, 1)].concat();
        let written = store.put(Blob::bytes(content.clone()), options).await.expect("put");
        assert_eq!(streamed(&store, written.root).await, content);
        let all = || store.stream(written.root, StreamOptions::default()).try_collect::<Vec<_>>();
        let unique = all().await.expect("all");
        assert_eq!(unique[0].0, written.root);
        assert_eq!(unique.len(), 1 + 3 + 50);
        // A damaged block is an error, and with another place of it none.
        let name = carstone_store::text_of(&written.packs[1].name);
        let pack = directory.path().join("packs").join(format!("{name}.car"));
        let mut bytes = std::fs::read(&pack).expect("read");
        bytes[3000] ^= 1;
        std::fs::write(&pack, &bytes).expect("written");
        assert!(all().await.expect_err("damaged").is_malformed());
        let options = PackWriterOptions::default().shard_size(9_000).profile(profile);
        store.put(Blob::bytes(content.clone()), options).await.expect("put");
        assert_eq!(streamed(&store, written.root).await, content);
        let nobody = cid_of(codec::RAW, b"nobody");
        let missing = store.stream(nobody, StreamOptions::default());
        let missing = missing.try_collect::<Vec<_>>().await.expect_err("missing");
        assert!(matches!(missing.kind(), ErrorKind::NoBlock(_)));
    });
}

#[test]
fn blobs_come_out_of_every_store_as_they_were() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let local = Store::create_local(directory.path().join("store")).await.expect("made");
        let memory = Store::in_memory().await.expect("made");
        let profile = Profile::default().with_chunk_size(1000).expect("fine");
        for len in [0, 1, 999, 1000, 1001, 100_000, 1_234_567] {
            let content = noise(len, len as u64);
            for (store, shard) in [(&local, 50_000), (&memory, 200_000), (&local, 1 << 30)] {
                let options =
                    PackWriterOptions::default().shard_size(shard).profile(profile.clone());
                let pieces = content.chunks(777).map(|piece| Ok(piece.to_vec().into()));
                let pieces: Vec<_> = pieces.collect();
                let blob =
                    Blob::stream(futures::stream::iter(pieces).boxed()).with_len(len as u64 / 2);
                let written = store.put(blob, options).await.expect("put");
                let last = written.packs.last().expect("there is one");
                assert_eq!(last.roots, [written.root]);
                for (number, pack) in written.packs.iter().enumerate() {
                    assert!(pack.size <= shard);
                    assert!(number + 1 == written.packs.len() || pack.roots.is_empty());
                    let bytes = store.packs().get(&pack.name).await.expect("sound").expect("there");
                    let car = CarSlice::parse(&bytes).expect("a CAR");
                    assert_eq!(
                        car.blocks().collect::<Result<Vec<_>, _>>().expect("sound").len(),
                        pack.blobs.len()
                    );
                }
                assert_eq!(read(store, written.root).await, content);
                assert_eq!(streamed(store, written.root).await, content);
                let packs = store.containing(written.root.hash()).await.expect("found");
                assert!(written.packs.iter().all(|pack| {
                    packs.iter().any(|location| location.pack() == Some(&pack.name))
                }));
            }
        }
        // The same is found by whoever opens it later.
        let again = Store::open_local(directory.path().join("store")).await.expect("opened");
        assert_eq!(again.roots().await.expect("listed"), local.roots().await.expect("listed"));
        for record in again.roots().await.expect("listed") {
            assert!(again.block(&record.root).await.expect("sound").is_some());
        }
        let missing = cid_of(codec::RAW, b"nobody put this");
        assert_eq!(again.block(&missing).await.expect("none"), None);
    });
}

/// The rules of hash-stream, with its numbers.
#[test]
fn packs_are_those_of_hash_stream() {
    run(async {
        let store = ObjectPackStore::new(
            Arc::new(RemoteObjects::in_memory()),
            Layout::nested("", ".car").expect("a layout"),
        );
        let packs: Arc<dyn PackStore> = Arc::new(store);
        let write = |content: Vec<u8>, shard: u64| {
            let options = PackWriterOptions::default().shard_size(shard);
            let writer = PackWriter::with_options(Arc::clone(&packs), options);
            async move { writer.write(Blob::bytes(content)).await }
        };
        // Nothing is one empty raw block.
        let empty = write(Vec::new(), 133_169_152).await.expect("written");
        assert_eq!(
            parse_text("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku").as_ref(),
            Some(empty.containing())
        );
        assert_eq!(empty.packs.len(), 1);
        // One chunk is its own root, behind a header with a root: 59 bytes, three of length, 36 of CID.
        let one = write(noise(1 << 20, 1), 133_169_152).await.expect("written");
        assert_eq!((one.packs[0].blobs.len(), one.packs[0].blobs[0].offset), (1, 98));
        assert_eq!(one.packs[0].roots, [one.root]);
        let small = write(noise(10_000, 1), 133_169_152).await.expect("written");
        assert_eq!(small.packs[0].blobs[0].offset, 97);
        // Three chunks in packs of two: the first has no root, and the containing hash does not depend on that.
        let content = noise(3 << 20, 7);
        let whole = write(content.clone(), 133_169_152).await.expect("written");
        let cut = write(content.clone(), 18 + 2 * ((1 << 20) + 39)).await.expect("written");
        assert_eq!(whole.containing(), cut.containing());
        assert_eq!((whole.packs.len(), cut.packs.len()), (1, 2));
        assert_eq!(cut.packs[0].blobs[0].offset, 57);
        assert!(cut.packs[0].roots.is_empty());
        assert_eq!(cut.packs[1].roots, [cut.root]);
        let last = cut.packs[1].blobs.last().expect("the root");
        assert_eq!((last.cid, last.cid.codec()), (cut.root, codec::DAG_PB));
        // Repeated blocks are stored as often as they come, unless one asks for less.
        let twice = [&content[..1 << 20], &content[..1 << 20]].concat();
        let written = write(twice.clone(), 133_169_152).await.expect("written");
        assert_eq!(written.packs[0].blobs.len(), 3);
        let options =
            PackWriterOptions::default().dedupe(Dedupe::Blob).pack_hasher(HashFunction::Blake3);
        let writer = PackWriter::with_options(Arc::clone(&packs), options);
        let once = writer.write(Blob::bytes(twice)).await.expect("written");
        assert_eq!((once.packs[0].blobs.len(), once.root), (2, written.root));
        assert_eq!(once.packs[0].name.code(), HashFunction::Blake3.code());
        // No pack takes a block that is larger.
        let error = write(content, 1 << 20).await.expect_err("too large");
        assert!(matches!(error.kind(), ErrorKind::BlockTooLarge { .. }), "{error}");
    });
}

#[test]
fn what_does_not_hash_to_its_name_is_neither_kept_nor_given() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let objects = LocalObjects::new(directory.path());
        let store =
            ObjectPackStore::new(Arc::new(objects), Layout::flat("", ".car").expect("a layout"));
        let name = *cid_of(codec::RAW, b"right").hash();
        let wrong =
            store.put(&name, Content::Bytes(b"wrong"[..].into())).await.expect_err("refused");
        assert!(matches!(wrong.kind(), ErrorKind::Mismatch { .. }), "{wrong}");
        assert!(wrong.object().is_some_and(|object| object.ends_with(".car")));
        assert_eq!(store.get(&name).await.expect("none"), None);
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 0);
        store.put(&name, Content::Bytes(b"right"[..].into())).await.expect("kept");
        store.put(&name, Content::Bytes(b"right"[..].into())).await.expect("once more");
        assert_eq!(store.list().try_collect::<Vec<_>>().await.expect("listed").len(), 1);
        let file = directory.path().join(format!("{}.car", carstone_store::text_of(&name)));
        std::fs::write(&file, b"wrong").expect("written");
        assert!(store.get(&name).await.expect_err("damaged").is_malformed());
        let all: Result<Vec<_>, _> = store.stream(&name).await.expect("there").try_collect().await;
        assert!(all.expect_err("damaged").is_malformed());
        let short = store.read(&name, 3..9).await.expect_err("short");
        assert!(matches!(short.kind(), ErrorKind::Short { expected: 6, found: 2 }), "{short}");
        // One of another length is put right.
        std::fs::write(&file, b"rig").expect("written");
        store.put(&name, Content::Bytes(b"right"[..].into())).await.expect("kept");
        assert_eq!(store.get(&name).await.expect("sound").as_deref(), Some(&b"right"[..]));
        assert!(store.delete(&name).await.expect("removed"));
        assert!(!store.delete(&name).await.expect("removed"));
    });
}

/// A blob by itself is its own pack, whatever it is, and found again as one.
#[test]
fn a_lone_blob_is_found_by_its_own_hash() {
    let directory = tempfile::tempdir().expect("made");
    run(async {
        let store = Store::create_local(directory.path()).await.expect("made");
        let car = {
            let mut writer = carstone_car::CarWriter::new(Vec::new(), &[]).expect("a header");
            writer.write_data(codec::RAW, b"inside").expect("written");
            writer.finish().expect("finished")
        };
        for blob in [&b"neither CAR nor pack"[..], &car, b""] {
            let root = store.put_blob(Blob::bytes(blob.to_vec()), PackWriterOptions::default());
            let root = root.await.expect("put");
            assert_eq!(root, cid_of(codec::RAW, blob));
            assert_eq!(store.block(&root).await.expect("sound").as_deref(), Some(blob));
        }
        // An index that is made again knows what the CAR holds, too.
        carstone_store::rebuild_index(&store, |_| ()).await.expect("made again");
        let inside = cid_of(codec::RAW, b"inside");
        assert_eq!(store.block(&inside).await.expect("sound").as_deref(), Some(&b"inside"[..]));
        for blob in [&b"neither CAR nor pack"[..], &car] {
            let root = cid_of(codec::RAW, blob);
            assert_eq!(store.block(&root).await.expect("sound").as_deref(), Some(blob));
        }
    });
}

#[test]
fn what_the_store_has_already_is_not_stored_again() {
    run(async {
        let store = Store::in_memory().await.expect("made");
        let profile = Profile::default().with_chunk_size(1000).expect("fine");
        let options = PackWriterOptions::default().shard_size(5000).profile(profile);
        let first = noise(20_000, 1);
        let put = store.put(Blob::bytes(first.clone()), options.clone()).await.expect("put");
        assert!(put.packs.len() > 4 && put.known.is_empty());

        let options = options.dedupe(Dedupe::Store);
        let longer = [&first[..], &noise(1000, 2)[..]].concat();
        let written = store.put(Blob::bytes(longer.clone()), options.clone()).await.expect("put");
        let blobs: usize = written.packs.iter().map(|pack| pack.blobs.len()).sum();
        assert_eq!(blobs, 2, "a chunk and the root");
        assert!(!written.known.is_empty());
        assert_eq!(content(&store, written.root).await.expect("sound"), longer);
        let containing = store.containing(written.root.hash()).await.expect("known");
        assert_eq!(containing.len(), written.packs.len() + written.known.len());

        // The same once more needs no pack at all.
        let again = store.put(Blob::bytes(first.clone()), options.clone()).await.expect("put");
        assert_eq!((again.root, again.packs.len()), (put.root, 0));

        // Blocks that another root has brought stay as long as this one.
        carstone_store::remove_root(&store, &put.root).await.expect("removed");
        let zero = std::time::Duration::ZERO;
        carstone_store::collect(&store, zero, false).await.expect("collected");
        assert_eq!(content(&store, written.root).await.expect("sound"), longer);

        // A pack that is gone has nothing.
        let lost = written.known[0].0;
        store.packs().delete(&lost).await.expect("removed");
        let new = store.put(Blob::bytes(first.clone()), options).await.expect("put");
        assert!(!new.packs.is_empty());
        assert_eq!(content(&store, new.root).await.expect("sound"), first);
    });
}

#[test]
fn many_blobs_are_packed_at_the_same_time() {
    run(async {
        let objects = Arc::new(RemoteObjects::in_memory());
        let packs = ObjectPackStore::new(objects, Layout::flat("", ".car").expect("a layout"));
        let writer = PackWriter::new(Arc::new(packs.clone()));
        let blobs: Vec<_> = (0..100).map(|seed| noise(seed as usize * 100, seed)).collect();
        let given = futures::stream::iter(blobs.clone()).map(Blob::bytes);
        let written: Vec<_> = writer.write_all(given, 200).try_collect().await.expect("written");
        assert_eq!(written.len(), 100);
        for (blob, written) in blobs.iter().zip(&written) {
            assert_eq!(written.root, cid_of(codec::RAW, blob));
            assert!(packs.get(&written.packs[0].name).await.expect("sound").is_some());
        }
    });
}

#[test]
fn where_a_dag_is_need_not_be_indexed() {
    run(async {
        let store = Store::in_memory().await.expect("made");
        let options = PackWriterOptions::default().index_containing(false);
        let written = store.put(Blob::bytes(noise(5000, 3)), options).await.expect("put");
        assert!(store.containing(written.root.hash()).await.expect("known").is_empty());
        assert!(store.block(&written.root).await.expect("sound").is_some());
    });
}
