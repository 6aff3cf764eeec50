//! Finding the layer header of a stream, without a key.

use std::io::{self, Read};

use carstone_layer::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FailSafeRead, FrameHeader, FrameScan, Kind, LayerId, PackId,
    PlainSource, ReadAt, Scanned, read_full,
};

use crate::format::{CONTAINER_LEN, HEADER_FIXED, MAX_ENVELOPE, OVERHEAD, bad_header, scan_limits};
use crate::layout::{Layout, header_frame_len};
use crate::{Anchor, Error, ErrorKind, LayerHeader};

impl LayerHeader {
    /// Reads the layer header of a stored stream: the copy at the front, or else the one at the end, or else the first that
    /// is found in an anchor or can be put right. No key is needed.
    ///
    /// # Errors
    /// What is wrong with the front copy, when no other is good either; [`ErrorKind::Io`] when the source fails.
    pub fn read_at<R: ReadAt + ?Sized>(source: &R) -> Result<Self, Error> {
        let front = match HeaderFrame::read(source, 0) {
            Ok(frame) => return Ok(frame.layer),
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error),
            Err(error) => error,
        };
        if let Some(header) = Self::at_end(source)? {
            return Ok(header);
        }
        let mut scan = scan(PlainSource::new(FromFront { source, at: 0 }), None);
        while let Some(found) = scan.next().map_err(|error| Error::io(error, 0))? {
            if let Scanned::Frame(frame) = found {
                if let Some(header) = Self::in_frame(&frame.header, &frame.payload) {
                    return Ok(header);
                }
                scan.recycle(frame.payload);
            }
        }
        Err(front)
    }

    /// The layer header that a whole frame holds, if it is a layer header frame or an anchor.
    pub fn in_frame(header: &FrameHeader, payload: &[u8]) -> Option<Self> {
        match header.kind {
            Kind::LAYER_HEADER => Self::of_frame(header, payload).ok(),
            Kind::ANCHOR => {
                let anchor = Anchor::decode(payload)?;
                Self::decode(header.pack, &anchor.layer_header).ok()
            }
            _ => None,
        }
    }

    /// Looks for a layer header frame that ends where the stream ends.
    fn at_end<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Self>, Error> {
        let size = source.size().map_err(|error| Error::io(error, 0))?;
        let start = size.saturating_sub(header_frame_len(MAX_ENVELOPE));
        // At most the longest layer header, a little over a megabyte.
        let mut tail = vec![0; usize::try_from(size - start).unwrap_or_default()];
        let read = read_full(source, &mut tail, start).map_err(|error| Error::io(error, start))?;
        let mut from = 0;
        let mut tries = MAX_TRIES;
        while tries > 0
            && let Some(found) = find_magic(tail.get(from..read).unwrap_or_default())
        {
            from += found;
            if is_header_up_to(&tail[from..read]) {
                tries -= 1;
                if let Ok(frame) = HeaderFrame::read(source, start + from as u64) {
                    return Ok(Some(frame.layer));
                }
            }
            from += 1;
        }
        Ok(None)
    }
}

/// A search for the frames of this layer in what may be damaged.
pub(crate) fn scan<R: FailSafeRead>(source: R, pack: Option<PackId>) -> FrameScan<R> {
    FrameScan::new(source, LayerId::ENCRYPTION, pack, scan_limits())
}

/// A whole layer header frame.
pub(crate) struct HeaderFrame {
    pub frame: FrameHeader,
    pub payload: Vec<u8>,
    pub layer: LayerHeader,
}

impl HeaderFrame {
    /// Reads the frame at `at` and checks all that can be checked without a key.
    pub(crate) fn read<R: ReadAt + ?Sized>(source: &R, at: u64) -> Result<Self, Error> {
        let io = |error| Error::io(error, at);
        let mut head = [0; FRAME_HEADER_LEN];
        let read = read_full(source, &mut head, at).map_err(io)?;
        if read < FRAME_HEADER_LEN {
            return Err(Error::new(ErrorKind::Truncated, at + read as u64));
        }
        let frame = FrameHeader::decode(&head).map_err(|source| of_layer(source, at))?;
        if frame.layer != LayerId::ENCRYPTION || frame.kind != Kind::LAYER_HEADER {
            let source = carstone_layer::ErrorKind::BadField("layer or kind of the first frame");
            return Err(in_frame_at(bad_header(source, 13), at, 0));
        }
        let limit = (HEADER_FIXED + MAX_ENVELOPE) as u64;
        let len = u64::from(frame.stored_len);
        if len > limit {
            let kind = ErrorKind::TooLong { what: "layer header", len, limit };
            return Err(Error::new(kind, at));
        }
        let mut payload = vec![0; frame.stored_len as usize];
        let behind = at.saturating_add(FRAME_HEADER_LEN as u64);
        let read = read_full(source, &mut payload, behind).map_err(io)?;
        if read < payload.len() {
            return Err(Error::new(ErrorKind::Truncated, behind + read as u64));
        }
        let layer = LayerHeader::of_frame(&frame, &payload)
            .map_err(|error| in_frame_at(error, at, FRAME_HEADER_LEN))?;
        Ok(Self { frame, payload, layer })
    }

