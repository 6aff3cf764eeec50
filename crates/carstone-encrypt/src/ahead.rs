//! Decrypting ahead on other threads, and keeping what was decrypted last.

use std::collections::VecDeque;
use std::sync::Arc;

use carstone_layer::{Pool, ReadAt, Ticket};

use crate::format::STORED_FRAME;
use crate::options::Work;
use crate::stream::{Chunk, Stream};
use crate::{Error, ErrorKind};

/// A stream and the threads that decrypt it.
pub(crate) struct Shared {
    pub stream: Arc<Stream>,
    /// Frames that are read with one call.
    pub chunk_frames: u64,
    /// Chunks that are in flight at a time.
    pub depth: usize,
    pool: Pool<Chunk, Result<Chunk, Error>>,
}

impl Shared {
    pub(crate) fn new(stream: Stream, work: &Work) -> Self {
        let (depth, frames) = work.split(STORED_FRAME, CHUNK_FRAMES);
        let stream = Arc::new(stream);
        let theirs = Arc::clone(&stream);
        let pool = Pool::new(work.threads, move |chunk| theirs.open(chunk));
        Self { stream, chunk_frames: frames as u64, depth, pool }
    }

    /// Whether working ahead gains anything.
    pub(crate) fn is_parallel(&self) -> bool {
        self.pool.threads() > 1 && self.depth > 1
    }

    /// How many threads work.
    pub(crate) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Reads and decrypts on the caller's thread.
    pub(crate) fn load<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        first: u64,
        frames: u64,
        bytes: Vec<u8>,
    ) -> Result<Chunk, Error> {
        let chunk = self.stream.frames.read(source, first, frames.min(self.chunk_frames), bytes)?;
        self.stream.open(chunk).or_else(|fault| self.stream.mend(source, fault))
    }
}

/// Chunks on their way, in order and next to each other.
#[derive(Default)]
pub(crate) struct Ahead {
    queue: VecDeque<(u64, Ticket<Result<Chunk, Error>>)>,
    next: u64,
}

impl Ahead {
    /// The chunk that starts with `frame`, while those up to frame `until` follow on their way. `None` when the stream
    /// cannot be read there; the caller's own reading then gives the reason. Buffers come from `spare`.
    pub(crate) fn take<R: ReadAt + ?Sized>(
        &mut self,
        shared: &Shared,
        source: &R,
        frame: u64,
        until: u64,
        spare: &mut Vec<Vec<u8>>,
    ) -> Option<Result<Chunk, Error>> {
        if self.queue.front().is_none_or(|&(first, _)| first != frame) {
            self.queue.clear();
            self.next = frame;
        }
        while self.queue.len() < shared.depth && self.next < until {
            let wanted = shared.chunk_frames.min(until - self.next);
            let bytes = spare.pop().unwrap_or_default();
            let Ok(chunk) = shared.stream.frames.read(source, self.next, wanted, bytes) else {
                break;
            };
            let first = std::mem::replace(&mut self.next, chunk.end());
            self.queue.push_back((first, shared.pool.submit(chunk)));
        }
        let (_, ticket) = self.queue.pop_front()?;
        let lost =
            |_| Error::new(ErrorKind::WorkerLost, shared.stream.frames.layout.position(frame));
        let opened = ticket.wait().map_err(lost).flatten();
        Some(opened.or_else(|fault| shared.stream.mend(source, fault)))
    }

    /// Whether the next chunk in the queue starts with `frame`.
    pub(crate) fn is_at(&self, frame: u64) -> bool {
        self.queue.front().is_some_and(|&(first, _)| first == frame)
    }
}

/// The chunks that were used last, under a budget of bytes.
pub(crate) struct Cache {
    chunks: VecDeque<Arc<Chunk>>,
    budget: usize,
    spent: usize,
    /// Buffers to use again.
    pub spare: Vec<Vec<u8>>,
}

impl Cache {
    pub(crate) fn new(budget: usize) -> Self {
        Self { chunks: VecDeque::new(), budget, spent: 0, spare: Vec::new() }
    }

    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    pub(crate) fn get(&mut self, frame: u64) -> Option<Arc<Chunk>> {
        let index = self.chunks.iter().rposition(|chunk| chunk.holds(frame))?;
        let chunk = self.chunks.remove(index)?;
        self.chunks.push_back(Arc::clone(&chunk));
        Some(chunk)
    }

    /// Keeps `chunk`, and forgets what was not used for longest.
    pub(crate) fn insert(&mut self, chunk: Chunk) -> Arc<Chunk> {
        let chunk = Arc::new(chunk);
        self.spent += chunk.bytes.capacity();
        self.chunks.push_back(Arc::clone(&chunk));
        while self.spent > self.budget && self.chunks.len() > 1 {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.spent -= oldest.bytes.capacity();
            if let Some(oldest) = Arc::into_inner(oldest) {
                self.recycle(oldest.bytes);
            }
        }
        chunk
    }

    pub(crate) fn recycle(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(bytes);
        }
    }
}

/// Frames that are read with one call: about a megabyte.
const CHUNK_FRAMES: usize = 8;

/// Buffers that are kept for the next reads.
const SPARE: usize = 2;
