//! Identifiers: the pack, the layers, and the canonical list of layers.

use std::fmt;

use crate::{Error, ErrorKind};

/// The 16 random bytes that every frame of a pack carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackId([u8; 16]);

impl PackId {
    /// Takes the bytes as they are. Writers draw them from the operating system.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackId({self})")
    }
}

/// The number of a layer, as in frame headers and layer slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub u8);

impl LayerId {
    /// The raw layer has no frames and no slot; gaps name it by this number.
    pub const RAW: Self = Self(0);
    /// The encryption layer.
    pub const ENCRYPTION: Self = Self(1);
    /// The compression layer.
    pub const COMPRESSION: Self = Self(2);
    /// The position layer.
    pub const POSITION: Self = Self(3);
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RAW => f.write_str("raw"),
            Self::ENCRYPTION => f.write_str("encryption"),
            Self::COMPRESSION => f.write_str("compression"),
            Self::POSITION => f.write_str("position"),
            Self(other) => write!(f, "layer {other}"),
        }
    }
}

/// One layer's parameters as the container header states them (16 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSlot {
    /// Which layer.
    pub id: LayerId,
    /// The layer's algorithm; 0 where the frames state their codec.
    pub algorithm: u8,
    /// Plain bytes in a full frame; 0 for a layer without frames.
    pub unit: u32,
}

impl LayerSlot {
    /// Encoded length in bytes.
    pub const LEN: usize = 16;

    /// The 16 bytes of the slot.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut slot = [0; Self::LEN];
        slot[0] = self.id.0;
        slot[1] = self.algorithm;
        slot[4..8].copy_from_slice(&self.unit.to_le_bytes());
        slot
    }

    /// Reads a slot; `at` is its offset, for the error.
    ///
    /// # Errors
    /// [`ErrorKind::BadField`] when reserved bytes are not zero.
    pub fn decode(slot: &[u8; Self::LEN], at: u64) -> Result<Self, Error> {
        if slot[2..4].iter().chain(&slot[8..]).any(|&byte| byte != 0) {
            return Err(Error::new(ErrorKind::BadField("reserved bytes of a layer slot"), at));
        }
        let unit = u32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]]);
        Ok(Self { id: LayerId(slot[0]), algorithm: slot[1], unit })
    }
}

/// The layers of a pack, outermost first; 1 to 8 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerList(Vec<LayerSlot>);

impl LayerList {
    /// The most layers a container can list.
    pub const MAX: usize = 8;

    /// A list of layers, outermost first.
    ///
    /// # Errors
    /// [`ErrorKind::BadField`] when there are none, more than [`Self::MAX`], or one stands twice.
    pub fn new(slots: Vec<LayerSlot>) -> Result<Self, Error> {
        let twice = slots.iter().enumerate().any(|(i, a)| slots[..i].iter().any(|b| a.id == b.id));
        if slots.is_empty() || slots.len() > Self::MAX || twice {
            return Err(Error::new(ErrorKind::BadField("list of layers"), 0));
        }
        Ok(Self(slots))
    }

    /// The list of a layer that is used alone.
    pub fn single(slot: LayerSlot) -> Self {
        Self(vec![slot])
    }

    /// The slots, outermost first.
    pub fn slots(&self) -> &[LayerSlot] {
        &self.0
    }

    /// The slot of one layer, if it is there.
    pub fn get(&self, id: LayerId) -> Option<&LayerSlot> {
        self.0.iter().find(|slot| slot.id == id)
    }

    /// The canonical form: the count, then each slot (`docs/format.md`, section 2.1).
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(self.0.len()).expect("there are at most 8 layers")];
        self.0.iter().for_each(|slot| bytes.extend_from_slice(&slot.encode()));
        bytes
    }
}
