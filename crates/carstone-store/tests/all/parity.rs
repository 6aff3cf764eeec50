//! Sidecars beside packs: whoever damages a pack within the budget changes nothing that cannot be put right.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carstone_parity::{Memory, Options, protect as protect_stream};
use carstone_store::{
    Blob, CheckOptions, Checked, Content, Created, ErrorKind, Finding, Hash, HashFunction, Key,
    Layout, LocalObjects, Objects, PackWriterOptions, PublishedObjects, RemoteObjects, Share,
    Store, Written, add_pack, check, collect, copy, heal, protect, rebuild_index, remove_root,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::packs::noise;
use crate::service::Service;
use crate::support::{content, findings};

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(work)
}

fn share() -> Option<Share> {
    Share::new(2000)
}

/// Packs of 60 kB.
fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(4000).expect("fine");
    PackWriterOptions::default().shard_size(60_000).profile(profile).parity(share())
}

/// A store in memory, which is a service as far as keys go, or in a directory.
struct Made {
    store: Store,
    objects: Arc<dyn Objects>,
    layout: Layout,
    _directory: tempfile::TempDir,
}

async fn made() -> [Made; 2] {
    let directory = || tempfile::tempdir().expect("made");
    let (near, far) = (directory(), directory());
    let local: Arc<dyn Objects> = Arc::new(LocalObjects::new(near.path()));
    let remote: Arc<dyn Objects> = Arc::new(RemoteObjects::in_memory());
    let flat = Layout::flat("packs/", ".car").expect("a layout");
    let nested = Layout::nested("packs/", ".car").expect("a layout");
    let [mut first, mut second] = [None, None];
    for (place, objects, layout, directory) in
        [(&mut first, local, flat, near), (&mut second, remote, nested, far)]
    {
        let store = Store::create(Arc::clone(&objects), layout.clone()).await.expect("made");
        *place = Some(Made { store, objects, layout, _directory: directory });
    }
    [first.expect("made"), second.expect("made")]
}

impl Made {
    fn key(&self, pack: &Hash) -> Key {
        self.layout.key(pack).expect("a key")
    }

    fn sidecar(&self, pack: &Hash) -> Key {
        Key::new(&format!("{}.par", self.key(pack))).expect("a key")
    }

    async fn bytes(&self, key: &Key) -> Option<Vec<u8>> {
        let size = self.objects.size(key).await.expect("known")?;
        Some(self.objects.read(key, 0..size).await.expect("read").to_vec())
    }

    async fn change(&self, key: &Key, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(key).await.expect("it is there");
        change(&mut bytes);
        self.objects.replace(key, Content::Bytes(bytes.into())).await.expect("replaced");
    }

    async fn put(&self, blob: Vec<u8>) -> Written {
        self.store.put(Blob::bytes(blob), options()).await.expect("put")
    }

    async fn sidecars(&self) -> Vec<Hash> {
        let sidecars = self.store.packs().sidecars().expect("there can be some");
        let listed: Vec<_> = sidecars.list().try_collect().await.expect("listed");
        listed.into_iter().map(|sidecar| sidecar.name).collect()
    }
}

async fn checked(store: &Store) -> Checked {
    let all = CheckOptions::default().read_data(true);
    check(store, all, |finding| panic!("{finding}")).await.expect("checked")
}

#[test]
fn a_damaged_pack_is_healed_by_its_sidecar_alone() {
    run(async {
        for made in made().await {
            let blob = noise(200_000, 1);
            let written = made.put(blob.clone()).await;
            assert!(written.packs.len() > 3, "{}", written.packs.len());
            let packs = checked(&made.store).await;
            assert_eq!(packs.protected, packs.packs);
            for pack in &written.packs {
                let (key, sidecar) = (made.key(&pack.name), made.sidecar(&pack.name));
                let size = made.objects.size(&sidecar).await.expect("known");
                assert_eq!(size, pack.sidecar, "what was told");
                let added = size.expect("it is there");
                assert!(added > 0 && added <= pack.size / 5, "{added} beside {}", pack.size);
                let whole = made.bytes(&key).await.expect("it is there");
                type Damage = fn(&mut Vec<u8>);
                let damages: [Damage; 5] = [
                    |bytes| bytes[2000] ^= 1,
                    |bytes| bytes[3000..3900].fill(0),
                    |bytes| bytes.truncate(bytes.len() - 300),
                    |bytes| drop(bytes.drain(1500..1507)),
                    |bytes| bytes.extend([7; 100]),
                ];
                for damage in damages {
                    made.change(&key, damage).await;
                    let found = findings(&made.store).await;
                    let is_restored = |finding: &Finding| matches!(finding, Finding::DamagedPack { name, parity: Some(Ok(used)), .. } if *name == pack.name && *used <= 1.0);
                    assert!(found.iter().any(is_restored), "{found:?}");
                    let healed = heal(&made.store, &[]).await.expect("healed");
                    assert_eq!(
                        (&healed.packs, &healed.by_parity),
                        (&vec![pack.name], &healed.packs)
                    );
                    assert!(healed.lost.is_empty(), "{:?}", healed.lost);
                    assert!(made.bytes(&key).await.expect("it is there") == whole, "byte for byte");
                }
            }
            assert_eq!(content(&made.store, written.root).await.expect("whole"), blob);
            assert!(findings(&made.store).await.is_empty());
        }
    });
}

