//! Goes from frame header to frame header, without footer and without payloads.

use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, PackId, ReadAt, read_full};

use crate::format::{check_lengths, stored_limit};
use crate::{Error, ErrorKind};

/// What every frame of a stream must agree with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The pack; `None` before the first frame has been read, where the caller does not know it.
    pub(crate) pack: Option<PackId>,
    /// The most plain bytes in a frame.
    pub(crate) limit: u32,
}

impl Rules {
    /// Reads the header that stands at byte `at`, and checks it by itself.
    pub(crate) fn parse(
        &self,
        bytes: &[u8; FRAME_HEADER_LEN],
        at: u64,
    ) -> Result<FrameHeader, Error> {
        let frame_error =
            |error: carstone_layer::Error| Error::new(ErrorKind::Frame(error.moved(at)), at);
        let header = FrameHeader::decode(bytes).map_err(frame_error)?;
        self.check(&header, at)?;
        Ok(header)
    }

    /// Checks a header that stands at byte `at` by itself.
    pub(crate) fn check(&self, header: &FrameHeader, at: u64) -> Result<(), Error> {
        let unknown = |what, value| {
            let kind = carstone_layer::ErrorKind::Unknown { what, value };
            let error = carstone_layer::Error::new(kind, 0).moved(at);
            Err(Error::new(ErrorKind::Frame(error), at))
        };
        let misplaced =
            |what| Err(Error::new(ErrorKind::Misplaced { frame: header.sequence, what }, at));
        if header.layer != LayerId::COMPRESSION {
            return misplaced("layer");
        }
        if self.pack.is_some_and(|pack| pack != header.pack) {
            return Err(Error::new(ErrorKind::Foreign, at));
        }
        if header.segment != 0 {
            return unknown("segment", header.segment.into());
        }
        if !header.kind.is_known() && !header.kind.is_ancillary() {
            return unknown("frame kind", header.kind.0.into());
        }
        if is_data(header) {
            check_lengths(header, self.limit, at)?;
            if header.first_boundary.is_some_and(|boundary| boundary >= header.plain_len) {
                return misplaced("first boundary");
            }
            if header.plain_len == 0 && !(header.last && header.plain_offset == 0) {
                return misplaced("plain length");
            }
        }
        if let Some(what) = beyond_kind(header) {
            return misplaced(what);
        }
        let (len, limit) = (header.stored_len.into(), stored_limit(header.kind, self.limit));
        if len > limit {
            let what = "stored length of a frame";
            return Err(Error::new(ErrorKind::TooLong { what, len, limit }, at));
        }
        Ok(())
    }
}

/// Whether the frame has a place in the plain stream.
pub(crate) fn is_data(header: &FrameHeader) -> bool {
    header.kind == Kind::DATA || header.kind == Kind::HOLE
}

/// A field that frames of this kind do not have, and that is set all the same.
fn beyond_kind(header: &FrameHeader) -> Option<&'static str> {
    if header.kind == Kind::DATA || !header.kind.is_known() {
        return None;
    }
    if header.kind == Kind::LAYER_HEADER {
        Some("kind")
    } else if header.codec != 0 {
        Some("codec")
    } else if header.first_boundary.is_some() {
        Some("first boundary")
    } else if header.kind == Kind::HOLE {
        None
    } else if header.plain_len != 0 {
        Some("plain length")
    } else if header.last && header.kind == Kind::ANCHOR {
        Some("last flag")
    } else {
        None
    }
}

/// A place between two frames.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) rules: Rules,
    /// Position of the next header.
    pub(crate) at: u64,
    /// Plain bytes and data frames before it.
    pub(crate) plain: u64,
    pub(crate) frames: u64,
    /// The last data frame has been passed.
    pub(crate) ended: bool,
    size: u64,
}

impl Walk {
    /// Starts at the first byte of a stored stream of `size` bytes.
    pub(crate) fn new(rules: Rules, size: u64) -> Self {
        Self { rules, at: 0, plain: 0, frames: 0, ended: false, size }
    }

    /// The next frame's position and header; `None` at the end of the stream.
    pub(crate) fn next<R: ReadAt>(
        &mut self,
        source: &R,
    ) -> Result<Option<(u64, FrameHeader)>, Error> {
        let at = self.at;
        let mut bytes = [0; FRAME_HEADER_LEN];
        match read_full(source, &mut bytes, at).map_err(|error| Error::io(error, at))? {
            0 if self.ended => return Ok(None),
            FRAME_HEADER_LEN => {}
            n => return Err(Error::new(ErrorKind::Truncated, at.saturating_add(n as u64))),
        }
        let header = self.rules.parse(&bytes, at)?;
        self.rules.pack.get_or_insert(header.pack);
        if is_data(&header) {
            self.pass_data(&header)?;
        }
        match at.checked_add(header.frame_len()) {
            Some(end) if end <= self.size => self.at = end,
            _ => return Err(Error::new(ErrorKind::Truncated, self.size)),
        }
        Ok(Some((at, header)))
    }

    fn pass_data(&mut self, header: &FrameHeader) -> Result<(), Error> {
        let differs = if self.ended {
            Some("end of the data frames")
        } else if header.sequence != self.frames {
            Some("sequence")
        } else if header.plain_offset != self.plain {
            Some("plain offset")
        } else {
            None
        };
        if let Some(what) = differs {
            let kind = ErrorKind::Misplaced { frame: self.frames, what };
            return Err(Error::new(kind, self.at));
        }
        self.frames += 1;
        self.plain = header.plain_end().unwrap_or(self.plain);
        self.ended = header.last;
        Ok(())
    }
}

/// The frames of a stored stream in their order, read from header to header.
///
/// Made by [`CompressReader::frames`](crate::CompressReader::frames). Ends after the first error.
#[derive(Debug)]
pub struct Frames<'a, R> {
    source: &'a R,
    walk: Option<Walk>,
}

impl<'a, R: ReadAt> Frames<'a, R> {
    pub(crate) fn new(source: &'a R, walk: Walk) -> Self {
        Self { source, walk: Some(walk) }
    }
}

impl<R: ReadAt> Iterator for Frames<'_, R> {
    /// Position of the header in the stored stream, and the header.
    type Item = Result<(u64, FrameHeader), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.walk.as_mut()?.next(self.source).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.walk = None;
        }
        next
    }
}
