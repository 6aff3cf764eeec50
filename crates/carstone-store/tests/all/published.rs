//! Stores that are read where nothing can be listed or written: over HTTP, by a catalogue.

use std::sync::Arc;

use carstone_car::{Cid, cid_of, codec};
use carstone_store::{
    Blob, Content, Error, ErrorKind, Key, Layout, LocalObjects, Objects, PackWriterOptions,
    PublishedObjects, Result, Store, StoreUrl, collect, copy, heal, rebuild_index, remove_root,
};
use carstone_unixfs::Profile;
use futures::TryStreamExt;

use crate::packs::noise;
use crate::service::{Fault, Service};
use crate::support::{content, findings, read};

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(3000).profile(profile)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// A service with a store of two files, and their roots.
async fn stored() -> (Service, Store, [Cid; 2]) {
    let service = Service::start();
    let layout = Layout::nested("packs/", ".car").expect("a layout");
    let store = Store::create(service.objects(3), layout).await.expect("made");
    let first = store.put(Blob::bytes(noise(7000, 1)), options()).await.expect("put").root;
    let second = store.put(Blob::bytes(noise(2500, 2)), options()).await.expect("put").root;
    (service, store, [first, second])
}

async fn open(service: &Service) -> Result<Store> {
    Store::open_at(&StoreUrl::new(service.url())).await
}

/// The error of opening it.
async fn refused(service: &Service) -> Error {
    open(service).await.expect_err("it cannot be opened")
}

#[track_caller]
fn is_read_only<T: std::fmt::Debug>(done: Result<T>) {
    let error = done.expect_err("nothing can be written");
    assert!(matches!(error.kind(), ErrorKind::ReadOnly), "{error}");
}

#[test]
fn all_of_a_published_store_is_read_over_http() {
    run(async {
        let (service, store, roots) = stored().await;
        let published = store.publish().await.expect("published");
        assert_eq!((published.roots, published.segments), (2, 2));
        assert!(published.packs >= 4, "{published:?}");
        let before = service.kept();
        let read_only = open(&service).await.expect("opened");
        assert_eq!(content(&read_only, roots[0]).await.expect("whole"), noise(7000, 1));
        assert_eq!(content(&read_only, roots[1]).await.expect("whole"), noise(2500, 2));
        let there = read_only.roots().await.expect("listed");
        assert_eq!(there, store.roots().await.expect("listed"));
        for record in &there {
            let name = &record.packs[0];
            let whole = read_only.packs().get(name).await.expect("whole").expect("there");
            let range = read_only.packs().read(name, 10..20).await.expect("in it");
            assert_eq!(range, whole.slice(10..20));
            let beyond = whole.len() as u64 - 1..whole.len() as u64 + 1;
            assert!(read_only.packs().read(name, beyond).await.is_err());
        }
        let missing = cid_of(codec::RAW, b"nowhere");
        assert!(read_only.block(&missing).await.expect("asked").is_none());
        let found = findings(&read_only).await;
        assert!(found.is_empty(), "{found:?}");

        // Into a directory, and what is lost there comes back.
        let directory = tempfile::tempdir().expect("made");
        let copied = Store::create_local(directory.path()).await.expect("made");
        let done = copy(&read_only, &copied, |_| ()).await.expect("copied");
        assert_eq!(done.packs, published.packs);
        assert_eq!(content(&copied, roots[0]).await.expect("whole"), noise(7000, 1));
        assert!(findings(&copied).await.is_empty());
        copied.packs().delete(&there[0].packs[0]).await.expect("removed");
        assert_eq!(findings(&copied).await.len(), 1);
        let healed = heal(&copied, &[&read_only]).await.expect("healed");
        assert_eq!((healed.packs.len(), healed.lost.len()), (1, 0));
        assert!(findings(&copied).await.is_empty());
        assert_eq!(service.kept(), before, "nothing was written");
    });
}

