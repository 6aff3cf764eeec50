//! The index, made again from references (HPPR 022).

use std::path::Path;

use super::attach::{Attach, Reference};
use super::disk::What;
use super::writer::Writer;
use super::{BATCH, Repository, layout};
use crate::error::{Error, Result};
use crate::text::{PacketHash, PacketKind, VerifyingKey};

/// What was found while the index was made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Plexes that are in the index now.
    pub plexes: u64,
    /// Seals that are.
    pub seals: u64,
    /// Plexes that nothing says to be attached, so that they are not in the index because of this: they are detached, or were never stored as a whole.
    pub unattached: Vec<PacketHash>,
    /// Packets that are said to be attached, but are not there, or damaged. They are not in the index because of this.
    pub lost: Vec<PacketHash>,
}

impl Repository {
    /// Makes the index again, with the packets that references say to be attached. Each of them is verified. What is in the index already stays there.
    ///
    /// A Plex that was detached while a Seal had it is attached again: nothing but the index has told.
    ///
    /// # Errors
    /// The repository cannot be read or written.
    pub fn rebuild_index(&self) -> Result<Rebuilt> {
        let mut writer = Writer::begin(self, true)?;
        let rebuilt = self.rebuild_with(&mut writer);
        if rebuilt.is_err() {
            writer.abandon();
        }
        rebuilt
    }

    fn rebuild_with(&self, writer: &mut Writer<'_>) -> Result<Rebuilt> {
        let (mut rebuilt, mut attach) = (Rebuilt::default(), Attach::default());
        self.each_reference(&mut |reference| {
            let Some(packet) = self.attachable(&reference)? else {
                rebuilt.lost.push(reference.packet());
                return Ok(());
            };
            match reference {
                Reference::OfBlob { .. } => rebuilt.plexes += 1,
                Reference::OfPlex { .. } => rebuilt.seals += 1,
            }
            attach.add(&packet);
            match attach.len() < BATCH {
                true => Ok(()),
                false => std::mem::take(&mut attach).make(writer),
            }
        })?;
        attach.make(writer)?;
        self.each_hash(PacketKind::Plex, &mut |plex, _| {
            // One whose file does not say which Blob it has is in no reference that can be found.
            let thin = present(self.thin_plex(&plex))?;
            let reference = thin.map(|thin| layout::blob_ref(&thin.inner, &plex));
            if !reference.map_or(Ok(false), |path| writer.is_file(&path))? {
                rebuilt.unattached.push(plex);
            }
            Ok(())
        })?;
        rebuilt.unattached.sort_unstable();
        rebuilt.lost.sort_unstable();
        Ok(rebuilt)
    }

    /// Calls with each back-reference, those of Blobs first.
    fn each_reference(&self, each: &mut dyn FnMut(Reference) -> Result<()>) -> Result<()> {
        self.each_referred(PacketKind::Blob, &mut |blob, plex, what| match plex.kind()
            == PacketKind::Plex
            && matches!(what, What::File(_))
        {
            true => each(Reference::OfBlob { blob, plex }),
            false => Ok(()),
        })?;
        self.each_referred(PacketKind::Plex, &mut |plex, seal, what| {
            if seal.kind() != PacketKind::Seal || what != What::Directory {
                return Ok(());
            }
            for (name, what) in self.listed(&layout::plex_ref(&plex, &seal))? {
                if let (Ok(key), What::File(_)) = (name.parse::<VerifyingKey>(), what) {
                    each(Reference::OfPlex { plex, seal, key })?;
                }
            }
            Ok(())
        })
    }

    /// Calls with each packet of a kind that has references, and each packet that it is named to be in.
    fn each_referred(
        &self,
        kind: PacketKind,
        each: &mut dyn FnMut(PacketHash, PacketHash, What) -> Result<()>,
    ) -> Result<()> {
        let base = Path::new(layout::REF).join(kind.letter().to_string());
        for (front, what) in self.listed(&base)? {
            if what != What::Directory {
                continue;
            }
            for (tail, what) in self.listed(&base.join(&front))? {
                let inner = layout::hash_of(kind, &front, &tail);
                let Some(inner) = inner.filter(|_| what == What::Directory) else { continue };
                for (name, what) in self.listed(&layout::ref_directory(&inner))? {
                    if let Ok(outer) = name.parse() {
                        each(inner, outer, what)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a file says; `None` if it is damaged.
fn present<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if is_damage(&error) => Ok(None),
        read => read,
    }
}

/// Whether what was read is wrong, and not that it could not be read.
fn is_damage(error: &Error) -> bool {
    !matches!(error.kind(), crate::ErrorKind::Io(_))
}
