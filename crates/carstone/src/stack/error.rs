//! Why a stack cannot be opened, or stops.

use std::{error, fmt, io};

use carstone_layer::{Gap, LayerId};

/// A fault in one layer of a stack.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
}

/// In which layer the fault is, and what it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source failed.
    Io(io::Error),
    /// A new pack cannot be written.
    Write(io::Error),
    /// Container header or trailer.
    Raw(carstone_raw::Error),
    /// Encryption.
    Encrypt(carstone_encrypt::Error),
    /// Compression.
    Compress(carstone_compress::Error),
    /// Position footer.
    Position(carstone_position::Error),
    /// The pack inside.
    Pack(carstone_pack::Error),
    /// The container names a layer that this program does not have.
    UnknownLayer(LayerId),
    /// Bytes are missing: a forward reader stops here.
    Gap(Box<Gap>),
    /// No container header could be found.
    NoContainer,
    /// Neither header nor trailer nor anchor is left of a container.
    ContainerLost,
    /// No copy is left of the layer header, in which the key envelope stands.
    LayerHeaderLost,
    /// More of something than is kept track of.
    Limit {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: u64,
    },
    /// The pack is encrypted, and no key was given that opens it.
    NoKey,
    /// The pack is not encrypted, so that it has no readers to choose.
    NotEncrypted,
    /// A key cannot be sealed.
    Keys(carstone_keys::Error),
    /// Entries are not what the pack says of them, although its layers are sound.
    NotWhole {
        /// How many.
        entries: u64,
    },
}

impl Error {
    pub(super) fn new(kind: ErrorKind) -> Self {
        Self { kind }
    }

    /// In which layer the fault is, and what it is.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Offset in bytes, in the stored stream of the layer.
    pub fn offset(&self) -> Option<u64> {
        match &self.kind {
            ErrorKind::Raw(error) => Some(error.offset()),
            ErrorKind::Encrypt(error) => Some(error.offset()),
            ErrorKind::Compress(error) => Some(error.offset()),
            ErrorKind::Position(error) => Some(error.offset()),
            ErrorKind::Pack(error) => Some(error.offset()),
            ErrorKind::Gap(gap) => Some(gap.at),
            _ => None,
        }
    }

    /// Whether a key is missing or does not fit, rather than something being damaged.
    pub fn is_about_keys(&self) -> bool {
        use carstone_encrypt::ErrorKind as Encrypt;
        match &self.kind {
            ErrorKind::NoKey => true,
            ErrorKind::Encrypt(error) => matches!(error.kind(), Encrypt::NoKey | Encrypt::WrongKey),
            _ => false,
        }
    }

    /// The carstone error inside an [`io::Error`], if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Io(_) => f.write_str("cannot read the pack"),
            ErrorKind::Write(_) => f.write_str("cannot write the pack"),
            // The layer's own message says it all, and its source is passed on as ours.
            ErrorKind::Raw(error) => write!(f, "{error}"),
            ErrorKind::Encrypt(error) => write!(f, "encryption layer: {error}"),
            ErrorKind::Compress(error) => write!(f, "compression layer: {error}"),
            ErrorKind::Position(error) => write!(f, "position layer: {error}"),
            ErrorKind::Pack(error) => write!(f, "{error}"),
            ErrorKind::UnknownLayer(id) => {
                write!(f, "the container lists {id}, which needs a newer carstone")
            }
            ErrorKind::Gap(gap) => write!(f, "{gap}"),
            ErrorKind::NoContainer => {
                f.write_str("no container header at byte 0: this is not a carstone pack")
            }
            ErrorKind::ContainerLost => {
                f.write_str("not a pack: no container header, trailer or anchor is left of one")
            }
            ErrorKind::LayerHeaderLost => f.write_str(
                "encryption layer: no layer header is left, and with it no key envelope",
            ),
            ErrorKind::Limit { what, limit } => write!(f, "more {what} than the limit of {limit}"),
            ErrorKind::NoKey => f.write_str("the pack is encrypted, and no key was given"),
            ErrorKind::NotEncrypted => f.write_str("the pack is not encrypted"),
            ErrorKind::Keys(error) => write!(f, "{error}"),
            ErrorKind::NotWhole { entries } => {
                write!(f, "the pack is not whole: {entries} entries are not what it says of them")
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(source) | ErrorKind::Write(source) => Some(source),
            ErrorKind::Raw(error) => error.source(),
            ErrorKind::Encrypt(error) => error.source(),
            ErrorKind::Compress(error) => error.source(),
            ErrorKind::Position(error) => error.source(),
            ErrorKind::Keys(error) => error.source(),
            ErrorKind::Pack(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Io(source) | ErrorKind::Write(source) => return source,
            ErrorKind::UnknownLayer(_) => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    /// Finds the layer's error again that rides in an [`io::Error`].
    fn from(source: io::Error) -> Self {
        let source = match source.downcast::<Self>() {
            Ok(error) => return error,
            Err(source) => source,
        };
        let source = match source.downcast() {
            Ok(error) => return Self::new(ErrorKind::Raw(error)),
            Err(source) => source,
        };
        let source = match source.downcast() {
            Ok(error) => return Self::new(ErrorKind::Encrypt(error)),
            Err(source) => source,
        };
        let source = match source.downcast() {
            Ok(error) => return Self::new(ErrorKind::Compress(error)),
            Err(source) => source,
        };
        let source = match source.downcast() {
            Ok(error) => return Self::new(ErrorKind::Position(error)),
            Err(source) => source,
        };
        match source.downcast() {
            Ok(error) => Self::new(ErrorKind::Pack(error)),
            Err(source) => Self::new(ErrorKind::Io(source)),
        }
    }
}

impl From<carstone_encrypt::Error> for Error {
    fn from(error: carstone_encrypt::Error) -> Self {
        Self::new(match error.into_sink() {
            Ok(sink) => ErrorKind::Write(sink),
            Err(error) => ErrorKind::Encrypt(error),
        })
    }
}

macro_rules! from_layer {
    ($($crate_error:ty => $variant:ident),*) => {$(
        impl From<$crate_error> for Error {
            fn from(error: $crate_error) -> Self {
                Self::new(ErrorKind::$variant(error))
            }
        }
    )*};
}

from_layer!(
    carstone_raw::Error => Raw,
    carstone_keys::Error => Keys,
    carstone_compress::Error => Compress,
    carstone_position::Error => Position,
    carstone_pack::Error => Pack
);
