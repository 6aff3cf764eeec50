//! Sections: where they lie, the blocks they hold, and the parser of their heads.

use crate::Cid;
use crate::cid_bytes::{self, MAX_CID, Parsed};
use crate::error::{Error, ErrorKind, Part, Result};
use crate::hash::{hash_code, sha2_256_each, verify_with};
use crate::options::{Checks, Limits, ReaderOptions, Verification};
use crate::varint::{self, Varint};

/// A block with its own data. The counterpart of `Block` in @ipld/car.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// The CID under which the block was stored.
    pub cid: Cid,
    /// The data of the block.
    pub data: Vec<u8>,
}

/// A block that borrows its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef<'a> {
    /// The CID under which the block was stored.
    pub cid: Cid,
    /// The data of the block.
    pub data: &'a [u8],
}

/// Where a section lies. Offsets are counted from the first byte of the payload, which is the CAR itself if that is a CARv1.
/// The counterpart of `BlockIndex` in @ipld/car, and of `BlockMetadata` in go-car.
///
/// A section is its length as a varint, then the CID, then the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Section {
    /// The CID of the block.
    pub cid: Cid,
    /// Offset of the section: that of its length varint.
    pub offset: u64,
    /// Offset of the data.
    pub data_offset: u64,
    /// Length of the data in bytes, which may be zero.
    pub data_len: usize,
}

/// The start of a section, as parsed from a slice by [`parse_section`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SectionHead {
    /// Length of the length varint and the CID, after which the data starts.
    pub head_len: usize,
    /// The CID of the block.
    pub cid: Cid,
    /// Length of the data in bytes, which may be zero. The slice need not hold it.
    pub data_len: usize,
}

/// Parses the head of the section at the start of `bytes`, for callers who keep the bytes and find sections by their offset.
/// The counterpart of `readBlockHead` in @ipld/car.
///
/// A slice that ends too early gives [`ErrorKind::NeedMore`]; the head of a section has at most 109 bytes. Only the head is
/// looked at: it is for the caller to see that the data is there, and to [`verify`](crate::verify) it.
///
/// ```
/// use carstone_car::{Limits, cid_of, codec, parse_section, verify};
/// let cid = cid_of(codec::RAW, b"hello");
/// let mut section = vec![36 + 5];
/// section.extend(cid.to_bytes());
/// section.extend(b"hello");
///
/// let head = parse_section(&section, &Limits::default())?;
/// assert_eq!((head.head_len, head.data_len), (37, 5));
/// let data = &section[head.head_len..][..head.data_len];
/// verify(&head.cid, data)?;
/// # Ok::<(), carstone_car::Error>(())
/// ```
pub fn parse_section(bytes: &[u8], limits: &Limits) -> Result<SectionHead> {
    match parse_head(bytes, &ReaderOptions::default().limits(*limits)) {
        Head::Complete(head) => Ok(head),
        Head::NeedMore(at_least) => Err(Error::new(ErrorKind::NeedMore { at_least })),
        Head::Bad(kind) => Err(Error::new(kind)),
    }
}

/// What stands in front of the data of a section: its length varint and the CID. For those who write sections by themselves.
///
/// ```
/// use carstone_car::{cid_of, codec, section_head, section_len};
/// let cid = cid_of(codec::RAW, b"hello");
/// assert_eq!(section_head(&cid, 5).len() as u64 + 5, section_len(&cid, 5));
/// ```
pub fn section_head(cid: &Cid, data_len: usize) -> Vec<u8> {
    EncodedHead::new(cid, data_len).bytes().to_vec()
}

/// The length of a section, with its length varint, that holds this block. The counterpart of `blockLength` in @ipld/car.
///
/// ```
/// use carstone_car::{cid_of, codec, section_len};
/// assert_eq!(section_len(&cid_of(codec::RAW, b"hello"), 5), 1 + 36 + 5);
/// ```
pub fn section_len(cid: &Cid, data_len: u64) -> u64 {
    let len = data_len.saturating_add(cid_bytes::encoded_len(cid) as u64);
    len.saturating_add(varint::encoded_len(len) as u64)
}

impl Block {
    /// The same block, borrowed.
    pub fn as_ref(&self) -> BlockRef<'_> {
        BlockRef { cid: self.cid, data: &self.data }
    }
}

