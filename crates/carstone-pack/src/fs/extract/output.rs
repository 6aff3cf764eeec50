//! A long file under construction, written and hashed by several threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::entry::Metadata;
use crate::error::Error;
use crate::fs::restore::{NewFile, RestoreError, RestoreEvent, RestoreObserver, Restorer};

/// A file whose pieces arrive in any order. It gets its name only when all of it hashes to what was stated.
pub(super) struct Output {
    /// Written under the read lock, by many threads; named under the write lock.
    file: RwLock<NewFile>,
    metadata: Metadata,
    state: Mutex<State>,
    idle: Condvar,
}

struct State {
    /// Taken by the thread that is hashing.
    hasher: Option<Sha256>,
    /// Bytes hashed so far.
    next: u64,
    /// Pieces that came before their turn. They are in flight anyway, so the budget covers them.
    early: BTreeMap<u64, Arc<Vec<u8>>>,
    /// Pieces announced and not yet done with.
    due: usize,
    failed: Option<RestoreError>,
}

impl Output {
    pub(super) fn new(file: NewFile, metadata: Metadata) -> Self {
        let (hasher, next, early) = (Some(Sha256::new()), 0, BTreeMap::new());
        let state = State { hasher, next, early, due: 0, failed: None };
        Self { file: RwLock::new(file), metadata, state: Mutex::new(state), idle: Condvar::new() }
    }

    /// Announces a piece: [`finish`](Self::finish) waits until what it gives is dropped.
    pub(super) fn announce(self: &Arc<Self>) -> Piece {
        self.state().due += 1;
        Piece(Arc::clone(self))
    }

    /// Whether a piece is known that cannot be had.
    pub(super) fn has_failed(&self) -> bool {
        self.state().failed.is_some()
    }

    /// Waits for all pieces, compares size and digest with what is stated, and gives the file its name.
    /// Gives whether the file is there. If not, its content stays readable without a name.
    pub(super) fn finish(
        &self,
        restorer: &Restorer,
        size: u64,
        sha256: &[u8; 32],
        told: &mut RestoreObserver,
    ) -> bool {
        let mut state = self.state();
        while state.due > 0 {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let failed = state.failed.take();
        let (hashed, digest) = (state.next, state.hasher.take().map(Sha256::finalize));
        drop(state);
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        let path = file.path().to_vec();
        let same = hashed == size && digest.is_some_and(|digest| digest[..] == sha256[..]);
        let error = match failed {
            None if same => {
                let placed = restorer.place_kept(&mut file, &self.metadata, size, told);
                if !placed {
                    file.unname();
                }
                return placed;
            }
            None => Error::mismatch(&path, "the SHA-256 of its content", 0).into(),
            Some(error) => error,
        };
        file.unname();
        told(RestoreEvent::Problem { path, error });
        false
    }

    /// Gives the file up; its content stays readable without a name.
    pub(super) fn abandon(&self) {
        self.file.write().unwrap_or_else(PoisonError::into_inner).unname();
    }

    /// Reads back what was written.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.file.read().unwrap_or_else(PoisonError::into_inner).read_at(buf, offset)
    }

    fn write(&self, data: Arc<Vec<u8>>, offset: u64) -> bool {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_at(&data, offset) {
            drop(file);
            self.fail(RestoreError::system("write the file", error));
            return false;
        }
        drop(file);
        self.hash(data, offset);
        true
    }

    /// Hashes in order: a piece that is early is left for the thread that hashes what lies before it.
    fn hash(&self, data: Arc<Vec<u8>>, offset: u64) {
        let mut state = self.state();
        state.early.insert(offset, data);
        let Some(mut hasher) = state.hasher.take() else { return };
        loop {
            let next = state.next;
            let Some(data) = state.early.remove(&next) else { break };
            drop(state);
            hasher.update(data.as_slice());
            state = self.state();
            state.next = next.saturating_add(data.len() as u64);
        }
        state.hasher = Some(hasher);
    }

    fn fail(&self, error: RestoreError) {
        self.state().failed.get_or_insert(error);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can panic half-way through a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of an [`Output`] that is on its way. Dropped in any way, it is no longer waited for.
pub(super) struct Piece(Arc<Output>);

impl Piece {
    /// Writes the piece and hashes it; gives whether it is written.
    pub(super) fn write(&self, data: Arc<Vec<u8>>, offset: u64) -> bool {
        self.0.write(data, offset)
    }

    /// Path of the file in the pack.
    pub(super) fn path(&self) -> Vec<u8> {
        self.0.file.read().unwrap_or_else(PoisonError::into_inner).path().to_vec()
    }

    /// Path of the file below the target.
    pub(super) fn place(&self) -> Vec<u8> {
        self.0.file.read().unwrap_or_else(PoisonError::into_inner).place().to_vec()
    }

    /// The mode that the file is to have.
    pub(super) fn mode(&self) -> Option<u32> {
        self.0.metadata.mode
    }

    /// Spoils the file: the piece cannot be had.
    pub(super) fn fail(&self, error: RestoreError) {
        self.0.fail(error);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.0.state().due -= 1;
        self.0.idle.notify_all();
    }
}
