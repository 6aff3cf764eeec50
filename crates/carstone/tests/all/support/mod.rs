//! Makes packs of every combination of layers, and reads them back whole in both ways.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{self, Read, Write};

use carstone::car::{cid_of, codec};
use carstone::compress::Codec;
use carstone::layer::PackId;
use carstone::pack::{
    Announced, EntryKind, Event, Metadata, PackOptions, PackReader, PackStream, PackWriter,
    StreamOptions, Timestamp,
};
use carstone::repair::Item as Salvaged;
use carstone::stack::{
    self, OpenOptions, Opened, Protection, SharedSource, StackWriter, WriteOptions,
};

pub const KEY: [u8; 32] = [0x4b; 32];
pub const ID: PackId = PackId::from_bytes([0x1d; 16]);

/// Layers of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    pub encrypted: bool,
    pub codec: Option<Codec>,
}

impl Layers {
    /// Every legal combination.
    pub fn all() -> Vec<Self> {
        let codecs = [
            None,
            Some(Codec::Stored),
            Some(Codec::Brotli(1)),
            #[cfg(feature = "zstd")]
            Some(Codec::Zstd(1)),
        ];
        let with = |encrypted| codecs.iter().map(move |&codec| Self { encrypted, codec });
        with(false).chain(with(true)).collect()
    }

    /// Options with a fixed pack id, and frames so small that a small pack has several.
    pub fn options(self) -> WriteOptions {
        let mut options = WriteOptions::default().danger_pack_id(ID).block_size(64 << 10);
        options = match self.codec {
            Some(codec) => options.codec(codec),
            None => options.without_compression(),
        };
        match self.encrypted {
            true => options.protection(Protection::content_key(KEY)),
            false => options,
        }
    }
}

/// What an entry is, with all that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: EntryKind,
    pub mode: Option<u32>,
    pub mtime: Option<Timestamp>,
    /// Content of a file, target of a link.
    pub body: Vec<u8>,
}

/// Entries by path.
pub type Tree = BTreeMap<Vec<u8>, Item>;

/// A tree with all kinds of entries: directories, links, files of no, one and several chunks, and content that stands twice.
pub fn sample() -> Tree {
    let mut tree = Tree::new();
    let mut add = |path: &[u8], kind, body: &[u8]| {
        let mtime = Timestamp { seconds: 1_700_000_000 - path.len() as i64, nanos: 5 };
        let item = Item { kind, mode: Some(0o640), mtime: Some(mtime), body: body.to_vec() };
        tree.insert(path.to_vec(), item);
    };
    add(b"d", EntryKind::Directory, b"");
    add(b"d/empty", EntryKind::Directory, b"");
    add(b"d/long", EntryKind::File, &content(1, (2 << 20) + 77));
    add(b"d/nothing", EntryKind::File, b"");
    add(b"d/odd \xff\n", EntryKind::File, &content(2, 100_000));
    add(b"d/text", EntryKind::File, &b"bed upon bed, ".repeat(20_000));
    add(b"d/text again", EntryKind::File, &b"bed upon bed, ".repeat(20_000));
    add(b"d/to long", EntryKind::HardLink, b"d/long");
    add(b"d/to nowhere", EntryKind::Symlink, b"../nowhere");
    tree
}

/// A tree whose pack is small in every combination of layers.
pub fn tiny() -> Tree {
    let file =
        |body: &[u8]| Item { kind: EntryKind::File, mode: None, mtime: None, body: body.to_vec() };
    Tree::from([(b"a".to_vec(), file(b"sand")), (b"b".to_vec(), file(b"silt"))])
}

/// Writes `tree` into `pipe`, path by path, and gives the pipe back.
pub fn fill<'a, S>(
    pipe: StackWriter<'a, S>,
    tree: &Tree,
    threads: usize,
) -> io::Result<StackWriter<'a, S>> {
    let id = pipe.pack_id();
    let mut writer = PackWriter::with_options(pipe, id, PackOptions::default().threads(threads))?;
    let mut ids = HashMap::new();
    for (path, item) in tree {
        let mut metadata = Metadata::default();
        (metadata.mode, metadata.mtime) = (item.mode, item.mtime);
        let entry = match item.kind {
            EntryKind::Directory => writer.add_directory(path, metadata)?,
            EntryKind::Symlink => writer.add_symlink(path, &item.body, metadata)?,
            EntryKind::HardLink => {
                writer.add_hard_link(path, ids[&item.body], &item.body, metadata)?
            }
            _ => writer.add_file(path, metadata, item.body.as_slice())?,
        };
        writer.expect_hard_links(entry);
        ids.insert(path.clone(), entry);
    }
    Ok(writer.finish()?.0)
}

