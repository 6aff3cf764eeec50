//! Packets out of a repository into a stream or a CAR, for systems that cannot hold one.

use std::collections::HashSet;
use std::io::Write;

use cid::Cid;
use cid::multihash::Multihash;

use super::Repository;
use super::disk::What;
use super::layout::{self, HASH};
use super::list::{Coordinates, TipPrefix};
use super::versions::Version;
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MARKLINE;
use crate::packet::Packet;
use crate::text::{PacketHash, PacketKind};

/// Which packets are exported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Those below this prefix. Default: all that are attached.
    pub prefix: TipPrefix,
    /// Whether Blobs that no attached packet has are exported too. Default: no.
    pub lone_blobs: bool,
    /// Whether what is damaged or missing is left out and counted. Default: no, it ends the export.
    pub skip_damaged: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { prefix: TipPrefix::All, lone_blobs: false, skip_damaged: false }
    }
}

impl ExportOptions {
    /// Exports what is below a prefix.
    #[must_use]
    pub fn prefix(mut self, prefix: TipPrefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// Sets whether Blobs that no attached packet has are exported too.
    #[must_use]
    pub fn lone_blobs(mut self, yes: bool) -> Self {
        self.lone_blobs = yes;
        self
    }

    /// Sets whether what is damaged is left out.
    #[must_use]
    pub fn skip_damaged(mut self, yes: bool) -> Self {
        self.skip_damaged = yes;
        self
    }
}

/// What has been exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Packets written.
    pub packets: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Packets left out as they are damaged or missing.
    pub damaged: u64,
}

impl Repository {
    /// Writes packets one behind the other, each verified, so that [`PacketReader`](crate::PacketReader) reads them: of each coordinate, sorted by addresses, those that are attached,
    /// oldest first. A Seal has its Plex in it, which is not written once more; a Plex that is detached is attached again where its Seal is imported. Packets that come or go
    /// meanwhile may be there or not.
    ///
    /// # Errors
    /// `sink` fails; a directory cannot be read; a packet is damaged, unless such are skipped; [`ErrorKind::Invalid`] for lone Blobs below a prefix, which they are not.
    pub fn export(&self, options: &ExportOptions, sink: &mut impl Write) -> Result<Exported> {
        let mut bytes = 0;
        let mut exported = self.each(options, &mut |packet| {
            bytes += packet.write_to(sink).map_err(Error::io)?;
            Ok(())
        })?;
        sink.flush().map_err(Error::io)?;
        exported.bytes = bytes;
        Ok(exported)
    }

