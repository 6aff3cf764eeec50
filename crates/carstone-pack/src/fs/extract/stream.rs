//! Extraction from a stream that is read once, front to back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use carstone_layer::{Ordered, Pool};

use super::links::{LeftOut, MOST_LEFT_OUT};
use super::output::Output;
use super::parts::Parts;
use super::places::{Digest, Places, Spool};
use super::rest::Rest;
use super::write::{Done, Job, Leaf, Part, Source, Writer, lost};
use super::{ExtractOptions, ExtractReport, Selection, Tally, cancelled};
use crate::entry::{Announced, EntryKind};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::{RestoreError, RestoreErrorKind, RestoreEvent, RestoreObserver, Restorer};
use crate::ids::Ids;
use crate::stream::{Event, PackStream, Use};

/// Restores what is selected below `target`, as it arrives. `observer` hears of each entry.
///
/// Leaves that later entries refer to are read back from where they were written, and hashed again; those that were not written anywhere,
/// since nothing selected has them, are kept in an unnamed temporary file meanwhile.
///
/// When the stream ends early, all entries that were complete stay; the others leave nothing behind and are
/// told as problems; [`ExtractReport::stopped`] says why.
///
/// # Errors
/// The target cannot be used. All else is in the report.
pub fn extract_stream<R: Read>(
    mut stream: PackStream<R>,
    target: impl AsRef<Path>,
    selection: &Selection,
    options: &ExtractOptions,
    observer: &mut RestoreObserver,
) -> Result<ExtractReport, RestoreError> {
    let (mut observer, mut ended) = (|event| observer(event), false);
    let (flow, stopped) = flow(target, selection, options, &mut observer, &mut || {
        let at = stream.position();
        let event = stream.next()?;
        match &event {
            // A cut between two sections looks like an end.
            None if !ended => return Err(Error::new(ErrorKind::NoTail, at)),
            Some(event) => ended |= matches!(event, Event::Tail(_)),
            None => {}
        }
        Ok(event)
    })?;
    Ok(flow.end(stopped, stream.position()))
}

/// Restores what is selected of what `next` gives, until it gives `None`: the events of a damaged pack, or of anything else that tells its entries so.
///
/// A file that ends in [`Event::Incomplete`] is a problem. With [`ExtractOptions::keep_partial`] what came of it is kept, at its place in the file,
/// with `.partial` at the end of its name.
///
/// # Errors
/// As [`extract_stream`].
pub fn extract_events(
    next: &mut dyn FnMut() -> Result<Option<Event>, Error>,
    target: impl AsRef<Path>,
    selection: &Selection,
    options: &ExtractOptions,
    observer: &mut RestoreObserver,
) -> Result<ExtractReport, RestoreError> {
    let mut observer = |event| observer(event);
    let (flow, stopped) = flow(target, selection, options, &mut observer, next)?;
    let at = stopped.as_ref().map_or(0, Error::offset);
    Ok(flow.end(stopped, at))
}

/// Follows events to their end, or to what stops them.
fn flow<'a>(
    target: impl AsRef<Path>,
    selection: &'a Selection,
    options: &ExtractOptions,
    observer: &'a mut RestoreObserver<'a>,
    next: &mut dyn FnMut() -> Result<Option<Event>, Error>,
) -> Result<(Flow<'a>, Option<Error>), RestoreError> {
    let restorer = Arc::new(Restorer::new(target, options.restore.clone())?);
    let mut flow = Flow::new(restorer, selection, options, Tally::new(observer));
    let stopped = flow.follow(options, next);
    Ok((flow, stopped))
}

