//! From data, or packets, to the stream form.

use std::io::{self, SeekFrom, Write};

use blake3::Hasher;

use super::escape::Escape;
use super::{Announcement, ELLIPSIS, END_OF_DATA, Found, Spool};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::header::Header;
use crate::limits::MAX_DATA;
use crate::packet::{
    Hashes, MARK, Packet, blob_head, mark, plex_head, plex_lines, seal_lines, sorted_extras,
    verify_seal,
};
use crate::tai::Tai;
use crate::text::{DIGEST, PacketHash, PacketKind, Signature, VerifyingKey};

/// Writes a packet whose data comes through [`Write`], and goes on at once. A hash is of the length of the data too, so that a spool keeps what has gone on until that is known.
#[derive(Debug)]
#[must_use = "the stream is no packet until one of the functions `finish_…` has returned `Ok`"]
pub struct TrailerWriter<W, S> {
    inner: W,
    announcement: Announcement,
    spool: S,
    start: u64,
    escape: Escape,
    len: usize,
    broken: bool,
}

impl<W: Write, S: Spool> TrailerWriter<W, S> {
    /// Writes the announcement.
    ///
    /// # Errors
    /// `inner` or the spool fails.
    pub fn new(mut inner: W, announcement: Announcement, mut spool: S) -> Result<Self> {
        let start = spool.stream_position().map_err(Error::io)?;
        open(&announcement, &mut inner).map_err(Error::io)?;
        let escape = Escape::new();
        Ok(Self { inner, announcement, spool, start, escape, len: 0, broken: false })
    }

    /// Ends a Blob.
    ///
    /// # Errors
    /// [`ErrorKind::AnnouncedOther`]; `inner` or the spool fails.
    pub fn finish_blob(mut self) -> Result<(W, Hashes)> {
        if self.announcement.kind() != PacketKind::Blob {
            return Err(Error::new(ErrorKind::AnnouncedOther));
        }
        let blob = self.close_blob()?;
        self.end(Hashes::new(None, None, blob))
    }

    /// Ends a Plex. The extra headers are put into their order.
    ///
    /// # Errors
    /// [`ErrorKind::AnnouncedOther`]; as [`Plex::new`](crate::Plex::new), or for a header `⋯🖧`, which the form has no room for; `inner` or the spool fails.
    pub fn finish_plex(
        mut self,
        coordinate: &Coordinate,
        tai: Tai,
        extras: Vec<Header>,
    ) -> Result<(W, Hashes)> {
        let extras = sorted_extras(extras)?;
        check_extras(&extras)?;
        let blob = self.close_blob()?;
        let (plex, _) = self.close_plex(coordinate, tai, &extras, blob)?;
        self.check(plex, coordinate, tai, None)?;
        self.end(Hashes::new(None, Some(plex), blob))
    }

    /// Ends a Seal. What signs gets the digest of the Plex.
    ///
    /// # Errors
    /// As [`finish_plex`](Self::finish_plex); signing fails, or gives a signature that is none of the key.
    pub fn finish_seal(
        mut self,
        coordinate: &Coordinate,
        tai: Tai,
        extras: Vec<Header>,
        key: VerifyingKey,
        sign: impl FnOnce(&[u8; DIGEST]) -> Result<Signature>,
    ) -> Result<(W, Hashes)> {
        let extras = sorted_extras(extras)?;
        check_extras(&extras)?;
        let blob = self.close_blob()?;
        let (plex, head) = self.close_plex(coordinate, tai, &extras, blob)?;
        let signature = sign(plex.digest())?;
        verify_seal(&key, plex.digest(), &signature)?;

        let mut lines = Vec::new();
        seal_lines(key, &signature, &mut lines);
        let mut payload = lines.clone();
        mark(plex, &mut payload);
        payload.extend_from_slice(&head);
        let seal = self.hash(PacketKind::Seal, &payload)?;
        self.check(seal, coordinate, tai, Some(key))?;
        self.put(&lines, seal)?;
        self.end(Hashes::new(Some(seal), Some(plex), blob))
    }

    fn close_blob(&mut self) -> Result<PacketHash> {
        if self.broken {
            return Err(Error::new(ErrorKind::Broken));
        }
        let hash = self.hash(PacketKind::Blob, blob_head(self.len).as_bytes())?;
        let rest = self.escape.rest();
        self.put(&[rest, END_OF_DATA].concat(), hash)?;
        Ok(hash)
    }

    /// The hash, and what it is of except the data.
    fn close_plex(
        &mut self,
        coordinate: &Coordinate,
        tai: Tai,
        extras: &[Header],
        blob: PacketHash,
    ) -> Result<(PacketHash, Vec<u8>)> {
        let head = plex_head(coordinate, tai, extras, blob, self.len);
        let hash = self.hash(PacketKind::Plex, &head)?;
        let mut lines = Vec::new();
        plex_lines(coordinate, tai, extras, &mut lines);
        self.put(&lines, hash)?;
        Ok((hash, head))
    }

