//! The bytes that are this layer's own: footer entries, the footer tail, anchors (`docs/format.md`, sections 3.5 and 5).

use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, PackId};

use crate::{Error, ErrorKind};

/// Smallest block size.
pub(crate) const MIN_BLOCK_LEN: u32 = 64 << 10;
/// Largest block size, and the most plain bytes in a frame.
pub(crate) const MAX_BLOCK_LEN: u32 = 16 << 20;
/// Default block size.
pub(crate) const BLOCK_LEN: u32 = 4 << 20;
/// Length of a container header.
pub(crate) const CONTAINER_LEN: usize = 256;
/// Stored bytes between anchors.
pub const ANCHOR_EVERY: u64 = 64 << 20;

/// Entries in a full footer page.
pub const PAGE_ENTRIES: u64 = 4096;
/// Length of a footer entry.
pub(crate) const ENTRY_LEN: usize = 16;
/// Length of the payload of the footer's tail.
pub(crate) const TAIL_LEN: usize = 40;
/// Length of the tail frame.
pub(crate) const TAIL_FRAME_LEN: u64 = (FRAME_HEADER_LEN + TAIL_LEN) as u64;
/// Length of a full footer page's frame.
pub(crate) const PAGE_FRAME_LEN: u64 = FRAME_HEADER_LEN as u64 + PAGE_ENTRIES * ENTRY_LEN as u64;

/// The numbers that codecs have in frame headers.
pub(crate) mod codec {
    pub(crate) const STORED: u8 = 0;
    pub(crate) const BROTLI: u8 = 1;
    pub(crate) const ZSTD: u8 = 2;
}

/// Where a data frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Plain offset of its first byte.
    pub(crate) plain: u64,
    /// Position of its header in the stored stream.
    pub(crate) stored: u64,
}

impl Entry {
    pub(crate) fn encode_into(self, page: &mut Vec<u8>) {
        page.extend_from_slice(&self.plain.to_le_bytes());
        page.extend_from_slice(&self.stored.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        Self { plain: u64_at(bytes, 0), stored: u64_at(bytes, 8) }
    }
}

/// The end of the footer, from which everything else is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Length of the plain stream.
    pub(crate) plain_len: u64,
    /// Number of data frames.
    pub(crate) frames: u64,
    /// Number of pages.
    pub(crate) pages: u64,
    /// Position of the first page in the stored stream.
    pub(crate) pages_at: u64,
}

impl Tail {
    pub(crate) fn new(plain_len: u64, frames: u64, pages_at: u64) -> Self {
        Self { plain_len, frames, pages: frames.div_ceil(PAGE_ENTRIES), pages_at }
    }

    pub(crate) fn encode(&self) -> [u8; TAIL_LEN] {
        let mut bytes = [0; TAIL_LEN];
        bytes[..8].copy_from_slice(&self.plain_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.frames.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.pages.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.pages_at.to_le_bytes());
        bytes[32..36].copy_from_slice(&(PAGE_ENTRIES as u32).to_le_bytes());
        bytes
    }

    /// Reads the tail that ends at byte `end` of the stored stream.
    pub(crate) fn decode(bytes: &[u8; TAIL_LEN], end: u64) -> Result<Self, Error> {
        let at = end.saturating_sub(TAIL_LEN as u64);
        let bad = |what| Err(Error::new(ErrorKind::BadFooter(what), at));
        let tail = Self {
            plain_len: u64_at(bytes, 0),
            frames: u64_at(bytes, 8),
            pages: u64_at(bytes, 16),
            pages_at: u64_at(bytes, 24),
        };
        if u64_at(bytes, 32) != PAGE_ENTRIES {
            return bad("number of entries in a page");
        }
        if tail.frames == 0 || tail.pages != tail.frames.div_ceil(PAGE_ENTRIES) {
            return bad("number of frames or pages");
        }
        // The lengths of the pages follow from the number of frames, so their position is known too.
        match tail.footer_len().and_then(|len| tail.pages_at.checked_add(len)) {
            Some(stated) if stated == end => Ok(tail),
            _ => bad("position of its pages"),
        }
    }

    /// Entries in page `page`.
    pub(crate) fn entries_in(&self, page: u64) -> u64 {
        self.frames.saturating_sub(page.saturating_mul(PAGE_ENTRIES)).min(PAGE_ENTRIES)
    }

