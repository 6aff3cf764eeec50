//! What can be wrong with a pack, and where.

use std::{error, fmt, io};

use crate::path::PathFault;

/// A fault in a pack, or in how it is written or read.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    at: u64,
}

/// The kinds of fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream below failed.
    Io(io::Error),
    /// The CAR stream is not valid, or a block does not hash to its CID.
    Car(carstone_car::Error),
    /// A UnixFS node is not valid.
    UnixFs(carstone_unixfs::Error),
    /// The CAR stream holds no tail record where one should be.
    NoTail,
    /// A record breaks a rule of the format.
    BadRecord(&'static str),
    /// A record uses a key or a version that this reader must know and does not.
    Newer(String),
    /// A path cannot stand in a pack.
    BadPath {
        /// The path, escaped.
        path: String,
        /// The rule it breaks.
        fault: PathFault,
    },
    /// Content does not match what a record says of it.
    Mismatch {
        /// Path of the entry, escaped.
        path: String,
        /// What does not match.
        what: &'static str,
    },
    /// A block that an entry needs is not in the pack.
    MissingBlock {
        /// Path of the entry, escaped; empty where a CID was asked for.
        path: String,
        /// The block.
        cid: Box<carstone_car::Cid>,
    },
    /// The pack ends before an entry does.
    Unfinished {
        /// Path of the entry, escaped.
        path: String,
    },
    /// The caller used a closed or unknown entry.
    NoSuchEntry,
    /// A pattern is not a glob.
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The caller asked to stop.
    Cancelled,
    /// A pack cannot hold what the profile asks for; a plain CAR can.
    PlainOnly(&'static str),
    /// The root was to be a file, and there are so many entries, or a directory.
    NotOneFile(u64),
    /// A size or a number is over the limit.
    Limit {
        /// Which.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl Error {
    /// A fault of `kind` at byte `at` of the CAR stream.
    pub fn new(kind: ErrorKind, at: u64) -> Self {
        Self { kind, at }
    }

    pub(crate) fn mismatch(path: &[u8], what: &'static str, at: u64) -> Self {
        Self::new(ErrorKind::Mismatch { path: path.escape_ascii().to_string(), what }, at)
    }

    pub(crate) fn bad_path(path: &[u8], fault: PathFault, at: u64) -> Self {
        Self::new(ErrorKind::BadPath { path: path.escape_ascii().to_string(), fault }, at)
    }

    /// A failure to read the CAR stream at `at`.
    pub fn io(source: io::Error, at: u64) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => Self::new(ErrorKind::Io(source), at),
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Offset in bytes, in the CAR stream.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The carstone error inside an [`io::Error`], if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match &self.kind {
            ErrorKind::Io(_) => write!(f, "cannot read the pack's content at byte {at}"),
            ErrorKind::Car(_) => write!(f, "the pack's CAR stream is damaged at byte {at}"),
            ErrorKind::UnixFs(_) if at == 0 => f.write_str("cannot read the DAG"),
            ErrorKind::UnixFs(_) => write!(f, "UnixFS node at byte {at} is not valid"),
            ErrorKind::NoTail => write!(f, "no tail record at byte {at}"),
            ErrorKind::BadRecord(rule) => write!(f, "record at byte {at}: {rule}"),
            ErrorKind::Newer(what) => write!(f, "{what} at byte {at} needs a newer carstone"),
            ErrorKind::BadPath { path, fault } if at == 0 => write!(f, "name {path:?} {fault}"),
            ErrorKind::BadPath { path, fault } => write!(f, "name {path:?} at byte {at} {fault}"),
            ErrorKind::Mismatch { path, what } => {
                write!(f, "{path}: {what} does not match what the pack states at byte {at}")
            }
            ErrorKind::MissingBlock { path, cid } if path.is_empty() => {
                write!(f, "block {cid} is not in the pack")
            }
            ErrorKind::MissingBlock { path, cid } => {
                write!(f, "{path}: block {cid}, needed at byte {at}, is not in the pack")
            }
            ErrorKind::Unfinished { path } => {
                write!(f, "{path}: the pack stops at byte {at}, before the end of this entry")
            }
            ErrorKind::NoSuchEntry => f.write_str("the entry is closed or was never opened"),
            ErrorKind::BadPattern { pattern, why } => write!(f, "pattern {pattern:?}: {why}"),
            ErrorKind::Cancelled => f.write_str("stopped on request"),
            ErrorKind::PlainOnly(what) => {
                write!(f, "a pack holds no {what}; a plain CAR takes every profile")
            }
            ErrorKind::NotOneFile(entries) => {
                write!(f, "one file alone can be the root: there are {entries} entries")
            }
            ErrorKind::Limit { what, limit } => {
                write!(f, "{what} at byte {at} is over the limit of {limit}")
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(source) => Some(source),
            ErrorKind::Car(source) => Some(source),
            ErrorKind::UnixFs(source) => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.kind {
            ErrorKind::Io(source) => source.kind(),
            ErrorKind::Unfinished { .. } | ErrorKind::NoTail => io::ErrorKind::UnexpectedEof,
            ErrorKind::Newer(_) => io::ErrorKind::Unsupported,
            ErrorKind::NoSuchEntry
            | ErrorKind::BadPattern { .. }
            | ErrorKind::PlainOnly(_)
            | ErrorKind::NotOneFile(_) => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::io(source, 0)
    }
}

impl From<carstone_car::Error> for Error {
    fn from(source: carstone_car::Error) -> Self {
        let at = source.offset().unwrap_or_default();
        Self::new(ErrorKind::Car(source), at)
    }
}
