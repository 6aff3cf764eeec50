//! What can be wrong with a compressed stream, and where.

use std::ops::Range;
use std::{error, fmt, io};

/// A fault, with the stored offset at which it was found.
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
    /// The stream ends before its last data frame and footer do.
    Truncated,
    /// No sound frame header stands here; the source says why.
    Frame(carstone_layer::Error),
    /// A payload does not match its checksum or digest.
    BadChecksum {
        /// Sequence number of the frame.
        frame: u64,
    },
    /// A payload does not decompress to exactly the plain length of its frame.
    BadPayload {
        /// Sequence number of the data frame.
        frame: u64,
    },
    /// A frame is sound but not the one that should stand here.
    Misplaced {
        /// Sequence number of the frame that should stand here.
        frame: u64,
        /// What differs.
        what: &'static str,
    },
    /// The footer contradicts the data frames or itself.
    BadFooter(&'static str),
    /// A hole frame stands for plain bytes that were lost.
    Missing {
        /// The lost plain bytes.
        range: Range<u64>,
    },
    /// A length is over the limit.
    TooLong {
        /// Which length.
        what: &'static str,
        /// The stated length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A frame in a codec that this build does not read.
    UnknownCodec {
        /// The number of the codec.
        codec: u8,
    },
    /// Frames of another pack than the one asked for.
    Foreign,
    /// An option has a value that is not allowed.
    BadOption(&'static str),
    /// A worker thread panicked, so that its result is lost.
    WorkerLost,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, at: u64) -> Self {
        Self { kind, at }
    }

    pub(crate) fn io(source: io::Error, at: u64) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof if source.get_ref().is_none() => {
                Self::new(ErrorKind::Truncated, at)
            }
            _ => Self::new(ErrorKind::Io(source), at),
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Offset in bytes, in the stored stream of this layer.
    pub fn offset(&self) -> u64 {
        self.at
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
            ErrorKind::Io(_) => write!(f, "cannot read compressed stream at byte {at}"),
            ErrorKind::Truncated => {
                write!(f, "compressed stream stops at byte {at}, before its end")
            }
            ErrorKind::Frame(_) => write!(f, "no sound compression frame at byte {at}"),
            ErrorKind::BadChecksum { frame } => {
                write!(f, "frame {frame} at byte {at} does not match its checksum")
            }
            ErrorKind::BadPayload { frame } => {
                write!(f, "frame {frame} at byte {at} does not decompress to its plain length")
            }
            ErrorKind::Misplaced { frame, what } => {
                write!(f, "frame {frame} should stand at byte {at}, but the {what} differs")
            }
            ErrorKind::BadFooter(what) => write!(f, "footer at byte {at} has a wrong {what}"),
            ErrorKind::Missing { range } => {
                let (start, end) = (range.start, range.end);
                write!(f, "plain bytes {start} to {end} are lost: a hole stands at byte {at}")
            }
            ErrorKind::TooLong { what, len, limit } => {
                write!(f, "{what} at byte {at} is {len} bytes, more than the limit of {limit}")
            }
            ErrorKind::UnknownCodec { codec } => {
                write!(f, "codec {codec} at byte {at} is not known to this build of carstone")
            }
            ErrorKind::Foreign => write!(f, "frame at byte {at} belongs to another pack"),
            ErrorKind::BadOption(what) => write!(f, "{what}"),
            ErrorKind::WorkerLost => write!(f, "a worker thread was lost at byte {at}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(source) => Some(source),
            ErrorKind::Frame(source) => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.kind {
            ErrorKind::Io(source) => source.kind(),
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::UnknownCodec { .. } => io::ErrorKind::Unsupported,
            ErrorKind::BadOption(_) => io::ErrorKind::InvalidInput,
            ErrorKind::WorkerLost => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
