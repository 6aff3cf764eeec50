//! Files of which something is known and something is missing.

use std::ops::Range;

use carstone_car::Cid;

use super::places::Span;
use crate::leaves::Digest;
use crate::ranges::Ranges;

/// A file of several leaves that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Its path; empty while only its number is known.
    pub(super) path: Vec<u8>,
    /// Whether it has been announced.
    pub(super) named: bool,
    /// Offset of the next leaf that belongs to it by its place in the stream.
    pub(super) offset: u64,
    /// Which bytes came.
    pub(super) received: Ranges,
    /// Where the last leaf begins that came in part.
    pub(super) begun: u64,
    /// What came, leaf by leaf, while it is not announced.
    pub(super) pieces: Vec<Piece>,
    /// Where it stands.
    pub(super) span: Span,
    /// What its end says, once that is known.
    pub(super) end: Option<End>,
}

/// A leaf that is content of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) digest: Digest,
}

/// What the end record of a file states, or the manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) size: u64,
    pub(super) root: Option<Cid>,
    pub(super) sha256: Option<Digest>,
    pub(super) changed: bool,
}

impl Open {
    /// Notes that a leaf came.
    pub(super) fn add(&mut self, piece: Piece) {
        self.received.insert(piece.range());
        if !self.named && self.pieces.len() < MOST_PIECES {
            self.pieces.push(piece);
        }
    }

    /// The bytes that did not come, as far as they are known.
    pub(super) fn missing(&self) -> Vec<Range<u64>> {
        let known = self.received.end().max(self.begun);
        self.received.missing(self.end.map_or(known, |end| end.size))
    }
}

impl Piece {
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.len)
    }
}

/// Leaves that are remembered of one file whose name is lost: some 50 MiB.
const MOST_PIECES: usize = 1 << 20;
