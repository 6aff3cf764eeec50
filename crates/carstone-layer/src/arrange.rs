//! Frames that stand out of their places, in a stream that cannot be read twice.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use crate::{
    Cause, FailSafeRead, Frame, FrameHeader, FrameScan, Gap, Kind, PackId, Report, Scanned,
};

/// The frames of a scan, of which some that stand too early wait until their places come.
///
/// A frame behind which its predecessors follow would otherwise count as the end of a gap, and cost them all. It is told from one in front of
/// which frames are missing by the few frames behind it. Where it stands, it counts as lost; no more than nine frames are held, and none where
/// there is no gap. Those that come too late are the caller's to leave out.
#[derive(Debug)]
pub struct FramesInOrder<R> {
    scan: FrameScan<R>,
    /// What has been read ahead.
    ready: VecDeque<Scanned>,
    /// Frames whose places have not come yet.
    early: Vec<Frame>,
    /// Where the next data frame is due, in plain bytes.
    due: u64,
    /// The first frame that was found out of its place.
    moved: Option<Range<u64>>,
    /// What the source gave while it was read ahead: what was read before comes first.
    failure: Option<io::Error>,
}

impl<R: FailSafeRead> FrameScan<R> {
    /// Puts frames that stand too early in their places, a few at a time.
    pub fn in_order(self) -> FramesInOrder<R> {
        FramesInOrder {
            scan: self,
            ready: VecDeque::new(),
            early: Vec::new(),
            due: 0,
            moved: None,
            failure: None,
        }
    }
}

impl<R: FailSafeRead> FramesInOrder<R> {
    /// The next frame or loss; `None` at the end of the stream.
    ///
    /// # Errors
    /// Only what the source gives.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as `Iterator::next` cannot")]
    pub fn next(&mut self) -> io::Result<Option<Scanned>> {
        if let Some(early) = self.first_early(self.due) {
            return Ok(Some(self.give(early)));
        }
        let item = match (self.ready.pop_front(), self.failure.take()) {
            (Some(item), failure) => {
                self.failure = failure;
                Some(item)
            }
            (None, Some(error)) => return Err(error),
            (None, None) => self.scan.next()?,
        };
        let frame = match item {
            Some(Scanned::Frame(frame)) if frame.header.kind == Kind::DATA => frame,
            Some(Scanned::Lost { stored, cause, broken: Some(frame), bytes }) => {
                // What its header says of its place is believed unless what follows says otherwise.
                let is_elsewhere = self.is_early(&frame.header);
                let broken = (!is_elsewhere).then_some(frame);
                return Ok(Some(Scanned::Lost { stored, cause, broken, bytes }));
            }
            Some(Scanned::Frame(frame)) if ends_data(&frame.header) && !self.early.is_empty() => {
                let early = self.first_early(u64::MAX);
                self.ready.push_front(Scanned::Frame(frame));
                return Ok(early.map(|early| self.give(early)).or_else(|| self.ready.pop_front()));
            }
            Some(other) => return Ok(Some(other)),
            None => return Ok(self.first_early(u64::MAX).map(|early| self.give(early))),
        };
        if self.early.len() < MAX_EARLY && self.is_early(&frame.header) {
            let stored = frame.at..frame.at.saturating_add(frame.header.frame_len());
            self.moved.get_or_insert_with(|| stored.clone());
            self.early.push(frame);
            let cause = Cause::OutOfOrder;
            return Ok(Some(Scanned::Lost { stored, cause, broken: None, bytes: Vec::new() }));
        }
        if let Some(early) = self.first_early(frame.header.plain_offset) {
            self.ready.push_front(Scanned::Frame(frame));
            return Ok(Some(self.give(early)));
        }
        Ok(Some(self.give(frame)))
    }

    /// Whether there is a gap before this frame, and one of the few data frames that follow is due before it.
    fn is_early(&mut self, header: &FrameHeader) -> bool {
        let before = self.due..header.plain_offset;
        if header.kind != Kind::DATA || before.is_empty() {
            return false;
        }
        let (mut at, mut frames) = (0, 0);
        while at < MAX_AHEAD && frames < FRAMES_AHEAD {
            if at == self.ready.len() {
                if self.failure.is_some() {
                    break;
                }
                match self.scan.next() {
                    Ok(Some(item)) => self.ready.push_back(item),
                    Ok(None) => break,
                    Err(error) => self.failure = Some(error),
                }
                continue;
            }
            if let Some(Scanned::Frame(Frame { header, .. })) = self.ready.get(at)
                && header.kind == Kind::DATA
            {
                if before.contains(&header.plain_offset) {
                    return true;
                }
                frames += 1;
            }
            at += 1;
        }
        false
    }

    /// Takes the first of the early frames, if its place is up to this one. Those whose places have been filled are dropped.
    fn first_early(&mut self, start: u64) -> Option<Frame> {
        let due = self.due;
        for filled in self.early.extract_if(.., |frame| frame.header.plain_offset < due) {
            self.scan.recycle(filled.payload);
        }
        let place = |number: &usize| self.early[*number].header.plain_offset;
        let first = (0..self.early.len()).min_by_key(place).filter(|number| place(number) <= start);
        first.map(|number| self.early.swap_remove(number))
    }

