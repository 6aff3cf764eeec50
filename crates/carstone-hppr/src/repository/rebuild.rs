//! The index, made again from references (HPPR 022).

use std::path::Path;

use super::disk::What;
use super::writer::Writer;
use super::{Repository, Version, layout, store};
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
        let mut rebuilt = Rebuilt::default();
        self.each_reference(PacketKind::Blob, &mut |blob, plex, what| {
            if plex.kind() == PacketKind::Plex && matches!(what, What::File(_)) {
                match self.attach_plex(writer, &plex, &blob)? {
                    true => rebuilt.plexes += 1,
                    false => rebuilt.lost.push(plex),
                }
            }
            Ok(())
        })?;
        self.each_reference(PacketKind::Plex, &mut |plex, seal, what| {
            if seal.kind() != PacketKind::Seal || what != What::Directory {
                return Ok(());
            }
            for (name, what) in self.listed(&layout::plex_ref(&plex, &seal))? {
                let Ok(key) = name.parse::<VerifyingKey>() else { continue };
                if matches!(what, What::File(_)) {
                    match self.attach_seal(writer, &seal, &plex, key)? {
                        true => rebuilt.seals += 1,
                        false => rebuilt.lost.push(seal),
                    }
                }
            }
            Ok(())
        })?;
        self.each_hash(PacketKind::Plex, &mut |plex, _| {
            // One whose file does not say which Blob it has is in no reference that can be found.
            let thin = present(self.thin_plex(&plex))?;
            let reference = thin.map(|thin| layout::blob_ref(&thin.inner, &plex));
            if !reference.map_or(Ok(false), |path| writer.is_file(&path))? {
                rebuilt.unattached.push(plex);
            }
            Ok(())
        })?;
        writer.sync_all()?;
        rebuilt.unattached.sort_unstable();
        rebuilt.lost.sort_unstable();
        Ok(rebuilt)
    }

    /// Whether a Plex is in the index, since it is there and has this Blob.
    fn attach_plex(
        &self,
        writer: &mut Writer<'_>,
        plex: &PacketHash,
        blob: &PacketHash,
    ) -> Result<bool> {
        let Some(thin) = present(self.thin_plex(plex))? else { return Ok(false) };
        if thin.inner != *blob || !self.is_intact(plex)? {
            return Ok(false);
        }
        let version = Version::plex(thin.head.tai, *plex);
        writer.entry(&layout::marker(&thin.head.coordinate).join(version.entry()))?;
        store::tips(writer, &thin.head.coordinate, &[version])?;
        writer.remove(&layout::detach_record(blob))?;
        writer.end_step()?;
        Ok(true)
    }

    /// The same of a Seal, which has this Plex and is by this key.
    fn attach_seal(
        &self,
        writer: &mut Writer<'_>,
        seal: &PacketHash,
        plex: &PacketHash,
        key: VerifyingKey,
    ) -> Result<bool> {
        let Some(thin) = present(self.thin_seal(seal))? else { return Ok(false) };
        let Some(inner) = present(self.thin_plex(plex))? else { return Ok(false) };
        if (thin.head.key, thin.inner) != (key, *plex) || !self.is_intact(seal)? {
            return Ok(false);
        }
        // Its data must not be collected while it is attached.
        writer.entry(&layout::blob_ref(&inner.inner, plex))?;
        let version = Version::seal(key, inner.head.tai, *seal);
        writer.entry(&layout::marker(&inner.head.coordinate).join(version.entry()))?;
        store::tips(writer, &inner.head.coordinate, &[version])?;
        writer.remove(&layout::detach_record(&inner.inner))?;
        writer.end_step()?;
        Ok(true)
    }

    /// Calls with each packet of a kind that has references, and each packet that it is named to be in.
    fn each_reference(
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
