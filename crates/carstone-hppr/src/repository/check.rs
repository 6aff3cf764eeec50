//! Whether everything in a repository is as it is to be.

mod finding;
mod hashes;
mod index;
mod refs;

use std::path::Path;

pub use self::finding::Finding;
use super::Repository;
use super::disk::What;
use super::layout::{DETACH, HASH, INDEX, LOCK, REF, STAGING};
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::text::{PacketHash, PacketKind};

/// How a repository is checked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Whether all bytes are read and verified. Otherwise headers are read, and what can be told without data. Default: yes.
    pub verify: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { verify: true }
    }
}

impl CheckOptions {
    /// Sets whether all bytes are read and verified.
    #[must_use]
    pub fn verify(mut self, yes: bool) -> Self {
        self.verify = yes;
        self
    }
}

/// What has been checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Files of packets.
    pub packets: u64,
    /// Entries in the index.
    pub entries: u64,
    /// Findings that are faults.
    pub faults: u64,
    /// Findings that are none.
    pub notes: u64,
    /// Findings that have been mended.
    pub mended: u64,
}

impl Repository {
    /// Checks all of the repository, and tells each finding. Memory does not grow with it, but with what is at one coordinate. Other writers wait meanwhile, and readers do not;
    /// where the repository is opened to be read only, what others write meanwhile may be told.
    ///
    /// # Errors
    /// A directory cannot be read. What is wrong with a file is a finding.
    pub fn check(&self, options: &CheckOptions, tell: &mut dyn FnMut(&Finding)) -> Result<Checked> {
        let _lock = match self.is_read_only() {
            false => Some(self.lock()?),
            true => self.lock_as_reader(),
        };
        let mut tell = |finding: &Finding, _| tell(finding);
        self.checker(options.verify, None, &mut tell).all()
    }

    pub(super) fn checker<'a>(
        &'a self,
        verify: bool,
        writer: Option<Writer<'a>>,
        tell: &'a mut dyn FnMut(&Finding, bool),
    ) -> Checker<'a> {
        Checker { repository: self, verify, writer, tell, checked: Checked::default() }
    }
}

/// A check that is under way.
pub(super) struct Checker<'a> {
    repository: &'a Repository,
    verify: bool,
    /// What findings are mended with, at once, so that what comes later finds things as they are then.
    writer: Option<Writer<'a>>,
    tell: &'a mut dyn FnMut(&Finding, bool),
    checked: Checked,
}

impl Checker<'_> {
    /// Packets first, then what attaches them, then the index with its tips: whatever is mended is what the next needs.
    pub(super) fn all(mut self) -> Result<Checked> {
        for (name, what) in self.repository.listed(Path::new(""))? {
            let is_ours = [HASH, REF, INDEX, DETACH, STAGING].contains(&name.as_str());
            if !is_ours || what != What::Directory {
                self.foreign(Path::new(""), &name)?;
            }
        }
        let staging = Path::new(STAGING);
        for (name, _) in self.repository.listed(staging)? {
            if name != LOCK {
                self.found(Finding::Leftover { path: staging.join(name) })?;
            }
        }
        self.hashes()?;
        self.refs()?;
        self.index()?;
        self.records()?;
        Ok(self.checked)
    }

    fn records(&mut self) -> Result<()> {
        let directory = Path::new(DETACH);
        for (name, what) in self.repository.listed(directory)? {
            let blob =
                name.parse().ok().filter(|hash: &PacketHash| hash.kind() == PacketKind::Blob);
            match (blob, what) {
                (Some(blob), What::File(_)) => {
                    let is_empty = name == super::layout::EMPTY_BLOB;
                    if is_empty || self.has_refs(&blob)? {
                        self.found(Finding::WrongRecord { blob })?;
                    } else if !self.is_there(&blob)? {
                        self.found(Finding::HalfCollected { blob })?;
                    }
                }
                _ => self.foreign(directory, &name)?,
            }
        }
        Ok(())
    }

    /// Tells a finding, which is mended first if that is asked for and can be done.
    fn found(&mut self, finding: Finding) -> Result<()> {
        let mended = match &mut self.writer {
            Some(writer) => match self.repository.mend(writer, &finding) {
                // Something else has the name of what would be made, and is not ours to remove.
                Err(error) if is_in_the_way(&error) => false,
                mended => mended?,
            },
            None => false,
        };
        self.checked.mended += u64::from(mended);
        match finding.is_fault() {
            true => self.checked.faults += 1,
            false => self.checked.notes += 1,
        }
        (self.tell)(&finding, mended);
        Ok(())
    }

    fn foreign(&mut self, directory: &Path, name: &str) -> Result<()> {
        self.found(Finding::Foreign { path: directory.join(name) })
    }

    /// Whether a directory of which this was listed is empty, now that what was in it has been mended.
    fn empty(&mut self, directory: &Path, listed: bool, mended_before: u64) -> Result<()> {
        let is_empty = match self.checked.mended == mended_before {
            true => listed,
            false => {
                let path = self.repository.path(directory);
                let what = self.repository.disk().look(&path);
                what.map_err(self.repository.failed(&path))?.is_some()
                    && self.repository.listed(directory)?.is_empty()
            }
        };
        match is_empty {
            true => self.found(Finding::EmptyDirectory { path: directory.to_owned() }),
            false => Ok(()),
        }
    }

    /// What has this path.
    fn look(&self, relative: &Path) -> Result<Option<What>> {
        let path = self.repository.path(relative);
        self.repository.disk().look(&path).map_err(self.repository.failed(&path))
    }

    fn is_file(&self, relative: &Path) -> Result<bool> {
        Ok(matches!(self.look(relative)?, Some(What::File(_))))
    }

    fn is_there(&self, hash: &PacketHash) -> Result<bool> {
        self.is_file(&super::layout::hash_file(hash))
    }

    /// Whether attached packets have this one in them.
    fn has_refs(&self, inner: &PacketHash) -> Result<bool> {
        let directory = super::layout::ref_directory(inner);
        for (name, what) in self.repository.listed(&directory)? {
            if name.parse::<PacketHash>().is_err() {
                continue;
            }
            match what {
                What::File(_) => return Ok(true),
                // Of a Plex: the names of keys are in it.
                What::Directory if !self.repository.listed(&directory.join(name))?.is_empty() => {
                    return Ok(true);
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Whether it says that a directory is where a file is to be, or the other way round.
fn is_in_the_way(error: &Error) -> bool {
    use std::io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
    let kinds = [AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory];
    matches!(error.kind(), crate::ErrorKind::Io(kind) if kinds.contains(kind))
}

/// What a thin file says; `None` where it is not there, and damage, which is told elsewhere, as an error.
fn there<T>(read: Result<T>) -> Option<Result<T>> {
    match read {
        Err(error) if *error.kind() == crate::ErrorKind::NotFound => None,
        read => Some(read),
    }
}