impl BlockRef<'_> {
    /// A copy that owns its data.
    pub fn to_block(&self) -> Block {
        Block { cid: self.cid, data: self.data.to_vec() }
    }
}

impl Section {
    pub(crate) fn new(head: &SectionHead, offset: u64) -> Self {
        Section {
            cid: head.cid,
            offset,
            data_offset: offset.saturating_add(head.head_len as u64),
            data_len: head.data_len,
        }
    }

    /// Length of the whole section: length varint, CID and data.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a section always has a length varint and a CID"
    )]
    pub fn len(&self) -> u64 {
        self.end().saturating_sub(self.offset)
    }

    /// Offset of the byte behind the section.
    pub fn end(&self) -> u64 {
        self.data_offset.saturating_add(self.data_len as u64)
    }
}

impl SectionHead {
    /// Length of the whole section: length varint, CID and data.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a section always has a length varint and a CID"
    )]
    pub fn len(&self) -> usize {
        self.head_len.saturating_add(self.data_len)
    }
}

/// What the bytes of a slice start with.
pub(crate) enum Head {
    /// A head that is all there.
    Complete(SectionHead),
    /// The head goes on behind the slice: this many bytes are surely needed.
    NeedMore(usize),
    /// This is no section.
    Bad(ErrorKind),
}

/// Parses a head without the cost of an error value where only more bytes are needed.
pub(crate) fn parse_head(bytes: &[u8], options: &ReaderOptions) -> Head {
    let limits = &options.limits;
    let (section_len, varint_len) = match varint::decode_with(bytes, options.padded_varints) {
        Varint::Value(len, at) => (len, at),
        Varint::Incomplete => return Head::NeedMore(bytes.len() + 1),
        Varint::Malformed => return Head::Bad(ErrorKind::BadVarint(Part::SectionLength)),
    };
    if section_len == 0 {
        return Head::Bad(ErrorKind::EmptySection);
    }
    let is_large = section_len > limits.section as u64;
    if is_large && !options.ignore_trailing_bytes {
        return Head::Bad(too_large(section_len, limits));
    }
    // One that is too large has to have a CID, or it is no section at all.
    let stated_len = section_len;
    let section_len = usize::try_from(section_len).unwrap_or(usize::MAX);
    let section = bytes.get(varint_len..).unwrap_or_default();
    // The CID is parsed inside of its section, so that it cannot reach into the next.
    let section = section.get(..section_len).unwrap_or(section);
    match cid_bytes::parse(section, limits) {
        Parsed::Cid(..) if is_large => Head::Bad(too_large(stated_len, limits)),
        Parsed::Cid(cid, cid_len) => Head::Complete(SectionHead {
            head_len: varint_len + cid_len,
            cid,
            data_len: section_len - cid_len,
        }),
        Parsed::NeedMore(len) if len > section_len => Head::Bad(ErrorKind::CidOverrun),
        Parsed::NeedMore(len) => Head::NeedMore(varint_len + len),
        Parsed::Bad(kind) => Head::Bad(kind),
    }
}

/// The bytes before the data of a section that is written.
pub(crate) struct EncodedHead {
    bytes: [u8; MAX_HEAD],
    len: usize,
}

