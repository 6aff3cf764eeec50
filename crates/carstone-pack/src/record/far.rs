//! The records of the far region: manifest pages, index pages, tail.

use std::num::NonZeroU8;

use carstone_car::Cid;
use carstone_layer::PackId;

use super::content::read_mtime;
use super::{In, Out, VERSION, begin, kind, read, record_type};
use crate::entry::{EntryKind, Listed, Run};
use crate::error::{Error, ErrorKind};
use crate::path::check_path;

/// The last section: where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tail {
    /// Root CIDs.
    pub roots: Vec<Cid>,
    /// Position of the manifest's root page.
    pub manifest: u64,
    /// Position of the index's root page.
    pub index: u64,
    /// Number of entries announced.
    pub entries: u64,
    /// Number of content sections.
    pub blocks: u64,
    /// Sum of the content sizes of all files, in bytes.
    pub size: u64,
}

impl Tail {
    pub(crate) fn encode(&self, pack: &PackId) -> Vec<u8> {
        let mut out = begin(pack, 7);
        out.key("b").uint(self.blocks).key("e").uint(self.entries).key("m").uint(self.manifest);
        out.key("r").array(self.roots.len());
        self.roots.iter().for_each(|root| {
            out.link(root);
        });
        out.key("s").uint(0).key("t").uint(kind::TAIL).key("v").uint(VERSION);
        out.key("x").uint(self.index).key("z").uint(self.size);
        out.finish()
    }

