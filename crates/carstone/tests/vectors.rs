//! Packs made by the independent implementation read as their listings say, at random and front to back.

mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use carstone::encrypt::{ContentKeyBytes, KeySource};
use carstone::keys::Identities;
use carstone::pack::{EntryKind, Event, PackStream};
use carstone::stack;
use serde::Deserialize;

use support::{few_threads, sha256};

#[derive(Deserialize)]
struct Vectors {
    pack: Vec<Pack>,
    broken: Vec<Broken>,
}

#[derive(Deserialize)]
struct Pack {
    name: String,
    file: String,
    content_key: Option<String>,
    identity: Option<String>,
    stored_length: u64,
    pack_id: String,
    layers: Vec<u8>,
    appendices: u32,
    car_length: u64,
    tail_position: u64,
    content_sections: u64,
    content_size: u64,
    root: String,
    entry_count: usize,
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
    path_hex: String,
    mode: Option<u32>,
    mtime: Option<i64>,
    nanos: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    user_hex: Option<String>,
    group_hex: Option<String>,
    #[serde(default)]
    xattrs_hex: Vec<(String, String)>,
    size: Option<u64>,
    sha256: Option<String>,
    target_hex: Option<String>,
}

#[derive(Deserialize)]
struct Broken {
    name: String,
    expect: String,
    bytes: String,
}

#[test]
fn packs_open_to_what_their_listings_say() {
    for pack in packs() {
        let opened = stack::open(pack.stored(), pack.keys(), &few_threads());
        let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", pack.name));
        let reader = opened.pack().expect("a sound pack");
        assert_eq!(pack.stored().len() as u64, pack.stored_length, "{}", pack.name);
        let appended = pack.stored_length - opened.stored.stored_len;
        assert_eq!(appended > 0, pack.appendices > 0, "{}", pack.name);
        assert_eq!(opened.stored.pack_id().to_string(), pack.pack_id);
        let layers: Vec<u8> =
            opened.stored.container.layers.slots().iter().map(|slot| slot.id.0).collect();
        assert_eq!((layers, opened.len()), (pack.layers.clone(), pack.car_length));
        assert_eq!(opened.mark(), Some(pack.tail_position));
        let tail = reader.tail();
        assert_eq!((tail.entries, tail.blocks), (pack.entry_count as u64, pack.content_sections));
        assert_eq!((tail.size, tail.roots[0].to_string()), (pack.content_size, pack.root.clone()));

        let listed = reader.entries().map(|entry| entry.expect("a sound manifest"));
        let announced = listed.filter(|entry| entry.record.is_some()).count();
        assert_eq!(announced, pack.entry_count, "{}", pack.name);
        for entry in &pack.entry {
            let path = bytes(&entry.path_hex);
            let found = reader.find(&path).expect("a sound manifest").expect("it is in the pack");
            let announced = reader.announced(&found).expect("sound").expect("it has a record");
            entry.check(&announced);
            if let Some(digest) = &entry.sha256 {
                let mut content = Vec::new();
                let mut file = reader.open_file(&found).expect("a file");
                std::io::Read::read_to_end(&mut file, &mut content).expect("a sound pack");
                assert_eq!(Some(content.len() as u64), entry.size.or(Some(file.len())));
                assert_eq!(sha256(&content)[..], bytes(digest), "{}", found.path.escape_ascii());
            }
        }
        let mut fault = |finding| panic!("{}: {finding:?}", pack.name);
        reader.verify(&mut |_| {}, &mut fault).expect("a sound pack");
    }
}

#[test]
fn packs_stream_to_what_their_listings_say() {
    for pack in packs() {
        let stored = pack.stored();
        let streamed = stack::stream(stored.as_slice(), pack.keys(), &few_threads());
        let streamed = streamed.unwrap_or_else(|error| panic!("{}: {error}", pack.name));
        let id = streamed.pack_id();
        let mut stream = PackStream::open(streamed, id).expect("a CAR");
        let (mut entries, mut digests, mut tails) = (BTreeMap::new(), BTreeMap::new(), 0);
        while let Some(event) = stream.next().unwrap_or_else(|e| panic!("{}: {e}", pack.name)) {
            match event {
                Event::Entry(entry) => drop(entries.insert(entry.id, entry)),
                Event::End { id, size, sha256: Some(sha256), .. } => {
                    digests.insert(id, (size, sha256));
                }
                Event::Abandoned { id } => drop(entries.remove(&id)),
                Event::Tail(_) => tails += 1,
                _ => {}
            }
        }
        assert_eq!((entries.len(), tails), (pack.entry_count, 1), "{}", pack.name);
        let by_path: BTreeMap<_, _> = entries.values().map(|e| (e.path.clone(), e)).collect();
        for entry in &pack.entry {
            let announced = by_path[&bytes(&entry.path_hex)];
            entry.check(announced);
            if let (Some(digest), EntryKind::File) = (&entry.sha256, announced.kind) {
                let (size, stated) = digests[&announced.id];
                assert_eq!((Some(size), stated.to_vec()), (entry.size, bytes(digest)));
            }
        }
    }
}

