//! Finds the frames of one layer in a stream that may be damaged.

use std::io;
use std::ops::Range;

use crate::correct::{Guesses, correct_payload, looks_like_header};
use crate::window::Window;
use crate::{
    Cause, Correction, FRAME_HEADER_LEN, FRAME_MAGIC, FailSafeRead, FrameHeader, Gap, LayerId,
    PackId, Report,
};

mod find;
mod item;
mod lost;

use find::{find_byte, is_header};
pub use item::{Frame, ScanLimits, Scanned};
use lost::{Lost, Step, keep};

/// Reads the frames of one layer from a stream that may be damaged, and says what is lost between them.
///
/// Frames and losses come in the order of the stream, and cover it without overlap. Memory stays within two of the largest frames;
/// time is linear in the length of the stream, whatever it holds.
#[derive(Debug)]
pub struct FrameScan<R> {
    window: Window<R>,
    layer: LayerId,
    pack: Option<PackId>,
    limits: ScanLimits,
    /// A loss that may still grow, and the frame behind it if that is known already.
    held: Option<Lost>,
    ready: Option<Frame>,
    /// Given back by the caller, to be filled again.
    spare: Vec<Vec<u8>>,
    corrections: Vec<Correction>,
    /// Bytes looked at again, or its worth in time.
    spent: u64,
    /// Bytes of a loss that are handed out.
    kept: usize,
}

impl<R: FailSafeRead> FrameScan<R> {
    /// Scans `inner` for frames of `layer` in `pack`; without a pack, in the pack of the first whole frame of that layer.
    pub fn new(inner: R, layer: LayerId, pack: Option<PackId>, limits: ScanLimits) -> Self {
        Self {
            window: Window::new(inner),
            layer,
            pack,
            limits,
            held: None,
            ready: None,
            spare: Vec::new(),
            corrections: Vec::new(),
            spent: 0,
            kept: 0,
        }
    }

    /// Hands out the last `most` bytes of each loss: they may be the payload of a frame whose header is lost. By default none.
    #[must_use]
    pub fn keeping(mut self, most: usize) -> Self {
        self.kept = most;
        self
    }

    /// The next frame or loss; `None` at the end of the stream.
    ///
    /// # Errors
    /// Only what the source gives.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as `Iterator::next` cannot")]
    pub fn next(&mut self) -> io::Result<Option<Scanned>> {
        loop {
            if let Some(frame) = self.ready.take() {
                return Ok(Some(Scanned::Frame(frame)));
            }
            match self.step()? {
                Step::Frame(frame) => self.ready = Some(frame),
                Step::Lost(lost) => match &mut self.held {
                    Some(held) if held.goes_on_in(&lost) => {
                        held.go_on(lost, self.kept);
                        continue;
                    }
                    // What was held is handed out, and the new loss is held.
                    None => {
                        self.held = Some(lost);
                        continue;
                    }
                    Some(held) => {
                        return Ok(Some(std::mem::replace(held, lost).into()));
                    }
                },
                Step::Held => {}
                Step::End if self.held.is_none() => return Ok(None),
                Step::End => {}
            }
            if let Some(held) = self.held.take() {
                return Ok(Some(held.into()));
            }
        }
    }

    /// The pack whose frames are handed out, once it is known.
    pub fn pack(&self) -> Option<PackId> {
        self.pack
    }

    /// Stored offset up to which the stream has been judged.
    pub fn position(&self) -> u64 {
        match (&self.held, &self.ready) {
            (Some(held), _) => held.stored.end,
            (None, Some(frame)) => frame.at,
            (None, None) => self.window.at(),
        }
    }

    /// Gives a payload back, so that its memory is used again.
    pub fn recycle(&mut self, payload: Vec<u8>) {
        if self.spare.len() < MAX_SPARE && payload.capacity() > 0 {
            self.spare.push(payload);
        }
    }

