//! One frame header and its 96 bytes (`docs/format.md`, section 3.1).

use crate::{Digest16, Error, ErrorKind, LayerId, PackId, crc32c, crc64, digest16};

/// Length of a frame header in bytes.
pub const FRAME_HEADER_LEN: usize = 96;

/// The first bytes of every frame.
pub const FRAME_MAGIC: [u8; 8] = [0xF4, b'C', b'S', b'F', 0x0D, 0x0A, 0x1A, 0xC1];

/// What a frame holds. Numbers from 128 on are ancillary and skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// Plain bytes of the layer.
    pub const DATA: Self = Self(1);
    /// Parameters of the layer.
    pub const LAYER_HEADER: Self = Self(2);
    /// Positions that make seeking fast.
    pub const FOOTER: Self = Self(3);
    /// Stands for a data frame that is lost.
    pub const HOLE: Self = Self(4);
    /// Repeats container header and layer header.
    pub const ANCHOR: Self = Self(5);

    /// Whether a reader that does not know this kind may skip it.
    pub fn is_ancillary(self) -> bool {
        self.0 >= 128
    }

    /// Whether this version of the format defines it.
    pub fn is_known(self) -> bool {
        (Self::DATA.0..=Self::ANCHOR.0).contains(&self.0)
    }
}

/// A decoded frame header. Lengths and offsets are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The layer that wrote the frame.
    pub layer: LayerId,
    /// What it holds.
    pub kind: Kind,
    /// How the payload is coded.
    pub codec: u8,
    /// Whether it is the last frame of its kind.
    pub last: bool,
    /// The pack it belongs to.
    pub pack: PackId,
    /// Segment number, 0 in this version.
    pub segment: u32,
    /// Counts the frames of one kind from 0.
    pub sequence: u64,
    /// Where its first plain byte stands in the layer's plain stream.
    pub plain_offset: u64,
    /// Plain bytes in the frame.
    pub plain_len: u32,
    /// Payload bytes behind the header.
    pub stored_len: u32,
    /// Offset in the plain bytes at which the first CAR section starts.
    pub first_boundary: Option<u32>,
    /// CRC-64/NVME of the payload.
    pub payload_crc: u64,
    /// BLAKE3 prefix over header bytes 12–71 and the payload.
    pub digest: Digest16,
}

impl FrameHeader {
    /// A data frame of segment 0, with no lengths and no checks yet.
    pub fn data(layer: LayerId, pack: PackId, sequence: u64, plain_offset: u64) -> Self {
        Self {
            layer,
            kind: Kind::DATA,
            codec: 0,
            last: false,
            pack,
            segment: 0,
            sequence,
            plain_offset,
            plain_len: 0,
            stored_len: 0,
            first_boundary: None,
            payload_crc: 0,
            digest: Digest16::default(),
        }
    }

    /// What stands for a data frame of segment 0 that is lost. The final frame's has the *last* flag.
    pub fn hole(
        layer: LayerId,
        pack: PackId,
        sequence: u64,
        plain_offset: u64,
        plain_len: u32,
        last: bool,
    ) -> Self {
        let mut header = Self::data(layer, pack, sequence, plain_offset).with_lengths(plain_len, 0);
        (header.kind, header.last) = (Kind::HOLE, last);
        header.sealed(&[])
    }

    /// Sets the plain and the stored length.
    #[must_use]
    pub fn with_lengths(mut self, plain: u32, stored: u32) -> Self {
        (self.plain_len, self.stored_len) = (plain, stored);
        self
    }

    /// Computes the checks over the stored payload. Every other field must be final.
    #[must_use]
    pub fn sealed(mut self, payload: &[u8]) -> Self {
        debug_assert_eq!(self.stored_len as usize, payload.len());
        self.payload_crc = crc64(&[payload]);
        self.digest = digest16(&[&self.covered(), payload]);
        self
    }

    /// Header bytes 12–71: what the digest covers, and the additional data of the encryption layer.
    pub fn covered(&self) -> [u8; 60] {
        let mut covered = [0; 60];
        covered.copy_from_slice(&self.body()[12..72]);
        covered
    }

