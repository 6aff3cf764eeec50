//! Keeps the last bytes of a stream back until it is known what they are.

use std::io::{self, Read};

/// Passes a stream on except for its last `N` bytes, which may be a footer.
///
/// Large reads go straight into the caller's buffer; only the `N` bytes are moved.
#[derive(Debug)]
pub struct HoldBack<const N: usize> {
    bytes: Vec<u8>,
    /// Bytes before this one have been passed on.
    start: usize,
    /// How far to read ahead for a caller with a small buffer.
    ahead: usize,
}

impl<const N: usize> HoldBack<N> {
    /// Holds nothing yet. For a caller with a small buffer, `ahead` bytes are read at once.
    pub fn new(ahead: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, ahead }
    }

    /// Puts bytes behind those that are held, as if they had been read.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next bytes that are known not to be the last `N`; 0 when `inner` gave 0 (or `buf` is empty).
    ///
    /// # Errors
    /// Whatever `inner` gives; nothing is lost then.
    pub fn read<R: Read>(&mut self, inner: &mut R, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let free = self.held().len().saturating_sub(N).min(buf.len());
            if free > 0 || buf.is_empty() {
                return Ok(self.pass(buf, free));
            }
            if buf.len() < self.ahead.max(2 * N) {
                if self.read_ahead(inner, self.ahead.max(buf.len()))? == 0 {
                    return Ok(0);
                }
                continue;
            }
            // At most `N` bytes are held: they go in front, and what was read last is held instead.
            let held = self.held().len();
            buf[..held].copy_from_slice(self.held());
            let there = match inner.read(&mut buf[held..])? {
                0 => return Ok(0),
                n => buf.len().min(held + n),
            };
            let passed = there.saturating_sub(N);
            self.bytes.clear();
            self.bytes.extend_from_slice(&buf[passed..there]);
            self.start = 0;
            if passed > 0 {
                return Ok(passed);
            }
        }
    }

    /// What has been read and not passed on.
    pub fn held(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Passes on what is held.
    pub fn drain(&mut self, buf: &mut [u8]) -> usize {
        let n = self.held().len().min(buf.len());
        self.pass(buf, n)
    }

    /// Drops the last bytes of what is held.
    pub fn drop_last(&mut self, n: usize) {
        let kept = self.bytes.len().saturating_sub(n).max(self.start);
        self.bytes.truncate(kept);
    }

    fn pass(&mut self, buf: &mut [u8], n: usize) -> usize {
        buf[..n].copy_from_slice(&self.bytes[self.start..self.start + n]);
        self.start += n;
        n
    }

    /// Reads up to `more` bytes into the held ones.
    fn read_ahead<R: Read>(&mut self, inner: &mut R, more: usize) -> io::Result<usize> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let held = self.bytes.len();
        self.bytes.resize(held + more, 0);
        let result = inner.read(&mut self.bytes[held..]);
        let n = result.as_ref().map_or(0, |&n| n.min(more));
        self.bytes.truncate(held + n);
        result.map(|_| n)
    }
}
