//! How large a segment is, and what a look-up reads of it, before there is one.

use super::format::{FRONT_LEN, Group, MAX_LOCATIONS, PLACE_LEN, TABLE_ENTRY, bits_for};
use super::{EntryKind, Location};

/// What a segment is made of that has so many blobs of one hash function, in so many packs: for those that plan a large store.
///
/// ```
/// use carstone_store::SegmentShape;
/// let shape = SegmentShape::new(1_000_000_000, 120_000, 32);
/// assert_eq!(shape.buckets(), 1 << 25);
/// assert_eq!(shape.look_up(30), [24, 30 * 48]); // Bytes of the two reads, where 30 blobs are in the bucket.
/// assert!(shape.size() < 49_000_000_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentShape {
    group: Group,
    locations: u64,
}

impl SegmentShape {
    /// That of a segment with so many blobs and packs, of digests of so many bytes.
    pub fn new(blobs: u64, packs: u64, digest: u8) -> Self {
        let bits = bits_for(blobs);
        let (kind, code, table, entries) = (EntryKind::Blob, 0, 0, 0);
        let group = Group { kind, code, len: digest, bits, count: blobs, table, entries };
        Self { group, locations: packs.saturating_mul(Self::pack_len(digest)) }
    }

    /// Bytes of the record of a pack whose name has a digest of so many bytes, and a hash function with a code below 128.
    pub fn pack_len(digest: u8) -> u64 {
        1 + 2 + (2 + u64::from(digest)) + 8
    }

    /// The most packs of one segment.
    pub fn most_packs(digest: u8) -> u64 {
        MAX_LOCATIONS / Self::pack_len(digest)
    }

    /// The number of buckets.
    pub fn buckets(&self) -> u64 {
        1 << self.group.bits
    }

    /// The bucket in which a digest is.
    pub fn bucket_of(&self, digest: &[u8]) -> u64 {
        self.group.bucket_of(digest)
    }

    /// Bytes of the entries.
    pub fn entries_len(&self) -> u64 {
        self.group.count.saturating_mul(u64::from(self.group.len) + PLACE_LEN as u64)
    }

    /// Bytes of the table of buckets.
    pub fn table_len(&self) -> u64 {
        (self.buckets() + 1) * TABLE_ENTRY
    }

    /// Bytes that are read when it is opened: the front, and the list of packs.
    pub fn front_len(&self) -> u64 {
        self.locations.saturating_add(FRONT_LEN as u64)
    }

    /// Bytes in memory while it is open.
    pub fn memory(&self) -> u64 {
        let packs = self.locations / Self::pack_len(self.group.len);
        packs.saturating_mul(size_of::<Location>() as u64)
    }

    /// Bytes of the segment.
    pub fn size(&self) -> u64 {
        self.front_len().saturating_add(self.entries_len()).saturating_add(self.table_len())
    }

    /// Bytes of the reads of a look-up, where so many blobs are in the bucket: of the table, and of the bucket.
    pub fn look_up(&self, in_bucket: u64) -> [u64; 2] {
        [2 * TABLE_ENTRY, in_bucket.saturating_mul(self.group.width())]
    }
}

#[cfg(test)]
mod tests {
    use carstone_car::{cid_of, codec};

    use super::*;
    use crate::index::SegmentBuilder;
    use crate::objects::Spool;

    #[test]
    fn a_segment_is_as_large_as_its_shape_says() {
        for (blobs, packs) in [(1_u64, 1_u64), (63, 2), (64, 1), (1000, 7), (5000, 900)] {
            let mut builder = SegmentBuilder::new();
            for number in 0..blobs {
                let name = *cid_of(codec::RAW, &(number % packs).to_le_bytes()).hash();
                let blob = cid_of(codec::DAG_PB, &number.to_le_bytes());
                builder.add_blob(&blob, &Location::Pack { name, size: 9 }, number, 1).expect("few");
            }
            let spool = builder.finish(Spool::unnamed().expect("room")).expect("written");
            let shape = SegmentShape::new(blobs, packs, 32);
            // The codec stands in the front, which is always as long.
            assert_eq!(spool.len(), shape.size(), "{blobs} {packs}");
        }
    }
}
