//! Pages: what every part of an index over many CARs is made of, each with its number and its own checksum.

use crate::error::{Error, ErrorKind, Part, Result};
use crate::read_at::{ReadAt, read_full};

/// Bytes of a page.
pub(super) const PAGE: usize = 4096;

/// Bytes of a page in front of its body.
const HEAD: usize = 16;

/// Bytes of the checksum at the end of a page, and of all other digests in the format.
pub(super) const SUM: usize = 16;

/// Bytes of a page for what is in it.
pub(super) const BODY: usize = PAGE - HEAD - SUM;

/// What binds the pages of one index together.
pub(super) type Id = [u8; SUM];

/// What a page has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Entries.
    Leaf,
    /// Separators of the pages of the level below: 1 for those of leaves.
    Inner(u8),
    /// Files.
    Files,
    /// Where everything is.
    Footer,
}

impl Kind {
    fn encode(self) -> [u8; 2] {
        match self {
            Kind::Leaf => [1, 0],
            Kind::Inner(level) => [2, level],
            Kind::Files => [3, 0],
            Kind::Footer => [4, 0],
        }
    }

    /// The kind of the pages of a level.
    pub(super) fn of_level(level: usize) -> Self {
        match u8::try_from(level) {
            Ok(0) => Kind::Leaf,
            Ok(level) => Kind::Inner(level),
            Err(_) => Kind::Inner(u8::MAX), // There are four levels.
        }
    }
}

/// A page that has been checked: it is one of this index, at its place, with the bytes that were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// The number of what is in it.
    pub(super) count: usize,
    pub(super) body: &'a [u8],
}

/// The bytes of a page. `body` has at most [`BODY`] bytes.
pub(super) fn seal(kind: Kind, number: u64, count: usize, body: &[u8], id: &Id) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    page[..2].copy_from_slice(&kind.encode());
    page[2..4].copy_from_slice(&(count as u16).to_be_bytes()); // No body has room for more.
    page[4..8].copy_from_slice(&(body.len() as u32).to_be_bytes());
    page[8..HEAD].copy_from_slice(&number.to_be_bytes());
    page[HEAD..][..body.len()].copy_from_slice(body);
    let sum = sum(id, &page[..PAGE - SUM]);
    page[PAGE - SUM..].copy_from_slice(&sum);
    page
}

/// Checks the bytes of the page of this number.
pub(super) fn check<'a>(bytes: &'a [u8], kind: Kind, number: u64, id: &Id) -> Result<Page<'a>> {
    let bad = |what| bad_page(number, what);
    let (content, stored) =
        bytes.split_at_checked(PAGE - SUM).ok_or_else(|| bad("it is cut short"))?;
    if sum(id, content) != *stored {
        return Err(bad("it does not match its checksum"));
    }
    let (head, body) = content.split_at(HEAD);
    if head[8..] != number.to_be_bytes() {
        return Err(bad("it is a page of another place"));
    }
    if head[..2] != kind.encode() {
        return Err(bad("it is of another kind"));
    }
    let used = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let (body, rest) = body.split_at_checked(used).ok_or_else(|| bad("its length is too large"))?;
    if rest.iter().any(|&byte| byte != 0) {
        return Err(bad("there are bytes behind what is in it"));
    }
    Ok(Page { count: usize::from(u16::from_be_bytes([head[2], head[3]])), body })
}

/// Reads the bytes of pages that follow each other, in one read where the source gives all at once. Some are missing where it ends.
pub(super) fn read<R: ReadAt + ?Sized>(
    source: &R,
    first: u64,
    count: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let at = offset(first);
    out.resize(count.saturating_mul(PAGE), 0);
    let read = read_full(source, out, at).map_err(|error| Error::at(ErrorKind::Io(error), at))?;
    if read < out.len() {
        let end = at.saturating_add(read as u64);
        return Err(Error::at(ErrorKind::Truncated(Part::Index), end));
    }
    Ok(())
}

/// Where a page starts.
pub(super) fn offset(number: u64) -> u64 {
    number.saturating_mul(PAGE as u64)
}

/// The error for a page that is not right.
pub(super) fn bad_page(page: u64, what: &'static str) -> Error {
    Error::at(ErrorKind::BadPage { page, what }, offset(page))
}

/// The checksum of content under an id: the first 16 bytes of the BLAKE3 hash of both.
fn sum(id: &Id, content: &[u8]) -> Id {
    digest(&[id, content])
}

/// The first 16 bytes of the BLAKE3 hash of all parts together.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    cut(&hasher)
}

/// The first 16 bytes of what a hasher gives.
pub(super) fn cut(hasher: &blake3::Hasher) -> [u8; SUM] {
    let mut out = [0; SUM];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// Takes fields from the front of a body.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
