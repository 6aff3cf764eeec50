//! A service that misbehaves: what a retry cures is not seen, and everything else is an error that names the object.

use std::sync::Arc;

use carstone_car::Cid;
use carstone_store::{
    Blob, CheckOptions, Content, Error, ErrorKind, Finding, Key, Layout, Objects,
    PackWriterOptions, Result, Store, check, collect, rebuild_index, text_of,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::packs::noise;
use crate::service::{Fault, Request, Service};
use crate::support::{findings, read};

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(3000).profile(profile)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// A service with a store of one file in several packs, and its root.
async fn stored() -> (Service, Cid) {
    let service = Service::start();
    let store = create(&service, 3).await.expect("made");
    let written = store.put(Blob::bytes(noise(7000, 1)), options()).await.expect("put");
    (service, written.root)
}

async fn create(service: &Service, retries: usize) -> Result<Store> {
    Store::create(service.objects(retries), Layout::nested("packs/", ".car")?).await
}

async fn open(service: &Service, retries: usize) -> Result<Store> {
    Store::open(service.objects(retries)).await
}

/// Whether the error tells of an object with this in its key.
#[track_caller]
fn names(error: &Error, part: &str) {
    assert!(error.object().is_some_and(|object| object.contains(part)), "{part}: {error}");
}

/// Everything behaves: the service does what the others of these tests break.
#[track_caller]
fn is_sound(service: &Service, root: Cid) {
    service.behave();
    run_inside(async {
        let store = open(service, 0).await.expect("opened");
        assert_eq!(read(&store, root).await.expect("whole"), 8);
        let findings = findings(&store).await;
        assert!(findings.is_empty(), "{findings:?}");
    });
}

/// On a runtime of its own, for what is called in one.
fn run_inside(work: impl Future<Output = ()> + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| run(work)).join().expect("it holds");
    });
}

#[test]
fn the_service_of_these_tests_keeps_a_store() {
    run(async {
        let (service, root) = stored().await;
        is_sound(&service, root);
        assert!(service.kept().len() > 6, "several pages of a listing");
        let store = open(&service, 0).await.expect("opened");
        carstone_store::remove_root(&store, &root).await.expect("removed");
        let gone = collect(&store, std::time::Duration::ZERO, false).await.expect("collected");
        assert!(gone.packs.len() > 1);
        assert!(!service.kept().keys().any(|key| key.contains("/packs/")));
    });
}

#[test]
fn what_a_retry_cures_is_not_seen() {
    run(async {
        let faults = [
            Fault::Status(503, "SlowDown"),
            Fault::Status(429, "TooManyRequests"),
            Fault::Status(500, "InternalError"),
            Fault::Lost,
        ];
        for fault in faults {
            let service = Service::start();
            // Of three requests one comes through.
            let mut tried = 0_u64;
            service.plan(move |_| {
                tried += 1;
                (!tried.is_multiple_of(3)).then_some(fault)
            });
            let store = create(&service, MANY).await.expect("made");
            let written = store.put(Blob::bytes(noise(7000, 1)), options()).await;
            let root = written.unwrap_or_else(|error| panic!("{fault:?}: {error}")).root;
            let store = open(&service, MANY).await.expect("opened");
            assert_eq!(read(&store, root).await.expect("whole"), 8);
            assert!(findings(&store).await.is_empty());
            is_sound(&service, root);
        }
    });
}

/// A service that fails for good is told with the object, and nothing that was there is lost.
#[test]
fn what_no_retry_cures_is_told_with_the_object() {
    run(async {
        let (service, root) = stored().await;
        let store = open(&service, 1).await.expect("opened");
        let kept = service.kept();
        for fault in [Fault::Status(503, "SlowDown"), Fault::Status(429, "SlowDown"), Fault::Lost] {
            let before = service.requests();
            service.plan(move |_| Some(fault));
            let error = store.block(&root).await.expect_err("no service");
            assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error}");
            // Where the block is, is known; small segments are in memory.
            names(&error, "packs/");
            let put = store.put(Blob::bytes(noise(3000, 9)), options()).await;
            names(&put.expect_err("no service"), "packs/");
            names(&open(&service, 1).await.expect_err("no service"), "carstone-store.json");
            names(&store.roots().await.expect_err("no service"), "s3://bucket/store/roots/");
            names(&rebuild_index(&store, |_| ()).await.expect_err("no service"), "index/");
            assert!(service.requests() > before + 5, "tried again");
            service.behave();
            assert_eq!(service.kept(), kept);
        }
        is_sound(&service, root);
    });
}

