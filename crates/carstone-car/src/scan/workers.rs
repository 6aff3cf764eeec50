//! Threads that read and hash batches, which come out in the order of the stream.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::batch::{BATCH_LEN, Batch};
use crate::options::Checks;

/// A batch with its number.
pub(super) type Numbered = (u64, Batch);

/// Where threads take batches from.
pub(super) trait Source: Send + Sync {
    /// Makes this the next batch, not verified yet; `None` at the end.
    fn take(&self, batch: Batch) -> Option<Numbered>;

    /// Says that a thread has ended without doing what it took.
    fn abandon(&self);
}

/// What the calling thread has of the work, in which it takes part.
///
/// A thread hashes what it has read itself, while that is still in the cache of its core.
pub(super) struct Workers {
    shared: Arc<Shared>,
    done: Receiver<Numbered>,
    /// Batches that have come out of turn, by their number less `first`.
    queue: VecDeque<Option<Batch>>,
    /// The number of the batch that comes next.
    first: u64,
}

impl Workers {
    /// Starts as many of `count` threads as the system gives. If it gives none, the calling one does it all.
    pub(super) fn start(
        source: impl Source + 'static,
        checks: Checks,
        count: usize,
        budget: usize,
    ) -> Self {
        let most = count.saturating_add(1).saturating_mul(DEPTH).saturating_add(1);
        let pool = Pool::new(most, budget);
        let shared = Arc::new(Shared { source: Box::new(source), checks, pool });
        let (finished, done) = channel();
        let start = |number: usize| {
            let (shared, finished) = (Arc::clone(&shared), finished.clone());
            let work = move || shared.work(&finished);
            thread::Builder::new().name(format!("car-scan-{number}")).spawn(work).ok()
        };
        (0..count).map_while(start).for_each(drop);
        Workers { shared, done, queue: VecDeque::new(), first: 0 }
    }

    /// Gives a batch back, and makes it the next one. `false` if all threads have ended without one, which none does unless it panics.
    pub(super) fn next(&mut self, batch: &mut Batch) -> bool {
        self.shared.pool.put(std::mem::take(batch));
        loop {
            while let Ok(done) = self.done.try_recv() {
                self.queue(done);
            }
            if let Some(ready) = self.queue.front_mut().and_then(Option::take) {
                self.queue.pop_front();
                self.first += 1;
                *batch = ready;
                return true;
            }
            // Instead of waiting for the others, this thread does what they do. There is something to wait for only if there is
            // nothing to do.
            let done = match self.shared.pool.try_take() {
                Some(batch) => self.shared.read_and_hash(batch),
                None => None,
            };
            match done.or_else(|| self.done.recv().ok()) {
                Some(done) => self.queue(done),
                None => return false,
            }
        }
    }

    fn queue(&mut self, (number, batch): Numbered) {
        // At most as many as there are in the pool.
        let place = number.saturating_sub(self.first) as usize;
        self.queue.resize_with(self.queue.len().max(place + 1), || None);
        self.queue[place] = Some(batch);
    }
}

impl Drop for Workers {
    /// The threads end when they are done with what they do. They are not waited for: one of them may be waiting for a pipe.
    fn drop(&mut self) {
        self.shared.pool.close();
    }
}

/// What the threads have in common.
struct Shared {
    source: Box<dyn Source>,
    checks: Checks,
    pool: Pool,
}

impl Shared {
    fn work(&self, finished: &Sender<Numbered>) {
        // Whatever ends one thread ends all of them, so that nobody waits for what will not come.
        let _close = Close(self);
        while let Some(batch) = self.pool.take()
            && let Some(done) = self.read_and_hash(batch)
            && finished.send(done).is_ok()
        {}
    }

    /// Does the next batch; `None` at the end.
    fn read_and_hash(&self, batch: Batch) -> Option<Numbered> {
        let before = batch.len().max(BATCH_LEN);
        let (number, mut batch) = self.source.take(batch)?;
        self.pool.grown(batch.len() - before);
        batch.verify(self.checks);
        Some((number, batch))
    }
}

/// Buffers, as many as may be in use at a time.
struct Pool {
    state: Mutex<Buffers>,
    changed: Condvar,
    most: usize,
    budget: usize,
}

#[derive(Default)]
struct Buffers {
    spare: Vec<Batch>,
    /// Number and bytes of the batches in use.
    used: usize,
    bytes: usize,
    closed: bool,
}

impl Pool {
    fn new(most: usize, budget: usize) -> Self {
        let (state, changed) = (Mutex::new(Buffers::default()), Condvar::new());
        Pool { state, changed, most, budget }
    }

    /// Waits for a buffer; `None` when there is nothing more to do.
    fn take(&self) -> Option<Batch> {
        let mut state = lock(&self.state);
        while !state.closed {
            if let Some(batch) = self.take_from(&mut state) {
                return Some(batch);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// A buffer, if there is one just now.
    fn try_take(&self) -> Option<Batch> {
        let mut state = lock(&self.state);
        if state.closed { None } else { self.take_from(&mut state) }
    }

    fn take_from(&self, state: &mut Buffers) -> Option<Batch> {
        let next = state.spare.last().map_or(BATCH_LEN, Batch::len);
        let within = state.bytes.saturating_add(next) <= self.budget;
        if state.used > 0 && (state.used >= self.most || !within) {
            return None;
        }
        let batch = state.spare.pop().unwrap_or_default();
        state.used += 1;
        state.bytes += next; // A new one has as much as soon as it is filled.
        Some(batch)
    }

    /// Counts a batch as long as it has become.
    fn grown(&self, by: usize) {
        if by > 0 {
            lock(&self.state).bytes += by;
        }
    }

    fn put(&self, batch: Batch) {
        if batch.len() == 0 {
            return; // None was taken for it.
        }
        let mut state = lock(&self.state);
        state.used -= 1;
        state.bytes -= batch.len();
        let spare = state.spare.iter().map(Batch::len).fold(0, usize::saturating_add);
        if state.bytes.saturating_add(spare).saturating_add(batch.len()) <= self.budget {
            state.spare.push(batch);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

/// Ends the others in any case.
struct Close<'a>(&'a Shared);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.source.abandon();
        }
        self.0.pool.close();
    }
}

/// A thread that panicked leaves counts that are whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Batches that each thread may have, besides the one that is handed out. With more of them the caches of the cores would be too small.
const DEPTH: usize = 1;
