//! The container header and its 256 bytes (`docs/format.md`, section 2.1).

use carstone_layer::{
    Correction, LayerId, LayerList, LayerSlot, PackId, correct_block, crc64, digest16,
};

use crate::{Error, ErrorKind, trailer};

/// What the header of a pack states: its id, its versions and its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// The id that every frame of the pack carries.
    pub pack_id: PackId,
    /// Segment number, 0 in this version.
    pub segment: u32,
    /// Minor version; readers take any.
    pub minor: u16,
    /// Features that a reader must know. None is defined in this version.
    pub incompatible: u64,
    /// Features that a reader may ignore.
    pub compatible: u64,
    /// The layers, outermost first.
    pub layers: LayerList,
}

impl Container {
    /// Encoded length in bytes.
    pub const LEN: usize = 256;

    /// The first bytes of every header, and so of every trailer.
    pub const MAGIC: [u8; 8] = MAGIC;

    /// Encoded length of the trailer in bytes.
    pub const TRAILER_LEN: usize = trailer::TRAILER_LEN;

    /// A container of this version, segment 0, without features.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] and [`ErrorKind::BadField`] when the format does not allow `layers`: position must be the
    /// innermost, encryption stands outside compression, and units are within their bounds.
    pub fn new(pack_id: PackId, layers: LayerList) -> Result<Self, Error> {
        check_layers(&layers)?;
        Ok(Self { pack_id, segment: 0, minor: MINOR, incompatible: 0, compatible: 0, layers })
    }

    /// The 256 bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&MAJOR.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.minor.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.incompatible.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.compatible.to_le_bytes());
        bytes[32..48].copy_from_slice(self.pack_id.as_bytes());
        // The canonical list is the count followed by the slots; reserved bytes stand between them.
        let slots = self.layers.slots();
        bytes[COUNT_AT] = u8::try_from(slots.len()).expect("a list has at most 8 layers");
        for (slot, place) in slots.iter().zip(bytes[SLOTS_AT..].chunks_exact_mut(LayerSlot::LEN)) {
            place.copy_from_slice(&slot.encode());
        }
        let digest = digest16(&[&bytes[..DIGEST_AT]]);
        bytes[DIGEST_AT..CRC_AT].copy_from_slice(&digest);
        let crc = crc64(&[&bytes[..CRC_AT]]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The 304 bytes of the trailer of a pack that has `stored_len` bytes, header and trailer included.
    pub fn encode_trailer(&self, stored_len: u64) -> [u8; Self::TRAILER_LEN] {
        trailer::encode(&self.encode(), stored_len)
    }

    /// Reads a header. Offsets in errors are relative to its first byte.
    ///
    /// # Errors
    /// [`ErrorKind::NotAPack`] for another magic, [`ErrorKind::HeaderDamaged`] when a checksum fails,
    /// [`ErrorKind::Unknown`] for what needs a newer reader, [`ErrorKind::BadField`] for the rest.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, Error> {
        if bytes[..8] != MAGIC {
            return Err(Error::new(ErrorKind::NotAPack, 0));
        }
        if !crc_agrees(bytes) || !digest_agrees(bytes) {
            return Err(Error::new(ErrorKind::HeaderDamaged, 0));
        }
        Self::decode_fields(bytes)
    }

    /// Reads a trailer whose checksums hold: what its copy of the header states, and how many bytes there are from the first of the header to
    /// its own last. `None` where these bytes are none, or not one that this version understands.
    pub fn decode_trailer(bytes: &[u8; Self::TRAILER_LEN]) -> Option<(Self, u64)> {
        let trailer = trailer::Trailer::decode(bytes).ok()?;
        Some((trailer.container().ok()?, trailer.stored_len))
    }

    /// Reads a header that may have a flipped bit or a burst of at most 32 flipped bits, and says what was put right.
    ///
    /// `None` when the header is lost or not one that this version understands.
    pub fn decode_corrected(bytes: &[u8; Self::LEN]) -> Option<(Self, Option<Correction>)> {
        Self::decode_or_correct(bytes).ok()
    }

    /// As [`decode_corrected`](Self::decode_corrected), but says why there is none.
    pub(crate) fn decode_or_correct(
        bytes: &[u8; Self::LEN],
    ) -> Result<(Self, Option<Correction>), Error> {
        if bytes[..8] == MAGIC && crc_agrees(bytes) && digest_agrees(bytes) {
            return Ok((Self::decode_fields(bytes)?, None));
        }
        match corrected_bytes(bytes) {
            Some((corrected, found)) => Ok((Self::decode(&corrected)?, Some(found))),
            None => Err(Error::new(ErrorKind::HeaderDamaged, 0)),
        }
    }

    /// Reads the fields of a header whose magic and checksums are known to hold.
    fn decode_fields(bytes: &[u8; Self::LEN]) -> Result<Self, Error> {
        let major = u16_at(bytes, 8);
        if major != MAJOR {
            return unknown("major version", u64::from(major), 8);
        }
        let incompatible = u64_at(bytes, 16);
        if incompatible & !KNOWN_FEATURES != 0 {
            return unknown("feature word", incompatible, 16);
        }
        if u32_at(bytes, 12) != 0 {
            return bad_field("segment number", 12);
        }
        let reserved = [COUNT_AT + 1..SLOTS_AT, SLOTS_END..DIGEST_AT];
        if let Some(range) = reserved.into_iter().find(|range| !is_zero(&bytes[range.clone()])) {
            return bad_field("reserved bytes of the container header", range.start);
        }
        Ok(Self {
            pack_id: PackId::from_bytes(array_at(bytes, 32)),
            segment: u32_at(bytes, 12),
            minor: u16_at(bytes, 10),
            incompatible,
            compatible: u64_at(bytes, 24),
            layers: decode_layers(bytes)?,
        })
    }
}

