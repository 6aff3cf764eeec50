//! Sizes, the layer header and the anchor (`docs/format.md`, sections 3.5 and 4.2).

use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, LayerSlot, PackId, ScanLimits};

use crate::layout::Layout;
use crate::{Error, ErrorKind};

/// Plain bytes in every data frame but the last.
pub const FRAME_LEN: usize = 131_072;

/// The longest key envelope in bytes.
pub const MAX_ENVELOPE: usize = 1 << 20;

/// The most data frames in one stream, so that no nonce is used twice.
pub const MAX_FRAMES: u64 = 1 << 32;

/// The slot of this layer in a container header.
pub const fn slot() -> LayerSlot {
    LayerSlot { id: LayerId::ENCRYPTION, algorithm: AES_256_GCM, unit: FRAME_LEN as u32 }
}

/// The parameters of an encrypted stream, which stand at its front, at its end, and in anchors. Readable without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerHeader {
    /// The pack that the stream belongs to; it salts the keys.
    pub pack_id: PackId,
    /// The algorithm; 1 is AES-256-GCM.
    pub algorithm: u8,
    /// What tells the right key from a wrong one.
    pub commitment: [u8; 32],
    /// The key envelope, as the layer that makes keys wrote it; may be empty.
    pub envelope: Vec<u8>,
}

impl LayerHeader {
    /// The payload of a layer header frame: 44 bytes and the envelope.
    pub fn encode(&self) -> Vec<u8> {
        let envelope_len = u32::try_from(self.envelope.len()).unwrap_or(u32::MAX);
        let mut payload = Vec::with_capacity(HEADER_FIXED + self.envelope.len());
        payload.extend_from_slice(&VERSION.to_le_bytes());
        payload.extend_from_slice(&[self.algorithm, 0]);
        payload.extend_from_slice(&(FRAME_LEN as u32).to_le_bytes());
        payload.extend_from_slice(&self.commitment);
        payload.extend_from_slice(&envelope_len.to_le_bytes());
        payload.extend_from_slice(&self.envelope);
        payload
    }

    /// Reads the payload of a layer header frame of the pack `pack_id`. Offsets in errors are relative to it.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] for what a later version may write, [`ErrorKind::TooLong`] for an envelope over
    /// [`MAX_ENVELOPE`], [`ErrorKind::BadHeader`] for everything else.
    pub fn decode(pack_id: PackId, payload: &[u8]) -> Result<Self, Error> {
        let Some((fixed, envelope)) = payload.split_first_chunk::<HEADER_FIXED>() else {
            return Err(bad_header(carstone_layer::ErrorKind::Truncated, payload.len()));
        };
        let unknown =
            |what, value: u64, at| Err(Error::new(ErrorKind::Unknown { what, value }, at));
        let version = u16::from_le_bytes([fixed[0], fixed[1]]);
        if version != VERSION {
            return unknown("layer header version", version.into(), 0);
        }
        if fixed[2] != AES_256_GCM {
            return unknown("encryption algorithm", fixed[2].into(), 2);
        }
        if fixed[3] != 0 {
            return Err(bad_field("reserved byte of the layer header", 3));
        }
        let unit = u32_at(fixed, 4);
        if unit as usize != FRAME_LEN {
            return unknown("encryption frame length", unit.into(), 4);
        }
        let stated = u32_at(fixed, 40);
        check_envelope(u64::from(stated), 40)?;
        if stated as usize != envelope.len() {
            return Err(bad_field("length of the key envelope", 40));
        }
        let mut commitment = [0; 32];
        commitment.copy_from_slice(&fixed[8..40]);
        Ok(Self { pack_id, algorithm: fixed[2], commitment, envelope: envelope.to_vec() })
    }

    /// Reads the payload of a whole frame of kind 2 whose header has been decoded.
    pub(crate) fn of_frame(header: &FrameHeader, payload: &[u8]) -> Result<Self, Error> {
        if !header.payload_is_intact(payload) {
            return Err(bad_header(carstone_layer::ErrorKind::BadPayload, 0));
        }
        if header.codec != AES_256_GCM {
            let value = header.codec.into();
            return Err(Error::new(ErrorKind::Unknown { what: "encryption algorithm", value }, 15));
        }
        if header.segment != 0 {
            let value = header.segment.into();
            return Err(Error::new(ErrorKind::Unknown { what: "segment", value }, 36));
        }
        if header.last || header.plain_len != 0 || header.first_boundary.is_some() {
            return Err(bad_field("header of the layer header frame", 16));
        }
        Self::decode(header.pack, payload)
    }

    /// The whole frame at the front of the stored stream.
    pub fn front_frame(&self) -> Vec<u8> {
        Self::write_frame(&self.encode(), self.pack_id, 0, 0)
    }

