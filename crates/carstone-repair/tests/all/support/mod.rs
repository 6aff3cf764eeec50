//! Packs in memory with holes, and what can be read of them.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::ops::Range;

use carstone_car::CarSlice;
use carstone_layer::{Cause, FailSafeRead, Gap, LayerId, PackId, Report};
use carstone_pack::{EntryKind, Event, Metadata, PackOptions, PackWriter, PlainPipe, Record};
use carstone_repair::{Item, Salvage, SalvageOptions};
use carstone_unixfs::Profile;

pub const ID: PackId = PackId::from_bytes([0x5a; 16]);

/// A stream of sections with holes, as a stack of fail-safe layers gives it.
pub struct Holes {
    pub bytes: Vec<u8>,
    pub holes: Vec<Range<usize>>,
    pub boundaries: Vec<usize>,
    /// How much of the beginning of each hole can still be read, and whether that is right.
    pub prefix: usize,
    pub cause: Cause,
    /// Bytes of such beginnings that are changed, and how.
    pub flips: Vec<(usize, u8)>,
    pub at: usize,
    pub unchecked: Range<usize>,
    pub step: usize,
}

impl Holes {
    pub fn new(packed: &Packed, holes: Vec<Range<usize>>) -> Self {
        Self {
            bytes: packed.bytes.clone(),
            holes,
            boundaries: packed.sections.iter().map(|section| section.range.start).collect(),
            prefix: 0,
            cause: Cause::Missing,
            flips: Vec::new(),
            at: 0,
            unchecked: 0..0,
            step: 7_000,
        }
    }
}

