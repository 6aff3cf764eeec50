//! Frames of parity: they describe themselves (`docs/format.md`, section 14.5).

use carstone_layer::crc64;

use crate::layout::{Layout, Slot};
use crate::{Error, ErrorKind};

/// Binds the frames of one parity to each other; random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtectionId([u8; 16]);

impl ProtectionId {
    /// A new one, from the operating system's source.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where that source fails.
    pub fn random() -> Result<Self, Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Error::from(std::io::Error::other(error)))?;
        Ok(Self(id))
    }

    /// One that is given, for tests and for the reader of an appendix.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for ProtectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ProtectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProtectionId({self})")
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// A copy of the descriptor.
    Descriptor { copy: u32 },
    /// Anything else.
    Slot(Slot),
}

/// The header of a frame whose bytes are intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: ProtectionId,
    pub(crate) label: Label,
    pub(crate) payload_len: u32,
}

/// What parity protects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    pub(crate) id: ProtectionId,
    pub(crate) layout: Layout,
    pub(crate) blake3: [u8; 32],
    pub(crate) sha256: [u8; 32],
}

impl Descriptor {
    /// Id that all frames carry.
    pub fn id(&self) -> ProtectionId {
        self.id
    }

    /// How the stream is cut.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// BLAKE3 of the stream.
    pub fn blake3(&self) -> &[u8; 32] {
        &self.blake3
    }

    /// SHA-256 of the stream.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The whole frame of a copy.
    pub(crate) fn encode(&self, copy: u32) -> Vec<u8> {
        let mut payload = [0; DESCRIPTOR_LEN - HEADER_LEN];
        let layout = &self.layout;
        payload[..8].copy_from_slice(&layout.stream_len().to_le_bytes());
        let words =
            [layout.cell_len(), layout.share().hundredths(), layout.recovery(), layout.copies()];
        for (field, word) in payload[8..24].chunks_exact_mut(4).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        payload[64..96].copy_from_slice(&self.blake3);
        payload[96..].copy_from_slice(&self.sha256);
        let header = encode(self.id, Label::Descriptor { copy }, &payload);
        [&header[..], &payload].concat()
    }

    /// What a payload states.
    ///
    /// # Errors
    /// [`ErrorKind::BadField`], [`ErrorKind::TooLong`].
    pub(crate) fn decode(id: ProtectionId, payload: &[u8]) -> Result<Self, Error> {
        let bad = |what| Error::new(ErrorKind::BadField(what), 0);
        let payload: &[u8; DESCRIPTOR_LEN - HEADER_LEN] =
            payload.try_into().map_err(|_| bad("length"))?;
        let word = |at| u32_at(payload, at);
        if payload[24..64] != [0; 40] {
            return Err(bad("reserved"));
        }
        let layout = Layout::stated(u64_at(payload, 0), word(8), word(12), word(16), word(20))?;
        let hash = |at: usize| {
            let mut hash = [0; 32];
            hash.copy_from_slice(&payload[at..at + 32]);
            hash
        };
        Ok(Self { id, layout, blake3: hash(64), sha256: hash(96) })
    }
}

/// The header that goes before a payload, whose length is a power of two.
pub(crate) fn encode(id: ProtectionId, label: Label, payload: &[u8]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    let (kind, first, second) = match label {
        Label::Descriptor { copy } => (1, copy, 0),
        Label::Slot(Slot::Table { group, shard }) => (2, group, shard),
        Label::Slot(Slot::Recovery { zone, number }) => (3, zone, number),
    };
    header[5] = kind;
    header[6] = payload.len().max(1).ilog2().to_le_bytes()[0];
    header[8..24].copy_from_slice(&id.0);
    header[24..28].copy_from_slice(&first.to_le_bytes());
    header[28..32].copy_from_slice(&second.to_le_bytes());
    let crc = crc64(&[&header[..32], payload]);
    let digest = digest_of(&[&header[..32], payload]);
    header[32..40].copy_from_slice(&crc.to_le_bytes());
    header[40..].copy_from_slice(&digest);
    header
}

