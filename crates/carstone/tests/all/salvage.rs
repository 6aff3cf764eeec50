//! Damaged packs of every combination of layers: all that is intact comes out, and nothing wrong does.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;

use crate::support::{
    self, Item, KEY, Layers, Tree, content, few_threads, frames, open, pack, sample, sha256, tiny,
};
use carstone::car::{CarSlice, cid_of, codec};
use carstone::compress::Codec;
use carstone::layer::{PackId, ReadAt};
use carstone::pack::{Announced, EntryKind, Event};
use carstone::repair::Item as Told;
use carstone::stack::{self, WriteOptions};

/// What was salvaged of a pack.
#[derive(Default)]
pub struct Salvaged {
    pub tree: Tree,
    /// Leaves by offset of files that are not complete.
    partial: BTreeMap<Vec<u8>, BTreeMap<u64, Vec<u8>>>,
    pub gaps: usize,
    pub faults: usize,
}

pub fn salvage(stored: &[u8]) -> Option<Salvaged> {
    Some(told(stack::salvage(stored, &KEY, &few_threads()).ok()?))
}

/// The same for a file, which may lack its container header.
fn salvage_at(stored: Vec<u8>) -> Salvaged {
    let salvage = stack::salvage_at(stored, &KEY, &few_threads(), &mut |_| ());
    told(salvage.expect("a pack").0)
}

fn told(mut salvage: stack::Salvaged<'_>) -> Salvaged {
    let mut salvaged = Salvaged::default();
    let (mut files, mut leaves) = (HashMap::<u64, Announced>::new(), HashMap::new());
    let mut pieces: HashMap<u64, BTreeMap<u64, Vec<u8>>> = HashMap::new();
    while let Some(told) = salvage.next().expect("memory does not fail") {
        let event = match told {
            Told::Event(event) => event,
            Told::Gap(_) => {
                salvaged.gaps += 1;
                continue;
            }
            _ => {
                salvaged.faults += 1;
                continue;
            }
        };
        match event {
            Event::Entry(entry) if entry.kind == EntryKind::File => {
                files.insert(entry.id, entry);
            }
            Event::Entry(entry) => {
                let body = entry.target.clone().unwrap_or_default();
                salvaged.complete(entry, body);
            }
            Event::Leaf { cid, data, uses } => {
                for place in uses {
                    pieces.entry(place.id).or_default().insert(place.offset, data.clone());
                }
                leaves.insert(cid, data);
            }
            Event::Reuse { id, offset, cid, .. } => {
                let data: &Vec<u8> = &leaves[&cid];
                pieces.entry(id).or_default().insert(offset, data.clone());
            }
            Event::End { id, size, sha256: stated, .. } => {
                let entry = files.remove(&id).expect("an end comes after its entry");
                let body = pieces.remove(&id).unwrap_or_default().into_values().flatten();
                let body: Vec<u8> = body.collect();
                assert_eq!(body.len() as u64, size);
                assert!(stated.is_none_or(|stated| stated == sha256(&body)));
                salvaged.complete(entry, body);
            }
            Event::Incomplete { id, .. } => {
                let entry = files.remove(&id).expect("told once");
                salvaged.partial.insert(entry.path, pieces.remove(&id).unwrap_or_default());
            }
            _ => {}
        }
    }
    assert!(files.is_empty(), "each file is told to be complete or not");
    salvaged
}

impl Salvaged {
    fn complete(&mut self, entry: Announced, body: Vec<u8>) {
        let (mode, mtime) = (entry.metadata.mode, entry.metadata.mtime);
        let item = Item { kind: entry.kind, mode, mtime, body };
        assert!(self.tree.insert(entry.path, item).is_none(), "an entry is complete once");
    }

    /// Nothing that is given differs from the original.
    #[track_caller]
    pub fn assert_right(&self, original: &Tree, place: &str) {
        for (path, item) in &self.tree {
            let there = original.get(path).unwrap_or_else(|| panic!("{place}: an unknown entry"));
            assert_eq!((item.kind, &item.body), (there.kind, &there.body), "{place}");
        }
        for (path, came) in &self.partial {
            for (offset, piece) in came {
                let range = *offset as usize..*offset as usize + piece.len();
                assert_eq!(original[path].body.get(range), Some(&piece[..]), "{place}");
            }
        }
    }
}

#[test]
fn a_sound_pack_has_no_gaps() {
    for layers in Layers::all() {
        let salvaged = salvage(&pack(&sample(), layers.options(), 2)).expect("a pack");
        assert!(salvaged.tree == sample(), "{layers:?}");
        assert!(salvaged.partial.is_empty(), "{layers:?}");
        assert_eq!((salvaged.gaps, salvaged.faults), (0, 0), "{layers:?}");
    }
}

