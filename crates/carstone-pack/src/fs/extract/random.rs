//! Extraction from a pack that is read at random.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use carstone_layer::{Ordered, Pool, ReadAt};

use super::output::Output;
use super::read::{Done, Item, Job, find, work};
use super::{ExtractOptions, ExtractReport, Selection, Tally, cancelled};
use crate::entry::{Announced, EntryKind, Listed, Metadata};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::{RestoreError, RestoreErrorKind, RestoreEvent, RestoreObserver, Restorer};
use crate::ids::Ids;
use crate::reader::PackReader;
use crate::sorter::Sorter;

/// Restores what is selected below `target`. `observer` hears of each entry.
///
/// Entries are worked on in the order of the stream, so that each frame of the layers below is decoded once; hard links follow when their
/// originals are there. A hard link whose original is not restored gets the content. Every block is verified, and long files get
/// their name only when the SHA-256 of the whole content holds.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # use std::sync::Arc;
/// # use carstone_layer::PackId;
/// # use carstone_pack::{Metadata, PackReader, PackWriter, PlainPipe};
/// use carstone_pack::fs::{ExtractOptions, Selection, extract_reader};
///
/// # let id = PackId::from_bytes([7; 16]);
/// # let mut writer = PackWriter::new(PlainPipe::new(Vec::new()), id)?;
/// # writer.add_file(b"walls/stone", Metadata::default(), &b"sand"[..])?;
/// # writer.add_file(b"roof", Metadata::default(), &b"slate"[..])?;
/// # let (pipe, _) = writer.finish()?;
/// # let tail = pipe.mark().expect("a finished pack has a tail");
/// # let reader = PackReader::open(Arc::new(pipe.into_inner()), id, tail)?;
/// # let target = tempfile::tempdir()?;
/// # let target = target.path();
/// let selection = Selection::patterns(["walls", "doors"]);
/// let options = ExtractOptions::default();
/// let report = extract_reader(&reader, target, &selection, &options, &mut |_| {})?;
/// assert!(report.is_complete() && target.join("walls/stone").exists());
/// assert!(!target.join("roof").exists());
/// assert_eq!(report.unmatched, [b"doors"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The target cannot be used, or a temporary file fails. What is wrong with the pack is told to `observer`, or is in
/// [`ExtractReport::stopped`].
pub fn extract_reader<R>(
    reader: &PackReader<R>,
    target: impl AsRef<Path>,
    selection: &Selection,
    options: &ExtractOptions,
    observer: &mut RestoreObserver,
) -> Result<ExtractReport, RestoreError>
where
    R: ReadAt + Clone + Send + Sync + 'static,
{
    let mut observer = |event| observer(event);
    let mut run = Run::new(reader, target, options, Tally::new(&mut observer))?;
    run.tally.report.stopped = run.restore(selection, false)?;
    run.end(selection)
}

/// What is to be done, sorted by where it is announced.
struct Plan {
    files: Sorter,
    links: Sorter,
}

pub(super) struct Run<'a, R: ReadAt> {
    reader: &'a PackReader<R>,
    options: &'a ExtractOptions,
    pub(super) restorer: Arc<Restorer>,
    pub(super) queue: Ordered<Job, Done>,
    pub(super) tally: Tally<'a>,
    /// Entries that are there: hard links may name them.
    pub(super) restored: Ids,
    /// Where the content of an entry that is not restored was put for a hard link; further links to it lead there.
    copies: HashMap<u64, Vec<u8>>,
}

