//! What is left of a store after a crash at any moment: all that was acknowledged, and nothing that is wrong under a name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use carstone_car::{Cid, verify};
use carstone_store::{
    Blob, Finding, Layout, LocalObjects, Location, Objects as _, PackWriterOptions, Result, Store,
    collect, copy, finish_rebuild, heal, rebuild_index, rebuild_part, remove_root, text_of,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;
use futures::future::{BoxFuture, try_join};

use crate::packs::noise;
use crate::sim::{Lost, SimDisk};
use crate::support::findings;

const ROOT: &str = "/store";

/// Something that a store does when the machine crashes.
struct Scenario {
    name: &'static str,
    /// The disk as it is before.
    before: SimDisk,
    /// Roots that are there before, and stay.
    roots: Vec<Cid>,
    /// Packs or parts of the index are damaged before.
    is_hurt: bool,
    /// A store elsewhere, which does not crash.
    other: Store,
    work: Work,
}

/// What is done to a store on a disk. It tells each root when that is acknowledged.
type Work = fn(SimDisk, Store, Acknowledged) -> BoxFuture<'static, Result<()>>;
type Acknowledged = Arc<Mutex<Vec<Cid>>>;

/// Some blobs: one in several packs, one in a single block, one that has blocks of the first.
fn blobs() -> Vec<Vec<u8>> {
    vec![noise(1500, 1), noise(10, 2), [noise(512, 1), noise(300, 3)].concat()]
}

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(256).expect("fine");
    PackWriterOptions::default().shard_size(800).profile(profile)
}

fn objects(disk: &SimDisk) -> Arc<LocalObjects> {
    Arc::new(LocalObjects::on(Arc::new(disk.clone()), ROOT))
}

async fn create(disk: &SimDisk) -> Result<Store> {
    Store::create(objects(disk), Layout::flat("packs/", ".car")?).await
}

async fn open(disk: &SimDisk) -> Result<Store> {
    Store::open(objects(disk)).await
}

/// The same, with sidecars.
#[cfg(feature = "parity")]
fn with_parity() -> PackWriterOptions {
    options().parity(Some(carstone_store::Share::default()))
}

async fn put(store: &Store, blob: Vec<u8>, known: &Acknowledged) -> Result<()> {
    let written = store.put(Blob::bytes(blob), options()).await?;
    known.lock().expect("no test panicked with it").push(written.root);
    Ok(())
}

/// Makes a store, and puts all blobs.
fn put_all(disk: SimDisk, _: Store, known: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let store = create(&disk).await?;
        for blob in blobs() {
            put(&store, blob, &known).await?;
        }
        let lone = store.put_blob(Blob::bytes(noise(100, 4)), options()).await?;
        known.lock().expect("no test panicked with it").push(lone);
        Ok(())
    })
}

/// Makes a store, and puts blobs with sidecars, one of them twice.
#[cfg(feature = "parity")]
fn put_with_parity(disk: SimDisk, _: Store, known: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let store = create(&disk).await?;
        for blob in [noise(900, 1), noise(10, 2), noise(900, 1)] {
            let written = store.put(Blob::bytes(blob), with_parity()).await?;
            known.lock().expect("no test panicked with it").push(written.root);
        }
        Ok(())
    })
}

/// Whatever an index knows that was put with sidecars has them, whole.
#[cfg(feature = "parity")]
async fn is_protected(store: &Store, when: &str) {
    let sidecars = store.packs().sidecars().expect("there can be some");
    for segment in store.index().segments() {
        for name in segment.locations().iter().filter_map(Location::pack) {
            assert!(sidecars.size(name).await.expect("known").is_some(), "{when}");
        }
    }
}

/// Puts a pack right by its sidecar.
#[cfg(feature = "parity")]
fn heal_by_parity(disk: SimDisk, _: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let healed = heal(&open(&disk).await?, &[]).await?;
        assert!(healed.lost.is_empty() && healed.packs == healed.by_parity, "{healed:?}");
        Ok(())
    })
}

