//! Reads one frame at its place and decodes it.

use std::ops::Range;

use carstone_layer::{
    Corrections, FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, ReadAt, correct_frame,
    correct_payload, read_full,
};

use crate::buffers::Buffers;
use crate::codec::{Decoder, is_supported};
use crate::footer::scan_limits;
use crate::format::codec;
use crate::table::Located;
use crate::walk::{Rules, is_data};
use crate::{Error, ErrorKind};

/// A frame as it is stored: its header has been checked, its payload has not.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) header: FrameHeader,
    pub(crate) at: u64,
    /// Holds the payload in `range`.
    pub(crate) buffer: Vec<u8>,
    pub(crate) range: Range<usize>,
}

/// The plain bytes of a frame, or the first of them.
#[derive(Debug)]
pub(crate) struct Block {
    buffer: Vec<u8>,
    range: Range<usize>,
}

impl Block {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.range.clone()).unwrap_or_default()
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// Decodes frames, on any thread.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) rules: Rules,
    pub(crate) buffers: Buffers,
    decoder: Decoder,
    corrections: Option<Corrections>,
}

impl Fetch {
    pub(crate) fn new(
        rules: Rules,
        spare_buffers: usize,
        corrections: Option<Corrections>,
    ) -> Self {
        let (buffers, decoder) = (Buffers::new(spare_buffers), Decoder::default());
        Self { rules, buffers, decoder, corrections }
    }

    /// Reads a frame where the table says it stands, in one read.
    pub(crate) fn load<R: ReadAt>(&self, source: &R, place: Located) -> Result<Raw, Error> {
        let Located { index, at, stored_end, plain, plain_end, last } = place;
        let plain_len = plain_end.saturating_sub(plain);
        if plain_len > u64::from(self.rules.limit) {
            let (what, limit) = ("plain length of a frame", self.rules.limit.into());
            return Err(Error::new(ErrorKind::TooLong { what, len: plain_len, limit }, at));
        }
        // No payload is longer than its plain bytes. An anchor may follow, and is not read.
        let longest = FRAME_HEADER_LEN as u64 + plain_len;
        let len = stored_end.saturating_sub(at).min(longest) as usize;
        let mut buffer = self.buffers.take(len);
        let n = read_full(source, &mut buffer[..len], at).map_err(|error| Error::io(error, at))?;
        let truncated = || Error::new(ErrorKind::Truncated, at.saturating_add(n as u64));
        let header = buffer[..n].first_chunk().ok_or_else(truncated)?;
        let header = match self.rules.parse(header, at) {
            Ok(header) => header,
            Err(fault) => self.mend_frame(&mut buffer[..n], at).ok_or(fault)?,
        };
        let differs = if !is_data(&header) {
            Some("kind")
        } else if header.sequence != index {
            Some("sequence")
        } else if header.plain_offset != plain {
            Some("plain offset")
        } else if u64::from(header.plain_len) != plain_len {
            Some("plain length")
        } else if header.last != last {
            Some("end of the data frames")
        } else {
            None
        };
        if let Some(what) = differs {
            return Err(Error::new(ErrorKind::Misplaced { frame: index, what }, at));
        }
        let end = FRAME_HEADER_LEN + header.stored_len as usize;
        if n < end {
            return Err(truncated());
        }
        let raw = Raw { header, at, buffer, range: FRAME_HEADER_LEN..end };
        raw.check_readable()?;
        Ok(raw)
    }

    /// Checks the payload against its CRC-64 and decompresses it.
    pub(crate) fn decode(&self, raw: Raw) -> Result<Block, Error> {
        self.decode_start(raw, usize::MAX)
    }

    /// As [`decode`](Self::decode), but the plain bytes behind the first `most` may be left out.
    pub(crate) fn decode_start(&self, mut raw: Raw, most: usize) -> Result<Block, Error> {
        let frame = raw.header.sequence;
        let (header, at) = (raw.header, raw.at);
        let is_sound = header.payload_matches_crc(raw.payload()) || self.mend_payload(&mut raw);
        let payload = raw.payload();
        if !is_sound {
            return Err(Error::new(ErrorKind::BadChecksum { frame }, at));
        }
        if header.codec == codec::STORED {
            return Ok(Block { buffer: raw.buffer, range: raw.range });
        }
        let whole = header.plain_len as usize;
        let is_start = most < whole && header.codec == codec::BROTLI;
        let len = if is_start { most } else { whole };
        let mut plain = self.buffers.take(len);
        let decoded = if is_start {
            self.decoder.decode_start(payload, &mut plain[..len])
        } else {
            self.decoder.decode(header.codec, payload, &mut plain[..len])
        };
        if !decoded {
            return Err(Error::new(ErrorKind::BadPayload { frame }, at));
        }
        self.buffers.give(raw.buffer);
        Ok(Block { buffer: plain, range: 0..len })
    }

    /// Puts a damaged header right, where one small fault explains it, and that of the payload behind it.
    fn mend_frame(&self, frame: &mut [u8], at: u64) -> Option<FrameHeader> {
        let corrections = self.corrections.as_ref()?;
        let limits = scan_limits(self.rules.limit);
        let (header, made) = correct_frame(frame, LayerId::COMPRESSION, self.rules.pack, limits)?;
        self.rules.check(&header, at).ok()?;
        for mut correction in made {
            correction.at = correction.at.saturating_add(at);
            corrections.note(correction);
        }
        Some(header)
    }

    /// Puts a payload right, where one small fault explains the damage.
    fn mend_payload(&self, raw: &mut Raw) -> bool {
        let Some(corrections) = &self.corrections else { return false };
        let payload = raw.buffer.get_mut(raw.range.clone()).unwrap_or_default();
        let Some(mut correction) = correct_payload(&raw.header, payload) else { return false };
        let start = raw.at.saturating_add(FRAME_HEADER_LEN as u64);
        correction.at = correction.at.saturating_add(start);
        corrections.note(correction);
        true
    }
}

impl Raw {
    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(self.range.clone()).unwrap_or_default()
    }

    /// Tells holes and unknown codecs apart from damage.
    pub(crate) fn check_readable(&self) -> Result<(), Error> {
        let header = &self.header;
        if header.kind == Kind::HOLE {
            let start = header.plain_offset;
            let range = start..header.plain_end().unwrap_or(start);
            return Err(Error::new(ErrorKind::Missing { range }, self.at));
        }
        if !is_supported(header.codec) {
            return Err(Error::new(ErrorKind::UnknownCodec { codec: header.codec }, self.at));
        }
        Ok(())
    }
}
