//! Why a rebuild stops.

use std::error;
use std::fmt;
use std::io;

use carstone_pack::Error;

/// Why a rebuild stops. Damage is no reason.
#[derive(Debug)]
#[non_exhaustive]
pub enum RebuildError {
    /// The damaged pack cannot be read.
    Read(Error),
    /// The new pack cannot be written, or a temporary file.
    Write(io::Error),
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "{error}"),
            Self::Write(_) => f.write_str("cannot write the new pack"),
        }
    }
}

impl error::Error for RebuildError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            // The message says it already.
            Self::Read(error) => error.source(),
            Self::Write(error) => Some(error),
        }
    }
}

impl From<Error> for RebuildError {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

impl From<io::Error> for RebuildError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}