impl EncodedHead {
    pub(crate) fn new(cid: &Cid, data_len: usize) -> Self {
        let (mut cid_bytes, mut len_bytes) = ([0; MAX_CID], [0; 10]);
        let cid_len = cid_bytes::encode(cid, &mut cid_bytes);
        let varint_len = varint::encode(cid_len.saturating_add(data_len) as u64, &mut len_bytes);
        let mut bytes = [0; MAX_HEAD];
        let len = varint_len + cid_len;
        bytes[..varint_len].copy_from_slice(&len_bytes[..varint_len]);
        bytes[varint_len..len].copy_from_slice(&cid_bytes[..cid_len]);
        EncodedHead { bytes, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Bytes of the longest head that is written.
const MAX_HEAD: usize = 10 + MAX_CID;

/// Whether the data ends where this stands in place of a section.
pub(crate) fn is_end(kind: &ErrorKind, options: &ReaderOptions) -> bool {
    match kind {
        ErrorKind::EmptySection => options.zero_section_is_end || options.ignore_trailing_bytes,
        // A section over a limit is one, and what comes of it is not for this option to say.
        ErrorKind::BadVarint(_) | ErrorKind::BadCid(_) | ErrorKind::CidOverrun => {
            options.ignore_trailing_bytes
        }
        _ => false,
    }
}

/// The error for a stream that ends inside of a head, of which `bytes` are there.
pub(crate) fn truncated_head(bytes: &[u8]) -> ErrorKind {
    ErrorKind::Truncated(match varint::decode(bytes) {
        Varint::Incomplete => Part::SectionLength,
        _ => Part::Cid, // Also behind a padded length, where one is accepted.
    })
}

/// The error for a section that is longer than the limit.
pub(crate) fn too_large(section_len: u64, limits: &Limits) -> ErrorKind {
    ErrorKind::TooLarge { part: Part::Section, size: section_len, limit: limits.section as u64 }
}

/// Verifies the data of a section as far as the options ask for it.
pub(crate) fn check(section: &Section, data: &[u8], checks: Checks) -> Result<()> {
    if checks.is_none() {
        return Ok(());
    }
    match verify_with(&section.cid, data, checks.sha1) {
        Err(error)
            if checks.verification == Verification::KnownHashes
                && matches!(error.kind(), ErrorKind::Unverifiable { .. }) =>
        {
            Ok(())
        }
        result => result.map_err(|error| error.with_offset(section.offset)),
    }
}

/// Verifies many sections, which is faster than [one after the other](check), and tells what is wrong with which, in any order.
pub(crate) fn check_each<'a>(
    blocks: impl Iterator<Item = (&'a Section, &'a [u8])>,
    checks: Checks,
    mut fault: impl FnMut(usize, Error),
) {
    if checks.is_none() {
        return;
    }
    let is_common = |section: &Section| {
        let hash = section.cid.hash();
        hash.code() == hash_code::SHA2_256 && hash.digest().len() == 32
    };
    let mut common = Vec::new();
    for (number, (section, data)) in blocks.enumerate() {
        if is_common(section) {
            common.push((number, section, data));
        } else if let Err(error) = check(section, data, checks) {
            fault(number, error);
        }
    }
    sha2_256_each(common.iter().map(|(_, _, data)| *data), |at, digest| {
        let (number, section, data) = common[at];
        if section.cid.hash().digest() != digest
            && let Err(error) = check(section, data, checks)
        {
            fault(number, error);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let found = match parse_section(bytes, &Limits::default()) {
            Ok(head) => format!("head {} data {}", head.head_len, head.data_len),
            Err(error) => format!("{:?}", error.kind()),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_head_needs_neither_the_data_nor_anything_behind() {
        check(&[4, 1, 0x55, 0, 0], "head 5 data 0");
        check(&[14, 1, 0x55, 0, 0], "head 5 data 10");
        check(&[5, 1, 0x55, 0, 0, 8, 9, 9], "head 5 data 1");
    }

    #[test]
    fn a_cut_head_asks_for_what_it_needs() {
        check(&[], "NeedMore { at_least: 1 }");
        check(&[0x80], "NeedMore { at_least: 2 }");
        check(&[40], "NeedMore { at_least: 2 }");
        check(&[40, 0x12, 0x20], "NeedMore { at_least: 35 }");
        check(&[40, 1, 0x55, 0x12, 0x20, 7], "NeedMore { at_least: 37 }");
    }

    #[test]
    fn a_cid_does_not_leave_its_section() {
        check(&[1, 1, 0x55, 0, 0], "CidOverrun");
        check(&[3, 1, 0x55, 0, 0], "CidOverrun");
        check(&[4, 1, 0x55, 0, 1, 7], "CidOverrun");
        check(&[33, 0x12, 0x20, 7], "CidOverrun");
    }

    #[test]
    fn lengths_are_checked_first() {
        check(&[0], "EmptySection");
        check(&[0x80, 0], "BadVarint(SectionLength)");
        check(
            &[0x81, 0x80, 0x80, 0x04],
            "TooLarge { part: Section, size: 8388609, limit: 8388608 }",
        );
        check(&[0x80, 0x80, 0x80, 0x04, 1], "NeedMore { at_least: 6 }");
    }
}
