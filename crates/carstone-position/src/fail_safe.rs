//! Reading a stream that may be damaged: passes bytes and gaps on, and takes the footer off the end.

use std::collections::VecDeque;
use std::io::{self, Read};

use carstone_layer::{Cause, Correction, FailSafeRead, Gap, HoldBack, LayerId, PackId, Report};

use crate::footer::{FOOTER_LEN, Footer};

/// Passes on what a damaged stream still has, without its position footer.
///
/// A gap of the stream below is passed on as a gap of the same plain bytes. A stream that ends without a footer
/// ends in a gap of unknown length.
#[derive(Debug)]
pub struct PositionFailSafe<R> {
    inner: R,
    hold: HoldBack<FOOTER_LEN>,
    position: u64,
    state: State,
    /// Section starts that the stream below has named and that have not been passed on yet.
    boundaries: VecDeque<u64>,
    /// The last gap has no known length, and nothing came behind it.
    is_open_ended: bool,
    footer: Option<Footer>,
    corrections: Vec<Correction>,
}

#[derive(Debug)]
enum State {
    /// More can come from below.
    Reading,
    /// What is held is passed on; then the gap is reported, and reading goes on if the gap came from below.
    Stopping { gap: Option<Gap>, ended: bool },
}

impl<R: FailSafeRead> PositionFailSafe<R> {
    /// Reads on from where `inner` stands, which is its start.
    pub fn new(inner: R) -> Self {
        Self {
            position: inner.position(),
            inner,
            hold: HoldBack::new(0),
            state: State::Reading,
            boundaries: VecDeque::new(),
            is_open_ended: false,
            footer: None,
            corrections: Vec::new(),
        }
    }

    /// The mark of the footer, once the end has been reached and the footer was good.
    pub fn mark(&self) -> Option<u64> {
        self.footer?.mark
    }

    /// The id in the footer, once the end has been reached and the footer was good.
    pub fn pack_id(&self) -> Option<PackId> {
        Some(self.footer?.pack)
    }

    /// Plain bytes of the undamaged stream, once the end has been reached and the footer was good.
    pub fn stated_len(&self) -> Option<u64> {
        Some(self.footer?.len)
    }

    /// The reader below.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Gives the reader below back.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The stream below stopped: finds out why, and what the held bytes are.
    fn stop(&mut self) -> io::Result<()> {
        let gap = self.inner.next_gap()?.map(|below| {
            Gap::new(LayerId::POSITION, below.at, below.len, Cause::Below(Box::new(below)))
        });
        let ended = gap.is_none();
        self.state = State::Stopping { gap, ended };
        let is_lost = self.is_open_ended && self.hold.held().is_empty();
        if ended && !is_lost && !self.take_footer() {
            let at = self.position.saturating_add(self.hold.held().len() as u64);
            let gap = Gap::new(LayerId::POSITION, at, None, Cause::Truncated);
            self.state = State::Stopping { gap: Some(gap), ended };
        }
        Ok(())
    }

    /// Takes the footer off the held bytes, if they end in one.
    fn take_footer(&mut self) -> bool {
        let held = self.hold.held();
        let Some(bytes) = held.last_chunk::<FOOTER_LEN>() else { return false };
        let before = held.len() - bytes.len();
        let len = self.position.saturating_add(before as u64);
        let Some((footer, correction)) = Footer::decode_corrected(bytes, len) else { return false };
        self.corrections.extend(correction.map(|found| {
            Correction::new(LayerId::POSITION, len.saturating_add(found.at), found.bits)
        }));
        self.footer = Some(footer);
        self.hold.drop_last(FOOTER_LEN);
        true
    }

    /// Keeps the section start that the stream below names now: bytes are passed on later than they are read.
    fn note_boundary(&mut self) {
        let Some(next) = self.inner.next_boundary() else { return };
        if self.boundaries.back().is_none_or(|&last| last < next) {
            self.boundaries.push_back(next);
        }
    }

    fn advance(&mut self, n: usize) -> usize {
        self.position = self.position.saturating_add(n as u64);
        while self.boundaries.front().is_some_and(|&at| at < self.position) {
            self.boundaries.pop_front();
        }
        n
    }
}

impl<R: FailSafeRead> Read for PositionFailSafe<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let State::Reading = self.state {
            self.note_boundary();
            let n = self.hold.read(&mut self.inner, buf)?;
            if n > 0 || buf.is_empty() {
                self.is_open_ended = false;
                return Ok(self.advance(n));
            }
            self.stop()?;
        }
        let n = self.hold.drain(buf);
        Ok(self.advance(n))
    }
}

impl<R: FailSafeRead> FailSafeRead for PositionFailSafe<R> {
    fn position(&self) -> u64 {
        self.position
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        let State::Stopping { gap, ended } = &mut self.state else { return Ok(None) };
        if !self.hold.held().is_empty() {
            return Ok(None);
        }
        let gap = gap.take();
        if !*ended {
            self.is_open_ended = gap.as_ref().is_some_and(|gap| gap.len.is_none());
            self.state = State::Reading;
            self.position = self.inner.position();
            self.boundaries.clear();
        }
        Ok(gap)
    }

    fn next_boundary(&mut self) -> Option<u64> {
        let known = self.boundaries.front().copied();
        known.or_else(|| self.inner.next_boundary())
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Reading => self.inner.read_unchecked(buf),
            State::Stopping { .. } => Ok(0),
        }
    }

    fn check_end(&mut self) -> io::Result<Option<Gap>> {
        let (at, below) = (self.position, self.inner.check_end()?);
        Ok(below
            .map(|below| Gap::new(LayerId::POSITION, at, Some(0), Cause::Below(Box::new(below)))))
    }

    fn drain_report(&mut self, report: &mut Report) {
        self.inner.drain_report(report);
        report.corrections.append(&mut self.corrections);
    }
}
