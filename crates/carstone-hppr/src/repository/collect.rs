//! Removing data that nothing has any more (HPPR 022: what the list of detached Blobs is for).

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::disk::What;
use super::layout::{self, DETACH, EMPTY_BLOB};
use super::writer::Writer;
use super::{Repository, Version, thin};
use crate::error::Result;
use crate::limits::MARKLINE;
use crate::text::{PacketHash, PacketKind};

/// What a collection has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Blobs.
    pub blobs: u64,
    /// Plexes that had one of them.
    pub plexes: u64,
    /// Seals that had one of those.
    pub seals: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Blobs that were marked, but that a Plex has: they are marked no more.
    pub kept: u64,
}

impl Repository {
    /// Removes the Blobs that are marked since the last packet that had them was detached, and the Plexes and Seals that had them. What is attached again stays.
    ///
    /// # Errors
    /// The repository cannot be read or written. What is left is collected the next time.
    pub fn collect(&self) -> Result<Collected> {
        let mut writer = Writer::begin(self, false)?;
        let collected = self.collect_with(&mut writer);
        if collected.is_err() {
            writer.abandon();
        }
        collected
    }

    fn collect_with(&self, writer: &mut Writer<'_>) -> Result<Collected> {
        // Who has detached a packet, or collected, may have ended too soon: what tells that nothing has the data must not come back with the power when the data is gone.
        self.sync_all()?;
        let mut collected = Collected::default();
        let (mut blobs, mut settled) = (HashSet::new(), Vec::new());
        for (name, what) in self.listed(Path::new(DETACH))? {
            let hash = name.parse::<PacketHash>().ok().filter(|_| matches!(what, What::File(_)));
            let Some(blob) = hash.filter(|hash| hash.kind() == PacketKind::Blob) else { continue };
            if name == EMPTY_BLOB || self.has_plexes(&blob, None)? {
                collected.kept += 1;
                settled.push(blob);
            } else {
                blobs.insert(blob);
            }
        }
        if !blobs.is_empty() {
            // All of them are known before the first is removed, since the files are what tells.
            let mut plexes = self.having(PacketKind::Plex, &blobs)?;
            // Their references may be lost.
            for (plex, blob) in &plexes {
                if self.is_attached(plex)? && blobs.remove(blob) {
                    collected.kept += 1;
                    settled.push(*blob);
                }
            }
            plexes.retain(|_, blob| blobs.contains(blob));
            let plexes: HashSet<_> = plexes.into_keys().collect();
            let seals: HashSet<_> = self.having(PacketKind::Seal, &plexes)?.into_keys().collect();
            for plex in &plexes {
                self.drop_references(writer, plex)?;
            }
            // Seals before their Plexes, and these before the marks: what is left of them can be found again by those.
            for (of, count) in [
                (&blobs, &mut collected.blobs),
                (&seals, &mut collected.seals),
                (&plexes, &mut collected.plexes),
            ] {
                for hash in of {
                    let relative = layout::hash_file(hash);
                    if let Some(What::File(len)) = self.what(&relative)? {
                        writer.remove(&relative)?;
                        *count += 1;
                        collected.bytes += len;
                    }
                }
                writer.end_step()?;
            }
            settled.extend(blobs);
        }
        for blob in &settled {
            writer.remove(&layout::detach_record(blob))?;
        }
        writer.end_step()?;
        Ok(collected)
    }

    /// Whether a Seal has a Plex, as its reference says, or the index has it or a Seal of it. One whose place is not known is taken for attached.
    fn is_attached(&self, plex: &PacketHash) -> Result<bool> {
        if self.has_seals(plex, None)? {
            return Ok(true);
        }
        let Ok(thin) = self.plex_file(plex) else { return Ok(true) };
        let version = Version::plex(thin.head.tai, *plex);
        let entry = layout::marker(&thin.head.coordinate).join(version.entry());
        Ok(matches!(self.what(&entry)?, Some(What::File(_)))
            || self.has_indexed_seal(&thin.head.coordinate, &version)?)
    }

    /// The packets of a kind whose files name one of these, and which.
    fn having(
        &self,
        kind: PacketKind,
        of: &HashSet<PacketHash>,
    ) -> Result<HashMap<PacketHash, PacketHash>> {
        let mut having = HashMap::new();
        if of.is_empty() {
            return Ok(having);
        }
        self.each_hash(kind, &mut |hash, what| {
            let What::File(len) = what else { return Ok(()) };
            let path = self.path(layout::hash_file(&hash));
            let tail = self.tail(&path, len).map_err(self.failed(&path))?;
            if let Some(inner) = thin::last_hash(&tail).filter(|inner| of.contains(inner)) {
                having.insert(hash, inner);
            }
            Ok(())
        })?;
        Ok(having)
    }

    fn tail(&self, path: &Path, len: u64) -> io::Result<Vec<u8>> {
        let mut file = self.disk().open(path)?;
        file.seek(SeekFrom::Start(len.saturating_sub(MARKLINE as u64 + 1)))?;
        let mut tail = Vec::new();
        file.take(MARKLINE as u64 + 1).read_to_end(&mut tail)?;
        Ok(tail)
    }

    /// Removes references of Seals to a Plex that is there no more.
    fn drop_references(&self, writer: &mut Writer<'_>, plex: &PacketHash) -> Result<()> {
        let of_plex = layout::ref_directory(plex);
        for seal in self.names::<PacketHash>(&of_plex, What::Directory)? {
            let of_seal = of_plex.join(seal.to_string());
            for (key, what) in self.listed(&of_seal)? {
                if matches!(what, What::File(_)) {
                    writer.remove(&of_seal.join(key))?;
                }
            }
            writer.tidy(&of_seal, Path::new("ref/P"))?;
        }
        Ok(())
    }
}
