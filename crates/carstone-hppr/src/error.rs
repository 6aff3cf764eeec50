//! What can be wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error, fmt, io};

use crate::text::PacketKind;

/// What is wrong, and at which byte of what was given.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    at: Option<u64>,
    /// The file or directory.
    path: Option<Box<Path>>,
    source: Option<Arc<io::Error>>,
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
    /// A secret scalar that is 0, or not below the order of the curve.
    BadScalar,
    /// A key is to be made of a secret without a byte.
    EmptySecret,
    /// No point of the curve has the x-coordinate that is given as a key.
    BadKey,
    /// The first half of a signature is no coordinate: it is not below the prime of the curve.
    BadSignaturePoint,
    /// The second half of a signature is no scalar: it is not below the order of the curve.
    BadSignatureScalar,
    /// A signature is not one of this key under this digest.
    BadSignature,
    /// The random bytes for a signature are all zero.
    ZeroRandom,
    /// The nonce of a signature came out as 0: other random bytes are needed.
    ZeroNonce,
    /// A signature that was just made does not verify, so that it was not given out.
    FaultySignature,
    /// The system gave no random bytes.
    NoRandom,
    /// The name of the ring that a password is for is no segment of a path.
    BadRing,
    /// Parameters of Argon2id that it does not take, or that need more than is allowed.
    BadPasswordParameters,
    /// A password is longer than Argon2id takes, or there is no memory for it.
    PasswordFailed,
    /// A header line has no colon.
    NoColon,
    /// No space follows the colon of a header line.
    NoSpace,
    /// More than one space follows the colon of a header line, or a value begins with one.
    SecondSpace,
    /// The name of a header is empty.
    EmptyName,
    /// The name of a header has a space.
    NameHasSpace,
    /// The name of a header has a colon.
    NameHasColon,
    /// A value, or a part of a coordinate, is empty.
    EmptyValue,
    /// Headers and addresses are UTF-8.
    NotUtf8,
    /// Headers and addresses are in normalization form C.
    NotNfc,
    /// A byte below 20, or 7F.
    ControlByte,
    /// A carriage return: lines end with a line feed alone.
    CarriageReturn,
    /// A line is longer than [`MAX_LINE`](crate::MAX_LINE), or an announcement than [`MAX_ANNOUNCEMENT`](crate::MAX_ANNOUNCEMENT).
    LineTooLong,
    /// A character that no group, application or segment of a location may have.
    ForbiddenCharacter,
    /// A group, application or segment that is `.` or `..`.
    DotName,
    /// A group or application is longer than [`MAX_NAME`](crate::MAX_NAME).
    NameTooLong,
    /// A location has an empty segment: it begins or ends with a slash, or has two together.
    EmptySegment,
    /// A segment of a location is longer than [`MAX_SEGMENT`](crate::MAX_SEGMENT).
    SegmentTooLong,
    /// A location is longer than [`MAX_LOCATION`](crate::MAX_LOCATION).
    LocationTooLong,
    /// No markline is where a packet is to begin.
    NoMarkline,
    /// Another kind of packet is in this place.
    WrongPacket {
        /// That which is to be there.
        expected: PacketKind,
    },
    /// The header that is to be here is missing.
    MissingHeader {
        /// Its name.
        expected: &'static str,
    },
    /// A header is there once more.
    RepeatedHeader,
    /// Another header is to be before this.
    HeaderOutOfOrder {
        /// The name of that which is to be there.
        expected: &'static str,
    },
    /// A Seal has no header of this name.
    UnknownHeader,
    /// A name that no extra header may have.
    ReservedName,
    /// An extra header is to be before the one ahead of it.
    ExtrasOutOfOrder,
    /// More extra headers than [`MAX_EXTRAS_READ`](crate::MAX_EXTRAS_READ), or in what is made, [`MAX_EXTRAS_WRITTEN`](crate::MAX_EXTRAS_WRITTEN).
    TooManyExtras,
    /// The length of data is no decimal number, or one with zeros ahead.
    BadDataLength,
    /// There is more data than [`MAX_DATA`](crate::MAX_DATA).
    DataTooLong,
    /// No blank line is ahead of the data.
    MissingBlankLine,
    /// It stops before its end.
    Truncated,
    /// Bytes follow the packet.
    TrailingBytes,
    /// The hash in a markline is another than that of the packet.
    HashMismatch {
        /// Whose hash it is.
        packet: PacketKind,
    },
    /// A whole packet is asked for, but some of its data has been taken before.
    DataTaken,
    /// A stream with hashes behind the data does not begin with its announcement.
    BadAnnouncement,
    /// No line feed is ahead of the first hash behind the data.
    NoLineBeforeClose,
    /// A stream has announced another kind of packet, coordinate or key.
    AnnouncedOther,
    /// A write has failed before.
    Broken,
    /// An address begins with two slashes, or with four and a hash.
    NoAddress,
    /// An address ends before its group, application and location are there.
    MissingPart,
    /// An address ends with a view, `{…}`, which is for clients alone.
    ViewSuffix,
    /// Behind `|` is no selector.
    BadSelector,
    /// A path that lists ends with a slash.
    NoList,
    /// The directory holds no repository: `hash/` or `index/` is missing.
    NoRepository,
    /// The repository is opened to be read only.
    ReadOnly,
    /// The file system cannot hold a repository.
    UnfitFileSystem(&'static str),
    /// There is no such packet.
    NotFound,
    /// The markline of a file is that of another packet than its path.
    WrongMarkline,
    /// What is behind the tip, the entry or the link of a packet is a packet of another place, time or key.
    OtherPacket,
    /// A packet has another one in it, whose file is not there.
    InnerMissing {
        /// Which of its kinds that is.
        packet: PacketKind,
    },
    /// It is no CAR of version 1.
    BadCar,
    /// A block of a CAR is none of a packet: its CID is not one of version 1, raw, with a digest of BLAKE3 of 32 bytes.
    ForeignBlock,
    /// A request that cannot be met as things are.
    Invalid(&'static str),
    /// What is on the disk is not what it is to be.
    Damaged(&'static str),
    /// Reading or writing has failed; the cause is the source of the error.
    Io(io::ErrorKind),
}

/// A [`Result`](std::result::Result) of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, at: None, path: None, source: None }
    }

    /// That reading or writing has failed so.
    pub(crate) fn io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(inner) => inner.clone(),
            None => {
                let kind = ErrorKind::Io(error.kind());
                Self { kind, at: None, path: None, source: Some(Arc::new(error)) }
            }
        }
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

    /// The same of this file or directory, unless it has one.
    #[must_use]
    pub(crate) fn of(mut self, path: impl Into<PathBuf>) -> Self {
        self.path.get_or_insert_with(|| path.into().into_boxed_path());
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The file or directory that is to blame, if one is.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The byte of what was given at which that shows.
    pub fn offset(&self) -> Option<u64> {
        self.at
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
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
            Self::BadScalar => "the secret scalar is 0, or not below the order of the curve",
            Self::EmptySecret => "the secret is empty",
            Self::BadKey => "the key is no x-coordinate of a point of the curve",
            Self::BadSignaturePoint => "the first half of the signature is no coordinate",
            Self::BadSignatureScalar => "the second half of the signature is no scalar",
            Self::BadSignature => "the signature is not one of this key under this digest",
            Self::ZeroRandom => "the random bytes for a signature are all zero",
            Self::ZeroNonce => "the nonce is 0, and other random bytes are needed",
            Self::FaultySignature => "the signature that was made does not verify",
            Self::NoRandom => "the system gives no random bytes",
            Self::BadRing => "the ring is no segment of a path",
            Self::BadPasswordParameters => "Argon2id does not take these parameters",
            Self::PasswordFailed => "the password is too long, or there is no memory for it",
            Self::NoColon => "a header line has no colon",
            Self::NoSpace => "no space follows the colon of a header line",
            Self::SecondSpace => "a value begins with a space",
            Self::EmptyName => "the name of a header is empty",
            Self::NameHasSpace => "the name of a header has a space",
            Self::NameHasColon => "the name of a header has a colon",
            Self::EmptyValue => "the value is empty",
            Self::NotUtf8 => "it is not UTF-8",
            Self::NotNfc => "it is not in Unicode normalization form C",
            Self::ControlByte => "control bytes are forbidden",
            Self::CarriageReturn => "a carriage return: lines end with a line feed alone",
            Self::LineTooLong => "the line is too long",
            Self::ForbiddenCharacter => "no name in a coordinate may have this character",
            Self::DotName => "a name in a coordinate is neither `.` nor `..`",
            Self::NameTooLong => "the name is too long",
            Self::EmptySegment => "a segment of the location is empty",
            Self::SegmentTooLong => "the segment of the location is too long",
            Self::LocationTooLong => "the location is too long",
            Self::NoMarkline => "no markline is where a packet is to begin",
            Self::RepeatedHeader => "the header is there already",
            Self::UnknownHeader => "a Seal has no header of this name",
            Self::ReservedName => "no extra header may have this name",
            Self::ExtrasOutOfOrder => "the extra header is to be before the one ahead of it",
            Self::TooManyExtras => "there are too many extra headers",
            Self::BadDataLength => "the length of data is no decimal number without zeros ahead",
            Self::DataTooLong => "there is more data than a packet may have",
            Self::MissingBlankLine => "no blank line is ahead of the data",
            Self::Truncated => "it stops before its end",
            Self::TrailingBytes => "bytes follow the packet",
            Self::DataTaken => "some of the data has been taken before",
            Self::BadAnnouncement => "it does not begin with an announcement",
            Self::NoLineBeforeClose => "no line feed is ahead of the first hash behind the data",
            Self::AnnouncedOther => "the stream has announced another packet",
            Self::Broken => "a write has failed before",
            Self::NoAddress => "it is no address: that begins with two slashes",
            Self::MissingPart => "the address ends before its group, application and location",
            Self::ViewSuffix => "the view at the end of an address is for clients alone",
            Self::BadSelector => "it is no selector",
            Self::NoList => "a path that lists ends with a slash",
            Self::NoRepository => "it is no repository",
            Self::ReadOnly => "it is opened to be read only",
            Self::NotFound => "there is no such packet",
            Self::WrongMarkline => "the markline is that of another packet than the path",
            Self::OtherPacket => "the packet is one of another place, time or key",
            Self::BadCar => "it is no CAR of version 1",
            Self::ForeignBlock => "the block is none of a packet",
            Self::UnfitFileSystem(what) | Self::Invalid(what) | Self::Damaged(what) => what,
            Self::Io(_) => "cannot read or write",
            Self::WrongPacket { expected } => {
                return write!(f, "another packet is where a {expected} is to be");
            }
            Self::MissingHeader { expected } => {
                return write!(f, "the header {expected} is missing");
            }
            Self::HeaderOutOfOrder { expected } => {
                return write!(f, "the header {expected} is to be here");
            }
            Self::InnerMissing { packet } => {
                return write!(f, "the {packet} in the packet is not there");
            }
            Self::HashMismatch { packet } => {
                return write!(f, "the hash is not that of the {packet}");
            }
        })
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// Of the same kind and place; what has caused them is not compared.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (&self.kind, self.at, &self.path) == (&other.kind, other.at, &other.path)
    }
}

impl Eq for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Io(kind) => kind,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
