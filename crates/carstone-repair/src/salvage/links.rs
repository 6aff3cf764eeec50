//! Entries are told by path too, and hard links after what they are another name of.

use std::io;

use carstone_car::{cid_of, codec};
use carstone_layer::FailSafeRead;
use carstone_pack::{Announced, BlockKey, EntryKind, Error, Event};

use super::Salvage;

impl<R: FailSafeRead> Salvage<R> {
    /// Tells of an entry. A hard link whose original is not known yet waits for the end: batches may be lost, and the manifest comes last.
    pub(super) fn tell_entry(&mut self, entry: Announced) -> Result<(), Error> {
        if entry.id < MOST_IDS {
            let noted = self.paths.insert(key(&entry.path), entry.id);
            noted.map_err(|error| Error::io(error, 0))?;
        }
        let is_known = entry.target_id.is_some_and(|original| self.ids.contains(original));
        match entry.kind == EntryKind::HardLink && !is_known {
            true => self.links.push(entry),
            false => self.tell(Event::Entry(entry)),
        }
        Ok(())
    }

    /// Whether an entry with this path has been told.
    pub(super) fn knows(&self, path: &[u8]) -> io::Result<bool> {
        Ok(self.paths.get(&key(path))?.is_some())
    }

    /// Tells of the hard links that waited. The manifest names the original by its path alone, and one that directories name has another id.
    pub(super) fn tell_links(&mut self) -> Result<(), Error> {
        for mut link in std::mem::take(&mut self.links) {
            let is_known = link.target_id.is_some_and(|original| self.ids.contains(original));
            if let Some(original) = link.target.as_ref().filter(|_| !is_known) {
                let found = self.paths.get(&key(original)).map_err(|error| Error::io(error, 0))?;
                link.target_id = found.or(link.target_id);
            }
            self.tell(Event::Entry(link));
        }
        Ok(())
    }
}

fn key(path: &[u8]) -> BlockKey {
    BlockKey::leaf(cid_of(codec::RAW, path).hash().digest().try_into().unwrap_or_default())
}

/// Larger ids cannot be noted, and no pack has them.
const MOST_IDS: u64 = 1 << 63;
