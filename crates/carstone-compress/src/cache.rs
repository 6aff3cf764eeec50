//! Decoded frames that are kept, shared by all readers of a stream: each is decoded once, whoever wants it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use carstone_layer::Ticket;

use crate::fetch::Block;
use crate::{Error, ErrorKind};

/// The right to a block that a worker decodes.
pub(crate) type Ahead = Ticket<Result<Block, Error>>;

/// Blocks by the number of their frame, the most recently used ones within a number of bytes.
#[derive(Debug)]
pub(crate) struct Cache {
    inner: Mutex<Inner>,
    filled: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Inner {
    slots: HashMap<u64, Slot>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    state: State,
    used: u64,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    /// Some thread reads or decodes it; others wait.
    Busy,
    Ahead(Ahead),
    Ready(Arc<Block>),
}

impl Cache {
    /// Keeps blocks of `capacity` bytes, or one larger block.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { inner: Mutex::default(), filled: Condvar::new(), capacity }
    }

    /// The block of frame `index`, of which the first `need` bytes are wanted; made by `make` where they are neither there nor on their
    /// way. It is told whether a shorter start was there. What is evicted goes to `spare`.
    pub(crate) fn get(
        &self,
        index: u64,
        need: usize,
        make: impl FnOnce(bool) -> Result<Block, Error>,
        spare: impl Fn(Vec<u8>),
    ) -> Result<Arc<Block>, Error> {
        let mut inner = self.lock();
        let before = loop {
            let clock = inner.tick();
            match inner.slots.get_mut(&index) {
                None => break None,
                Some(slot) => match &slot.state {
                    State::Ready(block) if block.bytes().len() >= need => {
                        slot.used = clock;
                        return Ok(Arc::clone(block));
                    }
                    State::Busy => {}
                    State::Ahead(_) | State::Ready(_) => break inner.remove(index),
                },
            }
            inner = self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner);
        };
        let claim = self.claim(&mut inner, index);
        drop(inner);
        let block = match before {
            Some(State::Ahead(ticket)) => match ticket.wait() {
                Ok(block) => block?,
                Err(_) => return Err(Error::new(ErrorKind::WorkerLost, 0)),
            },
            before => make(before.is_some())?,
        };
        let block = Arc::new(block);
        claim.fill(State::Ready(Arc::clone(&block)), block.bytes().len(), spare);
        Ok(block)
    }

    /// Claims frame `index` for reading ahead, unless it is there or on its way.
    pub(crate) fn reserve(&self, index: u64) -> Option<Claim<'_>> {
        let mut inner = self.lock();
        if inner.slots.contains_key(&index) {
            return None;
        }
        Some(self.claim(&mut inner, index))
    }

    fn claim(&self, inner: &mut Inner, index: u64) -> Claim<'_> {
        let used = inner.tick();
        inner.slots.insert(index, Slot { state: State::Busy, used, bytes: 0 });
        Claim { cache: self, index }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock panics half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn remove(&mut self, index: u64) -> Option<State> {
        let slot = self.slots.remove(&index)?;
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        Some(slot.state)
    }

    /// The slot used longest ago that may go.
    fn oldest(&self, but: u64) -> Option<u64> {
        let goes = |index: &u64, slot: &Slot| *index != but && !matches!(slot.state, State::Busy);
        let slots = self.slots.iter().filter(|(index, slot)| goes(index, slot));
        slots.min_by_key(|(_, slot)| slot.used).map(|(index, _)| *index)
    }
}

/// The duty to fill a slot: dropped unfilled, it frees the slot, and who waits tries for itself.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    cache: &'a Cache,
    index: u64,
}

impl Claim<'_> {
    /// Leaves the block to a worker.
    pub(crate) fn leave_to(self, ticket: Ahead, bytes: usize, spare: impl Fn(Vec<u8>)) {
        self.fill(State::Ahead(ticket), bytes, spare);
    }

    fn fill(self, state: State, bytes: usize, spare: impl Fn(Vec<u8>)) {
        let mut evicted = Vec::new();
        let mut inner = self.cache.lock();
        let used = inner.tick();
        inner.slots.insert(self.index, Slot { state, used, bytes });
        inner.bytes += bytes;
        while inner.bytes > self.cache.capacity
            && let Some(oldest) = inner.oldest(self.index)
        {
            evicted.extend(inner.remove(oldest));
        }
        drop(inner);
        for state in evicted {
            if let State::Ready(block) = state
                && let Some(block) = Arc::into_inner(block)
            {
                spare(block.into_buffer());
            }
        }
        // Dropping the claim wakes those who wait.
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut inner = self.cache.lock();
        if matches!(inner.slots.get(&self.index), Some(Slot { state: State::Busy, .. })) {
            inner.remove(self.index);
        }
        drop(inner);
        self.cache.filled.notify_all();
    }
}
