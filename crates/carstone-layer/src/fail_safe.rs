//! The reading side of a layer when the stream may be damaged.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use crate::LayerId;

/// A `Read` for which damage is data: it stops at a gap, says so, and goes on behind it.
///
/// `read` gives only verified bytes and returns `Ok(0)` at a gap or at the end; [`next_gap`](Self::next_gap) tells which. So
/// plain `io::copy` is safe: it stops at the first gap. `Err` is the environment only.
pub trait FailSafeRead: Read {
    /// Plain offset, in this layer, of the next byte that `read` gives.
    fn position(&self) -> u64;

    /// After `read` gave `Ok(0)`: the gap that stopped it, or `None` at the end. Reading goes on behind
    /// the gap, and [`position`](Self::position) moves there when its length is known.
    ///
    /// # Errors
    /// Only what the source gives.
    fn next_gap(&mut self) -> io::Result<Option<Gap>>;

    /// Plain offset of the next known start of a CAR section at or after [`position`](Self::position), if a frame that
    /// has been read states one.
    fn next_boundary(&mut self) -> Option<u64>;

    /// Bytes of the gap that [`next_gap`](Self::next_gap) just gave that could still be decoded, starting at the gap's `at`, without any proof: there may be more of them
    /// than the gap has, where some were put in. `Ok(0)` when there are none (left). Only for a caller that hashes what it gets; the encryption layer has none.
    ///
    /// # Errors
    /// Only what the source gives.
    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = buf;
        Ok(0)
    }

    /// At the end, when there is neither a byte nor a gap any more: reads what stands behind the last plain byte, in this layer and those below,
    /// and gives the first damage in it, as a gap of no bytes. By default nothing stands there.
    ///
    /// # Errors
    /// Only what the source gives.
    fn check_end(&mut self) -> io::Result<Option<Gap>> {
        Ok(None)
    }

    /// Moves what this layer and the layers below have corrected so far into `report`.
    fn drain_report(&mut self, report: &mut Report);
}

/// A stack of fail-safe readers put together at run time.
pub type BoxFailSafe<'a> = Box<dyn FailSafeRead + Send + 'a>;

impl<R: FailSafeRead + ?Sized> FailSafeRead for Box<R> {
    fn position(&self) -> u64 {
        (**self).position()
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        (**self).next_gap()
    }

    fn next_boundary(&mut self) -> Option<u64> {
        (**self).next_boundary()
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read_unchecked(buf)
    }

    fn check_end(&mut self) -> io::Result<Option<Gap>> {
        (**self).check_end()
    }

    fn drain_report(&mut self, report: &mut Report) {
        (**self).drain_report(report);
    }
}

/// Plain bytes that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The layer that reports it.
    pub layer: LayerId,
    /// Plain offset, in that layer, of the first missing byte.
    pub at: u64,
    /// Missing plain bytes; `None` when the stream ends here and nobody knows how far it went.
    pub len: Option<u64>,
    /// The damaged range of the layer's stored stream, where it is known.
    pub stored: Option<Range<u64>>,
    /// Why.
    pub cause: Cause,
}

impl Gap {
    /// A gap of `len` plain bytes at `at`.
    pub fn new(layer: LayerId, at: u64, len: Option<u64>, cause: Cause) -> Self {
        Self { layer, at, len, stored: None, cause }
    }

    /// States which stored bytes are damaged.
    #[must_use]
    pub fn with_stored(mut self, stored: Range<u64>) -> Self {
        self.stored = Some(stored);
        self
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len {
            Some(len) => write!(f, "{} layer: {len} bytes at byte {} ", self.layer, self.at)?,
            None => write!(f, "{} layer: everything from byte {} ", self.layer, self.at)?,
        }
        write!(f, "{}", self.cause)?;
        match &self.stored {
            Some(stored) => write!(f, " (stored bytes {}–{})", stored.start, stored.end),
            None => Ok(()),
        }
    }
}

/// Why bytes are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The stream stops early.
    Truncated,
    /// Bytes are there but fail their check.
    Corrupt,
    /// A frame is not where it should be, or a hole stands for it.
    Missing,
    /// Frames of another pack stand here.
    Foreign,
    /// Frames stand in the wrong order.
    OutOfOrder,
    /// More bytes are there than there should be.
    Extra,
    /// A length is over the limit.
    Limit,
    /// The frame is encrypted under a key that was not given.
    NoKey,
    /// The layer below has a gap.
    Below(Box<Gap>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("cut off"),
            Self::Corrupt => f.write_str("corrupt"),
            Self::Missing => f.write_str("missing"),
            Self::Foreign => f.write_str("replaced by another pack's"),
            Self::OutOfOrder => f.write_str("out of order"),
            Self::Extra => f.write_str("longer than it should be"),
            Self::Limit => f.write_str("over a limit"),
            Self::NoKey => f.write_str("encrypted under another key"),
            Self::Below(gap) => write!(f, "lost below: {gap}"),
        }
    }
}

/// Stored bytes that were put right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Correction {
    /// The layer whose stored stream was corrected.
    pub layer: LayerId,
    /// Offset of the first corrected byte in that stream.
    pub at: u64,
    /// How many bits were flipped back.
    pub bits: u32,
}

impl Correction {
    /// `bits` bits from byte `at` on were flipped back.
    pub fn new(layer: LayerId, at: u64, bits: u32) -> Self {
        Self { layer, at, bits }
    }
}

/// What fail-safe readers have found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Corrections made, in the order they were made.
    pub corrections: Vec<Correction>,
}
