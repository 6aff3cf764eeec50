//! Uploads in parts: another run goes on with a long one, and no pack is there before those in front of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carstone_car::{cid_of, codec};
use carstone_store::{
    Blob, Content, Created, Done, Hash, Layout, ObjectPackStore, Objects, PackStore, PackWriter,
    PackWriterOptions, RemoteObjects, Turn,
};

use crate::packs::noise;
use crate::service::{Fault, Request, Service};

/// Bytes of six parts, of which the last one is short. After two of them it is noted what has arrived.
const LEN: usize = 44 << 20;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

fn packs(service: &Service) -> Arc<ObjectPackStore> {
    let layout = Layout::nested("packs/", ".car").expect("a layout");
    Arc::new(ObjectPackStore::new(service.resumable(), layout))
}

async fn put(service: &Service, content: &[u8]) -> carstone_store::Result<Hash> {
    let writer = PackWriter::new(packs(service));
    Ok(writer.put_blob(Blob::bytes(content.to_vec())).await?.name)
}

fn number(request: &Request) -> u64 {
    request.query.get("partNumber").map_or(0, |part| part.parse().expect("a number"))
}

/// Counts the parts that are sent from now on, and loses those behind one.
fn parts_until(service: &Service, last: u64) -> Arc<Mutex<Vec<u64>>> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    service.plan(move |request| {
        if !request.is_part() {
            return None;
        }
        if number(request) > last {
            return Some(Fault::Lost);
        }
        seen.lock().expect("no test panicked").push(number(request));
        None
    });
    sent
}

fn notes(service: &Service) -> Vec<String> {
    service.kept().into_keys().filter(|key| key.starts_with("store/uploads/packs/")).collect()
}

async fn is_whole(service: &Service, name: &Hash, content: &[u8]) {
    let pack = packs(service).get(name).await.expect("sound").expect("there");
    assert_eq!(&pack[..], content);
    assert_eq!(service.open_uploads(), 0);
    assert!(notes(service).is_empty());
}

#[test]
fn a_long_upload_goes_on_where_it_ended() {
    run(async {
        let content = noise(LEN, 1);
        for last in 1..6 {
            let service = Service::start();
            parts_until(&service, last);
            put(&service, &content).await.expect_err("lost");
            assert_eq!((service.open_uploads(), notes(&service).len()), (1, 1));
            assert!(!service.kept().keys().any(|key| key.ends_with(".car")));

            let sent = parts_until(&service, u64::MAX);
            let name = put(&service, &content).await.expect("put");
            let sent: BTreeSet<u64> = sent.lock().expect("no test panicked").drain(..).collect();
            assert_eq!(sent, (last + 1..=6).collect(), "those behind {last}");
            is_whole(&service, &name, &content).await;
        }
    });
}

#[test]
fn what_cannot_go_on_begins_anew() {
    run(async {
        let content = noise(LEN, 2);
        type Change = fn(&Service);
        let ended: Change = Service::end_uploads;
        let garbled: Change = |service| {
            service.change(|objects| {
                let notes = objects.iter_mut().filter(|(key, _)| key.contains("/uploads/"));
                notes.for_each(|(_, note)| note.truncate(20));
            });
        };
        // The note says that parts arrived which did not.
        let lying: Change = |service| {
            service.change(|objects| {
                let notes = objects.iter_mut().filter(|(key, _)| key.contains("/uploads/"));
                for (_, note) in notes {
                    let text = String::from_utf8(note.clone()).expect("text");
                    let tag =
                        text.split(['"', '\\']).find(|part| part.contains('-')).expect("a part");
                    *note = text.replace(tag, "0-0").into_bytes();
                }
            });
        };
        for (kind, change, left) in
            [("ended", ended, 0), ("garbled", garbled, 1), ("lying", lying, 0)]
        {
            let service = Service::start();
            parts_until(&service, 4);
            put(&service, &content).await.expect_err("lost");
            change(&service);
            let sent = parts_until(&service, u64::MAX);
            let name = put(&service, &content).await.expect("put");
            let sent: BTreeSet<u64> = sent.lock().expect("no test panicked").drain(..).collect();
            assert_eq!(sent, (1..=6).collect());
            let pack = packs(&service).get(&name).await.expect("sound").expect("there");
            assert_eq!(&pack[..], content);
            assert!(notes(&service).is_empty());
            // What no note names any more is for the service to end.
            assert_eq!(service.open_uploads(), left, "{kind}");
        }
    });
}