    /// What the reader below says of its end, when the scan is at its end.
    ///
    /// # Errors
    /// Only what the source gives.
    pub fn check_end(&mut self) -> io::Result<Option<Gap>> {
        self.window.get_mut().check_end()
    }

    /// Moves the corrections made here and below into `report`.
    pub fn drain_report(&mut self, report: &mut Report) {
        self.window.get_mut().drain_report(report);
        report.corrections.append(&mut self.corrections);
    }

    /// What is read from.
    pub fn get_ref(&self) -> &R {
        self.window.get_ref()
    }

    /// Gives the source back. Up to a frame of it has been read ahead.
    pub fn into_inner(self) -> R {
        self.window.into_inner()
    }

    fn step(&mut self) -> io::Result<Step> {
        self.window.fill(FRAME_HEADER_LEN, 0)?;
        let Some(bytes) = self.window.bytes().first_chunk() else {
            return Ok(self.end_of_stretch());
        };
        match FrameHeader::decode(bytes) {
            Ok(header) if !is_ours(&header, self.layer, self.pack) => self.foreign(&header),
            Ok(header) if header.stored_len > self.limits.of(header.kind) => {
                self.lose(Cause::Limit, FRAME_HEADER_LEN)
            }
            // What is held cannot grow any more, and makes room for the frame.
            Ok(_) if self.held.is_some() => Ok(Step::Held),
            Ok(header) => self.own(header),
            Err(_) => match self.correct_header()? {
                Some(frame) => Ok(Step::Frame(frame)),
                None => self.lose(Cause::Corrupt, 1),
            },
        }
    }

    /// A good header of this layer and pack is in front.
    fn own(&mut self, header: FrameHeader) -> io::Result<Step> {
        let at = self.window.at();
        if !self.afford(header.stored_len.into()) {
            self.window.skip(header.frame_len())?;
            return Ok(Lost::new(at..self.window.at(), Cause::Corrupt, None));
        }
        let len = header.stored_len as usize;
        let mut payload = self.spare.pop().unwrap_or_default();
        let copied = self.window.load(len, &mut payload)?;
        if payload.len() >= len && header.payload_matches_crc(&payload[..len]) {
            self.window.take_frame(len, copied, &mut payload);
            self.pack.get_or_insert(header.pack);
            return Ok(Step::Frame(Frame { header, payload, at }));
        }
        self.window.put_back(&payload[copied..]);
        self.recycle(payload);
        self.broken(header)
    }

    /// A good header is in front, and its payload fails or is cut short.
    fn broken(&mut self, header: FrameHeader) -> io::Result<Step> {
        let (at, whole) = (self.window.at(), FRAME_HEADER_LEN + header.stored_len as usize);
        self.window.fill(whole + FRAME_HEADER_LEN, 0)?;
        let have = self.window.bytes().len();
        let inside = FRAME_HEADER_LEN..have.min(whole);
        if !self.fits(whole)
            && let Some(next) = self.find(inside.clone(), self.pack)
        {
            return Ok(self.lose_up_to(next, header));
        }
        if have < whole {
            let broken = self.copy_frame(header, have);
            return Ok(self.lose_stretch(Some(broken)));
        }
        let cost = u64::from(header.stored_len).saturating_mul(CORRECTION_PER_BYTE);
        let corrected = match self.afford(cost) {
            true => {
                let payload = &mut self.window.bytes_mut()[FRAME_HEADER_LEN..whole];
                correct_payload(&header, payload)
            }
            false => None,
        };
        // As many bytes can be missing as the frames behind it have.
        if corrected.is_none()
            && let Some(next) = self.find(inside, Some(header.pack))
        {
            return Ok(self.lose_up_to(next, header));
        }
        let frame = self.copy_frame(header, whole);
        self.window.advance(whole);
        if let Some(Correction { layer, at: inside, bits }) = corrected {
            let at = frame.at.saturating_add(FRAME_HEADER_LEN as u64).saturating_add(inside);
            self.corrections.push(Correction { layer, at, bits });
            self.pack.get_or_insert(header.pack);
            return Ok(Step::Frame(frame));
        }
        Ok(Lost::new(at..self.window.at(), Cause::Corrupt, Some(frame)))
    }

