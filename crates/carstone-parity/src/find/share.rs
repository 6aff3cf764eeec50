//! Work that threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::Error;

/// Does all `tasks` on up to `threads` threads, which take them in order. Each has a buffer that it may use.
///
/// # Errors
/// One of those that `work` gave; no further task is begun then.
pub(super) fn share<T: Send>(
    threads: usize,
    tasks: impl Iterator<Item = T> + Send,
    work: impl Fn(T, &mut Vec<u8>) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let tasks = Mutex::new(Ok(tasks));
    let run = || {
        let mut buf = Vec::new();
        loop {
            let task = match &mut *lock(&tasks) {
                Ok(tasks) => tasks.next(),
                Err(_) => None,
            };
            let Some(task) = task else { return };
            if let Err(error) = work(task, &mut buf) {
                *lock(&tasks) = Err(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(MAX_THREADS) {
            // A thread that cannot be had is not needed.
            let _ = thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    match tasks.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Locks what no panic leaves in disorder.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const MAX_THREADS: usize = 256;
