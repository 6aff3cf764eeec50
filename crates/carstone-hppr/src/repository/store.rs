//! Putting packets into a repository (HPPR 022, store).

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::attach::Attach;
use super::disk::What;
use super::writer::Writer;
use super::{Repository, Version, layout, thin};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::header::Header;
use crate::hsb3::SigningKey;
use crate::limits::MARKLINE;
use crate::packet::{Blob, Hashes, Packet, Plex, Seal};
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind};

/// How packets are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Whether files that are there already are read, and replaced if they are damaged. Those of a wrong length are in any case. Default: yes.
    pub verify: bool,
    /// Whether commands of the protocol, which are no content, are stored. Default: no.
    pub commands: bool,
    /// Packets that a [`Batch`](super::Batch) collects before it stores them. Default: [`BATCH`].
    pub batch: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { verify: true, commands: false, batch: BATCH }
    }
}

impl StoreOptions {
    /// Sets whether files that are there already are read.
    #[must_use]
    pub fn verify(mut self, yes: bool) -> Self {
        self.verify = yes;
        self
    }

    /// Sets whether commands are stored.
    #[must_use]
    pub fn commands(mut self, yes: bool) -> Self {
        self.commands = yes;
        self
    }

    /// Sets how many packets a batch collects.
    #[must_use]
    pub fn batch(mut self, packets: usize) -> Self {
        self.batch = packets;
        self
    }

    /// Whether a packet is one to store.
    pub(super) fn check(&self, packet: &Packet) -> Result<()> {
        match packet.plex() {
            Some(plex) if plex.coordinate().is_command() && !self.commands => {
                Err(Error::new(ErrorKind::Invalid("it is a command, and no content")))
            }
            _ => Ok(()),
        }
    }
}

impl Repository {
    /// Stores a packet and those in it, and makes it the latest at its coordinate if it is. One that is there already is stored once more: what was missing of it is there then, and
    /// it is attached again. All of it is durable when this returns.
    ///
    /// # Errors
    /// It is a command ([`ErrorKind::Invalid`]), or the repository cannot be written. Then it is stored or not; storing it once more completes it.
    pub fn store(&self, packet: &Packet, options: &StoreOptions) -> Result<Hashes> {
        options.check(packet)?;
        self.store_all(std::slice::from_ref(packet), options.verify, false)?;
        Ok(packet.hashes())
    }

    /// Makes a Plex of data and headers, and stores it.
    ///
    /// # Errors
    /// As [`Blob::new`], [`Plex::new`] and [`store`](Self::store).
    pub fn add(
        &self,
        coordinate: Coordinate,
        tai: Tai,
        extras: Vec<Header>,
        data: impl Into<Bytes>,
    ) -> Result<Hashes> {
        let plex = Plex::new(coordinate, tai, extras, Blob::new(data)?)?;
        self.store(&plex.into(), &StoreOptions::default())
    }

    /// The same, signed with a key.
    ///
    /// # Errors
    /// As [`add`](Self::add) and [`SigningKey::sign`].
    pub fn add_sealed(
        &self,
        coordinate: Coordinate,
        tai: Tai,
        extras: Vec<Header>,
        data: impl Into<Bytes>,
        key: &SigningKey,
    ) -> Result<Hashes> {
        let plex = Plex::new(coordinate, tai, extras, Blob::new(data)?)?;
        let signature = key.sign(plex.hash().digest())?;
        let seal = Seal::new(plex, key.verifying_key(), signature)?;
        self.store(&seal.into(), &StoreOptions::default())
    }

    /// Stores packets, each step for all of them.
    pub(super) fn store_all(
        &self,
        packets: &[Packet],
        verify: bool,
        is_together: bool,
    ) -> Result<()> {
        let mut writer = Writer::begin(self, is_together)?;
        let stored = steps(&mut writer, packets, verify);
        if stored.is_err() {
            writer.abandon();
        }
        stored
    }

    /// Whether a file is as good as these bytes; the first `may_lack` of them may be missing.
    fn is_kept(
        &self,
        relative: &Path,
        bytes: &[u8],
        may_lack: usize,
        verify: bool,
    ) -> Result<bool> {
        let Some(What::File(len)) = self.what(relative)? else { return Ok(false) };
        let expected = match bytes.len() as u64 {
            all if all == len => bytes,
            all if all == len + may_lack as u64 => &bytes[may_lack..],
            _ => return Ok(false),
        };
        // One that cannot be read is to be replaced as one that reads otherwise is.
        Ok(!verify || self.reads_as(&self.path(relative), expected).unwrap_or(false))
    }

