//! Where blobs lie.

use std::fmt;

use carstone_car::multihash::Multihash;

use super::format::{Fields, malformed};
use crate::error::Result;
use crate::name::{Hash, text_of};

/// What holds blobs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Location {
    /// A pack, or a blob that is kept by itself, in the store.
    Pack {
        /// Its name.
        name: Hash,
        /// Its bytes.
        size: u64,
    },
    /// Something outside of the store: a URL, or a path that whoever opens it understands.
    Foreign {
        /// The URL or path.
        text: String,
        /// Its bytes; 0 if that is not known.
        size: u64,
    },
}

impl Location {
    /// The pack, if it is one.
    pub fn pack(&self) -> Option<&Hash> {
        match self {
            Self::Pack { name, .. } => Some(name),
            Self::Foreign { .. } => None,
        }
    }

    /// Its bytes; 0 if that is not known.
    pub fn size(&self) -> u64 {
        match self {
            Self::Pack { size, .. } | Self::Foreign { size, .. } => *size,
        }
    }

    /// Bytes that it takes in memory and in a segment, about.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Pack { .. } => 64,
            Self::Foreign { text, .. } => 64 + text.len(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, bytes) = match self {
            Self::Pack { name, .. } => (PACK, name.to_bytes()),
            Self::Foreign { text, .. } => (FOREIGN, text.clone().into_bytes()),
        };
        out.push(kind);
        out.extend((bytes.len() as u16).to_be_bytes());
        out.extend(bytes);
        out.extend(self.size().to_be_bytes());
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Self> {
        let kind = fields.u8()?;
        let len = fields.u16()?;
        let bytes = fields.bytes(len.into())?;
        let size = fields.u64()?;
        match kind {
            PACK => {
                let name = Multihash::from_bytes(bytes);
                let name = name.map_err(|_| malformed("a location has no hash"))?;
                Ok(Self::Pack { name, size })
            }
            FOREIGN => {
                let text = String::from_utf8(bytes.to_vec());
                let text = text.map_err(|_| malformed("a location is no text"))?;
                Ok(Self::Foreign { text, size })
            }
            _ => Err(malformed("a location is of an unknown kind")),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack { name, .. } => f.write_str(&text_of(name)),
            Self::Foreign { text, .. } => f.write_str(text),
        }
    }
}

/// The longest text of a location.
pub(crate) const MAX_TEXT: usize = u16::MAX as usize;

const PACK: u8 = 0;
const FOREIGN: u8 = 1;
