//! Makes a segment of entries that come in any order.

use std::collections::{BTreeMap, HashMap};

use carstone_car::Cid;

use super::format::{
    EntryKind, MAX_PLACE_LEN, MAX_PLACE_OFFSET, PLACE_LEN, Place, malformed, number_of,
};
use super::location::{Location, MAX_TEXT};
use super::writer::SegmentWriter;
use crate::error::Result;
use crate::name::Hash;
use crate::objects::Spool;

/// Entries of a segment in the making, in memory: about 52 bytes for each.
#[derive(Debug, Default)]
pub struct SegmentBuilder {
    locations: Vec<Location>,
    numbers: HashMap<Location, u32>,
    codecs: Vec<u64>,
    /// Digest and place of each entry, one behind the other.
    groups: BTreeMap<(EntryKind, u64, u8), Vec<u8>>,
    bytes: usize,
}

impl SegmentBuilder {
    /// One without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Bytes that the entries and their locations take, about.
    pub fn memory(&self) -> usize {
        self.bytes
    }

    /// Adds that a blob lies there: so many bytes from `offset` on.
    ///
    /// # Errors
    /// The place is behind 256 TiB, or the blob larger than 1 TiB; there are too many locations or codecs.
    pub fn add_blob(
        &mut self,
        cid: &Cid,
        location: &Location,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        self.add(EntryKind::Blob, cid.hash(), cid.codec(), location, offset, len)
    }

    /// Adds that a location has blobs of the DAG under this root.
    ///
    /// # Errors
    /// There are too many locations or codecs.
    pub fn add_containing(&mut self, root: &Cid, location: &Location) -> Result<()> {
        self.add(EntryKind::Containing, root.hash(), root.codec(), location, 0, 0)
    }

    fn add(
        &mut self,
        kind: EntryKind,
        hash: &Hash,
        codec: u64,
        location: &Location,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        if offset > MAX_PLACE_OFFSET || len > MAX_PLACE_LEN {
            return Err(malformed(
                "a blob is too large, or too far from the start of its pack, for an index",
            ));
        }
        let location = self.number(location)?;
        let codec = number_of(&mut self.codecs, codec)?;
        let group = self.groups.entry((kind, hash.code(), hash.size())).or_default();
        let before = group.len();
        group.extend_from_slice(hash.digest());
        Place { location, offset, len, codec }.encode(group);
        self.bytes += group.len() - before;
        Ok(())
    }

    fn number(&mut self, location: &Location) -> Result<u32> {
        if let Some(number) = self.numbers.get(location) {
            return Ok(*number);
        }
        if matches!(location, Location::Foreign { text, .. } if text.len() > MAX_TEXT) {
            return Err(malformed("the text of a location is too long"));
        }
        let number = u32::try_from(self.locations.len());
        let number = number.map_err(|_| malformed("an index segment has too many locations"))?;
        self.bytes += location.memory();
        self.locations.push(location.clone());
        self.numbers.insert(location.clone(), number);
        Ok(number)
    }

    /// Writes the segment.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self, spool: Spool) -> Result<Spool> {
        let mut writer = SegmentWriter::new(spool, &self.locations, &self.codecs)?;
        for ((kind, code, len), entries) in self.groups {
            let width = usize::from(len) + PLACE_LEN;
            let mut sorted: Vec<&[u8]> = entries.chunks_exact(width).collect();
            sorted.sort_unstable();
            writer.group(kind, code, len, sorted.len() as u64)?;
            for entry in sorted {
                let (digest, place) = entry.split_at(len.into());
                if let Some(place) = Place::decode(place) {
                    writer.push(digest, &place)?;
                }
            }
        }
        writer.finish()
    }
}
