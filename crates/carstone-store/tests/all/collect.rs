//! Writers beside who collects garbage: at each operation of the one, all of the other happens.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::Cid;
use carstone_store::{
    Blob, Content, Created, Dedupe, Finding, Key, Layout, Object, Objects, PackWriterOptions,
    RemoteObjects, Result, Spool, Store, Written, add_pack, collect, collect_part, copy,
    remove_root,
};
use carstone_unixfs::Profile;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::packs::noise;
use crate::support::{findings, read};
use crate::watched::Watched;

type Work = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// Objects in memory. Something else happens before one of the operations on them, and some packs are said to be old.
struct Stepped {
    objects: RemoteObjects,
    step: Arc<Mutex<Step>>,
}

#[derive(Default)]
struct Step {
    /// Operations until it happens.
    left: u64,
    work: Option<Work>,
    old: BTreeSet<String>,
}

impl Stepped {
    fn step(&self) -> BoxFuture<'static, ()> {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        match step.left.checked_sub(1) {
            Some(left) => {
                step.left = left;
                Box::pin(async {})
            }
            None => step.work.take().map_or_else(|| Box::pin(async {}) as _, |work| work()),
        }
    }
}

#[async_trait]
impl Objects for Stepped {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        self.step().await;
        self.objects.create(key, content).await
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.step().await;
        self.objects.replace(key, content).await
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.step().await;
        self.objects.read(key, range).await
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.step().await;
        self.objects.stream(key, range).await
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.step().await;
        self.objects.size(key).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let (step, objects, state) = (self.step(), self.objects.clone(), Arc::clone(&self.step));
        let prefix = prefix.to_owned();
        let listed = stream::once(async move {
            step.await;
            objects.list(&prefix)
        });
        let aged = listed.flatten().map_ok(move |mut object| {
            if state.lock().unwrap_or_else(PoisonError::into_inner).old.contains(&object.key) {
                object.modified = SystemTime::now().checked_sub(GRACE * 2);
            }
            object
        });
        aged.boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.step().await;
        self.step.lock().unwrap_or_else(PoisonError::into_inner).old.remove(key.as_str());
        self.objects.delete(key).await
    }

    fn spool(&self) -> Result<Spool> {
        self.objects.spool()
    }
}

impl fmt::Debug for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stepped")
    }
}

impl fmt::Display for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

fn options() -> PackWriterOptions {
    let profile = Profile::default().with_chunk_size(1000).expect("fine");
    PackWriterOptions::default().shard_size(3000).profile(profile)
}

/// A store in which a file was put long ago, and whose root is gone; with `is_gone`, its packs too, of which the index still speaks.
async fn garbage(is_gone: bool) -> (RemoteObjects, Arc<Mutex<Step>>) {
    let (objects, step) = (RemoteObjects::in_memory(), Arc::new(Mutex::new(Step::default())));
    let layout = Layout::flat("packs/", ".car").expect("a layout");
    let store = Store::create(Arc::new(objects.clone()), layout).await.expect("made");
    let root = store.put(Blob::bytes(noise(7000, 1)), options()).await.expect("put").root;
    remove_root(&store, &root).await.expect("removed");
    if is_gone {
        // What is put again is young.
        collect_part(&store, Duration::ZERO, false, (0, 1)).await.expect("collected");
        return (objects, step);
    }
    let packs = store.objects().map_ok(|object| object.key).try_collect::<Vec<_>>().await;
    step.lock().expect("no test panicked").old.extend(packs.expect("listed"));
    (objects, step)
}

async fn open(objects: &RemoteObjects, step: &Arc<Mutex<Step>>) -> Store {
    let stepped = Stepped { objects: objects.clone(), step: Arc::clone(step) };
    Store::open(Arc::new(stepped)).await.expect("opened")
}

type Write = fn(Store) -> BoxFuture<'static, Result<Vec<Cid>>>;

/// The file again.
fn again(store: Store) -> BoxFuture<'static, Result<Vec<Cid>>> {
    Box::pin(async move { Ok(vec![store.put(Blob::bytes(noise(7000, 1)), options()).await?.root]) })
}

