//! The second pass: what is kept goes into a new pack.

use std::collections::{BTreeMap, HashMap};
use std::io;

use carstone_layer::{FailSafeRead, LayerWrite};
use carstone_pack::{
    Announced, EntryId, EntryKind, Event, Metadata, PackWriter, ProblemKind, SortedIter,
};
use sha2::{Digest as _, Sha256};

use super::spool::{Place, Spool};
use super::{Plan, RebuildError, Written};
use crate::leaves::Digest;
use crate::report::{Hit, State};
use crate::{Item, Salvage, leaf_digest};

impl Plan {
    /// Reads the damaged pack again, in the same way, and adds to `writer` what is kept. `progress` hears how many bytes of content have been seen.
    ///
    /// # Errors
    /// As [`survey`](Self::survey); whatever the writer gives.
    pub fn write<R: FailSafeRead, W: LayerWrite>(
        &self,
        salvage: &mut Salvage<R>,
        writer: &mut PackWriter<W>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Written, RebuildError> {
        let mut uses = Uses { sorted: self.uses.iter()?, next: None };
        uses.advance()?;
        let mut job = Job {
            plan: self,
            writer,
            uses,
            leaf: 0,
            files: HashMap::new(),
            originals: HashMap::new(),
            links: HashMap::new(),
            spool: Spool::default(),
            written: Written::default(),
        };
        let mut seen = 0u64;
        while let Some(item) = salvage.next()? {
            let Item::Event(event) = item else { continue };
            if let Event::Leaf { data, .. } = &event {
                seen = seen.saturating_add(data.len() as u64);
                progress(seen);
            }
            job.event(event)?;
        }
        job.finish()
    }
}

struct Job<'a, W: LayerWrite> {
    plan: &'a Plan,
    writer: &'a mut PackWriter<W>,
    uses: Uses<'a>,
    /// Number of the next leaf.
    leaf: u64,
    files: HashMap<u64, File>,
    /// What hard links name, once it is written: its new number and its path.
    originals: HashMap<u64, (EntryId, Vec<u8>)>,
    /// Hard links whose original is not written.
    links: HashMap<u64, Vec<Announced>>,
    spool: Spool,
    written: Written,
}

/// A file that is kept and not complete.
#[derive(Default)]
struct File {
    /// As it was announced, under its new path.
    entry: Option<Announced>,
    started: Option<EntryId>,
    /// Offset of the next byte that is to be written.
    next: u64,
    /// Pieces that came before their turn, by offset.
    early: BTreeMap<u64, Place>,
    /// Of the content so far, unless that is one leaf.
    hasher: Sha256,
    /// The leaf that is all of its content so far.
    single: Option<Digest>,
}

