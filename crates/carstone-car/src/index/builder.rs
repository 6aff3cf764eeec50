//! Making an index.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use multihash::Multihash;

use super::codec::{IndexCodec, MAX_BUCKETS, OFFSET_LEN};
use super::runs::Runs;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::{CarReader, Cid, hash_code};

/// Collects the places of blocks, in any order, and sorts them into an index. The counterpart of `index.New` in go-car with `Load`.
///
/// Entries beyond a budget, 16 MiB by default, are sorted in a temporary file. Identity CIDs hold their data themselves and are left out,
/// unless they are [asked for](Self::with_identity).
///
/// ```
/// use carstone_car::{CarReader, CarWriter, Index, IndexBuilder, IndexCodec, codec};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// let section = writer.write_data(codec::RAW, b"hello")?;
///
/// let mut builder = IndexBuilder::new(IndexCodec::MultihashSorted);
/// builder.add(&section.cid, section.offset)?;
/// let mut file = Vec::new();
/// builder.finish()?.write(&mut file)?;
/// assert_eq!(file.len(), 2 + 4 + 8 + 4 + 12 + 40);
///
/// let index = Index::open(file)?;
/// assert_eq!(index.find(&section.cid)?, Some(section.offset));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct IndexBuilder {
    codec: IndexCodec,
    identity: bool,
    runs: Runs,
    /// How many entries there are of each hash function and digest length.
    buckets: BTreeMap<(u64, usize), u64>,
}

/// The entries of an index, sorted: [`write`](Self::write) makes the index of them.
#[derive(Debug)]
pub struct SortedIndex {
    codec: IndexCodec,
    runs: Runs,
    buckets: BTreeMap<(u64, usize), u64>,
}

impl IndexBuilder {
    /// Starts an index without entries.
    pub fn new(codec: IndexCodec) -> Self {
        IndexBuilder::with_budget(codec, DEFAULT_BUDGET)
    }

    /// Starts an index that takes about so many bytes of memory, however many entries there will be.
    pub fn with_budget(codec: IndexCodec, bytes: usize) -> Self {
        IndexBuilder { codec, identity: false, runs: Runs::new(bytes), buckets: BTreeMap::new() }
    }

    /// Sets whether identity CIDs get entries. The header of a CARv2 with such an index should say that it is
    /// [fully indexed](crate::Characteristics::FULLY_INDEXED).
    #[must_use]
    pub fn with_identity(mut self, yes: bool) -> Self {
        self.identity = yes;
        self
    }

    /// Adds the section of this CID, which starts at this offset in the payload. No payload is so long that it has `u64::MAX`.
    pub fn add(&mut self, cid: &Cid, offset: u64) -> Result<()> {
        if cid.hash().code() == hash_code::IDENTITY && !self.identity {
            return Ok(());
        }
        if offset > MAX_OFFSET {
            let kind = ErrorKind::TooLarge { part: Part::Payload, size: offset, limit: MAX_OFFSET };
            return Err(Error::new(kind));
        }
        self.add_hash(cid.hash(), offset)
    }

    /// Adds the sections that a reader gives from where it stands. The counterpart of `LoadIndex` in go-car.
    pub fn add_all<R: Read + Seek>(&mut self, reader: &mut CarReader<R>) -> Result<()> {
        while let Some(section) = reader.skip_section()? {
            self.add(&section.cid, section.offset)?;
        }
        Ok(())
    }

    fn add_hash(&mut self, hash: &Multihash<64>, offset: u64) -> Result<()> {
        let code = match self.codec {
            IndexCodec::Sorted => 0,
            IndexCodec::MultihashSorted => hash.code(),
        };
        self.add_entry(code, hash.digest(), offset)
    }

