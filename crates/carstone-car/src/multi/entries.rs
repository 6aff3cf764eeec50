//! The entries of an index over many CARs, one after the other.

use std::io;
use std::iter::FusedIterator;

use super::footer::Shape;
use super::leaf::{Leaf, MultiPlace};
use super::page::{self, Fields, Kind, PAGE, bad_page};
use crate::error::{Error, Result};
use crate::index::{RECORD_HEAD, Records};
use crate::read_at::ReadAt;

/// An entry of an index over many CARs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MultiEntry {
    /// The multihash code of the hash function.
    pub hash_code: u64,
    /// The digest.
    pub digest: Vec<u8>,
    /// Where the block lies.
    pub place: MultiPlace,
}

/// The entries of an index over many CARs in their order: by hash function, digest length, digest, file and offset. They are checked to
/// be in it. An error ends the iteration.
#[derive(Debug)]
pub struct MultiEntries<'a, R: ?Sized> {
    walk: Walk<'a, R>,
    record: Vec<u8>,
    failed: bool,
}

impl<'a, R: ReadAt + ?Sized> MultiEntries<'a, R> {
    pub(super) fn new(source: &'a R, shape: &'a Shape) -> Self {
        let walk = Walk::new(source, shape);
        MultiEntries { walk, record: Vec::new(), failed: false }
    }
}

impl<R: ReadAt + ?Sized> Iterator for MultiEntries<'_, R> {
    type Item = Result<MultiEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.walk.advance(&mut self.record) {
            Ok(true) => entry(&self.record).map(Ok),
            Ok(false) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl<R: ReadAt + ?Sized> FusedIterator for MultiEntries<'_, R> {}

/// Takes a record apart.
fn entry(record: &[u8]) -> Option<MultiEntry> {
    let mut fields = Fields(record);
    let (hash_code, len) = (fields.u64()?, fields.u8()?);
    let digest = fields.bytes(len.into())?.to_vec();
    Some(MultiEntry { hash_code, digest, place: MultiPlace::decode(fields.0)? })
}

/// Reads the pages of entries, many at a time.
#[derive(Debug)]
pub(super) struct Walk<'a, R: ?Sized> {
    source: &'a R,
    shape: &'a Shape,
    /// Pages that have been read, and how many of them have been used.
    ready: Vec<u8>,
    used: usize,
    /// The number of the next page that is not in `ready`, among those of entries.
    next: u64,
    leaf: Leaf,
    /// The next entry of the leaf.
    entry: usize,
    last: Vec<u8>,
}

impl<'a, R: ReadAt + ?Sized> Walk<'a, R> {
    pub(super) fn new(source: &'a R, shape: &'a Shape) -> Self {
        let (ready, last, leaf) = (Vec::new(), Vec::new(), Leaf::default());
        Walk { source, shape, ready, used: 0, next: 0, leaf, entry: 0, last }
    }

    /// Makes `out` the next record; `false` at the end.
    pub(super) fn advance(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        if self.entry == self.leaf.len() && !self.next_leaf()? {
            return Ok(false);
        }
        let number = self.page();
        let (head, rest) =
            self.leaf.entry(self.entry).ok_or_else(|| bad_page(number, "an entry is missing"))?;
        self.entry += 1;
        out.clear();
        out.extend_from_slice(head);
        out.extend_from_slice(rest);
        if self.last >= *out {
            return Err(bad_page(number, "its entries are not in ascending order"));
        }
        let place = MultiPlace::decode(&rest[head_digest(head)..]);
        if place.is_none_or(|place| place.file >= self.shape.files) {
            return Err(bad_page(number, "an entry is of a file that the index does not have"));
        }
        self.last.clear();
        self.last.extend_from_slice(out);
        Ok(true)
    }

    /// The error for the page whose entry came last.
    pub(super) fn fault(&self, what: &'static str) -> Error {
        bad_page(self.page(), what)
    }

    /// The number of the page whose entries come.
    fn page(&self) -> u64 {
        (self.shape.start(0) + self.next - self.waiting()).saturating_sub(1)
    }

    /// Pages that have been read and not used.
    fn waiting(&self) -> u64 {
        ((self.ready.len() - self.used) / PAGE) as u64
    }

    fn next_leaf(&mut self) -> Result<bool> {
        let (start, count) = (self.shape.start(0), self.shape.pages(0));
        if self.waiting() == 0 {
            let more = (count - self.next).min(AHEAD);
            if more == 0 {
                return Ok(false);
            }
            page::read(self.source, start + self.next, more as usize, &mut self.ready)?;
            self.used = 0;
            self.next += more;
        }
        let number = start + self.next - self.waiting();
        let bytes = &self.ready[self.used..][..PAGE];
        let page = page::check(bytes, Kind::Leaf, number, &self.shape.id)?;
        self.leaf = Leaf::parse(page).map_err(|what| bad_page(number, what))?;
        self.used += PAGE;
        self.entry = 0;
        Ok(true)
    }
}

/// Bytes of the digest behind the head of a record.
fn head_digest(head: &[u8]) -> usize {
    head.get(RECORD_HEAD - 1).map_or(0, |&len| len.into())
}

impl<R: ReadAt + ?Sized> Records for Walk<'_, R> {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        Ok(self.advance(out)?)
    }
}

/// Pages that are read at a time.
const AHEAD: u64 = 16;
