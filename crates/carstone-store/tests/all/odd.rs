//! What is in the directory of a store and is none of its objects: files of other programs, FIFOs, links.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use carstone_car::Cid;
use carstone_store::{
    Blob, Dedupe, Finding, Key, LocalObjects, Objects as _, PackWriterOptions, Store, collect,
    copy, finish_rebuild, heal, rebuild_index, text_of,
};
use futures::TryStreamExt;

use crate::packs::noise;
use crate::support::{content, findings, read};

/// A test of what could wait for ever.
fn run(work: impl Future<Output = ()> + Send + 'static) {
    let (done, waited) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
        runtime.block_on(work);
        done.send(()).expect("it is waited for");
    });
    waited.recv_timeout(Duration::from_secs(120)).expect("it ended well, and soon");
}

/// A store with a file in one pack.
async fn stored() -> (tempfile::TempDir, Store, Cid) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::create_local(directory.path()).await.expect("made");
    let put = store.put(Blob::bytes(noise(1 << 20, 1)), PackWriterOptions::default()).await;
    let root = put.expect("put").root;
    (directory, store, root)
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("it runs").success());
}

/// Puts things of all kinds into every directory, and says what they are.
fn strew(store: &Path) -> Vec<PathBuf> {
    let mut odd = Vec::new();
    for name in ["", "packs", "index", "roots", "rebuild", "needed", "condemned", "catalog"] {
        let directory = store.join(name);
        fs::create_dir_all(&directory).expect("made");
        let at = |name: &str| directory.join(name);
        fs::write(at(".DS_Store"), b"\0\0\0\x01Bud1").expect("written");
        fs::write(at("00000000000000000000000000000000.txt"), b"{}").expect("written");
        fs::write(at(".spool-mine"), b"mine").expect("written");
        fifo(&at("fifo"));
        symlink("/", at("link")).expect("linked");
        symlink("nothing", at("dangling")).expect("linked");
        symlink("circle", at("circle")).expect("linked");
        odd.extend([at(".DS_Store"), at("00000000000000000000000000000000.txt")]);
        odd.extend([at(".spool-mine"), at("fifo"), at("link"), at("dangling"), at("circle")]);
    }
    odd
}

#[test]
fn what_is_no_object_is_left_alone_and_in_nobodys_way() {
    run(async {
        let (directory, store, root) = stored().await;
        let odd = strew(directory.path());
        assert_eq!(store.roots().await.expect("read").len(), 1);
        let mut told = findings(&store).await.iter().map(ToString::to_string).collect::<Vec<_>>();
        told.sort();
        let due = ["00000000000000000000000000000000.txt", "circle", "dangling", "fifo", "link"];
        let mut due = due.map(|name| format!("roots/{name}")).to_vec();
        due.insert(0, "roots/.DS_Store".to_owned());
        let due = due.iter().map(|key| format!("{key} is no record of a root, and is left alone"));
        assert_eq!(told, due.collect::<Vec<_>>());
        // It needs the pack that is there, and looks what is condemned.
        let options = PackWriterOptions::default().dedupe(Dedupe::Store);
        let more = [noise(1 << 20, 1), noise(50_000, 2)].concat();
        let second = store.put(Blob::bytes(more), options).await.expect("put").root;
        let published = store.publish().await.expect("published");
        assert_eq!((published.packs, published.segments, published.roots), (2, 2, 2));
        let parts = LocalObjects::new(directory.path());
        let parts: Vec<_> = parts.list("catalog/").try_collect().await.expect("listed");
        let parts = parts.iter().filter(|part| part.key.contains("/bafk"));
        for part in parts.map(|part| directory.path().join(&part.key)) {
            let text = fs::read_to_string(part).expect("read");
            assert!(text.lines().all(|line| line.contains("/bafk")), "{text}");
        }
        store.index().compact(|_| true).await.expect("put together");
        rebuild_index(&store, |_| ()).await.expect("made again");
        finish_rebuild(&store, |_| ()).await.expect("made again");
        assert!(heal(&store, &[]).await.expect("healed").lost.is_empty());
        let other = tempfile::tempdir().expect("a directory");
        let mirror = Store::create_local(other.path()).await.expect("made");
        strew(other.path());
        assert_eq!(copy(&store, &mirror, |_| ()).await.expect("copied").packs, 2);
        assert_eq!(content(&mirror, root).await.expect("read"), noise(1 << 20, 1));
        // Even when all of it is old.
        assert!(collect(&store, Duration::ZERO, false).await.expect("done").packs.is_empty());
        assert_eq!(store.clean(Duration::ZERO).await.expect("cleaned"), 0);
        assert_eq!(read(&store, second).await.expect("read"), 3);
        for path in odd {
            assert!(path.symlink_metadata().is_ok(), "{} is gone", path.display());
        }
    });
}

#[test]
fn a_link_to_a_pack_is_the_pack() {
    run(async {
        let (directory, store, root) = stored().await;
        let pack = store.packs().list().try_next().await.expect("listed").expect("one");
        let path = directory.path().join(format!("packs/{}.car", text_of(&pack.name)));
        let elsewhere = directory.path().join("elsewhere");
        fs::rename(&path, &elsewhere).expect("moved");
        symlink(&elsewhere, &path).expect("linked");
        assert_eq!(content(&store, root).await.expect("read"), noise(1 << 20, 1));
        assert!(findings(&store).await.is_empty());
        let listed = store.packs().list().try_next().await.expect("listed").expect("one");
        assert_eq!(listed.size, pack.size);
    });
}

#[test]
fn what_has_the_name_of_an_object_and_is_none_is_an_error() {
    run(async {
        let (directory, store, root) = stored().await;
        let pack = store.packs().list().try_next().await.expect("listed").expect("one");
        let name = text_of(&pack.name);
        let path = directory.path().join(format!("packs/{name}.car"));
        let objects = LocalObjects::new(directory.path());
        let key = Key::new(&format!("packs/{name}.car")).expect("a key");
        let device = |path: &Path| symlink("/dev/zero", path).expect("linked");
        for make in [fifo as fn(&Path), device] {
            fs::remove_file(&path).expect("removed");
            make(&path);
            for error in [
                objects.size(&key).await.expect_err("none"),
                objects.read(&key, 0..1).await.expect_err("none"),
                objects.stream(&key, None).await.err().expect("none"),
                objects.open_file(&key).await.expect_err("none"),
                read(&store, root).await.expect_err("none"),
            ] {
                assert!(error.to_string().contains(&name), "{error}");
            }
            let found = findings(&store).await;
            let is_it = |finding: &Finding| matches!(finding, Finding::UnreadablePack { name, .. } if *name == pack.name);
            assert!(found.iter().any(is_it), "{found:?}");
        }
    });
}
