//! Searching a stored index, without loading it.

use std::iter::FusedIterator;
use std::ops::Range;

use multihash::Multihash;

use super::builder::{IndexBuilder, SortedIndex};
use super::codec::{IndexCodec, OFFSET_LEN};
use super::entries::IndexEntries;
use super::table::{Bucket, Table, bad};
use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::read_at::{ReadAt, read_full};

/// A stored index, inside of a CARv2 or in a file of its own. The counterpart of `index.Index` in go-car.
///
/// What is held in memory is the place of each bucket, and there are as many buckets as hash functions and digest lengths. A search
/// reads a few kilobytes; many threads may search at once.
///
/// An index is a claim. What it finds is a section of the block only if the CID there says so, and a block only if it hashes to that:
/// [`IndexedCar`](crate::IndexedCar) looks. What it does not find may still be there.
#[derive(Clone, Debug)]
pub struct Index<R> {
    source: R,
    table: Table,
}

impl<R: ReadAt> Index<R> {
    /// Opens the index that `source` consists of, with its codec in front. The counterpart of `index.ReadFrom` in go-car.
    ///
    /// All heads of buckets are read and checked: counts, widths, lengths against the length of the source, order, nothing behind the
    /// last one. Entries are looked at when they are needed; [`check`](Self::check) looks at all.
    pub fn open(source: R) -> Result<Self> {
        let len = source.size().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        Index::open_range(source, 0..len, None)
    }

    /// Opens the index that fills this range of `source`. Offsets are to be smaller than the length of the payload, if that is known.
    pub fn open_range(source: R, range: Range<u64>, payload_len: Option<u64>) -> Result<Self> {
        Index::read(source, range, payload_len, false)
    }

    /// Opens the index that fills this range of `source`, and may lack its codec: files made before there were codecs have such an
    /// index, of the format [`Sorted`](IndexCodec::Sorted).
    ///
    /// What does not read as one of those either gives the error of [`open`](Self::open).
    pub fn open_legacy(source: R, range: Range<u64>, payload_len: Option<u64>) -> Result<Self> {
        Index::read(source, range, payload_len, true)
    }

    pub(crate) fn read(
        source: R,
        range: Range<u64>,
        payload_len: Option<u64>,
        legacy: bool,
    ) -> Result<Self> {
        let table = match legacy {
            true => Table::read_legacy(&source, range, payload_len)?,
            false => Table::read(&source, range, payload_len)?,
        };
        Ok(Index { source, table })
    }

    /// The format.
    pub fn codec(&self) -> IndexCodec {
        self.table.codec
    }

    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.table.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(bucket.count))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The offset in the payload that the index has for this CID: the first one, if there are several.
    /// The counterpart of `GetFirst` in go-car.
    pub fn find(&self, cid: &Cid) -> Result<Option<u64>> {
        self.offsets(cid.hash())?.next().transpose()
    }

    /// All offsets in the payload that the index has for this hash. With [`IndexCodec::Sorted`] there may be sections among them
    /// whose digest is the same, but not the hash function. The counterpart of `GetAll` in go-car.
    pub fn offsets(&self, hash: &Multihash<64>) -> Result<Offsets<'_, R>> {
        offsets_in(&self.source, &self.table, hash)
    }

    /// All entries, in their order, checked. The counterpart of `ForEach` in go-car.
    pub fn entries(&self) -> IndexEntries<'_, R> {
        IndexEntries::new(&self.source, &self.table)
    }

    /// Checks all entries: that they are sorted, and that their offsets are in the payload, if its length is known.
    pub fn check(&self) -> Result<()> {
        let mut entries = self.entries();
        while entries.advance()?.is_some() {}
        Ok(())
    }

    /// The same entries in an index that can be written, with ties in the order of their offsets.
    pub(crate) fn sorted(&self) -> Result<SortedIndex> {
        let mut builder = IndexBuilder::new(self.codec());
        let mut entries = self.entries();
        while let Some(seen) = entries.advance()? {
            builder.add_entry(seen.code, seen.digest, seen.offset)?;
        }
        builder.finish()
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// Source and table.
    pub(crate) fn into_parts(self) -> (R, Table) {
        (self.source, self.table)
    }
}