/// Two writers put the same, and something of their own.
fn two_writers(disk: SimDisk, _: Store, known: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let writer = |own: u64| {
            let (disk, known) = (disk.clone(), Arc::clone(&known));
            async move {
                let store = create(&disk).await?;
                put(&store, blobs().swap_remove(0), &known).await?;
                put(&store, noise(300, own), &known).await
            }
        };
        try_join(writer(5), writer(6)).await.map(drop)
    })
}

/// One puts, while another puts segments together.
fn put_and_compact(disk: SimDisk, _: Store, known: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let (first, second) = (open(&disk).await?, open(&disk).await?);
        let compact = async { second.index().compact(|_| true).await.map(drop) };
        try_join(put(&first, noise(700, 7), &known), compact).await.map(drop)
    })
}

fn compact(disk: SimDisk, _: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move { open(&disk).await?.index().compact(|_| true).await.map(drop) })
}

fn rebuild(disk: SimDisk, _: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move { rebuild_index(&open(&disk).await?, |_| ()).await.map(drop) })
}

/// Two machines make the index again, and one ends it.
fn rebuild_in_parts(disk: SimDisk, _: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        for part in 0..2 {
            rebuild_part(&open(&disk).await?, (part, 2), |_| ()).await?;
        }
        finish_rebuild(&open(&disk).await?, |_| ()).await.map(drop)
    })
}

/// Puts packs right from other packs.
fn heal_alone(disk: SimDisk, _: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let healed = heal(&open(&disk).await?, &[]).await?;
        assert!(healed.lost.is_empty(), "{:?}", healed.lost);
        Ok(())
    })
}

fn heal_from(disk: SimDisk, other: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let healed = heal(&open(&disk).await?, &[&other]).await?;
        assert!(healed.lost.is_empty());
        Ok(())
    })
}

/// Takes over all of the other store.
fn copy_from(disk: SimDisk, other: Store, known: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        copy(&other, &create(&disk).await?, |_| ()).await?;
        let roots = other.roots().await?.into_iter().map(|record| record.root);
        known.lock().expect("no test panicked with it").extend(roots);
        Ok(())
    })
}

/// Removes a root, and what only that needs.
fn remove(disk: SimDisk, other: Store, _: Acknowledged) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let store = open(&disk).await?;
        // The other store has what is to stay.
        let kept: Vec<Cid> = other.roots().await?.into_iter().map(|record| record.root).collect();
        for record in store.roots().await? {
            if !kept.contains(&record.root) {
                remove_root(&store, &record.root).await?;
            }
        }
        collect(&store, Duration::ZERO, false).await.map(drop)
    })
}

/// A disk with a store of all blobs, and their roots.
async fn full() -> (SimDisk, Vec<Cid>) {
    let (disk, known) = (SimDisk::new(ROOT), Acknowledged::default());
    let none = Store::in_memory().await.expect("made");
    put_all(disk.clone(), none, Arc::clone(&known)).await.expect("put");
    let roots = known.lock().expect("no test panicked with it").clone();
    (disk, roots)
}

/// The same store on a disk of its own, up and running.
async fn mirror_of(disk: &SimDisk) -> Store {
    open(&disk.fork()).await.expect("opened")
}

