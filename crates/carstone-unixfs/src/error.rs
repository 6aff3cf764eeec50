//! What can go wrong, and in which block.

use std::error::Error as StdError;
use std::{fmt, io};

use carstone_car::Cid;
use carstone_car::dag::DagError;

use crate::name::NameFault;
use crate::profile::Profile;

/// A failure to build or read a DAG. [`kind`](Self::kind) tells what, [`cid`](Self::cid) and
/// [`offset`](Self::offset) tell where.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    cid: Option<Cid>,
    at: u64,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The block source failed; `source()` has the cause.
    Io(io::Error),
    /// A block that is needed here is not in the source.
    Missing,
    /// The source has the block, but its bytes are not those of its CID, or nobody can tell; `source()` has the
    /// cause and the place.
    Damaged(carstone_car::Error),
    /// The block is not what dag-pb and UnixFS allow; the text names the rule.
    Malformed(&'static str),
    /// A shard states a fanout that is no power of two from 8 to the limit.
    BadFanout(u64),
    /// Two names of one directory share all bits of their hash: a sharded directory cannot hold both.
    HashCollision,
    /// Entries of a sharded directory did not come in the order of their hashes.
    OutOfOrder,
    /// No published profile has this name.
    UnknownProfile(String),
    /// The text names no chunker.
    BadChunker(String),
    /// No layout has this name.
    UnknownLayout(String),
    /// No function that can hash blocks has this multihash code.
    UnknownHash(u64),
    /// A setting has a value that it cannot have.
    BadSetting {
        /// Which setting.
        what: &'static str,
        /// The value.
        value: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// A name cannot stand in a directory.
    BadName(NameFault),
    /// The directory has this name already.
    DuplicateName,
    /// The content of a child is not as long as its parent says.
    SizeMismatch {
        /// Bytes according to the parent.
        expected: u64,
        /// Bytes according to the child.
        actual: u64,
    },
    /// Sizes add up to more than 2⁶⁴ − 1.
    TooLarge,
    /// The block is not the root or an inner node of a file.
    NotAFile,
    /// The block is not a directory.
    NotADirectory,
    /// The path names nothing in the tree.
    NoSuchEntry,
    /// The text is no range of bytes, or no byte of the range is in the file.
    BadRange(String),
    /// Links below a block cannot be followed; `source()` has the cause and the place.
    Dag(DagError),
    /// A budget of [`Limits`](crate::Limits) is used up; the text names the field.
    Limit(&'static str),
    /// An earlier call failed, so that the tree has a hole.
    Broken,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, cid: None, at: 0 }))
    }

    pub(crate) fn malformed(rule: &'static str, at: usize) -> Self {
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        Self(Box::new(Inner { kind: ErrorKind::Malformed(rule), cid: None, at }))
    }

    pub(crate) fn setting(what: &'static str, value: usize, rule: &'static str) -> Self {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        Self::new(ErrorKind::BadSetting { what, value, rule })
    }

    /// Names the block, unless a deeper place has named its own.
    pub(crate) fn within(mut self, cid: &Cid) -> Self {
        self.0.cid.get_or_insert(*cid);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The block it went wrong in or for, if there is one.
    pub fn cid(&self) -> Option<&Cid> {
        self.0.cid.as_ref()
    }

    /// The byte of that block; 0 where the whole block is meant.
    pub fn offset(&self) -> u64 {
        self.0.at
    }

    /// The error of this crate that rides inside `error`, if there is one.
    pub fn of(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.kind, &self.0.cid) {
            (ErrorKind::Malformed(_), Some(cid)) => {
                write!(f, "byte {} of block {cid}: ", self.0.at)?
            }
            (ErrorKind::Damaged(_) | ErrorKind::Dag(_), _) => {} // The cause names it.
            (_, Some(cid)) => write!(f, "block {cid}: ")?,
            (ErrorKind::Malformed(_), None) => write!(f, "byte {} of a block: ", self.0.at)?,
            _ => {}
        }
        match &self.0.kind {
            ErrorKind::Io(_) => f.write_str("cannot read a block"), // The cause is in `source()`.
            ErrorKind::Missing => f.write_str("the block is missing"),
            ErrorKind::Damaged(_) => f.write_str("cannot use a block"), // So is this.
            ErrorKind::Malformed(rule) => f.write_str(rule),
            ErrorKind::BadFanout(slots) => write!(f, "fanout {slots} is not allowed"),
            ErrorKind::HashCollision => {
                f.write_str("two names have the same hash and cannot be sharded")
            }
            ErrorKind::OutOfOrder => {
                f.write_str("entries of a sharded directory must come in the order of their hashes")
            }
            ErrorKind::UnknownProfile(name) => {
                write!(f, "no profile is called {name:?}; there are {}", Profile::NAMES.join(", "))
            }
            ErrorKind::BadChunker(text) => {
                write!(
                    f,
                    "{text:?} names no chunker; there are fixed:SIZE and fastcdc:SIZE, with SIZE in bytes, or with K or M"
                )
            }
            ErrorKind::UnknownLayout(name) => {
                write!(f, "no layout is called {name:?}; there are balanced and trickle")
            }
            ErrorKind::UnknownHash(code) => {
                write!(f, "no hash function for blocks has the multihash code {code:#x}")
            }
            ErrorKind::BadSetting { what, value, rule } => write!(f, "{what} {value} {rule}"),
            ErrorKind::BadName(fault) => {
                write!(f, "a directory entry cannot have this name: {fault}")
            }
            ErrorKind::DuplicateName => f.write_str("the directory has this name already"),
            ErrorKind::SizeMismatch { expected, actual } => {
                write!(f, "content has {actual} bytes where its parent says {expected}")
            }
            ErrorKind::TooLarge => f.write_str("sizes add up to more than 64 bits can hold"),
            ErrorKind::NotAFile => f.write_str("not a file"),
            ErrorKind::NotADirectory => f.write_str("not a directory"),
            ErrorKind::NoSuchEntry => f.write_str("the path names nothing in the tree"),
            ErrorKind::BadRange(range) => write!(
                f,
                "{range}: not a range of bytes FROM:TO, TO being * at the end, or none of it is there"
            ),
            ErrorKind::Dag(_) => f.write_str("cannot follow links"),
            ErrorKind::Limit(field) => write!(f, "the limit on {field} is reached"),
            ErrorKind::Broken => f.write_str("cannot go on after an earlier failure"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            ErrorKind::Io(cause) => Some(cause),
            ErrorKind::Damaged(cause) => Some(cause),
            ErrorKind::Dag(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    /// Takes out the error of this crate where `error` carries one, and that of a damaged block.
    fn from(error: io::Error) -> Self {
        let foreign = match error.downcast::<Error>() {
            Ok(own) => return own,
            Err(foreign) => foreign,
        };
        match foreign.downcast::<carstone_car::Error>() {
            Ok(cause) if matches!(cause.kind(), carstone_car::ErrorKind::Io(_)) => {
                Self::new(ErrorKind::Io(cause.into()))
            }
            Ok(cause) => Self::new(ErrorKind::Damaged(cause)),
            Err(foreign) => Self::new(ErrorKind::Io(foreign)),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.0.kind {
            ErrorKind::Io(cause) => cause.kind(),
            ErrorKind::Missing | ErrorKind::NoSuchEntry => io::ErrorKind::NotFound,
            ErrorKind::BadName(_) | ErrorKind::DuplicateName | ErrorKind::HashCollision => {
                io::ErrorKind::InvalidInput
            }
            ErrorKind::NotADirectory => io::ErrorKind::NotADirectory,
            ErrorKind::NotAFile
            | ErrorKind::OutOfOrder
            | ErrorKind::UnknownProfile(_)
            | ErrorKind::BadChunker(_)
            | ErrorKind::BadRange(_)
            | ErrorKind::UnknownLayout(_)
            | ErrorKind::UnknownHash(_)
            | ErrorKind::BadSetting { .. } => io::ErrorKind::InvalidInput,
            ErrorKind::Broken => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