    /// Position of page `page`; the tail's own fields have been checked.
    pub(crate) fn page_at(&self, page: u64) -> u64 {
        self.pages_at.saturating_add(page.saturating_mul(PAGE_FRAME_LEN))
    }

    fn footer_len(&self) -> Option<u64> {
        let headers = self.pages.checked_mul(FRAME_HEADER_LEN as u64)?;
        let entries = self.frames.checked_mul(ENTRY_LEN as u64)?;
        headers.checked_add(entries)?.checked_add(TAIL_FRAME_LEN)
    }
}

/// A header of another kind than data, without lengths and checks.
pub(crate) fn other_header(kind: Kind, pack: PackId, sequence: u64, plain: u64) -> FrameHeader {
    let mut header = FrameHeader::data(LayerId::COMPRESSION, pack, sequence, plain);
    header.kind = kind;
    header
}

/// Checks the fields of a data frame or hole against each other and the limit, before anything is allocated.
pub(crate) fn check_lengths(header: &FrameHeader, limit: u32, at: u64) -> Result<(), Error> {
    let frame = header.sequence;
    let too_long = |what, len: u32, limit: u32| {
        Err(Error::new(ErrorKind::TooLong { what, len: len.into(), limit: limit.into() }, at))
    };
    let misplaced = |what| Err(Error::new(ErrorKind::Misplaced { frame, what }, at));
    if header.plain_len > limit {
        return too_long("plain length of a frame", header.plain_len, limit);
    }
    if header.stored_len > header.plain_len {
        return too_long("stored length of a frame", header.stored_len, header.plain_len);
    }
    if header.plain_end().is_none() {
        return misplaced("plain offset");
    }
    if header.kind == Kind::HOLE {
        return if header.stored_len == 0 { Ok(()) } else { misplaced("length of a hole") };
    }
    let stored_whole = header.stored_len == header.plain_len;
    match header.codec {
        codec::STORED if stored_whole => Ok(()),
        codec::BROTLI | codec::ZSTD if !stored_whole => Ok(()),
        codec::STORED | codec::BROTLI | codec::ZSTD => misplaced("stored length"),
        codec => Err(Error::new(ErrorKind::UnknownCodec { codec }, at)),
    }
}

/// The most payload bytes that a frame of this kind may have.
pub(crate) fn stored_limit(kind: Kind, block_limit: u32) -> u64 {
    match kind {
        Kind::DATA => u64::from(block_limit),
        Kind::FOOTER => PAGE_ENTRIES * ENTRY_LEN as u64,
        Kind::HOLE => 0,
        _ => OTHER_LIMIT,
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}

/// Anchor frames may carry a key envelope of 1 MiB, and ancillary frames are not larger.
pub(crate) const OTHER_LIMIT: u64 = 8 + CONTAINER_LEN as u64 + 44 + (1 << 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frames: u64, pages: u64, last_page: u64) {
        let tail = Tail::new(1 << 40, frames, 12_345);
        let end = tail.page_at(pages - 1)
            + FRAME_HEADER_LEN as u64
            + last_page * ENTRY_LEN as u64
            + TAIL_FRAME_LEN;
        assert_eq!((tail.pages, tail.entries_in(pages - 1)), (pages, last_page));
        assert_eq!(Tail::decode(&tail.encode(), end).expect("decodes"), tail);
        for wrong in [end - 1, end + 1, 0] {
            assert!(Tail::decode(&tail.encode(), wrong).is_err());
        }
    }

    #[test]
    fn tails_of_interesting_sizes_come_back() {
        check(1, 1, 1);
        check(4095, 1, 4095);
        check(4096, 1, 4096);
        check(4097, 2, 1);
        check(3 * 4096, 3, 4096);
    }

    #[test]
    fn a_tail_with_any_changed_byte_but_the_plain_length_is_refused() {
        let tail = Tail::new(99, 5, 1000);
        let end = 1000 + 96 + 80 + TAIL_FRAME_LEN;
        assert!(Tail::decode(&tail.encode(), end).is_ok());
        for at in 8..TAIL_LEN {
            let mut bytes = tail.encode();
            bytes[at] ^= 0x40;
            assert!(Tail::decode(&bytes, end).is_err(), "byte {at}");
        }
    }

    #[test]
    fn sums_that_overflow_are_refused() {
        let tail = Tail { plain_len: 0, frames: u64::MAX, pages: u64::MAX / 4096 + 1, pages_at: 9 };
        assert!(Tail::decode(&tail.encode(), 10).is_err());
    }
}
