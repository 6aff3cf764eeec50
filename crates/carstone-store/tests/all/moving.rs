//! Readers beside somebody who puts segments together all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carstone_store::{Blob, EntryKind, PackWriterOptions, Store};
use futures::TryStreamExt;

use crate::packs::noise;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_put_is_found_whatever_becomes_of_its_segment() {
    let directory = tempfile::tempdir().expect("made");
    let writer = Store::create_local(directory.path()).await.expect("made");
    let mut known = Vec::new();
    for seed in 0..4 {
        let put = writer.put(Blob::bytes(noise(3000, seed)), PackWriterOptions::default()).await;
        known.push(put.expect("put"));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for written in known {
        // Each looks for itself what segments there are.
        let store = Store::open_local(directory.path()).await.expect("opened");
        let is_over = Arc::clone(&is_over);
        readers.push(tokio::spawn(async move {
            let (hash, pack) = (*written.root.hash(), written.packs[0].name);
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                let index = store.index();
                let found = index.find(EntryKind::Blob, &hash).await.expect("looked up");
                assert_eq!(found.len(), 1);
                let blobs = index.blobs_in(&pack).await.expect("read");
                assert_eq!(blobs.len(), written.packs[0].blobs.len());
                let entries: Vec<_> =
                    index.entries().await.expect("read").try_collect().await.expect("sound");
                assert!(entries.iter().any(|entry| entry.hash == hash));
                looks += 1;
            }
            looks
        }));
    }
    let other = Store::open_local(directory.path()).await.expect("opened");
    for seed in 10..40 {
        let put = writer.put(Blob::bytes(noise(3000, seed)), PackWriterOptions::default());
        let (put, one, two) =
            tokio::join!(put, writer.index().compact(|_| true), other.index().compact(|_| true));
        put.expect("put");
        one.expect("put together");
        two.expect("put together");
    }
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.expect("no reader failed") > 0);
    }
}