#[test]
fn whatever_writes_is_refused() {
    run(async {
        let (service, writable, roots) = stored().await;
        writable.publish().await.expect("published");
        let before = service.kept();
        let store = open(&service).await.expect("opened");
        assert!(store.is_read_only());
        is_read_only(store.put(Blob::bytes(noise(10, 3)), options()).await);
        is_read_only(store.put_blob(Blob::bytes(noise(10, 3)), options()).await);
        is_read_only(store.publish().await);
        is_read_only(store.publish_again().await);
        is_read_only(remove_root(&store, &roots[0]).await);
        is_read_only(store.index().compact(|_| true).await);
        is_read_only(rebuild_index(&store, |_| ()).await);
        is_read_only(carstone_store::add_pack(&store, Blob::bytes(noise(10, 3))).await);
        is_read_only(copy(&writable, &store, |_| ()).await);
        // Nothing is old enough in a listing that has no times.
        let collected = collect(&store, std::time::Duration::ZERO, false).await.expect("looked");
        assert!(collected.packs.is_empty());
        let nowhere = format!("{}/nowhere", service.url());
        is_read_only(Store::create_at(&StoreUrl::new(nowhere)).await);
        Store::create_at(&StoreUrl::new(service.url())).await.expect("there is one");
        assert_eq!(service.kept(), before);
        let objects = PublishedObjects::new(service.objects(0));
        let (key, some) = (Key::new("x").expect("a key"), || Content::Bytes(noise(3, 1).into()));
        is_read_only(objects.create(&key, some()).await);
        is_read_only(objects.replace(&key, some()).await);
        is_read_only(objects.delete(&key).await);
        is_read_only(objects.spool());
    });
}

#[test]
fn a_store_that_cannot_be_listed_says_what_it_lacks() {
    run(async {
        let (service, store, roots) = stored().await;
        let error = refused(&service).await;
        assert!(matches!(error.kind(), ErrorKind::NoCatalog(_)), "{error}");
        assert!(error.object().is_some_and(|object| object.starts_with("http://127.0.0.1")));
        assert!(error.to_string().contains("carstone store publish"), "{error}");
        // Whoever answers any listing with nothing has no list.
        service.speak_webdav(true);
        assert!(matches!(refused(&service).await.kind(), ErrorKind::NoCatalog(_)));
        // One that lists needs no catalogue.
        service.speak_webdav(false);
        let listed = open(&service).await.expect("opened");
        assert_eq!(read(&listed, roots[0]).await.expect("whole"), 8);
        assert_eq!(listed.roots().await.expect("listed").len(), 2);
        assert!(findings(&listed).await.is_empty());
        is_read_only(listed.put(Blob::bytes(noise(10, 3)), options()).await);
        // What may not be read is as good as missing to services that do not list.
        store.publish().await.expect("published");
        service.plan(|request| {
            let is_catalog = request.key.ends_with("catalog.json");
            is_catalog.then_some(Fault::Status(403, "AccessDenied"))
        });
        assert!(open(&service).await.is_ok());
        let elsewhere = StoreUrl::new(format!("{}/elsewhere", service.url()));
        let error = Store::open_at(&elsewhere).await.expect_err("there is none");
        assert!(matches!(error.kind(), ErrorKind::NoStore), "{error}");
    });
}

#[test]
fn a_catalogue_tells_what_there_was() {
    run(async {
        let (service, store, roots) = stored().await;
        assert_eq!(store.publish_again().await.expect("none"), None);
        assert!(!service.kept().contains_key("store/carstone-store.catalog.json"));
        store.publish().await.expect("published");
        let first = service.kept();
        store.publish().await.expect("published");
        assert_eq!(service.kept(), first, "the same catalogue has the same parts");
        let reader = open(&service).await.expect("opened");

        // What is put later is seen when it is published.
        let third = store.put(Blob::bytes(noise(1500, 3)), options()).await.expect("put").root;
        assert_eq!(read(&open(&service).await.expect("opened"), roots[0]).await.expect("whole"), 8);
        assert!(reader.block(&third).await.expect("asked").is_none());
        assert!(store.publish_again().await.expect("published").is_some());
        reader.index().refresh().await.expect("looked");
        assert!(reader.block(&third).await.expect("read").is_some());
        assert_eq!(reader.roots().await.expect("listed").len(), 3);

        // Segments that the catalogue names go.
        store.index().compact(|_| true).await.expect("put together");
        let error = refused(&service).await;
        assert!(matches!(error.kind(), ErrorKind::StaleCatalog), "{error}");
        assert!(error.object().is_some_and(|object| object.starts_with("index/")), "{error}");
        assert!(error.to_string().contains("carstone store publish"), "{error}");
        store.publish().await.expect("published");
        reader.index().refresh().await.expect("looked");
        assert_eq!(reader.index().segments().len(), 1);
        assert_eq!(read(&open(&service).await.expect("opened"), third).await.expect("whole"), 3);
        assert!(findings(&reader).await.is_empty());

        // Of parts that no catalogue names those stay that were named a moment ago: objects of the service are old.
        let parts = service.kept().keys().filter(|key| key.contains("/catalog/")).count();
        assert!(parts <= 6, "{parts}");
        let gone = first.keys().filter(|key| key.contains("/catalog/"));
        assert!(gone.filter(|key| !service.kept().contains_key(*key)).count() > 0);
    });
}