async fn scenarios() -> Vec<Scenario> {
    let (disk, roots) = full().await;
    let none = Store::in_memory().await.expect("made");
    let mirror = mirror_of(&disk).await;
    let (one, some) = (SimDisk::new(ROOT), Acknowledged::default());
    put(&create(&one).await.expect("made"), noise(400, 8), &some).await.expect("put");
    let some = some.lock().expect("no test panicked with it").clone();
    let kept = Store::in_memory().await.expect("made");
    for blob in blobs().split_off(1) {
        kept.put(Blob::bytes(blob), options()).await.expect("put");
    }

    // A flipped bit, a pack that is gone, a segment and a record that are damaged.
    let hurt = disk.fork();
    let names = hurt.content();
    let below = |directory: &str| {
        let text = names.keys().filter_map(|path| path.to_str());
        let inside = text.filter(|path| path.starts_with(&format!("{ROOT}/{directory}/")));
        let files = inside.filter(|path| path.contains('.'));
        files.map(str::to_owned).collect::<Vec<_>>()
    };
    hurt.flip(&below("packs")[0], 70);
    hurt.lose(&below("packs")[1]);
    let unindexed = disk.fork();
    unindexed.flip(&below("index")[0], 10);
    unindexed.lose(&below("index")[1]);
    let named =
        mirror.roots().await.expect("read").into_iter().find(|record| record.packs.len() > 1);
    let named = text_of(named.expect("of several packs").root.hash());
    let record =
        below("roots").into_iter().find(|path| path.contains(&named)).expect("it is there");
    unindexed.flip(&record, 30);

    // The same blobs in packs of two sizes, of which some are damaged.
    let twice = disk.fork();
    let store = open(&twice).await.expect("opened");
    for blob in blobs() {
        store.put(Blob::bytes(blob), options().shard_size(600)).await.expect("put");
    }
    let whole = mirror_of(&twice).await;
    let records = mirror.roots().await.expect("read");
    let record = records.iter().find(|record| record.packs.len() > 1).expect("of several packs");
    let path = |number: usize| format!("{ROOT}/packs/{}.car", text_of(&record.packs[number]));
    twice.flip(&path(0), 70);
    twice.lose(&path(1));

    let empty = SimDisk::new(ROOT);
    let scenario = |name, before: &SimDisk, roots: &[Cid], is_hurt, other: &Store, work| Scenario {
        name,
        before: before.clone(),
        roots: roots.to_vec(),
        is_hurt,
        other: other.clone(),
        work,
    };
    #[cfg(feature = "parity")]
    let by_parity = {
        let (disk, known) = (SimDisk::new(ROOT), Acknowledged::default());
        put_with_parity(disk.clone(), none.clone(), Arc::clone(&known)).await.expect("put");
        let known = known.lock().expect("no test panicked with it").clone();
        let (whole, names) = (mirror_of(&disk).await, disk.content());
        let is_pack = |path: &&str| path.ends_with(".car");
        let pack = names.keys().filter_map(|path| path.to_str()).find(is_pack);
        disk.flip(pack.expect("a pack"), 40);
        [
            scenario("put with parity", &empty, &[], false, &none, put_with_parity),
            scenario("heal by parity", &disk, &known, true, &whole, heal_by_parity),
        ]
    };
    let all = [
        scenario("put", &empty, &[], false, &none, put_all as Work),
        scenario("put again", &disk, &roots, false, &none, put_all),
        scenario("two writers", &empty, &[], false, &none, two_writers),
        scenario("put and compact", &disk, &roots, false, &none, put_and_compact),
        scenario("compact", &disk, &roots, false, &none, compact),
        scenario("rebuild", &disk, &roots, false, &none, rebuild),
        scenario("rebuild what is damaged", &unindexed, &roots, true, &mirror, rebuild),
        scenario("heal", &hurt, &roots, true, &mirror, heal_from),
        scenario("rebuild in parts", &disk, &roots, false, &none, rebuild_in_parts),
        scenario("heal alone", &twice, &roots, true, &whole, heal_alone),
        scenario("copy", &one, &some, false, &mirror, copy_from),
        scenario("rm and gc", &disk, &roots[1..3], false, &kept, remove),
    ];
    let all = all.into_iter();
    #[cfg(feature = "parity")]
    let all = all.chain(by_parity);
    all.collect()
}

/// Looks whether these roots are there, with all that is below them.
async fn has_all(store: &Store, roots: &[Cid], when: &str) {
    for root in roots {
        let mut left = vec![*root];
        while let Some(cid) = left.pop() {
            let block = store.block(&cid).await.unwrap_or_else(|error| panic!("{when}: {error}"));
            let block = block.unwrap_or_else(|| panic!("{when}: {cid}"));
            verify(&cid, &block).expect("sound");
            if let Ok(carstone_unixfs::Node::File(file)) = carstone_unixfs::decode(&cid, &block) {
                left.extend(file.links.map(|link| link.cid));
            }
        }
    }
    let known = store.roots().await.expect("whole");
    for root in roots {
        assert!(known.iter().any(|record| record.root == *root), "{when}: {root}");
    }
}

/// Looks whether whatever has a record is there, acknowledged or not.
async fn keeps_its_word(store: &Store, when: &str) {
    for record in store.roots().await.expect("whole") {
        let containing = store.containing(record.root.hash()).await.expect("found");
        for name in &record.packs {
            assert!(store.packs().size(name).await.expect("known").is_some(), "{when}");
            let is_it = |location: &Location| location.pack() == Some(name);
            assert!(containing.iter().any(is_it), "{when}");
        }
        has_all(store, &[record.root], when).await;
    }
}