impl Read for Holes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let hole = self.holes.first().map_or(self.bytes.len(), |hole| hole.start);
        let n = (hole - self.at).min(buf.len()).min(self.step);
        buf[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl FailSafeRead for Holes {
    fn position(&self) -> u64 {
        self.at as u64
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        if self.holes.first().is_none_or(|hole| hole.start > self.at) {
            return Ok(None);
        }
        let hole = self.holes.remove(0);
        self.unchecked = hole.start..hole.end.min(hole.start + self.prefix);
        self.at = hole.end;
        let len = Some(hole.len() as u64);
        Ok(Some(Gap::new(LayerId::COMPRESSION, hole.start as u64, len, self.cause.clone())))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        self.boundaries.iter().find(|&&at| at >= self.at).map(|&at| at as u64)
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.unchecked.len().min(buf.len());
        buf[..n].copy_from_slice(&self.bytes[self.unchecked.start..][..n]);
        for (at, xor) in &self.flips {
            if let Some(byte) =
                at.checked_sub(self.unchecked.start).and_then(|at| buf[..n].get_mut(at))
            {
                *byte ^= xor;
            }
        }
        self.unchecked.start += n;
        Ok(n)
    }

    fn drain_report(&mut self, _: &mut Report) {}
}

pub struct Section {
    pub range: Range<usize>,
    pub digest: Vec<u8>,
}

pub struct Packed {
    pub bytes: Vec<u8>,
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    pub sections: Vec<Section>,
    /// Where the record ends that announces each file.
    pub announced: BTreeMap<Vec<u8>, usize>,
    /// Where directory nodes, manifest and index begin.
    pub far: usize,
}

/// Chunks of 4 KiB, four links to a node, so that small files have several leaves and levels.
pub fn profile() -> Profile {
    let profile = Profile::default().with_chunk_size(4096).expect("a size");
    profile.with_width(4).expect("a width")
}

pub fn pack(files: &[(Vec<u8>, Vec<u8>)]) -> Packed {
    pack_linked(files, &[])
}

/// The same with hard links behind the files: the path of each, and the number of its original.
pub fn pack_linked(files: &[(Vec<u8>, Vec<u8>)], links: &[(&[u8], usize)]) -> Packed {
    let options = PackOptions::default().profile(profile()).threads(1);
    let mut writer =
        PackWriter::with_options(PlainPipe::new(Vec::new()), ID, options).expect("memory");
    let mut ids = Vec::new();
    for (path, content) in files {
        let id = writer.add_file(path, Metadata::default(), content.as_slice()).expect("memory");
        writer.expect_hard_links(id);
        ids.push(id);
    }
    for (path, original) in links {
        let (id, target) = (ids[*original], &files[*original].0);
        writer.add_hard_link(path, id, target, Metadata::default()).expect("memory");
    }
    let (pipe, _) = writer.finish().expect("memory");
    let bytes = pipe.into_inner();
    let mut sections = Vec::new();
    let (mut far, mut announced) = (bytes.len(), BTreeMap::new());
    for block in CarSlice::parse(&bytes).expect("a CAR").blocks() {
        let (section, block) = block.expect("a sound CAR");
        let range = section.offset as usize..section.end() as usize;
        if Record::is_record(&block.cid, block.data, &ID) {
            match Record::decode(block.data, 0).expect("a sound record") {
                Record::Manifest => far = far.min(range.start),
                Record::Batch(batch) => {
                    announced
                        .extend(batch.entries.into_iter().map(|entry| (entry.path, range.end)));
                }
                _ => {}
            }
        }
        let digest = block.cid.hash().digest().to_vec();
        sections.push(Section { range, digest });
    }
    Packed { far, announced, files: files.iter().cloned().collect(), sections, bytes }
}

/// What came of a file, what is missing, and its size, where that is known.
type Partial = (Vec<u8>, Vec<Range<u64>>, Option<u64>);

/// What came of a damaged pack.
#[derive(Default)]
pub struct Salvaged {
    pub complete: BTreeMap<Vec<u8>, Vec<u8>>,
    pub partial: BTreeMap<Vec<u8>, Partial>,
    /// Hard links, and the paths of their originals, where these have been told.
    pub links: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub gaps: usize,
    /// Bytes in gaps.
    pub missing: u64,
    pub faults: usize,
    pub nameless: u64,
}

/// Puts the files together as an extraction does, checking all that an extraction would.
pub fn salvage(source: Holes, threads: usize) -> Salvaged {
    salvage_with(source, &SalvageOptions::default().threads(threads))
}

/// The same with other settings.
pub fn salvage_with(source: Holes, options: &SalvageOptions) -> Salvaged {
    let mut salvage = Salvage::new(source, ID, options);
    let (mut paths, mut leaves) = (HashMap::new(), HashMap::<_, Vec<u8>>::new());
    let mut content: HashMap<u64, BTreeMap<u64, Vec<u8>>> = HashMap::new();
    let (mut salvaged, mut names) = (Salvaged::default(), HashMap::new());
    while let Some(item) = salvage.next().expect("memory does not fail") {
        let event = match item {
            Item::Event(event) => event,
            Item::Gap(gap) => {
                salvaged.gaps += 1;
                salvaged.missing += gap.len.unwrap_or(0);
                continue;
            }
            _ => {
                salvaged.faults += 1;
                continue;
            }
        };
        match event {
            Event::Entry(entry) if entry.kind == EntryKind::HardLink => {
                let original = entry.target_id.and_then(|id| names.get(&id)).cloned();
                assert!(salvaged.links.insert(entry.path, original).is_none(), "told twice");
            }
            Event::Entry(entry) => {
                names.insert(entry.id, entry.path.clone());
                assert!(paths.insert(entry.id, entry.path).is_none(), "told twice");
            }
            Event::Leaf { cid, data, uses } => {
                for place in uses {
                    assert!(paths.contains_key(&place.id), "unknown entry");
                    content.entry(place.id).or_default().insert(place.offset, data.clone());
                }
                leaves.insert(cid, data);
            }
            Event::Reuse { id, offset, cid, len } => {
                assert!(paths.contains_key(&id), "unknown entry");
                let data = leaves.get(&cid).expect("a leaf that came before").clone();
                assert_eq!(len, Some(data.len() as u64));
                content.entry(id).or_default().insert(offset, data);
            }
            Event::End { id, size, .. } => {
                let path = paths.remove(&id).expect("an entry that is not ended");
                let mut whole = Vec::new();
                for (offset, piece) in content.remove(&id).unwrap_or_default() {
                    assert_eq!(offset, whole.len() as u64, "all pieces");
                    whole.extend(piece);
                }
                assert_eq!(whole.len() as u64, size);
                salvaged.complete.insert(path, whole);
            }
            Event::Incomplete { id, size, missing } => {
                let path = paths.remove(&id).expect("an entry that is not ended");
                let mut bytes = Vec::new();
                for (offset, piece) in content.remove(&id).unwrap_or_default() {
                    let end = offset as usize + piece.len();
                    bytes.resize(bytes.len().max(end), 0);
                    bytes[offset as usize..end].copy_from_slice(&piece);
                }
                salvaged.partial.insert(path, (bytes, missing, size));
            }
            _ => {}
        }
    }
    salvaged.nameless = salvage.nameless().0;
    salvaged
}

/// No byte that was given differs from the original.
pub fn assert_never_wrong(packed: &Packed, salvaged: &Salvaged) {
    for (path, content) in &salvaged.complete {
        if !path.is_empty() && packed.files.contains_key(path) {
            assert!(packed.files[path] == *content, "{}", path.escape_ascii());
        }
    }
    for (path, (bytes, missing, size)) in &salvaged.partial {
        let original = &packed.files[path];
        if let Some(size) = size {
            assert_eq!(original.len() as u64, *size);
        }
        for at in 0..bytes.len() {
            if !missing.iter().any(|range| range.contains(&(at as u64))) {
                assert!(bytes[at] == original[at], "{} at {at}", path.escape_ascii());
            }
        }
    }
}
