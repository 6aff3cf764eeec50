//! From the stream form to packets.

use std::io::{Read, SeekFrom, Write};

use super::escape::Unescape;
use super::writer::read_back;
use super::{ADDRESS_AT, Announcement, ELLIPSIS, Found, MAX_ANNOUNCEMENT, Spool};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_DATA, MAX_LINE};
use crate::packet::{
    Claim, Hashes, Head, Input, Layers, MARK, Packet, ParseOptions, PlexLines, SealLines,
    blob_head, check_signature, mark, plex_lines, seal_lines,
};
use crate::text::{PacketHash, PacketKind};

/// Reads one packet in the stream form. Its data goes to the spool, behind where that is.
///
/// # Errors
/// At the byte of the stream where it shows: it has not the form, or stops before its end, bytes follow it, hashes or the signature are wrong, or it announces another
/// ([`ErrorKind::AnnouncedOther`]); also if reading or the spool fails.
pub fn read<S: Spool>(
    input: impl Read,
    mut spool: S,
    options: &ParseOptions,
) -> Result<Rebuilt<S>> {
    let start = spool.stream_position().map_err(Error::io)?;
    let mut input = Input::new(input);
    let announcement = announcement(&mut input)?;
    let data_len = data(&mut input, &mut spool)?;
    let (head, bytes) = trailer(&mut input, announcement.kind(), data_len, options)?;
    if !input.fill()?.is_empty() {
        return Err(Error::new(ErrorKind::TrailingBytes).at(input.at()));
    }

    let mut layers = Layers::new(&head, &bytes);
    read_back(&mut spool, start, data_len, |chunk| {
        layers.update(chunk);
        Ok(())
    })?;
    layers.finish()?;
    check_signature(&head)?;
    let found = Found {
        hash: head.hash(),
        coordinate: head.coordinate(),
        tai: head.tai(),
        key: head.key(),
    };
    if !announcement.fits(&found) {
        return Err(Error::new(ErrorKind::AnnouncedOther).at(OPEN as u64 + ADDRESS_AT));
    }
    Ok(Rebuilt { head, bytes, spool, start })
}

/// A packet that is verified, and whose data is in a spool.
#[derive(Debug)]
pub struct Rebuilt<S> {
    head: Head,
    bytes: Vec<u8>,
    spool: S,
    start: u64,
}

impl<S: Spool> Rebuilt<S> {
    /// What the packet says of itself, which is verified here.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The hashes.
    pub fn hashes(&self) -> Hashes {
        Hashes::of_head(&self.head)
    }

    /// Writes the packet in its usual form, and tells how many bytes that is.
    ///
    /// # Errors
    /// The spool or `out` fails.
    pub fn write_to(&mut self, out: &mut impl Write) -> Result<u64> {
        out.write_all(&self.bytes).map_err(Error::io)?;
        read_back(&mut self.spool, self.start, self.head.data_len, |chunk| {
            out.write_all(chunk).map_err(Error::io)
        })?;
        Ok((self.bytes.len() + self.head.data_len) as u64)
    }