impl<'a, R: ReadAt + Clone + Send + Sync + 'static> Run<'a, R> {
    pub(super) fn new(
        reader: &'a PackReader<R>,
        target: impl AsRef<Path>,
        options: &'a ExtractOptions,
        tally: Tally<'a>,
    ) -> Result<Self, RestoreError> {
        let restorer = Arc::new(Restorer::new(target, options.restore.clone())?);
        let (shared, reading) = (Arc::clone(&restorer), reader.clone());
        let pool = Pool::new(options.threads, move |job| work(&reading, &shared, job));
        let queue = Ordered::new(pool, options.bytes_in_flight());
        let (restored, copies) = (Ids::default(), HashMap::new());
        Ok(Self { reader, options, restorer, queue, tally, restored, copies })
    }

    /// Restores what the manifest lists. Gives what is wrong with it; with `all_or_none` nothing is restored then.
    pub(super) fn restore(
        &mut self,
        selection: &Selection,
        all_or_none: bool,
    ) -> Result<Option<Error>, RestoreError> {
        let spilled = |error| RestoreError::system("sort the entries", error);
        let mut plan = Plan { files: Sorter::new(SORT_BUDGET), links: Sorter::new(SORT_BUDGET) };
        let fault = self.choose(selection, &mut plan).map_err(spilled)?.err();
        if fault.is_some() && all_or_none {
            return Ok(fault);
        }
        let (files, links) = (plan.files.finish(), plan.links.finish());
        self.restore_files(files.map_err(spilled)?.iter().map_err(spilled)?).map_err(spilled)?;
        self.drain();
        self.restore_links(links.map_err(spilled)?.iter().map_err(spilled)?).map_err(spilled)?;
        self.drain();
        Ok(fault)
    }

    /// Goes through the manifest. The inner error is the pack's.
    fn choose(&mut self, selection: &Selection, plan: &mut Plan) -> io::Result<Result<(), Error>> {
        let places = selection.places().unwrap_or_else(|| vec![Vec::new()]);
        for place in places {
            for entry in self.reader.entries_within(&place) {
                if self.options.is_cancelled() {
                    return Ok(Ok(()));
                }
                match entry {
                    Ok(entry) if selection.selects(&entry.path) => self.plan(&entry, plan)?,
                    Ok(_) => {}
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        Ok(Ok(()))
    }

    fn plan(&mut self, entry: &Listed, plan: &mut Plan) -> io::Result<()> {
        let (Some(record), Some(id)) = (entry.record, entry.id) else {
            let mut metadata = Metadata::default();
            (metadata.mode, metadata.mtime) = (entry.mode, entry.mtime);
            let tally = &mut self.tally;
            self.restorer.directory(&entry.path, &metadata, &mut |event| tally.tell(event));
            return Ok(());
        };
        let mut key = [0; 16];
        key[..8].copy_from_slice(&record.to_be_bytes());
        key[8..].copy_from_slice(&id.to_be_bytes());
        let large = entry.size.is_some_and(|size| size > LARGE);
        let long = entry.kind == EntryKind::File && (entry.sha256.is_some() || large);
        let leaf = entry.runs.first().map_or(u64::MAX, |run| run.position);
        let mut value = Vec::with_capacity(entry.path.len() + 9);
        value.push(u8::from(long));
        value.extend_from_slice(&leaf.to_le_bytes());
        value.extend_from_slice(&entry.path);
        match entry.kind {
            EntryKind::HardLink => plan.links.push(&key, &value),
            _ => plan.files.push(&key, &value),
        }
    }

    fn restore_files(&mut self, mut sorted: crate::sorter::SortedIter<'_>) -> io::Result<()> {
        let (mut record, mut items) = (0, Vec::new());
        while let Some((key, value)) = sorted.next()? {
            if self.options.is_cancelled() {
                return Ok(());
            }
            let Some((at, long, item)) = read_plan(key, value) else { continue };
            if (at != record || items.len() >= MOST_ITEMS) && !items.is_empty() {
                let items = std::mem::take(&mut items);
                self.push(Job::Batch { record, items }, BATCH_COST);
            }
            record = at;
            match long {
                true => self.long_file(&item.path),
                false => items.push(item),
            }
        }
        if !items.is_empty() {
            self.push(Job::Batch { record, items }, BATCH_COST);
        }
        Ok(())
    }

    /// Cuts a long file into pieces for the pool.
    fn long_file(&mut self, path: &[u8]) {
        let found = self.reader.find(path).and_then(|entry| {
            let entry = entry.ok_or_else(|| Error::mismatch(path, "its entry", 0))?;
            let announced = self.reader.announced(&entry)?;
            Ok((entry, announced.map(|announced| announced.metadata).unwrap_or_default()))
        });
        match found {
            Ok((entry, metadata)) => {
                let id = entry.id;
                self.content(path, &metadata, entry, id);
            }
            Err(error) => self.problem(path, error.into()),
        }
    }

    /// Restores the content of `source` at `path`.
    fn content(&mut self, path: &[u8], metadata: &Metadata, source: Listed, id: Option<u64>) {
        let stated = self.reader.sha256(&source).and_then(|sha256| {
            let both = sha256.zip(source.size);
            both.ok_or_else(|| Error::mismatch(path, "what is known of its content", 0))
        });
        let (sha256, size) = match stated {
            Ok(stated) => stated,
            Err(error) => return self.problem(path, error.into()),
        };
        let tally = &mut self.tally;
        let file = self.restorer.create(path, metadata, &mut |event| tally.tell(event));
        let Some(file) = file else { return };
        let output = Arc::new(Output::new(file, metadata.clone()));
        let source = Arc::new(source);
        let mut offset = 0;
        // The size is only stated: what cannot be read ends it, and the end tells why.
        while offset < size && !output.has_failed() {
            if self.options.is_cancelled() {
                return; // Without its end the file never gets its name.
            }
            let len = PIECE.min(size - offset);
            let piece = output.announce();
            // Pieces are at most a few MiB.
            let bytes = usize::try_from(len).unwrap_or(usize::MAX);
            let file = Arc::clone(&source);
            self.push(Job::Piece { piece, file, offset, len: bytes }, bytes);
            offset += len;
        }
        self.push(Job::End { output, id, size, sha256 }, 0);
    }

    /// Links to what is restored; to what is not, the content takes the place of the link.
    fn restore_links(&mut self, mut sorted: crate::sorter::SortedIter<'_>) -> io::Result<()> {
        let mut batch: Option<(u64, Vec<Announced>)> = None;
        while let Some((key, value)) = sorted.next()? {
            if self.options.is_cancelled() {
                return Ok(());
            }
            let Some((record, _, item)) = read_plan(key, value) else { continue };
            if batch.as_ref().is_none_or(|(at, _)| *at != record) {
                match self.reader.batch(record) {
                    Ok(found) => batch = Some((record, found.entries)),
                    Err(error) => {
                        self.problem(&item.path, error.into());
                        continue;
                    }
                }
            }
            let entries = batch.as_ref().map_or(&[][..], |(_, entries)| entries);
            match find(entries, &item, record) {
                Ok(entry) => self.link(&entry.clone()),
                Err(error) => self.problem(&item.path, error.into()),
            }
        }
        Ok(())
    }

    fn link(&mut self, entry: &Announced) {
        let (Some(target), Some(id)) = (&entry.target, entry.target_id) else { return };
        let original = match self.restored.contains(id) {
            true => Some(target.clone()),
            false => self.copies.get(&id).cloned(),
        };
        if let Some(original) = original {
            // A copy may still be under construction.
            self.drain();
            let tally = &mut self.tally;
            let tell = &mut |event| tally.tell(event);
            self.restorer.hard_link(&entry.path, &original, &entry.metadata, tell);
            return;
        }
        let lost = || {
            let path = target.escape_ascii().to_string();
            RestoreError::new(RestoreErrorKind::LostOriginal { path })
        };
        match self.reader.find(target) {
            Ok(Some(source)) if source.kind == EntryKind::File => {
                self.copies.insert(id, entry.path.clone());
                self.content(&entry.path, &entry.metadata, source, None);
            }
            Ok(Some(source)) if source.kind == EntryKind::Symlink => {
                let to = source.target.unwrap_or_default();
                let tally = &mut self.tally;
                let tell = &mut |event| tally.tell(event);
                self.restorer.symlink(&entry.path, &to, &entry.metadata, tell);
            }
            Ok(_) => self.problem(&entry.path, lost()),
            Err(error) => self.problem(&entry.path, error.into()),
        }
    }

    fn problem(&mut self, path: &[u8], error: RestoreError) {
        self.tally.tell(RestoreEvent::Problem { path: path.to_vec(), error });
    }

    fn push(&mut self, job: Job, cost: usize) {
        while let Some(done) = self.queue.pop_ready() {
            self.settle(done);
        }
        while !self.queue.has_room(cost) {
            match self.queue.pop() {
                Some(done) => self.settle(done),
                None => break,
            }
        }
        self.queue.push(job, cost);
    }

    fn drain(&mut self) {
        while let Some(done) = self.queue.pop() {
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Result<Done, carstone_layer::Error>) {
        match done {
            Ok(done) => {
                for id in done.restored {
                    self.restored.insert(id);
                }
                done.events.into_iter().for_each(|event| self.tally.tell(event));
            }
            Err(error) => {
                let lost = Error::new(ErrorKind::Io(error.into()), 0);
                self.problem(b"", lost.into());
            }
        }
    }

    pub(super) fn end(self, selection: &Selection) -> Result<ExtractReport, RestoreError> {
        let Self { restorer, queue, mut tally, options, .. } = self;
        if options.is_cancelled() {
            tally.report.stopped = Some(cancelled());
        }
        drop(queue); // With the pool's threads goes their share of the restorer.
        if let Some(restorer) = Arc::into_inner(restorer) {
            restorer.finish(&mut |event| tally.tell(event));
        }
        tally.report.unmatched = selection.unmatched();
        Ok(tally.report)
    }
}

fn read_plan(key: &[u8], value: &[u8]) -> Option<(u64, bool, Item)> {
    let (record, id) = key.split_first_chunk::<8>()?;
    let (long, value) = value.split_first()?;
    let (leaf, path) = value.split_first_chunk::<8>()?;
    let leaf = Some(u64::from_le_bytes(*leaf)).filter(|&leaf| leaf != u64::MAX);
    let id = u64::from_be_bytes(id.try_into().ok()?);
    Some((u64::from_be_bytes(*record), *long != 0, Item { id, path: path.to_vec(), leaf }))
}

/// No batch holds content of a file that is larger.
const LARGE: u64 = 1 << 20;
/// Bytes of a long file that one job takes.
const PIECE: u64 = 4 << 20;
/// What a batch job holds in memory: records and one leaf at a time.
const BATCH_COST: usize = 2 << 20;
/// Entries in one job; a batch has no more.
const MOST_ITEMS: usize = 512;
const SORT_BUDGET: usize = 16 << 20;
