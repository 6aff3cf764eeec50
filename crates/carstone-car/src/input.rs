//! The source of a reader: a small buffer for heads, past which large bodies go straight to where they are wanted.

use std::io::{self, IoSliceMut, Read, Seek, SeekFrom};

pub(crate) struct Input<R> {
    inner: R,
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    /// Offset of `buf[start]`: in the file at first, in the payload once that has been entered.
    position: u64,
    /// Offset at which the payload ends. The buffer never goes further.
    limit: u64,
    /// How many bytes are read ahead at most. Little between large bodies, which would be copied twice otherwise.
    ahead: usize,
    /// Offset up to which the stream is known to go, from when somebody has asked; 0 before.
    stream_end: u64,
}

impl<R> Input<R> {
    pub(crate) fn new(inner: R) -> Self {
        Input {
            inner,
            buf: vec![0; BUF_LEN].into_boxed_slice(),
            start: 0,
            end: 0,
            position: 0,
            limit: u64::MAX,
            ahead: BUF_LEN,
            stream_end: 0,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// A source that stands somewhere in the payload, whose length is `limit`.
    pub(crate) fn at(inner: R, position: u64, limit: u64) -> Self {
        Input { position, limit, ..Input::new(inner) }
    }

    /// Offset at which the payload ends; `u64::MAX` if that is not known.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    pub(crate) fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The source, to tell it something. Bytes that are read from it here are missing in what follows.
    #[cfg(feature = "futures")]
    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// The payload starts here, and is `len` bytes long: from now on there is nothing else.
    pub(crate) fn enter_payload(&mut self, len: u64) {
        (self.position, self.limit, self.stream_end) = (0, len, 0);
        self.end = self.start + self.room(self.end - self.start);
    }

    /// Whether the input, all of which is buffered, ends although the payload should go on.
    pub(crate) fn is_short(&self) -> bool {
        let end = self.position.saturating_add((self.end - self.start) as u64);
        self.limit != u64::MAX && end < self.limit
    }

    /// The part of `len` bytes from the position on that the payload has.
    fn room(&self, len: usize) -> usize {
        let rest = self.limit.saturating_sub(self.position);
        usize::try_from(rest).map_or(len, |rest| len.min(rest))
    }

    /// Tells how long the body of the current section is: the next one is likely to be alike.
    pub(crate) fn expect_bodies_of(&mut self, len: usize) {
        self.ahead = if len < MEDIUM_BODY { BUF_LEN } else { SHORT_AHEAD };
    }

    /// Drops `len` bytes, at most all, from the front of the buffer.
    pub(crate) fn consume(&mut self, len: usize) {
        let len = len.min(self.end - self.start);
        self.start += len;
        self.position = self.position.saturating_add(len as u64);
    }
}

/// After an error every function can be called again, and goes on where it was: nothing is lost that has been read.
impl<R: Read> Input<R> {
    /// Reads until the buffer holds `len` bytes, which is at most the length of a head. `false` if the stream ends before.
    pub(crate) fn fill(&mut self, len: usize) -> io::Result<bool> {
        debug_assert!(len <= SHORT_AHEAD);
        while self.end - self.start < len {
            // What is left is less than a head: moving it costs nothing.
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let until = self.end.max(self.ahead.max(len)).min(self.buf.len());
            let until = self.room(until).max(self.end);
            if until == self.end {
                return Ok(false);
            }
            let read = retry(&mut self.inner, |inner| inner.read(&mut self.buf[self.end..until]))?;
            if read == 0 {
                return Ok(false);
            }
            self.end = self.end.saturating_add(read).min(until);
        }
        Ok(true)
    }

    /// Makes `out` the next `len` bytes. `false` if the stream ends before.
    ///
    /// `out` grows as bytes arrive. What it already holds only saves the time to fill it with zeros.
    pub(crate) fn read_into(&mut self, out: &mut Vec<u8>, len: usize) -> io::Result<bool> {
        self.read_on_into(out, &mut 0, len)
    }

    /// The same for what an earlier call has begun: `filled` bytes are there already.
    pub(crate) fn read_on_into(
        &mut self,
        out: &mut Vec<u8>,
        filled: &mut usize,
        len: usize,
    ) -> io::Result<bool> {
        if *filled == 0 {
            *filled = self.start_into(out, len);
        }
        while *filled < len {
            if *filled >= out.len() {
                let wanted = out.capacity().max(filled.saturating_mul(2)).max(STEP);
                let wanted = wanted.min(len);
                out.reserve_exact(wanted - out.len());
                out.resize(wanted, 0);
            }
            let read = self.read_body(&mut out[*filled..], len - *filled)?;
            if read == 0 {
                return Ok(false);
            }
            *filled += read;
        }
        Ok(true)
    }

    /// Starts `out` with what is buffered of its `len` bytes, and says how much that is.
    fn start_into(&mut self, out: &mut Vec<u8>, len: usize) -> usize {
        let ready = len.min(self.end - self.start);
        out.truncate(len);
        if out.len() < ready {
            out.clear();
            out.reserve_exact(ready);
            out.extend_from_slice(&self.buf[self.start..][..ready]);
        } else {
            out[..ready].copy_from_slice(&self.buf[self.start..][..ready]);
        }
        self.consume(ready);
        ready
    }

    /// Reads some bytes, no more than `out` has room for; 0 at the end.
    pub(crate) fn read_some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = out.len().min(self.end - self.start);
        if ready == 0 {
            return self.read_body(out, usize::MAX);
        }
        out[..ready].copy_from_slice(&self.buf[self.start..][..ready]);
        self.consume(ready);
        Ok(ready)
    }

    /// Drops the next `len` bytes by reading them. `false` if the stream ends before.
    pub(crate) fn discard(&mut self, mut len: usize) -> io::Result<bool> {
        loop {
            let ready = len.min(self.end - self.start);
            self.consume(ready);
            len -= ready;
            if len == 0 {
                return Ok(true);
            }
            (self.start, self.end) = (0, 0);
            // No further than the body and what is read ahead in any case.
            let until = self.room(len.saturating_add(self.ahead).min(self.buf.len()));
            if until == 0 {
                return Ok(false);
            }
            let read = retry(&mut self.inner, |inner| inner.read(&mut self.buf[..until]))?;
            if read == 0 {
                return Ok(false);
            }
            self.end = read.min(until);
        }
    }

    /// Reads into `out`, a part of a body of which `rest` bytes are missing, while the buffer is empty. Where `out` takes all of
    /// them, sources that can do so read the next head in the same call.
    fn read_body(&mut self, out: &mut [u8], rest: usize) -> io::Result<usize> {
        let ahead = if out.len() == rest { self.ahead } else { 0 };
        let room = self.room(out.len());
        let ahead = self.room(room.saturating_add(ahead)) - room;
        if room == 0 {
            return Ok(0);
        }
        let out = &mut out[..room];
        let read = retry(&mut self.inner, |inner| {
            let head = &mut self.buf[..ahead];
            inner.read_vectored(&mut [IoSliceMut::new(out), IoSliceMut::new(head)])
        })?;
        (self.start, self.end) = (0, read.saturating_sub(room).min(ahead));
        let read = read.min(room);
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

impl<R: Read + Seek> Input<R> {
    /// Drops the next `len` bytes by seeking over them. `false` if the stream ends before, which is where the position is then.
    pub(crate) fn skip(&mut self, len: usize) -> io::Result<bool> {
        let ready = len.min(self.end - self.start);
        if len - ready <= SMALL_BODY || self.room(self.end - self.start + 1) == ready {
            return self.discard(len); // A seek would cost more than it saves.
        }
        let target = self.position.saturating_add(len as u64);
        if !self.reaches(target)? {
            return Ok(false);
        }
        self.consume(ready);
        let rest = i64::try_from(len - ready).map_err(io::Error::other)?;
        self.inner.seek_relative(rest)?;
        self.ahead = HEAD_AHEAD; // The next body is likely to be alike, and skipped too.
        self.position = target;
        Ok(true)
    }

    /// Whether the payload goes on to this offset. If not, the position is its end from now on.
    fn reaches(&mut self, target: u64) -> io::Result<bool> {
        if target <= self.stream_end.min(self.limit) {
            return Ok(true);
        }
        // Asked for the first time, or the stream has grown meanwhile.
        self.stream_end = self.find_end()?;
        if target <= self.stream_end.min(self.limit) {
            return Ok(true);
        }
        self.position = self.stream_end.min(self.limit);
        (self.start, self.end) = (0, 0);
        Ok(false)
    }

    /// The offset at which the stream ends.
    fn find_end(&mut self) -> io::Result<u64> {
        let here = self.inner.stream_position()?;
        let end = self.inner.seek(SeekFrom::End(0))?;
        self.inner.seek(SeekFrom::Start(here))?;
        // The CAR need not start where the stream starts.
        let read = self.position.saturating_add((self.end - self.start) as u64);
        Ok(read.saturating_add(end.saturating_sub(here)))
    }
}

fn retry<R>(inner: &mut R, mut read: impl FnMut(&mut R) -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read(inner) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

const BUF_LEN: usize = 64 << 10;

/// Bodies shorter than this are read over rather than skipped.
const SMALL_BODY: usize = 4 << 10;

/// Bodies shorter than this go through the buffer: to copy them twice costs less than a call for each.
const MEDIUM_BODY: usize = 32 << 10;

/// Read ahead between large bodies: more than any head.
const SHORT_AHEAD: usize = 256;

/// Read between bodies that are skipped: a head with any usual digest, in as few lines of the cache as it can be.
const HEAD_AHEAD: usize = 80;

/// The most that is allocated for a body before its bytes arrive.
const STEP: usize = 256 << 10;