#[test]
fn what_no_blob_tells_is_healed_too() {
    run(async {
        for made in made().await {
            // In one piece, under its own hash, and under one that parity does not state.
            for function in [HashFunction::Sha2_256, HashFunction::Blake3, HashFunction::Sha2_512] {
                let blob = noise(50_000, 3);
                let options = options().pack_hasher(function);
                let root = made.store.put_blob(Blob::bytes(blob.clone()), options).await;
                let name = *root.expect("put").hash();
                made.change(&made.key(&name), |bytes| bytes[100..1000].fill(9)).await;
                assert!(heal(&made.store, &[]).await.expect("healed").by_parity.contains(&name));
                assert!(
                    made.bytes(&made.key(&name)).await.expect("whole") == blob,
                    "byte for byte"
                );
            }
        }
    });
}

#[test]
fn over_the_budget_nothing_is_changed_and_other_givers_are_asked() {
    run(async {
        for (made, other) in made().await.into_iter().zip(self::made().await) {
            let written = made.put(noise(50_000, 1)).await;
            other.put(noise(50_000, 1)).await;
            let pack = written.packs[0].name;
            let key = made.key(&pack);
            let whole = made.bytes(&key).await.expect("it is there");
            made.change(&key, |bytes| bytes[1000..20_000].fill(0)).await;
            let damaged = made.bytes(&key).await;
            let found = findings(&made.store).await;
            let [Finding::DamagedPack { parity: Some(Err(error)), .. }] = &found[..] else {
                panic!("{found:?}")
            };
            assert!(
                matches!(error.kind(), ErrorKind::OverBudget { .. } | ErrorKind::Parity(_)),
                "{error}"
            );
            let healed = heal(&made.store, &[]).await.expect("done");
            assert!(healed.packs.is_empty() && healed.by_parity.is_empty());
            assert!(healed.lost[0].failed.is_some(), "why the parity does not help");
            assert!(made.bytes(&key).await == damaged, "byte for byte");
            let healed = heal(&made.store, &[&other.store]).await.expect("healed");
            assert_eq!((healed.packs.len(), healed.by_parity.len()), (1, 0));
            assert!(made.bytes(&key).await == Some(whole), "byte for byte");
        }
    });
}

#[test]
fn a_sidecar_of_something_else_changes_nothing() {
    run(async {
        for made in made().await {
            let options = options().parity(Some(Share::default()));
            let written =
                made.store.put(Blob::bytes(noise(110_000, 1)), options).await.expect("put");
            let [first, second] = [0, 1].map(|number: usize| written.packs[number].name);
            let foreign = made.bytes(&made.sidecar(&second)).await.expect("it is there");
            let own = made.bytes(&made.sidecar(&first)).await;
            let put = |bytes: Vec<u8>| async {
                made.change(&made.sidecar(&first), |held| *held = bytes).await;
            };
            put(foreign.clone()).await;
            let found = findings(&made.store).await;
            assert!(
                matches!(found[..], [Finding::BadSidecar { pack, .. }] if pack == first),
                "{found:?}"
            );
            made.change(&made.key(&first), |bytes| bytes[2000] ^= 1).await;
            let damaged = made.bytes(&made.key(&first)).await;
            let healed = heal(&made.store, &[]).await.expect("done");
            assert!(healed.packs.is_empty(), "{healed:?}");
            assert!(made.bytes(&made.key(&first)).await == damaged, "byte for byte");
            // With its own again all is well.
            put(own.clone().expect("it was there")).await;
            assert_eq!(heal(&made.store, &[]).await.expect("healed").by_parity, [first]);
            // Beside a sound pack it is made again. Its share is not known any more, and was that of 10 %.
            put(foreign).await;
            let healed = heal(&made.store, &[]).await.expect("healed");
            assert_eq!((&healed.packs[..], &healed.sidecars[..]), (&[][..], &[first][..]));
            assert!(made.bytes(&made.sidecar(&first)).await == own, "as it was");
        }
    });
}

