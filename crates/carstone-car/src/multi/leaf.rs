//! Entries: their keys, the places they lead to, and the pages they stand in.

use multihash::Multihash;

use super::page::{BODY, Fields, Page};
use crate::cid_bytes::MAX_DIGEST;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::index::RECORD_HEAD;

/// Where a block lies, as an index over many CARs says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MultiPlace {
    /// The number of the file: [`MultiIndex::file`](crate::MultiIndex::file) says which one that is.
    pub file: u32,
    /// The offset of the section in the payload of that file.
    pub offset: u64,
    /// The length of the section: length varint, CID and data. `None` if the entry was taken from an index, which does not say it.
    pub len: Option<u64>,
}

impl MultiPlace {
    /// `len` is the length of a section, or zero.
    pub(super) fn encode(file: u32, offset: u64, len: u64) -> Result<[u8; PLACE]> {
        let Ok(len) = u32::try_from(len) else {
            let limit = u64::from(u32::MAX);
            let kind = ErrorKind::TooLarge { part: Part::Section, size: len, limit };
            return Err(Error::at(kind, offset));
        };
        let mut place = [0; PLACE];
        place[..4].copy_from_slice(&file.to_be_bytes());
        place[4..12].copy_from_slice(&offset.to_be_bytes());
        place[12..].copy_from_slice(&len.to_be_bytes());
        Ok(place)
    }

    /// `None` where there are fewer bytes than a place has.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (file, offset, len) = (fields.u32()?, fields.u64()?, fields.u32()?);
        Some(MultiPlace { file, offset, len: (len > 0).then_some(u64::from(len)) })
    }

    /// The offset behind the section, or behind its first byte where its length is not known.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len.unwrap_or(1))
    }
}

/// What entries are found by: `code u64 ‖ digest length u8 ‖ digest`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    bytes: [u8; RECORD_HEAD + MAX_DIGEST],
    len: usize,
}

impl Key {
    pub(super) fn new(hash: &Multihash<64>) -> Self {
        let digest = hash.digest();
        let mut bytes = [0; RECORD_HEAD + MAX_DIGEST];
        bytes[..8].copy_from_slice(&hash.code().to_be_bytes());
        bytes[8] = hash.size();
        bytes[RECORD_HEAD..][..digest.len()].copy_from_slice(digest);
        Key { bytes, len: RECORD_HEAD + digest.len() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Gives a record the number that its file has elsewhere; `false` if it has none there.
pub(super) fn renumber(record: &mut [u8], numbers: &[Option<u32>]) -> bool {
    let Some(file) = record.len().checked_sub(PLACE).and_then(|at| record[at..].first_chunk_mut())
    else {
        return false;
    };
    let number = numbers.get(u32::from_be_bytes(*file) as usize).copied().flatten();
    number.is_some_and(|number| {
        *file = number.to_be_bytes();
        true
    })
}

/// The shortest start of `next` that is larger than `before`, which `next` itself is.
pub(super) fn separator<'a>(before: &[u8], next: &'a [u8]) -> &'a [u8] {
    let same = before.iter().zip(next).take_while(|(a, b)| a == b).count();
    &next[..next.len().min(same + 1)]
}

/// Puts entries together to the body of a page.
#[derive(Debug, Default)]
pub(super) struct LeafBody {
    bytes: Vec<u8>,
    count: usize,
    /// Where the head of the last group starts, and the number of its entries.
    group: Option<(usize, u16)>,
}

impl LeafBody {
    /// Adds a record, unless there is no room for it.
    pub(super) fn push(&mut self, record: &[u8]) -> bool {
        let (head, entry) = record.split_at(RECORD_HEAD);
        let joined = self.group.filter(|&(at, _)| self.bytes[at..].starts_with(head));
        let more = entry.len() + if joined.is_some() { 0 } else { GROUP_HEAD };
        if self.bytes.len() + more > BODY {
            return false;
        }
        let (at, before) = joined.unwrap_or((self.bytes.len(), 0));
        if before == 0 {
            self.bytes.extend_from_slice(head);
            self.bytes.extend_from_slice(&[0; 2]);
        }
        let count = before + 1; // A page has room for 253.
        self.bytes[at + RECORD_HEAD..][..2].copy_from_slice(&count.to_be_bytes());
        self.bytes.extend_from_slice(entry);
        self.group = Some((at, count));
        self.count += 1;
        true
    }

    /// The number of entries, and the body.
    pub(super) fn parts(&self) -> (usize, &[u8]) {
        (self.count, &self.bytes)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.count, self.group) = (0, None);
    }
}

/// The entries of a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    body: Vec<u8>,
    groups: Vec<Group>,
    count: usize,
}

/// Entries of one hash function and digest length.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Where the head is in the body.
    head: usize,
    /// Bytes of an entry: digest and place.
    width: usize,
    /// The number of entries in groups before this one.
    before: usize,
    count: usize,
}

impl Leaf {
    /// Finds the groups of a page; the text says what is wrong.
    pub(super) fn parse(page: Page<'_>) -> Result<Self, &'static str> {
        let (mut groups, mut count) = (Vec::new(), 0);
        let mut fields = Fields(page.body);
        while !fields.0.is_empty() {
            let head = page.body.len() - fields.0.len();
            let start =
                fields.bytes(RECORD_HEAD).zip(fields.u16()).ok_or("a group is cut short")?;
            let (width, group) =
                (usize::from(start.0[RECORD_HEAD - 1]) + PLACE, usize::from(start.1));
            if width > MAX_DIGEST + PLACE {
                return Err("a digest is longer than any in a CID");
            }
            if group == 0 {
                return Err("a group has no entries");
            }
            fields.bytes(width * group).ok_or("a group goes past the end")?;
            groups.push(Group { head, width, before: count, count: group });
            count += group;
        }
        if count == 0 || count != page.count {
            return Err("the number of its entries is wrong");
        }
        Ok(Leaf { body: page.body.to_vec(), groups, count })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Hash function and digest length of an entry in their bytes, and digest and place in theirs. `None` behind the last one.
    pub(super) fn entry(&self, number: usize) -> Option<(&[u8], &[u8])> {
        let group = self.groups.partition_point(|group| group.before <= number).checked_sub(1)?;
        let group = self.groups.get(group)?;
        let entry = number - group.before;
        (entry < group.count).then(|| self.in_group(group, entry))
    }

    fn in_group(&self, group: &Group, entry: usize) -> (&[u8], &[u8]) {
        let (head, rest) = self.body[group.head..].split_at(RECORD_HEAD);
        (head, &rest[2 + entry * group.width..][..group.width])
    }

    /// The number of the first entry whose record is not smaller than this.
    pub(super) fn first_from(&self, key: &[u8]) -> usize {
        let (head, digest) = key.split_at(RECORD_HEAD.min(key.len()));
        let group = self.groups.partition_point(|group| self.in_group(group, 0).0 < head);
        let Some(group) = self.groups.get(group) else {
            return self.count;
        };
        if self.in_group(group, 0).0 != head {
            return group.before;
        }
        let (mut low, mut high) = (0, group.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.in_group(group, middle).1 < digest {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        group.before + low
    }
}

/// Bytes of a place: file, offset and length.
pub(super) const PLACE: usize = 4 + 8 + 4;

/// Bytes of a group before its entries: hash function, digest length, number of entries.
const GROUP_HEAD: usize = RECORD_HEAD + 2;

/// The most entries that a page has room for: those of an empty digest.
pub(super) const MAX_LEAF: u64 = ((BODY - GROUP_HEAD) / PLACE) as u64;
