//! Links of directory nodes, for digests that the manifest leaves out.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use carstone_car::Cid;
use carstone_layer::ReadAt;
use carstone_unixfs::{BlockSource, Limits, directory_links};

use super::PackReader;
use crate::entry::{EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::path::split_path;

/// Root CIDs under their names.
type Links = HashMap<Vec<u8>, Cid>;

/// Links of the directories that were asked for last, the latest behind. A listing comes back to a directory after each of those below it.
#[derive(Default)]
pub(super) struct DirectoryCache(Mutex<Vec<(Vec<u8>, Arc<Links>)>>);

impl DirectoryCache {
    fn get(&self, path: &[u8]) -> Option<Arc<Links>> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = cached.iter().rposition(|(known, _)| known == path)?;
        let hit = cached.remove(at);
        let links = Arc::clone(&hit.1);
        cached.push(hit);
        Some(links)
    }

    fn put(&self, path: &[u8], links: &Arc<Links>) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held: usize = cached.iter().map(|(_, links)| links.len()).sum();
        while !cached.is_empty() && (cached.len() >= MAX_CACHED || held + links.len() > MAX_LINKS) {
            held -= cached.remove(0).1.len();
        }
        cached.push((path.to_vec(), Arc::clone(links)));
    }
}

impl<R: ReadAt> PackReader<R> {
    /// The root CID of an entry as its directory's node links to it; `None` where no node does.
    ///
    /// # Errors
    /// The directory's node is damaged or missing.
    pub fn link(&self, entry: &Listed) -> Result<Option<Cid>, Error> {
        let Some((parent, name)) = split_path(&entry.path) else {
            return Ok(self.tail().roots.first().copied());
        };
        Ok(self.cached_links(parent)?.get(name).copied())
    }

    /// How many links a directory's node holds.
    pub(super) fn links_in(&self, path: &[u8]) -> Result<u64, Error> {
        Ok(self.cached_links(path)?.len() as u64)
    }

    fn cached_links(&self, path: &[u8]) -> Result<Arc<Links>, Error> {
        if let Some(links) = self.directories.get(path) {
            return Ok(links);
        }
        let links = Arc::new(self.links_of(path)?);
        self.directories.put(path, &links);
        Ok(links)
    }

    fn links_of(&self, path: &[u8]) -> Result<Links, Error> {
        let missing = || Error::mismatch(path, "the directory's entry in the manifest", 0);
        let directory = self.find(path)?.ok_or_else(missing)?;
        let node = match (directory.kind, directory.runs.first()) {
            (EntryKind::Directory, Some(run)) => run.position,
            (EntryKind::Directory, None) => return Ok(Links::new()),
            _ => return Err(missing()),
        };
        let (section, data) = self.sections.read(node)?.ok_or_else(missing)?;
        let from_root = FromRoot { reader: self, root: (section.cid, data) };
        let links = directory_links(&from_root, &section.cid, &Limits::default())
            .map_err(|error| Error::new(ErrorKind::UnixFs(error), node))?;
        Ok(links.into_iter().map(|(name, link)| (name, link.cid)).collect())
    }
}

/// A directory's node whose position is known, and what else the pack holds.
struct FromRoot<'a, R> {
    reader: &'a PackReader<R>,
    root: (Cid, Vec<u8>),
}

impl<R: ReadAt> BlockSource for FromRoot<'_, R> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        match self.root.0 == *cid {
            true => Ok(Some(self.root.1.clone())),
            false => Ok(self.reader.get(cid)?),
        }
    }
}

/// Directories that are kept, and the most links in them together.
const MAX_CACHED: usize = 64;
const MAX_LINKS: usize = 1 << 17;
