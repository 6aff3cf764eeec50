//! What the scan finds, made into plain bytes or statements of loss, on any thread.

use std::ops::Range;

use carstone_layer::{Cause, FRAME_HEADER_LEN, Frame, FrameHeader, Kind, Scanned};

use crate::ErrorKind;
use crate::buffers::Buffers;
use crate::codec::{Decoder, decode_prefix, is_supported};
use crate::format::{check_lengths, codec};
use crate::seen::SeenCodecs;

/// What the pool is given.
pub(crate) enum Job {
    Frame(Frame),
    Lost {
        stored: Range<u64>,
        cause: Cause,
        broken: Option<Frame>,
        bytes: Vec<u8>,
    },
    /// Something that a later version of the scan finds.
    Nothing,
}

impl Job {
    pub(crate) fn new(scanned: Scanned) -> Self {
        match scanned {
            Scanned::Frame(frame) => Self::Frame(frame),
            Scanned::Lost { stored, cause, broken, bytes, .. } => {
                Self::Lost { stored, cause, broken, bytes }
            }
            _ => Self::Nothing,
        }
    }

    /// The bytes that it keeps in memory until it is done with, within `limit` for its plain bytes.
    pub(crate) fn cost(&self, limit: u32) -> usize {
        match self {
            Self::Frame(frame) => {
                let plain = if frame.header.codec == codec::STORED {
                    0
                } else {
                    frame.header.plain_len.min(limit) as usize
                };
                frame.payload.len().saturating_add(plain)
            }
            Self::Lost { broken, bytes, .. } => {
                let payload = broken.as_ref().map_or(0, |frame| frame.payload.len());
                payload.saturating_add(bytes.len())
            }
            Self::Nothing => 0,
        }
    }

    /// Whether something is to be decoded: the rest is done sooner than handed over.
    pub(crate) fn is_work(&self) -> bool {
        matches!(self, Self::Frame(Frame { header, .. }) if header.kind == Kind::DATA && header.codec != codec::STORED)
    }

    /// The plain range and the first boundary of a good data frame.
    pub(crate) fn data(&self) -> Option<(Range<u64>, Option<u64>)> {
        match self {
            Self::Frame(Frame { header, .. }) if header.kind == Kind::DATA => {
                let start = header.plain_offset;
                let boundary = header.first_boundary.filter(|&at| at < header.plain_len);
                let boundary = boundary.and_then(|at| start.checked_add(at.into()));
                Some((start..header.plain_end()?, boundary))
            }
            _ => None,
        }
    }
}

/// What comes of it.
pub(crate) enum Done {
    Plain(Plain),
    Gone(Gone),
    /// Stored bytes that are lost, and do not say what they held.
    Lost(Lost),
    Footer(Footer),
    Nothing,
}

/// A frame of the footer, which says where the plain stream ends.
pub(crate) struct Footer {
    pub(crate) stored: Range<u64>,
    pub(crate) end: u64,
    pub(crate) sequence: u64,
    pub(crate) is_tail: bool,
    pub(crate) is_sound: bool,
}

impl Footer {
    fn new(header: &FrameHeader, stored: Range<u64>, is_sound: bool) -> Self {
        let (end, sequence) = (header.plain_offset, header.sequence);
        Self { stored, end, sequence, is_tail: header.last, is_sound }
    }
}

/// Stored bytes without a frame. Where the header of a frame is lost that is not compressed, the last ones are its plain bytes.
pub(crate) struct Lost {
    pub(crate) stored: Range<u64>,
    pub(crate) cause: Cause,
    /// The last of them.
    pub(crate) bytes: Vec<u8>,
}

impl Lost {
    /// Takes what follows in.
    pub(crate) fn go_on(&mut self, next: Self) {
        let Self { stored, cause, bytes } = next;
        // What is lost below says where the damage is.
        if matches!(cause, Cause::Below(_)) && !matches!(self.cause, Cause::Below(_)) {
            self.cause = cause;
        }
        let is_all = bytes.len() as u64 == stored.end.saturating_sub(stored.start);
        match is_all && stored.start == self.stored.end {
            true => self.bytes.extend_from_slice(&bytes),
            false => self.bytes = bytes,
        }
        let excess = self.bytes.len().saturating_sub(MOST_KEPT);
        self.bytes.drain(..excess);
        self.stored.end = self.stored.end.max(stored.end);
    }

