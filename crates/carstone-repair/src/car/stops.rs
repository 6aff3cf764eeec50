//! Where in bytes of any kind something may begin, as far as a glance tells.

use std::ops::Range;

use memchr::{memchr2, memchr3_iter};

/// What a [`BlockSearch`](super::BlockSearch) stops at: whatever may be a section, and perhaps more.
#[derive(Clone, Copy, Debug)]
pub struct Stops {
    more: Option<[[u8; 8]; 2]>,
}

impl Stops {
    /// Sections, and nothing else.
    pub const SECTIONS: Self = Self { more: None };

    /// Sections, headers of CARs, and what begins with one of these.
    pub const fn with_headers_and(magics: [[u8; 8]; 2]) -> Self {
        Self { more: Some(magics) }
    }

    /// The first place before `sure` that is stopped at. A place is judged by the [`LOOK`] bytes from it on. Where a section may begin,
    /// `is_wanted` is asked too.
    pub(super) fn find(
        &self,
        bytes: &[u8],
        sure: usize,
        is_wanted: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Option<usize> {
        // Neither search goes much farther than to what the other one finds.
        let mut step = self.more.map_or(sure, |_| FIRST_STEP);
        let mut range = 0..0;
        while range.end < sure {
            range = range.end..range.end.saturating_add(step).min(sure);
            let section = self.in_car(bytes, range.clone(), is_wanted);
            let before = range.start..section.unwrap_or(range.end);
            if let Some(found) = self.magic(bytes, before).or(section) {
                return Some(found);
            }
            step = step.saturating_mul(2);
        }
        None
    }

    /// Most bytes are turned down by one that cannot follow a length.
    fn in_car(
        &self,
        bytes: &[u8],
        range: Range<usize>,
        is_wanted: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Option<usize> {
        let seen = bytes.get(..range.end.saturating_add(LONGEST_VARINT)).unwrap_or(bytes);
        let behind = seen.get(range.start..)?;
        let marks = memchr3_iter(CID_V1, CID_V0[0], MAP_OF_TWO, behind);
        let ends = marks.filter_map(|n| (range.start + n).checked_sub(1));
        for last in ends.filter(|&last| bytes[last] < MORE) {
            let longer = bytes[..last].iter().rev().take(LONGEST_VARINT - 1);
            let longer = longer.take_while(|byte| **byte >= MORE).count();
            let mut places = (last - longer).max(range.start)..(last + 1).min(range.end);
            let found = places.find(|&at| self.may_begin(&bytes[at..], is_wanted));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn may_begin(&self, bytes: &[u8], is_wanted: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        looks_like_section(bytes) && is_wanted(bytes)
            || self.more.is_some() && looks_like_header(bytes)
    }

    fn magic(&self, bytes: &[u8], range: Range<usize>) -> Option<usize> {
        let magics = self.more.as_ref()?;
        let mut at = range.start;
        loop {
            at += memchr2(magics[0][0], magics[1][0], bytes.get(at..range.end)?)?;
            if magics.iter().any(|magic| bytes[at..].starts_with(magic)) {
                return Some(at);
            }
            at += 1;
        }
    }
}

/// Whether a section may begin with these bytes: a length, and the beginning of a CID.
fn looks_like_section(bytes: &[u8]) -> bool {
    let Some(last) = bytes.iter().take(LONGEST_VARINT).position(|byte| *byte < MORE) else {
        return false;
    };
    let cid = bytes.get(last + 1..).unwrap_or_default();
    cid.first() == Some(&CID_V1) || cid.starts_with(&CID_V0)
}

/// Whether the header of a CARv1 may begin with these bytes: a length, a map of two, and a first key of five or seven letters.
pub(super) fn looks_like_header(bytes: &[u8]) -> bool {
    let Some((_, at)) = length(bytes) else { return false };
    matches!(bytes.get(at..), Some([MAP_OF_TWO, 0x65, b'r', ..] | [MAP_OF_TWO, 0x67, b'v', ..]))
}

/// The varint at the start of `bytes`, and how many bytes it takes.
pub(super) fn length(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(LONGEST_VARINT).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < MORE {
            let is_shortest = index == 0 || *byte != 0;
            return is_shortest.then_some((value, index + 1));
        }
    }
    None
}

/// What a glance at a place needs.
pub(super) const LOOK: usize = 16;

/// How far is searched at first.
const FIRST_STEP: usize = 64;

const CID_V1: u8 = 1;
/// SHA-256, of 32 bytes.
const CID_V0: [u8; 2] = [0x12, 0x20];
/// In CBOR.
const MAP_OF_TWO: u8 = 0xa2;
const LONGEST_VARINT: usize = 9;
/// Set in each byte of a varint but the last.
const MORE: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAGICS: [[u8; 8]; 2] =
        [[0xf4, 0x43, 0x53, 0x46, 1, 2, 3, 4], [0x89, 1, 0x20, 4, 5, 6, 7, 8]];

    fn parts() -> impl Strategy<Value = Vec<u8>> {
        let known: [&[u8]; 9] = [
            b"\x01",
            b"\x12\x20",
            b"\xa2\x65r",
            b"\xa2\x67v",
            b"\x80",
            b"\xff\xff",
            b"\x05",
            &MAGICS[0],
            &MAGICS[1],
        ];
        let known = prop::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec);
        let part = prop_oneof![known, prop::collection::vec(any::<u8>(), 0..12)];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    fn is_wanted(bytes: &[u8]) -> bool {
        (bytes.len() + usize::from(bytes[0])).is_multiple_of(2)
    }

    proptest! {
        /// The same place as if each one were looked at.
        #[test]
        fn nothing_is_passed_over(bytes in parts(), end in 0..100_usize) {
            for stops in [Stops::SECTIONS, Stops::with_headers_and(MAGICS)] {
                let stopped_at = |at: &usize| {
                    let bytes = &bytes[*at..];
                    let is_magic = MAGICS.iter().any(|magic| bytes.starts_with(magic));
                    let begins = stops.may_begin(bytes, &mut is_wanted);
                    begins || stops.more.is_some() && is_magic
                };
                let sure = bytes.len().saturating_sub(end);
                let expected = (0..sure).find(stopped_at);
                prop_assert_eq!(stops.find(&bytes, sure, &mut is_wanted), expected);
            }
        }
    }
}
