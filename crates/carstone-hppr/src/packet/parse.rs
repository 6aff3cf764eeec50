//! Packets in memory: parsed and verified.

use bytes::Bytes;
use memchr::memchr;

use super::head::{Head, HeadParser};
use super::{Packet, verify_seal};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_LINE;
use crate::text::PacketHash;

/// What a reader of packets takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// The order of extra headers.
    pub extras: ExtrasOrder,
}

impl ParseOptions {
    /// Takes extra headers in this order.
    #[must_use]
    pub fn extras(mut self, extras: ExtrasOrder) -> Self {
        self.extras = extras;
        self
    }
}

/// What extra headers are to be in the order of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtrasOrder {
    /// Their names, and then their values.
    #[default]
    Strict,
    /// Their names; those of the same name have any.
    ByName,
}

/// The hashes of a packet and those in it, which are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    seal: Option<PacketHash>,
    plex: Option<PacketHash>,
    blob: PacketHash,
}

impl Hashes {
    pub(crate) fn new(
        seal: Option<PacketHash>,
        plex: Option<PacketHash>,
        blob: PacketHash,
    ) -> Self {
        Self { seal, plex, blob }
    }

    /// Those that a head claims.
    pub(crate) fn of_head(head: &Head) -> Self {
        let seal = head.seal.as_ref().map(|(claim, _)| claim.hash);
        Self::new(seal, head.plex_hash(), head.blob.hash)
    }

    /// That of the packet itself.
    pub fn outer(&self) -> PacketHash {
        self.seal.or(self.plex).unwrap_or(self.blob)
    }

    /// That of the Seal.
    pub fn seal(&self) -> Option<PacketHash> {
        self.seal
    }

    /// That of the Plex.
    pub fn plex(&self) -> Option<PacketHash> {
        self.plex
    }

    /// That of the Blob.
    pub fn blob(&self) -> PacketHash {
        self.blob
    }

    /// All of them, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = PacketHash> {
        [self.seal, self.plex, Some(self.blob)].into_iter().flatten()
    }
}

impl Packet {
    /// Parses and verifies one packet, of which the data is copied.
    ///
    /// # Errors
    /// At the byte where it shows: it is no packet, its hashes or signature are wrong, or bytes follow it.
    pub fn parse(bytes: &[u8], options: &ParseOptions) -> Result<Self> {
        let head = verified(bytes, options)?;
        let data = Bytes::copy_from_slice(&bytes[head.head_len() as usize..]);
        Ok(head.into_packet(data))
    }

    /// The same without a copy: the packet keeps these bytes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_bytes(bytes: impl Into<Bytes>, options: &ParseOptions) -> Result<Self> {
        let bytes = bytes.into();
        let head = verified(&bytes, options)?;
        let data = bytes.slice(head.head_len() as usize..);
        Ok(head.into_packet(data))
    }
}

/// The hashes of a packet in memory, once all of it is verified. Nothing of the data is copied.
///
/// # Errors
/// As [`Packet::parse`].
pub fn verify(bytes: &[u8], options: &ParseOptions) -> Result<Hashes> {
    verified(bytes, options).map(|head| Hashes::of_head(&head))
}

/// The head of exactly one packet that is verified.
fn verified(bytes: &[u8], options: &ParseOptions) -> Result<Head> {
    let head = head(bytes, options)?;
    let behind = &bytes[head.head_len() as usize..];
    if behind.len() < head.data_len {
        return Err(Error::new(ErrorKind::Truncated).at(bytes.len() as u64));
    }
    if behind.len() > head.data_len {
        return Err(Error::new(ErrorKind::TrailingBytes).at(head.data_at + head.data_len as u64));
    }
    for claim in head.claims() {
        let hash = PacketHash::of(claim.hash.kind(), &bytes[claim.payload_at as usize..]);
        if hash != claim.hash {
            return Err(mismatch(claim.hash, claim.hash_at));
        }
    }
    check_signature(&head)?;
    Ok(head)
}

fn head(bytes: &[u8], options: &ParseOptions) -> Result<Head> {
    let mut parser = HeadParser::new(options.extras, 0);
    let mut at = 0;
    loop {
        // One byte more than a line may have is all that is looked at.
        let window = &bytes[at..bytes.len().min(at + MAX_LINE + 1)];
        let len = memchr(b'\n', window);
        let line = &window[..len.unwrap_or(window.len())];
        if let Some(head) = parser.line(line, len.is_some(), at as u64)? {
            return Ok(head);
        }
        at += line.len() + 1;
    }
}

/// Whether the signature of a head, whose hashes are verified, is one of its key.
pub(crate) fn check_signature(head: &Head) -> Result<()> {
    match (&head.seal, &head.plex) {
        (Some((_, seal)), Some((plex, _))) => {
            let verified = verify_seal(&seal.key, plex.hash.digest(), &seal.signature);
            verified.map_err(|error| match error.kind() {
                ErrorKind::BadKey => error.behind(seal.key_at),
                _ => error.behind(seal.signature_at),
            })
        }
        _ => Ok(()),
    }
}

pub(crate) fn mismatch(hash: PacketHash, at: u64) -> Error {
    Error::new(ErrorKind::HashMismatch { packet: hash.kind() }).at(at)
}