#[test]
fn damage_to_a_sidecar_is_found_and_put_right() {
    run(async {
        for made in made().await {
            // Also where nothing of it is left that says so, its share is that of 10 %.
            let options = options().parity(Some(Share::default()));
            let written =
                made.store.put(Blob::bytes(noise(50_000, 1)), options).await.expect("put");
            let pack = written.packs[0].name;
            let sidecar = made.sidecar(&pack);
            let whole = made.bytes(&sidecar).await;
            type Damage = fn(&mut Vec<u8>);
            let damages: [Damage; 5] = [
                |bytes| bytes[300] ^= 1,
                |bytes| bytes[1000..1900].fill(0),
                |bytes| bytes.truncate(bytes.len() - 10),
                |bytes| bytes.push(0),
                |bytes| bytes.clear(),
            ];
            for damage in damages {
                made.change(&sidecar, damage).await;
                let found = findings(&made.store).await;
                assert!(matches!(found[..], [Finding::BadSidecar { .. }]), "{found:?}");
                assert_eq!(heal(&made.store, &[]).await.expect("healed").sidecars, [pack]);
                assert!(made.bytes(&sidecar).await == whole, "as it was");
            }
        }
    });
}

#[test]
fn a_pack_has_one_sidecar_however_often_it_is_put() {
    run(async {
        for made in made().await {
            let (blob, plain) = (noise(50_000, 1), options().parity(None));
            let written =
                made.store.put(Blob::bytes(blob.clone()), plain.clone()).await.expect("put");
            assert!(made.sidecars().await.is_empty());
            let pack = written.packs[0].name;
            assert_eq!(checked(&made.store).await.protected, 0);
            // One that is missing is made where parity is wanted.
            let again = made.put(blob.clone()).await;
            assert_eq!((again.packs[0].created, again.packs[0].name), (Created::Existed, pack));
            assert_eq!(made.sidecars().await, [pack]);
            let first = made.bytes(&made.sidecar(&pack)).await;
            // One that is there stays, also for another share.
            let more = options().parity(Share::new(3000));
            let again = made.store.put(Blob::bytes(blob.clone()), more).await.expect("put");
            assert_eq!(again.packs[0].sidecar, None);
            made.store.put(Blob::bytes(blob), plain).await.expect("put");
            assert!(made.bytes(&made.sidecar(&pack)).await == first, "byte for byte");
            // It is the same for everybody.
            let other = Store::in_memory().await.expect("made");
            other.put(Blob::bytes(noise(50_000, 1)), options()).await.expect("put");
            copy(&other, &made.store, |_| ()).await.expect("copied");
            assert!(made.bytes(&made.sidecar(&pack)).await == first, "byte for byte");
        }
    });
}

#[test]
fn sidecars_go_with_their_packs_and_strays_by_themselves() {
    run(async {
        for made in made().await {
            let (first, second) =
                (made.put(noise(50_000, 1)).await, made.put(noise(50_000, 2)).await);
            let [gone, kept] = [&first, &second].map(|written| written.packs[0].name);
            let stray = *carstone_car::cid_of(0x55, b"stray").hash();
            let bytes = made.bytes(&made.sidecar(&kept)).await.expect("it is there");
            let bytes = Content::Bytes(bytes.into());
            made.objects.create(&made.sidecar(&stray), bytes).await.expect("kept");
            // A stray may be of a pack that is about to be put again.
            let hour = Duration::from_secs(3600);
            assert_eq!(collect(&made.store, hour, false).await.expect("done").sidecars, 0);
            remove_root(&made.store, &first.root).await.expect("removed");
            let would = collect(&made.store, Duration::ZERO, true).await.expect("done");
            assert_eq!((would.packs.len(), would.sidecars), (1, 2));
            assert_eq!(made.sidecars().await.len(), 3);
            let done = collect(&made.store, Duration::ZERO, false).await.expect("done");
            assert_eq!((done.packs, done.sidecars), (vec![gone], 2));
            assert!(done.sidecar_bytes > 0);
            assert_eq!(made.sidecars().await, [kept]);
            assert!(findings(&made.store).await.is_empty());
        }
    });
}