impl<W: LayerWrite> Job<'_, W> {
    fn event(&mut self, event: Event) -> Result<(), RebuildError> {
        match event {
            Event::Entry(entry) if self.plan.kept.contains(entry.id) => self.entry(entry),
            Event::Leaf { cid, data, .. } => {
                let number = self.leaf;
                self.leaf += 1;
                match leaf_digest(&cid) {
                    Some(digest) => self.leaf(number, &digest, &data),
                    None => Ok(()),
                }
            }
            Event::End { id, size, sha256, changed } if self.plan.kept.contains(id) => {
                self.end(id, size, sha256, changed)
            }
            Event::Incomplete { id, .. } if self.plan.kept.contains(id) => self.end_partial(id),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, mut entry: Announced) -> Result<(), RebuildError> {
        if let Some(path) = self.plan.kept_as(entry.id) {
            entry.path = path.to_vec();
        }
        let Announced { id, kind, .. } = entry;
        match (kind, entry.target_id) {
            (EntryKind::File, _) => {
                let mut file = self.files.remove(&id).unwrap_or_default();
                if file.entry.is_none() {
                    file.entry = Some(entry);
                    self.advance(id, &mut file)?;
                }
                self.files.insert(id, file);
            }
            (EntryKind::HardLink, Some(original)) => match self.originals.get(&original) {
                Some((new, path)) => {
                    self.writer.add_hard_link(&entry.path, *new, path, entry.metadata)?;
                    self.written.entries += 1;
                }
                None => self.links.entry(original).or_default().push(entry),
            },
            (EntryKind::Directory, _) => {
                self.writer.add_directory(&entry.path, entry.metadata)?;
                self.written.entries += 1;
            }
            (EntryKind::Symlink, _) => {
                let target = entry.target.unwrap_or_default();
                let new = self.writer.add_symlink(&entry.path, &target, entry.metadata)?;
                if self.plan.originals.contains(id) {
                    self.writer.expect_hard_links(new);
                }
                self.written.entries += 1;
                self.add_links(id, new, entry.path)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Hands a leaf to the files that it is content of, or keeps it for them.
    fn leaf(&mut self, number: u64, digest: &Digest, data: &[u8]) -> Result<(), RebuildError> {
        let mut kept = None;
        while let Some((leaf, id, offset)) = self.uses.next.filter(|(leaf, ..)| *leaf <= number) {
            self.uses.advance()?;
            if leaf < number || !self.plan.kept.contains(id) {
                continue;
            }
            let mut file = self.files.remove(&id).unwrap_or_default();
            self.fill_hole(id, &mut file)?;
            if file.entry.is_some() && file.next == offset {
                self.put(id, &mut file, Some(digest), data)?;
                self.advance(id, &mut file)?;
            } else if file.next <= offset && !data.is_empty() {
                let place = match kept {
                    Some(place) => place,
                    None => *kept.insert(self.spool.keep(data)?),
                };
                file.early.insert(offset, place);
            }
            self.files.insert(id, file);
        }
        Ok(())
    }

    /// Writes what of a file has been kept and is due now.
    fn advance(&mut self, id: u64, file: &mut File) -> Result<(), RebuildError> {
        loop {
            self.fill_hole(id, file)?;
            let Some(place) = file.early.remove(&file.next) else { return Ok(()) };
            debug_assert!(place.len() > 0, "what is empty is not kept");
            let data = self.spool.read(place)?;
            self.put(id, file, None, &data)?;
        }
    }

    /// Zeros for bytes that are known to be missing.
    fn fill_hole(&mut self, id: u64, file: &mut File) -> Result<(), RebuildError> {
        let Some(partial) = self.plan.partial.get(&id).filter(|_| file.entry.is_some()) else {
            return Ok(());
        };
        let at = partial.holes.partition_point(|hole| hole.end <= file.next);
        let Some(hole) = partial.holes.get(at).filter(|hole| hole.start <= file.next) else {
            return Ok(());
        };
        while file.next < hole.end {
            let len = usize::try_from(hole.end - file.next).unwrap_or(ZEROS).min(ZEROS);
            self.put(id, file, None, &vec![0; len])?;
        }
        Ok(())
    }

    /// Appends content to a file. `digest` is that of `data`, where it is known.
    fn put(
        &mut self,
        id: u64,
        file: &mut File,
        digest: Option<&Digest>,
        data: &[u8],
    ) -> Result<(), RebuildError> {
        let Some(entry) = &file.entry else { return Ok(()) };
        let len = data.len() as u64;
        let is_all = file.next == 0 && entry.size == Some(len);
        let new = match file.started {
            Some(new) => new,
            None => *file.started.insert(start(self.writer, self.plan, id, entry)?),
        };
        if data.is_empty() && !is_all {
            return Ok(());
        }
        match digest.filter(|_| is_all) {
            Some(digest) => file.single = Some(*digest),
            None => file.hasher.update(data),
        }
        // Files of one leaf that share a batch stay that.
        match is_all && data.len() <= self.writer.chunk_size() {
            true => self.writer.append(new, data)?,
            false => self.writer.append_leaf(new, data.to_vec())?,
        }
        file.next += len;
        Ok(())
    }

    fn end(
        &mut self,
        id: u64,
        size: u64,
        sha256: Option<Digest>,
        changed: bool,
    ) -> Result<(), RebuildError> {
        let Some(mut file) = self.files.remove(&id) else { return Ok(()) };
        let Some(entry) = file.entry.take() else { return Ok(()) };
        let new = match file.started {
            Some(new) => new,
            None => start(self.writer, self.plan, id, &entry)?,
        };
        let found = file.single.unwrap_or_else(|| file.hasher.finalize().into());
        if file.next != size || sha256.is_some_and(|stated| found != stated) {
            self.writer.abandon_entry(new)?;
            let (path, kind, size) = (entry.path, entry.kind, Some(size));
            let (state, damage) = (State::Contradicted, Vec::new());
            self.written.left_out.push(Hit { id, path, kind, size, state, damage });
            return Ok(());
        }
        match changed {
            true => self.writer.end_changed_entry(new)?,
            false => self.writer.end_entry(new)?,
        }
        self.wrote(id, new, entry.path, size)
    }

    fn end_partial(&mut self, id: u64) -> Result<(), RebuildError> {
        let Some(mut file) = self.files.remove(&id) else { return Ok(()) };
        self.advance(id, &mut file)?;
        let (Some(entry), Some(new)) = (file.entry, file.started) else { return Ok(()) };
        self.writer.end_entry(new)?;
        self.wrote(id, new, entry.path, file.next)
    }

    fn wrote(
        &mut self,
        id: u64,
        new: EntryId,
        path: Vec<u8>,
        size: u64,
    ) -> Result<(), RebuildError> {
        self.written.entries += 1;
        self.written.bytes = self.written.bytes.saturating_add(size);
        self.add_links(id, new, path)
    }

    /// Adds the hard links that waited for an entry, and remembers it for those that come.
    fn add_links(&mut self, id: u64, new: EntryId, path: Vec<u8>) -> Result<(), RebuildError> {
        if !self.plan.originals.contains(id) {
            return Ok(());
        }
        for link in self.links.remove(&id).unwrap_or_default() {
            self.writer.add_hard_link(&link.path, new, &path, link.metadata)?;
            self.written.entries += 1;
        }
        self.originals.insert(id, (new, path));
        Ok(())
    }

    fn finish(mut self) -> Result<Written, RebuildError> {
        // What is open now is not as the first pass saw it.
        let mut open: Vec<(u64, File)> = self.files.drain().collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        for (id, file) in open {
            if let Some(new) = file.started {
                self.writer.abandon_entry(new)?;
            }
            if let Some(entry) = file.entry {
                self.leave_out(id, entry, State::Contradicted);
            }
        }
        let mut links: Vec<Announced> = self.links.drain().flat_map(|(_, links)| links).collect();
        links.sort_unstable_by_key(|link| link.id);
        for link in links {
            let state = State::OriginalLost { original: link.target_id };
            self.leave_out(link.id, link, state);
        }
        self.writer.settle()?;
        for problem in self.writer.take_problems() {
            // That a source changed was known before.
            if !matches!(problem.kind, ProblemKind::Changed) {
                let (kind, state) = (EntryKind::HardLink, State::OriginalLost { original: None });
                let entry = Announced::new(0, problem.path, kind, Metadata::default());
                self.written.entries = self.written.entries.saturating_sub(1);
                self.leave_out(0, entry, state);
            }
        }
        Ok(self.written)
    }

    fn leave_out(&mut self, id: u64, entry: Announced, state: State) {
        let Announced { path, kind, size, .. } = entry;
        self.written.left_out.push(Hit { id, path, kind, size, state, damage: Vec::new() });
    }
}

/// Opens an entry of the new pack.
fn start<W: LayerWrite>(
    writer: &mut PackWriter<W>,
    plan: &Plan,
    id: u64,
    entry: &Announced,
) -> io::Result<EntryId> {
    let new = writer.start_entry(&entry.path, entry.metadata.clone())?;
    if plan.originals.contains(id) {
        writer.expect_hard_links(new);
    }
    Ok(new)
}

/// What the leaves are content of, one by one.
struct Uses<'a> {
    sorted: SortedIter<'a>,
    /// Leaf, entry, offset.
    next: Option<(u64, u64, u64)>,
}

impl Uses<'_> {
    fn advance(&mut self) -> io::Result<()> {
        let number = |key: &[u8], at: usize| {
            let bytes = key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_be_bytes(bytes.unwrap_or_default())
        };
        let next = self.sorted.next()?;
        self.next = next.map(|(key, _)| (number(key, 0), number(key, 8), number(key, 16)));
        Ok(())
    }
}

/// Zeros that are appended at once.
const ZEROS: usize = 1 << 20;