/// Looks at a disk after a crash.
async fn look(scenario: &Scenario, disk: SimDisk, acknowledged: &[Cid], when: &str) {
    let roots = [&scenario.roots, acknowledged].concat();
    if let Err(error) = open(&disk).await {
        assert!(roots.is_empty(), "{when}: {error}");
    } else {
        let store = open(&disk).await.expect("opened");
        if scenario.is_hurt {
            let healed = heal(&store, &[&scenario.other]).await.expect("healed");
            assert!(healed.lost.is_empty(), "{when}");
        } else {
            assert!(store.index().damaged().is_empty(), "{when}: {:?}", store.index().damaged());
            keeps_its_word(&store, when).await;
            has_all(&store, &roots, when).await;
            #[cfg(feature = "parity")]
            if scenario.name == "put with parity" {
                is_protected(&store, when).await;
            }
            // Packs without their index are all that may be left over.
            for finding in findings(&store).await {
                assert!(matches!(finding, Finding::Unindexed(_)), "{when}: {finding}");
            }
        }
        let packs: Vec<_> = store.packs().list().try_collect().await.expect("listed");
        for pack in packs {
            let whole = store.packs().get(&pack.name).await;
            assert!(whole.is_ok_and(|pack| pack.is_some()), "{when}: {}", text_of(&pack.name));
        }
        // The index can be made again, and what is left over goes.
        let rebuilt = rebuild_index(&store, |_| ()).await.expect("made again");
        assert!(rebuilt.damaged.is_empty(), "{when}");
        objects(&disk).clean(Duration::ZERO).await.expect("cleaned");
        let names = disk.content();
        let is_spool = |path: &std::path::PathBuf| path.to_string_lossy().contains(".spool-");
        assert!(!names.keys().any(is_spool), "{when}");
        collect(&store, Duration::ZERO, false).await.expect("collected");
        has_all(&store, &roots, when).await;
        let left = findings(&store).await;
        assert!(left.is_empty(), "{when}: {left:?}");
    }
    // It goes on from there, as if nothing had been.
    let known = Acknowledged::default();
    let again = (scenario.work)(disk.clone(), scenario.other.clone(), Arc::clone(&known)).await;
    again.unwrap_or_else(|error| panic!("{when}: {error}"));
    let known = known.lock().expect("no test panicked with it").clone();
    has_all(&open(&disk).await.expect("opened"), &[roots, known].concat(), when).await;
}

/// Crashes a scenario behind each of its operations, with everything that may be left on the disk then, and gives the number of disks that were looked at.
async fn crash(scenario: &Scenario) -> u64 {
    let whole = scenario.before.fork();
    (scenario.work)(whole.clone(), scenario.other.clone(), Acknowledged::default())
        .await
        .expect("nothing is in its way");
    let mut points = 0;
    for after in 0..whole.operations() {
        let (disk, known) = (scenario.before.fork(), Acknowledged::default());
        disk.crash_after(after);
        // Behind a crash everything fails.
        let _ = (scenario.work)(disk.clone(), scenario.other.clone(), Arc::clone(&known)).await;
        let known = known.lock().expect("no test panicked with it").clone();
        let fixed = [Lost::All, Lost::Contents, Lost::Nothing, Lost::Torn, Lost::Zeroed];
        let mut seen = Vec::new();
        for lost in fixed.into_iter().chain((0..SEEDS).map(|seed| Lost::Some(after << 8 | seed))) {
            let left = disk.after_crash(lost);
            let content = left.content();
            if seen.contains(&content) {
                continue;
            }
            seen.push(content);
            points += 1;
            look(scenario, left, &known, &format!("{} {after} {lost:?}", scenario.name)).await;
        }
    }
    points
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_crash() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut points = 0;
        for scenario in scenarios().await {
            let count = crash(&scenario).await;
            points += count;
        }
        assert!(points >= 2000, "{points}");
    });
}

/// Ways in which what was not made durable is there in part, for each moment.
const SEEDS: u64 = 3;
