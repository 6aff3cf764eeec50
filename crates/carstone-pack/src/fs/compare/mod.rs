//! Compares packs with directories.

mod dag;
mod levels;
mod pack;

use carstone_layer::default_threads;

pub use dag::compare_dag;
pub use pack::compare_tree;

use crate::entry::{EntryKind, Timestamp};
use crate::error::Error;
use crate::fs::restore::RestoreError;

/// Where a directory differs from what it is compared with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Difference {
    /// Path in the pack, which is that below the directory.
    pub path: Vec<u8>,
    /// How it differs.
    pub kind: DifferenceKind,
}

/// How an entry differs.
#[derive(Debug)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// The directory does not have it.
    Missing,
    /// Only the directory has it; what lies below it is not told.
    Extra,
    /// It is something else.
    Kind {
        /// What it should be.
        expected: EntryKind,
    },
    /// The content is longer or shorter.
    Size {
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The content is of the right size and differs.
    Content,
    /// The permission bits differ.
    Mode {
        /// What they should be.
        expected: u32,
        /// What they are.
        found: u32,
    },
    /// The modification time differs.
    Mtime {
        /// What it should be.
        expected: Timestamp,
        /// What it is.
        found: Timestamp,
    },
    /// The symlink points elsewhere.
    Target {
        /// Where it should point to.
        expected: Vec<u8>,
        /// Where it points to.
        found: Vec<u8>,
    },
    /// The extended attributes of users differ.
    Xattrs,
    /// It is not another name of this entry.
    HardLink {
        /// The entry that it should be another name of.
        original: Vec<u8>,
    },
    /// The directory's side cannot be read.
    Unreadable(RestoreError),
    /// What the directory is compared with cannot be read here.
    Source(RestoreError),
}

/// Hears each difference.
pub type CompareObserver<'a> = dyn FnMut(Difference) + 'a;

/// Settings of a comparison.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompareOptions {
    metadata: bool,
    threads: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { metadata: true, threads: default_threads() }
    }
}

impl CompareOptions {
    /// Whether modes, times, attributes and hard links count. Default yes; they never do where there are only blocks.
    #[must_use]
    pub fn metadata(mut self, yes: bool) -> Self {
        self.metadata = yes;
        self
    }

    /// Threads that read and hash; with 0 or 1 the caller's thread does it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

/// What a comparison came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CompareReport {
    /// Entries of the pack.
    pub entries: u64,
    /// Bytes of content compared.
    pub bytes: u64,
    /// Differences told.
    pub differences: u64,
    /// What ended the comparison before its end.
    pub stopped: Option<Error>,
}

/// Counts differences on their way to the observer.
struct Tally<'a> {
    observer: &'a mut CompareObserver<'a>,
    report: CompareReport,
}

impl Tally<'_> {
    fn tell(&mut self, path: &[u8], kind: DifferenceKind) {
        self.report.differences += 1;
        (self.observer)(Difference { path: path.to_vec(), kind });
    }
}
