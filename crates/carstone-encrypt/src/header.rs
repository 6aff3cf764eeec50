//! Finding the layer header of a stream, without a key.

use carstone_layer::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind, LayerId, ReadAt, read_full,
};

use crate::format::{HEADER_FIXED, MAX_ENVELOPE, bad_header};
use crate::layout::header_frame_len;
use crate::{Error, ErrorKind, LayerHeader};

impl LayerHeader {
    /// Reads the layer header of a stored stream: the copy at the front, or else the one at the end. No key is needed.
    ///
    /// # Errors
    /// What is wrong with the front copy, when the other is not good either; [`ErrorKind::Io`] when the source fails.
    pub fn read_at<R: ReadAt + ?Sized>(source: &R) -> Result<Self, Error> {
        let front = match HeaderFrame::read(source, 0) {
            Ok(frame) => return Ok(frame.layer),
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error),
            Err(error) => error,
        };
        Self::at_end(source)?.ok_or(front)
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
            return Err(moved(bad_header(source, 13), at));
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
        let layer = LayerHeader::of_frame(&frame, &payload).map_err(|error| moved(error, at))?;
        Ok(Self { frame, payload, layer })
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

/// The same fault, in a structure that starts at `at`.
fn moved(error: Error, at: u64) -> Error {
    let (kind, offset) = error.into_parts();
    Error::new(kind, at.saturating_add(offset))
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
