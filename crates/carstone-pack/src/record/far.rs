//! The tail record and the pages of the index (`docs/format.md`, section 7.6).

use std::num::NonZeroU8;

use carstone_car::Cid;
use carstone_layer::PackId;

use super::page::Page;
use super::{In, VERSION, begin, kind, read};
use crate::error::{Error, ErrorKind};

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
        let Page { level, body, prefix, width } = Page::open(data, at, kind::INDEX, "d")?;
        let data = In::new(body, at).bytes()?.to_vec();
        let bad = |rule| Error::new(ErrorKind::BadRecord(rule), at);
        let (prefix, width) = (prefix.and_then(width_of), width.and_then(width_of));
        let (Some(prefix), Some(width)) = (prefix, width) else {
            return Err(bad("an index page lacks its widths"));
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

fn index_page(pack: &PackId, level: u64, prefix: u8, width: u8, data: &[u8]) -> Vec<u8> {
    let mut out = begin(pack, 4);
    out.key("d").bytes(data).key("l").uint(level).key("n").uint(prefix.into());
    out.key("t").uint(kind::INDEX).key("v").uint(VERSION).key("w").uint(width.into());
    out.finish()
}

fn width_of(value: u64) -> Option<NonZeroU8> {
    u8::try_from(value).ok().filter(|&width| width <= 8).and_then(NonZeroU8::new)
}

const MAX_ROOTS: usize = 1024;
