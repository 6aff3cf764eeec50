//! The files of Plexes and Seals: their lines, without the packet in them, of which they have the markline.

use std::io::Read;
use std::path::Path;

use memchr::memchr;

use super::disk::What;
use super::{Repository, layout};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MARKLINE, MAX_HEAD};
use crate::packet::{
    ExtrasOrder, MARK, Plex, PlexLines, Seal, SealLines, blob_head, mark, plex_lines, seal_lines,
};
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, VerifyingKey};

/// What the file of a Plex says. Its hash is not verified.
#[derive(Debug)]
pub(super) struct ThinPlex {
    pub(super) coordinate: Coordinate,
    pub(super) tai: Tai,
    pub(super) blob: PacketHash,
    /// All but its own markline.
    lines: Vec<u8>,
}

/// What the file of a Seal says. Neither its hash nor its signature is verified.
#[derive(Debug)]
pub(super) struct ThinSeal {
    pub(super) key: VerifyingKey,
    pub(super) plex: PacketHash,
    lines: Vec<u8>,
}

/// The file of a Plex.
pub(super) fn of_plex(plex: &Plex) -> Vec<u8> {
    let mut bytes = Vec::new();
    mark(plex.hash(), &mut bytes);
    plex_lines(plex.coordinate(), plex.tai(), plex.extras(), &mut bytes);
    mark(plex.blob().hash(), &mut bytes);
    bytes
}

/// The file of a Seal.
pub(super) fn of_seal(seal: &Seal) -> Vec<u8> {
    let mut bytes = Vec::new();
    mark(seal.hash(), &mut bytes);
    seal_lines(seal.key(), &seal.signature(), &mut bytes);
    mark(seal.plex().hash(), &mut bytes);
    bytes
}

impl Repository {
    /// What is at a path.
    pub(super) fn what(&self, relative: &Path) -> Result<Option<What>> {
        let path = self.path(relative);
        self.disk().look(&path).map_err(self.failed(&path))
    }

    /// What the file of a Plex says; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no such file, at the byte where it is not.
    pub(super) fn thin_plex(&self, hash: &PacketHash) -> Result<Option<ThinPlex>> {
        self.thin(hash, |bytes| {
            let mut lines = PlexLines::new(ExtrasOrder::ByName);
            let (blob, at) = split(bytes, PacketKind::Blob, |line, at| lines.line(line, at))?;
            let head = lines.finish(at)?;
            let (coordinate, tai) = (head.coordinate, head.tai);
            Ok(ThinPlex { coordinate, tai, blob, lines: bytes.to_vec() })
        })
    }

    /// What the file of a Seal says; `None` if there is none.
    ///
    /// # Errors
    /// As [`thin_plex`](Self::thin_plex).
    pub(super) fn thin_seal(&self, hash: &PacketHash) -> Result<Option<ThinSeal>> {
        self.thin(hash, |bytes| {
            let mut lines = SealLines::default();
            let (plex, at) = split(bytes, PacketKind::Plex, |line, at| lines.line(line, at))?;
            Ok(ThinSeal { key: lines.finish(at)?.key, plex, lines: bytes.to_vec() })
        })
    }

    /// Whether the hash of a Plex or a Seal is that of its file and those of the packets in it.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn is_intact(&self, hash: &PacketHash) -> Result<bool> {
        let mut hasher = blake3::Hasher::new();
        let plex = match hash.kind() {
            PacketKind::Seal => {
                let Some(seal) = self.thin_seal(hash)? else { return Ok(false) };
                hasher.update(&seal.lines);
                seal.plex
            }
            _ => *hash,
        };
        let Some(plex) = self.thin_plex(&plex)? else { return Ok(false) };
        hasher.update(&plex.lines);
        let relative = layout::hash_file(&plex.blob);
        let Some(What::File(len)) = self.what(&relative)? else { return Ok(false) };
        let path = self.path(&relative);
        hasher.update(blob_head(len as usize).as_bytes());
        let hashed = self.disk().open(&path).and_then(|file| hasher.update_reader(file).map(drop));
        hashed.map_err(self.failed(&path))?;
        Ok(hasher.finalize().as_bytes() == hash.digest())
    }

    /// Reads a file, and makes something of all but its own markline.
    fn thin<T>(
        &self,
        hash: &PacketHash,
        parse: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let relative = layout::hash_file(hash);
        let len = match self.what(&relative)? {
            Some(What::File(len)) => len,
            Some(_) => return Err(damaged("it is no regular file").of(self.path(relative))),
            None => return Ok(None),
        };
        let path = self.path(relative);
        if len > MAX_HEAD as u64 {
            return Err(damaged("the file is too long").at(MAX_HEAD as u64).of(path));
        }
        let mut bytes = Vec::new();
        let read = self.disk().open(&path);
        let read = read.and_then(|file| file.take(len).read_to_end(&mut bytes));
        read.map_err(self.failed(&path))?;
        let mut own = Vec::new();
        mark(*hash, &mut own);
        let lines = bytes.strip_prefix(&own[..]).unwrap_or(&bytes);
        if lines.starts_with(MARK) {
            let at = bytes.len() - lines.len() + MARK.len();
            return Err(damaged("the file is one of another packet").at(at as u64).of(path));
        }
        let skipped = (bytes.len() - lines.len()) as u64;
        parse(lines).map(Some).map_err(|error| error.behind(skipped).of(path))
    }
}

/// Takes lines up to a markline, which ends them. The hash in it, and where it is.
fn split(
    bytes: &[u8],
    kind: PacketKind,
    mut take: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<(PacketHash, u64)> {
    let mut at = 0;
    loop {
        let Some(len) = memchr(b'\n', &bytes[at..]) else {
            return Err(Error::new(ErrorKind::Truncated).at(bytes.len() as u64));
        };
        let line = &bytes[at..at + len];
        let Some(text) = line.strip_prefix(MARK) else {
            take(line, at as u64)?;
            at += len + 1;
            continue;
        };
        let hash_at = (at + MARK.len()) as u64;
        let hash = PacketHash::parse(text).map_err(|error| error.behind(hash_at))?;
        if hash.kind() != kind {
            return Err(Error::new(ErrorKind::WrongPacket { expected: kind }).at(hash_at));
        }
        return match at + len + 1 {
            end if end == bytes.len() => Ok((hash, at as u64)),
            end => Err(Error::new(ErrorKind::TrailingBytes).at(end as u64)),
        };
    }
}

/// The hash in the last line of a file, whatever is ahead of it; `None` if that is no markline.
pub(super) fn last_hash(tail: &[u8]) -> Option<PacketHash> {
    let line = tail.strip_suffix(b"\n")?;
    let line = &line[line.len().checked_sub(MARKLINE)?..];
    PacketHash::parse(line.strip_prefix(MARK)?).ok()
}

fn damaged(what: &'static str) -> Error {
    Error::new(ErrorKind::Damaged(what))
}
