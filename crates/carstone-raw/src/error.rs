//! What can be wrong with a container, and where.

use std::{error, fmt, io};

/// A fault in a container header, a trailer or an appendix.
///
/// Offsets count from the first byte of the pack, not of the file it stands in.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    at: u64,
}

/// The kinds of fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source failed.
    Io(io::Error),
    /// There is not a single byte.
    Empty,
    /// The first bytes are not those of a pack.
    NotAPack,
    /// A pack starts here, but ends inside its header.
    ShortHeader {
        /// Bytes that are there.
        len: u64,
    },
    /// The header does not match its checksums.
    HeaderDamaged,
    /// No trailer stands at the end: the pack was cut, or never finished.
    TrailerMissing,
    /// A trailer stands at the end, but does not match its checksums.
    TrailerDamaged,
    /// Header and trailer do not agree.
    Differ {
        /// The first field in which they differ.
        field: &'static str,
    },
    /// The trailer states another length than the pack has.
    StoredLength {
        /// Bytes from header to trailer, both included, as the trailer states them.
        stated: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The footer of an appendix does not match its checksum.
    AppendixDamaged,
    /// No appendix starts where the footer of one says.
    AppendixLength {
        /// The length in bytes that the footer states.
        stated: u64,
    },
    /// More appendices than a reader steps over.
    TooManyAppendices,
    /// A field has a value that the format does not allow.
    BadField(&'static str),
    /// A version, feature, layer or algorithm that this reader does not know.
    Unknown {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u64,
    },
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, at: u64) -> Self {
        Self { kind, at }
    }

    pub(crate) fn io(source: io::Error, at: u64) -> Self {
        Self::new(ErrorKind::Io(source), at)
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Where, in bytes from the start of the pack.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The same fault, `by` bytes further on.
    #[must_use]
    pub(crate) fn moved(mut self, by: u64) -> Self {
        self.at = self.at.saturating_add(by);
        self
    }

    /// The error of this crate inside an [`io::Error`], if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match &self.kind {
            ErrorKind::Io(_) => write!(f, "cannot read the pack at byte {at}"),
            ErrorKind::Empty => f.write_str("not a pack: there is nothing at all"),
            ErrorKind::NotAPack => write!(f, "not a pack: no container header at byte {at}"),
            ErrorKind::ShortHeader { len } => {
                write!(f, "pack stops after {len} bytes, inside its container header")
            }
            ErrorKind::HeaderDamaged => {
                write!(f, "container header at byte {at} does not match its checksums")
            }
            ErrorKind::TrailerMissing => {
                write!(f, "pack stops at byte {at} without a container trailer")
            }
            ErrorKind::TrailerDamaged => {
                write!(f, "container trailer at byte {at} does not match its checksums")
            }
            ErrorKind::Differ { field } => {
                write!(f, "container trailer states another {field} at byte {at} than the header")
            }
            ErrorKind::StoredLength { stated, found } => write!(
                f,
                "container trailer at byte {at} states a pack of {stated} bytes, but it has {found}"
            ),
            ErrorKind::AppendixDamaged => {
                write!(f, "appendix footer at byte {at} does not match its checksum")
            }
            ErrorKind::AppendixLength { stated } => write!(
                f,
                "appendix footer at byte {at} states {stated} bytes, but no appendix starts there"
            ),
            ErrorKind::TooManyAppendices => {
                write!(f, "more appendices before byte {at} than the limit of 64")
            }
            ErrorKind::BadField(what) => write!(f, "{what} at byte {at} is not valid"),
            ErrorKind::Unknown { what, value } => {
                write!(f, "{what} {value:#x} at byte {at} needs a newer carstone")
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(source) => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.kind {
            ErrorKind::Io(source) => source.kind(),
            ErrorKind::Empty | ErrorKind::ShortHeader { .. } | ErrorKind::TrailerMissing => {
                io::ErrorKind::UnexpectedEof
            }
            ErrorKind::Unknown { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => Self::io(source, 0),
        }
    }
}