    /// The 96 bytes.
    pub fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = self.body();
        let sum = crc32c(&[&bytes[..8], &bytes[12..]]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header. Offsets in errors are relative to its first byte.
    ///
    /// # Errors
    /// [`ErrorKind::BadMagic`] and [`ErrorKind::BadHeaderSum`] when no header stands here, [`ErrorKind::Unknown`] for
    /// a version of frames that this reader does not know, [`ErrorKind::BadField`] for reserved bits that are set.
    pub fn decode(bytes: &[u8; FRAME_HEADER_LEN]) -> Result<Self, Error> {
        if bytes[..8] != FRAME_MAGIC {
            return Err(Error::new(ErrorKind::BadMagic, 0));
        }
        if crc32c(&[&bytes[..8], &bytes[12..]]) != u32_at(bytes, 8) {
            return Err(Error::new(ErrorKind::BadHeaderSum, 0));
        }
        Self::decode_fields(bytes)
    }

    /// As [`Self::decode`], where most likely no header stands: most bytes are turned down before a sum is computed.
    pub fn probe(bytes: &[u8; FRAME_HEADER_LEN]) -> Option<Self> {
        if !Self::may_begin(bytes) {
            return None;
        }
        let header = Self::decode_fields(bytes).ok()?;
        (crc32c(&[&bytes[..8], &bytes[12..]]) == u32_at(bytes, 8)).then_some(header)
    }

    /// Whether a header may begin with these bytes, as far as magic and version tell.
    pub fn may_begin(bytes: &[u8]) -> bool {
        bytes.starts_with(&FRAME_MAGIC) && bytes.get(12).is_none_or(|byte| *byte == FRAME_VERSION)
    }

    /// Reads the fields of a header whose magic and sum are known to hold.
    pub(crate) fn decode_fields(bytes: &[u8; FRAME_HEADER_LEN]) -> Result<Self, Error> {
        if bytes[12] != FRAME_VERSION {
            let value = u64::from(bytes[12]);
            return Err(Error::new(ErrorKind::Unknown { what: "frame version", value }, 12));
        }
        let flags = u32_at(bytes, 16);
        if flags & !FLAG_LAST != 0 {
            return Err(Error::new(ErrorKind::BadField("frame flags"), 16));
        }
        if u32_at(bytes, 68) != 0 {
            return Err(Error::new(ErrorKind::BadField("reserved bytes of a frame header"), 68));
        }
        Ok(Self {
            layer: LayerId(bytes[13]),
            kind: Kind(bytes[14]),
            codec: bytes[15],
            last: flags & FLAG_LAST != 0,
            pack: PackId::from_bytes(array_at(bytes, 20)),
            segment: u32_at(bytes, 36),
            sequence: u64_at(bytes, 40),
            plain_offset: u64_at(bytes, 48),
            plain_len: u32_at(bytes, 56),
            stored_len: u32_at(bytes, 60),
            first_boundary: Some(u32_at(bytes, 64)).filter(|&at| at != NO_BOUNDARY),
            payload_crc: u64_at(bytes, 72),
            digest: array_at(bytes, 80),
        })
    }

    /// Whether the payload matches CRC-64 and digest.
    pub fn payload_is_intact(&self, payload: &[u8]) -> bool {
        self.payload_matches_crc(payload) && self.payload_matches_digest(payload)
    }

    /// Whether the payload has the stated length and CRC-64: finds all accidental damage, cheaply.
    pub fn payload_matches_crc(&self, payload: &[u8]) -> bool {
        self.stored_len as usize == payload.len() && crc64(&[payload]) == self.payload_crc
    }

    /// Whether header and payload match the digest: confirms a correction.
    pub fn payload_matches_digest(&self, payload: &[u8]) -> bool {
        digest16(&[&self.covered(), payload]) == self.digest
    }

    /// Bytes of the whole frame, header and payload.
    pub fn frame_len(&self) -> u64 {
        FRAME_HEADER_LEN as u64 + u64::from(self.stored_len)
    }

    /// Plain offset behind the frame, or `None` where the stated values overflow.
    pub fn plain_end(&self) -> Option<u64> {
        self.plain_offset.checked_add(u64::from(self.plain_len))
    }

    /// The header without its CRC-32C.
    fn body(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = [0; FRAME_HEADER_LEN];
        bytes[..8].copy_from_slice(&FRAME_MAGIC);
        bytes[12] = FRAME_VERSION;
        bytes[13] = self.layer.0;
        bytes[14] = self.kind.0;
        bytes[15] = self.codec;
        bytes[16..20].copy_from_slice(&u32::from(self.last).to_le_bytes());
        bytes[20..36].copy_from_slice(self.pack.as_bytes());
        bytes[36..40].copy_from_slice(&self.segment.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.plain_offset.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.plain_len.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.stored_len.to_le_bytes());
        let boundary = self.first_boundary.unwrap_or(NO_BOUNDARY);
        bytes[64..68].copy_from_slice(&boundary.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[80..96].copy_from_slice(&self.digest);
        bytes
    }
}

const FRAME_VERSION: u8 = 1;
const FLAG_LAST: u32 = 1;
const NO_BOUNDARY: u32 = u32::MAX;

fn array_at<const N: usize>(bytes: &[u8; FRAME_HEADER_LEN], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8; FRAME_HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8; FRAME_HEADER_LEN], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
