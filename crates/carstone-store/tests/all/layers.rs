//! Packs that are wrapped: read with what opens them, kept in order without.

use std::fs;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use carstone_car::ReadAt;
use carstone_store::{
    Blob, Dedupe, ErrorKind, Finding, PackCar, PackLayers, PackWriterOptions, Store, Unmended,
    add_pack, collect, copy, heal, rebuild_index, rebuild_roots, remove_root,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::packs::noise;
use crate::support::{content, findings};

/// A mark, a number that tells packs apart, and the bytes with a key over them.
#[derive(Debug)]
struct Masked {
    key: Option<u8>,
}

const MARK: &[u8] = b"MASKED1\n";

impl PackLayers for Masked {
    fn wrap(&self, car: &mut (dyn Read + Send), sink: &mut (dyn Write + Send)) -> io::Result<()> {
        let key = self.key.ok_or(io::ErrorKind::PermissionDenied)?;
        let mut bytes = Vec::new();
        car.read_to_end(&mut bytes)?;
        bytes.iter_mut().for_each(|byte| *byte ^= key);
        sink.write_all(MARK)?;
        sink.write_all(&bytes)?;
        sink.flush()
    }

    fn is_wrapped(&self, front: &[u8]) -> bool {
        front.starts_with(MARK)
    }

    fn open(&self, pack: PackCar) -> io::Result<Option<PackCar>> {
        Ok(self.key.map(|key| Arc::new(Unmasked(pack, key)) as PackCar))
    }
}

struct Unmasked(PackCar, u8);

impl ReadAt for Unmasked {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, offset + MARK.len() as u64)?;
        buf[..read].iter_mut().for_each(|byte| *byte ^= self.1);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.size()?.saturating_sub(MARK.len() as u64))
    }
}

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(10_000).profile(profile).layered(true)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

async fn open(directory: &std::path::Path, key: Option<u8>) -> Store {
    let store = Store::open_local(directory).await.expect("opened");
    store.with_layers(Arc::new(Masked { key }))
}

