//! Where the buckets of a stored index lie.

use std::ops::Range;

use super::codec::{IndexCodec, MAX_BUCKETS, MAX_WIDTH, OFFSET_LEN};
use crate::error::{Error, ErrorKind, Part, Result};
use crate::read_at::{ReadAt, read_full};
use crate::varint::{self, Varint};

/// The buckets of an index: all that is held of it in memory.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(super) codec: IndexCodec,
    /// In ascending order of hash function and width.
    pub(super) buckets: Vec<Bucket>,
    /// Length of the payload, if it is known: no offset reaches it.
    pub(super) payload_len: u64,
}

/// Entries of one hash function and width, sorted by digest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// The hash function; 0 where the format does not have it.
    pub(super) code: u64,
    /// Bytes of an entry: digest and offset.
    pub(super) width: usize,
    /// Where the first entry lies in the source.
    pub(super) start: u64,
    /// The number of entries.
    pub(super) count: u64,
}

impl Bucket {
    /// Where an entry lies in the source.
    pub(super) fn place(&self, entry: u64) -> u64 {
        // Not over the end of the bucket, which has been compared with the length of the source.
        self.start.saturating_add(entry.saturating_mul(self.width as u64))
    }
}

impl Table {
    /// Reads the heads of the buckets of the index that fills `range` of the source.
    pub(crate) fn read<R: ReadAt + ?Sized>(
        source: &R,
        range: Range<u64>,
        payload_len: Option<u64>,
    ) -> Result<Self> {
        let mut walk = Walk { source, at: range.start, end: range.end };
        let codec = walk.codec()?;
        walk.table(codec, payload_len)
    }

    /// The same for an index that may lack its codec. Such ones have the older format.
    pub(crate) fn read_legacy<R: ReadAt + ?Sized>(
        source: &R,
        range: Range<u64>,
        payload_len: Option<u64>,
    ) -> Result<Self> {
        match Table::read(source, range.clone(), payload_len) {
            Err(error) if matches!(error.kind(), ErrorKind::UnknownIndex(_)) => {
                let mut walk = Walk { source, at: range.start, end: range.end };
                // Where that leads nowhere either, the codec is what is unknown.
                walk.table(IndexCodec::Sorted, payload_len).map_err(|legacy| match legacy.kind() {
                    ErrorKind::Io(_) => legacy,
                    _ => error,
                })
            }
            read => read,
        }
    }

    pub(crate) fn codec(&self) -> IndexCodec {
        self.codec
    }

    /// The bucket for digests of this length.
    pub(super) fn bucket(&self, code: u64, digest_len: usize) -> Option<&Bucket> {
        let code = match self.codec {
            IndexCodec::Sorted => 0,
            IndexCodec::MultihashSorted => code,
        };
        let key = (code, digest_len + OFFSET_LEN);
        let found = self.buckets.binary_search_by(|b| (b.code, b.width).cmp(&key));
        found.ok().and_then(|number| self.buckets.get(number))
    }
}

/// Reads the heads of buckets, one after the other.
struct Walk<'a, R: ?Sized> {
    source: &'a R,
    at: u64,
    end: u64,
}

impl<R: ReadAt + ?Sized> Walk<'_, R> {
    fn table(&mut self, codec: IndexCodec, payload_len: Option<u64>) -> Result<Table> {
        let mut buckets = Vec::new();
        match codec {
            IndexCodec::Sorted => self.buckets(0, &mut buckets)?,
            IndexCodec::MultihashSorted => {
                let mut before = None;
                for _ in 0..self.count()? {
                    let at = self.at;
                    let code = u64::from_le_bytes(self.take()?);
                    if before.is_some_and(|before| before >= code) {
                        return Err(bad("its hash functions are not in ascending order", at));
                    }
                    before = Some(code);
                    self.buckets(code, &mut buckets)?;
                }
            }
        }
        if self.at != self.end {
            return Err(bad("there are bytes behind its last bucket", self.at));
        }
        let payload_len = payload_len.unwrap_or(u64::MAX);
        Ok(Table { codec, buckets, payload_len })
    }

    fn codec(&mut self) -> Result<IndexCodec> {
        let start = self.at;
        let mut bytes = [0; varint::MAX_LEN];
        let len = (self.end - self.at).min(bytes.len() as u64) as usize;
        let len = read_full(self.source, &mut bytes[..len], start)
            .map_err(|error| Error::at(ErrorKind::Io(error), start))?;
        match varint::decode(&bytes[..len]) {
            Varint::Value(code, len) => {
                self.at += len as u64;
                let unknown = || Error::at(ErrorKind::UnknownIndex(code), start);
                IndexCodec::from_code(code).ok_or_else(unknown)
            }
            Varint::Malformed => Err(Error::at(ErrorKind::BadVarint(Part::Index), start)),
            Varint::Incomplete => Err(self.truncated()),
        }
    }

    fn buckets(&mut self, code: u64, out: &mut Vec<Bucket>) -> Result<()> {
        let mut before = 0;
        for _ in 0..self.count()? {
            let at = self.at;
            if out.len() == MAX_BUCKETS {
                let (size, limit) = (MAX_BUCKETS as u64 + 1, MAX_BUCKETS as u64);
                let kind = ErrorKind::TooLarge { part: Part::Index, size, limit };
                return Err(Error::at(kind, at));
            }
            let width = u32::from_le_bytes(self.take()?) as usize;
            let byte_len = u64::from_le_bytes(self.take()?);
            if width < OFFSET_LEN {
                return Err(bad("the entries of a bucket are shorter than an offset", at));
            }
            if width > MAX_WIDTH {
                let (size, limit) = (width as u64, MAX_WIDTH as u64);
                let kind = ErrorKind::TooLarge { part: Part::IndexEntry, size, limit };
                return Err(Error::at(kind, at));
            }
            if width <= before {
                return Err(bad("its buckets are not in ascending order", at));
            }
            before = width;
            if byte_len % width as u64 != 0 {
                return Err(bad("the length of a bucket is no multiple of that of an entry", at));
            }
            if byte_len > self.end - self.at {
                return Err(bad("a bucket goes past the end", at));
            }
            let count = byte_len / width as u64;
            out.push(Bucket { code, width, start: self.at, count });
            self.at += byte_len;
        }
        Ok(())
    }

    /// The number of what follows, which nothing is allocated for.
    fn count(&mut self) -> Result<u32> {
        let at = self.at;
        let count = i32::from_le_bytes(self.take()?);
        u32::try_from(count).map_err(|_| bad("a count is negative", at))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        if self.end - self.at < N as u64 {
            return Err(self.truncated());
        }
        match read_full(self.source, &mut bytes, self.at) {
            Ok(read) if read == N => {
                self.at += N as u64;
                Ok(bytes)
            }
            Ok(_) => Err(self.truncated()),
            Err(error) => Err(Error::at(ErrorKind::Io(error), self.at)),
        }
    }

    fn truncated(&self) -> Error {
        Error::at(ErrorKind::Truncated(Part::Index), self.end)
    }
}

pub(super) fn bad(what: &'static str, at: u64) -> Error {
    Error::at(ErrorKind::BadIndex(what), at)
}
