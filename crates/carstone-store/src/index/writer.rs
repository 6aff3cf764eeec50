//! Writes a segment from entries in their order.

use std::io::{BufWriter, IntoInnerError, Write};

use crc_fast::Digest;

use super::format::{
    EntryKind, FRONT_LEN, Front, Group, MAX_BUCKET, MAX_CODECS, MAX_GROUPS, MAX_LOCATIONS, Place,
    bits_for, digest_of_bucket, malformed,
};
use super::location::Location;
use crate::error::{Error, Result};
use crate::objects::Spool;

/// A segment that is being written: groups in their order, each with its entries in theirs.
pub(crate) struct SegmentWriter {
    out: BufWriter<Spool>,
    at: u64,
    front: Front,
    filling: Option<Filling>,
}

/// The group that takes entries.
struct Filling {
    group: Group,
    /// The table so far: first entry and checksum of each bucket.
    table: Vec<u8>,
    bucket: u64,
    first: u64,
    digest: Digest,
    last: Vec<u8>,
}

impl SegmentWriter {
    pub(crate) fn new(spool: Spool, locations: &[Location], codecs: &[u64]) -> Result<Self> {
        if codecs.len() > MAX_CODECS {
            return Err(malformed("an index segment has too many codecs"));
        }
        let mut records = Vec::new();
        locations.iter().for_each(|location| location.encode(&mut records));
        if records.len() as u64 > MAX_LOCATIONS {
            return Err(malformed("an index segment has too many locations"));
        }
        let mut out = BufWriter::with_capacity(BUFFER, spool);
        out.write_all(&[0; FRONT_LEN])?;
        out.write_all(&records)?;
        let at = (FRONT_LEN + records.len()) as u64;
        let mut front = Front {
            codecs: codecs.to_vec(),
            locations: FRONT_LEN as u64..at,
            location_count: u32::try_from(locations.len())
                .map_err(|_| malformed("an index segment has too many locations"))?,
            ..Front::default()
        };
        front.locations_hash.copy_from_slice(&blake3::hash(&records).as_bytes()[..16]);
        Ok(Self { out, at, front, filling: None })
    }

    /// Starts a group of about so many entries.
    pub(crate) fn group(&mut self, kind: EntryKind, code: u64, len: u8, about: u64) -> Result<()> {
        self.end_group()?;
        if self.front.groups.len() == MAX_GROUPS {
            return Err(malformed("an index segment has too many hash functions"));
        }
        let (bits, entries) = (bits_for(about), self.at);
        let group = Group { kind, code, len, bits, count: 0, table: 0, entries };
        let digest = digest_of_bucket(0);
        let (table, last) = (Vec::new(), Vec::new());
        self.filling = Some(Filling { group, table, bucket: 0, first: 0, digest, last });
        Ok(())
    }

    /// Puts an entry into the group. One that is equal to the last is left out.
    pub(crate) fn push(&mut self, digest: &[u8], place: &Place) -> Result<()> {
        let Some(filling) = &mut self.filling else { return Ok(()) };
        let mut entry = digest.to_vec();
        place.encode(&mut entry);
        if filling.last == entry {
            return Ok(());
        }
        debug_assert!(filling.last < entry, "entries come in their order");
        filling.reach(filling.group.bucket_of(digest));
        if (filling.group.count + 1 - filling.first) * filling.group.width() > MAX_BUCKET {
            return Err(malformed("a digest has too many places for an index segment"));
        }
        filling.digest.update(&entry);
        filling.group.count += 1;
        self.out.write_all(&entry)?;
        self.at += entry.len() as u64;
        filling.last = entry;
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let Some(mut filling) = self.filling.take() else { return Ok(()) };
        filling.reach(1 << filling.group.bits);
        filling.table.extend(filling.group.count.to_be_bytes());
        let end = digest_of_bucket(filling.group.count).finalize() as u32;
        filling.table.extend(end.to_be_bytes());
        self.out.write_all(&filling.table)?;
        filling.group.table = self.at;
        self.at += filling.table.len() as u64;
        self.front.groups.push(filling.group);
        Ok(())
    }

    /// The segment, whole.
    pub(crate) fn finish(mut self) -> Result<Spool> {
        self.end_group()?;
        let mut spool =
            self.out.into_inner().map_err(IntoInnerError::into_error).map_err(Error::from)?;
        spool.write_at(&self.front.encode(), 0)?;
        Ok(spool)
    }
}

impl Filling {
    /// Ends the buckets before this one.
    fn reach(&mut self, bucket: u64) {
        while self.bucket < bucket {
            let next = digest_of_bucket(self.group.count);
            let digest = std::mem::replace(&mut self.digest, next);
            self.table.extend(self.first.to_be_bytes());
            self.table.extend((digest.finalize() as u32).to_be_bytes());
            (self.bucket, self.first) = (self.bucket + 1, self.group.count);
        }
    }
}

const BUFFER: usize = 256 << 10;