#[test]
fn a_pack_may_be_cut_anywhere() {
    for layers in Layers::all() {
        let stored = pack(&tiny(), layers.options(), 1);
        for at in 0..stored.len() {
            let Some(salvaged) = salvage(&stored[..at]) else { continue };
            salvaged.assert_right(&tiny(), &format!("{layers:?} cut at {at}"));
            let told = salvaged.gaps + salvaged.faults > 0;
            // All but a part of the trailer is no more than that.
            assert!(told || at >= stored.len() - 304, "{layers:?} cut at {at}");
        }
    }
}

/// A tree of many small files in several blocks, and a large one.
fn many() -> Tree {
    let file = |body| Item { kind: EntryKind::File, mode: None, mtime: None, body };
    let mut tree: Tree = (0..300)
        .map(|n| (format!("s/{n:03}").into_bytes(), file(content(n, 900 + n as usize))))
        .collect();
    tree.insert(b"large".to_vec(), file(content(1000, 3_500_000)));
    tree
}

#[test]
fn damage_costs_what_it_hits() {
    let tree = many();
    for layers in Layers::all() {
        let stored = pack(&tree, layers.options(), 2);
        let sound = Sound::new(layers, &tree, &stored);
        let places = content(77, 8 * 40);
        for (n, place) in places.chunks_exact(8).enumerate() {
            let number = u64::from_le_bytes(place.try_into().expect("8 bytes"));
            let at = 256 + number as usize % (stored.len() - 8_192);
            let mut damaged = stored.clone();
            match n % 4 {
                0 => damaged[at..at + 4_096].fill(0),
                1 => damaged.insert(at, 0x55),
                2 => drop(damaged.remove(at)),
                _ => {
                    let copy = damaged[at..at + 4_096].to_vec();
                    damaged.splice(at..at, copy);
                }
            }
            let salvaged = salvage(&damaged).expect("the container header is there");
            let place = format!("{layers:?}, damage {n} at {at} of {}", stored.len());
            salvaged.assert_right(&tree, &place);
            let width = if n % 4 == 0 { 4_096 } else { 1 };
            let Some(hit) = sound.hit(at..at + width) else { continue };
            for (path, leaves) in &sound.leaves {
                let is_hit = leaves.iter().any(|leaf| leaf.start < hit.end && hit.start < leaf.end);
                assert!(
                    is_hit || salvaged.tree.contains_key(path),
                    "{place}: {} is lost",
                    path.escape_ascii()
                );
            }
        }
    }
}

/// A sound pack, and where in it things stand.
struct Sound {
    layers: Layers,
    outer: Vec<u8>,
    /// The stored stream inside of the encryption layer.
    inner: Vec<u8>,
    /// Of each file, the sections of the CAR stream that hold its leaves.
    leaves: BTreeMap<Vec<u8>, Vec<Range<usize>>>,
}

impl Sound {
    fn new(layers: Layers, tree: &Tree, stored: &[u8]) -> Self {
        let outer = stored[256..stored.len() - 304].to_vec();
        let opened = open(stored);
        let inner = match layers.encrypted {
            true => {
                use carstone::encrypt::{EncryptReader, ReadOptions};
                let options = ReadOptions::default().pack_id(support::ID);
                let options = options.layers(opened.stored.container.layers.clone());
                let reader = EncryptReader::with_options(outer.clone(), &KEY, options);
                let mut inner = Vec::new();
                reader.expect("a sound pack").read_to_end(&mut inner).expect("a sound pack");
                inner
            }
            false => outer.clone(),
        };
        let mut car = vec![0; opened.len() as usize];
        opened.source().read_exact_at(&mut car, 0).expect("a sound pack");
        Self { layers, outer, inner, leaves: leaves_of(tree, &car) }
    }

    /// The part of the CAR stream in frames that stored bytes touch. `None` without frames.
    fn hit(&self, stored: Range<usize>) -> Option<Range<usize>> {
        let in_outer = stored.start.saturating_sub(256)..stored.end.saturating_sub(256);
        let in_inner = match self.layers.encrypted {
            true => plain_of(&self.outer, &in_outer),
            false => in_outer,
        };
        match self.layers.codec {
            Some(_) => Some(plain_of(&self.inner, &in_inner)),
            None => self.layers.encrypted.then_some(in_inner),
        }
    }
}

