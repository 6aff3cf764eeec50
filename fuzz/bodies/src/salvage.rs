//! Damaged packs, put together again: what comes out is right, and each file is told to be complete or not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};

use carstone::car::{cid_of, codec};
use carstone::layer::{Cause, FailSafeRead, Gap, LayerId, Report};
use carstone::pack::{Announced, EntryKind, Event};
use carstone::repair::{Item as Told, Salvage, SalvageOptions};
use sha2::{Digest, Sha256};

use crate::built::{self, PACK};
use crate::input::Input;
use crate::tree::{Item, Tree, forward};

/// What was salvaged.
#[derive(Default)]
pub(crate) struct Salvaged {
    /// Complete entries whose content has the digest that was stated.
    pub(crate) tree: Tree,
    /// Leaves by offset of files that are not complete.
    pub(crate) partial: BTreeMap<Vec<u8>, BTreeMap<u64, Vec<u8>>>,
    /// Whether anything was damaged, missing or contradictory.
    pub(crate) is_damaged: bool,
}

/// Packs that are built section by section, some with a hole.
pub fn built(data: &[u8]) {
    let mut input = Input::new(data);
    let pack = built::build(&mut input);
    let sound = forward(&pack.bytes[..], PACK);
    let hole = match input.one_in(2) {
        true => input.below(pack.bytes.len()),
        false => pack.bytes.len(),
    };
    let end = (hole + 1 + input.below(300)).min(pack.bytes.len());
    let prefix = hole + input.below(end - hole + 1);
    let starts = section_starts(&pack.bytes);
    let holes = Holes { bytes: &pack.bytes, at: 0, hole, end, prefix, unchecked: 0..0, starts };
    let options = SalvageOptions::default().threads(1);
    let Some(salvaged) = read(Salvage::new(holes, PACK, &options)) else { return };
    if hole == pack.bytes.len() && sound.is_whole() && !sound.has_twins {
        // A manifest may lie, and add to it.
        for (path, item) in &sound.tree {
            assert_eq!(salvaged.tree.get(path), Some(item), "a sound stream is salvaged whole");
        }
    }
}

/// Reads everything; `None` where the pack needs a newer reader.
pub(crate) fn read<R: FailSafeRead>(mut salvage: Salvage<R>) -> Option<Salvaged> {
    let mut salvaged = Salvaged::default();
    let mut open = HashMap::<u64, Announced>::new();
    let mut pieces = HashMap::<u64, BTreeMap<u64, Vec<u8>>>::new();
    let (mut ids, mut leaves, mut spent) = (HashSet::new(), HashMap::new(), 0);
    loop {
        let event = match salvage.next() {
            Ok(Some(Told::Event(event))) => event,
            Ok(Some(_)) => {
                salvaged.is_damaged = true;
                continue;
            }
            Ok(None) => break,
            Err(_) => return None,
        };
        let mut put = |id: u64, offset: u64, data: &[u8]| {
            assert!(open.contains_key(&id), "content comes after its entry, and before its end");
            spent += data.len();
            if spent < MOST {
                pieces.entry(id).or_default().insert(offset, data.to_vec());
            }
        };
        match event {
            Event::Entry(entry) => {
                assert!(ids.insert(entry.id), "an entry is announced once");
                match entry.kind {
                    EntryKind::File => drop(open.insert(entry.id, entry)),
                    _ => {
                        let body = entry.target.clone().unwrap_or_default();
                        salvaged.complete(entry, body);
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
                assert_eq!(len, Some(data.len() as u64));
                put(id, offset, data);
            }
            Event::End { id, size, sha256, .. } => {
                let entry = open.remove(&id).expect("an end comes after its entry, and once");
                let body = pieces.remove(&id).unwrap_or_default().into_values();
                let body: Vec<u8> = body.flatten().collect();
                let is_stated = sha256.is_none_or(|stated| stated[..] == Sha256::digest(&body)[..]);
                if body.len() as u64 == size && is_stated {
                    salvaged.complete(entry, body);
                } else {
                    salvaged.is_damaged = true;
                }
            }
            Event::Incomplete { id, missing, .. } => {
                let entry = open.remove(&id).expect("an end comes after its entry, and once");
                assert!(missing.is_sorted_by(|a, b| a.end < b.start), "{missing:?}");
                salvaged.is_damaged = true;
                salvaged.partial.insert(entry.path, pieces.remove(&id).unwrap_or_default());
            }
            Event::Abandoned { id } => {
                open.remove(&id).expect("an entry is given up after it was announced");
                pieces.remove(&id);
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "each file is complete or not");
    Some(salvaged)
}

impl Salvaged {
    fn complete(&mut self, entry: Announced, body: Vec<u8>) {
        let item = Item { kind: entry.kind, metadata: entry.metadata, body };
        self.tree.entry(entry.path).or_insert(item);
    }

    /// Nothing came out that was not put in. Metadata of entries whose batch is lost are fewer, and where directories alone tell of an entry, a hard
    /// link is a file with the content of its original.
    pub(crate) fn check(&self, all: &Tree) {
        let file = |path: &[u8]| {
            all.get(path).and_then(|there| match there.kind {
                EntryKind::HardLink => all.get(&there.body),
                _ => Some(there),
            })
        };
        for (path, item) in &self.tree {
            let there = match item.kind {
                EntryKind::File => file(path),
                _ => all.get(path),
            };
            let there = there.map(|there| (there.kind, &there.body));
            assert_eq!(Some((item.kind, &item.body)), there, "{}", path.escape_ascii());
        }
        for (path, pieces) in &self.partial {
            let there = file(path).expect("an entry that was put in");
            for (offset, piece) in pieces {
                let start = usize::try_from(*offset).expect("an offset in a small file");
                let due = there.body.get(start..start + piece.len());
                assert_eq!(due, Some(&piece[..]), "{} at {offset}", path.escape_ascii());
            }
        }
    }
}

/// A stream with one hole, the beginning of which can still be read.
struct Holes<'a> {
    bytes: &'a [u8],
    at: usize,
    hole: usize,
    end: usize,
    prefix: usize,
    unchecked: std::ops::Range<usize>,
    starts: Vec<u64>,
}

impl Read for Holes<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let end = if self.at <= self.hole { self.hole } else { self.bytes.len() };
        let n = (&self.bytes[self.at..end]).read(buf)?;
        self.at += n;
        Ok(n)
    }
}

impl FailSafeRead for Holes<'_> {
    fn position(&self) -> u64 {
        self.at as u64
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        if self.at != self.hole || self.hole == self.bytes.len() {
            return Ok(None);
        }
        let len = (self.end - self.hole) as u64;
        (self.unchecked, self.at) = (self.hole..self.prefix, self.end);
        Ok(Some(Gap::new(LayerId::POSITION, self.hole as u64, Some(len), Cause::Truncated)))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        self.starts.iter().find(|&&start| start >= self.at as u64).copied()
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (&self.bytes[self.unchecked.clone()]).read(buf)?;
        self.unchecked.start += n;
        Ok(n)
    }

    fn drain_report(&mut self, _: &mut Report) {}
}

fn section_starts(bytes: &[u8]) -> Vec<u64> {
    let Ok(car) = carstone::car::CarSlice::parse(bytes) else { return Vec::new() };
    let sections = car.blocks().map_while(Result::ok);
    sections.map(|(section, _)| section.offset).collect()
}

/// Bytes of content that are put together: a few leaves that stand in many places make more than anybody can hold.
const MOST: usize = 1 << 22;
