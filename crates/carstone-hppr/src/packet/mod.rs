//! Packets: a Blob is data, a Plex is a Blob at a coordinate, and a Seal is a Plex that somebody has signed.

mod build;
mod head;
mod input;
mod lines;
mod parse;
mod reader;
mod seal;

use std::io::{self, Write};

use bytes::Bytes;

use crate::coordinate::Coordinate;
use crate::header::Header;
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, Signature, VerifyingKey};

pub use head::Head;
pub(crate) use parse::check_signature;
pub use parse::{ExtrasOrder, Hashes, ParseOptions, verify};
pub(crate) use reader::Layers;
pub use reader::{PacketReader, PacketStream};

pub(crate) use build::{blob_head, mark, plex_head, plex_lines, seal_lines, sorted_extras};
pub(crate) use head::{Claim, HeadParser, PlexHead, SealHead, claim_of};
pub(crate) use input::Input;
pub use lines::RESERVED_HEADERS;
pub(crate) use lines::{PlexLines, SealLines};
pub(crate) use seal::verify_seal;

/// What marklines begin with, and the applications of commands.
pub const MARK_CHARACTER: char = '\u{1f5a7}';
/// The same with its colon and space.
pub(crate) const MARK: &[u8] = "\u{1f5a7}: ".as_bytes();

/// Data, and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    hash: PacketHash,
    data: Bytes,
}

/// A Blob at a coordinate, at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plex {
    hash: PacketHash,
    coordinate: Coordinate,
    tai: Tai,
    extras: Vec<Header>,
    blob: Blob,
}

/// A Plex that the owner of a key has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    hash: PacketHash,
    key: VerifyingKey,
    signature: Signature,
    plex: Plex,
}

/// A packet whose hashes and signature are right.
///
/// ```
/// use carstone_hppr::{Blob, Packet, ParseOptions};
/// let packet = Packet::from(Blob::new("hello\n")?);
/// let bytes = packet.encode();
/// assert_eq!(bytes.len(), 77);
/// assert_eq!(Packet::parse(&bytes, &ParseOptions::default())?, packet);
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has three")]
pub enum Packet {
    /// Data.
    Blob(Blob),
    /// A Blob at a coordinate.
    Plex(Plex),
    /// A Plex that somebody has signed.
    Seal(Seal),
}

impl Blob {
    /// Its hash.
    pub fn hash(&self) -> PacketHash {
        self.hash
    }

    /// The data.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        mark(self.hash, out);
        out.extend_from_slice(blob_head(self.data.len()).as_bytes());
    }
}

impl Plex {
    /// Its hash.
    pub fn hash(&self) -> PacketHash {
        self.hash
    }

    /// Where it belongs.
    pub fn coordinate(&self) -> &Coordinate {
        &self.coordinate
    }

    /// When it was made.
    pub fn tai(&self) -> Tai {
        self.tai
    }

    /// The headers behind the time, in their order.
    pub fn extras(&self) -> &[Header] {
        &self.extras
    }

    /// The Blob in it.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The data of the Blob.
    pub fn data(&self) -> &Bytes {
        self.blob.data()
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        mark(self.hash, out);
        plex_lines(&self.coordinate, self.tai, &self.extras, out);
        self.blob.write_head(out);
    }
}

impl Seal {
    /// Its hash.
    pub fn hash(&self) -> PacketHash {
        self.hash
    }

    /// The key of who has signed it.
    pub fn key(&self) -> VerifyingKey {
        self.key
    }

    /// The signature of the digest of the Plex.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// The Plex in it.
    pub fn plex(&self) -> &Plex {
        &self.plex
    }

    /// The data of the Blob.
    pub fn data(&self) -> &Bytes {
        self.plex.data()
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        mark(self.hash, out);
        seal_lines(self.key, &self.signature, out);
        self.plex.write_head(out);
    }
}

impl Packet {
    /// Which of the three it is.
    pub fn kind(&self) -> PacketKind {
        self.hash().kind()
    }

    /// Its hash.
    pub fn hash(&self) -> PacketHash {
        match self {
            Self::Blob(blob) => blob.hash,
            Self::Plex(plex) => plex.hash,
            Self::Seal(seal) => seal.hash,
        }
    }

    /// Its hash and those of the packets in it.
    pub fn hashes(&self) -> Hashes {
        Hashes::new(self.seal().map(Seal::hash), self.plex().map(Plex::hash), self.blob().hash())
    }

    /// The Blob that it is or has.
    pub fn blob(&self) -> &Blob {
        match self {
            Self::Blob(blob) => blob,
            Self::Plex(plex) => &plex.blob,
            Self::Seal(seal) => &seal.plex.blob,
        }
    }

    /// The Plex that it is or has.
    pub fn plex(&self) -> Option<&Plex> {
        match self {
            Self::Blob(_) => None,
            Self::Plex(plex) => Some(plex),
            Self::Seal(seal) => Some(&seal.plex),
        }
    }

    /// The Seal that it is.
    pub fn seal(&self) -> Option<&Seal> {
        match self {
            Self::Seal(seal) => Some(seal),
            Self::Blob(_) | Self::Plex(_) => None,
        }
    }

    /// The data of the Blob.
    pub fn data(&self) -> &Bytes {
        self.blob().data()
    }

    /// All bytes ahead of the data.
    pub fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        self.write_head(&mut head);
        head
    }

    /// All its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let head = self.head();
        let mut bytes = Vec::with_capacity(head.len() + self.data().len());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(self.data());
        bytes
    }

    /// Writes all its bytes, and tells how many they are.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<u64> {
        let head = self.head();
        out.write_all(&head)?;
        out.write_all(self.data())?;
        Ok(head.len() as u64 + self.data().len() as u64)
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        match self {
            Self::Blob(blob) => blob.write_head(out),
            Self::Plex(plex) => plex.write_head(out),
            Self::Seal(seal) => seal.write_head(out),
        }
    }
}

macro_rules! from {
    ($type:ident) => {
        impl From<$type> for Packet {
            fn from(packet: $type) -> Self {
                Self::$type(packet)
            }
        }
    };
}

from!(Blob);
from!(Plex);
from!(Seal);

#[cfg(test)]
pub(crate) mod tests;
