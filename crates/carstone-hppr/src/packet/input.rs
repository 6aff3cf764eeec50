//! A source of bytes with a buffer.

use std::io::{self, Read};

use memchr::memchr;

use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Input<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    at: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, buffer: vec![0; BUFFER].into(), start: 0, end: 0, at: 0 }
    }

    /// Bytes taken so far.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The source, behind what has been taken and what is in the buffer.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// The next bytes; none at the end.
    pub(crate) fn fill(&mut self) -> Result<&[u8]> {
        while self.start == self.end {
            match self.inner.read(&mut self.buffer) {
                Ok(read) => {
                    (self.start, self.end) = (0, read);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(error).at(self.at)),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Takes so many of them.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = self.end.min(self.start + bytes);
        self.at += bytes as u64;
    }

    /// Takes a line, and puts it behind `out` without its line feed. `false` if there was none within so many bytes, or up to the end.
    pub(crate) fn line(&mut self, out: &mut Vec<u8>, most: usize) -> Result<bool> {
        let mut left = most;
        while left > 0 {
            let chunk = self.fill()?;
            let chunk = &chunk[..chunk.len().min(left)];
            if chunk.is_empty() {
                break;
            }
            if let Some(len) = memchr(b'\n', chunk) {
                out.extend_from_slice(&chunk[..len]);
                self.consume(len + 1);
                return Ok(true);
            }
            out.extend_from_slice(chunk);
            let len = chunk.len();
            left -= len;
            self.consume(len);
        }
        Ok(false)
    }

    /// Takes up to so many bytes, fewer only at the end, and puts them behind `out`. What is not in the buffer goes there at once.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, most: usize) -> Result<()> {
        let buffered = most.min(self.end - self.start);
        out.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.consume(buffered);
        if buffered < most {
            let rest = (most - buffered) as u64;
            let read = self.inner.by_ref().take(rest).read_to_end(out);
            self.at += read.map_err(|error| Error::io(error).at(self.at))? as u64;
        }
        Ok(())
    }
}

/// Bytes read, and hashed, at once.
const BUFFER: usize = 256 << 10;