#[test]
fn sidecars_are_copied_and_are_no_packs() {
    run(async {
        for (from, to) in made().await.into_iter().zip(made().await.into_iter().rev()) {
            let written = from.put(noise(110_000, 1)).await;
            let packs: Vec<_> = from.store.packs().list().try_collect().await.expect("listed");
            assert_eq!(packs.len(), written.packs.len());
            // The packs are there already, and their sidecars are not.
            let blob = Blob::bytes(noise(110_000, 1));
            to.store.put(blob, options().parity(None)).await.expect("put");
            let copied = copy(&from.store, &to.store, |_| ()).await.expect("copied");
            assert_eq!((copied.packs, copied.sidecars), (0, written.packs.len() as u64));
            assert!(copied.sidecar_bytes > 0);
            assert_eq!(copy(&from.store, &to.store, |_| ()).await.expect("copied").sidecars, 0);
            for pack in &written.packs {
                let sidecar = from.bytes(&from.sidecar(&pack.name)).await;
                assert_eq!(to.bytes(&to.sidecar(&pack.name)).await, sidecar);
            }
            let rebuilt = rebuild_index(&to.store, |_| ()).await.expect("made again");
            assert_eq!((rebuilt.packs, rebuilt.damaged.len()), (written.packs.len() as u64, 0));
            assert_eq!(content(&to.store, written.root).await.expect("whole"), noise(110_000, 1));
            assert!(findings(&to.store).await.is_empty());
        }
    });
}

#[test]
fn a_published_store_gives_its_sidecars() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let store = Store::create_local(directory.path()).await.expect("made");
        store.put(Blob::bytes(noise(50_000, 1)), options()).await.expect("put");
        assert_eq!(store.publish().await.expect("published").packs, 1, "a sidecar is no pack");
        let objects = PublishedObjects::new(Arc::new(LocalObjects::new(directory.path())));
        let reader = Store::open(Arc::new(objects)).await.expect("opened");
        assert_eq!(checked(&reader).await.protected, 1);
        let other = Store::in_memory().await.expect("made");
        assert_eq!(copy(&reader, &other, |_| ()).await.expect("copied").sidecars, 1);
        // What may only be read is surveyed all the same.
        let packs = fs::read_dir(directory.path().join("packs")).expect("listed");
        let paths: Vec<_> = packs.map(|entry| entry.expect("listed").path()).collect();
        let pack = paths.iter().find(|path| path.extension().is_some_and(|end| end == "car"));
        let mut bytes = fs::read(pack.expect("a pack")).expect("read");
        bytes[30_000] ^= 1;
        fs::write(pack.expect("a pack"), bytes).expect("written");
        let found = findings(&reader).await;
        assert!(
            matches!(found[..], [Finding::DamagedPack { parity: Some(Ok(_)), .. }]),
            "{found:?}"
        );
    });
}

#[test]
fn packs_that_have_none_are_protected_later() {
    run(async {
        for made in made().await {
            let protected = made.put(noise(50_000, 1)).await.packs[0].name;
            let plain = options().parity(None);
            let blob = Blob::bytes(noise(110_000, 2));
            let written = made.store.put(blob, plain).await.expect("put");
            let damaged = written.packs[0].name;
            made.change(&made.key(&damaged), |bytes| bytes[500] ^= 1).await;
            let share = share().expect("a share");
            let done = protect(&made.store, share, None, |_| ()).await.expect("done");
            assert_eq!((done.known, done.unread.len()), (1, 1), "{done:?}");
            assert_eq!(done.packs.len(), written.packs.len() - 1);
            let mut there = made.sidecars().await;
            there.retain(|name| *name != protected);
            there.sort_unstable();
            let mut packs = done.packs.clone();
            packs.sort_unstable();
            assert_eq!(there, packs);
            assert!(!there.contains(&damaged), "what is damaged is not protected as it is");
            let name = done.packs[0];
            made.change(&made.key(&name), |bytes| bytes[500..900].fill(0)).await;
            assert_eq!(heal(&made.store, &[]).await.expect("healed").by_parity, [name]);
        }
    });
}