/// The header of a frame, as it stands, without its sums; `None` where its bytes cannot be one.
pub(crate) fn peek(bytes: &[u8]) -> Option<Header> {
    let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
    if bytes[..4] != MAGIC || bytes[4] != VERSION || bytes[7] != 0 || bytes[6] > MAX_LOG {
        return None;
    }
    let (first, second) = (u32_at(bytes, 24), u32_at(bytes, 28));
    let label = match bytes[5] {
        1 if bytes[6] == 7 && second == 0 => Label::Descriptor { copy: first },
        2 => Label::Slot(Slot::Table { group: first, shard: second }),
        3 => Label::Slot(Slot::Recovery { zone: first, number: second }),
        _ => return None,
    };
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[8..24]);
    Some(Header { id: ProtectionId(id), label, payload_len: 1 << bytes[6] })
}

/// The header of an intact frame: magic, CRC and all but two bits of the digest agree.
///
/// `frame` begins with the header and may be longer than the frame.
pub(crate) fn decode(frame: &[u8]) -> Option<Header> {
    decode_by_crc(frame).filter(|header| has_digest(frame, header))
}

/// Whether all but two bits of the digest of a frame agree.
pub(crate) fn has_digest(frame: &[u8], header: &Header) -> bool {
    let Some(parts) = parts(frame, header) else { return false };
    let digest = u64::from_le_bytes(digest_of(&parts));
    (digest ^ u64_at(frame, 40)).count_ones() <= 2
}

/// The same without a look at the digest, which takes longer than all the rest.
pub(crate) fn decode_by_crc(frame: &[u8]) -> Option<Header> {
    let header = peek(frame)?;
    (crc64(&parts(frame, &header)?) == u64_at(frame, 32)).then_some(header)
}

/// What the sums of a frame are over.
fn parts<'a>(frame: &'a [u8], header: &Header) -> Option<[&'a [u8]; 2]> {
    let end = HEADER_LEN.checked_add(usize::try_from(header.payload_len).ok()?)?;
    Some([&frame[..32], frame.get(HEADER_LEN..end)?])
}

/// BLAKE3 takes bytes that lie together in half the time.
fn digest_of(parts: &[&[u8]; 2]) -> [u8; 8] {
    digest8(&[&parts.concat()])
}

/// The first 8 bytes of BLAKE3.
pub(crate) fn digest8(parts: &[&[u8]]) -> [u8; 8] {
    let mut digest = [0; 8];
    digest.copy_from_slice(&carstone_layer::digest16(parts)[..8]);
    digest
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// What each frame begins with.
pub(crate) const MAGIC: [u8; 4] = [0xF5, b'C', b'S', b'P'];

/// Bytes of the header of a frame.
pub(crate) const HEADER_LEN: usize = 48;

/// Bytes of the whole frame of a descriptor.
pub(crate) const DESCRIPTOR_LEN: usize = HEADER_LEN + 128;

const VERSION: u8 = 1;

/// The logarithm of the largest cell's length.
const MAX_LOG: u8 = 20;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::Share;

    #[test]
    fn a_descriptor_comes_back_and_each_flipped_bit_of_it_is_noticed() {
        let layout = Layout::new(5_000_000, Share::default()).unwrap();
        let (blake3, sha256) = ([1; 32], [2; 32]);
        let made = Descriptor { id: ProtectionId([9; 16]), layout, blake3, sha256 };
        let frame = made.encode(3);
        assert_eq!(frame.len(), DESCRIPTOR_LEN);
        let header = decode(&frame).unwrap();
        assert_eq!(header.label, Label::Descriptor { copy: 3 });
        assert_eq!(Descriptor::decode(header.id, &frame[HEADER_LEN..]).unwrap(), made);
        for bit in (0..40 * 8).chain(HEADER_LEN * 8..DESCRIPTOR_LEN * 8) {
            let mut frame = frame.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&frame), None, "bit {bit}");
        }
    }
}