    /// The whole frame at the end of the stored stream of `plain_len` plain bytes.
    pub fn end_frame(&self, plain_len: u64) -> Vec<u8> {
        Self::write_frame(&self.encode(), self.pack_id, 1, plain_len)
    }

    /// The whole anchor frame of number `index` from 0; `container` is the container header, or empty where the stream has none.
    pub fn anchor_frame(&self, container: &[u8], index: u64) -> Vec<u8> {
        let anchor = Anchor { container: container.to_vec(), layer_header: self.encode() };
        Anchor::write_frame(&anchor.encode(), self.pack_id, index)
    }

    /// Plain bytes of a whole stored stream of `stored_len` bytes that has this layer header and a container header of `container` bytes;
    /// `None` where no stream is that long.
    pub fn plain_len_of(&self, stored_len: u64, container: usize) -> Option<u64> {
        let layout = Layout::of_stored(stored_len, self.envelope.len(), container)?;
        Some(layout.plain_len())
    }

    /// Where data frame `frame`, under [`MAX_FRAMES`], stands in the stored stream, with a container header of `container` bytes.
    pub fn place_of(&self, frame: u64, container: usize) -> u64 {
        Layout::new(self.envelope.len(), container).position(frame)
    }

    /// The whole frame. `sequence` is 0 at the front and 1 at the end.
    pub(crate) fn write_frame(payload: &[u8], pack: PackId, sequence: u64, plain: u64) -> Vec<u8> {
        let mut header = FrameHeader::data(LayerId::ENCRYPTION, pack, sequence, plain);
        (header.kind, header.codec) = (Kind::LAYER_HEADER, AES_256_GCM);
        whole_frame(header, payload)
    }
}

/// What an anchor repeats, so that a fragment of a stream can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Anchor {
    /// The container header, 256 bytes; empty where the stream has none.
    pub container: Vec<u8>,
    /// The payload of the layer header frame, for [`LayerHeader::decode`]; empty where nothing is encrypted.
    pub layer_header: Vec<u8>,
}

impl Anchor {
    /// The payload of an anchor frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(8 + self.container.len() + self.layer_header.len());
        for part in [&self.container, &self.layer_header] {
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            payload.extend_from_slice(&len.to_le_bytes());
            payload.extend_from_slice(part);
        }
        payload
    }

    /// Reads the payload of an anchor frame; `None` where it is not one.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (container, rest) = take_part(payload)?;
        let (layer_header, rest) = take_part(rest)?;
        let fits = rest.is_empty()
            && matches!(container.len(), 0 | CONTAINER_LEN)
            && layer_header.len() <= HEADER_FIXED + MAX_ENVELOPE;
        fits.then(|| Self { container: container.to_vec(), layer_header: layer_header.to_vec() })
    }

    /// The whole frame; `index` counts anchors from 0.
    pub(crate) fn write_frame(payload: &[u8], pack: PackId, index: u64) -> Vec<u8> {
        let plain = index.saturating_add(1).saturating_mul(ANCHOR_EVERY * FRAME_LEN as u64);
        let mut header = FrameHeader::data(LayerId::ENCRYPTION, pack, index, plain);
        header.kind = Kind::ANCHOR;
        whole_frame(header, payload)
    }
}

/// Bytes of the authentication tag.
pub(crate) const TAG_LEN: usize = 16;

/// Stored bytes of a full data frame.
pub const STORED_FRAME: usize = FRAME_HEADER_LEN + FRAME_LEN + TAG_LEN;

/// Stored bytes of a data frame that are not plain bytes.
pub(crate) const OVERHEAD: usize = FRAME_HEADER_LEN + TAG_LEN;

/// Bytes of the layer header payload before the envelope.
pub(crate) const HEADER_FIXED: usize = 44;

/// Bytes of a container header in an anchor.
pub(crate) const CONTAINER_LEN: usize = 256;

/// Data frames between two anchors.
pub const ANCHOR_EVERY: u64 = 512;

/// The longest payload of a frame that is not a data frame.
pub(crate) const MAX_OTHER: usize = 8 + CONTAINER_LEN + HEADER_FIXED + MAX_ENVELOPE;

/// The number of AES-256-GCM in slots, headers and key derivation.
pub(crate) const AES_256_GCM: u8 = 1;

const VERSION: u16 = 1;

/// The longest payloads that a search for frames of this layer need believe in.
pub fn scan_limits() -> ScanLimits {
    ScanLimits::new((FRAME_LEN + TAG_LEN) as u32, MAX_OTHER as u32)
}

/// Whether the fields of a data frame agree with each other as the format says.
pub fn is_regular(header: &FrameHeader) -> bool {
    let full = FRAME_LEN as u32;
    let len_fits = match header.plain_len {
        0 => header.last && header.sequence == 0,
        len => len == full || (header.last && len < full),
    };
    len_fits
        && header.codec == AES_256_GCM
        && header.segment == 0
        && header.sequence < MAX_FRAMES
        && header.plain_offset == header.sequence * FRAME_LEN as u64
        && header.stored_len == header.plain_len + TAG_LEN as u32
        && header.first_boundary.is_none_or(|at| at < header.plain_len)
}