    /// Adds an entry as the format has it.
    pub(super) fn add_entry(&mut self, code: u64, digest: &[u8], offset: u64) -> Result<()> {
        if digest.len() > usize::from(u8::MAX) {
            let (size, limit) = (digest.len() as u64, u64::from(u8::MAX));
            return Err(Error::new(ErrorKind::TooLarge { part: Part::Digest, size, limit }));
        }
        let (buckets, key) = (self.buckets.len(), (code, digest.len()));
        match self.buckets.get_mut(&key) {
            Some(count) => *count += 1,
            None if buckets == MAX_BUCKETS => {
                let (size, limit) = (MAX_BUCKETS as u64 + 1, MAX_BUCKETS as u64);
                return Err(Error::new(ErrorKind::TooLarge { part: Part::Index, size, limit }));
            }
            None => {
                self.buckets.insert(key, 1);
            }
        }
        self.runs.push(code, digest, offset).map_err(|error| Error::new(ErrorKind::Io(error)))
    }

    /// Sorts the entries: by hash function, digest length, digest and offset.
    pub fn finish(mut self) -> Result<SortedIndex> {
        self.runs.finish().map_err(|error| Error::new(ErrorKind::Io(error)))?;
        Ok(SortedIndex { codec: self.codec, runs: self.runs, buckets: self.buckets })
    }
}

impl SortedIndex {
    /// The format of the index.
    pub fn codec(&self) -> IndexCodec {
        self.codec
    }

    /// The number of bytes that [`write`](Self::write) writes.
    pub fn encoded_len(&self) -> u64 {
        let buckets = self.buckets.iter().map(|(&(_, len), &count)| {
            BUCKET_HEAD.saturating_add(((len + OFFSET_LEN) as u64).saturating_mul(count))
        });
        let codes = match self.codec {
            IndexCodec::Sorted => 4,
            IndexCodec::MultihashSorted => 4 + 12 * self.codes().len() as u64,
        };
        buckets.fold(2 + codes, u64::saturating_add)
    }

    /// Writes the index, with its codec in front: the content of a detached index file, or the last part of a CARv2.
    /// The counterpart of `index.WriteTo` in go-car.
    pub fn write<W: Write>(&self, sink: &mut W) -> io::Result<()> {
        sink.write_all(&self.codec.prefix())?;
        match self.codec {
            IndexCodec::Sorted => sink.write_all(&count(self.buckets.len()))?,
            IndexCodec::MultihashSorted => sink.write_all(&count(self.codes().len()))?,
        }
        let codes = self.codes();
        let (mut code, mut bucket) = (None, None);
        let mut out = Vec::with_capacity(OUT_LEN);
        self.runs.for_each(|record| {
            if self.codec == IndexCodec::MultihashSorted && code != Some(record.code) {
                code = Some(record.code);
                out.extend_from_slice(&record.code.to_le_bytes());
                out.extend_from_slice(&count(codes.get(&record.code).copied().unwrap_or(0)));
            }
            let key = (record.code, record.digest.len());
            if bucket != Some(key) {
                bucket = Some(key);
                let width = record.digest.len() + OFFSET_LEN;
                let entries = self.buckets.get(&key).copied().unwrap_or(0);
                out.extend_from_slice(&(width as u32).to_le_bytes());
                out.extend_from_slice(&entries.saturating_mul(width as u64).to_le_bytes());
            }
            out.extend_from_slice(record.digest);
            out.extend_from_slice(&record.offset.to_le_bytes());
            if out.len() >= OUT_LEN {
                sink.write_all(&out)?;
                out.clear();
            }
            Ok(())
        })?;
        sink.write_all(&out)
    }

    /// The number of buckets of each hash function.
    fn codes(&self) -> BTreeMap<u64, usize> {
        let mut codes = BTreeMap::new();
        for (code, _) in self.buckets.keys() {
            *codes.entry(*code).or_insert(0) += 1;
        }
        codes
    }
}

/// A number of buckets as it is stored. It is far below 2³¹.
fn count(buckets: usize) -> [u8; 4] {
    (buckets as u32).to_le_bytes()
}

/// The last offset of the longest payload whose length fits into 64 bits. A reader takes a larger one for damage.
const MAX_OFFSET: u64 = u64::MAX - 1;

/// Bytes of the width and the length of a bucket.
const BUCKET_HEAD: u64 = 12;

/// The index is written in pieces of about this many bytes.
const OUT_LEN: usize = 64 << 10;

/// Bytes of entries that are sorted in memory.
pub(crate) const DEFAULT_BUDGET: usize = 16 << 20;
