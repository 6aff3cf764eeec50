//! What attaches packets whose files are there: references, the index and its tips (HPPR 022, store). All that comes into the index does so here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::writer::Writer;
use super::{Repository, Version, layout};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::packet::{Packet, Plex, Seal};
use crate::text::{PacketHash, VerifyingKey};

/// What packets are to be attached, each step for all of them.
#[derive(Debug, Default)]
pub(super) struct Attach<'p> {
    /// References to Seals, and to Plexes.
    seals: Vec<PathBuf>,
    plexes: Vec<PathBuf>,
    versions: BTreeMap<Cow<'p, Coordinate>, Vec<Version>>,
    blobs: Vec<PacketHash>,
    len: usize,
}

impl<'p> Attach<'p> {
    /// A packet and those in it, as whoever stores it has them attached.
    pub(super) fn all(&mut self, packet: &'p Packet) {
        let Some(plex) = packet.plex() else { return };
        let versions = self.plex(plex, Cow::Borrowed(plex.coordinate()));
        versions.push(Version::plex(plex.tai(), plex.hash()));
        if let Some(seal) = packet.seal() {
            self.seal(seal, Cow::Borrowed(plex.coordinate()));
        }
    }

    /// A packet, and of those in it only that they are kept: a Plex may be detached while a Seal of it is not.
    pub(super) fn outer(&mut self, packet: &Packet) {
        let Some(plex) = packet.plex() else { return };
        let coordinate = || Cow::Owned(plex.coordinate().clone());
        let versions = self.plex(plex, coordinate());
        match packet.seal() {
            Some(seal) => self.seal(seal, coordinate()),
            None => versions.push(Version::plex(plex.tai(), plex.hash())),
        }
    }

    /// Packets that have been given.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Attaches them. A crash can come between any two steps: references are there before the index that they keep the data for, and links last.
    ///
    /// The power may go too, and then a file system may have kept any of the names that were not durable, in no order. So those of packets are durable ahead of what speaks of them,
    /// with steps that are made together as well: an index that speaks of a packet of which a file was never there could not be told from one of which a file was lost.
    pub(super) fn make(mut self, writer: &mut Writer<'_>) -> Result<()> {
        // Ahead of those of Plexes: a repair attaches what has a reference, and a signed Plex is not to be attached without its Seal.
        writer.each(&self.seals, |writer, path| writer.entry(path))?;
        writer.end_step()?;
        if !self.plexes.is_empty() {
            writer.sync_all()?;
        }
        writer.each(&self.plexes, |writer, path| writer.entry(path))?;
        writer.end_step()?;
        for versions in self.versions.values_mut() {
            versions.sort_unstable();
            versions.dedup();
        }
        let coordinates: Vec<_> = self.versions.into_iter().collect();
        writer.each(&coordinates, |writer, (coordinate, versions)| {
            let marker = layout::marker(coordinate);
            // The latest is first, so that where nothing was nothing but it can be the latest.
            versions
                .iter()
                .rev()
                .try_for_each(|version| writer.entry(&marker.join(version.entry())))
        })?;
        writer.end_step()?;
        writer.each(&coordinates, |writer, (coordinate, versions)| {
            super::store::tips(writer, coordinate, versions)
        })?;
        writer.end_step()?;
        writer.sync_all()?;
        // A record that is still there does no harm: who collects looks for references.
        for blob in &self.blobs {
            writer.remove(&layout::detach_record(blob))?;
        }
        writer.end_step()
    }

    fn plex(&mut self, plex: &Plex, coordinate: Cow<'p, Coordinate>) -> &mut Vec<Version> {
        let blob = plex.blob().hash();
        self.plexes.push(layout::blob_ref(&blob, &plex.hash()));
        self.blobs.push(blob);
        self.len += 1;
        self.versions.entry(coordinate).or_default()
    }

    fn seal(&mut self, seal: &Seal, coordinate: Cow<'p, Coordinate>) {
        let of_plex = layout::plex_ref(&seal.plex().hash(), &seal.hash());
        self.seals.push(of_plex.join(seal.key().to_string()));
        let version = Version::seal(seal.key(), seal.plex().tai(), seal.hash());
        self.versions.entry(coordinate).or_default().push(version);
    }
}

/// A back-reference, which says that the packet in its name is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reference {
    /// `ref/B/<blob>/<plex>`.
    OfBlob { blob: PacketHash, plex: PacketHash },
    /// `ref/P/<plex>/<seal>/<key>`.
    OfPlex { plex: PacketHash, seal: PacketHash, key: VerifyingKey },
}

/// What is behind a back-reference.
#[derive(Debug)]
pub(super) enum Referred {
    /// The packet is not there.
    Gone,
    /// Its file, or that of its Plex, is not what it is to be, or cannot be read.
    Faulty(Error),
    /// It has another packet in it, or is by another key.
    Other,
    /// Where its files say that it belongs, and which Blob it has. Nothing of that is verified.
    At(Coordinate, Version, PacketHash),
}

impl Reference {
    /// The packet that is attached.
    pub(super) fn packet(&self) -> PacketHash {
        match *self {
            Self::OfBlob { plex, .. } => plex,
            Self::OfPlex { seal, .. } => seal,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::OfBlob { blob, plex } => layout::blob_ref(blob, plex),
            Self::OfPlex { plex, seal, key } => layout::plex_ref(plex, seal).join(key.to_string()),
        }
    }
}

impl Repository {
    /// What is behind a back-reference, as the files of the packet say it.
    pub(super) fn referred(&self, reference: &Reference) -> Referred {
        let (plex, seal) = match *reference {
            Reference::OfBlob { plex, .. } => (plex, None),
            Reference::OfPlex { plex, seal, key } => match self.seal_file(&seal) {
                Err(error) => return missing(error),
                Ok(thin) if (thin.inner, thin.head.key) != (plex, key) => return Referred::Other,
                Ok(_) => (plex, Some((seal, key))),
            },
        };
        let thin = match (self.plex_file(&plex), reference) {
            (Err(error), Reference::OfBlob { .. }) => return missing(error),
            // Of the Seal, which is there, that is damage.
            (Err(error), Reference::OfPlex { .. }) => return Referred::Faulty(error),
            (Ok(thin), Reference::OfBlob { blob, .. }) if thin.inner != *blob => {
                return Referred::Other;
            }
            (Ok(thin), _) => thin,
        };
        let tai = thin.head.tai;
        let version = match seal {
            None => Version::plex(tai, plex),
            Some((seal, key)) => Version::seal(key, tai, seal),
        };
        Referred::At(thin.head.coordinate, version, thin.inner)
    }

    /// The packet behind a back-reference, verified; `None` if it is not there, or damaged.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn attachable(&self, reference: &Reference) -> Result<Option<Packet>> {
        let got = match self.referred(reference) {
            Referred::Gone | Referred::Other => return Ok(None),
            Referred::Faulty(error) => Err(error),
            Referred::At(..) => self.get_hash(&reference.packet()),
        };
        match got {
            Err(error) if !matches!(error.kind(), ErrorKind::Io(_)) => Ok(None),
            got => got.map(Some),
        }
    }
}

fn missing(error: Error) -> Referred {
    match error.kind() {
        ErrorKind::NotFound => Referred::Gone,
        _ => Referred::Faulty(error),
    }
}
