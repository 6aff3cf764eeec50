//! Back-references: those of Plexes, which Seals have, and then of Blobs, which Plexes have.

use std::path::Path;

use super::{Checker, Finding};
use crate::error::Result;
use crate::repository::attach::{Reference, Referred};
use crate::repository::disk::What;
use crate::repository::layout::{self, REF};
use crate::text::{PacketHash, PacketKind, VerifyingKey};

impl Checker<'_> {
    pub(super) fn refs(&mut self) -> Result<()> {
        let top = Path::new(REF);
        let mut kinds = Vec::new();
        for (name, what) in self.repository.listed(top)? {
            match name.as_str() {
                "B" if what == What::Directory => kinds.push(PacketKind::Blob),
                "P" if what == What::Directory => kinds.push(PacketKind::Plex),
                _ => self.foreign(top, &name)?,
            }
        }
        // Whether a Plex is to be in the index depends on its Seals.
        kinds.sort_unstable_by(|one, two| two.cmp(one));
        for kind in kinds {
            self.refs_of(kind, &top.join(kind.letter().to_string()))?;
        }
        Ok(())
    }

    fn refs_of(&mut self, kind: PacketKind, directory: &Path) -> Result<()> {
        for (front, what) in self.repository.listed(directory)? {
            if what != What::Directory || front.len() != 2 {
                self.foreign(directory, &front)?;
                continue;
            }
            let (directory, before) = (directory.join(&front), self.checked.mended);
            let listed = self.repository.listed(&directory)?;
            let is_empty = listed.is_empty();
            for (tail, what) in listed {
                let hash = layout::hash_of(kind, &front, &tail);
                match (hash, what) {
                    (Some(hash), What::Directory)
                        if layout::ref_directory(&hash) == directory.join(&tail) =>
                    {
                        self.refs_to(hash, &directory.join(&tail))?;
                    }
                    _ => self.foreign(&directory, &tail)?,
                }
            }
            self.empty(&directory, is_empty, before)?;
        }
        Ok(())
    }

    fn refs_to(&mut self, inner: PacketHash, directory: &Path) -> Result<()> {
        let before = self.checked.mended;
        let listed = self.repository.listed(directory)?;
        let is_empty = listed.is_empty();
        for (name, what) in listed {
            match (name.parse::<PacketHash>(), inner.kind(), what) {
                (Ok(plex), PacketKind::Blob, What::File(_)) if plex.kind() == PacketKind::Plex => {
                    self.reference(Reference::OfBlob { blob: inner, plex })?;
                }
                (Ok(seal), PacketKind::Plex, What::Directory)
                    if seal.kind() == PacketKind::Seal =>
                {
                    self.plex_refs(inner, seal)?;
                }
                _ => self.foreign(directory, &name)?,
            }
        }
        self.empty(directory, is_empty, before)
    }

    /// What a back-reference says, against the index. Files that are damaged have been told.
    fn reference(&mut self, reference: Reference) -> Result<()> {
        let (path, hash) = (reference.path(), reference.packet());
        let (coordinate, version, blob) = match self.repository.referred(&reference) {
            Referred::Gone => return self.found(Finding::StrayRef { path }),
            Referred::Other => return self.found(Finding::WrongRef { hash, path }),
            Referred::Faulty(_) => return Ok(()),
            Referred::At(coordinate, version, blob) => (coordinate, version, blob),
        };
        let is_indexed = self.is_file(&layout::marker(&coordinate).join(version.entry()))?;
        // A Plex that is detached keeps its back-reference while it has Seals that are not, as their references say, or the index.
        let is_kept = hash.kind() == PacketKind::Plex
            && !is_indexed
            && (self.has_refs(&hash)?
                || self.repository.has_indexed_seal(&coordinate, &version)?);
        // Nor is one that lacks its Blob, which has been told, one to come into the index.
        match is_indexed || is_kept || !self.is_there(&blob)? {
            true => Ok(()),
            false => self.found(Finding::NotIndexed { hash }),
        }
    }

    fn plex_refs(&mut self, plex: PacketHash, seal: PacketHash) -> Result<()> {
        let (directory, before) = (layout::plex_ref(&plex, &seal), self.checked.mended);
        let listed = self.repository.listed(&directory)?;
        let is_empty = listed.is_empty();
        for (name, what) in listed {
            match (name.parse::<VerifyingKey>(), what) {
                (Ok(key), What::File(_)) => {
                    self.reference(Reference::OfPlex { plex, seal, key })?
                }
                _ => self.foreign(&directory, &name)?,
            }
        }
        self.empty(&directory, is_empty, before)
    }
}
