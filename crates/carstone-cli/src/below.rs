//! All files below a directory, in the order of their names.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::vec;

/// Regular files of a directory, those of a directory before those of the directories in it. Links are not followed.
pub(crate) struct Below {
    /// Directories that wait, the next one last.
    waiting: Vec<PathBuf>,
    /// Directories in the one at hand.
    inner: Vec<PathBuf>,
    entries: vec::IntoIter<PathBuf>,
}

/// What could not be looked at, and why.
pub(crate) type Unseen = (PathBuf, String);

impl Below {
    /// All files below `path`.
    pub(crate) fn of(path: &Path) -> Self {
        Self { waiting: vec![path.to_owned()], inner: Vec::new(), entries: Vec::new().into_iter() }
    }
}

impl Iterator for Below {
    type Item = Result<(PathBuf, Metadata), Unseen>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for entry in self.entries.by_ref() {
                match entry.symlink_metadata() {
                    Ok(metadata) if metadata.is_dir() => self.inner.push(entry),
                    Ok(metadata) if metadata.is_file() => return Some(Ok((entry, metadata))),
                    Ok(_) => {}
                    Err(error) => return Some(Err((entry, format!("cannot look at it: {error}")))),
                }
            }
            self.waiting.extend(self.inner.drain(..).rev());
            let path = self.waiting.pop()?;
            let entries = fs::read_dir(&path).and_then(|entries| {
                entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
            });
            match entries {
                Ok(mut entries) => {
                    entries.sort();
                    self.entries = entries.into_iter();
                }
                Err(error) => {
                    return Some(Err((path, format!("cannot read the directory: {error}"))));
                }
            }
        }
    }
}