#[test]
fn wrapped_packs_are_read_with_the_key_and_kept_in_order_without() {
    let (directory, mirror) =
        (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    run(async {
        let plain = Store::create_local(directory.path()).await.expect("made");
        let error = plain.put(Blob::bytes(noise(10, 1)), options()).await.expect_err("no layers");
        assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
        let keyless = open(directory.path(), None).await;
        keyless.put(Blob::bytes(noise(10, 1)), options()).await.expect_err("no key");

        let store = open(directory.path(), Some(7)).await;
        let bytes = noise(35_000, 1);
        let written = store.put(Blob::bytes(bytes.clone()), options()).await.expect("put");
        assert!(written.packs.len() > 2);
        let whole = options().layered(false);
        let unwrapped = store.put(Blob::bytes(noise(5000, 2)), whole.clone()).await.expect("put");
        for pack in fs::read_dir(directory.path().join("packs")).expect("listed") {
            let stored = fs::read(pack.expect("there").path()).expect("read");
            assert!(!bytes.chunks(16).any(|piece| stored.windows(16).any(|part| part == piece)));
        }
        assert_eq!(content(&store, written.root).await.expect("sound"), bytes);
        assert_eq!(content(&store, unwrapped.root).await.expect("sound"), noise(5000, 2));
        assert!(findings(&store).await.is_empty());
        // What is known is not wrapped once more.
        let again = options().dedupe(Dedupe::Store);
        let again = store.put(Blob::bytes(bytes.clone()), again).await.expect("put");
        assert_eq!((again.root, again.packs.len()), (written.root, 0));

        // Without a key nothing is given that is not sound, all is checked, and the index stays.
        let keyless = open(directory.path(), None).await;
        let error = keyless.block(&written.root).await.expect_err("no key");
        assert!(matches!(error.kind(), ErrorKind::NoKey), "{error}");
        assert_eq!(content(&keyless, unwrapped.root).await.expect("sound"), noise(5000, 2));
        assert!(findings(&keyless).await.is_empty());
        assert!(findings(&plain).await.is_empty());
        plain.block(&written.root).await.expect_err("masked");
        let to = Store::create_local(mirror.path()).await.expect("made");
        copy(&plain, &to, |_| ()).await.expect("copied");
        rebuild_index(&keyless, |_| ()).await.expect("made again");
        let store = open(directory.path(), Some(7)).await;
        assert_eq!(content(&store, written.root).await.expect("sound"), bytes);
        // With it the index is made again from the packs alone.
        fs::remove_dir_all(directory.path().join("index")).expect("removed");
        let store = open(directory.path(), Some(7)).await;
        rebuild_index(&store, |_| ()).await.expect("made again");
        assert_eq!(content(&store, written.root).await.expect("sound"), bytes);
        assert!(findings(&store).await.is_empty());

        // A flipped bit is found and cured without the key.
        let name = carstone_store::text_of(&written.packs[1].name);
        let damaged = directory.path().join(format!("packs/{name}.car"));
        let mut stored = fs::read(&damaged).expect("read");
        stored[5000] ^= 1;
        fs::write(&damaged, stored).expect("written");
        assert_eq!(findings(&open(directory.path(), None).await).await.len(), 1);
        // Its blobs would not make its bytes, whoever has them.
        for store in [&plain, &open(directory.path(), Some(7)).await] {
            let healed = heal(store, &[]).await.expect("told");
            assert!(matches!(&healed.lost[..], [lost] if lost.why == Unmended::Wrapped));
        }
        let healed = heal(&plain, &[&to]).await.expect("healed");
        assert_eq!(healed.packs, [written.packs[1].name]);
        let store = open(directory.path(), Some(7)).await;
        assert_eq!(content(&store, written.root).await.expect("sound"), bytes);

        // Records that are lost come from the index, which is all that is known of what is in there.
        let record = store.roots().await.expect("read");
        let distinct = |records: Vec<carstone_store::RootRecord>| {
            records.into_iter().map(|record| record.root).collect::<std::collections::BTreeSet<_>>()
        };
        fs::remove_dir_all(directory.path().join("roots")).expect("removed");
        let keyless = open(directory.path(), None).await;
        let done = rebuild_roots(&keyless, |_| ()).await.expect("made again");
        assert!(done.unneeded.is_empty() && done.incomplete.is_empty(), "{done:?}");
        let again = keyless.roots().await.expect("read");
        assert_eq!(distinct(again), distinct(record));
        assert!(
            collect(&keyless, Duration::ZERO, false).await.expect("collected").packs.is_empty()
        );
        let store = open(directory.path(), Some(7)).await;
        assert_eq!(content(&store, written.root).await.expect("sound"), bytes);

        // Another key is no key.
        let other = open(directory.path(), Some(8)).await;
        other.block(&written.root).await.expect_err("another key");

        remove_root(&plain, &written.root).await.expect("removed");
        let collected = collect(&plain, Duration::ZERO, false).await.expect("collected");
        assert_eq!(collected.packs.len(), written.packs.len());
    });
}

/// What nothing here opens, only the index knows.
#[test]
fn an_index_of_wrapped_packs_is_not_given_up_for_a_worse_one() {
    for at in [20, 300] {
        let directory = tempfile::tempdir().expect("made");
        run(async {
            Store::create_local(directory.path()).await.expect("made");
            let store = open(directory.path(), Some(7)).await;
            let bytes = noise(35_000, 1);
            let written = store.put(Blob::bytes(bytes.clone()), options()).await.expect("put");
            let segments = || fs::read_dir(directory.path().join("index")).expect("listed");
            let segment = segments().next().expect("one").expect("there").path();
            let mut damaged = fs::read(&segment).expect("read");
            damaged[at] ^= 1;
            fs::write(&segment, &damaged).expect("written");

            let keyless = open(directory.path(), None).await;
            let found = findings(&keyless).await;
            assert!(found.iter().any(|finding| matches!(finding, Finding::DamagedSegment(_))));
            let is_pack = |finding: &Finding| matches!(finding, Finding::DamagedPack { .. });
            assert!(!found.iter().any(is_pack), "{found:?}");
            let error = rebuild_index(&keyless, |_| ()).await.expect_err("nothing is known");
            assert!(
                error
                    .to_string()
                    .contains(segment.file_stem().and_then(|name| name.to_str()).expect("text")),
                "{error}"
            );
            assert_eq!(fs::read(&segment).expect("there"), damaged);

            let store = open(directory.path(), Some(7)).await;
            rebuild_index(&store, |_| ()).await.expect("made again");
            assert!(findings(&store).await.is_empty());
            assert_eq!(content(&store, written.root).await.expect("sound"), bytes);
            assert!(findings(&open(directory.path(), None).await).await.is_empty());
        });
    }
}

#[test]
fn a_wrapped_pack_is_no_car_that_is_added() {
    run(async {
        let store = Store::in_memory().await.expect("made");
        let error = add_pack(&store, Blob::bytes([MARK, &[7; 100]].concat())).await;
        error.expect_err("no CAR");
        assert!(store.packs().list().try_collect::<Vec<_>>().await.expect("listed").is_empty());
    });
}