/// Access that is denied is not the same as an object that is missing.
#[test]
fn denied_is_not_missing() {
    run(async {
        let (service, root) = stored().await;
        let store = open(&service, 1).await.expect("opened");
        for status in [403, 401] {
            service.plan(move |request| {
                request.key.ends_with(".car").then_some(Fault::Status(status, "AccessDenied"))
            });
            let error = store.block(&root).await.expect_err("denied");
            assert!(matches!(error.kind(), ErrorKind::Denied(_)) && !error.is_not_found());
            names(&error, "packs/");
            let put = store.put(Blob::bytes(noise(3000, 9)), options()).await;
            let error = put.expect_err("denied");
            assert!(matches!(error.kind(), ErrorKind::Denied(_)), "{error}");
            names(&error, "packs/");
        }
        is_sound(&service, root);
        service.change(|objects| objects.retain(|key, _| !key.ends_with(".car")));
        let error = store.block(&root).await.expect_err("missing");
        assert!(error.is_not_found(), "{error}");
        names(&error, "packs/");
        assert!(matches!(findings(&store).await[0], Finding::MissingPack(_)));
    });
}

/// Wrong bytes, too few, and too many: none of them is given to anybody.
#[test]
fn bytes_that_are_not_those_of_the_object_are_not_given() {
    run(async {
        let (service, root) = stored().await;
        let store = open(&service, 1).await.expect("opened");
        let packs: Vec<_> = store.packs().list().try_collect().await.expect("listed");
        for fault in [Fault::Whole, Fault::Cut, Fault::Half, Fault::Flipped] {
            let is_pack = |request: &Request| request.is_get() && request.key.ends_with(".car");
            service.plan(move |request| is_pack(request).then_some(fault));
            let error = store.block(&root).await.expect_err("wrong");
            names(&error, "bafk");
            if matches!(fault, Fault::Flipped) {
                assert!(error.is_malformed() && error.offset().is_some(), "{error}");
            }
            read(&store, root).await.expect_err("wrong");
            // For all of a pack, all of it is right.
            if !matches!(fault, Fault::Whole) {
                let error = store.packs().get(&packs[0].name).await.expect_err("wrong");
                names(&error, &text_of(&packs[0].name));
                let stream = store.packs().stream(&packs[0].name).await.expect("it begins");
                names(&stream.try_collect::<Vec<_>>().await.expect_err("wrong"), "packs/");
            }
            // The same with segments of the index.
            let is_segment = |request: &Request| request.is_get() && request.key.ends_with(".seg");
            service.plan(move |request| is_segment(request).then_some(fault));
            let error = match open(&service, 1).await {
                Err(error) => error,
                Ok(store) => store.block(&root).await.expect_err("wrong"),
            };
            names(&error, "index/");
            is_sound(&service, root);
        }
        // Those that are cut once are asked for again.
        let store = open(&service, MANY).await.expect("opened");
        let mut cut = 0_u64;
        service.plan(move |request| {
            cut += u64::from(request.is_get());
            (request.is_get() && cut.is_multiple_of(2)).then_some(Fault::Cut)
        });
        assert_eq!(read(&store, root).await.expect("whole"), 8);
    });
}

/// A listing that ends too early is an error where that can be seen, and nothing is removed or made again by it.
#[test]
fn a_listing_that_is_cut_short_is_told() {
    run(async {
        let (service, root) = stored().await;
        let store = open(&service, 1).await.expect("opened");
        let written = store.put(Blob::bytes(noise(9000, 2)), options()).await.expect("put");
        let kept = service.kept();
        let is_next = |request: &Request| request.query.contains_key("continuation-token");
        for fault in [Fault::Status(503, "SlowDown"), Fault::Lost, Fault::Cut, Fault::Half] {
            service.plan(move |request| is_next(request).then_some(fault));
            let listed = store.packs().list().try_collect::<Vec<_>>().await;
            names(&listed.expect_err("cut"), "s3://bucket/store/packs/");
            rebuild_index(&store, |_| ()).await.expect_err("cut");
            check(&store, CheckOptions::default(), |_| Ok(())).await.expect_err("cut");
            collect(&store, std::time::Duration::ZERO, false).await.expect_err("cut");
            assert_eq!(service.kept(), kept, "{fault:?}");
        }
        // The service says that there is more, and not where: what the index knows is missed.
        let is_packs = |request: &Request| {
            request.query.get("prefix").is_some_and(|prefix| prefix.contains("packs"))
        };
        service.plan(move |request| is_packs(request).then_some(Fault::NoNext));
        let found = findings(&store).await;
        assert!(matches!(found[0], Finding::NotListed(_)), "{found:?}");
        let error = rebuild_index(&store, |_| ()).await.expect_err("cut");
        assert!(matches!(error.kind(), ErrorKind::NotListed), "{error}");
        names(&error, "bafk");
        assert_eq!(service.kept(), kept);
        is_sound(&service, root);
        is_sound_too(&service, written.root).await;
    });
}

