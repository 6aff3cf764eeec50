//! Where in a sound pack things stand, so that it is known what damage must cost at most.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;

use anyhow::{Context, ensure};
use carstone::car::{CarSlice, cid_of, codec};
use carstone::encrypt::{EncryptReader, ReadOptions};
use carstone::pack::{Event, PackOptions, PackStream, StreamOptions};
use carstone::stack;

use super::super::found::{Found, bytes_of};
use super::super::packs::{HEADER, KEY, Layers, TRAILER, Tree, at, pack, reading};

/// A sound pack. Ranges of frames and stored bytes count from its first byte.
pub struct Layout {
    pub layers: Layers,
    pub tree: Tree,
    pub stored: Vec<u8>,
    /// Frames of the encryption layer, and of the compression layer.
    encryption: Vec<Frame>,
    compression: Vec<Frame>,
    pub entries: BTreeMap<Vec<u8>, Entry>,
    /// Behind all content: there stand the manifest and the directories, which tell all names again.
    names: Range<u64>,
}

/// Where in the CAR stream a file stands.
pub struct Entry {
    /// The record that announces it.
    pub named: Range<u64>,
    /// Its content.
    leaves: Vec<Range<u64>>,
    /// Where all of it has come.
    pub whole: u64,
}

/// A frame: where it stands in its layer's stored stream, and what it holds of the plain one.
pub struct Frame {
    pub stored: Range<usize>,
    pub plain: Range<usize>,
}

impl Layout {
    pub fn new(tree: Tree, layers: Layers) -> anyhow::Result<Self> {
        let stored = pack(&tree, layers, 1, &PackOptions::default())?;
        Self::of(tree, layers, stored)
    }

    pub fn of(tree: Tree, layers: Layers, stored: Vec<u8>) -> anyhow::Result<Self> {
        let opened = stack::open(stored.clone(), &KEY, &reading())?;
        let mut inner = stored[HEADER..stored.len() - TRAILER].to_vec();
        let mut encryption = Vec::new();
        if layers.encrypted {
            encryption = frames(&inner)?;
            let options = ReadOptions::default().pack_id(opened.stored.pack_id());
            let options = options.layers(opened.stored.container.layers.clone());
            let mut reader = EncryptReader::with_options(inner, &KEY, options)?;
            inner = Vec::new();
            reader.read_to_end(&mut inner)?;
        }
        let compression = match layers.codec {
            Some(_) => frames(&inner)?,
            None => Vec::new(),
        };
        let car = bytes_of(opened.source())?;
        let entries = entries(&tree, &stored, &car)?;
        let last = entries.values().flat_map(|entry| &entry.leaves).map(|leaf| leaf.end).max();
        let names = last.unwrap_or_default()..car.len() as u64;
        Ok(Self { layers, tree, stored, encryption, compression, entries, names })
    }

    /// Where the frames of the outermost layer stand in the pack.
    pub fn frames(&self) -> Vec<Range<usize>> {
        let outermost = if self.layers.encrypted { &self.encryption } else { &self.compression };
        let place = |frame: &Frame| frame.stored.start + HEADER..frame.stored.end + HEADER;
        outermost.iter().map(place).collect()
    }

    /// What the frames hold of the CAR stream that these stored bytes lie in.
    pub fn hit(&self, stored: Range<usize>) -> Range<u64> {
        let mut hit = self.framed(stored.start)..self.framed(stored.end);
        for frames in self.layers() {
            let touches = |f: &&Frame| f.stored.start < hit.end && hit.start < f.stored.end;
            let mut touched = frames.iter().filter(touches);
            hit = match touched.next() {
                Some(first) => first.plain.start..touched.next_back().unwrap_or(first).plain.end,
                None => 0..0,
            };
        }
        hit.start as u64..hit.end as u64
    }

    /// The length of the CAR stream that stands in complete frames before this place.
    pub fn plain_before(&self, at: usize) -> u64 {
        let mut before = self.framed(at);
        for frames in self.layers() {
            let whole = frames.iter().take_while(|frame| frame.stored.end <= before);
            before = whole.last().map_or(0, |frame| frame.plain.end);
        }
        before as u64
    }

