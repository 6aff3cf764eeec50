//! What cannot be read at random, out of the events of the whole pack.

use std::collections::HashSet;
use std::path::Path;

use carstone_layer::ReadAt;

use super::places::Digest;
use super::random::Run;
use super::stream::Flow;
use super::{ExtractOptions, ExtractReport, Selection, Tally, cancelled};
use crate::block_map::{BlockKey, BlockMap};
use crate::entry::{Announced, EntryKind};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::{RestoreError, RestoreErrorKind, RestoreEvent, RestoreObserver};
use crate::ids::Ids;
use crate::reader::PackReader;
use crate::stream::Event;

/// As [`extract_reader`](super::extract_reader), of a pack that may be damaged: what cannot be read at random is taken from what `rest` gives, until that is
/// `None`. These are the events of the whole pack, read in another way, as [`extract_events`](super::extract_events) takes them. They are asked for only
/// where there is damage, and then to their end, once or twice: behind the end `rest` begins anew. The first time tells which blocks are needed, so that no others
/// are kept.
///
/// Where the manifest is damaged, which is told as [`RestoreEvent::Unlisted`], all is taken from `rest`.
///
/// # Errors
/// As [`extract_reader`](super::extract_reader).
pub fn extract_damaged<R>(
    reader: &PackReader<R>,
    rest: &mut dyn FnMut() -> Result<Option<Event>, Error>,
    target: impl AsRef<Path>,
    selection: &Selection,
    options: &ExtractOptions,
    observer: &mut RestoreObserver,
) -> Result<ExtractReport, RestoreError>
where
    R: ReadAt + Clone + Send + Sync + 'static,
{
    let mut observer = |event| observer(event);
    let mut run = Run::new(reader, target, options, Tally::new(&mut observer).withholding())?;
    let paths = match run.restore(selection, true)? {
        None => Some(run.tally.withheld()),
        Some(error) => {
            run.tally.tell(RestoreEvent::Unlisted { error });
            None
        }
    };
    if paths.as_ref().is_some_and(HashSet::is_empty) || options.is_cancelled() {
        return run.end(selection);
    }
    let Run { restorer, queue, tally, restored, .. } = run;
    drop(queue);
    let mut left = Rest { paths, restored, needed: None };
    let learnt = left.learn(options, rest);
    let mut flow = Flow::new(restorer, selection, options, tally);
    flow.rest = Some(left);
    flow.tally.is_withholding = false;
    let stopped = match learnt {
        Ok(()) => flow.follow(options, rest),
        Err(error) => Some(error),
    };
    let at = stopped.as_ref().map_or(0, Error::offset);
    Ok(flow.end(stopped, at))
}

/// What is still to be restored.
pub(super) struct Rest {
    /// Paths of entries that could not be read; `None` for all.
    pub(super) paths: Option<HashSet<Vec<u8>>>,
    /// Entries that are there.
    pub(super) restored: Ids,
    /// Leaves that are content of them; `None` for any.
    needed: Option<BlockMap>,
}

impl Rest {
    /// Whether the entry is one of them.
    pub(super) fn has(&self, entry: &Announced) -> bool {
        self.paths.as_ref().is_none_or(|paths| paths.contains(&entry.path))
    }

    /// Finds out which leaves are needed, unless that may be all.
    fn learn(
        &mut self,
        options: &ExtractOptions,
        next: &mut dyn FnMut() -> Result<Option<Event>, Error>,
    ) -> Result<(), Error> {
        if self.paths.is_none() {
            return Ok(());
        }
        let (mut needed, mut ids) = (BlockMap::new(NEEDED_BUDGET), HashSet::new());
        let mut keeps_all = false;
        while let Some(event) = next()? {
            if options.is_cancelled() {
                return Err(cancelled());
            }
            let cid = match event {
                Event::Entry(entry) if self.has(&entry) => {
                    let is_there = |id| self.restored.contains(id) || ids.contains(&id);
                    // A link becomes a copy of what is not restored, and that came before.
                    keeps_all |= entry.target_id.is_some_and(|original| !is_there(original));
                    ids.insert(entry.id);
                    continue;
                }
                Event::Leaf { cid, uses, .. } if uses.iter().any(|u| ids.contains(&u.id)) => cid,
                Event::Reuse { id, cid, .. } if ids.contains(&id) => cid,
                _ => continue,
            };
            if let Ok(digest) = cid.hash().digest().try_into() {
                let noted = needed.insert(BlockKey::leaf(digest), 0);
                noted.map_err(|error| Error::io(error, 0))?;
            }
        }
        self.needed = Some(needed).filter(|_| !keeps_all);
        Ok(())
    }

    /// Whether a leaf may be content of one of them.
    pub(super) fn needs(&self, digest: &Digest) -> bool {
        let Some(needed) = &self.needed else { return true };
        needed.get(&BlockKey::leaf(*digest)).map_or(true, |found| found.is_some())
    }

    /// Whether an entry that hard links may name is there already.
    pub(super) fn is_there(&self, entry: &Announced) -> bool {
        !self.has(entry) && entry.kind != EntryKind::HardLink && self.restored.contains(entry.id)
    }
}

impl Tally<'_> {
    /// Keeps back what damage does to single entries, since they may be had in another way.
    pub(super) fn withholding(mut self) -> Self {
        self.is_withholding = true;
        self
    }

    /// Paths of the entries of which something is kept back.
    pub(super) fn withheld(&self) -> HashSet<Vec<u8>> {
        self.withheld.keys().cloned().collect()
    }

    /// Keeps an event back, or gives it back.
    pub(super) fn withhold(&mut self, event: RestoreEvent) -> Option<RestoreEvent> {
        match event {
            RestoreEvent::Problem { path, error }
                if self.is_withholding
                    && is_damage(&error)
                    && self.withheld.len() < MOST_WITHHELD =>
            {
                self.withheld.insert(path, error);
                None
            }
            event => {
                self.settle(&event);
                Some(event)
            }
        }
    }

    /// What is told of an entry takes the place of what was kept back.
    fn settle(&mut self, event: &RestoreEvent) {
        if let RestoreEvent::Problem { path, .. }
        | RestoreEvent::Restored { path, .. }
        | RestoreEvent::Skipped { path, .. } = event
        {
            self.withheld.remove(path);
        }
    }

    /// Tells what is still kept back.
    pub(super) fn release(&mut self) {
        self.is_withholding = false;
        let mut withheld: Vec<_> = std::mem::take(&mut self.withheld).into_iter().collect();
        withheld.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (path, error) in withheld {
            self.tell(RestoreEvent::Problem { path, error });
        }
    }
}

/// Whether it is the pack that an entry cannot be restored from. The system's own errors have no error inside.
fn is_damage(error: &RestoreError) -> bool {
    match error.kind() {
        RestoreErrorKind::Content(error) => match error.kind() {
            ErrorKind::Io(source) => source.get_ref().is_some(),
            ErrorKind::Newer(_) => false,
            _ => true,
        },
        RestoreErrorKind::LostOriginal { .. } => true,
        _ => false,
    }
}

const NEEDED_BUDGET: usize = 16 << 20;
/// Entries that are tried in another way: some 300 bytes each.
const MOST_WITHHELD: usize = 1 << 18;
