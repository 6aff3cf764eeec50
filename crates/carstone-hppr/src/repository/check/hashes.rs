//! Files of packets.

use std::path::Path;

use super::{Checker, Finding};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_DATA;
use crate::repository::disk::What;
use crate::repository::layout::{self, EMPTY_BLOB, HASH};
use crate::text::{PacketHash, PacketKind, SUFFIX};

impl Checker<'_> {
    pub(super) fn hashes(&mut self) -> Result<()> {
        let top = Path::new(HASH);
        for (name, what) in self.repository.listed(top)? {
            let kind = match name.as_bytes() {
                [letter] => PacketKind::of_letter(*letter),
                _ => None,
            };
            match (kind, what) {
                (Some(kind), What::Directory) => self.hashes_of(kind, &top.join(name))?,
                _ => self.foreign(top, &name)?,
            }
        }
        Ok(())
    }

    fn hashes_of(&mut self, kind: PacketKind, directory: &Path) -> Result<()> {
        for (front, what) in self.repository.listed(directory)? {
            if what != What::Directory || front.len() != 2 {
                self.foreign(directory, &front)?;
                continue;
            }
            let directory = directory.join(&front);
            for (name, what) in self.repository.listed(&directory)? {
                let hash = layout::hash_of(kind, &front, &name);
                match (hash, what) {
                    (Some(hash), What::File(len)) if name.ends_with(SUFFIX) => {
                        self.checked.packets += 1;
                        self.packet(hash, len)?;
                    }
                    (Some(hash), _) if name.ends_with(SUFFIX) => {
                        let error = Error::new(ErrorKind::Damaged("it is no regular file"));
                        let error = error.of(self.repository.hash_path(&hash));
                        self.found(Finding::Damaged { hash, error })?;
                    }
                    _ => self.foreign(&directory, &name)?,
                }
            }
        }
        Ok(())
    }

    fn packet(&mut self, hash: PacketHash, len: u64) -> Result<()> {
        let repository = self.repository;
        let inner = match hash.kind() {
            PacketKind::Blob => {
                let must_be_empty = hash.to_string() == EMPTY_BLOB;
                // No other packet has the data of the empty one.
                if len > MAX_DATA as u64 || (len == 0) != must_be_empty {
                    let at = len.min(MAX_DATA as u64);
                    let error = Error::new(ErrorKind::HashMismatch { packet: PacketKind::Blob });
                    let error = error.at(at).of(repository.hash_path(&hash));
                    return self.found(Finding::WrongSize { hash, error });
                }
                Ok(None)
            }
            PacketKind::Plex => repository.plex_file(&hash).map(|thin| Some(thin.inner)),
            PacketKind::Seal => repository.seal_file(&hash).map(|thin| Some(thin.inner)),
        };
        match inner {
            Err(error) => return self.damaged(hash, error),
            Ok(Some(inner)) if !self.is_there(&inner)? => {
                return self.found(Finding::InnerMissing { hash, inner });
            }
            Ok(Some(blob)) if self.is_half_stored(&hash, &blob)? => {
                self.found(Finding::HalfStored { hash })?;
            }
            Ok(_) => {}
        }
        match self.verify {
            true => match repository.get_hash(&hash) {
                // That of a packet in it is told of that.
                Err(error) if error.path() == Some(&repository.hash_path(&hash)) => {
                    self.damaged(hash, error)
                }
                _ => Ok(()),
            },
            false => Ok(()),
        }
    }

    fn damaged(&mut self, hash: PacketHash, error: Error) -> Result<()> {
        self.found(match error.kind() {
            // It has gone meanwhile, which is nothing to tell.
            ErrorKind::NotFound => return Ok(()),
            ErrorKind::WrongMarkline => Finding::WrongMarkline { hash, error },
            ErrorKind::Truncated | ErrorKind::TrailingBytes | ErrorKind::DataTooLong => {
                Finding::WrongSize { hash, error }
            }
            _ => Finding::Damaged { hash, error },
        })
    }

    /// Whether nothing attaches a Plex or its Blob, nor says that they are detached.
    fn is_half_stored(&self, plex: &PacketHash, blob: &PacketHash) -> Result<bool> {
        if plex.kind() != PacketKind::Plex || blob.to_string() == EMPTY_BLOB {
            return Ok(false);
        }
        let is_known = self.is_file(&layout::blob_ref(blob, plex))?
            || self.has_refs(blob)?
            || self.has_refs(plex)?
            || self.look(&layout::detach_record(blob))?.is_some();
        if is_known {
            return Ok(false);
        }
        let Ok(thin) = self.repository.plex_file(plex) else { return Ok(false) };
        let entry = layout::plex_entry(thin.head.tai, plex);
        Ok(!self.is_file(&layout::marker(&thin.head.coordinate).join(entry))?)
    }
}