/// The pack of `tree` in memory.
pub fn pack(tree: &Tree, options: WriteOptions, threads: usize) -> Vec<u8> {
    write_to(Vec::new(), tree, options, threads).expect("memory takes every byte")
}

/// Writes the pack of `tree` to `sink`.
pub fn write_to<S: Write + Send>(
    sink: S,
    tree: &Tree,
    options: WriteOptions,
    threads: usize,
) -> io::Result<S> {
    fill(stack::write(sink, options.threads(threads))?, tree, threads)?.finish()
}

/// Opens a sound pack.
#[track_caller]
pub fn open(stored: &[u8]) -> Opened {
    stack::open(stored.to_vec(), &KEY, &few_threads()).expect("a sound pack")
}

/// All entries of an open pack, every file read to its end.
pub fn read_all(opened: &Opened) -> Result<Tree, Box<dyn Error + Send + Sync>> {
    let pack = opened.pack()?;
    let mut tree = Tree::new();
    for entry in pack.entries() {
        let entry = entry?;
        // Directories that only paths imply were never written.
        let Some(announced) = pack.announced(&entry)? else { continue };
        let mut body = entry.target.clone().unwrap_or_default();
        if entry.kind == EntryKind::File {
            pack.open_file(&entry)?.read_to_end(&mut body)?;
            let stated = pack.sha256(&entry)?.ok_or("a file has no digest")?;
            assert_eq!(stated, sha256(&body), "{}", entry.path.escape_ascii());
        }
        assert_eq!((entry.mode, entry.mtime), (announced.metadata.mode, announced.metadata.mtime));
        let item = Item { kind: entry.kind, mode: entry.mode, mtime: entry.mtime, body };
        tree.insert(entry.path, item);
    }
    Ok(tree)
}

/// What a forward reader got before the stream ended.
#[derive(Debug, Default)]
pub struct Streamed {
    /// Entries that were complete, each file checked against its SHA-256.
    pub tree: Tree,
    /// Where in the CAR stream each of them was complete.
    pub ends: BTreeMap<Vec<u8>, u64>,
    /// The error that ended it.
    pub error: Option<Box<dyn Error + Send + Sync>>,
    /// Whether the tail record came.
    pub tail: bool,
}

/// Reads a pack front to back.
pub fn stream(source: impl Read + Send) -> Streamed {
    let mut got = Streamed::default();
    got.error = got.read(source).err();
    got
}

