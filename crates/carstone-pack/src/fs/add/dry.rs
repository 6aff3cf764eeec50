//! Looks at a tree as if it were packed.

use std::io::{self, Read};
use std::path::PathBuf;

use super::event::{TreeSummary, WalkEvent};
use crate::entry::Metadata;
use crate::fs::walk::TreeOptions;
use crate::sink::{EntrySink, SmallFile};
use crate::writer::{EntryId, Problem};

/// Tells what [`add_tree`](super::add_tree) would add, to a pack or, `plain`, to a plain CAR: the same events, but without
/// [`WalkEvent::Content`], and the same summary.
///
/// Every file is opened, so that those that cannot be are told, as [`WalkEvent::Unreadable`]; none is read.
///
/// # Errors
/// As [`add_tree`](super::add_tree), without what a sink gives.
pub fn dry_run_tree(
    inputs: &[PathBuf],
    options: &TreeOptions,
    plain: bool,
    observer: &mut dyn FnMut(WalkEvent<'_>),
) -> io::Result<TreeSummary> {
    super::add(&mut Nowhere { plain, next: 0 }, inputs, options, observer, true)
}

/// Takes every entry, and keeps none.
struct Nowhere {
    plain: bool,
    next: u64,
}

impl Nowhere {
    fn entry(&mut self) -> io::Result<EntryId> {
        let id = EntryId(self.next);
        self.next += 1;
        Ok(id)
    }
}

impl EntrySink for Nowhere {
    fn chunk_size(&self) -> usize {
        0
    }

    fn holds(&self, path: &[u8]) -> bool {
        !self.plain || std::str::from_utf8(path).is_ok()
    }

    fn add_directory(&mut self, _: &[u8], _: Metadata) -> io::Result<EntryId> {
        self.entry()
    }

    fn add_symlink(&mut self, _: &[u8], _: &[u8], _: Metadata) -> io::Result<EntryId> {
        self.entry()
    }

    fn add_hard_link(
        &mut self,
        _: &[u8],
        _: EntryId,
        _: &[u8],
        _: Metadata,
    ) -> io::Result<EntryId> {
        self.entry()
    }

    fn expect_hard_links(&mut self, _: EntryId) {}

    fn add_small_file(
        &mut self,
        _: &[u8],
        _: Metadata,
        _: usize,
        _: SmallFile,
    ) -> io::Result<EntryId> {
        self.entry()
    }

    fn start_entry(&mut self, _: &[u8], _: Metadata) -> io::Result<EntryId> {
        self.entry()
    }

    fn fill_entry(
        &mut self,
        _: EntryId,
        _: &mut dyn Read,
        _: &mut dyn FnMut(usize),
    ) -> io::Result<()> {
        Ok(())
    }

    fn end_entry(&mut self, _: EntryId) -> io::Result<()> {
        Ok(())
    }

    fn end_changed_entry(&mut self, _: EntryId) -> io::Result<()> {
        Ok(())
    }

    fn abandon_entry(&mut self, _: EntryId) -> io::Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<Problem> {
        Vec::new()
    }
}