    fn reads_as(&self, path: &Path, mut expected: &[u8]) -> io::Result<bool> {
        let mut file = self.disk().open(path)?;
        let mut piece = vec![0; PIECE.min(expected.len() + 1)];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(expected.is_empty()),
                len if !expected.starts_with(&piece[..len]) => return Ok(false),
                len => expected = &expected[len..],
            }
        }
    }
}

/// The order is what a crash can come between at any place: data is there before what names it.
fn steps(writer: &mut Writer<'_>, packets: &[Packet], verify: bool) -> Result<()> {
    hash_files(writer, packets, verify)?;
    let mut attach = Attach::default();
    packets.iter().for_each(|packet| attach.add(packet));
    attach.make(writer)
}

/// Makes the files of all packets in them, those of Blobs first.
fn hash_files(writer: &mut Writer<'_>, packets: &[Packet], verify: bool) -> Result<()> {
    let mut had = HashSet::new();
    let mut files = Vec::new();
    for packet in packets {
        let hashes = packet.hashes();
        files.extend(hashes.iter().filter(|hash| had.insert(*hash)).map(|hash| (packet, hash)));
    }
    let staged = Mutex::new(Vec::new());
    writer.each(&files, |writer, (packet, hash)| {
        if let Some(file) = stage(writer, packet, *hash, verify)? {
            let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            staged.push((hash.kind(), layout::hash_file(hash), file));
        }
        Ok(())
    })?;
    let mut staged = staged.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !staged.is_empty() {
        writer.sync_all()?;
    }
    // Each directory is come to once.
    staged.sort_unstable();
    for kind in PacketKind::ALL {
        let of_kind: Vec<_> = staged.iter().filter(|(of, ..)| *of == kind).collect();
        writer.each(&of_kind, |writer, (_, relative, file)| writer.place(file, relative))?;
        writer.end_step()?;
    }
    Ok(())
}

/// Makes the file of a packet or one in it, without a place; `None` if it has one.
fn stage(
    writer: &mut Writer<'_>,
    packet: &Packet,
    hash: PacketHash,
    verify: bool,
) -> Result<Option<PathBuf>> {
    let thin = match (hash.kind(), packet.plex(), packet.seal()) {
        (PacketKind::Plex, Some(plex), _) => Some(thin::of_plex(plex)),
        (PacketKind::Seal, _, Some(seal)) => Some(thin::of_seal(seal)),
        _ => None,
    };
    let (bytes, may_lack) = match &thin {
        Some(thin) => (&thin[..], MARKLINE + 1),
        None => (&packet.data()[..], 0),
    };
    let relative = layout::hash_file(&hash);
    if writer.repository().is_kept(&relative, bytes, may_lack, verify)? {
        writer.keep(&relative);
        return Ok(None);
    }
    writer.stage(&[bytes]).map(Some)
}

/// Makes the links at a coordinate name these versions, which the index has, where none that is later is there.
pub(super) fn tips(
    writer: &mut Writer<'_>,
    coordinate: &Coordinate,
    versions: &[Version],
) -> Result<()> {
    let repository = writer.repository();
    let mut scanned: Option<Vec<Version>> = None;
    let mut had = HashSet::new();
    for tip in versions.iter().flat_map(Version::tips).filter(|tip| had.insert(*tip)) {
        let linked = repository.linked(coordinate, &tip)?;
        let all = match (&linked, &mut scanned) {
            // What was there before these may be later than they are.
            (None, Some(all)) => all,
            (None, none) => none.insert(repository.versions(coordinate)?),
            (Some(_), _) => versions,
        };
        let latest = all.iter().filter(|version| version.tips().contains(&tip)).max();
        let marker = layout::marker(coordinate);
        match latest.copied().max(linked) {
            Some(latest) if linked != Some(latest) => {
                writer.link(&marker.join(tip.link()), &tip.target(&latest))?;
            }
            _ => writer.keep(&marker.join(tip.link())),
        }
    }
    Ok(())
}

/// Packets that a batch collects, unless an option says how many.
pub const BATCH: usize = 16 << 10;
/// Bytes that are compared at once.
const PIECE: usize = 64 << 10;
