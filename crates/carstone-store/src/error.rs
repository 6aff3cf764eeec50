//! What can go wrong with a store, and with which object of it.

use std::{error, fmt, io};

use carstone_car::Cid;
use carstone_car::dag::DagError;

use crate::name::{Hash, text_of};

/// A fault of a store, or of what is put into it. It names the object.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    /// Key of the object, or what was done.
    object: Option<String>,
    /// Byte of the object.
    at: Option<u64>,
}

/// The kinds of fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What keeps the objects failed. Trying again may help.
    Io(io::Error),
    /// The disk is full.
    NoRoom {
        /// What cannot be done, and what to do.
        advice: &'static str,
        /// The error of the disk.
        cause: io::Error,
    },
    /// The object is not there.
    NotFound,
    /// There is no store.
    NoStore,
    /// The object may not be read or written: something else than that it is missing.
    Denied(io::Error),
    /// No object can have this key.
    BadKey(String),
    /// The bytes do not hash to the name of the object or blob.
    Mismatch {
        /// What they were to hash to.
        expected: Box<Hash>,
    },
    /// Fewer bytes came than there are to be.
    Short {
        /// Bytes that there are to be.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// A range was asked for, and something else came.
    NotTheRange(String),
    /// Nothing can be written there.
    ReadOnly,
    /// A store cannot be listed, and has no catalogue. The error is that of the listing.
    NoCatalog(Box<Error>),
    /// The catalogue names an object that is gone.
    StaleCatalog,
    /// The object is there, and a listing that should have it does not.
    NotListed,
    /// A pack is about to be removed, since no root needed it, so that no new root may rely on it.
    Condemned,
    /// A block is larger than a pack may become.
    BlockTooLarge {
        /// The block.
        cid: Box<Cid>,
        /// Bytes of a pack, at the most.
        limit: u64,
    },
    /// A CAR is not valid, or one of its blocks.
    Car(carstone_car::Error),
    /// A UnixFS node cannot be made or read.
    UnixFs(carstone_unixfs::Error),
    /// A block that something links to is not in the store.
    NoBlock(Box<Cid>),
    /// A node of a DAG cannot be read.
    Dag(Box<DagError>),
    /// Something breaks a rule of its format.
    Malformed(&'static str),
    /// Parity is not valid, or of other bytes.
    #[cfg(feature = "parity")]
    Parity(carstone_parity::Error),
    /// Some frames of a sidecar are not as they were written.
    LostFrames {
        /// Frames that are lost.
        lost: u64,
        /// Frames that are put right when they are read.
        corrected: u64,
        /// How many frames there are to be.
        all: u64,
    },
    /// More of a pack is lost than its sidecar can restore.
    OverBudget {
        /// Cells that are lost.
        cells: u64,
    },
    /// The hash function is not known.
    UnknownHash(u64),
    /// A pack is encrypted, and no key at hand opens it.
    NoKey,
    /// No store is at URLs of this kind, as far as it is compiled in.
    UnknownUrl,
    /// What was asked for cannot be done here.
    Unsupported(&'static str),
}

/// A [`Result`](std::result::Result) of a store.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// One of this kind, which names no object yet. An [`io::Error`] becomes one too, of the kind that fits it.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, object: None, at: None }
    }

    /// The same, told of this object unless one is named already.
    #[must_use]
    pub fn of(mut self, object: impl fmt::Display) -> Self {
        self.object.get_or_insert_with(|| object.to_string());
        self
    }

    /// The same at this byte of the object.
    #[must_use]
    pub(crate) fn at(mut self, at: u64) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The key of the object, if one is to blame.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The byte of the object, if that is known.
    pub fn offset(&self) -> Option<u64> {
        self.at
    }

    pub(crate) fn mismatch(expected: &Hash) -> Self {
        Self::new(ErrorKind::Mismatch { expected: Box::new(*expected) })
    }

    /// The same, with what to do, if the disk is full.
    pub(crate) fn advised(self, advice: &'static str) -> Self {
        let Self { kind, object, at } = self;
        let kind = match kind {
            ErrorKind::Io(cause) if FULL.contains(&cause.kind()) => {
                ErrorKind::NoRoom { advice, cause }
            }
            kind => kind,
        };
        Self { kind, object, at }
    }

    /// Whether what was read is damaged, so that it is no use to read it again.
    pub fn is_malformed(&self) -> bool {
        match self.kind {
            #[cfg(feature = "parity")]
            ErrorKind::Parity(_) => true,
            ErrorKind::LostFrames { .. } | ErrorKind::OverBudget { .. } => true,
            ErrorKind::Malformed(_) | ErrorKind::Mismatch { .. } | ErrorKind::Car(_) => true,
            _ => false,
        }
    }

    /// Whether the disk failed to read what is on it.
    pub(crate) fn is_of_disk(&self) -> bool {
        let ErrorKind::Io(cause) = &self.kind else { return false };
        cause.raw_os_error().is_some_and(|code| DISK_ERRORS.contains(&code))
    }

    /// Whether the object is just not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind, ErrorKind::NotFound)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        // One of this crate may have gone through somebody else's reader or writer.
        let error = match error.downcast::<Self>() {
            Ok(own) => return own,
            Err(error) => error,
        };
        Self::new(match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Denied(error)
            }
            _ => ErrorKind::Io(error),
        })
    }
}

