//! What attaches packets whose files are there: references, the index and its tips (HPPR 022, store). All that comes into the index does so here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::writer::Writer;
use super::{Repository, Version, layout};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::packet::Packet;
use crate::text::{PacketHash, VerifyingKey};

/// What packets are to be attached, each step for all of them.
#[derive(Debug, Default)]
pub(super) struct Attach {
    /// References to Seals.
    seals: Vec<PathBuf>,
    /// References to Plexes, and whether a Seal was given with one.
    plexes: Vec<(PathBuf, bool)>,
    versions: BTreeMap<Coordinate, Vec<Version>>,
    blobs: Vec<PacketHash>,
}

impl Attach {
    /// A packet and those in it. A Blob by itself is only not marked to be collected any more.
    pub(super) fn add(&mut self, packet: &Packet) {
        self.blobs.push(packet.blob().hash());
        let Some(plex) = packet.plex() else { return };
        let seal = packet.seal();
        let of_blob = layout::blob_ref(&plex.blob().hash(), &plex.hash());
        self.plexes.push((of_blob, seal.is_some()));
        let versions = self.versions.entry(plex.coordinate().clone()).or_default();
        versions.push(Version::plex(plex.tai(), plex.hash()));
        if let Some(seal) = seal {
            let of_plex = layout::plex_ref(&plex.hash(), &seal.hash());
            self.seals.push(of_plex.join(seal.key().to_string()));
            versions.push(Version::seal(seal.key(), plex.tai(), seal.hash()));
        }
    }

    /// Packets that have been given.
    pub(super) fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Attaches them. A crash can come between any two steps: files are there before what speaks of them, and links are last.
    ///
    /// Where a Plex comes with a Seal, its reference is behind the index. As long as it lacks that, a Seal that is there stands for both, which a repair completes; with it, a Plex that
    /// is not in the index is one that was detached while a Seal of it was not. So neither comes to a coordinate without the other.
    ///
    /// The power may go too, and then a file system may have kept any of the names that were not durable, in no order. So those of packets are durable ahead of what speaks of them,
    /// with steps that are made together as well: an index that speaks of a packet of which a file was never there could not be told from one of which a file was lost.
    pub(super) fn make(mut self, writer: &mut Writer<'_>) -> Result<()> {
        writer.each(&self.seals, |writer, path| writer.entry(path))?;
        writer.end_step()?;
        if !self.plexes.is_empty() {
            writer.sync_all()?;
        }
        let (mut ahead, mut behind) = (Vec::new(), Vec::new());
        for (path, is_sealed) in self.plexes {
            let is_new = is_sealed && !writer.is_file(&path)?;
            if is_new { &mut behind } else { &mut ahead }.push(path);
        }
        writer.each(&ahead, |writer, path| writer.entry(path))?;
        writer.end_step()?;
        for versions in self.versions.values_mut() {
            // The latest is first, so that where nothing was nothing but it can be the latest: a Seal before its Plex. If that had a reference, something was there.
            versions.sort_unstable_by(|one, two| match behind.is_empty() {
                true => one.cmp(two),
                false => two.cmp(one),
            });
            versions.dedup();
        }
        let coordinates: Vec<_> = self.versions.into_iter().collect();
        writer.each(&coordinates, |writer, (coordinate, versions)| {
            let marker = layout::marker(coordinate);
            versions.iter().try_for_each(|version| writer.entry(&marker.join(version.entry())))
        })?;
        writer.end_step()?;
        writer.each(&behind, |writer, path| writer.entry(path))?;
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
