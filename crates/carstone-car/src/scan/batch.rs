//! Some sections as they were read, side by side in one buffer, which is used again and again.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind, Part, Result};
use crate::input::Input;
use crate::options::{Checks, ReaderOptions};
use crate::section::{self, Head, Section, SectionHead};

/// Whole sections in one buffer.
#[derive(Default)]
pub(super) struct Batch {
    /// Only the first `filled` bytes mean anything; the rest has been filled before.
    buf: Vec<u8>,
    filled: usize,
    /// Where each section lies, and where its data starts in the buffer.
    sections: Vec<(Section, usize)>,
    /// What is wrong with single blocks, by their number.
    faults: Vec<(usize, Error)>,
    next: usize,
    /// How the stream ends behind these sections, if it does.
    end: Option<Result<()>>,
}

impl Batch {
    /// Hashes all blocks.
    pub(super) fn verify(&mut self, checks: Checks) {
        for number in 0..self.sections.len() {
            if let Err(error) = self.check(number, checks) {
                self.faults.push((number, error));
            }
        }
        self.faults.reverse(); // They are taken from the end.
    }

    fn check(&self, number: usize, checks: Checks) -> Result<()> {
        let Some((section, start)) = self.sections.get(number) else { return Ok(()) };
        section::check(section, &self.buf[*start..][..section.data_len], checks)
    }

    /// Steps to the next block. `checks`: what is still to be done for it.
    pub(super) fn advance(&mut self, checks: Checks) -> Option<Result<()>> {
        let number = self.next;
        if number == self.sections.len() {
            return None;
        }
        self.next += 1;
        if self.faults.last().is_some_and(|(bad, _)| *bad == number) {
            return self.faults.pop().map(|(_, error)| Err(error));
        }
        Some(self.check(number, checks))
    }

    /// The block that [`advance`](Self::advance) has stepped to.
    pub(super) fn current(&self) -> Option<(&Section, &[u8])> {
        let (section, start) = self.sections.get(self.next.checked_sub(1)?)?;
        Some((section, &self.buf[*start..][..section.data_len]))
    }

    /// Whether the stream ends behind these sections.
    pub(super) fn is_last(&self) -> bool {
        self.end.is_some()
    }

    /// How the stream ends, once all blocks have been handed out.
    pub(super) fn take_end(&mut self) -> Option<Result<()>> {
        self.end.take()
    }

    /// Bytes that the batch takes.
    pub(super) fn len(&self) -> usize {
        self.buf.len()
    }

    fn clear(&mut self) {
        self.sections.clear();
        self.faults.clear();
        (self.next, self.filled, self.end) = (0, 0, None);
    }

    /// Makes room for `len` bytes.
    fn grow(&mut self, len: usize) {
        if self.buf.is_empty() {
            self.buf = vec![0; len]; // The system gives it filled with zeros.
        } else if self.buf.len() < len {
            self.buf.reserve_exact(len - self.buf.len());
            self.buf.resize(len, 0);
        }
    }
}

/// Cuts a stream into batches.
pub(super) struct Feed<R> {
    inner: R,
    options: ReaderOptions,
    /// Bytes that have been read, and belong to the next batch: at first what a reader has in its buffer, later less than a head.
    carry: Vec<u8>,
    /// Offset in the payload of what comes next, `carry` first.
    position: u64,
    /// Offset at which the payload ends, `u64::MAX` if that is not known.
    limit: u64,
    base: u64,
}

impl<R> Feed<R> {
    /// Goes on where an input stands, whose payload starts at `base` in the file.
    pub(super) fn new(input: Input<R>, options: ReaderOptions, base: u64) -> Self {
        let (position, limit) = (input.position(), input.limit());
        let carry = input.buffered().to_vec();
        Feed { inner: input.into_inner(), options, carry, position, limit, base }
    }
}

impl<R: Read> Feed<R> {
    /// Makes `batch` the next sections: those that can be read without waiting for more, at least one, up to a limit.
    pub(super) fn fill(&mut self, batch: &mut Batch) {
        batch.clear();
        batch.grow(BATCH_LEN.max(self.carry.len()));
        batch.buf[..self.carry.len()].copy_from_slice(&self.carry);
        batch.filled = self.carry.len();
        self.carry.clear();
        let end = self.sections(batch);
        batch.end = end.map(|end| end.map_err(|error| error.with_base(self.base)));
    }

