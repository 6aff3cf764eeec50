//! What can be wrong with an encrypted stream, and where.

use std::{error, fmt, io};

/// A fault in an encrypted stream, in its key, or in what the caller asked for.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    at: u64,
}

/// The kinds of fault. Frames are counted from 0, in the order of the data.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source or the key source failed.
    Io(io::Error),
    /// What the stream is copied to failed.
    Write(io::Error),
    /// The stream does not end in a layer header frame: it was cut, or never finished.
    Truncated,
    /// The layer header frame is damaged.
    BadHeader(carstone_layer::Error),
    /// The layer header frames at the front and at the end differ.
    HeadersDiffer,
    /// The stored length is not one that whole frames give: bytes were added or taken away.
    BadLength,
    /// A frame's header or checksum is damaged.
    BadFrame {
        /// Which data frame.
        frame: u64,
        /// What is wrong with it.
        source: carstone_layer::Error,
    },
    /// Another frame stands in this place, or it states what cannot be there.
    WrongFrame {
        /// Which data frame was expected.
        frame: u64,
        /// The field that differs.
        field: &'static str,
    },
    /// A repair left a hole in the place of this frame.
    Hole {
        /// Which data frame.
        frame: u64,
    },
    /// The frame's authentication tag does not hold.
    BadTag {
        /// Which data frame.
        frame: u64,
    },
    /// An anchor does not repeat the headers, or stands in the wrong place.
    BadAnchor {
        /// The data frame that it follows.
        frame: u64,
    },
    /// The stream belongs to another pack than the one expected.
    Foreign,
    /// No key for this stream.
    NoKey,
    /// The key, or the list of layers, is not the one that the stream was written with.
    WrongKey,
    /// A version, algorithm, codec, segment or kind of frame that this reader does not know.
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
        /// The stated length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The stream holds as many frames as one key may seal.
    TooManyFrames,
    /// An option has a value that cannot be used.
    BadOption(&'static str),
    /// A write failed before, and the stream cannot be continued.
    Broken,
    /// A worker thread panicked, so that its result is lost.
    WorkerLost,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, at: u64) -> Self {
        Self { kind, at }
    }

    pub(crate) fn io(source: io::Error, at: u64) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => Self::new(ErrorKind::Io(source), at),
        }
    }

    pub(crate) fn into_kind(self) -> ErrorKind {
        self.kind
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What the sink of a copy gave, if that is the fault; else the error again.
    ///
    /// # Errors
    /// The error itself.
    pub fn into_sink(self) -> Result<io::Error, Self> {
        match self.kind {
            ErrorKind::Write(source) => Ok(source),
            kind => Err(Self { kind, ..self }),
        }
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
            ErrorKind::Io(_) => write!(f, "cannot read or write at encrypted byte {at}"),
            ErrorKind::Write(_) => f.write_str("cannot write the copy of the stream"),
            ErrorKind::Truncated => {
                write!(f, "encrypted stream stops at byte {at}, before its end")
            }
            ErrorKind::BadHeader(_) => write!(f, "layer header frame at byte {at} is damaged"),
            ErrorKind::HeadersDiffer => {
                write!(f, "layer header frame at byte {at} differs from the one at the front")
            }
            ErrorKind::BadLength => {
                write!(f, "encrypted stream of {at} bytes is not made of whole frames")
            }
            ErrorKind::BadFrame { frame, .. } => {
                write!(f, "encrypted frame {frame} at byte {at} is damaged")
            }
            ErrorKind::WrongFrame { frame, field } => {
                write!(f, "another frame stands at byte {at}, where frame {frame} belongs: {field}")
            }
            ErrorKind::Hole { frame } => {
                write!(f, "encrypted frame {frame} at byte {at} is missing: a hole stands for it")
            }
            ErrorKind::BadTag { frame } => {
                write!(f, "encrypted frame {frame} at byte {at} fails its authentication tag")
            }
            ErrorKind::BadAnchor { frame } => {
                write!(f, "anchor at byte {at}, behind frame {frame}, does not repeat the headers")
            }
            ErrorKind::Foreign => write!(f, "stream at byte {at} belongs to another pack"),
            ErrorKind::NoKey => f.write_str("no key for this encrypted stream"),
            ErrorKind::WrongKey => {
                f.write_str("the key or the list of layers does not fit this encrypted stream")
            }
            ErrorKind::Unknown { what, value } => {
                write!(f, "{what} {value} at byte {at} needs a newer carstone")
            }
            ErrorKind::TooLong { what, len, limit } => {
                write!(f, "{what} at byte {at} is {len} bytes, more than the limit of {limit}")
            }
            ErrorKind::TooManyFrames => f.write_str("the key has sealed as many frames as it may"),
            ErrorKind::BadOption(what) => write!(f, "option cannot be used: {what}"),
            ErrorKind::Broken => f.write_str("an earlier write failed, the stream cannot go on"),
            ErrorKind::WorkerLost => write!(f, "a worker thread was lost near byte {at}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(source) | ErrorKind::Write(source) => Some(source),
            ErrorKind::BadHeader(source) | ErrorKind::BadFrame { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.kind {
            ErrorKind::Io(source) | ErrorKind::Write(source) => source.kind(),
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::NoKey | ErrorKind::WrongKey => io::ErrorKind::PermissionDenied,
            ErrorKind::Unknown { .. } => io::ErrorKind::Unsupported,
            ErrorKind::BadOption(_) => io::ErrorKind::InvalidInput,
            ErrorKind::TooManyFrames | ErrorKind::Broken | ErrorKind::WorkerLost => {
                io::ErrorKind::Other
            }
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_can_be_taken_out_of_an_io_error() {
        let error = io::Error::from(Error::new(ErrorKind::BadTag { frame: 3 }, 700));
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let inner = Error::of(&error).expect("it was put in");
        assert_eq!(inner.offset(), 700);
        assert!(matches!(inner.kind(), ErrorKind::BadTag { frame: 3 }));
    }

    #[test]
    fn an_own_error_inside_an_io_error_is_not_wrapped_twice() {
        let error = Error::io(Error::new(ErrorKind::NoKey, 9).into(), 0);
        assert!(matches!(error.kind(), ErrorKind::NoKey));
        assert_eq!(error.offset(), 9);
    }
}
