//! What can be wrong with a position footer, and where.

use std::{error, fmt, io};

/// A fault in a position footer. Offsets count from the first byte of the layer's stored stream.
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
    /// No footer stands at the end: the stream was cut, or never finished.
    FooterMissing,
    /// A footer stands at the end, but does not match its checksum.
    FooterDamaged,
    /// The footer states another length than the stream has.
    Length {
        /// Plain bytes, as the footer states them.
        stated: u64,
        /// Plain bytes that are there.
        found: u64,
    },
    /// A field has a value that the format does not allow.
    BadField(&'static str),
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

    /// Where, in bytes from the start of the stored stream.
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
            ErrorKind::Io(_) => write!(f, "cannot read the position footer at byte {at}"),
            ErrorKind::FooterMissing => {
                write!(f, "stream stops at byte {at} without a position footer")
            }
            ErrorKind::FooterDamaged => {
                write!(f, "position footer at byte {at} does not match its checksum")
            }
            ErrorKind::Length { stated, found } => write!(
                f,
                "position footer at byte {at} states {stated} bytes before it, but there are {found}"
            ),
            ErrorKind::BadField(what) => write!(f, "{what} at byte {at} is not valid"),
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
            ErrorKind::FooterMissing => io::ErrorKind::UnexpectedEof,
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
