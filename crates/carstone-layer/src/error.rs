//! What can be wrong with a frame, and where.

use std::{error, fmt, io};

/// A fault in a frame or in the stream that carries it.
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
    /// The stream ends inside a structure.
    Truncated,
    /// No frame starts here.
    BadMagic,
    /// The frame header does not match its CRC-32C.
    BadHeaderSum,
    /// The payload does not match its CRC-64 or digest.
    BadPayload,
    /// A field has a value that the format does not allow.
    BadField(&'static str),
    /// A version, layer, codec or kind that this reader does not know.
    Unknown {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// The frame carries the id of another pack.
    Foreign,
    /// A length is over the limit.
    TooLong {
        /// Which length.
        what: &'static str,
        /// The stated length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A worker thread panicked, so that its result is lost.
    WorkerLost,
}

impl Error {
    /// A fault at byte `at` of the stream that the text of the caller names.
    pub fn new(kind: ErrorKind, at: u64) -> Self {
        Self { kind, at }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Offset in bytes, in the stream that was read.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The same fault, `by` bytes further on.
    #[must_use]
    pub fn moved(mut self, by: u64) -> Self {
        self.at = self.at.saturating_add(by);
        self
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
            ErrorKind::Io(_) => write!(f, "cannot read at byte {at}"),
            ErrorKind::Truncated => write!(f, "stream stops at byte {at}, inside a frame"),
            ErrorKind::BadMagic => write!(f, "no frame starts at byte {at}"),
            ErrorKind::BadHeaderSum => {
                write!(f, "frame header at byte {at} does not match its checksum")
            }
            ErrorKind::BadPayload => {
                write!(f, "payload of the frame at byte {at} does not match its checksum")
            }
            ErrorKind::BadField(what) => write!(f, "{what} at byte {at} is not valid"),
            ErrorKind::Unknown { what, value } => {
                write!(f, "{what} {value} at byte {at} needs a newer carstone")
            }
            ErrorKind::Foreign => write!(f, "frame at byte {at} belongs to another pack"),
            ErrorKind::TooLong { what, len, limit } => {
                write!(f, "{what} at byte {at} is {len} bytes, more than the limit of {limit}")
            }
            ErrorKind::WorkerLost => write!(f, "a worker thread was lost at byte {at}"),
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
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Unknown { .. } => io::ErrorKind::Unsupported,
            ErrorKind::WorkerLost => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => Self::new(ErrorKind::Io(source), 0),
        }
    }
}
