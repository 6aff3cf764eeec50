//! The work on one frame of a damaged stream, on any thread.

use std::ops::Range;

use carstone_layer::{Cause, Frame, FrameHeader, Kind};

use crate::aead::Aead;
use crate::format::{FRAME_LEN, TAG_LEN, is_regular};

/// A frame whose tag holds.
pub(crate) struct Opened {
    pub plain: Vec<u8>,
    pub start: u64,
    pub read: usize,
    pub boundary: Option<u32>,
    pub last: bool,
}

pub(crate) enum Job {
    Data(Frame),
    Lost { stored: Range<u64>, cause: Cause, end: Option<u64> },
    End(u64),
    Nothing,
}

impl Job {
    pub(crate) fn of_frame(frame: Frame) -> Self {
        let header = &frame.header;
        let stored = frame.at..frame.at.saturating_add(header.frame_len());
        match header.kind {
            Kind::DATA if is_regular(header) => Self::Data(frame),
            Kind::DATA => Self::Lost { stored, cause: Cause::Corrupt, end: None },
            Kind::HOLE => Self::Lost { stored, cause: Cause::Missing, end: stated_end(header) },
            Kind::LAYER_HEADER if header.sequence > 0 => Self::End(header.plain_offset),
            _ => Self::Nothing,
        }
    }
}

pub(crate) enum Done {
    Opened(Opened),
    NoKey { start: u64, len: u64, stored: Range<u64>, last: bool },
    Lost { stored: Range<u64>, cause: Cause, end: Option<u64> },
    End(u64),
    Nothing,
}

/// The work on another thread.
pub(crate) fn open(aead: Option<&Aead>, job: Job) -> Done {
    let Frame { header, mut payload, at, .. } = match job {
        Job::Data(frame) => frame,
        Job::Lost { stored, cause, end } => return Done::Lost { stored, cause, end },
        Job::End(end) => return Done::End(end),
        Job::Nothing => return Done::Nothing,
    };
    let stored = at..at.saturating_add(header.frame_len());
    let (start, last) = (header.plain_offset, header.last);
    let Some(aead) = aead else {
        return Done::NoKey { start, len: header.plain_len.into(), stored, last };
    };
    if aead.open(&header, &mut payload).is_err() {
        // The payload, whatever is in it now, is dropped here.
        return Done::Lost { stored, cause: Cause::Corrupt, end: stated_end(&header) };
    }
    payload.truncate(payload.len().saturating_sub(TAG_LEN));
    Done::Opened(Opened { plain: payload, start, read: 0, boundary: header.first_boundary, last })
}

/// Where the plain stream ends if this frame is its last, as its header says without proof.
pub(crate) fn stated_end(header: &FrameHeader) -> Option<u64> {
    let is_end = matches!(header.kind, Kind::DATA | Kind::HOLE) && header.last;
    header.plain_end().filter(|_| is_end && header.plain_len as usize <= FRAME_LEN)
}
