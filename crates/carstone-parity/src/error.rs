//! What can be wrong with parity, and where.

use std::{error, fmt, io};

/// A fault of parity or of what it protects.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    at: u64,
}

/// The kinds of fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source or the target failed.
    Io(io::Error),
    /// No frame of parity was found, or none that says what is protected.
    NoParity,
    /// A field has a value that the format does not allow.
    BadField(&'static str),
    /// A version that this reader does not know.
    Unknown {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// A length is over the limit.
    TooLong {
        /// Which length.
        what: &'static str,
        /// The length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Too little is found of the stream that was protected. So it is another, or damaged so much that nothing would tell it from another.
    Foreign {
        /// Cells that were found or corrected.
        found: u64,
        /// Cells that the table tells, as far as it is left: no other one can be found.
        known: u64,
        /// Cells that would have to be found; where that is more than are known, too little is left of the stream and of its parity together.
        wanted: u64,
    },
    /// The stream changed while it was protected.
    Changed,
}

impl Error {
    /// A fault at byte `at` of the stream or the parity, whichever the kind is about.
    pub(crate) fn new(kind: ErrorKind, at: u64) -> Self {
        Self { kind, at }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Offset in bytes.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The error inside an [`io::Error`], if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Io(_) => write!(f, "cannot read or write at byte {}", self.at),
            ErrorKind::NoParity => write!(f, "no parity that says what it protects was found"),
            ErrorKind::BadField(what) => {
                write!(
                    f,
                    "{what} of the parity at byte {} has a value that is not allowed",
                    self.at
                )
            }
            ErrorKind::Unknown { what, value } => {
                write!(f, "{what} {value} of the parity at byte {} needs a newer carstone", self.at)
            }
            ErrorKind::TooLong { what, len, limit } => {
                write!(f, "{what} has {len} bytes; the limit is {limit}")
            }
            ErrorKind::Foreign { known: 0, .. } => write!(
                f,
                "the parity is of another stream, or too little of it is left: nothing tells its cells, and more are lost than can be restored"
            ),
            ErrorKind::Foreign { found, known, wanted } => write!(
                f,
                "the parity is of another stream, or too little of it is left: of {known} cells that it tells {found} are found, {wanted} would have to be"
            ),
            ErrorKind::Changed => write!(f, "the stream changed while it was protected"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.kind {
            ErrorKind::Io(error) => error.kind(),
            ErrorKind::TooLong { .. } => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorKind::Io(error), 0)
    }
}