async fn is_sound_too(service: &Service, root: Cid) {
    let store = open(service, 0).await.expect("opened");
    assert_eq!(read(&store, root).await.expect("whole"), 10);
}

/// A connection that is lost in the middle of an upload leaves nothing under the name, and no upload open.
#[test]
fn an_upload_that_ends_early_leaves_nothing() {
    run(async {
        let service = Service::start();
        let store = create(&service, 1).await.expect("made");
        // More parts than are on their way at once.
        let content = vec![7; 44 << 20];
        let put = || store.put_blob(Blob::bytes(content.clone()), PackWriterOptions::default());
        let is_later = |request: &Request| {
            request.is_part() && request.query.get("partNumber").is_some_and(|part| part != "1")
        };
        for fault in [Fault::Lost, Fault::Status(503, "SlowDown"), Fault::LostAnswer] {
            for is_end in [false, true] {
                service.plan(move |request| {
                    let is_it = if is_end { request.is_complete() } else { is_later(request) };
                    is_it.then_some(fault)
                });
                let error = put().await.expect_err("lost");
                names(&error, "packs/");
                assert_eq!(service.open_uploads(), 0, "{fault:?} {is_end}");
                let is_pack = |key: &String| key.ends_with(".car");
                // Where only the answer was lost, the pack may be there, whole.
                if !(is_end && matches!(fault, Fault::LostAnswer)) {
                    assert!(!service.kept().keys().any(is_pack), "{fault:?} {is_end}");
                }
                assert!(store.roots().await.expect("listed").is_empty());
                service.behave();
                let root = put().await.expect("put");
                let pack = store.packs().get(root.hash()).await.expect("sound").expect("there");
                assert_eq!(pack.len(), content.len());
                service.change(|objects| {
                    objects.retain(|key, _| !key.ends_with(".car") && !key.contains("/roots/"));
                });
            }
        }
        // Once is cured.
        let mut lost = 0;
        service.plan(move |request| {
            lost += u32::from(is_later(request));
            (is_later(request) && lost == 1).then_some(Fault::Lost)
        });
        put().await.expect("put");
        assert_eq!(service.open_uploads(), 0);
    });
}

/// Writers of the same pack do not hinder each other, whether it goes in one piece or in parts.
#[test]
fn several_writers_of_the_same_pack() {
    run(async {
        let service = Service::start();
        create(&service, 2).await.expect("made");
        for len in [5000, 9 << 20] {
            let content = noise(len, 3);
            let writers = (0..3).map(|_| async {
                let store = open(&service, 2).await.expect("opened");
                store.put_blob(Blob::bytes(content.clone()), PackWriterOptions::default()).await
            });
            let roots = futures::future::try_join_all(writers).await.expect("put");
            assert!(roots.iter().all(|root| *root == roots[0]));
            let store = open(&service, 0).await.expect("opened");
            let pack = store.packs().get(roots[0].hash()).await.expect("sound").expect("there");
            assert_eq!(pack, content);
        }
        let store = open(&service, 0).await.expect("opened");
        assert!(findings(&store).await.is_empty());
        assert_eq!(service.open_uploads(), 0);
    });
}

/// What a service keeps in another length than was sent is an error.
#[test]
fn an_object_that_is_not_kept_whole_is_told() {
    run(async {
        let service = Service::start();
        let objects: Arc<dyn Objects> = service.objects(0);
        let key = Key::new("packs/a.car").expect("a key");
        // It says that all is well, and keeps nothing.
        service.plan(|request| (request.method == "PUT").then_some(Fault::Forgotten));
        let kept = objects.create(&key, Content::Bytes(b"some bytes"[..].into())).await;
        let error = kept.expect_err("not kept");
        assert!(matches!(error.kind(), ErrorKind::Short { expected: 10, found: 0 }), "{error}");
        names(&error, "packs/a.car");
        assert_eq!(objects.size(&key).await.expect("known"), None);
    });
}

/// Tries that cure whatever can be cured, since the faults of these tests come at random to several requests at once.
const MANY: usize = 60;
