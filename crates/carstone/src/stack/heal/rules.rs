//! What holds for the frames of the outermost framed layer.

use std::io;
use std::ops::Range;

use carstone_compress as compress;
use carstone_encrypt as encrypt;
use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, ReadAt, ScanLimits};

use super::runs::{Run, Still, hole};

/// The outermost framed layer, and the most plain bytes in its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) layer: LayerId,
    pub(super) unit: u32,
}

impl Rules {
    pub(super) fn is_encrypted(self) -> bool {
        self.layer == LayerId::ENCRYPTION
    }

    pub(super) fn limits(self) -> ScanLimits {
        match self.is_encrypted() {
            true => encrypt::scan_limits(),
            false => compress::scan_limits(self.unit),
        }
    }

    /// Whether a data frame or hole can be one of this layer.
    pub(super) fn is_regular(self, header: &FrameHeader) -> bool {
        match (self.is_encrypted(), header.kind) {
            (true, Kind::DATA) => encrypt::is_regular(header),
            (true, Kind::HOLE) => self.is_hole(header),
            (false, Kind::DATA | Kind::HOLE) => compress::is_regular(header, self.unit),
            _ => false,
        }
    }

    /// Whether `plain` bytes can stand in `frames` frames.
    pub(super) fn fits(self, frames: u64, plain: u64) -> bool {
        let most = frames.saturating_mul(self.unit.into());
        match self.is_encrypted() {
            true => plain <= most && plain > most.saturating_sub(self.unit.into()),
            false => (frames..=most).contains(&plain),
        }
    }

    /// Where in the source frame `frame` of `run` begins, and at which plain offset.
    pub(super) fn place<R: ReadAt>(
        self,
        source: &R,
        run: &Run,
        frame: u64,
    ) -> io::Result<(u64, u64)> {
        let before = frame.saturating_sub(run.frames.start);
        if !run.is_there() {
            return Ok((run.source.start, hole(&run.plain, run.len(), self.unit, before).0));
        }
        if self.is_encrypted() {
            let len = match run.still {
                Still::Data => encrypt::STORED_FRAME as u64,
                _ => FRAME_HEADER_LEN as u64,
            };
            let plain = run.plain.start + before * u64::from(self.unit);
            return Ok((run.source.start + before * len, plain));
        }
        let (mut at, mut plain) = (run.source.start, run.plain.start);
        let mut left = before;
        while left > 0 {
            let header = header_at(source, at, &run.source)?;
            if is_data(&header) {
                left -= 1;
                plain = header.plain_end().ok_or_else(changed)?;
            }
            at += header.frame_len();
        }
        Ok((at, plain))
    }

    /// Cuts `run` before `frame`, if that is in it and not its first one.
    pub(super) fn cut<R: ReadAt>(
        self,
        source: &R,
        run: Run,
        frame: u64,
    ) -> io::Result<(Run, Option<Run>)> {
        if frame <= run.frames.start || frame >= run.frames.end {
            return Ok((run, None));
        }
        let place = self.place(source, &run, frame)?;
        let (first, second) = run.split(frame, place);
        Ok((first, Some(second)))
    }

    fn is_hole(self, header: &FrameHeader) -> bool {
        let len_fits = match header.plain_len {
            0 => header.last && header.sequence == 0,
            len => len == self.unit || (header.last && len < self.unit),
        };
        len_fits
            && (header.codec, header.segment, header.stored_len) == (0, 0, 0)
            && header.first_boundary.is_none()
            && header.sequence < encrypt::MAX_FRAMES
            && header.plain_offset == header.sequence * u64::from(self.unit)
    }
}

/// Whether the frame has a place in the plain stream.
pub(super) fn is_data(header: &FrameHeader) -> bool {
    matches!(header.kind, Kind::DATA | Kind::HOLE)
}

/// The header at `at`, of a frame within `range` that has been read before.
pub(super) fn header_at<R: ReadAt + ?Sized>(
    source: &R,
    at: u64,
    range: &Range<u64>,
) -> io::Result<FrameHeader> {
    let mut bytes = [0; FRAME_HEADER_LEN];
    source.read_exact_at(&mut bytes, at)?;
    let header = FrameHeader::decode(&bytes).map_err(|_| changed())?;
    match at.checked_add(header.frame_len()) {
        Some(end) if end <= range.end => Ok(header),
        _ => Err(changed()),
    }
}

/// The source does not hold any more what it held.
pub(super) fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the pack changed while it was repaired")
}