    /// Whether so many plain bytes are too few to have been compressed into these.
    pub(crate) fn may_be_plain(&self, len: u64) -> bool {
        let stored = self.stored.end.saturating_sub(self.stored.start);
        !self.bytes.is_empty() && u128::from(stored) * 100 > u128::from(len) * 97
    }

    /// The last `len` of the bytes, or all.
    pub(crate) fn into_last(self, len: u64) -> Vec<u8> {
        let mut bytes = self.bytes;
        let excess = (bytes.len() as u64).saturating_sub(len);
        bytes.drain(..usize::try_from(excess).unwrap_or(bytes.len()));
        bytes
    }
}

/// A frame that is lost, and says what it held.
pub(crate) struct Gone {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) last: bool,
    pub(crate) stored: Range<u64>,
    pub(crate) cause: Cause,
    pub(crate) broken: Option<Broken>,
    pub(crate) unknown_codec: bool,
    /// What stands behind the hole in a frame that is not compressed.
    pub(crate) rest: Option<Lost>,
    /// What stands behind it and is not its own.
    pub(crate) behind: Option<Lost>,
}

impl Gone {
    /// Whether it is not compressed, lost bytes below, and goes on in `rest`.
    pub(crate) fn goes_on_in(&self, rest: &Lost) -> bool {
        let end = self.rest.as_ref().map_or(self.stored.end, |rest| rest.stored.end);
        let most = self.stored.start.saturating_add(self.len).saturating_add(KEPT_BESIDES as u64);
        self.broken.as_ref().is_some_and(Broken::is_stored)
            && rest.stored.start == end
            && rest.stored.end <= most
    }

    /// Takes more bytes in.
    pub(crate) fn go_on(&mut self, next: Lost) {
        match &mut self.rest {
            Some(rest) => rest.go_on(next),
            none => *none = Some(next),
        }
    }
}

/// Plain bytes of one frame.
pub(crate) struct Plain {
    pub(crate) start: u64,
    /// The first `len` bytes count.
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: usize,
    pub(crate) read: usize,
    pub(crate) last: bool,
    /// The payload's buffer, where `bytes` is another one.
    pub(crate) payload: Option<Vec<u8>>,
}

/// A payload that fails.
pub(crate) struct Broken {
    codec: u8,
    payload: Vec<u8>,
    len: usize,
}

impl Broken {
    /// The number of its codec.
    pub(crate) fn codec(&self) -> u8 {
        self.codec
    }

    /// Whether its payload is its plain bytes.
    pub(crate) fn is_stored(&self) -> bool {
        self.codec == codec::STORED
    }

    /// The plain bytes that can still be decoded.
    pub(crate) fn into_prefix(self) -> Vec<u8> {
        decode_prefix(self.codec, self.payload, self.len)
    }
}

/// Decodes on any thread.
pub(crate) struct Salvage {
    pub(crate) limit: u32,
    pub(crate) buffers: Buffers,
    pub(crate) seen: SeenCodecs,
    decoder: Decoder,
}

impl Salvage {
    pub(crate) fn new(limit: u32, spare_buffers: usize) -> Self {
        Self {
            limit,
            buffers: Buffers::new(spare_buffers),
            seen: SeenCodecs::default(),
            decoder: Decoder::default(),
        }
    }