/// A directory is served by whatever serves files; its catalogue is renewed in it.
#[test]
fn a_directory_is_published() {
    run(async {
        let directory = tempfile::tempdir().expect("made");
        let store = Store::create_local(directory.path()).await.expect("made");
        let root = store.put(Blob::bytes(noise(7000, 1)), options()).await.expect("put").root;
        store.publish().await.expect("published");
        let objects = Arc::new(LocalObjects::new(directory.path()));
        let reader = Store::open(Arc::new(PublishedObjects::new(objects))).await.expect("opened");
        assert_eq!(content(&reader, root).await.expect("whole"), noise(7000, 1));
        let listed: Vec<_> = reader.objects().try_collect().await.expect("listed");
        let packs = listed.iter().filter(|object| object.key.starts_with("packs/")).count();
        assert_eq!((packs, listed.len()), (packs, packs + 2));
        // An empty store has a catalogue too.
        let empty = tempfile::tempdir().expect("made");
        let store = Store::create_local(empty.path()).await.expect("made");
        store.publish().await.expect("published");
        let objects = Arc::new(LocalObjects::new(empty.path()));
        let reader = Store::open(Arc::new(PublishedObjects::new(objects))).await.expect("opened");
        assert!(reader.roots().await.expect("listed").is_empty());
    });
}

#[test]
fn what_a_server_does_wrong_is_told() {
    run(async {
        let (service, store, roots) = stored().await;
        store.publish().await.expect("published");
        // What a retry cures is not seen; the object may be elsewhere.
        let mut tried = 0_u64;
        service.plan(move |_| {
            tried += 1;
            tried.is_multiple_of(2).then_some(Fault::Status(503, "SlowDown"))
        });
        let reader = open(&service).await.expect("opened");
        assert_eq!(content(&reader, roots[0]).await.expect("whole"), noise(7000, 1));
        service.plan(|request| (!request.query.contains_key("moved")).then_some(Fault::Moved));
        let reader = open(&service).await.expect("opened");
        assert_eq!(content(&reader, roots[0]).await.expect("whole"), noise(7000, 1));
        // A server that does not know ranges.
        service.plan(|_| Some(Fault::Whole));
        assert_eq!(refused(&service).await.object(), Some("carstone-store.json"));
        let error = reader.block(&roots[0]).await.expect_err("the whole pack");
        assert!(error.object().is_some_and(|object| object.starts_with("packs/")), "{error}");
        // Redirects that lead nowhere, and other answers.
        for status in [302, 404, 403, 400] {
            service.plan(move |request| {
                let is_pack = request.key.contains("/packs/");
                is_pack.then_some(Fault::Status(status, "Error"))
            });
            let error = reader.block(&roots[0]).await.expect_err("nothing came");
            assert!(error.object().is_some_and(|object| object.starts_with("packs/")), "{error}");
            assert_eq!(error.is_not_found(), status == 404, "{error}");
        }
        // Less than there is to be, and other bytes.
        for fault in [Fault::Half, Fault::Flipped] {
            service.plan(move |request| request.key.contains("/packs/").then_some(fault));
            let error = reader.block(&roots[0]).await.expect_err("another block");
            assert!(error.object().is_some_and(|object| object.contains("bafkrei")), "{error}");
        }
    });
}

