//! The stream form with hashes behind the data (HPPR 010), for data whose length is not known ahead.
//!
//! ```
//! use std::io::{Cursor, Write};
//! use carstone_hppr::{Blob, Packet, ParseOptions};
//! use carstone_hppr::trailer::{self, Announcement, TrailerWriter};
//!
//! let announcement = Announcement::Blob;
//! let mut writer = TrailerWriter::new(Vec::new(), announcement, Cursor::new(Vec::new()))?;
//! writer.write_all(b"hello\n")?;
//! let (stream, hashes) = writer.finish_blob()?;
//!
//! let spool = Cursor::new(Vec::new());
//! let packet = trailer::read(&stream[..], spool, &ParseOptions::default())?.into_packet()?;
//! assert_eq!(packet, Packet::from(Blob::new("hello\n")?));
//! assert_eq!(packet.hash(), hashes.outer());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod escape;
mod reader;
mod writer;

use std::fmt;
use std::io::{Read, Seek, Write};

use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_LOCATION;
use crate::packet::MARK;
use crate::text::{PacketHash, PacketKind, VerifyingKey};
use crate::urc::{MAX_SELECTOR, Selector, Urc};
use crate::{MAX_NAME, Tai};

pub use reader::{Rebuilt, read};
pub use writer::{TrailerWriter, write_packet};

/// What keeps data until its packet is verified: a file, or a `Cursor<Vec<u8>>`, which comes to no more than [`MAX_DATA`](crate::MAX_DATA).
pub trait Spool: Read + Write + Seek {}

impl<S: Read + Write + Seek> Spool for S {}

/// What a stream says that it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are three kinds of packets")]
pub enum Announcement {
    /// A Blob.
    Blob,
    /// A Plex, and where.
    Plex(Option<(Coordinate, Selector)>),
    /// A Seal, and where.
    Seal(Option<(Coordinate, Selector)>),
}

impl Announcement {
    /// Of a Plex at this coordinate: `//…/|/plex`.
    pub fn plex(coordinate: Coordinate) -> Self {
        Self::Plex(Some((coordinate, Selector::PlexTip)))
    }

    /// Of a Seal at this coordinate, by this key: `//…/|/seal/<key>`.
    pub fn seal(coordinate: Coordinate, key: VerifyingKey) -> Self {
        Self::Seal(Some((coordinate, Selector::SealTipOf(key))))
    }

    /// The kind of the packet.
    pub fn kind(&self) -> PacketKind {
        match self {
            Self::Blob => PacketKind::Blob,
            Self::Plex(_) => PacketKind::Plex,
            Self::Seal(_) => PacketKind::Seal,
        }
    }

    /// Reads what follows the mark of the first line.
    fn parse(text: &[u8]) -> Result<Self> {
        let kind = text.first().and_then(|letter| PacketKind::of_letter(*letter));
        let kind = kind.ok_or_else(|| Error::new(ErrorKind::BadAnnouncement).at(0))?;
        let address = match &text[1..] {
            [] => None,
            [b' ', address @ ..] => Some(address),
            _ => return Err(Error::new(ErrorKind::BadAnnouncement).at(1)),
        };
        let place = match address.map(Urc::parse).transpose() {
            Ok(None) => None,
            Ok(Some(Urc::Coordinate { coordinate, selector })) => Some((coordinate, selector)),
            Ok(Some(Urc::Hash(_))) => {
                return Err(Error::new(ErrorKind::BadAnnouncement).at(ADDRESS_AT));
            }
            Err(error) => return Err(error.behind(ADDRESS_AT)),
        };
        match (kind, place) {
            (PacketKind::Blob, None) => Ok(Self::Blob),
            (PacketKind::Blob, Some(_)) => Err(Error::new(ErrorKind::BadAnnouncement).at(1)),
            (PacketKind::Plex, place) => Ok(Self::Plex(place)),
            (PacketKind::Seal, place) => Ok(Self::Seal(place)),
        }
    }

    /// Whether a packet is the one announced.
    fn fits(&self, found: &Found<'_>) -> bool {
        let place = match self {
            Self::Blob => return found.hash.kind() == PacketKind::Blob,
            Self::Plex(place) | Self::Seal(place) => place.as_ref(),
        };
        let there = |(coordinate, selector): &(Coordinate, Selector)| {
            found.coordinate == Some(coordinate)
                && selector.kind().is_none_or(|kind| kind == found.hash.kind())
                && selector.key().is_none_or(|key| Some(key) == found.key)
                && selector.tai().is_none_or(|tai| Some(tai) == found.tai)
                && selector.hash().is_none_or(|hash| hash == found.hash)
        };
        self.kind() == found.hash.kind() && place.is_none_or(there)
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind().letter())?;
        match self {
            Self::Blob | Self::Plex(None) | Self::Seal(None) => Ok(()),
            Self::Plex(Some((coordinate, selector))) | Self::Seal(Some((coordinate, selector))) => {
                write!(f, " {coordinate}{selector}")
            }
        }
    }
}

/// What a packet turned out to be.
struct Found<'p> {
    hash: PacketHash,
    coordinate: Option<&'p Coordinate>,
    tai: Option<Tai>,
    key: Option<VerifyingKey>,
}

/// What is ahead of the mark in lines that are no data.
const ELLIPSIS: &[u8] = "\u{22ef}".as_bytes();
/// What ends the data, and is no part of it: data may lack a last line feed.
const END_OF_DATA: &[u8] = b"\n";
/// Where the address is behind the mark of the first line.
const ADDRESS_AT: u64 = 2;
/// Bytes of the first line, without its line feed.
pub const MAX_ANNOUNCEMENT: usize = ELLIPSIS.len()
    + MARK.len()
    + ADDRESS_AT as usize
    + ("//".len() + MAX_NAME + "/".len() + MAX_NAME + "/".len() + MAX_LOCATION)
    + MAX_SELECTOR;

#[cfg(test)]
mod tests;