/// The sections of the CAR stream that hold the leaves of each file.
fn leaves_of(tree: &Tree, car: &[u8]) -> BTreeMap<Vec<u8>, Vec<Range<usize>>> {
    let mut places = HashMap::new();
    for block in CarSlice::parse(car).expect("a CAR").blocks() {
        let (section, block) = block.expect("a sound CAR");
        places.insert(block.cid, section.offset as usize..section.end() as usize);
    }
    let leaves = |body: &[u8]| {
        body.chunks(1 << 20).map(|chunk| places[&cid_of(codec::RAW, chunk)].clone()).collect()
    };
    tree.iter().map(|(path, item)| (path.clone(), leaves(&item.body))).collect()
}

/// What the frames of a layer hold that `touched` has bytes of.
fn plain_of(stored: &[u8], touched: &Range<usize>) -> Range<usize> {
    let (mut plain, mut hit) = (0, None::<Range<usize>>);
    for frame in frames(stored) {
        let len = if frame.kind == 1 { frame.plain_len } else { 0 };
        if frame.at < touched.end && touched.start < frame.end() {
            let start = hit.map_or(plain, |hit| hit.start);
            hit = Some(start..plain + len);
        }
        plain += len;
    }
    hit.unwrap_or(plain..plain)
}

/// Packs that are not compressed, in one frame or in none.
fn uncompressed(tree: &Tree) -> [(&'static str, Vec<u8>); 2] {
    let options = || WriteOptions::default().danger_pack_id(support::ID);
    let bare = pack(tree, options().without_compression(), 2);
    [("bare", bare), ("stored", pack(tree, options().codec(Codec::Stored), 2))]
}

/// Where each byte of the CAR stream stands in a pack that is not compressed.
fn plain_at(is_framed: bool, stored: &[u8], at: usize) -> usize {
    if !is_framed {
        return at.saturating_sub(256);
    }
    let mut plain = 0;
    for frame in frames(&stored[256..stored.len() - 304]) {
        let end = 256 + frame.end();
        if at < end {
            return plain + at.saturating_sub(256 + frame.at + 96).min(frame.plain_len);
        }
        plain += frame.plain_len;
    }
    plain
}

/// The blocks of each file, nodes and all.
fn blocks_of(tree: &Tree, stored: &[u8]) -> BTreeMap<Vec<u8>, Vec<Range<usize>>> {
    let opened = open(stored);
    let mut car = vec![0; opened.len() as usize];
    opened.source().read_exact_at(&mut car, 0).expect("a sound pack");
    let mut blocks = leaves_of(tree, &car);
    // The node that links the leaves of a file stands behind the last one.
    let node = |at: usize| {
        let sections =
            CarSlice::parse(&car).expect("a CAR").blocks().map(|block| block.expect("sound").0);
        let found = sections.into_iter().find(|section| section.offset as usize == at);
        found.map(|section| section.offset as usize..section.end() as usize).expect("a node")
    };
    for blocks in blocks.values_mut().filter(|blocks| blocks.len() > 1) {
        let end = blocks.iter().map(|block| block.end).max().expect("more than one");
        blocks.push(node(end));
    }
    blocks
}

#[test]
fn without_compression_damage_costs_the_blocks_it_touches() {
    let tree = many();
    for (name, stored) in uncompressed(&tree) {
        let is_framed = name == "stored";
        let blocks = blocks_of(&tree, &stored);
        let far = content(7, 8 * 32);
        let seeded = far.chunks_exact(8).map(|place| {
            let number = u64::from_le_bytes(place.try_into().expect("8 bytes"));
            256 + number as usize % (stored.len() - 256 - 4_096 - 304)
        });
        // Among small files, where a page holds several sections and records, and in the records behind all content.
        let small = (0..24).map(|n| stored.len() - 20_000 - n * 14_321);
        for (n, at) in seeded.chain(small).enumerate() {
            let mut damaged = stored.clone();
            match n % 4 {
                0 => damaged[at..at + 4_096].fill(0),
                1 => damaged.insert(at, 0x55),
                2 => drop(damaged.remove(at)),
                _ => {
                    let copy = damaged[at..at + 4_096].to_vec();
                    damaged.splice(at..at, copy);
                }
            }
            let salvaged = salvage(&damaged).expect("the container header is there");
            let place = format!("{name}, damage {n} at {at} of {}", stored.len());
            salvaged.assert_right(&tree, &place);
            assert!(salvaged.gaps > 0, "{place}");
            let width = if n % 4 == 0 { 4_096 } else { 1 };
            let hit = plain_at(is_framed, &stored, at)..plain_at(is_framed, &stored, at + width);
            for (path, blocks) in &blocks {
                let is_hit =
                    blocks.iter().any(|block| block.start < hit.end && hit.start < block.end);
                let is_there = salvaged.tree.contains_key(path);
                assert!(is_hit || is_there, "{place}: {} is lost", path.escape_ascii());
            }
        }
    }
}

#[test]
fn without_compression_and_without_its_first_page_a_pack_has_all_that_stands_behind() {
    let tree = many();
    for (name, stored) in uncompressed(&tree) {
        let blocks = blocks_of(&tree, &stored);
        let hit = 0..plain_at(name == "stored", &stored, 4_096);
        let mut damaged = stored.clone();
        damaged[..4_096].fill(0);
        let salvaged = salvage_at(damaged);
        salvaged.assert_right(&tree, name);
        for (path, blocks) in &blocks {
            let is_hit = blocks.iter().any(|block| block.start < hit.end);
            assert!(
                is_hit || salvaged.tree.contains_key(path),
                "{name}: {} is lost",
                path.escape_ascii()
            );
        }
        assert!(salvaged.tree.len() + 8 > tree.len(), "{name}: {} entries", salvaged.tree.len());
    }
}

/// A tree of packs and a CAR as files, between others.
fn nested(inner: PackId) -> Tree {
    let file = |body| Item { kind: EntryKind::File, mode: None, mtime: None, body };
    let within = |names: &str, seed| {
        let tree: Tree = (0..40_u64)
            .map(|n| (format!("inner {names} {n}").into_bytes(), file(content(seed + n, 700))))
            .collect();
        let options = || WriteOptions::default().danger_pack_id(inner);
        [
            pack(&tree, options().without_compression(), 1),
            pack(&tree, options().codec(Codec::Stored), 1),
        ]
    };
    let [bare, stored] = within("pack", 5_000);
    let opened = open(&bare);
    let mut car = vec![0; opened.len() as usize];
    opened.source().read_exact_at(&mut car, 0).expect("a sound pack");
    let mut tree: Tree =
        (0..30).map(|n| (format!("outer {n:02}").into_bytes(), file(content(n, 400)))).collect();
    tree.insert(b"outer 05 bare".to_vec(), file(bare));
    tree.insert(b"outer 10 stored".to_vec(), file(stored));
    tree.insert(b"outer 15 car".to_vec(), file(car));
    tree
}

#[test]
fn what_packs_in_a_pack_hold_is_never_taken_for_its_own() {
    let tree = nested(PackId::from_bytes([0xee; 16]));
    for (name, stored) in uncompressed(&tree) {
        let blocks = blocks_of(&tree, &stored);
        for (n, at) in (256..stored.len() - 5_000).step_by(1_999).enumerate() {
            for damage in 0..4 {
                let mut damaged = stored.clone();
                match damage {
                    0 => damaged[at..at + 700].fill(0),
                    1 => damaged.insert(at, 0x55),
                    2 => drop(damaged.drain(at..at + 90)),
                    _ => {
                        let copy = damaged[at..at + 4_096].to_vec();
                        damaged.splice(at..at, copy);
                    }
                }
                let place = format!("{name}, damage {damage}, place {n} at {at}");
                let salvaged = salvage(&damaged).expect("the container header is there");
                salvaged.assert_right(&tree, &place);
                let width = [700, 1, 90, 1][damage];
                let (start, end) = (at, at + width);
                let is_framed = name == "stored";
                let hit = plain_at(is_framed, &stored, start)..plain_at(is_framed, &stored, end);
                for (path, blocks) in &blocks {
                    let is_hit =
                        blocks.iter().any(|block| block.start < hit.end && hit.start < block.end);
                    let is_there = salvaged.tree.contains_key(path);
                    assert!(is_hit || is_there, "{place}: {} is lost", path.escape_ascii());
                }
            }
        }
    }
}

/// No pack holds another one of its own id but by a mistake with fixed ids. Where the head of the section that holds it is there, it is content all the same.
#[test]
fn records_under_the_same_id_in_a_damaged_block_are_content() {
    let tree = nested(support::ID);
    let (_, stored) = &uncompressed(&tree)[0];
    let blocks = blocks_of(&tree, stored);
    for name in [&b"outer 05 bare"[..], b"outer 10 stored", b"outer 15 car"] {
        let block = &blocks[name][0];
        for at in (block.start + 300..block.end - 400).step_by(997) {
            for damage in 0..3 {
                let mut damaged = stored.clone();
                match damage {
                    0 => damaged[256 + at..256 + at + 50].fill(0),
                    1 => damaged.insert(256 + at, 0x55),
                    _ => drop(damaged.remove(256 + at)),
                }
                let salvaged = salvage(&damaged).expect("the container header is there");
                let place = format!("{}, damage {damage} at {at}", name.escape_ascii());
                salvaged.assert_right(&tree, &place);
                assert_eq!(salvaged.tree.len() + 1, tree.len(), "{place}");
            }
        }
    }
}
