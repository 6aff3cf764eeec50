//! What can be wrong.

use std::{error, fmt};

/// What is wrong, and at which byte of what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    at: Option<u64>,
}

/// The kinds of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A byte that is none of the 64 symbols of B64A.
    BadSymbol,
    /// Bits are set behind the last byte of a text of B64A.
    BadTail,
    /// A text has another length than it is to have.
    BadLength,
    /// A typed text has not its form, `T.….H3`.
    BadText,
    /// A typed text is one of something else than is asked for.
    BadType,
    /// A time has not its form, `seconds:subseconds` of ten and nine digits.
    BadTime,
}

/// A [`Result`](std::result::Result) of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, at: None }
    }

    /// The same at this byte, unless it has one.
    #[must_use]
    pub(crate) fn at(mut self, at: u64) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// The same in something that what was given begins so many bytes into.
    #[must_use]
    pub(crate) fn behind(mut self, bytes: u64) -> Self {
        self.at = Some(self.at.unwrap_or(0).saturating_add(bytes));
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The byte of what was given at which that shows.
    pub fn offset(&self) -> Option<u64> {
        self.at
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "byte {at}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSymbol => "it is no symbol of B64A",
            Self::BadTail => "bits are set behind the last byte of a text of B64A",
            Self::BadLength => "the text has another length than it is to have",
            Self::BadText => "it is no typed text, T.….H3",
            Self::BadType => "the text is one of something else",
            Self::BadTime => "it is no time, ten digits, a colon and nine digits",
        })
    }
}

impl error::Error for Error {}
