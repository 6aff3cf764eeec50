//! The container trailer and its 304 bytes (`docs/format.md`, section 2.2).

use carstone_layer::{Correction, LayerId, correct_block, crc64, digest16};

use crate::container::{array_at, field_at, u64_at};
use crate::{Container, Error, ErrorKind};

/// Encoded length in bytes.
pub(crate) const TRAILER_LEN: usize = 304;

/// Bytes of a pack that are not framed: header and trailer.
pub(crate) const OUTSIDE: u64 = (Container::LEN + TRAILER_LEN) as u64;

/// A trailer whose checksums hold.
#[derive(Debug)]
pub(crate) struct Trailer {
    /// The copy of the header.
    pub(crate) header: [u8; Container::LEN],
    /// Bytes from the first byte of the header to the last byte of the trailer.
    pub(crate) stored_len: u64,
}

/// The trailer of a pack with this header and this many stored bytes.
pub(crate) fn encode(header: &[u8; Container::LEN], stored_len: u64) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..LENGTH_AT].copy_from_slice(header);
    bytes[LENGTH_AT..RESERVED_AT].copy_from_slice(&stored_len.to_le_bytes());
    let digest = digest16(&[&bytes[..DIGEST_AT]]);
    bytes[DIGEST_AT..CRC_AT].copy_from_slice(&digest);
    let crc = crc64(&[&bytes[..CRC_AT]]);
    bytes[CRC_AT..MAGIC_AT].copy_from_slice(&crc.to_le_bytes());
    bytes[MAGIC_AT..].copy_from_slice(&END_MAGIC);
    bytes
}

impl Trailer {
    /// Reads a trailer. Offsets in errors are relative to its first byte.
    pub(crate) fn decode(bytes: &[u8; TRAILER_LEN]) -> Result<Self, Error> {
        let has_magic = Self::has_magic(bytes);
        if !has_magic && !sums_agree(bytes) {
            return Err(Error::new(ErrorKind::TrailerMissing, TRAILER_LEN as u64));
        }
        if !has_magic || !sums_agree(bytes) {
            return Err(Error::new(ErrorKind::TrailerDamaged, 0));
        }
        Self::decode_fields(bytes)
    }

    /// Whether it ends as it should, which is soon seen.
    pub(crate) fn has_magic(bytes: &[u8; TRAILER_LEN]) -> bool {
        bytes[MAGIC_AT..] == END_MAGIC
    }

    /// Reads a trailer that may have a flipped bit or a short burst of them, and says what was put right.
    pub(crate) fn decode_corrected(
        bytes: &[u8; TRAILER_LEN],
    ) -> Option<(Self, Option<Correction>)> {
        let mut corrected = *bytes;
        // The end magic is a constant: whatever stands there is put right once the digest has confirmed the rest.
        let magic = u64::from_le_bytes(array_at(bytes, MAGIC_AT)) ^ u64::from_le_bytes(END_MAGIC);
        let mut found = (magic != 0).then(|| {
            let first = u64::from(magic.trailing_zeros() / 8);
            Correction::new(LayerId::RAW, MAGIC_AT as u64 + first, magic.count_ones())
        });
        if !sums_agree(bytes) {
            let confirm = |bytes: &[u8]| bytes.first_chunk().is_some_and(digest_agrees);
            let body = correct_block(&mut corrected[..MAGIC_AT], CRC_AT, confirm)?;
            let bits = body.bits + found.map_or(0, |magic| magic.bits);
            found = Some(Correction::new(LayerId::RAW, body.at, bits));
        }
        Some((Self::decode_fields(&corrected).ok()?, found))
    }

    /// Reads the fields of a trailer whose checksums are known to hold.
    fn decode_fields(bytes: &[u8; TRAILER_LEN]) -> Result<Self, Error> {
        if u64_at(bytes, RESERVED_AT) != 0 {
            let kind = ErrorKind::BadField("reserved bytes of the container trailer");
            return Err(Error::new(kind, RESERVED_AT as u64));
        }
        Ok(Self { header: array_at(bytes, 0), stored_len: u64_at(bytes, LENGTH_AT) })
    }

    /// The container that the copy of the header states.
    pub(crate) fn container(&self) -> Result<Container, Error> {
        Container::decode(&self.header)
    }

    /// Refuses a copy that is not, byte for byte, this header.
    pub(crate) fn agrees_with(&self, header: &[u8; Container::LEN]) -> Result<(), Error> {
        match self.header.iter().zip(header).position(|(copy, front)| copy != front) {
            Some(at) => Err(Error::new(ErrorKind::Differ { field: field_at(at) }, at as u64)),
            None => Ok(()),
        }
    }
}

fn sums_agree(bytes: &[u8; TRAILER_LEN]) -> bool {
    crc64(&[&bytes[..CRC_AT]]) == u64_at(bytes, CRC_AT)
        && bytes.first_chunk().is_some_and(digest_agrees)
}

fn digest_agrees(bytes: &[u8; MAGIC_AT]) -> bool {
    digest16(&[&bytes[..DIGEST_AT]]) == bytes[DIGEST_AT..CRC_AT]
}

const LENGTH_AT: usize = 256;
const RESERVED_AT: usize = 264;
const DIGEST_AT: usize = 272;
const CRC_AT: usize = 288;
const MAGIC_AT: usize = 296;
pub(crate) const END_MAGIC: [u8; 8] = [0x1A, 0x0A, 0x0D, b'N', b'T', b'S', b'C', 0x89];
