//! Whether everything in a repository is as it is to be.

mod hashes;
mod index;
mod refs;

use std::fmt;
use std::path::{Path, PathBuf};

use super::disk::What;
use super::layout::{DETACH, HASH, INDEX, LOCK, REF, STAGING};
use super::versions::Version;
use super::{Repository, Staging};
use crate::coordinate::Coordinate;
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

/// Something that is not as it is to be. Paths are relative to the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The file of a packet is damaged: its bytes are not those of its hash, or its signature is not one of its key.
    Damaged {
        /// The packet.
        hash: PacketHash,
        /// What is wrong, and where.
        error: Error,
    },
    /// The file of a packet has another size than it can have.
    WrongSize {
        /// The packet.
        hash: PacketHash,
        /// What is wrong, and where.
        error: Error,
    },
    /// The first line of a thin file is the markline of another packet.
    WrongMarkline {
        /// The packet.
        hash: PacketHash,
        /// What is wrong, and where.
        error: Error,
    },
    /// A packet has another one in it, of which there is no file.
    InnerMissing {
        /// The packet.
        hash: PacketHash,
        /// The one that is missing.
        inner: PacketHash,
    },
    /// A Plex that is not attached has a Blob of which nobody says that it was: storing stopped before the packet was there, or detaching at its last step. No fault.
    HalfStored {
        /// The packet.
        hash: PacketHash,
    },
    /// A packet that is attached, as its back-reference says, is not in the index.
    NotIndexed {
        /// The packet.
        hash: PacketHash,
    },
    /// An entry in the index speaks of a packet that is not there.
    DanglingIndex {
        /// Where.
        coordinate: Coordinate,
        /// What it speaks of.
        version: Version,
    },
    /// An entry in the index speaks of a packet of another coordinate, time or key.
    WrongIndex {
        /// Where.
        coordinate: Coordinate,
        /// What it speaks of.
        version: Version,
    },
    /// A back-reference speaks of a packet that is not there.
    StrayRef {
        /// Its path.
        path: PathBuf,
    },
    /// A back-reference speaks of a packet that does not have this one in it, or of another key.
    WrongRef {
        /// Its path.
        path: PathBuf,
    },
    /// A packet that is in the index has no back-reference.
    MissingRef {
        /// The packet.
        hash: PacketHash,
        /// The path that it is to have.
        path: PathBuf,
    },
    /// There is no link to the latest packet.
    MissingTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// The link to the latest packet leads to nothing.
    DanglingTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// The link to the latest packet leads to an older one, or something else is in its place.
    WrongTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// An empty file is where the link to the latest packet is to be: a tool that follows links has copied it.
    CopiedTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// A Blob is said to be detached, but attached packets have it, or it is the empty one.
    WrongRecord {
        /// The Blob.
        blob: PacketHash,
    },
    /// A Blob that is said to be detached is not there any more: collecting stopped before its end. No fault.
    HalfCollected {
        /// The Blob.
        blob: PacketHash,
    },
    /// A writer has left something behind.
    Leftover {
        /// Its path.
        path: PathBuf,
    },
    /// A directory of the index or of back-references has nothing in it.
    EmptyDirectory {
        /// Its path.
        path: PathBuf,
    },
    /// Something that is not of a repository.
    Foreign {
        /// Its path.
        path: PathBuf,
    },
}

impl Finding {
    /// Whether it is a fault: all else has come of something that stopped before its end, takes room, and does no harm.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::HalfStored { .. }
                | Self::HalfCollected { .. }
                | Self::Leftover { .. }
                | Self::EmptyDirectory { .. }
                | Self::Foreign { .. }
        )
    }

    /// Its name, in small letters and with hyphens.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "damaged",
            Self::WrongSize { .. } => "wrong-size",
            Self::WrongMarkline { .. } => "wrong-markline",
            Self::InnerMissing { .. } => "inner-missing",
            Self::HalfStored { .. } => "half-stored",
            Self::NotIndexed { .. } => "not-indexed",
            Self::DanglingIndex { .. } => "dangling-index",
            Self::WrongIndex { .. } => "wrong-index",
            Self::StrayRef { .. } => "stray-ref",
            Self::WrongRef { .. } => "wrong-ref",
            Self::MissingRef { .. } => "missing-ref",
            Self::MissingTip { .. } => "missing-tip",
            Self::DanglingTip { .. } => "dangling-tip",
            Self::WrongTip { .. } => "wrong-tip",
            Self::CopiedTip { .. } => "copied-tip",
            Self::WrongRecord { .. } => "wrong-record",
            Self::HalfCollected { .. } => "half-collected",
            Self::Leftover { .. } => "leftover",
            Self::EmptyDirectory { .. } => "empty-directory",
            Self::Foreign { .. } => "foreign",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Damaged { hash, error }
            | Self::WrongSize { hash, error }
            | Self::WrongMarkline { hash, error } => write!(f, "{hash}: {error}"),
            Self::InnerMissing { hash, inner } => write!(f, "{hash} has {inner}"),
            Self::HalfStored { hash } | Self::NotIndexed { hash } => hash.fmt(f),
            Self::WrongRecord { blob } | Self::HalfCollected { blob } => blob.fmt(f),
            Self::DanglingIndex { coordinate, version }
            | Self::WrongIndex { coordinate, version } => {
                version.address(coordinate.clone()).fmt(f)
            }
            Self::StrayRef { path }
            | Self::WrongRef { path }
            | Self::MissingRef { path, .. }
            | Self::MissingTip { path, .. }
            | Self::DanglingTip { path, .. }
            | Self::WrongTip { path, .. }
            | Self::CopiedTip { path, .. }
            | Self::Leftover { path }
            | Self::EmptyDirectory { path }
            | Self::Foreign { path } => path.display().fmt(f),
        }
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
        let _lock = (!self.is_read_only()).then(|| self.lock()).transpose()?;
        let mut tell = |finding: &Finding, _| tell(finding);
        self.checker(options.verify, None, &mut tell).all()
    }

    pub(super) fn checker<'a>(
        &'a self,
        verify: bool,
        staging: Option<&'a Staging<'a>>,
        tell: &'a mut dyn FnMut(&Finding, bool),
    ) -> Checker<'a> {
        Checker { repository: self, verify, staging, tell, checked: Checked::default() }
    }
}

/// A check that is under way.
pub(super) struct Checker<'a> {
    repository: &'a Repository,
    verify: bool,
    /// What findings are mended with, at once, so that what comes later finds things as they are then.
    staging: Option<&'a Staging<'a>>,
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
        let mended = match self.staging {
            Some(staging) => self.repository.mend(staging, &finding)?,
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
        Ok(self.look(&super::layout::hash_file(hash))?.is_some())
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

/// What a thin file says; `None` where it is not there, and damage, which is told elsewhere, as an error.
fn there<T>(read: Result<T>) -> Option<Result<T>> {
    match read {
        Err(error) if *error.kind() == crate::ErrorKind::NotFound => None,
        read => Some(read),
    }
}