    pub(crate) fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        let mut roots = Vec::new();
        let (mut manifest, mut index, mut entries, mut blocks, mut size) =
            (None, None, None, None, None);
        read(data, at, |input, key| {
            match key {
                "b" => blocks = Some(input.uint()?),
                "e" => entries = Some(input.uint()?),
                "m" => manifest = Some(input.uint()?),
                "r" => input.array(MAX_ROOTS, |input| {
                    roots.push(input.link()?);
                    Ok(())
                })?,
                "s" => match input.uint()? {
                    0 => {}
                    other => {
                        return Err(Error::new(ErrorKind::Newer(format!("segment {other}")), at));
                    }
                },
                "x" => index = Some(input.uint()?),
                "z" => size = Some(input.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match (manifest, index, entries, blocks, size) {
            (Some(manifest), Some(index), Some(entries), Some(blocks), Some(size)) => {
                Ok(Self { roots, manifest, index, entries, blocks, size })
            }
            _ => Err(Error::new(ErrorKind::BadRecord("the tail record lacks a key"), at)),
        }
    }
}

/// A decoded page of the manifest.
pub(crate) enum ManifestPage {
    Leaf(Vec<Listed>),
    /// First path and position of each child.
    Parent {
        level: u64,
        children: Vec<(Vec<u8>, u64)>,
    },
}

impl ManifestPage {
    pub(crate) fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        expect_type(data, at, kind::MANIFEST, "a manifest page is due")?;
        let level = page_level(data, at)?;
        let (mut leaf, mut children) = (Vec::new(), Vec::new());
        read(data, at, |input, key| {
            match (key, level) {
                ("l", _) => return Ok(false),
                ("e", 0) => input.array(MAX_PAGE, |input| {
                    leaf.push(decode_listed(input, at)?);
                    Ok(())
                })?,
                ("e", _) => input.array(MAX_PAGE, |input| {
                    let (mut first, mut position, mut part) = (None, 0, 0);
                    input.array(2, |input| {
                        match part {
                            0 => first = Some(input.bytes()?.to_vec()),
                            _ => position = input.uint()?,
                        }
                        part += 1;
                        Ok(())
                    })?;
                    match (first, part) {
                        (Some(first), 2) => children.push((first, position)),
                        _ => return Err(input.fail("a child of a page is not a pair")),
                    }
                    Ok(())
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match level {
            0 => Ok(Self::Leaf(leaf)),
            _ if children.is_empty() => {
                Err(Error::new(ErrorKind::BadRecord("a parent page has no children"), at))
            }
            level => Ok(Self::Parent { level, children }),
        }
    }
}

/// Collects the entries of a manifest leaf page.
pub(crate) struct LeafManifest {
    entries: Out,
    count: usize,
}

impl LeafManifest {
    pub(crate) fn new() -> Self {
        Self { entries: Out::new(), count: 0 }
    }

    pub(crate) fn push(&mut self, entry: &Listed) {
        encode_listed(&mut self.entries, entry);
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Encoded length so far.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn encode(self, pack: &PackId) -> Vec<u8> {
        page(pack, kind::MANIFEST, 0, self.count, &self.entries.finish())
    }
}

/// Collects the children of a manifest parent page.
pub(crate) struct ParentManifest {
    children: Out,
    count: usize,
}

impl ParentManifest {
    pub(crate) fn new() -> Self {
        Self { children: Out::new(), count: 0 }
    }

    pub(crate) fn push(&mut self, first: &[u8], position: u64) {
        self.children.array(2).bytes(first).uint(position);
        self.count += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn encode(self, pack: &PackId, level: u64) -> Vec<u8> {
        page(pack, kind::MANIFEST, level, self.count, &self.children.finish())
    }
}

/// A decoded page of the index: fixed-width entries.
pub(crate) struct IndexPage {
    pub(crate) level: u64,
    /// Bytes of the digest prefix.
    pub(crate) prefix: usize,
    /// Bytes of a position in this page.
    width: usize,
    data: Vec<u8>,
}

impl IndexPage {
    pub(crate) fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        expect_type(data, at, kind::INDEX, "an index page is due")?;
        let level = page_level(data, at)?;
        let (mut prefix, mut width, mut entries) = (None, None, None);
        read(data, at, |input, key| {
            match key {
                "d" => entries = Some(input.bytes()?.to_vec()),
                "n" => prefix = width_of(input.uint()?),
                "w" => width = width_of(input.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let bad = |rule| Error::new(ErrorKind::BadRecord(rule), at);
        let (Some(prefix), Some(width), Some(data)) = (prefix, width, entries) else {
            return Err(bad("an index page lacks a key"));
        };
        let width = if level == 0 { usize::from(width.get()) } else { 8 };
        let prefix = usize::from(prefix.get());
        if data.len() % (prefix + width) != 0 {
            return Err(bad("an index page is not a whole number of entries"));
        }
        if level > 0 && data.is_empty() {
            return Err(bad("a parent page has no children"));
        }
        Ok(Self { level, prefix, width, data })
    }

    /// Prefix and position of each entry, in order.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&[u8], u64)> {
        self.data.chunks_exact(self.prefix + self.width).map(|entry| {
            let (prefix, position) = entry.split_at(self.prefix);
            let mut wide = [0; 8];
            wide[..position.len()].copy_from_slice(position);
            (prefix, u64::from_le_bytes(wide))
        })
    }
}

/// Collects the entries of an index leaf page.
pub(crate) struct LeafIndex {
    prefix: u8,
    width: u8,
    data: Vec<u8>,
}

impl LeafIndex {
    pub(crate) fn new(prefix: u8, width: u8) -> Self {
        Self { prefix, width, data: Vec::new() }
    }

    pub(crate) fn push(&mut self, digest_prefix: &[u8], position: u64) {
        self.data.extend_from_slice(&digest_prefix[..usize::from(self.prefix)]);
        self.data.extend_from_slice(&position.to_le_bytes()[..usize::from(self.width)]);
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn encode(&self, pack: &PackId) -> Vec<u8> {
        index_page(pack, 0, self.prefix, self.width, &self.data)
    }
}

/// Collects the children of an index parent page.
pub(crate) struct ParentIndex {
    prefix: u8,
    width: u8,
    data: Vec<u8>,
}

impl ParentIndex {
    pub(crate) fn new(prefix: u8, width: u8) -> Self {
        Self { prefix, width, data: Vec::new() }
    }

    pub(crate) fn push(&mut self, first: &[u8], position: u64) {
        self.data.extend_from_slice(&first[..usize::from(self.prefix)]);
        self.data.extend_from_slice(&position.to_le_bytes());
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn encode(&self, pack: &PackId, level: u64) -> Vec<u8> {
        index_page(pack, level, self.prefix, self.width, &self.data)
    }
}

fn page(pack: &PackId, kind: u64, level: u64, count: usize, entries: &[u8]) -> Vec<u8> {
    let mut out = begin(pack, 2);
    out.key("e").array(count).raw(entries);
    out.key("l").uint(level).key("t").uint(kind).key("v").uint(VERSION);
    out.finish()
}

fn index_page(pack: &PackId, level: u64, prefix: u8, width: u8, data: &[u8]) -> Vec<u8> {
    let mut out = begin(pack, 4);
    out.key("d").bytes(data).key("l").uint(level).key("n").uint(prefix.into());
    out.key("t").uint(kind::INDEX).key("v").uint(VERSION).key("w").uint(width.into());
    out.finish()
}

fn expect_type(data: &[u8], at: u64, due: u64, rule: &'static str) -> Result<(), Error> {
    match record_type(data, at)? == due {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::BadRecord(rule), at)),
    }
}

fn page_level(data: &[u8], at: u64) -> Result<u64, Error> {
    let mut level = None;
    read(data, at, |input, key| {
        if key == "l" {
            level = Some(input.uint()?);
            return Ok(true);
        }
        input.skip()?;
        Ok(true)
    })?;
    match level {
        Some(level) if level <= MAX_LEVEL => Ok(level),
        _ => Err(Error::new(ErrorKind::BadRecord("a page has no level, or too high a one"), at)),
    }
}

fn width_of(value: u64) -> Option<NonZeroU8> {
    u8::try_from(value).ok().filter(|&width| width <= 8).and_then(NonZeroU8::new)
}

pub(super) fn encode_listed(out: &mut Out, entry: &Listed) {
    let nanos = entry.mtime.filter(|mtime| mtime.nanos != 0);
    let present = [
        entry.record.is_some(),
        entry.root.is_some(),
        entry.sha256.is_some(),
        entry.id.is_some(),
        entry.target.is_some(),
        entry.mode.is_some(),
        nanos.is_some(),
        !entry.runs.is_empty(),
        entry.mtime.is_some(),
        entry.size.is_some(),
    ];
    out.map(2 + present.iter().filter(|&&there| there).count());
    if let Some(position) = entry.record {
        out.key("b").uint(position);
    }
    if let Some(root) = &entry.root {
        out.key("c").link(root);
    }
    if let Some(sha256) = &entry.sha256 {
        out.key("h").bytes(sha256);
    }
    if let Some(id) = entry.id {
        out.key("i").uint(id);
    }
    out.key("k").uint(entry.kind.code());
    if let Some(target) = &entry.target {
        out.key("l").bytes(target);
    }
    if let Some(mode) = entry.mode {
        out.key("m").uint(mode.into());
    }
    if let Some(mtime) = nanos {
        out.key("n").uint(mtime.nanos.into());
    }
    out.key("p").bytes(&entry.path);
    if !entry.runs.is_empty() {
        out.key("r").array(entry.runs.len() * 2);
        for run in &entry.runs {
            out.uint(run.offset).uint(run.position);
        }
    }
    if let Some(mtime) = entry.mtime {
        out.key("s").int(mtime.seconds);
    }
    if let Some(size) = entry.size {
        out.key("z").uint(size);
    }
}

pub(super) fn decode_listed(input: &mut In<'_>, at: u64) -> Result<Listed, Error> {
    let (mut kind, mut path, mut seconds, mut nanos) = (None, None, None, 0);
    let mut numbers = Vec::new();
    let mut entry = Listed {
        path: Vec::new(),
        kind: EntryKind::File,
        id: None,
        record: None,
        mode: None,
        mtime: None,
        size: None,
        root: None,
        sha256: None,
        target: None,
        runs: Vec::new(),
    };
    input.map(|input, key| {
        match key {
            "b" => entry.record = Some(input.uint()?),
            "c" => entry.root = Some(input.link()?),
            "h" => entry.sha256 = Some(input.digest()?),
            "i" => entry.id = Some(input.uint()?),
            "k" => kind = EntryKind::from_code(input.uint()?),
            "l" => entry.target = Some(input.bytes()?.to_vec()),
            "m" => entry.mode = Some(input.u32()?),
            "n" => nanos = input.u32()?,
            "p" => path = Some(input.bytes()?),
            "r" => input.array(MAX_PAGE, |input| {
                numbers.push(input.uint()?);
                Ok(())
            })?,
            "s" => seconds = Some(input.int()?),
            "z" => entry.size = Some(input.uint()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    entry.kind = kind.ok_or_else(|| input.fail("an entry has no known kind"))?;
    let path = path.ok_or_else(|| input.fail("an entry has no path"))?;
    check_path(path).map_err(|fault| Error::bad_path(path, fault, at))?;
    entry.path = path.to_vec();
    entry.mtime = read_mtime(input, seconds, nanos)?;
    if numbers.len() % 2 != 0 {
        return Err(input.fail("runs are not pairs"));
    }
    entry.runs =
        numbers.chunks_exact(2).map(|pair| Run { offset: pair[0], position: pair[1] }).collect();
    if entry.runs.windows(2).any(|pair| pair[0].offset >= pair[1].offset) {
        return Err(input.fail("runs are not in order"));
    }
    Ok(entry)
}

const MAX_ROOTS: usize = 1024;
/// No page of 1 MiB holds more items than bytes.
const MAX_PAGE: usize = 1 << 20;
const MAX_LEVEL: u64 = 16;
