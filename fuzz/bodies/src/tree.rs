//! Reads packs whole, at random and front to back, so that the two can be compared.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use carstone::car::{cid_of, codec};
use carstone::layer::{PackId, ReadAt};
use carstone::pack::{
    Announced, EntryKind, Event, Metadata, PackReader, PackStream, StreamOptions,
};
use sha2::{Digest, Sha256};

/// What is compared of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: EntryKind,
    pub(crate) metadata: Metadata,
    /// Content of a file, target of a link.
    pub(crate) body: Vec<u8>,
}

/// Entries by path.
pub(crate) type Tree = BTreeMap<Vec<u8>, Item>;

type Failure = Box<dyn std::error::Error>;

/// Files longer than this are not read: a few leaves that stand in many places make more than anybody can read.
const MOST: u64 = 1 << 22;
const MOST_ENTRIES: usize = 2000;

/// What a reader gives, entry by entry; the first thing that it does not give ends it, after everything else was tried.
pub(crate) fn at_random<R: ReadAt + Clone>(reader: &PackReader<R>) -> (Tree, Option<Failure>) {
    let (mut tree, mut failure) = (Tree::new(), None);
    for entry in reader.entries().take(MOST_ENTRIES) {
        let item = entry.map_err(Failure::from).and_then(|entry| {
            let announced = reader.announced(&entry)?;
            let sha256 = reader.sha256(&entry)?;
            let _ = reader.link(&entry);
            let mut body = entry.target.clone().unwrap_or_default();
            if entry.kind == EntryKind::File {
                let file = reader.open_file(&entry)?;
                let len = file.len();
                file.take(MOST).read_to_end(&mut body)?;
                if len <= MOST {
                    assert_eq!(body.len() as u64, len, "a file is as long as it says");
                }
                if sha256 != Some(Sha256::digest(&body).into()) {
                    return Err("another digest".into());
                }
            }
            // Directories that only paths imply were never announced.
            let Some(announced) = announced else { return Ok(None) };
            assert_eq!(announced.path, entry.path);
            let item = Item { kind: entry.kind, metadata: announced.metadata, body };
            Ok(Some((entry.path, item)))
        });
        match item {
            Ok(Some((path, item))) => drop(tree.insert(path, item)),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
    }
    (tree, failure)
}

/// What came of a stream before it ended.
#[derive(Default)]
pub(crate) struct Streamed {
    pub(crate) tree: Tree,
    pub(crate) failure: Option<Failure>,
    pub(crate) has_tail: bool,
    /// Whether two complete entries had one path.
    pub(crate) has_twins: bool,
}

/// Reads a pack front to back: what it tells comes in the order that it promises.
pub(crate) fn forward(source: impl Read, id: PackId) -> Streamed {
    let mut got = Streamed::default();
    got.failure = got.read(source, id).err();
    got
}

impl Streamed {
    fn read(&mut self, source: impl Read, id: PackId) -> Result<(), Failure> {
        let options = StreamOptions::default().threads(1);
        let mut pack = PackStream::with_options(source, id, options)?;
        let mut open = HashMap::<u64, (Announced, Vec<u8>)>::new();
        let (mut ids, mut leaves, mut spent) = (HashSet::new(), HashMap::new(), 0);
        while let Some(event) = pack.next()? {
            assert!(!self.has_tail, "the tail is the last that is told");
            let mut put = |id: u64, offset: u64, data: &[u8]| {
                let (_, body) = open.get_mut(&id).expect("content comes after its entry");
                assert_eq!(body.len() as u64, offset, "content comes in order");
                body.extend_from_slice(data);
                spent += data.len() as u64;
            };
            match event {
                Event::Entry(entry) => {
                    assert!(ids.insert(entry.id), "an entry is announced once");
                    match entry.kind {
                        EntryKind::File => drop(open.insert(entry.id, (entry, Vec::new()))),
                        _ => {
                            let target = entry.target.clone().unwrap_or_default();
                            self.complete(entry, target);
                        }
                    }
                }
                Event::Leaf { cid, data, uses } => {
                    assert_eq!(cid, cid_of(codec::RAW, &data), "a leaf is verified");
                    uses.iter().for_each(|place| put(place.id, place.offset, &data));
                    leaves.insert(cid, data);
                }
                Event::Reuse { id, offset, cid, len } => {
                    let data = leaves.get(&cid).expect("the leaf came before");
                    if len.is_some_and(|len| len != data.len() as u64) {
                        return Err("another length".into());
                    }
                    put(id, offset, data);
                }
                Event::End { id, size, sha256, .. } => {
                    let (entry, body) = open.remove(&id).expect("an end comes after its entry");
                    if (body.len() as u64, sha256) != (size, Some(Sha256::digest(&body).into())) {
                        return Err("another digest".into());
                    }
                    self.complete(entry, body);
                }
                Event::Abandoned { id } => {
                    open.remove(&id).expect("an entry is given up after it was announced");
                }
                Event::Tail(_) => self.has_tail = true,
                other => panic!("{other:?}"),
            }
            if spent > MOST {
                return Err("too much".into());
            }
        }
        Ok(())
    }

    fn complete(&mut self, entry: Announced, body: Vec<u8>) {
        let item = Item { kind: entry.kind, metadata: entry.metadata, body };
        self.has_twins |= self.tree.insert(entry.path, item).is_some();
    }

    /// Whether it came to a good end.
    pub(crate) fn is_whole(&self) -> bool {
        self.failure.is_none() && self.has_tail
    }
}
