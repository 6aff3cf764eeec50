//! The position footer and its 64 bytes (`docs/format.md`, section 6).

use carstone_layer::{Correction, LayerId, PackId, correct_block, crc64};

use crate::{Error, ErrorKind};

/// What the footer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Plain bytes before the footer.
    pub(crate) len: u64,
    /// Plain offset of the tail record's section, less than `len`.
    pub(crate) mark: Option<u64>,
    pub(crate) pack: PackId,
}

/// Encoded length in bytes.
pub(crate) const FOOTER_LEN: usize = 64;

impl Footer {
    pub(crate) fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut bytes = [0; FOOTER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.mark.unwrap_or(NO_MARK).to_le_bytes());
        bytes[24..40].copy_from_slice(self.pack.as_bytes());
        let crc = crc64(&[&bytes[..CRC_AT]]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the footer that follows `len` plain bytes. Offsets in errors are relative to its first byte.
    pub(crate) fn decode(bytes: &[u8; FOOTER_LEN], len: u64) -> Result<Self, Error> {
        if bytes[..8] != MAGIC {
            return Err(Error::new(ErrorKind::FooterMissing, FOOTER_LEN as u64));
        }
        if crc64(&[&bytes[..CRC_AT]]) != u64_at(bytes, CRC_AT) {
            return Err(Error::new(ErrorKind::FooterDamaged, 0));
        }
        Self::decode_fields(bytes, len)
    }

    /// Reads the footer that follows `len` plain bytes, puts a flipped bit or a short burst of them right, and says what that was.
    pub(crate) fn decode_corrected(
        bytes: &[u8; FOOTER_LEN],
        len: u64,
    ) -> Option<(Self, Option<Correction>)> {
        if let Ok(footer) = Self::decode(bytes, len) {
            return Some((footer, None));
        }
        let mut corrected = *bytes;
        // There is no digest; magic, length and reserved bytes are known, and the mark has a bound.
        let confirm = |bytes: &[u8]| {
            let bytes = bytes.first_chunk::<FOOTER_LEN>();
            bytes.is_some_and(|bytes| Self::decode(bytes, len).is_ok())
        };
        let found = correct_block(&mut corrected, CRC_AT, confirm)?;
        let footer = Self::decode(&corrected, len).ok()?;
        Some((footer, Some(Correction::new(LayerId::POSITION, found.at, found.bits))))
    }

    /// Reads the fields of a footer whose magic and checksum are known to hold.
    fn decode_fields(bytes: &[u8; FOOTER_LEN], found: u64) -> Result<Self, Error> {
        let stated = u64_at(bytes, 8);
        if stated != found {
            return Err(Error::new(ErrorKind::Length { stated, found }, 8));
        }
        let mark = Some(u64_at(bytes, 16)).filter(|&mark| mark != NO_MARK);
        if mark.is_some_and(|mark| mark >= found) {
            return Err(Error::new(ErrorKind::BadField("mark of the position footer"), 16));
        }
        if u32::from_le_bytes(array_at(bytes, SEGMENT_AT)) != 0 {
            let kind = ErrorKind::BadField("segment number of the position footer");
            return Err(Error::new(kind, SEGMENT_AT as u64));
        }
        if bytes[RESERVED_AT..CRC_AT].iter().any(|&byte| byte != 0) {
            let kind = ErrorKind::BadField("reserved bytes of the position footer");
            return Err(Error::new(kind, RESERVED_AT as u64));
        }
        let pack = PackId::from_bytes(array_at(bytes, 24));
        Ok(Self { len: stated, mark, pack })
    }
}

fn array_at<const N: usize>(bytes: &[u8; FOOTER_LEN], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u64_at(bytes: &[u8; FOOTER_LEN], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

const MAGIC: [u8; 8] = [0x89, b'C', b'S', b'P', b'O', 0x0D, 0x0A, 0x1A];
const NO_MARK: u64 = u64::MAX;
const SEGMENT_AT: usize = 40;
const RESERVED_AT: usize = 44;
const CRC_AT: usize = 56;