    /// The same as a CAR of version 1, with one block for each packet that [`export`](Self::export) would write.
    ///
    /// The block is the canonical payload: all bytes of the packet behind its markline, which are what its hash is of. The CID is of version 1, raw (`55`), with a multihash of
    /// BLAKE3 (`1e`) of 32 bytes: the digest of the hash. Which kind of packet it is, which a CID does not say, its first header does: `Data-Length`, `Group` or `Seal-By`. The
    /// one root is the first block; without packets there is none.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    pub fn export_car(&self, options: &ExportOptions, sink: &mut impl Write) -> Result<Exported> {
        let mut bytes = 0;
        let mut exported = self.each(options, &mut |packet| {
            let cid = cid(&packet.hash())?;
            if bytes == 0 {
                bytes += write(sink, &[&header(Some(&cid))])?;
            }
            let head = packet.head();
            let payload = &head[MARKLINE + 1..];
            bytes += write(sink, &[&cid.to_bytes(), payload, packet.data()])?;
            Ok(())
        })?;
        if bytes == 0 {
            bytes += write(sink, &[&header(None)])?;
        }
        sink.flush().map_err(Error::io)?;
        exported.bytes = bytes;
        Ok(exported)
    }

    fn each(
        &self,
        options: &ExportOptions,
        take: &mut dyn FnMut(&Packet) -> Result<()>,
    ) -> Result<Exported> {
        if options.lone_blobs && options.prefix != TipPrefix::All {
            let why = "Blobs that no packet has are below no prefix";
            return Err(Error::new(ErrorKind::Invalid(why)));
        }
        let mut exported = Exported::default();
        let mut give = |packet: Result<Packet>| match packet {
            Ok(packet) => {
                take(&packet)?;
                exported.packets += 1;
                Ok(Some(packet))
            }
            Err(_) if options.skip_damaged => {
                exported.damaged += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        };
        for coordinate in Coordinates::new(self, &options.prefix) {
            self.each_at(&coordinate?, &mut give)?;
        }
        if options.lone_blobs {
            self.each_hash(PacketKind::Blob, &mut |blob, _| match self.is_lone(&blob)? {
                true => give(self.get_hash(&blob)).map(drop),
                false => Ok(()),
            })?;
        }
        Ok(exported)
    }

    fn each_at(
        &self,
        coordinate: &Coordinate,
        give: &mut dyn FnMut(Result<Packet>) -> Result<Option<Packet>>,
    ) -> Result<()> {
        let (mut seals, mut plexes): (Vec<Version>, Vec<Version>) =
            self.versions(coordinate)?.into_iter().partition(|version| version.key.is_some());
        // Seals first say which Plexes they have in them.
        let mut covered = HashSet::new();
        seals.sort_unstable();
        for version in seals {
            let Some(packet) = self.still(coordinate, &version, give)? else { continue };
            covered.extend(packet.hashes().plex());
        }
        plexes.retain(|version| !covered.contains(&version.hash));
        plexes.sort_unstable();
        for version in plexes {
            self.still(coordinate, &version, give)?;
        }
        Ok(())
    }

    /// Hands out a packet, unless it has been detached meanwhile.
    fn still(
        &self,
        coordinate: &Coordinate,
        version: &Version,
        give: &mut dyn FnMut(Result<Packet>) -> Result<Option<Packet>>,
    ) -> Result<Option<Packet>> {
        let packet = self.get_version(coordinate, version);
        if packet.is_err() && self.resolve(coordinate, &version.selector())?.is_none() {
            return Ok(None);
        }
        give(packet)
    }

    /// Whether no attached packet has this Blob.
    fn is_lone(&self, blob: &PacketHash) -> Result<bool> {
        let listed = self.listed(&layout::ref_directory(blob))?;
        Ok(!listed.iter().any(|(name, _)| name.parse::<PacketHash>().is_ok()))
    }

    /// All files of packets of a kind that have a name of one, sorted.
    pub(super) fn each_hash(
        &self,
        kind: PacketKind,
        take: &mut dyn FnMut(PacketHash, What) -> Result<()>,
    ) -> Result<()> {
        let directory = std::path::Path::new(HASH).join(kind.letter().to_string());
        let mut fronts = self.names::<String>(&directory, What::Directory)?;
        fronts.sort_unstable();
        for front in fronts {
            let mut files: Vec<_> = self
                .listed(&directory.join(&front))?
                .into_iter()
                .filter(|(name, _)| name.ends_with(crate::SUFFIX))
                .filter_map(|(name, what)| Some((layout::hash_of(kind, &front, &name)?, what)))
                .collect();
            files.sort_unstable_by_key(|(hash, _)| *hash);
            for (hash, what) in files {
                take(hash, what)?;
            }
        }
        Ok(())
    }
}

/// The CID of a packet's block.
pub(super) fn cid(hash: &PacketHash) -> Result<Cid> {
    let digest = Multihash::wrap(BLAKE3, hash.digest());
    let digest = digest.map_err(|_| Error::new(ErrorKind::ForeignBlock))?;
    Ok(Cid::new_v1(RAW, digest))
}

/// The header of a CAR with this root.
fn header(root: Option<&Cid>) -> Vec<u8> {
    let mut header = b"\xa2\x65roots".to_vec();
    match root {
        None => header.push(0x80),
        Some(root) => {
            let root = root.to_bytes();
            // A list of one, tag 42, and bytes behind a zero. They are fewer than 256.
            header.extend_from_slice(&[0x81, 0xd8, 0x2a, 0x58, root.len() as u8 + 1, 0]);
            header.extend_from_slice(&root);
        }
    }
    header.extend_from_slice(b"\x67version\x01");
    header
}

/// Writes a section of these parts, and tells how many bytes it has.
fn write(sink: &mut impl Write, parts: &[&[u8]]) -> Result<u64> {
    let len = parts.iter().map(|part| part.len() as u64).sum();
    let mut buffer = unsigned_varint::encode::u64_buffer();
    let varint = unsigned_varint::encode::u64(len, &mut buffer);
    sink.write_all(varint).map_err(Error::io)?;
    for part in parts {
        sink.write_all(part).map_err(Error::io)?;
    }
    Ok(varint.len() as u64 + len)
}

/// The code of raw blocks in CIDs.
pub(super) const RAW: u64 = 0x55;
/// The code of BLAKE3 in multihashes.
pub(super) const BLAKE3: u64 = 0x1e;
