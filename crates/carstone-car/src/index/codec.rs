//! The two formats of indexes.

/// A format of indexes. Both map to the offsets of sections in the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexCodec {
    /// `CarIndexSorted`, 0x0400: by the digest alone. Digests of two hash functions may be equal.
    Sorted,
    /// `CarMultihashIndexSorted`, 0x0401: by hash function and digest.
    #[default]
    MultihashSorted,
}

impl IndexCodec {
    /// The multicodec code, which an index starts with.
    pub fn code(self) -> u64 {
        match self {
            IndexCodec::Sorted => 0x0400,
            IndexCodec::MultihashSorted => 0x0401,
        }
    }

    /// The format with this multicodec code.
    pub fn from_code(code: u64) -> Option<Self> {
        [IndexCodec::Sorted, IndexCodec::MultihashSorted]
            .into_iter()
            .find(|codec| codec.code() == code)
    }

    /// The first bytes of an index: the code as a varint.
    pub(crate) fn prefix(self) -> [u8; 2] {
        [self.code() as u8 | 0x80, (self.code() >> 7) as u8]
    }
}

/// The most buckets that an index may have: each hash function and digest length has one.
pub(crate) const MAX_BUCKETS: usize = 1 << 16;

/// The longest entry, digest and offset: longer digests are not in CIDs that are read.
pub(crate) const MAX_WIDTH: usize = (2 << 10) + OFFSET_LEN;

/// Bytes of the offset at the end of each entry.
pub(crate) const OFFSET_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varint::{self, Varint};

    #[test]
    fn the_prefix_is_the_code() {
        for codec in [IndexCodec::Sorted, IndexCodec::MultihashSorted] {
            assert_eq!(varint::decode(&codec.prefix()), Varint::Value(codec.code(), 2));
            assert_eq!(IndexCodec::from_code(codec.code()), Some(codec));
        }
        assert_eq!(IndexCodec::from_code(1), None);
    }
}