    pub(crate) fn work(&self, job: Job) -> Done {
        match job {
            Job::Frame(frame) => {
                if frame.header.kind == Kind::DATA {
                    self.seen.note(frame.header.codec);
                }
                self.frame(frame)
            }
            Job::Lost { stored, cause, broken: Some(frame), bytes }
                if frame.header.kind == Kind::DATA && self.fits(&frame) =>
            {
                gone_before(frame, Lost { stored, cause, bytes })
            }
            Job::Lost { stored, cause, broken, bytes } => match broken {
                // A broken page of the footer still says where the plain stream ends. Its loss alone costs nothing.
                Some(frame) if frame.header.kind == Kind::FOOTER => {
                    Done::Footer(Footer::new(&frame.header, stored, false))
                }
                _ => Done::Lost(Lost { stored, cause, bytes }),
            },
            Job::Nothing => Done::Nothing,
        }
    }

    fn frame(&self, frame: Frame) -> Done {
        let header = frame.header;
        let stored = frame.at..frame.at.saturating_add(header.frame_len());
        match header.kind {
            Kind::FOOTER => Done::Footer(Footer::new(&header, stored, true)),
            Kind::DATA | Kind::HOLE if !self.fits(&frame) => {
                // What it says about its place is not believed either.
                Done::Lost(Lost { stored, cause: Cause::Limit, bytes: Vec::new() })
            }
            Kind::HOLE => Done::Gone(gone(frame, stored, Cause::Missing, false)),
            Kind::DATA => match self.decode(&header, frame) {
                Ok(plain) => Done::Plain(plain),
                Err(frame) => Done::Gone(gone(frame, stored, Cause::Corrupt, true)),
            },
            _ => Done::Nothing,
        }
    }

    fn decode(&self, header: &FrameHeader, frame: Frame) -> Result<Plain, Frame> {
        let (start, last) = (header.plain_offset, header.last);
        if header.codec == codec::STORED {
            let len = frame.payload.len();
            return Ok(Plain { start, bytes: frame.payload, len, read: 0, last, payload: None });
        }
        let len = header.plain_len as usize;
        let mut bytes = self.buffers.take(len);
        if !self.decoder.decode(header.codec, &frame.payload, &mut bytes[..len]) {
            self.buffers.give(bytes);
            return Err(frame);
        }
        Ok(Plain { start, bytes, len, read: 0, last, payload: Some(frame.payload) })
    }

    /// Whether the lengths of a data frame or hole are within the limits. Unknown codecs are told apart later.
    fn fits(&self, frame: &Frame) -> bool {
        match check_lengths(&frame.header, self.limit, frame.at) {
            Ok(()) => true,
            Err(error) => matches!(error.kind(), ErrorKind::UnknownCodec { .. }),
        }
    }
}

fn gone(frame: Frame, stored: Range<u64>, cause: Cause, readable: bool) -> Gone {
    let Frame { header, payload, .. } = frame;
    let (codec, len) = (header.codec, header.plain_len);
    Gone {
        start: header.plain_offset,
        len: len.into(),
        last: header.last,
        stored,
        cause,
        broken: readable.then_some(Broken { codec, payload, len: len as usize }),
        unknown_codec: !is_supported(codec),
        rest: None,
        behind: None,
    }
}

/// A broken frame, and bytes behind it that may be its own: where some were put in, it is longer than it says.
fn gone_before(mut frame: Frame, lost: Lost) -> Done {
    let Lost { mut stored, cause, bytes } = lost;
    let own = frame.at.saturating_add((FRAME_HEADER_LEN + frame.payload.len()) as u64);
    let is_next = own.saturating_add(bytes.len() as u64) == stored.end;
    let mut behind = None;
    if bytes.len() > KEPT_BESIDES {
        let rest = own..stored.end;
        behind = Some(Lost { stored: rest, cause: cause.clone(), bytes });
        stored.end = own;
    } else if frame.header.codec == codec::STORED && is_next {
        frame.payload.extend_from_slice(&bytes);
    }
    let gone = gone(frame, stored, cause, true);
    Done::Gone(Gone { behind, ..gone })
}

/// Bytes without a frame that are kept: more than a block has.
pub(crate) const MOST_KEPT: usize = (16 << 20) + KEPT_BESIDES;
/// Bytes besides those of a block: a header, and some that were put in.
pub(crate) const KEPT_BESIDES: usize = 64 << 10;