pub(crate) fn check_envelope(len: u64, at: u64) -> Result<(), Error> {
    let limit = MAX_ENVELOPE as u64;
    if len > limit {
        return Err(Error::new(ErrorKind::TooLong { what: "key envelope", len, limit }, at));
    }
    Ok(())
}

pub(crate) fn bad_header(kind: carstone_layer::ErrorKind, at: usize) -> Error {
    Error::new(ErrorKind::BadHeader(carstone_layer::Error::new(kind, at as u64)), at as u64)
}

fn bad_field(what: &'static str, at: usize) -> Error {
    bad_header(carstone_layer::ErrorKind::BadField(what), at)
}

fn u32_at(bytes: &[u8; HEADER_FIXED], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn take_part(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = payload.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

fn whole_frame(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    // Payloads that this crate writes are under `MAX_OTHER`.
    let stored_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let header = header.with_lengths(0, stored_len).sealed(payload);
    let mut frame = Vec::with_capacity(FRAME_HEADER_LEN + payload.len());
    frame.extend_from_slice(&header.encode());
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(envelope: usize) -> LayerHeader {
        LayerHeader {
            pack_id: PackId::from_bytes([7; 16]),
            algorithm: AES_256_GCM,
            commitment: [9; 32],
            envelope: vec![5; envelope],
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut payload = header(3).encode();
        change(&mut payload);
        let error = LayerHeader::decode(PackId::from_bytes([7; 16]), &payload)
            .expect_err("a changed payload is refused");
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error}: {source}");
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_layer_header_comes_back_as_it_was() {
        for envelope in [0, 1, 300, MAX_ENVELOPE] {
            let header = header(envelope);
            let payload = header.encode();
            assert_eq!(payload.len(), HEADER_FIXED + envelope);
            assert_eq!(LayerHeader::decode(header.pack_id, &payload).expect("valid"), header);
        }
    }

    #[test]
    fn a_layer_header_with_any_other_value_is_refused() {
        refused(|p| p[0] = 2, "layer header version 2");
        refused(|p| p[2] = 9, "encryption algorithm 9");
        refused(|p| p[3] = 1, "reserved");
        refused(|p| p[4] = 1, "encryption frame length 131073");
        refused(|p| p[40] = 4, "length of the key envelope");
        refused(|p| p[43] = 0xFF, "more than the limit of 1048576");
        refused(|p| p.push(0), "length of the key envelope");
        refused(|p| p.truncate(43), "stream stops");
    }

    #[test]
    fn an_anchor_comes_back_as_it_was() {
        for container in [0, CONTAINER_LEN] {
            let anchor =
                Anchor { container: vec![1; container], layer_header: header(70).encode() };
            assert_eq!(Anchor::decode(&anchor.encode()), Some(anchor));
        }
    }

    #[test]
    fn an_anchor_with_wrong_lengths_is_none() {
        let anchor = Anchor { container: vec![1; 256], layer_header: header(0).encode() };
        let payload = anchor.encode();
        for len in 0..payload.len() {
            assert_eq!(Anchor::decode(&payload[..len]), None, "{len}");
        }
        let odd = Anchor { container: vec![1; 7], layer_header: Vec::new() };
        assert_eq!(Anchor::decode(&odd.encode()), None);
    }

    #[test]
    fn a_data_frame_whose_fields_disagree_is_not_regular() {
        let frame = |sequence, plain: u32, last| {
            let offset = sequence * FRAME_LEN as u64;
            let pack = PackId::from_bytes([7; 16]);
            let mut header = FrameHeader::data(LayerId::ENCRYPTION, pack, sequence, offset)
                .with_lengths(plain, plain + TAG_LEN as u32);
            (header.codec, header.last) = (AES_256_GCM, last);
            header
        };
        let full = FRAME_LEN as u32;
        for good in
            [frame(0, 0, true), frame(3, 1, true), frame(3, full, true), frame(3, full, false)]
        {
            assert!(is_regular(&good), "{good:?}");
        }
        let mut bad = vec![
            frame(0, 0, false),
            frame(1, 0, true),
            frame(1, full - 1, false),
            frame(1, full + 1, true),
            frame(MAX_FRAMES, full, false),
        ];
        let changes: [fn(&mut FrameHeader); 5] = [
            |header| header.codec = 0,
            |header| header.segment = 1,
            |header| header.plain_offset += 1,
            |header| header.stored_len += 1,
            |header| header.first_boundary = Some(header.plain_len),
        ];
        for change in changes {
            let mut header = frame(1, full, false);
            change(&mut header);
            bad.push(header);
        }
        for bad in bad {
            assert!(!is_regular(&bad), "{bad:?}");
        }
    }
}
