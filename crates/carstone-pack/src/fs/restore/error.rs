//! Why an entry could not be restored.

use std::ops::Range;
use std::{error, fmt, io};

use carstone_car::Cid;

use crate::error::Error;
use crate::path::PathFault;

/// A fault in restoring one entry, or in setting up a restoration.
#[derive(Debug)]
pub struct RestoreError {
    kind: RestoreErrorKind,
}

/// The kinds of fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum RestoreErrorKind {
    /// The path cannot stand in a pack, so that it is not brought to a file system.
    BadPath(PathFault),
    /// Something on the way to the entry is no directory. Symlinks are never followed.
    NotADirectory {
        /// Where, below the target, escaped.
        at: String,
    },
    /// A directory that is not empty stands under the name.
    Occupied,
    /// The content cannot be read, or is not what the pack states.
    Content(Error),
    /// The blocks of a file do not give its content.
    Dag(carstone_unixfs::Error),
    /// The block that is the entry is not there.
    MissingBlock(Box<Cid>),
    /// A block that stands earlier in the stream could not be read back.
    LostBlock(Box<Cid>),
    /// The content of the entry that a hard link names is not to be had.
    LostOriginal {
        /// Its path, escaped.
        path: String,
    },
    /// Parts of the content are missing in a damaged pack.
    Incomplete {
        /// Bytes that it had. Where that is not known, its end is missing too.
        size: Option<u64>,
        /// The bytes that are missing; where the size is not known, those before the last byte that came.
        missing: Vec<Range<u64>>,
        /// The bytes of which there is something, but nothing that proves it: no hash of their own, no frame that is whole.
        unproved: Vec<Range<u64>>,
        /// What came is there, under the name with `.partial` behind it.
        kept: bool,
    },
    /// What came of an incomplete file stands under another name, since an entry has the one that it would have.
    PartialElsewhere {
        /// Where it stands below the target, escaped.
        place: String,
    },
    /// The entry is what a pack cannot hold.
    Unsupported(&'static str),
    /// The entry is restored, but some of its metadata is not.
    Metadata {
        /// What could not be set.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The system refused something.
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl RestoreError {
    pub(in crate::fs) fn new(kind: RestoreErrorKind) -> Self {
        Self { kind }
    }

    pub(in crate::fs) fn system(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self::new(RestoreErrorKind::System { doing, source: source.into() })
    }

    /// Nothing is kept of an entry of which this is missing.
    pub(in crate::fs) fn incomplete(size: Option<u64>, missing: Vec<Range<u64>>) -> Self {
        let unproved = Vec::new();
        Self::new(RestoreErrorKind::Incomplete { size, missing, unproved, kept: false })
    }

    /// What came of an entry is kept.
    pub(in crate::fs) fn kept(
        size: Option<u64>,
        missing: Vec<Range<u64>>,
        unproved: Vec<Range<u64>>,
    ) -> Self {
        Self::new(RestoreErrorKind::Incomplete { size, missing, unproved, kept: true })
    }

    pub(in crate::fs) fn metadata(what: &'static str, source: impl Into<io::Error>) -> Self {
        Self::new(RestoreErrorKind::Metadata { what, source: source.into() })
    }

    pub(in crate::fs) fn not_a_directory(at: &[u8]) -> Self {
        Self::new(RestoreErrorKind::NotADirectory { at: at.escape_ascii().to_string() })
    }

    /// What is wrong.
    pub fn kind(&self) -> &RestoreErrorKind {
        &self.kind
    }

    /// Whether the entry is there all the same, only some metadata is not.
    pub fn is_metadata(&self) -> bool {
        matches!(self.kind, RestoreErrorKind::Metadata { .. })
    }

    /// Whether the process has too many open files.
    pub(super) fn is_out_of_files(&self) -> bool {
        let limit = rustix::io::Errno::MFILE.raw_os_error();
        matches!(&self.kind, RestoreErrorKind::System { source, .. }
            if source.raw_os_error() == Some(limit))
    }

    /// The restore error inside an [`io::Error`], if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RestoreErrorKind::BadPath(fault) => write!(f, "the name {fault}"),
            RestoreErrorKind::NotADirectory { at } => {
                write!(f, "{at} is not a directory, and links are not followed")
            }
            RestoreErrorKind::Occupied => f.write_str("a directory that is not empty stands there"),
            RestoreErrorKind::Content(_) | RestoreErrorKind::Dag(_) => {
                f.write_str("cannot read its content")
            }
            RestoreErrorKind::MissingBlock(cid) => write!(f, "block {cid} is missing"),
            RestoreErrorKind::LostBlock(cid) => {
                write!(f, "block {cid} is gone from where it was written before")
            }
            RestoreErrorKind::Incomplete { size, missing, unproved, kept } => {
                tell_missing(missing, f)?;
                if size.is_none() && !missing.is_empty() {
                    f.write_str(", and its end")?;
                }
                if *kept {
                    f.write_str("; the rest is kept with .partial behind its name")?;
                }
                if let Some(first) = unproved.first() {
                    write!(f, ", where nothing proves the bytes from {} on", first.start)?;
                }
                Ok(())
            }
            RestoreErrorKind::PartialElsewhere { place } => {
                write!(
                    f,
                    "what is kept of an incomplete file is called {place}: an entry has its name"
                )
            }
            RestoreErrorKind::LostOriginal { path } => {
                write!(f, "the content of {path}, which it is another name of, is not there")
            }
            RestoreErrorKind::Unsupported(what) => f.write_str(what),
            RestoreErrorKind::Metadata { what, .. } => write!(f, "cannot set its {what}"),
            RestoreErrorKind::System { doing, .. } => write!(f, "cannot {doing}"),
        }
    }
}

impl error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            RestoreErrorKind::Content(source) => Some(source),
            RestoreErrorKind::Dag(source) => Some(source),
            RestoreErrorKind::Metadata { source, .. } | RestoreErrorKind::System { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

impl From<Error> for RestoreError {
    fn from(source: Error) -> Self {
        Self::new(RestoreErrorKind::Content(source))
    }
}

impl From<carstone_unixfs::Error> for RestoreError {
    fn from(source: carstone_unixfs::Error) -> Self {
        Self::new(RestoreErrorKind::Dag(source))
    }
}

impl From<PathFault> for RestoreError {
    fn from(fault: PathFault) -> Self {
        Self::new(RestoreErrorKind::BadPath(fault))
    }
}

impl From<RestoreError> for io::Error {
    fn from(error: RestoreError) -> Self {
        let kind = match &error.kind {
            RestoreErrorKind::System { source, .. } | RestoreErrorKind::Metadata { source, .. } => {
                source.kind()
            }
            RestoreErrorKind::Unsupported(_) => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The first few ranges, and how many more there are.
fn tell_missing(missing: &[Range<u64>], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SHOWN: usize = 4;
    if missing.is_empty() {
        return f.write_str("its end is missing");
    }
    f.write_str("missing bytes ")?;
    for (n, range) in missing.iter().take(SHOWN).enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        write!(f, "{comma}{}–{}", range.start, range.end.saturating_sub(1))?;
    }
    match missing.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more ranges"),
    }
}
