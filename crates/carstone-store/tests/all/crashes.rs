//! What is left of a store after a crash at any moment: all that was acknowledged, and nothing that is wrong under a name.

use std::sync::Arc;
use std::time::Duration;

use carstone_car::{Cid, verify};
use carstone_store::{
    Blob, HashFunction, Layout, LocalObjects, PackWriterOptions, Result, Store, text_of,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::sim::{Lost, SimDisk};

const ROOT: &str = "/store";

/// Some blobs, several of them in several packs, one put twice.
fn blobs() -> Vec<Vec<u8>> {
    let blob = |seed: u8, len: usize| (0..len).map(|at| (at as u8).wrapping_mul(seed)).collect();
    vec![blob(1, 10), blob(3, 5000), blob(7, 700), blob(3, 5000), blob(11, 2500)]
}

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(256).expect("fine");
    PackWriterOptions::default().shard_size(2000).profile(profile)
}

/// Puts all blobs, until something fails; gives the roots that were acknowledged.
async fn put_all(disk: &SimDisk) -> Vec<Cid> {
    let mut roots = Vec::new();
    let put = async {
        let objects = Arc::new(LocalObjects::on(Arc::new(disk.clone()), ROOT));
        let store = Store::create(objects, Layout::flat("packs/", ".car")?).await?;
        for (number, blob) in blobs().into_iter().enumerate() {
            roots.push(store.put(Blob::bytes(blob), options()).await?.root);
            if number == 2 {
                store.index().compact(|_| true).await?;
            }
        }
        Result::Ok(())
    };
    // Behind a crash everything fails.
    let _ = put.await;
    roots
}

/// Looks whether everything under a name is whole, and what was acknowledged there.
async fn check(disk: SimDisk, roots: &[Cid], when: &str) {
    let objects = Arc::new(LocalObjects::on(Arc::new(disk.clone()), ROOT));
    let store = match Store::open(objects.clone()).await {
        Ok(store) => store,
        Err(error) => {
            assert!(roots.is_empty(), "{when}: {error}");
            // It can be made as if nothing had been there.
            let made = put_all(&disk).await;
            assert_eq!(made.len(), blobs().len(), "{when}");
            return;
        }
    };
    assert!(store.index().damaged().is_empty(), "{when}: {:?}", store.index().damaged());
    let packs: Vec<_> = store.packs().list().try_collect().await.expect("listed");
    for pack in packs {
        let whole = store.packs().get(&pack.name).await;
        assert!(whole.is_ok_and(|pack| pack.is_some()), "{when}: {}", text_of(&pack.name));
        assert_eq!(HashFunction::of(&pack.name).expect("known"), HashFunction::Sha2_256);
    }
    let known = store.roots().await.expect("whole");
    for root in roots {
        assert!(known.iter().any(|record| record.root == *root), "{when}: {root}");
    }
    // Whatever a root record says is there, acknowledged or not.
    for record in known {
        for name in &record.packs {
            assert!(store.packs().size(name).await.expect("known").is_some(), "{when}");
        }
        let containing = store.containing(record.root.hash()).await.expect("found");
        for name in &record.packs {
            let is_it = |location: &carstone_store::Location| location.pack() == Some(name);
            assert!(containing.iter().any(is_it), "{when}");
        }
        let mut left = vec![record.root];
        while let Some(cid) = left.pop() {
            let block =
                store.block(&cid).await.expect("sound").unwrap_or_else(|| panic!("{when}: {cid}"));
            verify(&cid, &block).expect("sound");
            if let Ok(carstone_unixfs::Node::File(file)) = carstone_unixfs::decode(&cid, &block) {
                left.extend(file.links.map(|link| link.cid));
            }
        }
    }
    objects.clean(Duration::ZERO).await.expect("cleaned");
    // It goes on from there.
    let made = put_all(&disk).await;
    assert_eq!(made.len(), blobs().len(), "{when}");
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_crash() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let whole = SimDisk::new(ROOT);
        assert_eq!(put_all(&whole).await.len(), blobs().len());
        let operations = whole.operations();
        let mut points = 0;
        for after in 0..operations {
            let disk = SimDisk::new(ROOT);
            disk.crash_after(after);
            let roots = put_all(&disk).await;
            for lost in [Lost::All, Lost::Contents, Lost::Nothing] {
                points += 1;
                check(disk.after_crash(lost), &roots, &format!("{after} {lost:?}")).await;
            }
        }
        assert!(points > 500, "{points}");
    });
}
