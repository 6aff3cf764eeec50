//! Some sections as they were read, side by side in one buffer, which is used again and again.

use std::cmp::Reverse;
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
        let blocks = self.sections.iter();
        let blocks = blocks.map(|(section, at)| (section, &self.buf[*at..][..section.data_len]));
        section::check_each(blocks, checks, |number, error| self.faults.push((number, error)));
        // They are taken from the end.
        self.faults.sort_by_key(|(number, _)| Reverse(*number));
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

    /// Forgets everything, and gives room for [`BATCH_LEN`] bytes behind [`FRONT`] more.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.clear();
        self.grow(FRONT + BATCH_LEN);
        &mut self.buf[FRONT..][..BATCH_LEN]
    }

    /// Puts bytes in front of the `read` ones in the room, and says where they begin.
    fn put_in_front(&mut self, front: &[u8], read: usize) -> usize {
        let start = FRONT.saturating_sub(front.len());
        let room = start + front.len();
        self.filled = room + read;
        if room > FRONT {
            self.grow(self.filled);
            self.buf.copy_within(FRONT..FRONT + read, room);
        }
        self.buf[start..room].copy_from_slice(front);
        start
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

/// Cuts bytes into sections.
pub(super) struct Cutter {
    options: ReaderOptions,
    /// Bytes that have been read, and belong to the next batch: at first what a reader has in its buffer, later less than a section.
    carry: Vec<u8>,
    /// Offset in the payload of what comes next, `carry` first.
    position: u64,
    /// Offset at which the payload ends, `u64::MAX` if that is not known.
    limit: u64,
    base: u64,
}

/// How a piece of a stream ends.
enum Rest {
    /// With the stream, in this way.
    End(Result<()>),
    /// With the head of a section, of which this many bytes are needed.
    Head(usize),
    /// With the data of this section.
    Data(SectionHead),
}

impl Cutter {
    /// What comes behind the bytes that have been read already: its offset in the payload, and where the payload ends.
    pub(super) fn unread(&self) -> (u64, u64) {
        (self.position.saturating_add(self.carry.len() as u64), self.limit)
    }

    /// Takes all sections that are whole in `batch` from `at` on, which is then where the rest begins.
    fn whole_sections(&mut self, batch: &mut Batch, at: &mut usize) -> Rest {
        loop {
            let bytes = &batch.buf[*at..batch.filled];
            let head = match section::parse_head(bytes, &self.options) {
                Head::Complete(head) => head,
                Head::Bad(kind) if section::is_end(&kind, &self.options) => {
                    return Rest::End(Ok(()));
                }
                Head::Bad(kind) => return Rest::End(Err(Error::at(kind, self.position))),
                Head::NeedMore(need) => return Rest::Head(need),
            };
            if bytes.len() < head.len() {
                return Rest::Data(head);
            }
            let section = Section::new(&head, self.position);
            batch.sections.push((section, *at + head.head_len));
            self.position = section.end();
            *at += head.len();
        }
    }

    /// Makes `batch`, which has `read` bytes in its [room](Batch::room), the sections that end there. Whether the stream ends with these
    /// bytes, and with what error, is `end`.
    pub(super) fn cut(&mut self, batch: &mut Batch, read: usize, end: Option<io::Result<()>>) {
        if end.is_none() && self.lacks_more_than(read) {
            self.carry.extend_from_slice(&batch.buf[FRONT..][..read]);
            return;
        }
        let mut at = batch.put_in_front(&self.carry, read);
        self.carry.clear();
        let rest = self.whole_sections(batch, &mut at);
        let bytes = &batch.buf[at..batch.filled];
        let end = match (rest, end) {
            (Rest::End(end), _) => end,
            (_, None) => return self.carry.extend_from_slice(bytes),
            (_, Some(Err(error))) => Err(self.stopped(error, bytes.len())),
            (Rest::Head(_), Some(Ok(()))) => self.end(bytes),
            (Rest::Data(_), Some(Ok(()))) => Err(self.truncated(bytes.len())),
        };
        batch.end = Some(end.map_err(|error| error.with_base(self.base)));
    }

    /// Whether what is carried is a section that does not end in the next `read` bytes. (A large one is not put together in every batch.)
    fn lacks_more_than(&self, read: usize) -> bool {
        match section::parse_head(&self.carry, &self.options) {
            Head::Complete(head) => head.len() > self.carry.len() + read,
            _ => false,
        }
    }

    /// How a stream ends that has only these bytes of a head left.
    fn end(&self, rest: &[u8]) -> Result<()> {
        let end = self.position.saturating_add(rest.len() as u64);
        let is_short = self.limit != u64::MAX && end < self.limit;
        let kind = match rest {
            [] if is_short => ErrorKind::Truncated(Part::Payload),
            [] => return Ok(()),
            _ if self.options.ignore_trailing_bytes && !is_short => return Ok(()),
            rest => section::truncated_head(rest),
        };
        Err(Error::at(kind, end))
    }

    /// The error for a stream that ends behind `read` bytes of a section whose head is whole.
    fn truncated(&self, read: usize) -> Error {
        let offset = self.position.saturating_add(read as u64);
        Error::at(ErrorKind::Truncated(Part::Data), offset)
    }

    fn stopped(&self, error: io::Error, read: usize) -> Error {
        Error::at(ErrorKind::Io(error), self.position.saturating_add(read as u64))
    }
}

/// Cuts a stream into batches.
pub(super) struct Feed<R> {
    inner: R,
    cutter: Cutter,
}

impl<R> Feed<R> {
    /// Goes on where an input stands, whose payload starts at `base` in the file.
    pub(super) fn new(input: Input<R>, options: ReaderOptions, base: u64) -> Self {
        let (position, limit) = (input.position(), input.limit());
        let carry = input.buffered().to_vec();
        let cutter = Cutter { options, carry, position, limit, base };
        Feed { inner: input.into_inner(), cutter }
    }

    pub(super) fn into_parts(self) -> (R, Cutter) {
        (self.inner, self.cutter)
    }
}

impl<R: Read> Feed<R> {
    /// Makes `batch` the next sections: those that can be read without waiting for more, at least one, up to a limit.
    pub(super) fn fill(&mut self, batch: &mut Batch) {
        let carry = &mut self.cutter.carry;
        batch.clear();
        batch.grow(BATCH_LEN.max(carry.len()));
        batch.buf[..carry.len()].copy_from_slice(carry);
        batch.filled = carry.len();
        carry.clear();
        let end = self.sections(batch);
        batch.end = end.map(|end| end.map_err(|error| error.with_base(self.cutter.base)));
    }

    /// Cuts what is there into sections, and says how the stream ends if it does.
    fn sections(&mut self, batch: &mut Batch) -> Option<Result<()>> {
        let mut at = 0;
        loop {
            let rest = self.cutter.whole_sections(batch, &mut at);
            let read = match &rest {
                Rest::Head(_) if !batch.sections.is_empty() => {
                    // Whole sections are handed on before more is waited for.
                    self.cutter.carry.extend_from_slice(&batch.buf[at..batch.filled]);
                    return None;
                }
                Rest::Head(need) => self.more(batch, at + need, BATCH_LEN),
                Rest::Data(head) => self.body(batch, at + head.len()),
                Rest::End(_) => Ok(false),
            };
            let bytes = &batch.buf[at..batch.filled];
            return Some(match (rest, read) {
                (Rest::End(end), _) => end,
                (_, Ok(true)) => continue,
                (_, Err(error)) => Err(self.cutter.stopped(error, bytes.len())),
                (Rest::Head(_), Ok(false)) => self.cutter.end(bytes),
                (Rest::Data(_), Ok(false)) => Err(self.cutter.truncated(bytes.len())),
            });
        }
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
        let rest = self.cutter.limit.saturating_sub(self.cutter.position).saturating_sub(ahead);
        let room = most - batch.filled;
        usize::try_from(rest).map_or(room, |rest| room.min(rest))
    }
}

/// Bytes in front of the room of a batch, for the start of its first section. Most blocks are no longer.
const FRONT: usize = if cfg!(any(fuzzing, test)) { 1 << 10 } else { (1 << 20) + (4 << 10) };

/// Bytes that are read at a time, and hashed by one thread. That is about what the cache next to its core holds. Tests,
/// whose inputs are small, have several batches too.
pub(super) const BATCH_LEN: usize = if cfg!(any(fuzzing, test)) { 4 << 10 } else { 1 << 20 };
