//! Checks of a whole stored stream, with and without a key.

use std::io::Read;

use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, PackId, ReadAt};

use crate::format::{ANCHOR_EVERY, STORED_FRAME};
use crate::header::HeaderFrame;
use crate::layout::Layout;
use crate::stream::Frames;
use crate::{Anchor, EncryptReader, Error, ErrorKind};

/// What a stream that has been verified holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Data frames.
    pub frames: u64,
    /// Anchor frames.
    pub anchors: u64,
    /// Plain bytes.
    pub plain_len: u64,
    /// Stored bytes.
    pub stored_len: u64,
}

/// Checks all that can be checked without a key: every frame's header, place, CRC-64 and digest, that both layer headers
/// agree, and that the anchors repeat them.
///
/// Finds all accidental damage. Whether somebody changed the stream on purpose, only
/// [`EncryptReader::verify`] tells.
///
/// # Errors
/// The first fault, with the frame and its stored offset.
pub fn verify_stored<R: ReadAt + ?Sized>(source: &R, pack: Option<PackId>) -> Result<Stats, Error> {
    let front = HeaderFrame::read(source, 0)?;
    if pack.is_some_and(|pack| pack != front.frame.pack) {
        return Err(Error::new(ErrorKind::Foreign, 0));
    }
    let layout = front.layout(source)?;
    let frames = Frames { pack: front.frame.pack, layout };
    let mut container = None;
    let (mut frame, mut bytes) = (0, Vec::new());
    while frame < layout.frames {
        let chunk = frames.read(source, frame, CHUNK_FRAMES, bytes)?;
        for (index, stored) in chunk.bytes.chunks(STORED_FRAME).enumerate() {
            check_frame(&frames, frame + index as u64, stored)?;
        }
        frame = chunk.end();
        bytes = chunk.bytes;
        if frame.is_multiple_of(ANCHOR_EVERY) && frame < layout.frames {
            let anchor = read_anchor(source, &frames, frame - 1)?;
            let fits = anchor.layer_header == front.payload
                && *container.get_or_insert_with(|| anchor.container.clone()) == anchor.container;
            if !fits {
                let at = layout.position(frame) - layout.anchor_len;
                return Err(Error::new(ErrorKind::BadAnchor { frame: frame - 1 }, at));
            }
        }
    }
    Ok(Stats::of(&layout))
}

impl<R: ReadAt> EncryptReader<R> {
    /// Checks what [`verify_stored`] checks, and every authentication tag.
    ///
    /// # Errors
    /// The first fault, with the frame and its stored offset.
    pub fn verify(&self) -> Result<Stats, Error> {
        let stats = verify_stored(self.get_ref(), Some(self.pack_id()))?;
        let mut reader = self.restarted();
        let mut buf = vec![0; STORED_FRAME];
        while reader.read(&mut buf).map_err(|error| Error::io(error, 0))? > 0 {}
        Ok(stats)
    }
}

impl Stats {
    pub(crate) fn of(layout: &Layout) -> Self {
        Self {
            frames: layout.frames,
            anchors: layout.anchors(),
            plain_len: layout.plain_len(),
            stored_len: layout.stored_len(),
        }
    }
}

pub(crate) fn check_frame(frames: &Frames, frame: u64, stored: &[u8]) -> Result<(), Error> {
    let at = frames.layout.position(frame);
    let bad = |source| Error::new(ErrorKind::BadFrame { frame, source }, at);
    let Some((head, payload)) = stored.split_first_chunk::<FRAME_HEADER_LEN>() else {
        return Err(Error::new(ErrorKind::Truncated, at));
    };
    let header = FrameHeader::decode(head).map_err(bad)?;
    frames.check_header(frame, &header)?;
    if !header.payload_is_intact(payload) {
        let at = FRAME_HEADER_LEN as u64;
        return Err(bad(carstone_layer::Error::new(carstone_layer::ErrorKind::BadPayload, at)));
    }
    Ok(())
}

/// Reads the anchor behind data frame `frame`.
pub(crate) fn read_anchor<R: ReadAt + ?Sized>(
    source: &R,
    frames: &Frames,
    frame: u64,
) -> Result<Anchor, Error> {
    let layout = &frames.layout;
    let at = layout.position(frame + 1) - layout.anchor_len;
    let bad = || Error::new(ErrorKind::BadAnchor { frame }, at);
    // An anchor is as long as the layer header, whose length is under its limit, and a container header.
    let mut bytes = vec![0; layout.anchor_len as usize];
    source.read_exact_at(&mut bytes, at).map_err(|error| Error::io(error, at))?;
    let (head, payload) = bytes.split_first_chunk::<FRAME_HEADER_LEN>().ok_or_else(bad)?;
    let header = FrameHeader::decode(head).map_err(|_| bad())?;
    let mut expected = FrameHeader::data(
        LayerId::ENCRYPTION,
        frames.pack,
        frame / ANCHOR_EVERY,
        layout.position_in_plain(frame + 1),
    );
    expected.kind = Kind::ANCHOR;
    expected.stored_len = payload.len() as u32;
    (expected.payload_crc, expected.digest) = (header.payload_crc, header.digest);
    if header != expected || !header.payload_is_intact(payload) {
        return Err(bad());
    }
    Anchor::decode(payload).ok_or_else(bad)
}

/// Frames that are read with one call.
const CHUNK_FRAMES: u64 = 8;