    /// The packet, in memory.
    ///
    /// # Errors
    /// The spool fails.
    pub fn into_packet(mut self) -> Result<Packet> {
        // So much is in the spool.
        let mut data = Vec::with_capacity(self.head.data_len);
        read_back(&mut self.spool, self.start, self.head.data_len, |chunk| {
            data.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(self.head.into_packet(data.into()))
    }

    /// The spool, at the first byte of the data.
    ///
    /// # Errors
    /// The spool fails.
    pub fn into_spool(mut self) -> Result<S> {
        self.spool.seek(SeekFrom::Start(self.start)).map_err(Error::io)?;
        Ok(self.spool)
    }
}

fn announcement(input: &mut Input<impl Read>) -> Result<Announcement> {
    let mut line = Vec::new();
    let ended = input.line(&mut line, MAX_ANNOUNCEMENT + 1)?;
    let open = ELLIPSIS.iter().chain(MARK);
    let same = line.iter().zip(open).take_while(|(is, open)| is == open).count();
    if same < line.len().min(OPEN) || (ended && same < OPEN) {
        return Err(Error::new(ErrorKind::BadAnnouncement).at(same as u64));
    }
    if !ended {
        return Err(unended(&line, 0, MAX_ANNOUNCEMENT));
    }
    Announcement::parse(&line[OPEN..]).map_err(|error| error.behind(OPEN as u64))
}

/// Puts data into the spool, and stops behind the mark that follows it.
fn data(input: &mut Input<impl Read>, spool: &mut impl Write) -> Result<usize> {
    let mut unescape = Unescape::new();
    let mut len = 0;
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let at = input.at();
        let chunk = input.fill()?;
        if chunk.is_empty() {
            return Err(Error::new(ErrorKind::Truncated).at(at));
        }
        let close = unescape.push(chunk, at, |piece, at| {
            if piece.len() > MAX_DATA - len {
                return Err(Error::new(ErrorKind::DataTooLong).at(at + (MAX_DATA - len) as u64));
            }
            len += piece.len();
            if buffer.len() + piece.len() > BUFFER {
                spool.write_all(&buffer).map_err(Error::io)?;
                buffer.clear();
            }
            if piece.len() >= BUFFER / 2 {
                spool.write_all(&buffer).map_err(Error::io)?;
                buffer.clear();
                return spool.write_all(piece).map_err(Error::io);
            }
            buffer.extend_from_slice(piece);
            Ok(())
        })?;
        let taken = close.as_ref().map_or(chunk.len(), |close| close.len);
        input.consume(taken);
        if let Some(close) = close {
            spool.write_all(&buffer).and_then(|()| spool.flush()).map_err(Error::io)?;
            let line = input.at() - OPEN as u64;
            return match close.line_feed {
                true => Ok(len),
                false => Err(Error::new(ErrorKind::NoLineBeforeClose).at(line)),
            };
        }
    }
}

/// Everything behind the first mark that is behind the data: the head, and the bytes that it has in the usual form.
fn trailer(
    input: &mut Input<impl Read>,
    kind: PacketKind,
    data_len: usize,
    options: &ParseOptions,
) -> Result<(Head, Vec<u8>)> {
    let at = input.at();
    let line = header(input)?;
    let (blob, blob_at) = (hash(&line, at, PacketKind::Blob)?, at);
    let plex = match kind {
        PacketKind::Blob => None,
        PacketKind::Plex | PacketKind::Seal => {
            let mut lines = PlexLines::new(options.extras);
            let (end, hash, hash_at) =
                lines_up_to(input, PacketKind::Plex, |line, at| lines.line(line, at))?;
            Some((hash, hash_at, lines.finish(end)?))
        }
    };
    let seal = match kind {
        PacketKind::Blob | PacketKind::Plex => None,
        PacketKind::Seal => {
            let mut lines = SealLines::default();
            let (end, hash, hash_at) =
                lines_up_to(input, PacketKind::Seal, |line, at| lines.line(line, at))?;
            Some((hash, hash_at, lines.finish(end)?))
        }
    };

    let mut bytes = Vec::new();
    let marked = |hash, hash_at, bytes: &mut Vec<u8>| {
        mark(hash, bytes);
        Claim { hash, hash_at, payload_at: bytes.len() as u64 }
    };
    let seal = seal.map(|(hash, hash_at, seal)| {
        let claim = marked(hash, hash_at, &mut bytes);
        seal_lines(seal.key, &seal.signature, &mut bytes);
        (claim, seal)
    });
    let plex = plex.map(|(hash, hash_at, plex)| {
        let claim = marked(hash, hash_at, &mut bytes);
        plex_lines(&plex.coordinate, plex.tai, &plex.extras, &mut bytes);
        (claim, plex)
    });
    let blob = marked(blob, blob_at, &mut bytes);
    bytes.extend_from_slice(blob_head(data_len).as_bytes());
    let data_at = bytes.len() as u64;
    Ok((Head { seal, plex, blob, start: 0, data_at, data_len }, bytes))
}

/// Hands out lines up to one with a hash. Where that begins, the hash, and where it is.
fn lines_up_to(
    input: &mut Input<impl Read>,
    kind: PacketKind,
    mut each: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<(u64, PacketHash, u64)> {
    loop {
        let at = input.at();
        let line = header(input)?;
        let text = line.strip_prefix(ELLIPSIS).and_then(|line| line.strip_prefix(MARK));
        match text {
            Some(text) => {
                let hash_at = at + OPEN as u64;
                return Ok((at, hash(text, hash_at, kind)?, hash_at));
            }
            None => each(&line, at)?,
        }
    }
}

fn header(input: &mut Input<impl Read>) -> Result<Vec<u8>> {
    let at = input.at();
    let mut line = Vec::new();
    match input.line(&mut line, MAX_LINE + 1)? {
        true => Ok(line),
        false => Err(unended(&line, at, MAX_LINE)),
    }
}

fn hash(text: &[u8], at: u64, expected: PacketKind) -> Result<PacketHash> {
    let hash = PacketHash::parse(text).map_err(|error| error.behind(at))?;
    match hash.kind() == expected {
        true => Ok(hash),
        false => Err(Error::new(ErrorKind::WrongPacket { expected }).at(at)),
    }
}

fn unended(line: &[u8], at: u64, most: usize) -> Error {
    match line.len() > most {
        true => Error::new(ErrorKind::LineTooLong).at(at + most as u64),
        false => Error::new(ErrorKind::Truncated).at(at + line.len() as u64),
    }
}

/// What lines that are no data begin with.
const OPEN: usize = ELLIPSIS.len() + MARK.len();
/// Bytes of data that are collected before they go to the spool.
const BUFFER: usize = 64 << 10;
