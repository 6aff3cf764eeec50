//! What a damaged CAR is made of.

use std::fmt;
use std::ops::Range;

use carstone_car::{Cid, Header, Section};

/// A part of a CAR. Parts come in the order of the stream, and cover it without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CarItem {
    /// The header, which stands first if it is sound.
    #[non_exhaustive]
    Header {
        /// What it states.
        header: Header,
        /// Its bytes.
        len: u64,
    },
    /// A block that hashes to its CID.
    #[non_exhaustive]
    Block {
        /// Where it stands.
        section: Section,
        /// Its data.
        data: Vec<u8>,
    },
    /// Bytes in which there is no block.
    Gap(CarGap),
}

/// Bytes of a CAR that hold no block, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarGap {
    /// The bytes.
    pub range: Range<u64>,
    /// What is wrong where they begin.
    pub fault: CarFault,
}

/// Why bytes hold no block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CarFault {
    /// No sound header stands at the front: the roots are unknown.
    Header,
    /// No section begins there.
    NoSection,
    /// The data of a section does not hash to this CID.
    Mismatch(Box<Cid>),
    /// The hash function of this CID is not known, so that nothing is known of the data.
    Unverifiable(Box<Cid>),
    /// The stream stops inside of a section.
    Truncated,
    /// What looks like sections would take more hashing than the bound on it allows.
    Unaffordable,
}

impl CarGap {
    pub(super) fn new(range: Range<u64>, fault: CarFault) -> Self {
        Self { range, fault }
    }

    /// The same gap of a stream that starts at `base` of a file.
    #[must_use]
    pub fn with_base(mut self, base: u64) -> Self {
        let Range { start, end } = self.range;
        self.range = start.saturating_add(base)..end.saturating_add(base);
        self
    }
}

impl fmt::Display for CarGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.range;
        match &self.fault {
            CarFault::Header => {
                write!(f, "no CAR header at byte {start}; the first block begins at byte {end}")
            }
            CarFault::NoSection => {
                write!(f, "no section at byte {start}; {} bytes are passed over", end - start)
            }
            CarFault::Mismatch(cid) => {
                write!(
                    f,
                    "data does not match its CID {cid} at byte {start}; {} bytes are passed over",
                    end - start
                )
            }
            CarFault::Unverifiable(cid) => write!(
                f,
                "data of {cid} cannot be verified: hash function {:#x} with a digest of {} bytes at byte {start}; {} bytes are passed over",
                cid.hash().code(),
                cid.hash().size(),
                end - start
            ),
            CarFault::Truncated => write!(
                f,
                "the CAR stops inside a section at byte {end}; {} bytes are passed over",
                end - start
            ),
            CarFault::Unaffordable => write!(
                f,
                "too much at byte {start} looks like sections; {} bytes are passed over",
                end - start
            ),
        }
    }
}
