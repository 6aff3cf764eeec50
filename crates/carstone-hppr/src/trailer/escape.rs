//! Lines of data that look like those behind it: `⋯`s and the mark.

use memchr::{memchr, memchr_iter};

use super::{ELLIPSIS, END_OF_DATA};
use crate::packet::MARK;

/// Where in a line it is, as far as that could begin with ellipses and the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineStart {
    /// Whole ellipses so far: none, one, or more than one.
    pub(super) run: u8,
    /// Bytes of a further one.
    pub(super) ellipsis: usize,
    /// Bytes of the mark behind them.
    pub(super) mark: usize,
}

/// What a byte at the start of a line comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It could be.
    Going,
    /// There is one more ellipsis.
    Ellipsis,
    /// There are ellipses and the mark.
    Mark,
    /// It is another line; the byte is not taken.
    Other,
}

impl LineStart {
    pub(super) const NEW: Self = Self { run: 0, ellipsis: 0, mark: 0 };

    pub(super) fn push(&mut self, byte: u8) -> Step {
        if self.mark > 0 || (self.run > 0 && self.ellipsis == 0 && byte == MARK[0]) {
            if byte != MARK[self.mark] {
                return Step::Other;
            }
            self.mark += 1;
            return if self.mark == MARK.len() { Step::Mark } else { Step::Going };
        }
        if byte != ELLIPSIS[self.ellipsis] {
            return Step::Other;
        }
        self.ellipsis += 1;
        if self.ellipsis < ELLIPSIS.len() {
            return Step::Going;
        }
        self.ellipsis = 0;
        self.run = 2.min(self.run + 1);
        Step::Ellipsis
    }
}

/// Puts an ellipsis more into lines of data that begin with ellipses and the mark.
#[derive(Debug)]
pub(super) struct Escape(Option<LineStart>);

impl Escape {
    pub(super) fn new() -> Self {
        Self(Some(LineStart::NEW))
    }

    /// Hands out the pieces of what becomes of these bytes. Some of the last can be kept back, until what follows shows what they are.
    pub(super) fn push<E>(
        &mut self,
        bytes: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut done, mut at) = (0, 0);
        let held = self.rest();
        // Where in these bytes the mark begins that a line start has got into; `None` if that was before them.
        let mut mark_at = None;
        while at < bytes.len() {
            let Some(start) = &mut self.0 else {
                match memchr(b'\n', &bytes[at..]) {
                    Some(len) => at += len + 1,
                    None => break,
                }
                self.0 = Some(LineStart::NEW);
                continue;
            };
            let before = *start;
            match start.push(bytes[at]) {
                Step::Going | Step::Ellipsis => {
                    if before.mark == 0 && start.mark == 1 {
                        mark_at = Some(at);
                    }
                    at += 1;
                }
                Step::Mark => {
                    // One ellipsis is like the other: the additional one can be the last.
                    match mark_at.take() {
                        Some(mark_at) => {
                            out(&bytes[done..mark_at])?;
                            out(ELLIPSIS)?;
                            done = mark_at;
                        }
                        None => {
                            out(ELLIPSIS)?;
                            out(held)?;
                        }
                    }
                    at += 1;
                    self.0 = None;
                }
                Step::Other => {
                    if before.mark > 0 && mark_at.take().is_none() {
                        // Nothing of these bytes has gone out yet.
                        out(held)?;
                    }
                    self.0 = None;
                }
            }
        }
        // The part of a mark at the end of these bytes is kept back.
        let kept = mark_at.unwrap_or(match self.0 {
            Some(start) if start.mark > 0 => 0,
            _ => bytes.len(),
        });
        if done < kept { out(&bytes[done..kept]) } else { Ok(()) }
    }

    /// The same of what has been kept back, as no more bytes follow.
    pub(super) fn rest(&self) -> &'static [u8] {
        &MARK[..self.0.map_or(0, |start| start.mark)]
    }
}

/// Takes that ellipsis out again, and finds the first line that is no data.
#[derive(Debug)]
pub(super) struct Unescape {
    start: Option<LineStart>,
    /// Whether the line feed ahead of the line is kept back, as it is no data if a mark follows.
    line_feed: bool,
}

/// What ends the data.
pub(super) struct Close {
    /// Bytes up to the end of the mark.
    pub(super) len: usize,
    /// Whether a line feed, which is not part of the data, was ahead.
    pub(super) line_feed: bool,
}

impl Unescape {
    pub(super) fn new() -> Self {
        Self { start: Some(LineStart::NEW), line_feed: false }
    }

    /// Hands out the pieces of data in these bytes, which begin at `base`, up to the end of the data if that is there; with each goes where it begins.
    pub(super) fn push<E>(
        &mut self,
        bytes: &[u8],
        base: u64,
        mut out: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<Option<Close>, E> {
        let mut at = 0;
        while at < bytes.len() {
            let place = base + at as u64;
            let Some(start) = &mut self.start else {
                let end = plain(&bytes[at..]);
                out(&bytes[at..at + end], place)?;
                at += end;
                if at < bytes.len() {
                    (self.start, self.line_feed) = (Some(LineStart::NEW), true);
                    at += 1;
                }
                continue;
            };
            let before = *start;
            match start.push(bytes[at]) {
                Step::Going => at += 1,
                Step::Ellipsis => {
                    at += 1;
                    if before.run > 0 {
                        // It is data, whatever follows: the last ellipsis is kept back.
                        let end = place + 1 - ELLIPSIS.len() as u64;
                        self.put(&[ELLIPSIS], end, &mut out)?;
                    }
                }
                Step::Mark if before.run == 1 => {
                    return Ok(Some(Close { len: at + 1, line_feed: self.line_feed }));
                }
                Step::Mark => {
                    at += 1;
                    self.put(&[MARK], place + 1, &mut out)?;
                    self.start = None;
                }
                Step::Other => {
                    let run = if before.run > 0 { ELLIPSIS } else { &[] };
                    let (ellipsis, mark) = (&ELLIPSIS[..before.ellipsis], &MARK[..before.mark]);
                    self.put(&[run, ellipsis, mark], place, &mut out)?;
                    self.start = None;
                }
            }
        }
        Ok(None)
    }

    /// Hands out these pieces, which end at this byte, and the line feed ahead of them if it was kept back.
    fn put<E>(
        &mut self,
        pieces: &[&[u8]],
        end: u64,
        out: &mut impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = end - pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        if std::mem::take(&mut self.line_feed) {
            out(END_OF_DATA, at - END_OF_DATA.len() as u64)?;
        }
        for piece in pieces {
            out(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

/// Bytes up to the first line feed that an ellipsis could follow.
fn plain(bytes: &[u8]) -> usize {
    let other = |at: &usize| bytes.get(at + 1).is_none_or(|next| *next == ELLIPSIS[0]);
    memchr_iter(b'\n', bytes).find(other).unwrap_or(bytes.len())
}
