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

    /// A buffer of `len` bytes, whatever they are. The caller has checked `len` against a limit.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            // What it holds is overwritten anyway, so that only growth is filled.
            Some(mut buffer) if buffer.capacity() >= len => {
                buffer.resize(len, 0);
                buffer
            }
            // The system gives zeroed memory without touching it.
            _ => vec![0; len],
        }
    }

    /// Takes a buffer back.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < self.most && buffer.capacity() > 0 {
            spare.push(buffer);
        }
    }
}
