//! Links of directory nodes, for digests that the manifest leaves out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use carstone_car::Cid;
use carstone_layer::ReadAt;
use carstone_unixfs::{Limits, directory_links};

use super::PackReader;
use crate::entry::{EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::path::split_path;

/// Root CIDs under their names.
type Links = HashMap<Vec<u8>, Cid>;

/// The links of the directory that was asked for last: listings come directory by directory.
pub(super) type DirectoryCache = Mutex<Option<(Vec<u8>, Arc<Links>)>>;

impl<R: ReadAt> PackReader<R> {
    /// The root CID of an entry as its directory's node links to it; `None` where no node does.
    ///
    /// # Errors
    /// The directory's node is damaged or missing.
    pub fn link(&self, entry: &Listed) -> Result<Option<Cid>, Error> {
        let Some((parent, name)) = split_path(&entry.path) else {
            return Ok(self.tail().roots.first().copied());
        };
        let cached = self.directories.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((path, links)) = cached
            && path == parent
        {
            return Ok(links.get(name).copied());
        }
        let links = Arc::new(self.links_of(parent)?);
        let found = links.get(name).copied();
        let mut cache = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        *cache = Some((parent.to_vec(), links));
        Ok(found)
    }

    fn links_of(&self, path: &[u8]) -> Result<Links, Error> {
        let missing = || Error::mismatch(path, "the directory's entry in the manifest", 0);
        let directory = self.find(path)?.ok_or_else(missing)?;
        let node = match (directory.kind, directory.runs.first()) {
            (EntryKind::Directory, Some(run)) => run.position,
            (EntryKind::Directory, None) => return Ok(Links::new()),
            _ => return Err(missing()),
        };
        let section = self.sections.head(node)?.ok_or_else(missing)?;
        let links = directory_links(self, &section.cid, &Limits::default())
            .map_err(|error| Error::new(ErrorKind::UnixFs(error), node))?;
        Ok(links.into_iter().map(|(name, link)| (name, link.cid)).collect())
    }
}