    /// Bytes are missing inside the frame in front, since the next one begins `next` bytes into it.
    fn lose_up_to(&mut self, next: usize, header: FrameHeader) -> Step {
        let at = self.window.at();
        let broken = self.copy_frame(header, next);
        self.window.advance(next);
        Lost::new(at..self.window.at(), Cause::Corrupt, Some(broken))
    }

    /// A good header of another pack or layer is in front.
    fn foreign(&mut self, header: &FrameHeader) -> io::Result<Step> {
        let (at, len) = (self.window.at(), header.stored_len);
        if len > self.limits.max_data.max(self.limits.max_other) {
            return self.lose(Cause::Foreign, FRAME_HEADER_LEN);
        }
        if self.afford(len.into()) {
            let whole = FRAME_HEADER_LEN + len as usize;
            self.window.fill(whole, 0)?;
            let payload = self.window.bytes().get(FRAME_HEADER_LEN..whole);
            if !payload.is_some_and(|payload| header.payload_matches_crc(payload)) {
                // Only its beginning was written over ours.
                return self.lose(Cause::Foreign, FRAME_HEADER_LEN);
            }
        }
        let mut bytes = Vec::new();
        let whole = FRAME_HEADER_LEN + len as usize;
        keep(&mut bytes, self.window.bytes().get(..whole).unwrap_or_default(), self.kept);
        self.window.skip(header.frame_len())?;
        let stored = at..self.window.at();
        Ok(Step::Lost(Lost { stored, cause: Cause::Foreign, broken: None, bytes }))
    }

    /// No good header is in front, but one is due.
    fn correct_header(&mut self) -> io::Result<Option<Frame>> {
        let Some(bytes) = self.window.bytes().first_chunk() else { return Ok(None) };
        if !looks_like_header(bytes, self.layer, self.pack) || !self.afford(HEADER_COST) {
            return Ok(None);
        }
        let Some(bytes) = self.window.bytes().first_chunk() else { return Ok(None) };
        let guesses = Guesses::new(bytes, self.layer, self.pack, self.limits);
        if guesses.is_empty() || !self.afford(guesses.cost()) {
            return Ok(None);
        }
        self.window.fill(FRAME_HEADER_LEN + guesses.longest(), 0)?;
        let Some((header, made)) = guesses.confirm(self.window.bytes_mut()) else {
            return Ok(None);
        };
        let at = self.window.at();
        self.corrections.extend(made.into_iter().map(|mut correction| {
            correction.at = correction.at.saturating_add(at);
            correction
        }));
        self.pack.get_or_insert(header.pack);
        let whole = FRAME_HEADER_LEN + header.stored_len as usize;
        let frame = self.copy_frame(header, whole);
        self.window.advance(whole);
        Ok(Some(frame))
    }

    /// Fewer bytes than a header are left before a gap or the end.
    fn end_of_stretch(&mut self) -> Step {
        if self.window.bytes().is_empty() && self.window.at_stream_end() {
            return Step::End;
        }
        self.lose_stretch(None)
    }

    /// Loses what is left of the stretch, and the gap behind it.
    fn lose_stretch(&mut self, broken: Option<Frame>) -> Step {
        let (begin, mut bytes) = (self.window.at(), Vec::new());
        if broken.is_none() && self.window.at_stream_end() {
            keep(&mut bytes, self.window.bytes(), self.kept);
        }
        let cause = match self.window.cross() {
            Some(gap) => Cause::Below(Box::new(gap)),
            None => Cause::Truncated,
        };
        Step::Lost(Lost { stored: begin..self.window.at(), cause, broken, bytes })
    }

