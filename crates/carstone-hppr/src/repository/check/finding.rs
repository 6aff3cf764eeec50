//! What can be wrong with a repository.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;

use crate::coordinate::Coordinate;
use crate::error::Error;
use crate::repository::versions::Version;
use crate::text::PacketHash;

/// Something that is not as it is to be. Paths are relative to the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The file of a packet is damaged: its bytes are not those of its hash, or its signature is not one of its key.
    Damaged {
        /// The packet.
        hash: PacketHash,
        /// What is wrong, and where.
        error: Error,
    },
    /// The file of a packet has another size than it can have.
    WrongSize {
        /// The packet.
        hash: PacketHash,
        /// What is wrong, and where.
        error: Error,
    },
    /// The first line of a thin file is the markline of another packet.
    WrongMarkline {
        /// The packet.
        hash: PacketHash,
        /// What is wrong, and where.
        error: Error,
    },
    /// A packet has another one in it, of which there is no file.
    InnerMissing {
        /// The packet.
        hash: PacketHash,
        /// The one that is missing.
        inner: PacketHash,
    },
    /// A Plex that is not attached has a Blob of which nobody says that it was: storing stopped before the packet was there, or detaching at its last step. No fault.
    HalfStored {
        /// The packet.
        hash: PacketHash,
    },
    /// A packet that is attached, as its back-reference says, is not in the index.
    NotIndexed {
        /// The packet.
        hash: PacketHash,
    },
    /// An entry in the index speaks of a packet that is not there.
    DanglingIndex {
        /// Where.
        coordinate: Coordinate,
        /// What it speaks of.
        version: Version,
    },
    /// An entry in the index speaks of a packet of another coordinate, time or key.
    WrongIndex {
        /// Where.
        coordinate: Coordinate,
        /// What it speaks of.
        version: Version,
    },
    /// A back-reference speaks of a packet that is not there.
    StrayRef {
        /// Its path.
        path: PathBuf,
    },
    /// A back-reference speaks of a packet that does not have this one in it, or of another key.
    WrongRef {
        /// The packet that it speaks of.
        hash: PacketHash,
        /// Its path.
        path: PathBuf,
    },
    /// A packet that is in the index has no back-reference.
    MissingRef {
        /// The packet.
        hash: PacketHash,
        /// The path that it is to have.
        path: PathBuf,
    },
    /// There is no link to the latest packet.
    MissingTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// The link to the latest packet leads to nothing.
    DanglingTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// The link to the latest packet leads to an older one, or something else is in its place.
    WrongTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// An empty file is where the link to the latest packet is to be: a tool that follows links has copied it.
    CopiedTip {
        /// Where.
        coordinate: Coordinate,
        /// Its path.
        path: PathBuf,
    },
    /// A Blob is said to be detached, but attached packets have it, or it is the empty one.
    WrongRecord {
        /// The Blob.
        blob: PacketHash,
    },
    /// A Blob that is said to be detached is not there any more: collecting stopped before its end. No fault.
    HalfCollected {
        /// The Blob.
        blob: PacketHash,
    },
    /// A writer has left something behind.
    Leftover {
        /// Its path.
        path: PathBuf,
    },
    /// A directory of the index or of back-references has nothing in it.
    EmptyDirectory {
        /// Its path.
        path: PathBuf,
    },
    /// Something that is not of a repository.
    Foreign {
        /// Its path.
        path: PathBuf,
    },
}

impl Finding {
    /// Whether it is a fault: all else has come of something that stopped before its end, takes room, and does no harm.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::HalfStored { .. }
                | Self::HalfCollected { .. }
                | Self::Leftover { .. }
                | Self::EmptyDirectory { .. }
                | Self::Foreign { .. }
        )
    }

    /// Its name, in small letters and with hyphens.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "damaged",
            Self::WrongSize { .. } => "wrong-size",
            Self::WrongMarkline { .. } => "wrong-markline",
            Self::InnerMissing { .. } => "inner-missing",
            Self::HalfStored { .. } => "half-stored",
            Self::NotIndexed { .. } => "not-indexed",
            Self::DanglingIndex { .. } => "dangling-index",
            Self::WrongIndex { .. } => "wrong-index",
            Self::StrayRef { .. } => "stray-ref",
            Self::WrongRef { .. } => "wrong-ref",
            Self::MissingRef { .. } => "missing-ref",
            Self::MissingTip { .. } => "missing-tip",
            Self::DanglingTip { .. } => "dangling-tip",
            Self::WrongTip { .. } => "wrong-tip",
            Self::CopiedTip { .. } => "copied-tip",
            Self::WrongRecord { .. } => "wrong-record",
            Self::HalfCollected { .. } => "half-collected",
            Self::Leftover { .. } => "leftover",
            Self::EmptyDirectory { .. } => "empty-directory",
            Self::Foreign { .. } => "foreign",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Damaged { hash, error }
            | Self::WrongSize { hash, error }
            | Self::WrongMarkline { hash, error } => {
                write!(f, "{hash}: {error}")?;
                // Nobody asks a finding for its source.
                error.source().map_or(Ok(()), |cause| write!(f, ": {cause}"))
            }
            Self::InnerMissing { hash, inner } => write!(f, "{hash} has {inner}"),
            Self::HalfStored { hash } | Self::NotIndexed { hash } => hash.fmt(f),
            Self::WrongRecord { blob } | Self::HalfCollected { blob } => blob.fmt(f),
            Self::DanglingIndex { coordinate, version }
            | Self::WrongIndex { coordinate, version } => {
                version.address(coordinate.clone()).fmt(f)
            }
            Self::StrayRef { path }
            | Self::WrongRef { path, .. }
            | Self::MissingRef { path, .. }
            | Self::MissingTip { path, .. }
            | Self::DanglingTip { path, .. }
            | Self::WrongTip { path, .. }
            | Self::CopiedTip { path, .. }
            | Self::Leftover { path }
            | Self::EmptyDirectory { path }
            | Self::Foreign { path } => path.display().fmt(f),
        }
    }
}
