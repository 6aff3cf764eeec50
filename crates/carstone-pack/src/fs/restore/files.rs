//! Restores files: under a name of no meaning until they are complete.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::file::NewFile;
use super::{Overwrite, RestoreError, RestoreEvent, RestoreObserver, Restorer, problems};
use crate::entry::{EntryKind, Metadata};
use crate::path::split_path;

impl Restorer {
    /// Restores a file from bytes that are known to be right; gives whether it is there.
    pub fn file(
        &self,
        path: &[u8],
        metadata: &Metadata,
        content: &[u8],
        told: &mut RestoreObserver,
    ) -> bool {
        let file = match self.start_small(path, metadata, told) {
            Ok(Some(file)) => file,
            Ok(None) => return false,
            Err(error) => {
                told(RestoreEvent::Problem { path: path.to_vec(), error });
                return false;
            }
        };
        if !content.is_empty()
            && let Err(error) = file.write_at(content, 0)
        {
            let error = RestoreError::system("write the file", error);
            told(RestoreEvent::Problem { path: path.to_vec(), error });
            return false;
        }
        self.place(file, metadata, content.len() as u64, told)
    }

    /// Starts a file of any length. `None` when it is skipped or cannot be created, which `told` has heard.
    pub fn create(
        &self,
        path: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> Option<NewFile> {
        self.start(path, metadata, None, told).unwrap_or_else(|error| {
            told(RestoreEvent::Problem { path: path.to_vec(), error });
            None
        })
    }

    /// Creates a file whose content is at hand. Whether something has its name already shows when the file is to get it, so that nobody
    /// need look before, unless this is usual here.
    fn start_small(
        &self,
        path: &[u8],
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> Result<Option<NewFile>, RestoreError> {
        let mode = self.dress.creation_mode(metadata);
        if self.options.overwrite == Overwrite::Never && !self.crowded.load(Ordering::Relaxed) {
            let Some(place) = self.place_of(path, told)? else { return Ok(None) };
            let (directory, _) = self.parent(place)?;
            if let Ok(file) = self.new_file(directory, path, place, mode) {
                return Ok(Some(file));
            }
            // Where nothing can be created the file may be there all the same, which is then what is told.
        }
        self.start(path, metadata, mode, told)
    }

    /// Looks at what is there, and creates a file.
    fn start(
        &self,
        path: &[u8],
        metadata: &Metadata,
        mode: Option<u32>,
        told: &mut RestoreObserver,
    ) -> Result<Option<NewFile>, RestoreError> {
        let Some(place) = self.place_of(path, told)? else { return Ok(None) };
        let Some(spot) = self.spot(path, place, metadata.mtime, told)? else { return Ok(None) };
        self.new_file(spot.directory, path, place, mode).map(Some)
    }

    fn new_file(
        &self,
        directory: Arc<File>,
        path: &[u8],
        place: &[u8],
        mode: Option<u32>,
    ) -> Result<NewFile, RestoreError> {
        let create = |directory| NewFile::create(directory, &self.names, path, place, mode);
        match create(Arc::clone(&directory)) {
            Err(error) if error.is_out_of_files() => {
                self.directories.forget(b"");
                create(directory)
            }
            done => done,
        }
    }

    /// Puts metadata on a file whose content is complete and verified, and gives it its name. `size` is for `told` only.
    pub fn place(
        &self,
        mut file: NewFile,
        metadata: &Metadata,
        size: u64,
        told: &mut RestoreObserver,
    ) -> bool {
        self.place_kept(&mut file, metadata, size, told)
    }

    /// The same, for a file whose handle is still of use.
    pub(in crate::fs) fn place_kept(
        &self,
        file: &mut NewFile,
        metadata: &Metadata,
        size: u64,
        told: &mut RestoreObserver,
    ) -> bool {
        let path = file.path().to_vec();
        self.tell(&path, EntryKind::File, size, told, |told| {
            let (kind, mode) = (EntryKind::File, !file.has_mode());
            self.dress.on_open(file.file(), kind, metadata, mode, &mut problems(&path, told));
            if self.options.sync {
                file.file().sync_all().map_err(|error| RestoreError::system("sync", error))?;
            }
            let Some(temporary) = file.temporary() else { return Ok(false) };
            let (_, name) = split_path(file.place()).unwrap_or_default();
            let placed = self.rename(file.directory(), temporary, name, file.place());
            let placed = self.unless_exists(placed, &path, told)?;
            if placed {
                file.named();
            }
            Ok(placed)
        })
    }
}
