//! The entries of a stored index, one after the other.

use std::iter::FusedIterator;

use super::codec::{IndexCodec, OFFSET_LEN};
use super::search::{LEAF, offset_at, read_entries};
use super::table::{Table, bad};
use crate::error::Result;
use crate::read_at::ReadAt;

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IndexEntry {
    /// The multihash code of the hash function. `None` where the format does not have it.
    pub hash_code: Option<u64>,
    /// The digest.
    pub digest: Vec<u8>,
    /// The offset of the section in the payload.
    pub offset: u64,
}

/// The entries of an index in their order, checked: sorted, with offsets in the payload. An error ends the iteration.
#[derive(Debug)]
pub struct IndexEntries<'a, R: ?Sized> {
    source: &'a R,
    table: &'a Table,
    /// The bucket, and the next entry in it.
    next: (usize, u64),
    ready: Vec<u8>,
    used: usize,
    /// The digest of the last entry of the bucket.
    before: Vec<u8>,
    failed: bool,
}

/// An entry that has been read, but not copied.
pub(crate) struct Seen<'a> {
    pub(crate) code: u64,
    pub(crate) digest: &'a [u8],
    pub(crate) offset: u64,
}

impl<'a, R: ReadAt + ?Sized> IndexEntries<'a, R> {
    pub(crate) fn new(source: &'a R, table: &'a Table) -> Self {
        let (ready, before) = (Vec::new(), Vec::new());
        IndexEntries { source, table, next: (0, 0), ready, used: 0, before, failed: false }
    }

    /// The next entry.
    pub(crate) fn advance(&mut self) -> Result<Option<Seen<'_>>> {
        let bucket = loop {
            let Some(bucket) = self.table.buckets.get(self.next.0) else {
                return Ok(None);
            };
            if self.next.1 < bucket.count {
                break bucket;
            }
            self.next = (self.next.0 + 1, 0);
            self.before.clear();
        };
        let number = self.next.1;
        if self.used == self.ready.len() {
            let count = (bucket.count - number).min(LEAF as u64);
            read_entries(self.source, bucket, number, count, &mut self.ready)?;
            self.used = 0;
        }
        let entry = &self.ready[self.used..][..bucket.width];
        let (digest, offset) = (&entry[..bucket.width - OFFSET_LEN], offset_at(entry));
        if number > 0 && digest < &self.before[..] {
            return Err(bad("its entries are not sorted", bucket.place(number)));
        }
        if offset >= self.table.payload_len {
            return Err(bad("an offset is not in the payload", bucket.place(number)));
        }
        self.before.clear();
        self.before.extend_from_slice(digest);
        self.used += bucket.width;
        self.next.1 += 1;
        Ok(Some(Seen { code: bucket.code, digest, offset }))
    }
}

impl<R: ReadAt + ?Sized> Iterator for IndexEntries<'_, R> {
    type Item = Result<IndexEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let has_code = self.table.codec == IndexCodec::MultihashSorted;
        let item = self.advance().map(|seen| {
            seen.map(|seen| IndexEntry {
                hash_code: has_code.then_some(seen.code),
                digest: seen.digest.to_vec(),
                offset: seen.offset,
            })
        });
        self.failed = item.is_err();
        item.transpose()
    }
}

impl<R: ReadAt + ?Sized> FusedIterator for IndexEntries<'_, R> {}