#[test]
fn a_pack_of_somebody_else_is_protected_later_and_healed() {
    run(async {
        for made in made().await {
            let from = Store::in_memory().await.expect("made");
            let written = from.put(Blob::bytes(noise(50_000, 1)), options()).await.expect("put");
            let car = from.packs().get(&written.packs[0].name).await.expect("read").expect("there");
            let added = add_pack(&made.store, Blob::bytes(car)).await.expect("added");
            protect(&made.store, share().expect("a share"), None, |_| ()).await.expect("done");
            made.change(&made.key(&added.name), |bytes| bytes[0] ^= 0x80).await;
            assert_eq!(heal(&made.store, &[]).await.expect("healed").by_parity, [added.name]);
        }
    });
}

/// Parity of other content that claims to be of this pack: its descriptors state the hash that the pack is called by.
fn forged(content: &[u8], pack: &Hash) -> Vec<u8> {
    let target = Memory::new();
    let options = Options::default().with_share(share().expect("a share"));
    protect_stream(content, &target, &options, &|_| ()).expect("made");
    let mut bytes = target.into_bytes();
    let is_descriptor = |at: &usize| bytes[*at..].starts_with(b"\xF5CSP\x01\x01");
    let found: Vec<usize> = (0..bytes.len() - 6).filter(is_descriptor).collect();
    assert!(found.len() > 1);
    for at in found {
        let (header, payload) = bytes[at..at + 176].split_at_mut(48);
        payload[96..].copy_from_slice(pack.digest());
        let of: [&[u8]; 2] = [&header[..32], payload];
        let (crc, digest) = (carstone_layer::crc64(&of).to_le_bytes(), blake3::hash(&of.concat()));
        header[32..40].copy_from_slice(&crc);
        header[40..].copy_from_slice(&digest.as_bytes()[..8]);
    }
    bytes
}

#[test]
fn a_forged_sidecar_changes_nothing() {
    run(async {
        for made in made().await {
            let pack = made.put(noise(50_000, 1)).await.packs[0].name;
            let (key, sidecar) = (made.key(&pack), made.sidecar(&pack));
            let whole = made.bytes(&key).await.expect("it is there");
            // Content of somebody's own, all of it or a part, in place of the pack.
            let mut part = whole.clone();
            part[20_000..20_200].fill(b'!');
            for (content, is_seen) in [(noise(whole.len(), 7), true), (part, false)] {
                made.change(&sidecar, |bytes| *bytes = forged(&content, &pack)).await;
                assert!(heal(&made.store, &[]).await.expect("done").packs.is_empty());
                assert!(made.bytes(&key).await.as_ref() == Some(&whole), "a sound pack stays");
                made.change(&key, |bytes| bytes[30_000..30_900].fill(0)).await;
                let damaged = made.bytes(&key).await;
                let found = findings(&made.store).await;
                let [Finding::DamagedPack { parity: Some(parity), .. }] = &found[..] else {
                    panic!("{found:?}")
                };
                assert_eq!(parity.is_err(), is_seen, "{parity:?}");
                let healed = heal(&made.store, &[]).await.expect("done");
                assert!(healed.packs.is_empty() && healed.by_parity.is_empty(), "{healed:?}");
                assert!(healed.lost[0].failed.is_some(), "why the parity does not help");
                assert!(made.bytes(&key).await == damaged, "byte for byte");
                made.change(&key, |bytes| bytes.clone_from(&whole)).await;
            }
        }
    });
}

#[test]
fn a_pack_and_its_sidecar_are_put_right_together() {
    run(async {
        for made in made().await {
            let pack = made.put(noise(50_000, 1)).await.packs[0].name;
            let (key, sidecar) = (made.key(&pack), made.sidecar(&pack));
            let whole = (made.bytes(&key).await, made.bytes(&sidecar).await);
            made.change(&key, |bytes| bytes[3000..3900].fill(0)).await;
            made.change(&sidecar, |bytes| bytes[1000..2900].fill(0)).await;
            let healed = heal(&made.store, &[]).await.expect("healed");
            assert_eq!((&healed.by_parity[..], &healed.sidecars[..]), (&[pack][..], &[pack][..]));
            assert!((made.bytes(&key).await, made.bytes(&sidecar).await) == whole, "as they were");
            assert!(findings(&made.store).await.is_empty());
        }
    });
}