/// An extraction that is under way.
pub(super) struct Flow<'a> {
    pub(super) restorer: Arc<Restorer>,
    pub(super) writer: Arc<Writer>,
    selection: &'a Selection,
    pub(super) queue: Ordered<Job, Done>,
    pub(super) tally: Tally<'a>,
    /// Whole files whose leaf has not come.
    pub(super) waiting: HashMap<u64, Announced>,
    /// Long files under construction, and those given up, whose content may still be wanted.
    pub(super) open: HashMap<u64, Arc<Output>>,
    /// Long files of which nothing more comes, and which are still in `open`.
    pub(super) given_up: VecDeque<u64>,
    /// Long files whose end has not come.
    pub(super) unended: HashMap<u64, Vec<u8>>,
    /// Files that are not restored: what links to them would need.
    pub(super) left_out: HashMap<u64, LeftOut>,
    left_out_leaves: usize,
    /// Leaves in flight.
    pub(super) recent: HashMap<Digest, Arc<Vec<u8>>>,
    pub(super) places: Places,
    /// Leaves not yet handed to the pool, and their bytes.
    pub(super) leaves: Vec<Leaf>,
    pub(super) cost: usize,
    pub(super) restored: Ids,
    pub(super) copies: HashMap<u64, Vec<u8>>,
    /// Hard links whose originals are not complete: they may share a batch, which stands before all content.
    pub(super) links: HashMap<u64, Vec<Announced>>,
    /// Entries of a broken pack may have the same id; only the first counts.
    ids: Ids,
    /// Whether what came of an incomplete file is kept.
    pub(super) partial: bool,
    /// Parts of leaves, of files that are not complete.
    pub(super) parts: Parts,
    /// What is left to do of a pack that was read at random before.
    pub(super) rest: Option<Rest>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        restorer: Arc<Restorer>,
        selection: &'a Selection,
        options: &ExtractOptions,
        tally: Tally<'a>,
    ) -> Self {
        let spool = Arc::new(Spool::default());
        let spool_failed = Mutex::new(None);
        let writer = Arc::new(Writer { restorer: Arc::clone(&restorer), spool, spool_failed });
        let shared = Arc::clone(&writer);
        let pool = Pool::new(options.threads, move |job| shared.work(job));
        Self {
            restorer,
            writer,
            selection,
            queue: Ordered::new(pool, options.bytes_in_flight()),
            tally,
            waiting: HashMap::new(),
            open: HashMap::new(),
            given_up: VecDeque::new(),
            unended: HashMap::new(),
            left_out: HashMap::new(),
            left_out_leaves: 0,
            recent: HashMap::new(),
            places: Places::new(),
            leaves: Vec::new(),
            cost: 0,
            restored: Ids::default(),
            copies: HashMap::new(),
            links: HashMap::new(),
            ids: Ids::default(),
            partial: options.partial,
            parts: Parts::default(),
            rest: None,
        }
    }

    /// Gives what stops the events before their end.
    pub(super) fn follow(
        &mut self,
        options: &ExtractOptions,
        next: &mut dyn FnMut() -> Result<Option<Event>, Error>,
    ) -> Option<Error> {
        loop {
            if options.is_cancelled() {
                return Some(cancelled());
            }
            match next() {
                Ok(Some(event)) => self.event(event),
                Ok(None) => return None,
                Err(error) => return Some(error),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Entry(entry) => self.entry(entry),
            Event::Leaf { cid, data, uses } => {
                // Other hashes than SHA-256 are no content of carstone's; nothing can refer to them.
                if let Ok(digest) = cid.hash().digest().try_into() {
                    self.leaf(digest, data, &uses);
                }
            }
            Event::Reuse { id, offset, cid, len } => {
                if let Ok(digest) = cid.hash().digest().try_into() {
                    self.reuse(digest, id, offset, len);
                }
            }
            Event::Part { data, proved, uses } => self.part(&data, proved, &uses),
            Event::End { id, size, sha256, .. } => {
                self.unended.remove(&id);
                self.parts.remove(id);
                if let Some(output) = self.open.get(&id) {
                    let output = Arc::clone(output);
                    self.flush();
                    self.push(Job::End { output, id, size, sha256 }, 0);
                } else if let Some(left_out) = self.left_out.get_mut(&id) {
                    left_out.end(size, sha256);
                }
                self.release_links(id);
            }
            Event::Incomplete { id, size, missing } => self.incomplete(id, size, missing),
            Event::Abandoned { id } => {
                self.unended.remove(&id);
                self.parts.remove(id);
                self.left_out.remove(&id);
                if let Some(output) = self.open.get(&id) {
                    // Later entries may refer to its leaves.
                    output.abandon();
                }
                self.release_links(id);
            }
            Event::Tail(_) => {}
        }
    }

    fn entry(&mut self, entry: Announced) {
        if self.ids.contains(entry.id) {
            let error = Error::mismatch(&entry.path, "its id, which stands twice,", 0);
            return self.problem(&entry.path, error.into());
        }
        self.ids.insert(entry.id);
        if self.rest.as_ref().is_some_and(|rest| rest.is_there(&entry)) {
            self.restored.insert(entry.id);
            return;
        }
        let selected = self.selection.selects(&entry.path)
            && self.rest.as_ref().is_none_or(|rest| rest.has(&entry));
        let tally = &mut self.tally;
        let mut told = |event| tally.tell(event);
        let (path, metadata) = (&entry.path, &entry.metadata);
        match entry.kind {
            EntryKind::Directory if selected => {
                self.restorer.directory(path, metadata, &mut told);
            }
            EntryKind::Symlink => {
                let target = entry.target.unwrap_or_default();
                if selected && self.restorer.symlink(path, &target, metadata, &mut told) {
                    self.restored.insert(entry.id);
                } else {
                    self.leave_out(entry.id, LeftOut::Symlink(target));
                }
            }
            EntryKind::HardLink if selected => match entry.target_id {
                Some(id) if self.is_due(id) => self.links.entry(id).or_default().push(entry),
                None => {
                    let path = entry.target.unwrap_or_default().escape_ascii().to_string();
                    let error = RestoreError::new(RestoreErrorKind::LostOriginal { path });
                    self.problem(&entry.path, error);
                }
                _ => self.later(entry),
            },
            EntryKind::File if entry.is_streamed() => {
                let file = match selected {
                    true => self.restorer.create(path, metadata, &mut told),
                    false => None,
                };
                match file {
                    Some(file) => {
                        let output = Output::new(file, entry.metadata);
                        self.open.insert(entry.id, Arc::new(output));
                        self.unended.insert(entry.id, entry.path);
                    }
                    None => self.leave_out(entry.id, LeftOut::file()),
                }
            }
            EntryKind::File if selected => {
                self.waiting.insert(entry.id, entry);
            }
            EntryKind::File => self.leave_out(entry.id, LeftOut::file()),
            _ => {}
        }
    }

    fn leaf(&mut self, digest: Digest, data: Vec<u8>, uses: &[Use]) {
        if self.rest.as_ref().is_some_and(|rest| !rest.needs(&digest)) {
            return;
        }
        let data = Arc::new(data);
        let len = data.len() as u64;
        self.recent.insert(digest, Arc::clone(&data));
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        for place in uses {
            self.place(&digest, place.id, place.offset, Some(len), &mut whole, &mut pieces);
        }
        let cost = data.len();
        self.add(Leaf { digest, source: Source::New(data), whole, pieces }, cost);
    }

    fn reuse(&mut self, digest: Digest, id: u64, offset: u64, len: Option<u64>) {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        self.place(&digest, id, offset, len, &mut whole, &mut pieces);
        if whole.is_empty() && pieces.is_empty() {
            return;
        }
        let source = self.source(&digest);
        let cost = match &source {
            Source::Back { len, .. } => usize::try_from(*len).unwrap_or(usize::MAX),
            _ => 0,
        };
        self.add(Leaf { digest, source, whole, pieces }, cost);
    }

    /// Finds out what a leaf is to be written to.
    fn place(
        &mut self,
        digest: &Digest,
        id: u64,
        offset: u64,
        len: Option<u64>,
        whole: &mut Vec<Announced>,
        pieces: &mut Vec<Part>,
    ) {
        if let Some(entry) = self.waiting.remove(&id) {
            whole.push(entry);
        } else if let Some(output) = self.open.get(&id) {
            pieces.push(Part { id, piece: output.announce(), offset, len });
        } else if let Some(left_out) = self.left_out.get_mut(&id)
            && self.left_out_leaves < MOST_LEFT_OUT
        {
            left_out.add(offset, digest);
            self.left_out_leaves += 1;
        }
    }

    /// Where the bytes of an earlier leaf are.
    pub(super) fn source(&self, digest: &Digest) -> Source {
        if let Some(data) = self.recent.get(digest) {
            return Source::Known(Arc::clone(data));
        }
        match self.places.find(digest) {
            Ok(Some((len, placed))) => {
                let output = match &placed {
                    super::places::Placed::File { id, .. } => self.open.get(id).cloned(),
                    super::places::Placed::Spool { .. } => None,
                };
                Source::Back { len, placed, output }
            }
            _ => Source::Lost,
        }
    }

    pub(super) fn problem(&mut self, path: &[u8], error: RestoreError) {
        self.restorer.claim(path, &mut |event| self.tally.tell(event));
        self.tally.tell(RestoreEvent::Problem { path: path.to_vec(), error });
    }

    /// Tells what did not come. What came ends at byte `position` of the stream, or where reading stopped behind it.
    pub(super) fn end(mut self, stopped: Option<Error>, position: u64) -> ExtractReport {
        let at = stopped.as_ref().map_or(position, |error| error.offset().max(position));
        self.flush();
        while let Some(done) = self.queue.pop() {
            self.settle(done);
        }
        let unfinished: HashSet<Vec<u8>> = self
            .waiting
            .values()
            .map(|entry| entry.path.clone())
            .chain(self.unended.values().cloned())
            .chain(self.links.values().flatten().map(|link| link.path.clone()))
            .collect();
        let mut unfinished: Vec<Vec<u8>> = unfinished.into_iter().collect();
        unfinished.sort_unstable();
        for path in unfinished {
            let kind = ErrorKind::Unfinished { path: path.escape_ascii().to_string() };
            self.problem(&path, Error::new(kind, at).into());
        }
        let failed = self.writer.spool_failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = failed {
            self.problem(b"", RestoreError::system("keep blocks for later", error));
        }
        self.tally.release();
        let Self { restorer, writer, queue, mut tally, open, selection, .. } = self;
        // Files that were not finished vanish, then the pool's share of the restorer.
        drop((open, queue, writer));
        if let Some(restorer) = Arc::into_inner(restorer) {
            restorer.finish(&mut |event| tally.tell(event));
        }
        tally.report.unmatched = selection.unmatched();
        tally.report.stopped = stopped;
        tally.report
    }

    /// Bytes of an earlier leaf, here and now.
    pub(super) fn fetch(&self, digest: &Digest) -> Result<Arc<Vec<u8>>, RestoreError> {
        self.writer.fetch(digest, self.source(digest)).ok_or_else(|| lost(digest))
    }
}
