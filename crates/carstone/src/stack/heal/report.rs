//! What was found and done, for people and programs.

use std::fmt;
use std::ops::Range;

use carstone_layer::{Cause, Correction, Gap};

/// What a repair came to. Offsets of stored bytes count in the source, those of rebuilt frames in the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealReport {
    /// Bits that were flipped back.
    pub corrections: Vec<Correction>,
    /// Stored bytes that hold nothing of this pack. Not all of them need be a loss.
    pub damage: Vec<Damage>,
    /// What was lost and could be made again.
    pub rebuilt: Vec<Rebuilt>,
    /// Plain bytes of the outermost framed layer that are lost; holes stand for them.
    pub lost: Vec<Gap>,
    /// Data frames that stood in the wrong place.
    pub moved: u64,
    /// Data frames that stood there more than once.
    pub repeated: u64,
    /// What cannot be: the result is then not the original, or nobody can say that it is.
    pub conflicts: Vec<Conflict>,
    /// Whether the result is the source, byte for byte.
    pub is_unchanged: bool,
}

impl HealReport {
    /// Whether the result is the pack as it was before the damage, byte for byte.
    pub fn is_original(&self) -> bool {
        self.lost.is_empty() && self.conflicts.is_empty()
    }
}

/// Stored bytes that hold no frame of the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The bytes, in the source.
    pub stored: Range<u64>,
    /// Why.
    pub cause: Cause,
}

/// Something that was made again from what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// What it is.
    pub part: Part,
    /// Where its bytes stand in the result.
    pub stored: Range<u64>,
}

/// A part of a pack that follows from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The container header.
    Header,
    /// The container trailer.
    Trailer,
    /// A layer header frame, which holds the key envelope: 0 at the front, 1 at the end.
    LayerHeader(u64),
    /// An anchor, by its number.
    Anchor(u64),
    /// A footer page of the compression layer, or behind the last page the tail.
    Footer(u64),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("container header"),
            Self::Trailer => f.write_str("container trailer"),
            Self::LayerHeader(0) => f.write_str("layer header at the front"),
            Self::LayerHeader(_) => f.write_str("layer header at the end"),
            Self::Anchor(index) => write!(f, "anchor {index}"),
            Self::Footer(page) => write!(f, "footer frame {page}"),
        }
    }
}

/// Statements that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// The trailer states another length than the result has.
    StoredLength {
        /// Bytes from header to trailer, as the trailer states them.
        stated: u64,
        /// Bytes in the result.
        found: u64,
    },
    /// A frame states another length of the plain stream than the data frames have.
    PlainLength {
        /// Plain bytes, as it states them.
        stated: u64,
        /// Plain bytes of the data frames.
        found: u64,
    },
    /// Header and trailer are of the same pack, and differ.
    Edges,
    /// Data frames from here on have no place among the others.
    Place {
        /// Offset in the source.
        at: u64,
    },
    /// Frames whose checksums hold, but that cannot be what they say.
    Misfits {
        /// How many.
        frames: u64,
    },
    /// Layer headers differ, as those of two copies do between which the recipients were changed. One envelope is kept in all places.
    LayerHeaders {
        /// Offset in the source of the first frame that holds the one that is kept.
        kept: u64,
        /// Offset in the source of the first frame that holds another one.
        other: u64,
    },
    /// Appendices behind the trailer are damaged, and stay as they are.
    Appendices {
        /// Their bytes in the source.
        stored: Range<u64>,
    },
    /// The pack has no frames: only its header and trailer can be checked.
    NoFrames,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoredLength { stated, found } => {
                write!(f, "the trailer states a pack of {stated} bytes, but {found} make it up")
            }
            Self::PlainLength { stated, found } => {
                write!(f, "a frame states {stated} plain bytes, but the frames hold {found}")
            }
            Self::Edges => f.write_str("header and trailer are of one pack, but differ"),
            Self::Place { at } => {
                write!(f, "frames at byte {at} have no place among the others, and are left out")
            }
            Self::Misfits { frames } => {
                write!(f, "{frames} frames are not what they say, and are left out")
            }
            Self::LayerHeaders { kept, other } => write!(
                f,
                "two key envelopes are there, as after a change of recipients: the one at byte {kept} is kept, the one at byte {other} is left out"
            ),
            Self::Appendices { stored } => write!(
                f,
                "appendices are damaged, and kept as they are (stored bytes {}–{})",
                stored.start, stored.end
            ),
            Self::NoFrames => f.write_str(
                "the pack has neither encryption nor compression, so that nothing but its header and trailer can be checked here",
            ),
        }
    }
}
