//! Buffers that are used again, since fresh memory costs more than decoding stored bytes does.

use std::sync::{Mutex, PoisonError};

/// A few buffers that nobody uses now.
#[derive(Debug)]
pub(crate) struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
    most: usize,
}

impl Buffers {
    /// Keeps at most `most` buffers.
    pub(crate) fn new(most: usize) -> Self {
        Self { spare: Mutex::new(Vec::new()), most }
    }

    /// A buffer of at least `len` bytes, whatever they are, and of not much more, since it may be kept. The caller has checked
    /// `len` against a limit.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        // The system gives zeroed memory without touching it.
        self.find(len).unwrap_or_else(|| vec![0; len])
    }

    /// As [`take`](Self::take), where there is one.
    pub(crate) fn find(&self, len: usize) -> Option<Vec<u8>> {
        let most = len.saturating_mul(2).max(SMALL);
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let found = spare.iter().position(|buffer| (len..=most).contains(&buffer.len()))?;
        Some(spare.swap_remove(found))
    }

    /// Takes a buffer back, at its full length: what is cut off would have to be filled again.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.is_empty() || self.most == 0 {
            return;
        }
        if spare.len() >= self.most {
            // A buffer of a length that is not wanted any more must not stay for ever.
            spare.swap_remove(0);
        }
        spare.push(buffer);
    }
}

const SMALL: usize = 4 << 10;