    /// Passes over at least `from` bytes, up to the next good header or the end of the stretch.
    fn lose(&mut self, cause: Cause, mut from: usize) -> io::Result<Step> {
        let (begin, mut bytes) = (self.window.at(), Vec::new());
        loop {
            self.window.fill(from + FRAME_HEADER_LEN, SEARCH_CHUNK)?;
            let have = self.window.bytes().len();
            let next = self.find(from..have, self.pack);
            let passed = match next {
                Some(next) => next,
                None if self.window.is_ended() => have,
                // A header may begin in the last bytes.
                None => (have + 1).saturating_sub(FRAME_HEADER_LEN).max(from),
            };
            keep(&mut bytes, self.window.bytes().get(..passed).unwrap_or_default(), self.kept);
            self.window.advance(passed);
            if next.is_some() || self.window.is_ended() && passed == have {
                break;
            }
            from = 0;
        }
        Ok(Step::Lost(Lost { stored: begin..self.window.at(), cause, broken: None, bytes }))
    }

    /// Where in `range` of the window the first good header of this layer and `pack` begins.
    fn find(&self, range: Range<usize>, pack: Option<PackId>) -> Option<usize> {
        let bytes = self.window.bytes();
        let mut at = range.start;
        loop {
            at = at.checked_add(find_byte(bytes.get(at..range.end)?, FRAME_MAGIC[0])?)?;
            let header = bytes.get(at..).and_then(<[u8]>::first_chunk)?;
            if is_header(header, self.layer, pack, self.limits) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Whether what follows the first `whole` bytes of the window may follow a frame.
    fn fits(&self, whole: usize) -> bool {
        let Some(rest) = self.window.bytes().get(whole..) else { return false };
        match rest.first_chunk() {
            Some(next) => {
                FrameHeader::decode(next).is_ok() || looks_like_header(next, self.layer, self.pack)
            }
            // The stretch ends here, or inside the next header.
            None => {
                let n = rest.len().min(FRAME_MAGIC.len());
                rest[..n] == FRAME_MAGIC[..n]
            }
        }
    }

    /// The frame that the first `end` bytes of the window hold.
    fn copy_frame(&mut self, header: FrameHeader, end: usize) -> Frame {
        // Who keeps the frame is not to keep far more memory than it needs.
        let room = 2 * (end - FRAME_HEADER_LEN);
        let mut payload = self.spare.pop_if(|spare| spare.capacity() <= room).unwrap_or_default();
        payload.clear();
        payload.extend_from_slice(&self.window.bytes()[FRAME_HEADER_LEN..end]);
        Frame { header, payload, at: self.window.at() }
    }

    /// Whether `cost` bytes can be looked at (again) without reading much slower than a plain reader. Only streams made to be slow come
    /// near the bound.
    fn afford(&mut self, cost: u64) -> bool {
        let bound = self.window.taken().saturating_mul(WORK_PER_BYTE).saturating_add(WORK_AHEAD);
        let spent = self.spent.saturating_add(cost);
        if spent <= bound {
            self.spent = spent;
        }
        spent <= bound
    }
}

fn is_ours(header: &FrameHeader, layer: LayerId, pack: Option<PackId>) -> bool {
    header.layer == layer && pack.is_none_or(|pack| header.pack == pack)
}

const MAX_SPARE: usize = 2;
const SEARCH_CHUNK: usize = 64 << 10;

/// Bytes that may be checked for each byte read, and ahead of that.
const WORK_PER_BYTE: u64 = 8;
const WORK_AHEAD: u64 = 128 << 20;

/// What solving for a damaged payload takes, for each byte of it, as so many bytes of checksum. With the checksum itself it is less than what each byte
/// that is read affords, so that frames that do not overlap are all tried.
const CORRECTION_PER_BYTE: u64 = 6;

/// What solving for a damaged header takes, as so many bytes of checksum.
const HEADER_COST: u64 = 128 << 10;