impl Streamed {
    fn read(&mut self, source: impl Read + Send) -> Result<(), Box<dyn Error + Send + Sync>> {
        let streamed = stack::stream(source, &KEY, &few_threads())?;
        let id = streamed.pack_id();
        let mut pack = PackStream::with_options(streamed, id, StreamOptions::default().threads(1))?;
        let (mut files, mut leaves) = (HashMap::<u64, (Announced, Vec<u8>)>::new(), HashMap::new());
        while let Some(event) = pack.next()? {
            let mut put = |id: u64, offset: u64, data: &[u8]| {
                let (_, body) = files.get_mut(&id).expect("content comes after its entry");
                assert_eq!(body.len() as u64, offset, "content comes in order");
                body.extend_from_slice(data);
            };
            match event {
                Event::Entry(entry) if entry.kind == EntryKind::File => {
                    files.insert(entry.id, (entry, Vec::new()));
                }
                Event::Entry(entry) => {
                    let target = entry.target.clone().unwrap_or_default();
                    self.complete(entry, target, pack.position());
                }
                Event::Leaf { cid, data, uses } => {
                    uses.iter().for_each(|place| put(place.id, place.offset, &data));
                    leaves.insert(cid, data);
                }
                Event::Reuse { id, offset, cid, .. } => put(id, offset, &leaves[&cid]),
                Event::End { id, size, sha256: stated, .. } => {
                    let (entry, body) = files.remove(&id).expect("an end comes after its entry");
                    if (body.len() as u64, Some(sha256(&body))) != (size, stated) {
                        return Err("the content does not match its end record".into());
                    }
                    self.complete(entry, body, pack.position());
                }
                Event::Tail(_) => self.tail = true,
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }

    fn complete(&mut self, entry: Announced, body: Vec<u8>, position: u64) {
        let (mode, mtime) = (entry.metadata.mode, entry.metadata.mtime);
        let item = Item { kind: entry.kind, mode, mtime, body };
        self.ends.insert(entry.path.clone(), position);
        assert!(self.tree.insert(entry.path, item).is_none(), "an entry is complete once");
    }
}

/// Files that come out of a damaged pack complete, and their content.
pub fn salvage_files(stored: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut salvage = stack::salvage(stored, &KEY, &few_threads()).expect("a container");
    let (mut paths, mut leaves) = (HashMap::new(), HashMap::<_, Vec<u8>>::new());
    let mut pieces: HashMap<u64, BTreeMap<u64, Vec<u8>>> = HashMap::new();
    let mut complete = BTreeMap::new();
    while let Some(item) = salvage.next().expect("memory can be read") {
        let Salvaged::Event(event) = item else { continue };
        match event {
            Event::Entry(entry) => drop(paths.insert(entry.id, entry.path)),
            Event::Leaf { cid, data, uses } => {
                for place in uses {
                    pieces.entry(place.id).or_default().insert(place.offset, data.clone());
                }
                leaves.insert(cid, data);
            }
            Event::Reuse { id, offset, cid, .. } => {
                pieces.entry(id).or_default().insert(offset, leaves[&cid].clone());
            }
            Event::End { id, size, sha256: stated, .. } => {
                let body: Vec<u8> =
                    pieces.remove(&id).unwrap_or_default().into_values().flatten().collect();
                assert_eq!(body.len() as u64, size);
                assert!(stated.is_none_or(|stated| stated == sha256(&body)));
                complete.insert(paths.remove(&id).expect("an end comes after its entry"), body);
            }
            _ => {}
        }
    }
    complete
}

/// The message of an error and of all its causes.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Many stacks are opened in a row; threads would only be started and ended.
pub fn few_threads() -> OpenOptions {
    OpenOptions::default().threads(1)
}

/// A pack reader that threads may share.
pub type Pack = PackReader<SharedSource>;

/// SHA-256, as the raw leaf with this content has it in its CID.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    cid_of(codec::RAW, data).hash().digest().try_into().expect("SHA-256 has 32 bytes")
}

/// Makes the checksums of a trailer fit.
pub fn seal_trailer(trailer: &mut [u8]) {
    let digest = carstone::layer::digest16(&[&trailer[..272]]);
    trailer[272..288].copy_from_slice(&digest);
    let crc = carstone::layer::crc64(&[&trailer[..288]]);
    trailer[288..296].copy_from_slice(&crc.to_le_bytes());
}

/// Seeded bytes that do not repeat.
pub fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A frame in stored bytes.
#[derive(Clone, Copy, Debug)]
pub struct StoredFrame {
    pub at: usize,
    pub kind: u8,
    pub plain_len: usize,
    pub stored_len: usize,
}

impl StoredFrame {
    pub fn end(&self) -> usize {
        self.at + 96 + self.stored_len
    }
}

/// The frames of a layer's sound stored stream, found by their stated lengths.
pub fn frames(stored: &[u8]) -> Vec<StoredFrame> {
    let (mut at, mut frames) = (0, Vec::new());
    while let Some(header) = stored.get(at..).and_then(|rest| rest.first_chunk::<96>()) {
        let number = |from: usize| {
            let bytes = header[from..].first_chunk().expect("the header is 96 bytes long");
            u32::from_le_bytes(*bytes) as usize
        };
        let frame =
            StoredFrame { at, kind: header[14], plain_len: number(56), stored_len: number(60) };
        frames.push(frame);
        at = frame.end();
    }
    assert_eq!(at, stored.len(), "frames fill the stream");
    frames
}

/// An appendix of a kind that nobody knows.
pub fn appendix(content: &[u8]) -> Vec<u8> {
    let len = 128 + content.len() as u64;
    let mut body = [0; 48];
    body[..4].copy_from_slice(&1000_u32.to_le_bytes());
    body[8..16].copy_from_slice(&len.to_le_bytes());
    let sum = carstone::layer::crc64(&[&body]).to_le_bytes();
    [b"\x89CSTa\r\n\x1a", &body[..], &sum, content, &body, &sum, b"\x1a\n\raTSC\x89"].concat()
}