    /// Finds the end of the stream that this header frame starts, and by it the place of every frame.
    pub(crate) fn layout<R: ReadAt + ?Sized>(&self, source: &R) -> Result<Layout, Error> {
        let size = source.size().map_err(|error| Error::io(error, 0))?;
        let truncated = || Error::new(ErrorKind::Truncated, size);
        if self.frame.sequence != 0 || self.frame.plain_offset != 0 {
            // The copy at the end stands at the front: everything before it is gone.
            return Err(truncated());
        }
        let envelope = self.layer.envelope.len();
        let header_len = header_frame_len(envelope);
        let at = size.checked_sub(header_len).ok_or_else(truncated)?;
        if at < header_len + OVERHEAD as u64 {
            return Err(truncated());
        }
        let end = Self::read(source, at).map_err(|error| match error.kind() {
            // Any other bytes than a layer header frame: the end of the stream is not there.
            ErrorKind::BadHeader(source) if is_absent(source, at) => truncated(),
            _ => error,
        })?;
        if end.frame.pack != self.frame.pack || end.payload != self.payload {
            return Err(Error::new(ErrorKind::HeadersDiffer, at));
        }
        if end.frame.sequence != 1 {
            return Err(truncated());
        }
        // Anchors are longer where the stream stands in a container, which the stream itself does not say.
        [0, CONTAINER_LEN]
            .into_iter()
            .filter_map(|container| Layout::of_stored(size, envelope, container))
            .find(|layout| layout.plain_len() == end.frame.plain_offset)
            .ok_or_else(|| match first_hole(source, header_len, at) {
                Some((frame, at)) => Error::new(ErrorKind::Hole { frame }, at),
                None => Error::new(ErrorKind::BadLength, size),
            })
    }
}

/// The first hole, whose frame is shorter than that of what is lost: its number and its offset, as far as frames stand one behind the other from `at` to `end`.
fn first_hole<R: ReadAt + ?Sized>(source: &R, mut at: u64, end: u64) -> Option<(u64, u64)> {
    while at < end {
        let mut head = [0; FRAME_HEADER_LEN];
        source.read_exact_at(&mut head, at).ok()?;
        let header = FrameHeader::decode(&head).ok()?;
        if header.layer == LayerId::ENCRYPTION && header.kind == Kind::HOLE {
            return Some((header.sequence, at));
        }
        at = at.checked_add(header.frame_len())?;
    }
    None
}

/// A `Read` over a positional source, from its first byte on.
struct FromFront<'a, R: ?Sized> {
    source: &'a R,
    at: u64,
}

impl<R: ReadAt + ?Sized> Read for FromFront<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read_at(buf, self.at)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

/// Headers that reach to the end and whose payload is then hashed. A good stream has one; a bound keeps made-up ones cheap.
const MAX_TRIES: u32 = 8;

fn of_layer(source: carstone_layer::Error, at: u64) -> Error {
    let kind = match *source.kind() {
        carstone_layer::ErrorKind::Unknown { what, value } => ErrorKind::Unknown { what, value },
        _ => ErrorKind::BadHeader(source.moved(at)),
    };
    Error::new(kind, at)
}

/// Whether a fault in the frame at `at` means that no layer header frame stands there.
fn is_absent(source: &carstone_layer::Error, at: u64) -> bool {
    match source.kind() {
        carstone_layer::ErrorKind::BadMagic => true,
        // A field of the frame header, not of its payload.
        carstone_layer::ErrorKind::BadField(_) => {
            source.offset().saturating_sub(at) < FRAME_HEADER_LEN as u64
        }
        _ => false,
    }
}

/// The same fault as one of the frame at `at`; what was read stands `inside` bytes behind its first byte.
fn in_frame_at(error: Error, at: u64, inside: usize) -> Error {
    let kind = match error.into_kind() {
        ErrorKind::BadHeader(source) => {
            ErrorKind::BadHeader(source.moved(at.saturating_add(inside as u64)))
        }
        kind => kind,
    };
    Error::new(kind, at)
}

fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC)
}

/// Whether a layer header frame stands here that reaches exactly to the end of `bytes`.
fn is_header_up_to(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk() else { return false };
    let fits = |header: FrameHeader| {
        header.layer == LayerId::ENCRYPTION
            && header.kind == Kind::LAYER_HEADER
            && header.frame_len() == bytes.len() as u64
    };
    FrameHeader::decode(head).is_ok_and(fits)
}
