//! Packets out of a repository, verified.

use std::io::Read;
use std::path::Path;

use blake3::Hasher;
use bytes::Bytes;

use super::Repository;
use super::disk::{What, is_nothing};
use super::layout::{self, PLEX, SEAL};
use super::thin::{ThinPlex, ThinSeal};
use super::versions::{Tip, Version};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_DATA, MAX_HEAD, MAX_LINE};
use crate::packet::{
    Blob, ExtrasOrder, Head, HeadParser, Packet, Plex, Seal, blob_head, mark, verify_seal,
};
use crate::text::{PacketHash, PacketKind};
use crate::urc::{Selector, Urc};

/// The headers of a packet, as the files of a repository say them: **no hash and no signature of them is verified**, and the length of the data is that of its file.
#[derive(Clone, Debug)]
pub struct Headers {
    bytes: Vec<u8>,
    head: Head,
}

impl Headers {
    /// The packet from its markline up to the blank line ahead of the data, with that line. Not verified.
    pub fn unverified_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they say. Not verified.
    pub fn unverified(&self) -> &Head {
        &self.head
    }
}

/// The files of a packet, without the one of its data.
pub(super) struct Files {
    pub(super) seal: Option<(PacketHash, ThinSeal)>,
    pub(super) plex: Option<(PacketHash, ThinPlex)>,
    pub(super) blob: PacketHash,
}

impl Repository {
    /// The packet at an address, with all its hashes and its signature verified.
    ///
    /// Only a packet that is in the index is found by a coordinate; one that is detached is found by its hash.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; what is wrong with its files, of their path and at the byte where it shows; [`ErrorKind::OtherPacket`] where the index speaks of a packet of
    /// another coordinate, time or key.
    pub fn get(&self, urc: &Urc) -> Result<Packet> {
        match urc {
            Urc::Hash(hash) => self.get_hash(hash),
            Urc::Coordinate { coordinate, selector } => {
                self.at(coordinate, selector, |version| self.get_version(coordinate, version))
            }
        }
    }