/// The offsets that an index has for one hash.
#[derive(Debug)]
pub struct Offsets<'a, R: ?Sized> {
    source: &'a R,
    payload_len: u64,
    /// The bucket, and the next entry in it. `None` when there is no more.
    next: Option<(&'a Bucket, u64)>,
    digest: Vec<u8>,
    /// Entries that have been read, the next one in front.
    ready: Vec<u8>,
    used: usize,
}

impl<R: ReadAt + ?Sized> Iterator for Offsets<'_, R> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let (bucket, number) = self.next.take()?;
        if self.used == self.ready.len() {
            if number == bucket.count {
                return None;
            }
            let count = (bucket.count - number).min(LEAF as u64);
            if let Err(error) = read_entries(self.source, bucket, number, count, &mut self.ready) {
                return Some(Err(error));
            }
            self.used = 0;
        }
        let entry = &self.ready[self.used..][..bucket.width];
        let (digest, _) = entry.split_at(bucket.width - OFFSET_LEN);
        if digest != self.digest {
            return None;
        }
        let offset = offset_at(entry);
        self.used += bucket.width;
        self.next = Some((bucket, number + 1));
        if offset >= self.payload_len {
            return Some(Err(bad("an offset is not in the payload", bucket.place(number))));
        }
        Some(Ok(offset))
    }
}

impl<R: ReadAt + ?Sized> FusedIterator for Offsets<'_, R> {}

/// Finds the first entry of a hash.
pub(crate) fn offsets_in<'a, R: ReadAt + ?Sized>(
    source: &'a R,
    table: &'a Table,
    hash: &Multihash<64>,
) -> Result<Offsets<'a, R>> {
    let (payload_len, digest) = (table.payload_len, hash.digest());
    let mut found = Offsets {
        source,
        payload_len,
        next: None,
        digest: digest.to_vec(),
        ready: Vec::new(),
        used: 0,
    };
    let Some(bucket) = table.bucket(hash.code(), digest.len()) else {
        return Ok(found);
    };
    // Invariant of sorted entries: all before `low` are smaller, none from `high` on is.
    let (mut low, mut high) = (0, bucket.count);
    while high - low > LEAF as u64 {
        let middle = low + (high - low) / 2;
        read_entries(source, bucket, middle, 1, &mut found.ready)?;
        match found.ready[..digest.len()] < *digest {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    // What follows may be equal too: a whole leaf is read even if less would do.
    let count = (bucket.count - low).min(LEAF as u64);
    read_entries(source, bucket, low, count, &mut found.ready)?;
    let smaller = |entry: &&[u8]| entry[..digest.len()] < *digest;
    let skipped = found.ready.chunks_exact(bucket.width).take_while(smaller).count();
    found.used = skipped * bucket.width;
    found.next = Some((bucket, low + skipped as u64));
    Ok(found)
}

/// The offset at the end of an entry.
pub(crate) fn offset_at(entry: &[u8]) -> u64 {
    entry.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Makes `out` these entries of a bucket, at most a few kilobytes.
pub(super) fn read_entries<R: ReadAt + ?Sized>(
    source: &R,
    bucket: &Bucket,
    first: u64,
    count: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let place = bucket.place(first);
    let len = bucket.width * count as usize;
    out.resize(len, 0);
    match read_full(source, out, place) {
        Ok(read) if read == len => Ok(()),
        Ok(read) => {
            let end = place.saturating_add(read as u64);
            Err(Error::at(ErrorKind::Truncated(Part::Index), end))
        }
        Err(error) => Err(Error::at(ErrorKind::Io(error), place)),
    }
}

/// A search that has come down to so many entries reads them all at once.
pub(super) const LEAF: usize = 64;