#[test]
fn packs_that_break_a_rule_are_refused() {
    let mut unseen = Vec::new();
    for Broken { name, expect, bytes: stored } in vectors().broken {
        let stored = bytes(&stored);
        let opened = check_opened(stored.clone());
        let streamed = check_streamed(&stored);
        let said: Vec<String> = [opened, streamed].into_iter().filter_map(Result::err).collect();
        if said.is_empty() {
            unseen.push(name.clone());
        }
        if expect == "newer" {
            assert!(said.iter().all(|text| text.contains("newer carstone")), "{name}: {said:?}");
        }
    }
    assert!(unseen.is_empty(), "read without a word: {unseen:?}");
}

impl Pack {
    fn stored(&self) -> Vec<u8> {
        std::fs::read(folder().join(&self.file)).expect("the file of a listing is there")
    }

    fn keys(&self) -> impl KeySource {
        let mut identities = Identities::new();
        if let Some(identity) = &self.identity {
            identities.add_identity(identity.parse().expect("an identity"));
        }
        let key = self.content_key.as_deref().map(bytes);
        move |envelope: &[u8]| {
            // With an identity the envelope has to open; else the key is the listing's.
            if !identities.is_empty() {
                return stack::envelope_keys(&identities).content_key(envelope);
            }
            let key = key.as_ref().map(|key| key.as_slice().try_into().expect("32 bytes"));
            Ok(key.map(ContentKeyBytes::new))
        }
    }
}

impl Entry {
    #[track_caller]
    fn check(&self, found: &carstone::pack::Announced) {
        let kind = match self.kind.as_str() {
            "dir" => EntryKind::Directory,
            "file" => EntryKind::File,
            "symlink" => EntryKind::Symlink,
            _ => EntryKind::HardLink,
        };
        let meta = &found.metadata;
        let path = found.path.escape_ascii().to_string();
        assert_eq!(found.kind, kind, "{path}");
        assert_eq!((meta.mode, meta.uid, meta.gid), (self.mode, self.uid, self.gid), "{path}");
        let time = meta.mtime.map(|time| (time.seconds, time.nanos));
        assert_eq!(time, self.mtime.map(|s| (s, self.nanos.unwrap_or(0))), "{path}");
        let hex = |text: &Option<String>| text.as_deref().map(bytes);
        assert_eq!((&meta.user, &meta.group), (&hex(&self.user_hex), &hex(&self.group_hex)));
        let xattrs = self.xattrs_hex.iter().map(|(name, value)| (bytes(name), bytes(value)));
        assert!(meta.xattrs.iter().cloned().eq(xattrs), "{path}");
        assert_eq!(found.target, hex(&self.target_hex), "{path}");
    }
}

fn check_opened(stored: Vec<u8>) -> Result<(), String> {
    let mut first = None;
    let opened = stack::open(stored, &support::KEY, &few_threads()).map_err(text)?;
    let reader = opened.pack().map_err(text)?;
    let mut found = |finding: carstone::pack::Finding| {
        first.get_or_insert(text(finding.error));
    };
    reader.verify(&mut |_| {}, &mut found).map_err(text)?;
    support::read_all(&opened).map_err(|error| error.to_string())?;
    first.map_or(Ok(()), Err)
}

fn check_streamed(stored: &[u8]) -> Result<(), String> {
    support::stream(stored).error.map_or(Ok(()), |error| Err(support::message(&*error)))
}

fn text(error: impl Error + 'static) -> String {
    support::message(&error)
}

/// All packs that this build can read.
fn packs() -> Vec<Pack> {
    let mut packs = vectors().pack;
    if !cfg!(feature = "zstd") {
        packs.retain(|pack| !["zstd", "passphrase"].contains(&pack.name.as_str()));
    }
    assert!(packs.len() > 5);
    packs
}

fn vectors() -> Vectors {
    let text = std::fs::read_to_string(folder().join("packs.toml")).expect("the listings");
    toml::from_str(&text).expect("the listings are TOML")
}

fn folder() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors").into()
}

/// Bytes from hexadecimal digits; white space does not count.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
