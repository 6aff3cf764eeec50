//! The blocks of a DAG in either order, and where they are taken from.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use carstone_car::{CarSlice, Cid, codec};
use carstone_store::{
    Blob, ErrorKind, Hash, Layout, Order, PackWriterOptions, Store, StreamOptions, Written, text_of,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::packs::noise;
use crate::watched::Watched;

fn options(shard_size: u64) -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(shard_size).profile(profile)
}

async fn store() -> (Store, Arc<Watched>) {
    let objects = Arc::new(Watched::new());
    let layout = Layout::flat("packs/", ".car").expect("a layout");
    (Store::create(objects.clone(), layout).await.expect("made"), objects)
}

/// Names of the packs that were read, in the order of reads.
fn packs_read(objects: &Watched) -> Vec<String> {
    let reads = objects.taken().into_iter().map(|(key, _)| key);
    let packs = reads.filter_map(|key| Some(key.strip_prefix("packs/")?.to_owned()));
    packs.map(|key| key.trim_end_matches(".car").to_owned()).collect()
}

fn names(written: &Written) -> BTreeSet<String> {
    written.packs.iter().map(|pack| text_of(&pack.name)).collect()
}

#[tokio::test]
async fn in_the_order_of_places_packs_are_read_from_front_to_back() {
    let (store, _) = store().await;
    // What repeats itself lies in the first pack, and is needed in all.
    let content = [noise(40_000, 1), noise(5000, 2), noise(40_000, 1)].concat();
    let written = store.put(Blob::bytes(content), options(20_000)).await.expect("put");
    let mut places: HashMap<Cid, BTreeSet<(Hash, u64)>> = HashMap::new();
    for pack in &written.packs {
        for blob in &pack.blobs {
            places.entry(blob.cid).or_default().insert((pack.name, blob.offset));
        }
    }
    let dag: Vec<_> = store
        .stream(written.root, StreamOptions::default())
        .try_collect()
        .await
        .expect("all of it");
    assert_eq!(dag[0].0, written.root);
    for ahead in [1, 3000, 8 << 20] {
        let options = StreamOptions::default().order(Order::Location).ahead(ahead);
        let placed: Vec<(Cid, Bytes)> =
            store.stream(written.root, options).try_collect().await.expect("all of it");
        assert_eq!(placed.len(), places.len());
        let (dag, other): (HashMap<_, _>, HashMap<_, _>) =
            (dag.iter().cloned().collect(), placed.iter().cloned().collect());
        assert_eq!(dag, other);
        // Each pack is in one piece, in which offsets grow.
        let (mut done, mut last): (BTreeSet<Hash>, Option<(Hash, u64)>) = Default::default();
        for (cid, _) in &placed {
            let here = places[cid].iter().find(|(pack, _)| !done.contains(pack));
            let in_last = last.and_then(|(pack, offset)| {
                places[cid].iter().find(|place| place.0 == pack && place.1 > offset)
            });
            let place = *in_last.or(here).expect("it is in no pack that is done");
            if let Some((pack, offset)) = last {
                match pack == place.0 {
                    true => assert!(offset < place.1),
                    false => drop(done.insert(pack)),
                }
            }
            last = Some(place);
        }
    }
}

#[tokio::test]
async fn blocks_are_taken_from_the_packs_of_the_root_that_is_asked_for() {
    let (store, objects) = store().await;
    let shared = noise(30_000, 3);
    let alone = store.put(Blob::bytes(shared.clone()), options(9000)).await.expect("put");
    let longer = [shared, noise(9000, 4)].concat();
    let both = store.put(Blob::bytes(longer), options(20_000)).await.expect("put");
    for order in [Order::Dag, Order::Location] {
        for written in [&alone, &both] {
            objects.taken();
            let options = StreamOptions::default().order(order);
            let blocks = store.stream(written.root, options).try_collect::<Vec<_>>().await;
            assert!(blocks.expect("all of it").len() > 30);
            // Nodes come from anywhere: only one of the two has each.
            let read: BTreeSet<_> = packs_read(&objects).into_iter().collect();
            assert_eq!(read, names(written), "{order:?}");
        }
        // The shorter one, from the packs of the longer one.
        objects.taken();
        let options = StreamOptions::default().order(order).containing(Some(*both.root.hash()));
        store.stream(alone.root, options).try_collect::<Vec<_>>().await.expect("all of it");
        let read = packs_read(&objects);
        let own = names(&alone);
        let of_own = read.iter().filter(|name| own.contains(*name)).count();
        let most = if order == Order::Dag { 1 } else { 2 };
        assert!(of_own <= most, "{order:?}: its node alone is in its own packs: {read:?}");
        assert!(read.len() > of_own);
    }
}

#[tokio::test]
async fn a_stream_is_a_car_too() {
    let (store, _) = store().await;
    let written = store.put(Blob::bytes(noise(20_000, 5)), options(7000)).await.expect("put");
    for order in [Order::Dag, Order::Location] {
        let options = StreamOptions::default().order(order);
        let pieces = store.stream_car(written.root, options).try_collect::<Vec<Bytes>>().await;
        let car = pieces.expect("all of it").concat();
        let car = CarSlice::parse(&car).expect("a CAR");
        assert_eq!(car.roots(), [written.root]);
        let sections: Result<Vec<_>, _> = car.sections().collect();
        assert_eq!(sections.expect("sound").len(), 21);
    }
    // Of a blob whose codec nobody knows, the index does; a pack is a blob too.
    let cid = store.cid(written.root.hash()).await.expect("read");
    assert_eq!(cid, Some(written.root));
    let pack = written.packs[0].name;
    assert_eq!(store.cid(&pack).await.expect("read"), Some(Cid::new_v1(codec::RAW, pack)));
    let nobody = carstone_car::cid_of(codec::RAW, b"nobody");
    assert_eq!(store.cid(nobody.hash()).await.expect("read"), None);
    for order in [Order::Dag, Order::Location] {
        let options = StreamOptions::default().order(order);
        let missing = store.stream_car(nobody, options).try_collect::<Vec<_>>().await;
        assert!(matches!(missing.expect_err("missing").kind(), ErrorKind::NoBlock(_)));
    }
}