    /// The packet of this hash, attached or not, with all its hashes and its signature verified.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_hash(&self, hash: &PacketHash) -> Result<Packet> {
        let files = self.files(hash)?;
        let data = self.data(&files.blob, files.outer() != files.blob)?;
        self.verified(files, data)
    }

    /// The headers of the packet at an address. Its data is not read, so that nothing of it is verified; see [`Headers`].
    ///
    /// # Errors
    /// As [`get`](Self::get), but for what is found out by hashes alone.
    pub fn headers(&self, urc: &Urc) -> Result<Headers> {
        match urc {
            Urc::Hash(hash) => self.headers_of(hash),
            Urc::Coordinate { coordinate, selector } => {
                self.at(coordinate, selector, |version| self.headers_of(&version.hash))
            }
        }
    }

    /// The version that a selector means; `None` if there is none.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn resolve(&self, coordinate: &Coordinate, selector: &Selector) -> Result<Option<Version>> {
        let marker = layout::marker(coordinate);
        let latest = |directory: &Path, kind| self.hashes_in(directory, kind).map(max);
        let entry = |version: Version| {
            let path = self.path(marker.join(version.entry()));
            let what = self.disk().look(&path).map_err(self.failed(&path))?;
            Ok(Some(version).filter(|_| matches!(what, Some(What::File(_)))))
        };
        match *selector {
            Selector::Tip => self.tip(coordinate, &Tip::All),
            Selector::PlexTip => self.tip(coordinate, &Tip::Plex),
            Selector::SealTip => self.tip(coordinate, &Tip::Seal),
            Selector::SealTipOf(key) => self.tip(coordinate, &Tip::SealOf(key)),
            Selector::PlexTipAt(tai) => {
                let directory = marker.join(PLEX).join(tai.to_string());
                let latest = latest(&directory, PacketKind::Plex)?;
                Ok(latest.map(|plex| Version::plex(tai, plex)))
            }
            Selector::SealTipAt(key, tai) => {
                let directory = marker.join(SEAL).join(key.to_string()).join(tai.to_string());
                let latest = latest(&directory, PacketKind::Seal)?;
                Ok(latest.map(|seal| Version::seal(key, tai, seal)))
            }
            Selector::Plex(tai, plex) => entry(Version::plex(tai, plex)),
            Selector::Seal(key, tai, seal) => entry(Version::seal(key, tai, seal)),
        }
    }

    /// Hashes of index entries in the directory of a time.
    pub(super) fn hashes_in(&self, relative: &Path, kind: PacketKind) -> Result<Vec<PacketHash>> {
        let listed = self.listed(relative)?.into_iter();
        let names = listed.filter(|(_, what)| matches!(what, What::File(_)));
        let hashes = names.filter_map(|(name, _)| name.parse::<PacketHash>().ok());
        Ok(hashes.filter(|hash| hash.kind() == kind).collect())
    }

    /// Reads what a selector means. If that fails as it went away meanwhile, what the selector means then.
    fn at<T>(
        &self,
        coordinate: &Coordinate,
        selector: &Selector,
        read: impl Fn(&Version) -> Result<T>,
    ) -> Result<T> {
        let nothing = || Error::new(ErrorKind::NotFound);
        let mut version = self.resolve(coordinate, selector)?.ok_or_else(nothing)?;
        for _ in 0..TIMES_AGAIN {
            let error = match read(&version) {
                Err(error) => error,
                read => return read,
            };
            match self.resolve(coordinate, selector)? {
                Some(again) if again != version => version = again,
                Some(_) => return Err(error),
                None => return Err(nothing()),
            }
        }
        read(&version)
    }

    /// The packet of an entry in the index.
    pub(super) fn get_version(&self, coordinate: &Coordinate, version: &Version) -> Result<Packet> {
        let packet = self.get_hash(&version.hash)?;
        let is_there = packet
            .plex()
            .is_some_and(|plex| plex.coordinate() == coordinate && plex.tai() == version.tai);
        match is_there && packet.seal().map(Seal::key) == version.key {
            true => Ok(packet),
            false => {
                let path = self.path(layout::marker(coordinate).join(version.entry()));
                Err(Error::new(ErrorKind::OtherPacket).of(path))
            }
        }
    }

    /// The thin files of a packet, and of that in it.
    pub(super) fn files(&self, hash: &PacketHash) -> Result<Files> {
        let mut files = Files { seal: None, plex: None, blob: *hash };
        let mut plex = *hash;
        if hash.kind() == PacketKind::Seal {
            let seal = self.seal_file(hash)?;
            plex = seal.inner;
            files.seal = Some((*hash, seal));
        }
        if plex.kind() == PacketKind::Plex {
            let thin = self.plex_file(&plex).map_err(inner_missing(&plex, plex != *hash))?;
            files.blob = thin.inner;
            files.plex = Some((plex, thin));
        }
        Ok(files)
    }

    pub(super) fn plex_file(&self, hash: &PacketHash) -> Result<ThinPlex> {
        let file = self.read(hash, MAX_HEAD)?;
        ThinPlex::parse(hash, &file).map_err(|error| error.of(self.hash_path(hash)))
    }

    pub(super) fn seal_file(&self, hash: &PacketHash) -> Result<ThinSeal> {
        let file = self.read(hash, MOST_SEAL)?;
        ThinSeal::parse(hash, &file).map_err(|error| error.of(self.hash_path(hash)))
    }

    /// The data of a Blob, which is in another packet or not. It is not verified.
    pub(super) fn data(&self, blob: &PacketHash, is_inner: bool) -> Result<Bytes> {
        let data = self.read(blob, MAX_DATA).map_err(inner_missing(blob, is_inner))?;
        Ok(data.into())
    }

    /// The file of a packet, of no more than so many bytes.
    pub(super) fn read(&self, hash: &PacketHash, most: usize) -> Result<Vec<u8>> {
        let path = self.hash_path(hash);
        let len = self.file_len(hash, most)?;
        let mut bytes = Vec::with_capacity(len + 1);
        let read = self.disk().open(&path).and_then(|file| {
            // A file is put in the place of another whole; one that grows is none of ours.
            file.take(most as u64 + 1).read_to_end(&mut bytes)
        });
        match read {
            Err(error) if is_nothing(&error) => Err(Error::new(ErrorKind::NotFound).of(path)),
            Err(error) => Err(Error::io(error).of(path)),
            Ok(_) if bytes.len() > most => Err(too_long(hash, most).of(path)),
            Ok(_) => Ok(bytes),
        }
    }

    /// The length of the file of a packet.
    pub(super) fn file_len(&self, hash: &PacketHash, most: usize) -> Result<usize> {
        let path = self.hash_path(hash);
        match self.disk().look(&path).map_err(self.failed(&path))? {
            Some(What::File(len)) if len <= most as u64 => Ok(len as usize),
            Some(What::File(_)) => Err(too_long(hash, most).of(path)),
            None => Err(Error::new(ErrorKind::NotFound).of(path)),
            Some(_) => Err(Error::new(ErrorKind::Damaged("it is no regular file")).of(path)),
        }
    }

    pub(super) fn hash_path(&self, hash: &PacketHash) -> std::path::PathBuf {
        self.path(layout::hash_file(hash))
    }

    /// The packet of these files and this data, if all hashes, and the signature, are right.
    pub(super) fn verified(&self, files: Files, data: Bytes) -> Result<Packet> {
        let Files { seal, plex, blob } = files;
        let head = blob_head(data.len());
        let own = |lines: &[&[u8]]| {
            let mut hasher = Hasher::new();
            for part in lines.iter().copied().chain([head.as_bytes(), &data]) {
                hasher.update(part);
            }
            *hasher.finalize().as_bytes()
        };
        let check = |hash: &PacketHash, lines: &[&[u8]]| match own(lines) == *hash.digest() {
            true => Ok(()),
            false => {
                let packet = hash.kind();
                Err(Error::new(ErrorKind::HashMismatch { packet }).of(self.hash_path(hash)))
            }
        };
        check(&blob, &[])?;
        let blob = |data| Blob::of_parts(blob, data);
        let Some((plex_hash, plex)) = plex else { return Ok(blob(data).into()) };
        check(&plex_hash, &[&plex.lines])?;
        if let Some((hash, seal)) = &seal {
            check(hash, &[&seal.lines, &plex.lines])?;
            verify_seal(&seal.head.key, plex_hash.digest(), &seal.head.signature)
                .map_err(|error| error.behind(seal.head.signature_at).of(self.hash_path(hash)))?;
        }
        let head = plex.head;
        let plex = Plex::of_parts(plex_hash, head.coordinate, head.tai, head.extras, blob(data));
        Ok(match seal {
            None => plex.into(),
            Some((hash, seal)) => {
                Seal::of_parts(hash, seal.head.key, seal.head.signature, plex).into()
            }
        })
    }

    fn headers_of(&self, hash: &PacketHash) -> Result<Headers> {
        let files = self.files(hash)?;
        let is_inner = files.outer() != files.blob;
        let len =
            self.file_len(&files.blob, MAX_DATA).map_err(inner_missing(&files.blob, is_inner))?;
        let mut bytes = Vec::new();
        mark(*hash, &mut bytes);
        // Each of these ends with the markline of the next.
        if let Some((_, seal)) = &files.seal {
            bytes.extend_from_slice(&seal.lines);
        }
        if let Some((_, plex)) = &files.plex {
            bytes.extend_from_slice(&plex.lines);
        }
        bytes.extend_from_slice(blob_head(len).as_bytes());
        let head = head(&bytes).map_err(|error| error.of(self.hash_path(hash)))?;
        Ok(Headers { bytes, head })
    }
}

