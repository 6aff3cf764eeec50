//! The frames that follow from the data frames: footer pages, the tail, anchors. Writers and repairs make the same bytes.

use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, PackId, ScanLimits};

use crate::format::{
    ENTRY_LEN, OTHER_LIMIT, PAGE_ENTRIES, TAIL_FRAME_LEN, TAIL_LEN, Tail, other_header,
};
use crate::walk::{Rules, is_data};

/// The footer of a stream whose data frames are known (`docs/format.md`, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    pack: PackId,
    tail: Tail,
}

impl Footer {
    /// The footer behind `frames` data frames, at least one, of `plain_len` plain bytes together. `at` is its position in the layer's stored
    /// stream.
    pub fn new(pack: PackId, plain_len: u64, frames: u64, at: u64) -> Self {
        Self { pack, tail: Tail::new(plain_len, frames, at) }
    }

    /// How many pages stand before the tail.
    pub fn pages(&self) -> u64 {
        self.tail.pages
    }

    /// Stored bytes of one page's frame, or of the tail's, which follows the pages.
    pub fn frame_len(&self, page: u64) -> u64 {
        match page < self.tail.pages {
            true => FRAME_HEADER_LEN as u64 + self.tail.entries_in(page) * ENTRY_LEN as u64,
            false => TAIL_FRAME_LEN,
        }
    }

    /// The whole frame of a page. `entries` are its frames' plain offsets and positions in the stored stream.
    pub fn page(&self, page: u64, entries: impl Iterator<Item = (u64, u64)>) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.tail.entries_in(page) as usize * ENTRY_LEN);
        for (plain, stored) in entries.take(PAGE_ENTRIES as usize) {
            payload.extend_from_slice(&plain.to_le_bytes());
            payload.extend_from_slice(&stored.to_le_bytes());
        }
        let header = other_header(Kind::FOOTER, self.pack, page, self.tail.plain_len);
        whole_frame(header, &payload)
    }

    /// The whole frame of the tail.
    pub fn tail(&self) -> Vec<u8> {
        let plain = self.tail.plain_len;
        let mut header = other_header(Kind::FOOTER, self.pack, self.tail.pages, plain);
        header.last = true;
        whole_frame(header, &self.tail.encode())
    }

    /// How many data frames there are, as the whole frame of a tail says. Only what can be checked by itself is checked.
    pub fn frames_in(header: &FrameHeader, payload: &[u8]) -> Option<u64> {
        let payload: &[u8; TAIL_LEN] = payload.try_into().ok()?;
        if header.kind != Kind::FOOTER || !header.last {
            return None;
        }
        // Its own place does not matter: it is asked for one that fits.
        let number = |at: usize| payload.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b));
        let tail = Tail::new(number(0)?, number(8)?, number(24)?);
        let fits = tail.encode() == *payload && header.sequence == tail.pages;
        (fits && tail.frames > 0).then_some(tail.frames)
    }
}

/// The whole frame of an anchor of number `index` from 0, behind `plain` plain bytes, in a pack that is not encrypted.
pub fn anchor_frame(container_header: &[u8], pack: PackId, index: u64, plain: u64) -> Vec<u8> {
    let len = u32::try_from(container_header.len()).unwrap_or_default();
    let payload = [&len.to_le_bytes()[..], container_header, &[0; 4]].concat();
    whole_frame(other_header(Kind::ANCHOR, pack, index, plain), &payload)
}

/// The longest payloads that a search for frames of this layer need believe in, where blocks have up to `block_size` bytes.
pub fn scan_limits(block_size: u32) -> ScanLimits {
    ScanLimits::new(block_size, OTHER_LIMIT as u32)
}

/// Whether the fields of a data frame or hole agree with each other as the format says, where blocks have up to `block_size` bytes.
pub fn is_regular(header: &FrameHeader, block_size: u32) -> bool {
    let rules = Rules { pack: Some(header.pack), limit: block_size };
    is_data(header) && rules.check(header, 0).is_ok()
}

fn whole_frame(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    // Payloads that are made here are under 64 KiB.
    let stored_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let header = header.with_lengths(0, stored_len).sealed(payload);
    [&header.encode()[..], payload].concat()
}
