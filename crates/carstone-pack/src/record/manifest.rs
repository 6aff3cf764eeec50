//! Pages of the manifest (`docs/format.md`, section 7.6).

use carstone_layer::PackId;

use super::content::read_nanos;
use super::page::Page;
use super::{In, Out, VERSION, begin, kind};
use crate::entry::Timestamp;
use crate::entry::{EntryKind, Listed, Run};
use crate::error::{Error, ErrorKind};
use crate::path::check_path;

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
        let Page { level, body, .. } = Page::open(data, at, kind::MANIFEST, "e")?;
        let (mut leaf, mut children) = (Vec::new(), Vec::new());
        In::new(body, at).array(MAX_PAGE, |input| {
            match level {
                0 => leaf.push(decode_listed(input, at)?),
                _ => children.push(decode_child(input)?),
            }
            Ok(())
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

fn decode_child(input: &mut In<'_>) -> Result<(Vec<u8>, u64), Error> {
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
        (Some(first), 2) => Ok((first, position)),
        _ => Err(input.fail("a child of a page is not a pair")),
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

fn page(pack: &PackId, kind: u64, level: u64, count: usize, entries: &[u8]) -> Vec<u8> {
    let mut out = begin(pack, 2);
    out.key("e").array(count).raw(entries);
    out.key("l").uint(level).key("t").uint(kind).key("v").uint(VERSION);
    out.finish()
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
            "n" => nanos = read_nanos(input)?,
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
    entry.mtime = seconds.map(|seconds| Timestamp { seconds, nanos });
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

/// No page of 1 MiB holds more items than bytes.
const MAX_PAGE: usize = 1 << 20;
