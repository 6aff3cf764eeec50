//! All entries of a segment in a file, one piece after the other.

use carstone_car::multihash::Multihash;

use super::format::{EntryKind, Front, PLACE_LEN, Place, malformed};
use super::location::Location;
use super::merge::{BUFFER, front_of};
use super::segment::Found;
use crate::error::Result;
use crate::name::Hash;
use crate::objects::{Spool, read_exact_at};

/// What an index says of a hash, and of which hash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexEntry {
    /// What it says.
    pub kind: EntryKind,
    /// The hash of a blob, or of a root.
    pub hash: Hash,
    /// Where that is.
    pub found: Found,
}

/// A segment that is gone through. It has been compared with its name, or been made just now.
#[derive(Debug)]
pub(crate) struct Scan {
    spool: Spool,
    front: Front,
    locations: Vec<Location>,
    /// The group that is gone through, and how many of its entries have been.
    group: usize,
    done: u64,
}

impl Scan {
    pub(crate) fn open(spool: Spool) -> Result<Self> {
        let (front, locations) = front_of(&spool)?;
        Ok(Self { spool, front, locations, group: 0, done: 0 })
    }

    /// The next entries, in the order of the segment; none at the end.
    pub(crate) fn next(&mut self) -> Result<Vec<IndexEntry>> {
        while let Some(group) = self.front.groups.get(self.group) {
            let left = group.count - self.done;
            if left == 0 {
                (self.group, self.done) = (self.group + 1, 0);
                continue;
            }
            let width = usize::from(group.len) + PLACE_LEN;
            let count = left.min((BUFFER / width) as u64);
            let mut bytes = vec![0; count as usize * width];
            read_exact_at(&self.spool, &mut bytes, group.entries + self.done * width as u64)?;
            let (kind, code, len) = (group.kind, group.code, usize::from(group.len));
            self.done += count;
            return bytes
                .chunks_exact(width)
                .map(|entry| self.entry(kind, code, len, entry))
                .collect();
        }
        Ok(Vec::new())
    }

    fn entry(&self, kind: EntryKind, code: u64, len: usize, entry: &[u8]) -> Result<IndexEntry> {
        let unknown = || malformed("an entry of an index segment names no location");
        let (digest, place) = entry.split_at(len);
        let hash = Multihash::wrap(code, digest).map_err(|_| unknown())?;
        let Place { location, offset, len, codec } = Place::decode(place).ok_or_else(unknown)?;
        let location = self.locations.get(location as usize).ok_or_else(unknown)?.clone();
        let codec = *self.front.codecs.get(usize::from(codec)).ok_or_else(unknown)?;
        Ok(IndexEntry { kind, hash, found: Found { location, codec, offset, len } })
    }
}