/// The first bytes of every pack, and of every trailer.
pub(crate) const MAGIC: [u8; 8] = [0x89, b'C', b'S', b'T', b'N', 0x0D, 0x0A, 0x1A];

/// The fields of a header that are not reserved, by their first byte: names the place where two headers differ.
pub(crate) fn field_at(offset: usize) -> &'static str {
    match offset {
        0..8 => "magic",
        8..12 => "version",
        12..16 => "segment number",
        16..32 => "set of features",
        32..48 => "pack id",
        COUNT_AT..SLOTS_END => "list of layers",
        DIGEST_AT..Container::LEN => "checksum",
        _ => "value of reserved bytes",
    }
}

/// Puts a header right that does not match its checksums.
fn corrected_bytes(bytes: &[u8; Container::LEN]) -> Option<([u8; Container::LEN], Correction)> {
    let mut corrected = *bytes;
    let confirm = |bytes: &[u8]| {
        bytes.first_chunk().is_some_and(|bytes| bytes[..8] == MAGIC && digest_agrees(bytes))
    };
    let found = correct_block(&mut corrected, CRC_AT, confirm)?;
    Some((corrected, Correction::new(LayerId::RAW, found.at, found.bits)))
}

fn decode_layers(bytes: &[u8; Container::LEN]) -> Result<LayerList, Error> {
    let count = usize::from(bytes[COUNT_AT]);
    if !(1..=LayerList::MAX).contains(&count) {
        return bad_field("number of layers", COUNT_AT);
    }
    let (used, unused) = bytes[SLOTS_AT..SLOTS_END].split_at(count * LayerSlot::LEN);
    if !is_zero(unused) {
        return bad_field("unused layer slot", SLOTS_AT + used.len());
    }
    let mut slots = Vec::with_capacity(count);
    for (index, slot) in used.chunks_exact(LayerSlot::LEN).enumerate() {
        let slot = slot.first_chunk().expect("chunks are as long as a slot");
        let Ok(slot) = LayerSlot::decode(slot, 0) else {
            return bad_field("reserved bytes of a layer slot", slot_at(index));
        };
        slots.push(slot);
    }
    let Ok(layers) = LayerList::new(slots) else {
        return bad_field("list of layers", SLOTS_AT);
    };
    check_layers(&layers)?;
    Ok(layers)
}

/// Refuses a list that the format does not allow.
fn check_layers(layers: &LayerList) -> Result<(), Error> {
    let mut outside = LayerId(0);
    for (index, slot) in layers.slots().iter().enumerate() {
        check_slot(slot, slot_at(index))?;
        if is_private(slot.id) {
            continue;
        }
        // The numbers of the layers grow from the outside inward.
        if slot.id <= outside {
            return bad_field("order of layers", slot_at(index));
        }
        outside = slot.id;
    }
    match layers.slots().last() {
        Some(slot) if slot.id == LayerId::POSITION => Ok(()),
        _ => bad_field("innermost layer", SLOTS_AT),
    }
}

fn check_slot(slot: &LayerSlot, at: usize) -> Result<(), Error> {
    let (algorithm, units) = match slot.id {
        LayerId::ENCRYPTION => (AES_256_GCM, ENCRYPTION_UNIT..=ENCRYPTION_UNIT),
        LayerId::COMPRESSION => (0, MIN_BLOCK..=MAX_BLOCK),
        LayerId::POSITION => (0, 0..=0),
        private if is_private(private) => return Ok(()),
        other => return unknown("layer", u64::from(other.0), at),
    };
    if slot.algorithm != algorithm {
        return unknown("layer algorithm", u64::from(slot.algorithm), at + 1);
    }
    if !units.contains(&slot.unit) {
        return bad_field("unit of a layer", at + 4);
    }
    Ok(())
}

/// Layers of other programs, whose parameters are their own business.
fn is_private(layer: LayerId) -> bool {
    (64..=127).contains(&layer.0)
}

fn slot_at(index: usize) -> usize {
    SLOTS_AT + index * LayerSlot::LEN
}

fn crc_agrees(bytes: &[u8; Container::LEN]) -> bool {
    crc64(&[&bytes[..CRC_AT]]) == u64_at(bytes, CRC_AT)
}

fn digest_agrees(bytes: &[u8; Container::LEN]) -> bool {
    digest16(&[&bytes[..DIGEST_AT]]) == bytes[DIGEST_AT..CRC_AT]
}

fn unknown<T>(what: &'static str, value: u64, at: usize) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Unknown { what, value }, at as u64))
}

fn bad_field<T>(what: &'static str, at: usize) -> Result<T, Error> {
    Err(Error::new(ErrorKind::BadField(what), at as u64))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The `N` bytes at a constant offset that lies inside `bytes`.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const KNOWN_FEATURES: u64 = 0;
const COUNT_AT: usize = 48;
const SLOTS_AT: usize = 56;
const SLOTS_END: usize = SLOTS_AT + LayerList::MAX * LayerSlot::LEN;
const DIGEST_AT: usize = 232;
const CRC_AT: usize = 248;
const AES_256_GCM: u8 = 1;
const ENCRYPTION_UNIT: u32 = 131_072;
const MIN_BLOCK: u32 = 65_536;
const MAX_BLOCK: u32 = 16_777_216;