    /// Cuts what is there into sections, and says how the stream ends if it does.
    fn sections(&mut self, batch: &mut Batch) -> Option<Result<()>> {
        let mut at = 0;
        loop {
            let bytes = &batch.buf[at..batch.filled];
            let head = match section::parse_head(bytes, &self.options) {
                Head::Complete(head) => head,
                Head::Bad(kind) if section::is_end(&kind, &self.options) => return Some(Ok(())),
                Head::Bad(kind) => return Some(Err(Error::at(kind, self.position))),
                // Whole sections are handed on before more is waited for.
                Head::NeedMore(_) if !batch.sections.is_empty() => {
                    self.carry.extend_from_slice(bytes);
                    return None;
                }
                Head::NeedMore(need) => match self.more(batch, at + need, BATCH_LEN) {
                    Ok(true) => continue,
                    Ok(false) => return self.end(&batch.buf[at..batch.filled]),
                    Err(error) => return Some(Err(self.stopped(error, batch.filled - at))),
                },
            };
            let end = at + head.len();
            if batch.filled < end {
                match self.body(batch, end) {
                    Ok(true) => {}
                    Ok(false) => {
                        let kind = ErrorKind::Truncated(Part::Data);
                        let offset = self.position.saturating_add((batch.filled - at) as u64);
                        return Some(Err(Error::at(kind, offset)));
                    }
                    Err(error) => return Some(Err(self.stopped(error, batch.filled - at))),
                }
            }
            self.take(batch, &head, at);
            at = end;
        }
    }

    fn take(&mut self, batch: &mut Batch, head: &SectionHead, at: usize) {
        let section = Section::new(head, self.position);
        batch.sections.push((section, at + head.head_len));
        self.position = section.end();
    }

    /// How a stream ends that has only these bytes left.
    fn end(&self, rest: &[u8]) -> Option<Result<()>> {
        let end = self.position.saturating_add(rest.len() as u64);
        let is_short = self.limit != u64::MAX && end < self.limit;
        let kind = match rest {
            [] if is_short => ErrorKind::Truncated(Part::Payload),
            [] => return Some(Ok(())),
            _ if self.options.ignore_trailing_bytes && !is_short => return Some(Ok(())),
            rest => section::truncated_head(rest),
        };
        Some(Err(Error::at(kind, end)))
    }

    fn stopped(&self, error: io::Error, read: usize) -> Error {
        Error::at(ErrorKind::Io(error), self.position.saturating_add(read as u64))
    }

    /// Reads the rest of a section that ends at `end` in the buffer, which grows as bytes arrive. `false` if the stream ends before.
    fn body(&mut self, batch: &mut Batch, end: usize) -> io::Result<bool> {
        while batch.filled < end {
            let step = batch.filled.saturating_mul(2).max(BATCH_LEN).min(end);
            batch.grow(step);
            if !self.more(batch, step, step)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads until the buffer holds `least` bytes, and up to `most`. `false` if the stream ends before.
    fn more(&mut self, batch: &mut Batch, least: usize, most: usize) -> io::Result<bool> {
        let most = most.max(least);
        batch.grow(most);
        while batch.filled < least {
            let room = self.room(batch, most);
            if room == 0 {
                return Ok(false);
            }
            match self.inner.read(&mut batch.buf[batch.filled..][..room]) {
                Ok(0) => return Ok(false),
                Ok(read) => batch.filled += read.min(room),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// How much may be read into a buffer of which `most` bytes are used, so that it does not go past the payload.
    fn room(&self, batch: &Batch, most: usize) -> usize {
        // The sections of the batch lie before `position`, and what is behind them has been read.
        let done = batch.sections.last().map_or(0, |(section, start)| start + section.data_len);
        let ahead = (batch.filled - done) as u64;
        let rest = self.limit.saturating_sub(self.position).saturating_sub(ahead);
        let room = most - batch.filled;
        usize::try_from(rest).map_or(room, |rest| room.min(rest))
    }
}

/// Bytes that are read at a time, and hashed by one thread. They fit in the cache next to its core. The fuzzer, whose inputs are small, has
/// several batches too.
pub(super) const BATCH_LEN: usize = if cfg!(fuzzing) { 4 << 10 } else { 512 << 10 };
