//! Names of files that are not complete: none is that of an entry.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::file::NewFile;
use super::{
    RestoreError, RestoreErrorKind, RestoreEvent, RestoreObserver, Restorer, names, problems,
};
use crate::entry::{EntryKind, Metadata};
use crate::path::split_path;

/// What has a name that ends in `.partial`.
#[derive(Default)]
pub(super) struct Partials(Mutex<Names>);

#[derive(Default)]
struct Names {
    /// Places of entries.
    entries: HashSet<Vec<u8>>,
    /// Places of files that are not complete.
    kept: HashSet<Vec<u8>>,
}

impl Restorer {
    /// Gives a file that is not complete its name with `.partial` behind it, more than once where an entry has that name; gives whether it has
    /// it. An error is told.
    pub(in crate::fs) fn place_partial(
        &self,
        file: &mut NewFile,
        metadata: &Metadata,
        told: &mut RestoreObserver,
    ) -> bool {
        let path = file.path().to_vec();
        let (kind, mode) = (EntryKind::File, !file.has_mode());
        self.dress.on_open(file.file(), kind, metadata, mode, &mut problems(&path, told));
        let Some(temporary) = file.temporary() else { return false };
        let mut names = self.partials.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = [file.place(), PARTIAL].concat();
        let place = names.free(first.clone());
        let (_, name) = split_path(&place).unwrap_or_default();
        let placed = self.rename(file.directory(), temporary, name, &place);
        match self.unless_exists(placed, &[&path, PARTIAL].concat(), told) {
            Ok(true) => {
                if place != first {
                    told(moved(&path, &place));
                }
                names.kept.insert(place.clone());
                file.rename_place(|own| *own = place);
                file.named();
                true
            }
            Ok(false) => false,
            Err(error) => {
                told(RestoreEvent::Problem { path, error });
                false
            }
        }
    }

    /// Takes the name for an entry of which nothing comes.
    pub(in crate::fs) fn claim(&self, path: &[u8], told: &mut RestoreObserver) {
        if let Some(place) = self.stripped(path) {
            self.make_way(place, told);
        }
    }

    /// Takes the name for an entry: what is not complete and has it gets another one.
    pub(super) fn make_way(&self, place: &[u8], told: &mut RestoreObserver) {
        if !place.ends_with(PARTIAL) {
            return;
        }
        let mut names = self.partials.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.entries.insert(place.to_vec());
        if !names.kept.remove(place) {
            return;
        }
        let mut to = names.free([place, PARTIAL].concat());
        let ((parent, from), path) = (split_path(place).unwrap_or_default(), place);
        let moving = self.directories.open(parent).and_then(|directory| {
            loop {
                let (_, name) = split_path(&to).unwrap_or_default();
                match names::rename_new(&directory, from, name) {
                    Err(Errno::EXIST) => to.extend_from_slice(PARTIAL),
                    done => {
                        break done
                            .map_err(|error| RestoreError::system("give it another name", error));
                    }
                }
            }
        });
        match moving {
            Ok(()) => {
                told(moved(path, &to));
                names.kept.insert(to);
            }
            Err(error) => told(RestoreEvent::Problem { path: path.to_vec(), error }),
        }
    }
}

impl Names {
    /// The first name that is neither that of an entry nor of another file that is not complete.
    fn free(&self, mut place: Vec<u8>) -> Vec<u8> {
        while self.entries.contains(&place) || self.kept.contains(&place) {
            place.extend_from_slice(PARTIAL);
        }
        place
    }
}

fn moved(path: &[u8], place: &[u8]) -> RestoreEvent {
    let place = place.escape_ascii().to_string();
    let error = RestoreError::new(RestoreErrorKind::PartialElsewhere { place });
    RestoreEvent::Problem { path: path.to_vec(), error }
}

/// What the name of a file that is not complete ends in.
const PARTIAL: &[u8] = b".partial";
