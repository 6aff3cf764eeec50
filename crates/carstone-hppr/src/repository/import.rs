//! Packets out of a stream or a CAR, into whatever stores them.

use std::io::{self, Read};

use bytes::Bytes;
use cid::Cid;

use super::export::{BLAKE3, RAW};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MARKLINE, MAX_PACKET};
use crate::packet::{Packet, PacketReader, ParseOptions, mark};
use crate::text::{DIGEST, PacketHash, PacketKind};

/// Reads packets one behind the other, and hands out each once it is verified. Gives how many they were.
///
/// # Errors
/// At the byte where it shows: something is no packet or not verified; `source` or `store` fails, where [`ErrorKind::Invalid`] is at the byte at which the packet begins. What was
/// handed out before is good.
pub fn import(
    source: impl Read,
    options: &ParseOptions,
    store: &mut dyn FnMut(&Packet) -> Result<()>,
) -> Result<u64> {
    let mut packets = 0;
    let mut reader = PacketReader::with_options(source, *options);
    while let Some(packet) = reader.next_packet()? {
        let at = packet.head().offset();
        store(&packet.into_packet()?).map_err(|error| refused(error, at))?;
        packets += 1;
    }
    Ok(packets)
}

/// Reads a CAR of version 1 that has packets in its blocks, as [`export_car`](crate::Repository::export_car) makes one, and hands out each once it is verified. Gives how many they
/// were. Roots are passed over. The order of extra headers is as `options` say.
///
/// # Errors
/// At the byte where it shows: [`ErrorKind::BadCar`], [`ErrorKind::ForeignBlock`], [`ErrorKind::Truncated`], or what is wrong with a packet; `source` or `store` fails, where
/// [`ErrorKind::Invalid`] is at the byte at which the block begins. What was handed out before is good.
pub fn import_car(
    source: impl Read,
    options: &ParseOptions,
    store: &mut dyn FnMut(&Packet) -> Result<()>,
) -> Result<u64> {
    let mut source = Sections { source: io::BufReader::new(source), at: 0 };
    let no_car = |error: Error| match error.kind() {
        ErrorKind::ForeignBlock => Error::new(ErrorKind::BadCar).at(0),
        _ => error,
    };
    match source.next(MAX_HEADER).map_err(no_car)? {
        Some((header, at)) if is_version_1(&header) => drop((header, at)),
        Some((_, at)) => return Err(Error::new(ErrorKind::BadCar).at(at)),
        None => return Err(Error::new(ErrorKind::Truncated).at(0)),
    }
    let mut packets = 0;
    while let Some((section, at)) = source.next(MAX_PACKET)? {
        store(&packet(&section, at, options)?).map_err(|error| refused(error, at))?;
        packets += 1;
    }
    Ok(packets)
}

/// Why a packet was not stored: if it is to blame, at this byte, where it begins.
fn refused(error: Error, at: u64) -> Error {
    match error.kind() {
        ErrorKind::Invalid(_) => error.at(at),
        _ => error,
    }
}

/// The packet of a section, which is at this byte of the source.
fn packet(section: &[u8], at: u64, options: &ParseOptions) -> Result<Packet> {
    let foreign = || Error::new(ErrorKind::ForeignBlock).at(at);
    let mut payload = section;
    let cid = Cid::read_bytes(&mut payload).map_err(|_| foreign())?;
    let payload_at = at + (section.len() - payload.len()) as u64;
    let digest: [u8; DIGEST] = cid.hash().digest().try_into().map_err(|_| foreign())?;
    let is_ours =
        cid.version() == cid::Version::V1 && cid.codec() == RAW && cid.hash().code() == BLAKE3;
    if !is_ours {
        return Err(foreign());
    }
    let kind = kind(payload).ok_or_else(foreign)?;
    let hash = PacketHash::new(kind, digest);
    let mut bytes = Vec::with_capacity(MARKLINE + 1 + payload.len());
    mark(hash, &mut bytes);
    bytes.extend_from_slice(payload);
    let mark = bytes.len() as u64 - payload.len() as u64;
    Packet::parse_bytes(Bytes::from(bytes), options).map_err(|error| {
        // The markline is not in the source: its hash is that of the CID.
        let place = error.offset().and_then(|place| place.checked_sub(mark));
        Error::new(error.kind().clone()).at(place.map_or(at, |place| payload_at + place))
    })
}

/// What the first header of a packet says it is.
fn kind(payload: &[u8]) -> Option<PacketKind> {
    let first = [
        (&b"Data-Length: "[..], PacketKind::Blob),
        (b"Group: ", PacketKind::Plex),
        (b"Seal-By: ", PacketKind::Seal),
    ];
    first.into_iter().find(|(name, _)| payload.starts_with(name)).map(|(_, kind)| kind)
}

fn is_version_1(header: &[u8]) -> bool {
    let mut decoder = minicbor::Decoder::new(header);
    let mut version = || -> std::result::Result<u64, minicbor::decode::Error> {
        let keys = decoder.map()?.unwrap_or(0);
        for _ in 0..keys {
            match decoder.str()? {
                "version" => return decoder.u64(),
                _ => decoder.skip()?,
            }
        }
        Ok(0)
    };
    version().is_ok_and(|version| version == 1)
}

/// What is behind each length.
struct Sections<R> {
    source: io::BufReader<R>,
    at: u64,
}

impl<R: Read> Sections<R> {
    /// The next section, of no more than so many bytes, and where it begins; `None` at the end.
    fn next(&mut self, most: usize) -> Result<Option<(Vec<u8>, u64)>> {
        let Some(len) = self.len()? else { return Ok(None) };
        let at = self.at;
        if len > most as u64 {
            return Err(Error::new(ErrorKind::ForeignBlock).at(at));
        }
        let mut section = Vec::with_capacity((len as usize).min(FIRST));
        let read = self.source.by_ref().take(len).read_to_end(&mut section);
        self.at += section.len() as u64;
        read.map_err(|error| Error::io(error).at(self.at))?;
        match section.len() as u64 == len {
            true => Ok(Some((section, at))),
            false => Err(Error::new(ErrorKind::Truncated).at(self.at)),
        }
    }

    fn len(&mut self) -> Result<Option<u64>> {
        let mut bytes = Vec::new();
        for byte in self.source.by_ref().bytes().take(MAX_VARINT) {
            let byte = byte.map_err(|error| Error::io(error).at(self.at))?;
            self.at += 1;
            bytes.push(byte);
            if byte & 0x80 == 0 {
                let bad = |_| Error::new(ErrorKind::BadCar).at(self.at - bytes.len() as u64);
                return unsigned_varint::decode::u64(&bytes).map(|(len, _)| Some(len)).map_err(bad);
            }
        }
        match bytes.len() {
            0 => Ok(None),
            MAX_VARINT => Err(Error::new(ErrorKind::BadCar).at(self.at - MAX_VARINT as u64)),
            _ => Err(Error::new(ErrorKind::Truncated).at(self.at)),
        }
    }
}

/// Bytes of the header of a CAR.
const MAX_HEADER: usize = 32 << 20;
/// Bytes of a length.
const MAX_VARINT: usize = 10;
/// Bytes of a section that memory is taken for before any of them has come.
const FIRST: usize = 1 << 20;