    fn check(
        &self,
        hash: PacketHash,
        coordinate: &Coordinate,
        tai: Tai,
        key: Option<VerifyingKey>,
    ) -> Result<()> {
        let found = Found { hash, coordinate: Some(coordinate), tai: Some(tai), key };
        match self.announcement.fits(&found) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::AnnouncedOther)),
        }
    }

    fn hash(&mut self, kind: PacketKind, head: &[u8]) -> Result<PacketHash> {
        let mut hasher = Hasher::new();
        hasher.update(head);
        read_back(&mut self.spool, self.start, self.len, |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok(PacketHash::new(kind, *hasher.finalize().as_bytes()))
    }

    /// Writes lines, and that with the hash.
    fn put(&mut self, lines: &[u8], hash: PacketHash) -> Result<()> {
        close(lines, hash, &mut self.inner).map_err(Error::io)
    }

    fn end(mut self, hashes: Hashes) -> Result<(W, Hashes)> {
        self.inner.flush().map_err(Error::io)?;
        Ok((self.inner, hashes))
    }
}

impl<W: Write, S: Spool> Write for TrailerWriter<W, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(Error::new(ErrorKind::Broken).into());
        }
        self.broken = true;
        if buf.len() > MAX_DATA - self.len {
            return Err(Error::new(ErrorKind::DataTooLong).at(MAX_DATA as u64).into());
        }
        self.spool.write_all(buf)?;
        self.escape.push(buf, |piece| self.inner.write_all(piece))?;
        self.broken = false;
        self.len += buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a packet in the stream form, with its coordinate announced.
///
/// # Errors
/// `out` fails, or the form has no room for an extra header ([`ErrorKind::ReservedName`]).
pub fn write_packet(packet: &Packet, out: &mut impl Write) -> Result<()> {
    let announcement = match packet {
        Packet::Blob(_) => Announcement::Blob,
        Packet::Plex(plex) => Announcement::plex(plex.coordinate().clone()),
        Packet::Seal(seal) => Announcement::seal(seal.plex().coordinate().clone(), seal.key()),
    };
    check_extras(packet.plex().map_or(&[], |plex| plex.extras()))?;
    let write = |out: &mut dyn Write| {
        open(&announcement, out)?;
        let mut escape = Escape::new();
        escape.push(packet.data(), |piece| out.write_all(piece))?;
        close(&[escape.rest(), END_OF_DATA].concat(), packet.blob().hash(), out)?;
        let mut lines = Vec::new();
        if let Some(plex) = packet.plex() {
            plex_lines(plex.coordinate(), plex.tai(), plex.extras(), &mut lines);
            close(&lines, plex.hash(), out)?;
        }
        if let Some(seal) = packet.seal() {
            lines.clear();
            seal_lines(seal.key(), &seal.signature(), &mut lines);
            close(&lines, seal.hash(), out)?;
        }
        Ok(())
    };
    write(out).map_err(Error::io)
}

/// Only lines of data are escaped, so that a header whose line looks like one with a hash cannot be written.
fn check_extras(extras: &[Header]) -> Result<()> {
    let like_hash = |extra: &Header| {
        extra.line().as_bytes().strip_prefix(ELLIPSIS).is_some_and(|line| line.starts_with(MARK))
    };
    match extras.iter().any(like_hash) {
        true => Err(Error::new(ErrorKind::ReservedName)),
        false => Ok(()),
    }
}

fn open(announcement: &Announcement, out: &mut dyn Write) -> io::Result<()> {
    let line = format!("{announcement}\n");
    out.write_all(&[ELLIPSIS, MARK, line.as_bytes()].concat())
}

fn close(lines: &[u8], hash: PacketHash, out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = lines.to_vec();
    bytes.extend_from_slice(ELLIPSIS);
    mark(hash, &mut bytes);
    out.write_all(&bytes)
}

/// Hands out what a spool has from this byte on.
pub(super) fn read_back(
    spool: &mut impl Spool,
    start: u64,
    len: usize,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    spool.seek(SeekFrom::Start(start)).map_err(Error::io)?;
    let mut buffer = vec![0; len.min(STEP)];
    let mut left = len;
    while left > 0 {
        let step = left.min(STEP);
        spool.read_exact(&mut buffer[..step]).map_err(Error::io)?;
        each(&buffer[..step])?;
        left -= step;
    }
    Ok(())
}

/// Bytes that are read back at once.
const STEP: usize = 64 << 10;
