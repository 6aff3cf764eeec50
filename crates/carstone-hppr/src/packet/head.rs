//! What is ahead of the data of a packet, line by line.

use bytes::Bytes;

use super::lines::{BLOB_HEADERS, PlexLines, SealLines, expect};
use super::parse::ExtrasOrder;
use super::{Blob, MARK, Packet, Plex, Seal};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::header::Header;
use crate::limits::{MAX_DATA, MAX_LINE};
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, Signature, VerifyingKey};

/// What a packet says of itself ahead of its data. None of it is verified: hashes and the signature are what somebody claims.
#[derive(Clone, Debug)]
pub struct Head {
    pub(crate) seal: Option<(Claim, SealHead)>,
    pub(crate) plex: Option<(Claim, PlexHead)>,
    pub(crate) blob: Claim,
    /// Where the packet begins.
    pub(crate) start: u64,
    /// Where its data does.
    pub(crate) data_at: u64,
    pub(crate) data_len: usize,
}

/// A hash in a markline, and which bytes it is to be of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) hash: PacketHash,
    pub(crate) hash_at: u64,
    pub(crate) payload_at: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct PlexHead {
    pub(crate) coordinate: Coordinate,
    pub(crate) tai: Tai,
    pub(crate) extras: Vec<Header>,
}

#[derive(Clone, Debug)]
pub(crate) struct SealHead {
    pub(crate) key: VerifyingKey,
    pub(crate) key_at: u64,
    pub(crate) signature: Signature,
    pub(crate) signature_at: u64,
}

impl Head {
    /// Which of the three it is.
    pub fn kind(&self) -> PacketKind {
        self.hash().kind()
    }

    /// The hash that it claims.
    pub fn hash(&self) -> PacketHash {
        let outer = self.seal.as_ref().map(|(claim, _)| claim);
        outer.or(self.plex.as_ref().map(|(claim, _)| claim)).unwrap_or(&self.blob).hash
    }

    /// The hash of the Blob that it claims.
    pub fn blob_hash(&self) -> PacketHash {
        self.blob.hash
    }

    /// The hash of the Plex that it claims.
    pub fn plex_hash(&self) -> Option<PacketHash> {
        self.plex.as_ref().map(|(claim, _)| claim.hash)
    }

    /// Where the Plex belongs.
    pub fn coordinate(&self) -> Option<&Coordinate> {
        self.plex.as_ref().map(|(_, plex)| &plex.coordinate)
    }

    /// When it was made.
    pub fn tai(&self) -> Option<Tai> {
        self.plex.as_ref().map(|(_, plex)| plex.tai)
    }

    /// The extra headers.
    pub fn extras(&self) -> &[Header] {
        self.plex.as_ref().map_or(&[], |(_, plex)| &plex.extras)
    }

    /// The key of who is said to have signed it.
    pub fn key(&self) -> Option<VerifyingKey> {
        self.seal.as_ref().map(|(_, seal)| seal.key)
    }

    /// The signature.
    pub fn signature(&self) -> Option<Signature> {
        self.seal.as_ref().map(|(_, seal)| seal.signature)
    }

    /// The byte at which the packet begins.
    pub fn offset(&self) -> u64 {
        self.start
    }

    /// Bytes ahead of the data.
    pub fn head_len(&self) -> u64 {
        self.data_at - self.start
    }

    /// Bytes of data.
    pub fn data_len(&self) -> usize {
        self.data_len
    }

    /// Those of the packet itself, and the packets in it; innermost first.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        let plex = self.plex.as_ref().map(|(claim, _)| *claim);
        let seal = self.seal.as_ref().map(|(claim, _)| *claim);
        [Some(self.blob), plex, seal].into_iter().flatten()
    }

    /// The packet, which is verified and has this data.
    pub(crate) fn into_packet(self, data: Bytes) -> Packet {
        let blob = Blob::of_parts(self.blob.hash, data);
        let Some((claim, PlexHead { coordinate, tai, extras })) = self.plex else {
            return blob.into();
        };
        let plex = Plex::of_parts(claim.hash, coordinate, tai, extras, blob);
        match self.seal {
            None => plex.into(),
            Some((claim, seal)) => {
                Seal::of_parts(claim.hash, seal.key, seal.signature, plex).into()
            }
        }
    }
}

/// Takes lines until there is a head.
#[derive(Debug)]
pub(crate) struct HeadParser {
    order: ExtrasOrder,
    start: u64,
    state: State,
    seal: Option<(Claim, SealHead)>,
    plex: Option<(Claim, PlexHead)>,
}

