//! Cuts a stream where its content says so.

use std::io::{self, Read};

use crate::chunk::Chunker;
use crate::spec::ChunkerSpec;

/// Chunks of a stream as [`ChunkerSpec::cut`] finds them.
#[derive(Debug)]
pub(crate) struct CutChunker<R> {
    inner: R,
    spec: ChunkerSpec,
    /// Bytes that have been read; those before `start` have been given out.
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<R: Read> CutChunker<R> {
    pub(crate) fn new(inner: R, spec: ChunkerSpec) -> Self {
        Self { inner, spec, buffer: Vec::new(), start: 0, ended: false }
    }

    /// Reads until the longest chunk is certain to be in the buffer, and as much again, so that the bytes of a chunk are
    /// seldom moved.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let room = (2 * self.spec.max() - self.buffer.len()) as u64;
        let n = self.inner.by_ref().take(room).read_to_end(&mut self.buffer)?;
        self.ended = (n as u64) < room;
        Ok(())
    }
}

impl<R: Read> Chunker for CutChunker<R> {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        chunk.clear();
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(cut) = self.spec.cut(rest, self.ended) {
                chunk.extend_from_slice(&rest[..cut]);
                self.start += cut;
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.fill()?;
        }
    }
}
