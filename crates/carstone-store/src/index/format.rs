//! The stored form of an index segment: `docs/format.md`, section 11. All integers are big-endian.

use std::ops::Range;

use crc_fast::{CrcAlgorithm, Digest};

use super::location::Location;
use crate::error::{Error, ErrorKind, Result};
use crate::name::Hash;

/// What an entry says of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// A blob lies at a place in a location.
    Blob,
    /// A location has blobs of the set that this hash, its root, names.
    Containing,
}

impl EntryKind {
    fn code(self) -> u8 {
        match self {
            Self::Blob => 0,
            Self::Containing => 2,
        }
    }

    fn of(code: u8) -> Option<Self> {
        [Self::Blob, Self::Containing].into_iter().find(|kind| kind.code() == code)
    }
}

/// Entries of one kind and one hash function, sorted by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) kind: EntryKind,
    /// Multihash code.
    pub(crate) code: u64,
    /// Bytes of a digest.
    pub(crate) len: u8,
    /// Leading bits of the digest that tell the bucket.
    pub(crate) bits: u8,
    pub(crate) count: u64,
    /// Where the table of buckets begins.
    pub(crate) table: u64,
    /// Where the entries begin.
    pub(crate) entries: u64,
}

/// What a look-up has to read next, and how to check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The number of its first entry.
    first: u64,
    /// Bytes of the segment.
    pub(crate) range: Range<u64>,
    checksum: u32,
}

/// An entry as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the location.
    pub(crate) location: u32,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Number of the codec.
    pub(crate) codec: u8,
}

/// The front of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) groups: Vec<Group>,
    /// Codecs of CIDs, by the numbers that entries have.
    pub(crate) codecs: Vec<u64>,
    /// Where the records of locations stand.
    pub(crate) locations: Range<u64>,
    pub(crate) location_count: u32,
    /// The first 16 bytes of BLAKE3 of the records of locations.
    pub(crate) locations_hash: [u8; 16],
}

impl Group {
    /// Bytes of an entry.
    pub(crate) fn width(&self) -> u64 {
        u64::from(self.len) + PLACE_LEN as u64
    }

    /// The bucket in which a digest is.
    pub(crate) fn bucket_of(&self, digest: &[u8]) -> u64 {
        let mut front = [0; 8];
        let n = digest.len().min(8);
        front[..n].copy_from_slice(&digest[..n]);
        u64::from_be_bytes(front).checked_shr(64 - u32::from(self.bits)).unwrap_or(0)
    }

    /// The part of the table that tells where the bucket of a digest is.
    pub(crate) fn table_range(&self, digest: &[u8]) -> Range<u64> {
        let start = self.table + self.bucket_of(digest) * TABLE_ENTRY;
        start..start + 2 * TABLE_ENTRY
    }

    /// The bucket that this part of the table tells of.
    pub(crate) fn bucket(&self, part: &[u8]) -> Result<Bucket> {
        let number = |at: usize| {
            part.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
        };
        let checksum =
            part.get(8..12).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let (Some(first), Some(checksum), Some(end)) = (number(0), checksum, number(12)) else {
            return Err(malformed("the table of an index segment is cut"));
        };
        if first > end || end > self.count {
            return Err(malformed("the table of an index segment is not in order"));
        }
        let at = |number: u64| self.entries + number * self.width();
        Ok(Bucket { range: at(first)..at(end), first, checksum })
    }

    /// The places of a digest in its bucket.
    pub(crate) fn find(&self, bucket: &Bucket, bytes: &[u8], digest: &[u8]) -> Result<Vec<Place>> {
        let mut check = digest_of_bucket(bucket.first);
        check.update(bytes);
        if check.finalize() as u32 != bucket.checksum {
            return Err(malformed("a bucket of an index segment does not match its checksum"));
        }
        let width = usize::from(self.len) + PLACE_LEN;
        let entries = bytes.chunks_exact(width);
        let found = entries.filter(|entry| entry.starts_with(digest));
        Ok(found.filter_map(|entry| Place::decode(entry.get(digest.len()..)?)).collect())
    }
}

impl Place {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.location.to_be_bytes());
        out.extend(&self.offset.to_be_bytes()[2..]);
        out.extend(&self.len.to_be_bytes()[3..]);
        out.push(self.codec);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (location, rest) = bytes.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<6>()?;
        let (len, rest) = rest.split_first_chunk::<5>()?;
        let wide = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let location = u32::from_be_bytes(*location);
        Some(Self { location, offset: wide(offset), len: wide(len), codec: *rest.first()? })
    }
}

impl Front {
    /// The group of entries that a hash may have.
    pub(crate) fn group(&self, kind: EntryKind, hash: &Hash) -> Option<&Group> {
        let is_it = |group: &&Group| {
            group.kind == kind && group.code == hash.code() && group.len == hash.size()
        };
        self.groups.iter().find(is_it)
    }

