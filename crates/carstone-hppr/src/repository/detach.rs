//! Taking packets from their coordinates (HPPR 022, detach).

use std::path::Path;

use super::disk::What;
use super::layout::{self, EMPTY_BLOB, INDEX};
use super::writer::Writer;
use super::{Repository, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{PacketHash, PacketKind, VerifyingKey};

impl Repository {
    /// Takes a packet from its coordinate, and says whether it was there. It can still be had by its hash, until [`collect`](Self::collect) removes data that nothing has any more.
    ///
    /// The last Seal of a Plex takes the Plex with it. A Plex that has a Seal keeps its data for that. A Blob is marked to be collected.
    ///
    /// # Errors
    /// There is no such packet ([`ErrorKind::NotFound`]); a Blob is one of a Plex ([`ErrorKind::Invalid`]); the file of the packet is damaged, so that it is not known where it
    /// belongs; the repository cannot be written. Then it is detached or not; detaching it once more completes that.
    pub fn detach(&self, hash: &PacketHash) -> Result<bool> {
        let mut writer = Writer::begin(self, false)?;
        let detached = match hash.kind() {
            PacketKind::Blob => self.detach_blob(&mut writer, hash),
            PacketKind::Plex => self.detach_plex(&mut writer, hash),
            PacketKind::Seal => self.detach_seal(&mut writer, hash),
        };
        if detached.is_err() {
            writer.abandon();
        }
        detached
    }

    fn detach_blob(&self, writer: &mut Writer<'_>, blob: &PacketHash) -> Result<bool> {
        if !writer.is_file(&layout::hash_file(blob))? {
            return Err(Error::new(ErrorKind::NotFound));
        }
        if self.has_plexes(blob, None)? {
            return Err(Error::new(ErrorKind::Invalid("a Plex has this Blob")));
        }
        record(writer, blob)
    }

    fn detach_plex(&self, writer: &mut Writer<'_>, plex: &PacketHash) -> Result<bool> {
        let thin = self.thin_plex(plex)?.ok_or_else(|| Error::new(ErrorKind::NotFound))?;
        let marker = layout::marker(&thin.head.coordinate);
        let entry = marker.join(Version::plex(thin.head.tai, *plex).entry());
        let reference = layout::blob_ref(&thin.inner, plex);
        self.is_told_truly(plex, writer.is_file(&entry)? && writer.is_file(&reference)?)?;
        let mut is_changed = writer.remove_for_good(&entry)?;
        writer.end_step()?;
        if !self.has_seals(plex, None)? {
            is_changed |= self.release(writer, plex, &thin.inner)?;
        }
        self.make_tips(writer.staging(), &thin.head.coordinate)?;
        tidy(writer, &entry, INDEX)?;
        tidy(writer, &reference, BLOB_REFS)?;
        tidy(writer, &layout::ref_directory(plex).join("any"), PLEX_REFS)?;
        writer.end_step()?;
        Ok(is_changed)
    }

    fn detach_seal(&self, writer: &mut Writer<'_>, seal: &PacketHash) -> Result<bool> {
        let thin = self.thin_seal(seal)?.ok_or_else(|| Error::new(ErrorKind::NotFound))?;
        let plex = thin.inner;
        let inner = self.thin_plex(&plex)?.ok_or_else(|| {
            let path = self.path(layout::hash_file(&plex));
            Error::new(ErrorKind::Damaged("the Plex of a Seal is missing")).of(path)
        })?;
        let marker = layout::marker(&inner.head.coordinate);
        let entry = marker.join(Version::seal(thin.head.key, inner.head.tai, *seal).entry());
        let plex_entry = marker.join(Version::plex(inner.head.tai, plex).entry());
        let reference = layout::plex_ref(&plex, seal).join(thin.head.key.to_string());
        let (is_indexed, is_referred) = (writer.is_file(&entry)?, writer.is_file(&reference)?);
        self.is_told_truly(seal, is_indexed && is_referred)?;
        let is_attached = is_indexed || is_referred;
        // One that was detached before has nothing to say of a Plex that was stored since then.
        let is_last = is_attached && !self.has_seals(&plex, Some(seal))?;
        // Between any two steps a repair finds what was there before: a Seal with a reference comes back with its Plex, one that is in the index comes back alone, unless its Plex lacks
        // the reference that it has while it is kept. And the coordinate never has the Plex alone.
        if is_last && writer.is_file(&plex_entry)? {
            writer.remove_for_good(&layout::blob_ref(&inner.inner, &plex))?;
            writer.end_step()?;
            writer.remove_for_good(&plex_entry)?;
            writer.end_step()?;
            writer.remove_for_good(&entry)?;
            writer.end_step()?;
            self.release(writer, &plex, &inner.inner)?;
            writer.remove_for_good(&reference)?;
            writer.end_step()?;
        } else {
            writer.remove_for_good(&reference)?;
            writer.end_step()?;
            if is_last {
                self.release(writer, &plex, &inner.inner)?;
            }
            writer.remove_for_good(&entry)?;
            writer.end_step()?;
        }
        self.make_tips(writer.staging(), &inner.head.coordinate)?;
        tidy(writer, &entry, INDEX)?;
        tidy(writer, &plex_entry, INDEX)?;
        tidy(writer, &reference, PLEX_REFS)?;
        tidy(writer, &layout::blob_ref(&inner.inner, &plex), BLOB_REFS)?;
        writer.end_step()?;
        Ok(is_attached)
    }

    /// Removes the reference of a Plex to its Blob. If it is the last, the Blob is marked ahead of that, so that it is never without both.
    fn release(
        &self,
        writer: &mut Writer<'_>,
        plex: &PacketHash,
        blob: &PacketHash,
    ) -> Result<bool> {
        if !self.has_plexes(blob, Some(plex))? {
            record(writer, blob)?;
        }
        let is_changed = writer.remove_for_good(&layout::blob_ref(blob, plex))?;
        writer.end_step()?;
        Ok(is_changed)
    }

    /// Whether what the file of a packet says can be relied on: the index and a reference say the same, or its hash is right.
    fn is_told_truly(&self, hash: &PacketHash, is_confirmed: bool) -> Result<()> {
        if is_confirmed || self.is_intact(hash)? {
            return Ok(());
        }
        let path = self.path(layout::hash_file(hash));
        Err(Error::new(ErrorKind::HashMismatch { packet: hash.kind() }).of(path))
    }

    /// Whether a reference says that a Plex, but for one, has this Blob.
    pub(super) fn has_plexes(&self, blob: &PacketHash, but: Option<&PacketHash>) -> Result<bool> {
        let listed = self.listed(&layout::ref_directory(blob))?;
        let mut plexes = listed.iter().filter_map(|(name, what)| {
            let is_file = matches!(what, What::File(_));
            name.parse::<PacketHash>().ok().filter(|_| is_file)
        });
        Ok(plexes.any(|hash| hash.kind() == PacketKind::Plex && Some(&hash) != but))
    }

    /// Whether a reference says that a Seal, but for one, has this Plex.
    pub(super) fn has_seals(&self, plex: &PacketHash, but: Option<&PacketHash>) -> Result<bool> {
        let of_plex = layout::ref_directory(plex);
        for seal in self.names::<PacketHash>(&of_plex, What::Directory)? {
            if seal.kind() != PacketKind::Seal || Some(&seal) == but {
                continue;
            }
            // One without a key was being made, or removed.
            let is_key = |(name, what): &(String, What)| {
                matches!(what, What::File(_)) && name.parse::<VerifyingKey>().is_ok()
            };
            if self.listed(&of_plex.join(seal.to_string()))?.iter().any(is_key) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Marks a Blob to be collected, unless it is the empty one, and says whether it was not.
fn record(writer: &mut Writer<'_>, blob: &PacketHash) -> Result<bool> {
    if blob.to_string() == EMPTY_BLOB {
        return Ok(false);
    }
    let record = layout::detach_record(blob);
    let is_new = !writer.is_file(&record)?;
    writer.entry(&record)?;
    writer.end_step()?;
    Ok(is_new)
}

/// Removes the directories that a path is in, as long as they are empty.
fn tidy(writer: &mut Writer<'_>, relative: &Path, base: &str) -> Result<()> {
    writer.tidy(relative.parent().unwrap_or(relative), Path::new(base))
}

/// What stays, though it has no references.
const BLOB_REFS: &str = "ref/B";
const PLEX_REFS: &str = "ref/P";
