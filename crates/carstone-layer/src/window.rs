//! The bytes of a stream that a scan has read and not yet used.

use std::io;

use crate::{FRAME_HEADER_LEN, FailSafeRead, Gap};

/// Unused bytes of one unbroken stretch of `inner`, and what ends the stretch.
#[derive(Debug)]
pub(crate) struct Window<R> {
    inner: R,
    /// Unused bytes stand in `start..filled`. What is behind them was zeroed or read before, so that short reads need not
    /// zero it again.
    buf: Vec<u8>,
    start: usize,
    filled: usize,
    at: u64,
    end: Option<End>,
    taken: u64,
}

/// What stands behind the last byte of the window.
#[derive(Debug)]
pub(crate) enum End {
    /// The end of the stream.
    Stream,
    /// A gap of the reader below.
    Gap(Gap),
}

impl<R: FailSafeRead> Window<R> {
    pub(crate) fn new(inner: R) -> Self {
        let at = inner.position();
        Self { inner, buf: Vec::new(), start: 0, filled: 0, at, end: None, taken: 0 }
    }

    /// The unused bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.filled]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..self.filled]
    }

    /// Stored offset of the first unused byte.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes read from below so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the stream ends behind the unused bytes.
    pub(crate) fn at_stream_end(&self) -> bool {
        matches!(self.end, Some(End::Stream))
    }

    /// Whether nothing follows the unused bytes in this stretch.
    pub(crate) fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Reads until there are `wanted` bytes or the stretch ends; asks for `chunk` bytes at least, and memory grows with what
    /// arrives.
    pub(crate) fn fill(&mut self, wanted: usize, chunk: usize) -> io::Result<()> {
        while self.bytes().len() < wanted && self.end.is_none() {
            // Moving what is left costs less than three times what was used before it.
            if self.start > 0 && self.start >= self.filled / 4 {
                self.buf.copy_within(self.start..self.filled, 0);
                (self.start, self.filled) = (0, self.filled - self.start);
            }
            let step = (wanted - self.bytes().len()).min(self.filled.max(STEP)).max(chunk);
            let to = self.filled + step;
            if self.buf.len() < to {
                self.buf.resize(to, 0);
            }
            // Taken out, so that `pull` can have all of `self`.
            let mut buf = std::mem::take(&mut self.buf);
            let read = self.pull(&mut buf[self.filled..to]);
            self.buf = buf;
            self.filled += read?;
        }
        Ok(())
    }

    /// Uses up `n` bytes, all of which are there.
    pub(crate) fn advance(&mut self, n: usize) {
        debug_assert!(n <= self.bytes().len());
        self.at = self.at.saturating_add(n as u64);
        self.start += n;
        if self.start >= self.filled {
            self.clear();
        }
    }

    /// Uses up as many of `n` bytes as the stretch has.
    pub(crate) fn skip(&mut self, mut n: u64) -> io::Result<()> {
        while n > 0 {
            let step = usize::try_from(n).unwrap_or(usize::MAX).min(STEP);
            self.fill(step, 0)?;
            let step = step.min(self.bytes().len());
            if step == 0 {
                break;
            }
            self.advance(step);
            n -= step as u64;
        }
        Ok(())
    }

    /// Once the stretch has ended: drops what is left, steps over the gap that ended it, and returns the gap. `None` at the
    /// end of the stream, which stays.
    pub(crate) fn cross(&mut self) -> Option<Gap> {
        self.advance(self.bytes().len());
        match self.end.take() {
            Some(End::Gap(gap)) => {
                // A gap of unknown length does not move the reader below.
                self.at = self.at.max(self.inner.position());
                Some(gap)
            }
            end => {
                self.end = end;
                None
            }
        }
    }

    /// Reads the payload of `len` bytes of the frame whose header is the front of the window. Bytes that are not in the window are
    /// read straight into `payload`, together with the next header if it comes along.
    ///
    /// The frame stays in front; then either [`Self::take_frame`] or [`Self::put_back`] is due. Returns how many bytes of
    /// `payload` came from the window.
    pub(crate) fn load(&mut self, len: usize, payload: &mut Vec<u8>) -> io::Result<usize> {
        let inside = &self.bytes()[FRAME_HEADER_LEN..];
        let inside = &inside[..inside.len().min(len)];
        let copied = inside.len();
        if payload.len() < copied {
            payload.resize(copied, 0); // Zeroed once in the life of a recycled buffer.
        }
        payload[..copied].copy_from_slice(inside);
        let (mut have, wanted) = (copied, len + FRAME_HEADER_LEN);
        while have < len && self.end.is_none() {
            // A length that lies must not make us allocate.
            let room = match payload.capacity() >= wanted {
                true => wanted,
                false => wanted.min((2 * have).max(STEP)),
            };
            if payload.len() < room {
                payload.resize(room, 0);
            }
            match self.pull(&mut payload[have..room]) {
                Ok(n) => have += n,
                Err(error) => {
                    self.put_back(&payload[copied..have]);
                    return Err(error);
                }
            }
        }
        payload.truncate(have);
        Ok(copied)
    }

    /// Uses up the frame that [`Self::load`] read into `payload`, all of it there, and leaves `len` bytes in `payload`.
    pub(crate) fn take_frame(&mut self, len: usize, copied: usize, payload: &mut Vec<u8>) {
        if copied < len {
            let at = self.at.saturating_add((FRAME_HEADER_LEN + len) as u64);
            self.clear();
            self.at = at;
            self.put_back(&payload[len..]);
            payload.truncate(len);
        } else {
            self.advance(FRAME_HEADER_LEN + len);
        }
    }

    /// Appends bytes that were read past the window.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        let to = self.filled + bytes.len();
        if self.buf.len() < to {
            self.buf.resize(to, 0);
        }
        self.buf[self.filled..to].copy_from_slice(bytes);
        self.filled = to;
    }

    /// Forgets all bytes, and gives back memory that only damage needs.
    fn clear(&mut self) {
        (self.start, self.filled) = (0, 0);
        if self.buf.len() > 4 * STEP {
            self.buf.truncate(4 * STEP);
            self.buf.shrink_to_fit();
        }
    }

    pub(crate) fn get_ref(&self) -> &R {
        &self.inner
    }

    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// One read into `buf`, which is not empty. At the end of the stretch, finds out what ended it.
    fn pull(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buf) {
                Ok(0) => {
                    self.end = Some(self.inner.next_gap()?.map_or(End::Stream, End::Gap));
                    return Ok(0);
                }
                Ok(n) => {
                    self.taken = self.taken.saturating_add(n as u64);
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Memory is taken in steps of this size while it is unknown whether the bytes will come.
const STEP: usize = 64 << 10;
