//! Work that threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Does all `tasks` on up to `threads` threads, which take them in order, each with a state of its own.
///
/// Threads that are there already take part: beginning one takes longer than many a list of tasks.
///
/// # Errors
/// One of those that `work` gave; no further task is begun then.
pub(crate) fn share<T, S>(
    threads: usize,
    tasks: impl IntoIterator<Item = T, IntoIter: Send>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(T, &mut S) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let tasks = Mutex::new(Ok(tasks.into_iter()));
    let run = || {
        let mut state = state();
        loop {
            let task = lock(&tasks).as_mut().map_or(None, Iterator::next);
            let Some(task) = task else { return };
            if let Err(error) = work(task, &mut state) {
                *lock(&tasks) = Err(error);
            }
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..threads.min(MAX_THREADS) {
            scope.spawn(|_| run());
        }
        run();
    });
    into_inner(tasks).map(drop)
}

/// Locks what no panic leaves in disorder.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes such a thing out of its lock.
pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

const MAX_THREADS: usize = 256;
