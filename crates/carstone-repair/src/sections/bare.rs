//! Cuts a CAR stream that stands in no frames into sections: hashes alone tell what is one.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use carstone_layer::{Cause, FailSafeRead, Gap, LayerId};

use super::resync::{Part, Resync};
use super::{Begun, HEADER, Piece, Proof};
use crate::car::Judged;

/// Cuts sections out of a stream without frames.
pub(super) struct BareCutter<R> {
    resync: Resync<Stretch<R>>,
    is_begun: bool,
    /// The last section that is due, if the bytes end in it: unless another one is found in them.
    open: Option<Begun>,
    ready: VecDeque<Piece>,
}

impl<R: FailSafeRead> BareCutter<R> {
    pub(super) fn new(source: R) -> Self {
        let base = source.position();
        let stretch = Stretch { source, gaps: VecDeque::new(), state: State::Reading };
        let resync = Resync::new(stretch, base);
        Self { resync, is_begun: base > 0, open: None, ready: VecDeque::new() }
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.resync.search().get_mut().source
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// Only what the source gives.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if !std::mem::replace(&mut self.is_begun, true) {
                self.begin()?;
                continue;
            }
            if self.tell_gap() {
                continue;
            }
            match self.resync.next()? {
                Some(Part::Block(block)) => return Ok(Some(Piece::Block(block))),
                Some(Part::Lost(range)) => {
                    let search = self.resync.search();
                    let open = self.open.take();
                    if open.is_some() && search.ahead(1)?.is_empty() {
                        self.ready.extend(open.map(Piece::Begun));
                    }
                    self.lose(range);
                }
                Some(Part::Open { .. }) => {
                    self.open = Begun::of(self.resync.search().ahead(1)?, 0);
                }
                None if !self.go_on() => return Ok(None),
                None => {}
            }
        }
    }

    /// Passes over the header. Where it is damaged, a section may still stand behind it.
    fn begin(&mut self) -> io::Result<()> {
        let search = self.resync.search();
        if search.ahead(HEADER.len())?.starts_with(HEADER) {
            return self.resync.expect(HEADER.len(), Proof::Chain);
        }
        if let Judged::Block(_) = search.judge_behind(HEADER.len(), false)? {
            self.lose(0..HEADER.len() as u64);
            return self.resync.expect(HEADER.len(), Proof::Found);
        }
        Ok(())
    }

    fn lose(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let len = Some(range.end - range.start);
        let gap = Gap::new(LayerId::POSITION, range.start, len, Cause::Corrupt);
        self.ready.push_back(Piece::Gap(gap.with_stored(range)));
    }

    /// Tells of a gap that has been reached. Whether there is one.
    fn tell_gap(&mut self) -> bool {
        let at = self.resync.at();
        let gaps = &mut self.resync.search().get_mut().gaps;
        let is_there = gaps.front().is_some_and(|gap| gap.at <= at);
        if is_there {
            self.ready.extend(gaps.pop_front().map(Piece::Gap));
        }
        is_there
    }

    /// Goes on behind what ended the stretch. Whether there is anything.
    fn go_on(&mut self) -> bool {
        let stretch = self.resync.search().get_mut();
        self.ready.extend(stretch.gaps.drain(..).map(Piece::Gap));
        if stretch.state == State::Stopped {
            stretch.state = State::Reading;
            let at = stretch.source.position();
            self.resync.restart(at);
            return true;
        }
        !self.ready.is_empty()
    }
}

/// The bytes of a stream up to where some are missing. Gaps of no bytes, which tell that an end is missing, are passed over.
struct Stretch<R> {
    source: R,
    gaps: VecDeque<Gap>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Reading,
    /// At a gap.
    Stopped,
    Ended,
}

impl<R: FailSafeRead> Read for Stretch<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.state == State::Reading && !buf.is_empty() {
            match self.source.read(buf)? {
                0 => match self.source.next_gap()? {
                    Some(gap) => {
                        if gap.len != Some(0) {
                            self.state = State::Stopped;
                        }
                        self.gaps.push_back(gap);
                    }
                    None => self.state = State::Ended,
                },
                n => return Ok(n),
            }
        }
        Ok(0)
    }
}