#[derive(Debug)]
enum State {
    Start,
    Seal(Claim, SealLines),
    Plex(Claim, PlexLines),
    Length(Claim),
    Blank(Claim, usize),
    Done,
}

impl HeadParser {
    /// For a packet at this byte.
    pub(crate) fn new(order: ExtrasOrder, start: u64) -> Self {
        Self { order, start, state: State::Start, seal: None, plex: None }
    }

    /// Takes the next line, which is at this byte; the last one gives the head. One that has no line feed, as there are no more bytes or too many, is an error.
    pub(crate) fn line(&mut self, line: &[u8], ended: bool, at: u64) -> Result<Option<Head>> {
        if matches!(self.state, State::Start) {
            // First, as all that is no packet at all fails here.
            let same = line.iter().zip(MARK).take_while(|(is, mark)| is == mark).count();
            if same < line.len().min(MARK.len()) || (ended && same < MARK.len()) {
                return Err(Error::new(ErrorKind::NoMarkline).at(at + same as u64));
            }
        }
        if !ended {
            return Err(match line.len() > MAX_LINE {
                true => Error::new(ErrorKind::LineTooLong).at(at + MAX_LINE as u64),
                false => Error::new(ErrorKind::Truncated).at(at + line.len() as u64),
            });
        }
        let next = at + line.len() as u64 + 1;
        self.state = match std::mem::replace(&mut self.state, State::Done) {
            State::Start => {
                let claim = claim(line, at)?;
                match claim.hash.kind() {
                    PacketKind::Blob => State::Length(claim),
                    PacketKind::Plex => State::Plex(claim, PlexLines::new(self.order)),
                    PacketKind::Seal => State::Seal(claim, SealLines::default()),
                }
            }
            State::Seal(outer, lines) if line.starts_with(MARK) => {
                self.seal = Some((outer, lines.finish(at)?));
                let claim = claim_of(PacketKind::Plex, line, at)?;
                State::Plex(claim, PlexLines::new(self.order))
            }
            State::Plex(outer, lines) if line.starts_with(MARK) => {
                self.plex = Some((outer, lines.finish(at)?));
                State::Length(claim_of(PacketKind::Blob, line, at)?)
            }
            State::Seal(claim, mut lines) => {
                lines.line(line, at)?;
                State::Seal(claim, lines)
            }
            State::Plex(claim, mut lines) => {
                lines.line(line, at)?;
                State::Plex(claim, lines)
            }
            State::Length(claim) => State::Blank(claim, data_len(line, at)?),
            State::Blank(blob, data_len) if line.is_empty() => {
                let (seal, plex) = (self.seal.take(), self.plex.take());
                let start = self.start;
                return Ok(Some(Head { seal, plex, blob, start, data_at: next, data_len }));
            }
            State::Blank(..) | State::Done => {
                return Err(Error::new(ErrorKind::MissingBlankLine).at(at));
            }
        };
        Ok(None)
    }
}

fn claim(line: &[u8], at: u64) -> Result<Claim> {
    let hash_at = at + MARK.len() as u64;
    let hash = PacketHash::parse(&line[MARK.len()..]).map_err(|error| error.behind(hash_at))?;
    Ok(Claim { hash, hash_at, payload_at: at + line.len() as u64 + 1 })
}

/// A markline of this kind, which is at this byte.
pub(crate) fn claim_of(expected: PacketKind, line: &[u8], at: u64) -> Result<Claim> {
    let claim = claim(line, at)?;
    match claim.hash.kind() == expected {
        true => Ok(claim),
        false => Err(Error::new(ErrorKind::WrongPacket { expected }).at(claim.hash_at)),
    }
}

fn data_len(line: &[u8], at: u64) -> Result<usize> {
    let missing = ErrorKind::MissingHeader { expected: BLOB_HEADERS[0] };
    let value = expect(&BLOB_HEADERS, 0, line, at, missing)?;
    let value_at = at + (line.len() - value.len()) as u64;
    let bad = |place: usize| Error::new(ErrorKind::BadDataLength).at(value_at + place as u64);
    if let Some(place) = value.bytes().position(|byte| !byte.is_ascii_digit()) {
        return Err(bad(place));
    }
    if value.len() > 1 && value.starts_with('0') {
        return Err(bad(0));
    }
    // What does not fit into the type is too long all the more.
    let len = value.parse().unwrap_or(usize::MAX);
    match len <= MAX_DATA {
        true => Ok(len),
        false => Err(Error::new(ErrorKind::DataTooLong).at(value_at)),
    }
}
