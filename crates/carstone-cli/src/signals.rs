//! Interruption: a signal asks for an orderly end, and forces one when that takes too long.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::exit::Exit;
use crate::output::say;

/// Sets the flag on SIGINT, SIGTERM and SIGHUP. A second signal, or two seconds of waiting (a read from a pipe may
/// never return), removes the unfinished output and ends the process.
pub(crate) fn watch() {
    // Without the handler a signal just ends the process, which is no reason not to work.
    let _ = ctrlc::set_handler(|| {
        if !FLAG.swap(true, Ordering::Relaxed) {
            std::thread::spawn(|| {
                std::thread::sleep(GRACE);
                end();
            });
        } else {
            end();
        }
    });
}

/// The flag that long work looks at.
pub(crate) fn flag() -> Arc<AtomicBool> {
    Arc::clone(&FLAG)
}

/// Whether a signal came.
pub(crate) fn stopped() -> bool {
    FLAG.load(Ordering::Relaxed)
}

/// Fails once a signal came.
pub(crate) fn check() -> io::Result<()> {
    match stopped() {
        // Not `ErrorKind::Interrupted`, after which readers try again.
        true => Err(io::Error::other("interrupted")),
        false => Ok(()),
    }
}

/// Notes a file that must not outlive an interruption.
pub(crate) fn unfinished(path: &Path) {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
}

/// The file is complete, or gone.
pub(crate) fn finished(path: &Path) {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != path);
}

fn end() {
    for path in UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = std::fs::remove_file(path);
    }
    say("carstone: interrupted");
    std::process::exit(Exit::Interrupted.code().into());
}

static FLAG: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
const GRACE: Duration = Duration::from_secs(2);