/// Another file, which shares blocks with it.
fn alike(store: Store) -> BoxFuture<'static, Result<Vec<Cid>>> {
    Box::pin(async move {
        let mut content = noise(7000, 1);
        content.truncate(4500);
        let options = options().dedupe(Dedupe::Store);
        Ok(vec![store.put(Blob::bytes(content), options).await?.root])
    })
}

/// The file from another store.
fn from_another(store: Store) -> BoxFuture<'static, Result<Vec<Cid>>> {
    Box::pin(async move {
        let other = Store::in_memory().await?;
        let root = other.put(Blob::bytes(noise(7000, 1)), options()).await?.root;
        copy(&other, &store, |_| ()).await?;
        Ok(vec![root])
    })
}

/// One of its packs by itself.
fn a_pack(store: Store) -> BoxFuture<'static, Result<Vec<Cid>>> {
    Box::pin(async move {
        let other = Store::in_memory().await?;
        let written = other.put(Blob::bytes(noise(7000, 1)), options()).await?;
        let pack = other.packs().get(&written.packs[0].name).await?.expect("it was put");
        Ok(add_pack(&store, Blob::bytes(pack)).await?.roots)
    })
}

/// What was acknowledged can be read, and nothing is wrong with the store.
async fn is_kept(objects: &RemoteObjects, roots: &[Cid], what: &str) {
    let store = Store::open(Arc::new(objects.clone())).await.expect("opened");
    for root in roots {
        assert!(read(&store, *root).await.is_ok_and(|blocks| blocks > 0), "{what}: {root}");
    }
    let mut findings = findings(&store).await;
    // What a writer put that failed then is in no index, and goes when it is old.
    findings.retain(|finding| !roots.is_empty() || !matches!(finding, Finding::Unindexed(_)));
    assert!(findings.is_empty(), "{what}: {findings:?}");
    let marks = store.objects().map_ok(|object| object.key).try_collect::<Vec<_>>().await;
    let marks = marks.expect("listed");
    assert!(!marks.iter().any(|key| key.contains("needed") || key.contains("condemned")), "{what}");
}

#[tokio::test]
async fn a_writer_that_relies_on_old_packs_is_seen_or_told() {
    let writes: [(&str, Write); 4] =
        [("again", again), ("alike", alike), ("copy", from_another), ("pack", a_pack)];
    for (name, write) in writes {
        for (is_gone, is_writer_inside) in
            [(false, true), (false, false), (true, true), (true, false)]
        {
            let (mut told, mut kept, mut at) = (0, 0, 0);
            loop {
                let (objects, step) = garbage(is_gone).await;
                let outcome = Arc::new(Mutex::new(None));
                let (store, inner) = (open(&objects, &step).await, open(&objects, &step).await);
                let seen = Arc::clone(&outcome);
                let write_all = move |store| async move {
                    let written = write(store).await;
                    *seen.lock().expect("no test panicked") = Some(written);
                };
                let collect_all = |store: Store| async move {
                    collect(&store, GRACE, false).await.expect("collected");
                };
                let work: Work = match is_writer_inside {
                    true => Box::new({
                        let write_all = write_all.clone();
                        move || Box::pin(write_all(inner))
                    }),
                    false => Box::new(move || Box::pin(collect_all(inner))),
                };
                {
                    let mut step = step.lock().expect("no test panicked");
                    (step.left, step.work) = (at, Some(work));
                }
                match is_writer_inside {
                    true => collect_all(store).await,
                    false => write_all(store).await,
                }
                if step.lock().expect("no test panicked").work.take().is_some() {
                    break;
                }
                let outcome = outcome.lock().expect("no test panicked").take().expect("it ran");
                let what = format!(
                    "{name}, {is_gone}, {is_writer_inside}, before operation {at}: {outcome:?}"
                );
                match outcome {
                    Ok(roots) => {
                        kept += 1;
                        is_kept(&objects, &roots, &what).await;
                    }
                    Err(_) => {
                        told += 1;
                        is_kept(&objects, &[], &what).await;
                    }
                }
                at += 1;
            }
            let is_seen = kept > 0 && (is_gone || at > 5 && told > 0);
            assert!(is_seen, "{name}, {is_gone}, {is_writer_inside}: {kept}, {told}");
        }
    }
}