#[test]
fn bytes_of_the_same_crc_do_not_keep_a_pack_from_being_healed() {
    run(async {
        for made in made().await {
            let record = |byte| {
                let record = vec![byte; 40];
                [&record[..], &carstone_layer::crc64(&[&record]).to_le_bytes()].concat()
            };
            let mut blob = noise(50_000, 1);
            blob[24_500..24_548].copy_from_slice(&record(1));
            let pack = made.put(blob).await.packs[0].name;
            let key = made.key(&pack);
            let whole = made.bytes(&key).await.expect("it is there");
            let at = whole.windows(48).position(|bytes| bytes == record(1)).expect("it is there");
            made.change(&key, |bytes| bytes[at..at + 48].copy_from_slice(&record(2))).await;
            made.change(&key, |bytes| bytes[3000..3900].fill(0)).await;
            assert_eq!(heal(&made.store, &[]).await.expect("healed").by_parity, [pack]);
            assert!(made.bytes(&key).await == Some(whole), "byte for byte");
        }
    });
}

#[test]
fn damaged_sidecars_are_not_copied_as_they_are() {
    run(async {
        for (from, to) in made().await.into_iter().zip(made().await.into_iter().rev()) {
            let pack = from.put(noise(50_000, 1)).await.packs[0].name;
            let whole = from.bytes(&from.sidecar(&pack)).await;
            from.change(&from.sidecar(&pack), |bytes| bytes[1000..2900].fill(0)).await;
            let copied = copy(&from.store, &to.store, |_| ()).await.expect("copied");
            assert_eq!((copied.sidecars, copied.sidecars_made, copied.sidecars_left), (1, 1, 0));
            assert!(to.bytes(&to.sidecar(&pack)).await == whole, "as it was");
            assert!(findings(&to.store).await.is_empty());
            // Where the pack does not help, none is better than one that looks like one.
            to.objects.delete(&to.sidecar(&pack)).await.expect("removed");
            to.change(&to.key(&pack), |bytes| bytes[500] ^= 1).await;
            let copied = copy(&from.store, &to.store, |_| ()).await.expect("copied");
            assert_eq!((copied.sidecars, copied.sidecars_made, copied.sidecars_left), (0, 0, 1));
            assert!(to.sidecars().await.is_empty());
        }
    });
}

#[test]
fn a_large_sidecar_goes_up_in_parts() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let service = Service::start();
        let layout = Layout::nested("packs/", ".car").expect("a layout");
        let store = Store::create(service.objects(1), layout.clone()).await.expect("made");
        let parts = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&parts);
        service.plan(move |request| {
            if request.is_part() && request.key.ends_with(".car.par") {
                seen.lock().expect("no test panicked").insert(request.query["partNumber"].clone());
            }
            None
        });
        let options = PackWriterOptions::default().parity(Share::new(10_000));
        let blob = noise(9 << 20, 1);
        let written = store.put(Blob::bytes(blob.clone()), options.clone()).await.expect("put");
        let [pack] = &written.packs[..] else { panic!("{} packs", written.packs.len()) };
        assert!(pack.sidecar.is_some_and(|bytes| bytes > 8 << 20), "{:?}", pack.sidecar);
        assert_eq!(parts.lock().expect("no test panicked").len(), 2);
        // It is what it is elsewhere.
        let [made, _] = made().await;
        made.store.put(Blob::bytes(blob), options).await.expect("put");
        let key = layout.key(&pack.name).expect("a key").to_string();
        let sidecar =
            service.kept().into_iter().find(|(kept, _)| kept.ends_with(&format!("{key}.par")));
        let expected = made.bytes(&made.sidecar(&pack.name)).await;
        assert!(sidecar.map(|(_, bytes)| bytes) == expected, "byte for byte");
        let change = |change: fn(&mut Vec<u8>)| {
            service.change(|kept| {
                change(
                    kept.iter_mut().find(|(kept, _)| kept.ends_with(&key)).expect("it is there").1,
                )
            });
        };
        change(|bytes| bytes[1_000_000..4_000_000].fill(0));
        assert_eq!(heal(&store, &[]).await.expect("healed").by_parity, [pack.name]);
        assert!(findings(&store).await.is_empty());
    });
}