    /// The locations, from their records.
    pub(crate) fn locations_in(&self, records: &[u8]) -> Result<Vec<Location>> {
        if blake3::hash(records).as_bytes()[..16] != self.locations_hash {
            return Err(malformed("the locations of an index segment are damaged"));
        }
        let mut fields = Fields(records);
        (0..self.location_count).map(|_| Location::decode(&mut fields)).collect()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRONT_LEN);
        out.extend(MAGIC);
        out.extend(VERSION.to_be_bytes());
        out.push(self.groups.len() as u8);
        out.push(self.codecs.len() as u8);
        out.extend(self.location_count.to_be_bytes());
        out.extend(self.locations.start.to_be_bytes());
        out.extend(self.locations.end.to_be_bytes());
        out.extend(self.locations_hash);
        for group in &self.groups {
            out.extend([group.kind.code(), group.len, group.bits, 0]);
            for number in [group.code, group.count, group.table, group.entries] {
                out.extend(number.to_be_bytes());
            }
        }
        self.codecs.iter().for_each(|codec| out.extend(codec.to_be_bytes()));
        out.resize(FRONT_LEN - 16, 0);
        let hash = blake3::hash(&out);
        out.extend(&hash.as_bytes()[..16]);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let (body, hash) = bytes
            .split_at_checked(FRONT_LEN - 16)
            .ok_or_else(|| malformed("it is too short for an index segment"))?;
        if !body.starts_with(&MAGIC) {
            return Err(malformed("it is no index segment"));
        }
        if blake3::hash(body).as_bytes()[..16] != hash[..16] {
            return Err(malformed("the front of the index segment is damaged"));
        }
        let mut fields = Fields(&body[MAGIC.len()..]);
        if fields.u16()? != VERSION {
            return Err(malformed("the index segment has an unknown version"));
        }
        let (groups, codecs) = (fields.u8()?, fields.u8()?);
        let location_count = fields.u32()?;
        let locations = fields.u64()?..fields.u64()?;
        let locations_hash = fields.take()?;
        let mut front = Self { location_count, locations, locations_hash, ..Self::default() };
        for _ in 0..groups {
            let kind = EntryKind::of(fields.u8()?)
                .ok_or_else(|| malformed("an index segment has entries of an unknown kind"))?;
            let (len, bits) = (fields.u8()?, fields.u8()?);
            fields.u8()?;
            let (code, count) = (fields.u64()?, fields.u64()?);
            let (table, entries) = (fields.u64()?, fields.u64()?);
            let group = Group { kind, code, len, bits, count, table, entries };
            if len > MAX_DIGEST
                || bits > MAX_BITS
                || count > MAX_ENTRIES
                || entries > MAX_OFFSET
                || table > MAX_OFFSET
            {
                return Err(malformed("a group of an index segment is too large"));
            }
            front.groups.push(group);
        }
        for _ in 0..codecs {
            front.codecs.push(fields.u64()?);
        }
        if front.locations.start > front.locations.end || front.locations.end > MAX_OFFSET {
            return Err(malformed("the locations of an index segment are not in order"));
        }
        Ok(front)
    }
}

/// Numbers, one behind the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let cut = || malformed("a record of an index segment is cut");
        let (found, rest) = self.0.split_first_chunk().ok_or_else(cut)?;
        self.0 = rest;
        Ok(*found)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let cut = || malformed("a record of an index segment is cut");
        let (found, rest) = self.0.split_at_checked(len).ok_or_else(cut)?;
        self.0 = rest;
        Ok(found)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.take().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// Leading bits that make about so many entries a bucket.
pub(crate) fn bits_for(count: u64) -> u8 {
    let buckets = (count / PER_BUCKET).max(1);
    (buckets.next_power_of_two().ilog2() as u8).min(MAX_BITS)
}

/// The checksum of a bucket, to begin with: of the number of its first entry, so that a record of zeros is not that of an empty bucket.
pub(crate) fn digest_of_bucket(first: u64) -> Digest {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&first.to_be_bytes());
    digest
}

/// The number of a codec, which is a new one if it has none yet.
pub(crate) fn number_of(codecs: &mut Vec<u64>, codec: u64) -> Result<u8> {
    let number = codecs.iter().position(|known| *known == codec).unwrap_or_else(|| {
        codecs.push(codec);
        codecs.len() - 1
    });
    u8::try_from(number).map_err(|_| malformed("an index segment has too many codecs"))
}

pub(crate) fn malformed(rule: &'static str) -> Error {
    Error::new(ErrorKind::Malformed(rule))
}

/// Bytes of the front, which one read gives.
pub(crate) const FRONT_LEN: usize = 4096;
/// Bytes of an entry behind its digest.
pub(crate) const PLACE_LEN: usize = 16;
/// Bytes of an entry of the table: number of the first entry of the bucket, checksum of that and of the entries.
pub(crate) const TABLE_ENTRY: u64 = 12;
/// The most bytes of the records of locations: about a million packs.
pub(crate) const MAX_LOCATIONS: u64 = 64 << 20;
/// The most bytes of a bucket. Those of good hashes have some thousand.
pub(crate) const MAX_BUCKET: u64 = 16 << 20;
/// What fits into an entry.
pub(crate) const MAX_PLACE_OFFSET: u64 = (1 << 48) - 1;
pub(crate) const MAX_PLACE_LEN: u64 = (1 << 40) - 1;
pub(crate) const MAX_GROUPS: usize = 64;
pub(crate) const MAX_CODECS: usize = 128;

const MAGIC: [u8; 8] = *b"\x89CSTs\r\n\x1a";
const VERSION: u16 = 1;
const MAX_DIGEST: u8 = 64;
const MAX_BITS: u8 = 28;
const MAX_ENTRIES: u64 = 1 << 40;
const MAX_OFFSET: u64 = 1 << 56;
const PER_BUCKET: u64 = 32;