#[test]
fn a_catalogue_is_not_believed() {
    run(async {
        let (service, store, _) = stored().await;
        store.publish().await.expect("published");
        let sound = service.kept();
        let part = |prefix: &str| {
            let line = format!(" {prefix}");
            let has_it = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&line);
            let mut parts = sound.iter().filter(|(key, _)| key.contains("/catalog/"));
            parts.find(|(_, bytes)| has_it(bytes)).expect("a part").0.clone()
        };
        let (index, catalog) = (part("index/"), "store/carstone-store.catalog.json");
        let broken = |key: &str, bytes: &dyn Fn(&str) -> String| {
            let mut kept = sound.clone();
            let text = String::from_utf8(kept[key].clone()).expect("text");
            kept.insert(key.to_owned(), bytes(&text).into_bytes());
            service.change(|objects| *objects = kept);
        };
        // A part with another line, with the length that it has to have; one that is cut or gone.
        broken(&index, &|text| text.replacen("index/b", "packs/b", 1));
        let error = refused(&service).await;
        assert!(error.is_malformed(), "{error}");
        assert!(index.ends_with(error.object().expect("named")), "{error}");
        broken(&index, &|text| text.replacen("index/bafk", "index/../k", 1));
        assert!(matches!(refused(&service).await.kind(), ErrorKind::BadKey(_)));
        broken(&index, &|text| {
            let last = text.trim_end().rfind('\n').map_or(0, |end| end + 1);
            format!("{}{}", &text[last..], &text[..last])
        });
        assert!(matches!(refused(&service).await.kind(), ErrorKind::Mismatch { .. }));
        broken(&index, &|text| text[..text.len() - 1].to_owned());
        assert!(matches!(refused(&service).await.kind(), ErrorKind::Short { .. }));
        service.change(|objects| drop(objects.remove(&index)));
        assert!(matches!(refused(&service).await.kind(), ErrorKind::StaleCatalog));
        // The catalogue itself.
        for text in ["", "{}", "[1", r#"{"version":1}"#, r#"{"version":1,"parts":{"index/":{}}}"#] {
            broken(catalog, &|_| text.to_owned());
            let error = refused(&service).await;
            assert!(error.is_malformed(), "{text}: {error}");
            assert_eq!(error.object(), Some("carstone-store.catalog.json"));
        }
        broken(catalog, &|text| text.replace("\"version\":1", "\"version\":2"));
        assert!(matches!(refused(&service).await.kind(), ErrorKind::Unsupported(_)));
        broken(catalog, &|text| format!("{text}{}", " ".repeat(65 << 10)));
        assert!(refused(&service).await.to_string().contains("larger than 64 KiB"));
        // It is put right where it can be.
        broken(catalog, &|_| "{}".to_owned());
        store.publish().await.expect("published");
        assert_eq!(service.kept(), sound);
    });
}

#[test]
fn a_url_says_where_a_store_is_and_no_more() {
    run(async {
        let (service, store, roots) = stored().await;
        store.publish().await.expect("published");
        service.change(|objects| {
            let moved = objects.iter().map(|(key, bytes)| {
                let key = key.replacen("store/", "a store~é/x%y/", 1);
                (key, bytes.clone())
            });
            *objects = moved.collect();
        });
        let base = service.url().replace("/store", "");
        for path in
            ["/a%20store~%C3%A9/x%25y", "/a store~é/x%25y/", "/z/../a%20store%7E%c3%a9/x%25y//"]
        {
            let opened = Store::open_at(&StoreUrl::new(format!("{base}{path}"))).await;
            let store = opened.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(content(&store, roots[1]).await.expect("whole"), noise(2500, 2));
        }
        let host = base.strip_prefix("http://").expect("a URL");
        for bad in [
            format!("{base}/store?key=1"),
            format!("{base}/store#here"),
            format!("http://name:secret@{host}/store"),
            format!("http://name@{host}"),
            "http://".to_owned(),
            "https:///store".to_owned(),
            "http:".to_owned(),
            "http://[::1/store".to_owned(),
        ] {
            let url = StoreUrl::new(&bad);
            assert_eq!(url.directory(), None, "{bad}");
            let error = url.objects().expect_err("no such URL");
            assert_eq!(error.object(), Some(&bad[..]));
        }
    });
}
