//! The same work with many numbers, on all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{anyhow, bail};

/// Does `work` with each number below `count`. Every failure and panic is printed as it comes; after twenty no more work is begun.
pub fn each(
    count: u64,
    what: &str,
    work: impl Fn(u64) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let (next, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while failures.load(Relaxed) < MOST_FAILURES {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count {
                        return;
                    }
                    if let Err(error) = caught(|| work(number)) {
                        failures.fetch_add(1, Relaxed);
                        eprintln!("FAIL {what} {number}: {error:#}");
                    }
                }
            });
        }
    });
    match failures.into_inner() {
        0 => Ok(()),
        failures => bail!("{what}: {failures} failures"),
    }
}

/// A panic is an error.
pub fn caught<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(anyhow!("panicked: {text}"))
    })
}

/// What the threads have counted together.
pub fn locked<T, O>(shared: &Mutex<T>, change: impl FnOnce(&mut T) -> O) -> O {
    change(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

const MOST_FAILURES: u64 = 20;
