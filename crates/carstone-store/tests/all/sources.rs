//! Blobs that lie outside of the store, or in the index itself.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use carstone_car::{Cid, cid_of, codec};
use carstone_store::{
    Blob, ErrorKind, Fetch, Found, Key, LocalObjects, Location, MemoryScheduler, SegmentBuilder,
    Source, SourceReader, Store, index_scheduled,
};
use futures::TryStreamExt;

/// Gives parts of a text, or something else.
#[derive(Debug)]
struct Text(&'static [u8], Answer);

#[derive(Debug)]
enum Answer {
    Right,
    Short,
    Wrong,
    Fails,
}

#[async_trait::async_trait]
impl Fetch for Text {
    async fn fetch(&self, url: &str, range: Range<u64>) -> io::Result<Bytes> {
        assert_eq!(url, "https://host/text");
        let part = &self.0[range.start as usize..range.end as usize];
        match self.1 {
            Answer::Right => Ok(Bytes::from_static(part)),
            Answer::Short => Ok(Bytes::from_static(&part[1..])),
            Answer::Wrong => Ok(part.iter().rev().copied().collect()),
            Answer::Fails => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn foreign(text: &str) -> Location {
    Location::Foreign { text: text.to_owned(), size: 0 }
}

fn source(text: &str, offset: u64, len: u64) -> Source {
    Source::Place(Found::new(foreign(text), codec::RAW, offset, len))
}

fn keystone() -> Cid {
    cid_of(codec::RAW, b"keystone")
}

#[tokio::test]
async fn what_a_url_gives_is_verified() {
    let read = |answer| async {
        let sources = SourceReader::new().fetcher(Arc::new(Text(b"a keystone", answer)));
        sources.read(keystone().hash(), &source("https://host/text", 2, 8)).await
    };
    assert_eq!(&read(Answer::Right).await.expect("right")[..], b"keystone");
    let error = read(Answer::Short).await.expect_err("short");
    assert!(matches!(error.kind(), ErrorKind::Short { expected: 8, found: 7 }));
    let error = read(Answer::Wrong).await.expect_err("wrong");
    assert!(error.is_malformed(), "{error}");
    assert_eq!((error.object(), error.offset()), (Some("https://host/text"), Some(2)));
    let error = read(Answer::Fails).await.expect_err("fails");
    assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error}");
}

#[tokio::test]
async fn a_path_stays_below_its_directory() {
    let directory = tempfile::tempdir().expect("room");
    let below = directory.path().join("below");
    std::fs::create_dir_all(below.join("more")).expect("room");
    for path in ["secret", "below/more/file"] {
        std::fs::write(directory.path().join(path), b"keystone").expect("room");
    }
    let sources = SourceReader::new().paths(Arc::new(LocalObjects::new(&below)));
    let read = |path: String| {
        let sources = sources.clone();
        async move { sources.read(keystone().hash(), &source(&path, 0, 8)).await }
    };
    assert_eq!(&read("more/file".to_owned()).await.expect("there")[..], b"keystone");
    let absolute = directory.path().join("secret").display().to_string();
    for path in ["../secret", "more/../../secret", &absolute, "./more/file", ""] {
        let error = read(path.to_owned()).await.expect_err(path);
        assert!(matches!(error.kind(), ErrorKind::BadKey(_)), "{path}: {error}");
    }
    assert!(read("nothing".to_owned()).await.expect_err("none").is_not_found());
}

#[tokio::test]
async fn what_an_index_holds_is_verified_too() {
    let (sources, hash) = (SourceReader::new(), *keystone().hash());
    let held = |text: &'static str| Source::Inline(Bytes::from_static(text.as_bytes()));
    assert_eq!(&sources.read(&hash, &held("keystone")).await.expect("right")[..], b"keystone");
    assert!(sources.read(&hash, &held("another")).await.expect_err("wrong").is_malformed());
    // The next one is taken.
    let all = [held("another"), source("https://host/text", 0, 1), held("keystone")];
    assert_eq!(
        sources.read_any(&hash, &all).await.expect("right").as_deref(),
        Some(&b"keystone"[..])
    );
    let error = sources.read_any(&hash, &all[..2]).await.expect_err("none is right");
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    assert_eq!(sources.read_any(&hash, &[]).await.expect("none"), None);
    let large = Source::Place(Found::new(foreign("x"), codec::RAW, 0, 1 << 30));
    assert!(sources.read(&hash, &large).await.expect_err("too large").is_malformed());
}

#[tokio::test]
async fn a_store_gives_what_lies_outside_of_it() {
    let store = Store::in_memory().await.expect("made");
    let mut builder = SegmentBuilder::new();
    // The first place is not whole.
    builder.add_blob(&keystone(), &foreign("nowhere"), 0, 8).expect("in bounds");
    builder.add_blob(&keystone(), &foreign("https://host/text"), 2, 8).expect("in bounds");
    store.index().add(builder).await.expect("kept");
    let error = store.block(&keystone()).await.expect_err("nothing reads it");
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    let sources = SourceReader::new().fetcher(Arc::new(Text(b"a keystone", Answer::Right)));
    let store = store.with_sources(sources);
    let block = store.block(&keystone()).await.expect("there");
    assert_eq!(block.as_deref(), Some(&b"keystone"[..]));
}

/// Files are indexed where they lie: whole DAGs come out, with the roots that they have when they are put, and nothing of a file that was changed.
#[test]
fn files_are_indexed_where_they_lie() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(async {
        let directory = tempfile::tempdir().expect("made");
        let sizes = [0_usize, 1, 1000, 1001, 9_000, 25_000];
        for size in sizes {
            let path = directory.path().join(format!("file-{size}"));
            std::fs::write(path, crate::packs::noise(size, 1 + size as u64)).expect("written");
        }
        let files = Arc::new(LocalObjects::new(directory.path()));
        let sources = SourceReader::new().paths(files.clone());
        let store = Store::in_memory().await.expect("made").with_sources(sources);
        let profile = carstone_unixfs::Profile::default().with_chunk_size(1000).expect("fine");
        let profile = profile.with_width(4).expect("fine");
        let keys = sizes.map(|size| Key::new(&format!("file-{size}")).expect("a key"));
        let missing = Key::new("missing").expect("a key");
        let scheduler = MemoryScheduler::new(keys.into_iter().chain([missing]));
        let placed: Vec<_> = index_scheduled(&store, files, &scheduler, &profile, 3)
            .try_collect()
            .await
            .expect("all had their turn");
        assert_eq!(placed.len(), sizes.len() + 1);
        let copied = Store::in_memory().await.expect("made");
        for placed in placed {
            let path = directory.path().join(placed.file.as_str());
            let Ok(content) = std::fs::read(&path) else {
                assert!(placed.root.expect_err("missing").is_not_found());
                continue;
            };
            let root = placed.root.expect("indexed");
            let options = carstone_store::PackWriterOptions::default().profile(profile.clone());
            let put = copied.put(Blob::bytes(content.clone()), options).await.expect("put");
            assert_eq!(root, put.root);
            let given = crate::support::content(&store, root).await.expect("sound");
            assert_eq!(given, content);
            // Nodes alone were copied.
            let packs: u64 = store
                .containing(root.hash())
                .await
                .expect("known")
                .iter()
                .filter(|location| location.pack().is_some())
                .map(carstone_store::Location::size)
                .sum();
            assert!(packs < 4000, "{packs}");
            if content.len() > 1000 {
                std::fs::write(&path, vec![7; content.len()]).expect("changed");
                let changed: carstone_store::Result<Vec<_>> = store
                    .stream(root, carstone_store::StreamOptions::default())
                    .try_collect()
                    .await;
                assert!(changed.is_err_and(|error| error.is_malformed()), "the file was changed");
            }
        }
    });
}
