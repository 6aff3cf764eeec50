//! Takes whole packs, or parts of them, to the file system.

mod dag;
mod links;
mod output;
mod parts;
mod places;
mod random;
mod read;
mod rest;
mod selection;
mod settle;
mod stream;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carstone_layer::default_threads;
use carstone_unixfs::Cid;

pub use dag::extract_dag;
pub(super) use dag::{fault, named};
pub use random::extract_reader;
pub use rest::extract_damaged;
pub use selection::Selection;
pub use stream::{extract_events, extract_stream};

use crate::error::{Error, ErrorKind};
use crate::fs::restore::{RestoreError, RestoreEvent, RestoreObserver, RestoreOptions};

/// Settings of an extraction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExtractOptions {
    restore: RestoreOptions,
    threads: usize,
    budget: Option<usize>,
    cancel: Option<Arc<AtomicBool>>,
    partial: bool,
    loose: Vec<Cid>,
}

impl Default for ExtractOptions {
    fn default() -> Self {
        let (restore, threads) = (RestoreOptions::default(), default_threads());
        Self { restore, threads, budget: None, cancel: None, partial: false, loose: Vec::new() }
    }
}

impl ExtractOptions {
    /// How entries are restored.
    #[must_use]
    pub fn restore(mut self, options: RestoreOptions) -> Self {
        self.restore = options;
        self
    }

    /// Threads that read and write; with 0 or 1 the caller's thread does it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes of content in flight. Default 8 MiB a thread, at least 16 MiB.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// A flag that stops the extraction once it is set. What was complete by then stays, nothing else does;
    /// [`ExtractReport::stopped`] is then [`ErrorKind::Cancelled`].
    #[must_use]
    pub fn cancel(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancel = Some(flag);
        self
    }

    /// More roots for [`extract_dag`], of which nothing is known but their CIDs: they stand under the texts of these, however many there are.
    #[must_use]
    pub fn loose_roots(mut self, roots: Vec<Cid>) -> Self {
        self.loose = roots;
        self
    }

    /// Keeps what came of files that are not complete, with `.partial` behind their names. Only [`extract_events`] and [`extract_dag`]
    /// have such files.
    #[must_use]
    pub fn keep_partial(mut self, keep: bool) -> Self {
        self.partial = keep;
        self
    }

    fn bytes_in_flight(&self) -> usize {
        self.budget.unwrap_or_else(|| self.threads.clamp(2, 256) * (8 << 20))
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// What an extraction came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExtractReport {
    /// Entries that are there, complete.
    pub restored: u64,
    /// Entries left out because of what is there already.
    pub skipped: u64,
    /// How much failed.
    pub problems: u64,
    /// Bytes of content restored.
    pub bytes: u64,
    /// Patterns that matched nothing.
    pub unmatched: Vec<Vec<u8>>,
    /// What ended the extraction before the end of the pack. All that was restored before is good.
    pub stopped: Option<Error>,
}

impl ExtractReport {
    /// Whether all that was selected is restored.
    pub fn is_complete(&self) -> bool {
        self.problems == 0 && self.skipped == 0 && self.stopped.is_none()
    }
}

/// Counts events on their way to the observer.
struct Tally<'a> {
    observer: &'a mut RestoreObserver<'a>,
    report: ExtractReport,
    /// What is wrong with entries that may be had in another way.
    withheld: HashMap<Vec<u8>, RestoreError>,
    is_withholding: bool,
}

impl<'a> Tally<'a> {
    fn new(observer: &'a mut RestoreObserver<'a>) -> Self {
        let (report, withheld) = (ExtractReport::default(), HashMap::new());
        Self { observer, report, withheld, is_withholding: false }
    }

    fn tell(&mut self, event: RestoreEvent) {
        let Some(event) = self.withhold(event) else { return };
        match &event {
            RestoreEvent::Restored { size, .. } => {
                self.report.restored += 1;
                self.report.bytes += size;
            }
            RestoreEvent::Skipped { why, .. } => {
                self.report.skipped += u64::from(*why == crate::fs::Skip::Exists);
            }
            RestoreEvent::Problem { .. } => self.report.problems += 1,
            RestoreEvent::Unlisted { .. } | RestoreEvent::Progress { .. } => {}
        }
        (self.observer)(event);
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, 0)
}