impl From<carstone_car::Error> for Error {
    fn from(error: carstone_car::Error) -> Self {
        Self::new(ErrorKind::Car(error))
    }
}

#[cfg(feature = "parity")]
impl From<carstone_parity::Error> for Error {
    fn from(error: carstone_parity::Error) -> Self {
        match error.kind() {
            carstone_parity::ErrorKind::Io(_) => Self::from(io::Error::from(error)),
            _ => Self::new(ErrorKind::Parity(error)),
        }
    }
}

impl From<carstone_unixfs::Error> for Error {
    fn from(error: carstone_unixfs::Error) -> Self {
        Self::new(ErrorKind::UnixFs(error))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{object}")?;
            if let Some(at) = self.at {
                write!(f, " at byte {at}")?;
            }
            f.write_str(": ")?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("it cannot be read or written"),
            Self::NoRoom { advice, .. } => f.write_str(advice),
            Self::NotFound => f.write_str("there is none"),
            Self::NoStore => f.write_str("it is no store"),
            Self::Denied(_) => f.write_str("access is denied"),
            Self::BadKey(key) => write!(f, "no object can be called \"{key}\""),
            Self::Mismatch { expected } => {
                write!(f, "the bytes do not hash to {}", text_of(expected))
            }
            Self::Short { expected, found } => {
                write!(f, "{found} bytes came, and {expected} were to come")
            }
            Self::NotTheRange(what) => write!(f, "a range was asked for, and {what} came"),
            Self::ReadOnly => f.write_str("nothing can be written there"),
            Self::NoCatalog(_) => f.write_str(
                "it cannot be listed, and has no catalogue, which `carstone store publish` writes",
            ),
            Self::StaleCatalog => f.write_str(
                "it is gone, and the catalogue is out of date, which `carstone store publish` renews",
            ),
            Self::Condemned => f.write_str(
                "packs that are needed, and were there already, are about to be removed: put it again when the collection is over",
            ),
            Self::NotListed => f.write_str("it is there, and the listing leaves it out"),
            Self::BlockTooLarge { cid, limit } => {
                write!(f, "the block {cid} fits into no pack of {limit} bytes")
            }
            Self::Car(_) => f.write_str("the CAR is not valid"),
            Self::UnixFs(_) => f.write_str("a UnixFS node is not valid"),
            Self::NoBlock(cid) => write!(f, "block {cid} is not in the store"),
            Self::Dag(_) => f.write_str("a node cannot be read"),
            Self::Malformed(rule) => f.write_str(rule),
            #[cfg(feature = "parity")]
            Self::Parity(_) => f.write_str("the parity cannot be used"),
            Self::LostFrames { lost, corrected, all } => {
                write!(f, "{lost} of the {all} frames of the parity are lost")?;
                match corrected {
                    0 => Ok(()),
                    _ => write!(f, ", and {corrected} have flipped bits"),
                }
            }
            Self::OverBudget { cells } => {
                write!(f, "more is lost than the parity restores: {cells} cells")
            }
            Self::UnknownHash(code) => write!(f, "the hash function {code:#x} is not known"),
            Self::NoKey => f.write_str("it is encrypted, and no key at hand opens it"),
            Self::UnknownUrl => {
                f.write_str("no store is at a URL of this kind; one is a directory, file:///PATH")?;
                let known = [
                    (cfg!(feature = "s3"), "s3://"),
                    (cfg!(feature = "gcs"), "gs://"),
                    (cfg!(feature = "azure"), "az://"),
                    (cfg!(feature = "http"), "http://"),
                    (cfg!(feature = "http"), "https://"),
                ];
                let mut known = known.iter().filter(|(is_known, _)| *is_known);
                known.try_for_each(|(_, scheme)| write!(f, ", {scheme}"))?;
                f.write_str(" or memory:")
            }
            Self::Unsupported(what) => write!(f, "{what} cannot be done here"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(error)
            | ErrorKind::Denied(error)
            | ErrorKind::NoRoom { cause: error, .. } => Some(error),
            ErrorKind::Car(error) => Some(error),
            ErrorKind::UnixFs(error) => Some(error),
            ErrorKind::Dag(error) => Some(error),
            #[cfg(feature = "parity")]
            ErrorKind::Parity(error) => Some(error),
            ErrorKind::NoCatalog(error) => Some(error),
            _ => None,
        }
    }
}

/// What systems call a full disk.
const FULL: [io::ErrorKind; 2] = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
/// What systems call a disk that cannot read what is on it: EIO; of Windows, a wrong checksum and a device that fails.
const DISK_ERRORS: &[i32] = if cfg!(windows) { &[23, 1117] } else { &[5] };