    fn give(&mut self, frame: Frame) -> Scanned {
        let FrameHeader { plain_offset, plain_len, .. } = frame.header;
        self.due = self.due.max(plain_offset.saturating_add(plain_len.into()));
        Scanned::Frame(frame)
    }

    /// Stored bytes of the first frame that stood too early.
    pub fn out_of_order(&self) -> Option<Range<u64>> {
        self.moved.clone()
    }

    /// The pack whose frames are handed out, once it is known.
    pub fn pack(&self) -> Option<PackId> {
        self.scan.pack()
    }

    /// As [`FrameScan::position`], with what was read ahead.
    pub fn position(&self) -> u64 {
        self.scan.position()
    }

    /// As [`FrameScan::recycle`].
    pub fn recycle(&mut self, payload: Vec<u8>) {
        self.scan.recycle(payload);
    }

    /// As [`FrameScan::check_end`].
    ///
    /// # Errors
    /// Only what the source gives.
    pub fn check_end(&mut self) -> io::Result<Option<Gap>> {
        self.scan.check_end()
    }

    /// As [`FrameScan::drain_report`].
    pub fn drain_report(&mut self, report: &mut Report) {
        self.scan.drain_report(report);
    }

    /// What is read from.
    pub fn get_ref(&self) -> &R {
        self.scan.get_ref()
    }
}

/// Whether no data frame stands behind it.
fn ends_data(header: &FrameHeader) -> bool {
    header.kind == Kind::FOOTER || (header.kind == Kind::LAYER_HEADER && header.sequence > 0)
}

/// Early frames that are held at a time.
const MAX_EARLY: usize = 4;

/// Data frames that are looked at behind one that may be early.
const FRAMES_AHEAD: usize = 5;

/// Frames and losses that are read ahead at most.
const MAX_AHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerId, PlainSource, ScanLimits};

    /// Frames of ten plain bytes each, by their numbers; `!` is something that is no frame.
    fn stored(order: &str) -> Vec<u8> {
        let pack = PackId::from_bytes([7; 16]);
        let mut stored = Vec::new();
        for which in order.bytes() {
            let Some(n) = (which as char).to_digit(36) else {
                stored.extend([0x55; 50]);
                continue;
            };
            let payload = [n as u8; 10];
            let mut header =
                FrameHeader::data(LayerId::COMPRESSION, pack, n.into(), u64::from(n) * 10);
            (header.plain_len, header.stored_len) = (10, 10);
            stored.extend(header.sealed(&payload).encode());
            stored.extend(payload);
        }
        stored
    }

    /// What comes out of a source, up to its end or its failure.
    fn read(source: impl io::Read) -> (String, Option<io::Error>) {
        let (pack, limits) = (PackId::from_bytes([7; 16]), ScanLimits::new(100, 100));
        let source = PlainSource::new(source);
        let scan = FrameScan::new(source, LayerId::COMPRESSION, Some(pack), limits);
        let (mut scan, mut out) = (scan.in_order(), String::new());
        loop {
            out.push(match scan.next() {
                Ok(Some(Scanned::Frame(frame))) => {
                    char::from_digit(frame.header.sequence as u32, 36).expect("a digit")
                }
                Ok(Some(Scanned::Lost { .. })) => '!',
                Ok(None) => return (out, None),
                Err(error) => return (out, Some(error)),
            });
        }
    }

    /// A source that fails where others end.
    struct Failing;

    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }

    #[test]
    fn what_was_read_before_a_failure_comes_first() {
        // Behind the gap, so that the source fails while it is looked ahead.
        let (out, error) = read(io::Read::chain(&stored("034")[..], Failing));
        assert!(out.starts_with("03"), "{out}");
        assert!(error.is_some_and(|error| error.to_string() == "broken"));
    }

    #[test]
    fn frames_that_stand_too_early_wait_for_their_place() {
        for (order, expected) in [
            ("01234", "01234"),
            // Frames are missing: nothing waits.
            ("0134", "0134"),
            ("04", "04"),
            ("4", "4"),
            ("0!34", "0!34"),
            ("0!412", "0!!124"),
            // One stands too early, which is told there, and perhaps once more in its place.
            ("0812345678", "0!123456788"),
            ("081234567", "0!12345678"),
            ("40123", "!01234"),
            ("081!34567", "0!1!345678"),
            ("0!812345678", "0!!123456788"),
            ("08!1234567", "0!!12345678"),
            ("0771234567", "0!!12345677"),
            ("0781234569", "0!!123456789"),
            // Two are swapped: those between wait too, since the late one comes soon.
            ("0153426", "01!!!23456"),
            ("0523416", "0!!!!123456"),
            // Some stand too early, but not all that one likes.
            ("0981234567", "0!!123456789"),
            ("0987612345", "0!!!!123456789"),
            ("098765123456", "0!!!!56789123456"),
        ] {
            let (found, error) = read(&stored(order)[..]);
            assert!(error.is_none());
            assert_eq!(found, expected, "{order}");
        }
    }
}
