//! What lies between the two ends of a channel.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{ErrorKind, Part};

/// Header and sections that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None of them is empty.
    sections: VecDeque<Vec<u8>>,
    /// How much of the first section has been taken.
    at: usize,
    /// Bytes that wait.
    waiting: usize,
    /// Bytes that have been put in, ever.
    sent: u64,
    /// Whether there is still somebody to take bytes.
    receiver: Receiver,
    end: End,
    to_sender: Option<Waker>,
    to_receiver: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Receiver {
    #[default]
    There,
    Gone,
}

/// Whether more will come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Closed,
    /// The sender was dropped without closing.
    Gone,
}

/// What the receiver gets.
pub(super) enum Taken<T> {
    Some(T),
    End,
    /// The sender was dropped without closing, when so many bytes had been sent.
    Gone(u64),
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Queue { limit, state: Mutex::default() }
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Refuses a block after the end, or when nobody is there to take it.
    pub(super) fn usable(&self) -> Result<(), ErrorKind> {
        self.lock().usable()
    }

    /// Refuses a section of this length if it is over the limit with what waits.
    pub(super) fn check_room(&self, len: u64) -> Result<(), ErrorKind> {
        let (size, limit) = (self.lock().memory_with(len), self.limit as u64);
        match size > limit {
            true => Err(ErrorKind::TooLarge { part: Part::Queue, size, limit }),
            false => Ok(()),
        }
    }

    /// Waits until a section of this length fits, or is the only one.
    pub(super) fn poll_room(
        &self,
        context: &mut Context<'_>,
        len: u64,
    ) -> Poll<Result<(), ErrorKind>> {
        let mut state = self.lock();
        state.usable()?;
        if state.sections.is_empty() || state.memory_with(len) <= self.limit as u64 {
            return Poll::Ready(Ok(()));
        }
        state.to_sender = Some(context.waker().clone());
        Poll::Pending
    }

    /// Puts a section in, and gives the mark at which all of it has been taken.
    pub(super) fn push(&self, section: Vec<u8>) -> Result<u64, ErrorKind> {
        let mut state = self.lock();
        state.usable()?;
        state.waiting = state.waiting.saturating_add(section.len());
        state.sent = state.sent.saturating_add(section.len() as u64);
        if !section.is_empty() {
            state.sections.push_back(section);
        }
        let (mark, waker) = (state.sent, state.to_receiver.take());
        drop(state);
        wake(waker);
        Ok(mark)
    }

    /// Waits until all before this mark has been taken; all that is there without one.
    pub(super) fn poll_taken(
        &self,
        context: &mut Context<'_>,
        mark: Option<u64>,
    ) -> Poll<Result<(), ErrorKind>> {
        let mut state = self.lock();
        if state.taken() >= mark.unwrap_or(state.sent) {
            return Poll::Ready(Ok(()));
        }
        if state.receiver == Receiver::Gone {
            return Poll::Ready(Err(ErrorKind::Disconnected));
        }
        state.to_sender = Some(context.waker().clone());
        Poll::Pending
    }

    /// Says that nothing more will come. A second call does nothing.
    pub(super) fn close(&self) -> Result<(), ErrorKind> {
        let mut state = self.lock();
        if state.end == End::Open {
            state.usable()?;
            state.end = End::Closed;
        }
        let waker = state.to_receiver.take();
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Says that the sender is gone, which is an end only if it has closed before.
    pub(super) fn drop_sender(&self) {
        let mut state = self.lock();
        if state.end == End::Open {
            state.end = End::Gone;
        }
        let waker = state.to_receiver.take();
        drop(state);
        wake(waker);
    }

    /// Says that nobody will take anything more.
    pub(super) fn drop_receiver(&self) {
        let mut state = self.lock();
        state.receiver = Receiver::Gone;
        let waiting = std::mem::take(&mut state.sections);
        let waker = state.to_sender.take();
        drop(state);
        drop(waiting);
        wake(waker);
    }

    /// Takes the first section, or what is left of it.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Taken<Vec<u8>>> {
        self.poll_with(context, |state| {
            let mut section = state.sections.pop_front()?;
            section.drain(..std::mem::take(&mut state.at));
            state.waiting = state.waiting.saturating_sub(section.len());
            Some(section)
        })
    }

    /// Takes as many bytes as there are, and `out` has room for, which is some.
    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<Taken<usize>> {
        self.poll_with(context, |state| {
            let mut rest = &mut out[..];
            while let Some(section) = state.sections.front() {
                let bytes = section.get(state.at..).unwrap_or_default();
                let read = rest.write(bytes).unwrap_or_default();
                state.at += read;
                state.waiting = state.waiting.saturating_sub(read);
                if state.at < section.len() {
                    break;
                }
                state.sections.pop_front();
                state.at = 0;
            }
            let left = rest.len();
            Some(out.len() - left).filter(|&read| read != 0)
        })
    }

    fn poll_with<T>(
        &self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<Taken<T>> {
        let mut state = self.lock();
        if let Some(taken) = take(&mut state) {
            let waker = state.to_sender.take();
            drop(state);
            wake(waker);
            return Poll::Ready(Taken::Some(taken));
        }
        match state.end {
            End::Open => {
                state.to_receiver = Some(context.waker().clone());
                Poll::Pending
            }
            End::Closed => Poll::Ready(Taken::End),
            End::Gone => Poll::Ready(Taken::Gone(state.sent)),
        }
    }

    /// Nothing that is done under the lock can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self) -> Result<(), ErrorKind> {
        if self.end != End::Open {
            return Err(ErrorKind::Closed);
        }
        match self.receiver {
            Receiver::There => Ok(()),
            Receiver::Gone => Err(ErrorKind::Disconnected),
        }
    }

    /// Bytes that have been taken, ever.
    fn taken(&self) -> u64 {
        self.sent.saturating_sub(self.waiting as u64)
    }

    /// Memory that the queue takes with a section of this length.
    fn memory_with(&self, len: u64) -> u64 {
        let count = self.sections.len().saturating_add(1).saturating_mul(OVERHEAD);
        len.saturating_add(count as u64).saturating_add(self.waiting as u64)
    }
}

/// Bytes of memory that a section takes beside its own.
pub(super) const OVERHEAD: usize = 64;

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
