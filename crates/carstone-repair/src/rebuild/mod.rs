//! A clean pack of what is left of a damaged one.
//!
//! The damaged pack is read twice. The first pass, [`Plan::survey`], finds out which entries can be kept and which leaf is content of which of
//! them; the second, [`Plan::write`], hands their content to a writer, each file in order, and keeps in a temporary file only what comes too early.

mod error;
mod names;
mod plan;
mod spool;
mod write;

use std::collections::HashMap;
use std::ops::Range;

use carstone_pack::{Ids, Sorted};

pub use error::RebuildError;

use crate::report::{Hit, Report};

/// Settings of a rebuild.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RebuildOptions {
    keep_partial: bool,
}

impl RebuildOptions {
    /// Keeps what is left of files with holes, each byte at its place and zeros for what is missing, with `.partial` behind their names. By default
    /// only whole entries are kept.
    #[must_use]
    pub fn keep_partial(mut self, keep: bool) -> Self {
        self.keep_partial = keep;
        self
    }
}

/// What a first pass found out.
pub struct Plan {
    report: Report,
    /// Leaves in the order of the stream, and what each is content of, as far as that is kept.
    uses: Sorted,
    kept: Ids,
    partial: HashMap<u64, Partial>,
    /// Names of hard links to partial files.
    partial_links: HashMap<u64, Vec<u8>>,
    /// Entries that hard links name.
    originals: Ids,
}

/// A file with holes that is kept.
struct Partial {
    path: Vec<u8>,
    holes: Vec<Range<u64>>,
}

impl Plan {
    /// What is whole and what is lost. Every entry in [`Report::hit`] is left out of the new pack, unless it is [kept](Self::kept_as) under
    /// another name.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The name under which what is left of an entry is kept.
    pub fn kept_as(&self, id: u64) -> Option<&[u8]> {
        let partial = self.partial.get(&id).map(|partial| &partial.path);
        partial.or_else(|| self.partial_links.get(&id)).map(Vec::as_slice)
    }
}

/// What was written in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Entries in the new pack.
    pub entries: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Entries that turned out not to be what the damaged pack says, and are left out.
    pub left_out: Vec<Hit>,
}
