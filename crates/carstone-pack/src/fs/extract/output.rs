//! A long file under construction, written and hashed by several threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use super::parts::{Lacks, Part, without};
use super::places::Spool;
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
    /// Pieces that came before their turn, and their bytes.
    early: BTreeMap<u64, Arc<Vec<u8>>>,
    early_bytes: usize,
    /// Something does not come in its turn: the file is hashed as a whole at its end.
    is_late: bool,
    /// Nothing has been written.
    is_empty: bool,
    /// Pieces announced and not yet done with.
    due: usize,
    failed: Option<RestoreError>,
}

impl Output {
    pub(super) fn new(file: NewFile, metadata: Metadata) -> Self {
        let state = State {
            hasher: Some(Sha256::new()),
            next: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            is_late: false,
            is_empty: true,
            due: 0,
            failed: None,
        };
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

    /// Waits for all pieces, compares size and digest with what is stated of them, and gives the file its name.
    /// Gives whether the file is there. If not, its content stays readable without a name.
    pub(super) fn finish(
        &self,
        restorer: &Restorer,
        size: u64,
        sha256: Option<&[u8; 32]>,
        told: &mut RestoreObserver,
    ) -> bool {
        let mut state = self.wait();
        let failed = state.failed.take();
        let (mut hashed, is_late) = (state.next, state.is_late);
        let mut digest = state.hasher.take().map(Sha256::finalize);
        drop(state);
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        if is_late && failed.is_none() {
            (hashed, digest) = (size, hash_back(&file, size));
        }
        let path = file.path().to_vec();
        let is_stated = |digest: sha2::digest::Output<Sha256>| {
            sha256.is_none_or(|stated| digest[..] == stated[..])
        };
        let same = hashed == size && digest.is_some_and(is_stated);
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

    /// Waits for all pieces. Nothing more comes: with `keep`, what came gets a name that says so, with parts of leaves out of the spool.
    pub(super) fn give_up(
        &self,
        restorer: &Restorer,
        lacks: Lacks,
        spool: &Spool,
        keep: bool,
        told: &mut RestoreObserver,
    ) {
        let Lacks { size, missing, parts } = lacks;
        let state = self.wait();
        let is_worth = keep && state.failed.is_none() && !(state.is_empty && parts.is_empty());
        drop(state);
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        let copy = |part: &Part| part.copy(spool, &mut |piece, at| file.write_at(piece, at));
        let copied = if is_worth { parts.iter().try_for_each(copy) } else { Ok(()) };
        let path = file.path().to_vec();
        let is_worth = is_worth && copied.is_ok();
        if let Err(error) = copied {
            let error = RestoreError::system("write the file", error);
            told(RestoreEvent::Problem { path: path.clone(), error });
        }
        let kept = is_worth && restorer.place_partial(&mut file, &self.metadata, told);
        let error = match kept {
            true => {
                let unproved = parts.iter().filter_map(Part::unproved).collect();
                RestoreError::kept(size, without(missing, &parts), unproved)
            }
            false => {
                file.unname();
                RestoreError::incomplete(size, missing)
            }
        };
        told(RestoreEvent::Problem { path, error });
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
        self.state().is_empty &= data.is_empty();
        self.hash(data, offset);
        true
    }

    /// Hashes in order: a piece that is early is left for the thread that hashes what lies before it.
    fn hash(&self, data: Arc<Vec<u8>>, offset: u64) {
        let mut state = self.state();
        if state.is_late {
            return;
        }
        state.early_bytes += data.len();
        state.early.insert(offset, data);
        if state.early_bytes > MOST_EARLY {
            (state.is_late, state.early_bytes) = (true, 0);
            state.early.clear();
            return;
        }
        let Some(mut hasher) = state.hasher.take() else { return };
        loop {
            let next = state.next;
            let Some(data) = state.early.remove(&next) else { break };
            state.early_bytes -= data.len();
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

    /// Waits until no piece is on its way any more.
    fn wait(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while state.due > 0 {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
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

/// SHA-256 of the first `size` bytes that were written; `None` where they cannot be read.
fn hash_back(file: &NewFile, size: u64) -> Option<sha2::digest::Output<Sha256>> {
    let (mut hasher, mut buffer, mut at) = (Sha256::new(), vec![0; 256 << 10], 0);
    while at < size {
        let step = usize::try_from(size - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_at(&mut buffer[..step], at).ok()?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    Some(hasher.finalize())
}

/// Bytes of pieces that wait for their turn. While nothing is missing there are never so many.
const MOST_EARLY: usize = 32 << 20;