impl Files {
    /// The hash of the packet itself.
    pub(super) fn outer(&self) -> PacketHash {
        let plex = self.plex.as_ref().map(|(hash, _)| *hash);
        self.seal.as_ref().map(|(hash, _)| *hash).or(plex).unwrap_or(self.blob)
    }
}

/// The head that these lines are.
fn head(bytes: &[u8]) -> Result<Head> {
    let mut parser = HeadParser::new(ExtrasOrder::ByName, 0);
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let ended = line.ends_with(b"\n");
        let text = &line[..line.len() - usize::from(ended)];
        if let Some(head) = parser.line(text, ended, at)? {
            return Ok(head);
        }
        at += line.len() as u64;
    }
    Err(Error::new(ErrorKind::Truncated).at(at))
}

fn max(hashes: Vec<PacketHash>) -> Option<PacketHash> {
    hashes.into_iter().max()
}

/// That a file is not there, as what it is when another packet has it in it.
fn inner_missing(hash: &PacketHash, is_inner: bool) -> impl FnOnce(Error) -> Error {
    let packet = hash.kind();
    move |error| match error.kind() {
        ErrorKind::NotFound if is_inner => {
            let inner = Error::new(ErrorKind::InnerMissing { packet });
            error.path().map(|path| inner.clone().of(path)).unwrap_or(inner)
        }
        _ => error,
    }
}

/// That the file of a packet has more bytes than such a file can have.
fn too_long(hash: &PacketHash, most: usize) -> Error {
    let kind = match hash.kind() {
        PacketKind::Blob => ErrorKind::DataTooLong,
        PacketKind::Plex | PacketKind::Seal => ErrorKind::TrailingBytes,
    };
    Error::new(kind).at(most as u64)
}

/// How often it is looked up once more what a selector means, as what it meant has gone.
const TIMES_AGAIN: usize = 1;
/// Bytes of the file of a Seal: four lines.
pub(super) const MOST_SEAL: usize = 4 * (MAX_LINE + 1);