/// Marks of those that have ended without taking them back go when they are old, and hold nobody up before that who needs other packs.
#[tokio::test]
async fn marks_that_are_left_behind_go() {
    let (objects, step) = garbage(false).await;
    let put_mark = |prefix: &str, pack: &str| {
        let text = format!("{{\"packs\":[\"{pack}\"]}}\n");
        let key = Key::new(&format!("{prefix}/{:032x}.json", 0)).expect("a key");
        let objects = objects.clone();
        async move { objects.create(&key, Content::Bytes(text.into())).await.expect("kept") }
    };
    let pack = {
        let step = step.lock().expect("no test panicked");
        let key = step.old.iter().find(|key| key.starts_with("packs/")).expect("there").clone();
        key.trim_start_matches("packs/").trim_end_matches(".car").to_owned()
    };
    put_mark("condemned", &pack).await;
    let store = open(&objects, &step).await;
    let error = again(store.clone()).await.expect_err("it is about to go");
    assert_eq!(error.object(), Some(&*format!("condemned/{:032x}.json", 0)));
    let other = store.put(Blob::bytes(noise(2000, 9)), options()).await.expect("put").root;
    put_mark("needed", &pack).await;
    let collected = collect(&store, GRACE, false).await.expect("collected");
    assert_eq!((collected.packs.len(), collected.leftovers), (3, 0), "one of four is needed");
    let old = ["condemned", "needed"].map(|prefix| format!("{prefix}/{:032x}.json", 0));
    step.lock().expect("no test panicked").old.extend(old);
    let collected = collect(&store, GRACE, false).await.expect("collected");
    assert_eq!((collected.packs.len(), collected.leftovers), (1, 2));
    is_kept(&objects, &[other], "others").await;
    // One that cannot be read stops everything: it may mean any pack.
    let key = Key::new(&format!("needed/{:032x}.json", 1)).expect("a key");
    objects.create(&key, Content::Bytes(b"{}"[..].into())).await.expect("kept");
    store.put(Blob::bytes(noise(2000, 11)), options()).await.expect("nothing old is needed");
    remove_root(&store, &other).await.expect("removed");
    let packs = store.objects().map_ok(|object| object.key).try_collect::<Vec<_>>().await;
    let packs = packs.expect("listed").into_iter().filter(|key| key.starts_with("packs/"));
    step.lock().expect("no test panicked").old.extend(packs);
    let error = collect(&store, GRACE, false).await.expect_err("it is damaged");
    assert_eq!(error.object(), Some(key.as_str()));
}

const GRACE: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_root_that_a_listing_leaves_out_is_kept() {
    let objects = Arc::new(Watched::new());
    let layout = Layout::flat("packs/", ".car").expect("fine");
    let store = Store::create(objects.clone(), layout).await.expect("made");
    let kept = store.put(Blob::bytes(noise(30_000, 1)), options()).await.expect("put");
    let removed = store.put(Blob::bytes(noise(30_000, 2)), options()).await.expect("put");
    remove_root(&store, &removed.root).await.expect("removed");
    objects.hide(Some("roots/"));
    assert!(store.roots().await.expect("listed").is_empty());
    let packs = |written: &Written| written.packs.iter().map(|pack| pack.name).collect();
    let gone: BTreeSet<_> = packs(&removed);
    for is_dry in [true, false] {
        let collected = collect(&store, Duration::ZERO, is_dry).await.expect("collected");
        assert_eq!(collected.packs.into_iter().collect::<BTreeSet<_>>(), gone);
    }
    objects.hide(None);
    assert!(findings(&store).await.is_empty());
    read(&store, kept.root).await.expect("kept");
    remove_root(&store, &kept.root).await.expect("removed");
    let collected = collect(&store, Duration::ZERO, false).await.expect("collected");
    assert_eq!(collected.packs.into_iter().collect::<BTreeSet<_>>(), packs(&kept));
}