#[test]
fn what_nobody_goes_on_with_is_given_up() {
    run(async {
        let service = Service::start();
        parts_until(&service, 3);
        put(&service, &noise(LEN, 3)).await.expect_err("lost");
        service.behave();
        let objects = service.resumable();
        assert_eq!(objects.clean(Duration::from_secs(1 << 40)).await.expect("too young"), 0);
        assert_eq!((service.open_uploads(), notes(&service).len()), (1, 1));
        assert_eq!(objects.clean(Duration::ZERO).await.expect("cleaned"), 1);
        assert_eq!((service.open_uploads(), notes(&service).len()), (0, 0));
    });
}

/// Packs are sent two at a time. When the first is lost, the second one is not there either, and its upload is given up.
#[test]
fn no_pack_is_there_before_those_in_front_of_it() {
    run(async {
        let service = Service::start();
        let content = noise(25 << 20, 4);
        let options = PackWriterOptions::default().shard_size(10 << 20);
        let writer = PackWriter::with_options(packs(&service), options);
        let lost = Arc::new(Mutex::new(None));
        let first = Arc::clone(&lost);
        // All that is sent of the pack that is ended first is lost at its end.
        service.plan(move |request| {
            let mut first = first.lock().expect("no test panicked");
            if request.is_complete() && first.is_none() {
                *first = Some(request.key.clone());
            }
            (request.is_complete() && first.as_ref() == Some(&request.key)).then_some(Fault::Lost)
        });
        writer.write(Blob::bytes(content.clone())).await.expect_err("lost");
        assert!(lost.lock().expect("no test panicked").is_some());
        assert!(service.kept().is_empty(), "{:?}", service.kept().keys());
        assert_eq!(service.open_uploads(), 0);

        let (ends, order) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&ends);
        service.plan(move |request| {
            if request.is_complete() {
                seen.lock().expect("no test panicked").push(request.key.clone());
            }
            None
        });
        let kept = Arc::clone(&order);
        let written = writer.write_with(Blob::bytes(content), move |pack| {
            kept.lock().expect("no test panicked").push(pack.name);
            Ok(())
        });
        let written = written.await.expect("put");
        let names: Vec<Hash> = written.packs.iter().map(|pack| pack.name).collect();
        assert_eq!(names.len(), 3);
        assert_eq!(*order.lock().expect("no test panicked"), names);
        let ends = ends.lock().expect("no test panicked");
        let layout = Layout::nested("store/packs/", ".car").expect("a layout");
        // The last one is sent in one piece, since it is short.
        let keys: Vec<_> =
            names[..2].iter().map(|name| layout.key(name).expect("a key").to_string()).collect();
        assert_eq!(*ends, keys);
    });
}

/// A store that takes its time with the first pack.
#[tokio::test]
async fn a_turn_is_waited_for() {
    let objects = RemoteObjects::in_memory();
    let layout = Layout::flat("", ".car").expect("a layout");
    let packs = ObjectPackStore::new(Arc::new(objects), layout);
    let content = b"some bytes";
    let name = *cid_of(codec::RAW, content).hash();
    let (done, turn): (Done, Turn) = Turn::behind();
    let put = packs.put_in_turn(&name, Content::Bytes(content[..].into()), turn);
    let mut put = std::pin::pin!(put);
    let soon = tokio::time::timeout(Duration::from_millis(50), &mut put).await;
    assert!(soon.is_err(), "it is not its turn");
    assert_eq!(packs.size(&name).await.expect("listed"), None);
    done.say();
    assert_eq!(put.await.expect("put"), Created::New);
    // Where what comes before it fails, it is not put.
    let other = RemoteObjects::in_memory();
    let layout = Layout::flat("", ".car").expect("a layout");
    let packs = ObjectPackStore::new(Arc::new(other), layout);
    let (done, turn) = Turn::behind();
    drop(done);
    packs.put_in_turn(&name, Content::Bytes(content[..].into()), turn).await.expect_err("no turn");
    assert_eq!(packs.size(&name).await.expect("listed"), None);
}
