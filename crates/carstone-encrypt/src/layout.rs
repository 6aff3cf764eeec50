//! Where each frame stands: arithmetic only (`docs/format.md`, section 4.3).

use carstone_layer::FRAME_HEADER_LEN;

use crate::format::{ANCHOR_EVERY, FRAME_LEN, HEADER_FIXED, MAX_FRAMES, OVERHEAD, STORED_FRAME};

/// The places of all frames of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Stored bytes of a layer header frame.
    pub header_len: u64,
    /// Stored bytes of an anchor frame.
    pub anchor_len: u64,
    /// Data frames, at least 1.
    pub frames: u64,
    /// Plain bytes in the last frame.
    pub last_len: u64,
}

impl Layout {
    /// The layout of a stored stream of `stored` bytes, if whole frames can add up to it. `envelope` and `container` are
    /// lengths in bytes.
    pub(crate) fn of_stored(stored: u64, envelope: usize, container: usize) -> Option<Self> {
        let empty = Self::new(envelope, container);
        let body = stored.checked_sub(2 * empty.header_len)?;
        let group = ANCHOR_EVERY * FRAME + empty.anchor_len;
        let (groups, rest) = (body / group, body % group);
        let (frames, last_len) = if body == OVERHEAD as u64 {
            (1, 0) // The empty stream, and only it, has an empty frame.
        } else {
            let payload = rest.checked_sub(OVERHEAD as u64 + 1)?;
            (groups * ANCHOR_EVERY + payload / FRAME + 1, payload % FRAME + 1)
        };
        let in_group = (frames - 1) / ANCHOR_EVERY == groups;
        let fits = in_group && last_len <= FRAME_LEN as u64 && frames <= MAX_FRAMES;
        fits.then_some(Self { frames, last_len, ..empty })
    }

    /// The layout of an empty stream. `envelope` and `container` are lengths in bytes.
    pub(crate) fn new(envelope: usize, container: usize) -> Self {
        let anchor_len = (FRAME_HEADER_LEN + 8 + container + HEADER_FIXED + envelope) as u64;
        Self { header_len: header_frame_len(envelope), anchor_len, frames: 1, last_len: 0 }
    }

    /// Stored offset of data frame `frame`.
    pub(crate) fn position(&self, frame: u64) -> u64 {
        self.header_len + frame * FRAME + frame / ANCHOR_EVERY * self.anchor_len
    }

    /// Anchors in the stream.
    pub(crate) fn anchors(&self) -> u64 {
        (self.frames - 1) / ANCHOR_EVERY
    }

    /// Stored bytes of the whole stream.
    pub(crate) fn stored_len(&self) -> u64 {
        self.position(self.frames - 1) + OVERHEAD as u64 + self.last_len + self.header_len
    }

    /// Plain offset of the first byte of data frame `frame`.
    pub(crate) fn position_in_plain(&self, frame: u64) -> u64 {
        frame * FRAME_LEN as u64
    }

    /// Plain bytes in the stream.
    pub(crate) fn plain_len(&self) -> u64 {
        (self.frames - 1) * FRAME_LEN as u64 + self.last_len
    }

    /// Plain bytes in one frame.
    pub(crate) fn frame_len(&self, frame: u64) -> usize {
        if frame + 1 == self.frames { self.last_len as usize } else { FRAME_LEN }
    }

    /// How many of `wanted` frames from `frame` on stand next to each other, without an anchor between them.
    pub(crate) fn run(&self, frame: u64, wanted: u64) -> u64 {
        wanted.min(ANCHOR_EVERY - frame % ANCHOR_EVERY).min(self.frames.saturating_sub(frame))
    }
}

/// Stored bytes of a layer header frame with an envelope of `envelope` bytes.
pub(crate) fn header_frame_len(envelope: usize) -> u64 {
    (FRAME_HEADER_LEN + HEADER_FIXED + envelope) as u64
}

const FRAME: u64 = STORED_FRAME as u64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored length by the plain words of the format: one frame after the other.
    fn stored_len(plain: u64, envelope: u64, container: u64) -> u64 {
        let mut stored = 2 * (96 + 44 + envelope);
        let mut left = plain;
        let mut sequence = 0;
        loop {
            let len = left.min(131_072);
            left -= len;
            stored += 96 + len + 16;
            sequence += 1;
            if left == 0 {
                return stored;
            }
            if sequence % 512 == 0 {
                stored += 96 + 8 + container + 44 + envelope;
            }
        }
    }

    const N: u64 = FRAME_LEN as u64;

    #[test]
    fn the_layout_follows_from_the_stored_length() {
        for (envelope, container) in [(0, 0), (500, 256), (1 << 20, 0)] {
            for frames in [0, 1, 2, 511, 512, 513, 1023, 1024, 1025, 2049] {
                for plain in [frames * N, frames * N + 1, frames * N + N - 1] {
                    let stored = stored_len(plain, envelope, container);
                    let layout = Layout::of_stored(stored, envelope as usize, container as usize)
                        .expect("whole frames");
                    assert_eq!(layout.plain_len(), plain);
                    assert_eq!(layout.frames, plain.div_ceil(N).max(1));
                    assert_eq!(layout.stored_len(), stored);
                    assert_eq!(layout.anchors(), (layout.frames - 1) / 512);
                }
            }
        }
    }

    #[test]
    fn lengths_that_no_stream_has_give_no_layout() {
        let full = stored_len(512 * N, 0, 0);
        let wrong = [0, 100, 280, 280 + 111, 280 + STORED_FRAME as u64 + 112, full + 1, full + 149];
        for stored in wrong {
            assert_eq!(Layout::of_stored(stored, 0, 0), None, "{stored}");
        }
        assert!(Layout::of_stored(u64::MAX, 0, 0).is_none(), "more frames than a key may seal");
    }

    #[test]
    fn a_run_ends_at_an_anchor_and_at_the_end() {
        let layout = Layout::of_stored(stored_len(600 * N, 0, 0), 0, 0).expect("whole frames");
        assert_eq!(layout.run(0, 8), 8);
        assert_eq!(layout.run(508, 8), 4);
        assert_eq!(layout.run(512, 8), 8);
        assert_eq!(layout.run(597, 8), 3);
        assert_eq!(layout.run(600, 8), 0);
    }
}