    /// Where the content of a file ends that stands before this place of the CAR stream, if it ends in a leaf.
    pub fn begun_before(&self, path: &[u8], before: u64) -> anyhow::Result<u64> {
        let leaves = self.entries.get(path).map_or(&[][..], |entry| &entry.leaves);
        let (mut offset, body) = (0, &at(&self.tree, path)?.body);
        for (leaf, chunk) in leaves.iter().zip(body.chunks(1 << 20)) {
            let data = leaf.end - chunk.len() as u64..leaf.end;
            if data.start < before && before < data.end {
                return Ok(offset + (before - data.start));
            }
            offset += chunk.len() as u64;
        }
        Ok(0)
    }

    /// The layers that have frames, outermost first.
    fn layers(&self) -> impl Iterator<Item = &[Frame]> {
        [&self.encryption[..], &self.compression].into_iter().filter(|frames| !frames.is_empty())
    }

    /// Offset between header and trailer.
    fn framed(&self, at: usize) -> usize {
        at.clamp(HEADER, self.stored.len() - TRAILER) - HEADER
    }

    /// Fails when an entry is lost of which neither content was hit nor all that tells its name. Gives how many are lost.
    pub fn check(&self, found: &Found, hit: &[Range<u64>]) -> anyhow::Result<u64> {
        let is_hit =
            |part: &Range<u64>| hit.iter().any(|hit| part.start < hit.end && hit.start < part.end);
        let mut lost = 0;
        for (path, entry) in &self.entries {
            if !found.whole.contains(path) {
                lost += 1;
                let may_be =
                    entry.leaves.iter().any(is_hit) || is_hit(&entry.named) && is_hit(&self.names);
                let place = path.escape_ascii();
                ensure!(may_be, "{place} at {:?} is lost and was not hit ({hit:?})", entry.leaves);
            }
        }
        Ok(lost)
    }
}

fn entries(tree: &Tree, stored: &[u8], car: &[u8]) -> anyhow::Result<BTreeMap<Vec<u8>, Entry>> {
    let (mut leaves, mut starts) = (HashMap::new(), HashMap::new());
    for block in CarSlice::parse(car)?.blocks() {
        let (section, block) = block?;
        leaves.insert(block.cid, section.offset..section.end());
        starts.insert(section.end(), section.offset);
    }
    let streamed = stack::stream(stored, &KEY, &reading())?;
    let (id, options) = (streamed.pack_id(), StreamOptions::default().threads(1));
    let mut pack = PackStream::with_options(streamed, id, options)?;
    let (mut entries, mut paths) = (BTreeMap::new(), HashMap::new());
    while let Some(event) = pack.next()? {
        let end = pack.position();
        match event {
            Event::Entry(entry) => {
                let start = *starts.get(&end).context("no record ends there")?;
                let chunks = at(tree, &entry.path)?.body.chunks(1 << 20);
                let leaf = |chunk: &[u8]| leaves.get(&cid_of(codec::RAW, chunk)).cloned();
                let leaves = chunks.map(leaf).collect::<Option<_>>().context("no such leaf")?;
                paths.insert(entry.id, entry.path.clone());
                entries.insert(entry.path, Entry { named: start..end, leaves, whole: end });
            }
            Event::End { id, .. } => {
                let entry = paths.get(&id).and_then(|path| entries.get_mut(path));
                entry.context("an end without an entry")?.whole = end;
            }
            _ => {}
        }
    }
    Ok(entries)
}

/// The frames that fill a layer's sound stored stream.
pub fn frames(stored: &[u8]) -> anyhow::Result<Vec<Frame>> {
    let (mut at, mut plain, mut frames) = (0, 0, Vec::new());
    while let Some(head) = stored.get(at..).and_then(|rest| rest.first_chunk::<HEAD>()) {
        let number = |from: usize| {
            u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]])
        };
        let is_data = head[14] == 1;
        let plain_end = plain + if is_data { number(56) as usize } else { 0 };
        let end = at + HEAD + number(60) as usize;
        frames.push(Frame { stored: at..end, plain: plain..plain_end });
        (at, plain) = (end, plain_end);
    }
    ensure!(at == stored.len(), "frames do not fill the stream");
    Ok(frames)
}

const HEAD: usize = 96;
