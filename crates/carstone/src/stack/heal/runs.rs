//! Frames that stand one behind the other.

use std::ops::Range;

use carstone_layer::{FrameHeader, Kind};

/// A run of neighbouring data frames, or what is known of one that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) still: Still,
    /// Sequences.
    pub(super) frames: Range<u64>,
    pub(super) plain: Range<u64>,
    /// Their bytes in the source, damaged ones where the frame is lost.
    pub(super) source: Range<u64>,
    /// Stored bytes of the last frame; 0 where something else follows it in the run.
    pub(super) last_len: u64,
    /// Whether the final frame of the stream is among them.
    pub(super) is_final: bool,
}

/// What is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// The frames.
    Data,
    /// Hole frames of an earlier repair.
    Holes,
    /// Nothing but a header.
    Header,
    /// Nothing: others say what is missing.
    Nothing,
}

impl Run {
    /// One frame that stands at `source`.
    pub(super) fn of_frame(header: &FrameHeader, source: Range<u64>, is_whole: bool) -> Self {
        let still = match (is_whole, header.kind) {
            (false, _) => Still::Header,
            (true, Kind::HOLE) => Still::Holes,
            (true, _) => Still::Data,
        };
        Self {
            still,
            frames: header.sequence..header.sequence.saturating_add(1),
            plain: header.plain_offset..header.plain_end().unwrap_or(header.plain_offset),
            last_len: source.end - source.start,
            source,
            is_final: header.last,
        }
    }

    /// What is missing between others.
    pub(super) fn lost(frames: Range<u64>, plain: Range<u64>, is_final: bool) -> Self {
        Self { still: Still::Nothing, frames, plain, source: 0..0, last_len: 0, is_final }
    }

    /// Whether its bytes are written as they stand in the source.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.still, Still::Data | Still::Holes)
    }

    /// Takes `next` in, if it goes on where this one ends.
    pub(super) fn extend(&mut self, next: &Self) -> bool {
        let goes_on = self.is_there()
            && self.still == next.still
            && !self.is_final
            && self.frames.end == next.frames.start
            && self.plain.end == next.plain.start
            && self.source.end == next.source.start;
        if goes_on {
            self.frames.end = next.frames.end;
            self.plain.end = next.plain.end;
            self.source.end = next.source.end;
            (self.last_len, self.is_final) = (next.last_len, next.is_final);
        }
        goes_on
    }

    /// How many frames.
    pub(super) fn len(&self) -> u64 {
        self.frames.end - self.frames.start
    }

    /// Its frames before `frame`, and those from there on; `source` and `plain` are the place of `frame`.
    pub(super) fn split(self, frame: u64, (source, plain): (u64, u64)) -> (Self, Self) {
        let first = Self {
            frames: self.frames.start..frame,
            plain: self.plain.start..plain,
            source: self.source.start..source,
            last_len: 0,
            is_final: false,
            ..self
        };
        let second = Self {
            frames: frame..self.frames.end,
            plain: plain..self.plain.end,
            source: source..self.source.end,
            ..self
        };
        (first, second)
    }
}

/// Plain offset and plain length of hole `index` from 0 among `frames` for the bytes `plain`: as many as possible are whole
/// units, and none is empty.
pub(super) fn hole(plain: &Range<u64>, frames: u64, unit: u32, index: u64) -> (u64, u32) {
    let more = (plain.end - plain.start).saturating_sub(frames);
    let unit = u64::from(unit) - 1;
    let before = index.saturating_mul(unit).min(more);
    let len = (more - before).min(unit) + u64::from(plain.start < plain.end);
    (plain.start + index + before, len as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_fill_the_gap_and_none_is_empty_or_too_long() {
        for (start, len, frames) in [(0, 3, 3), (7, 30, 3), (7, 12, 3), (9, 21, 3), (0, 10, 1)] {
            let mut next = start;
            for index in 0..frames {
                let (at, plain) = hole(&(start..start + len), frames, 10, index);
                assert_eq!(at, next, "{index} of {frames}");
                assert!((1..=10).contains(&plain), "{plain}");
                next += u64::from(plain);
            }
            assert_eq!(next, start + len);
        }
        assert_eq!(hole(&(0..0), 1, 10, 0), (0, 0), "an empty stream has an empty frame");
    }
}
