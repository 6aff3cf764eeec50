//! What the writers of packs and of plain CARs share: entries are batched, read and hashed by the pool, and handed on in order.

use std::io::{self, Read};

use carstone_layer::{Ordered, Pool};
use carstone_unixfs::{ChunkerSpec, Cid};

use super::buffers::Buffers;
use super::jobs::{self, Content, Done, Ending, Job, Pending};
use super::options::{Problem, ProblemKind};
use super::{EntryId, PackOptions};
use crate::entry::{Announced, EntryKind, Metadata};
use crate::error::{Error, ErrorKind};
use crate::path::{PathFault, check_path};
use crate::record::Batch;

/// Takes what the pool has finished, in the order of the pack.
pub(crate) trait Settle {
    /// Writes what has become known.
    fn settle(&mut self, done: Done) -> io::Result<()>;

    /// Bytes written so far.
    fn position(&self) -> u64;

    /// Keeps an entry whose chunks will come one by one.
    fn open_entry(&mut self, entry: Announced);

    /// Takes the entry back: it turned out to fit into one chunk.
    fn forget_entry(&mut self, id: u64) -> Option<Announced>;

    /// From now on the entry's chunks are leaves of their own.
    fn mark_streamed(&mut self, id: u64);

    /// Whether [`mark_streamed`](Self::mark_streamed) was called.
    fn is_streamed(&self, id: u64) -> bool;

    /// Remembers that hard links to the entry will come.
    fn expect_hard_links(&mut self, id: u64);

    /// What went wrong with single entries.
    fn problems(&mut self) -> &mut Vec<Problem>;
}

/// The reading and hashing half of a writer.
pub(crate) struct Front<S> {
    settled: S,
    queue: Ordered<Job, Done>,
    pending: Vec<Pending>,
    pending_size: usize,
    buffers: Buffers,
    chunker: ChunkerSpec,
    next_id: u64,
    broken: bool,
}

impl<S: Settle> Front<S> {
    pub(crate) fn new(settled: S, options: &PackOptions) -> Self {
        let (profile, chunker) = (options.profile.clone(), options.profile.chunker());
        let work = move |job| jobs::work(&profile, job);
        Self {
            settled,
            queue: Ordered::new(Pool::new(options.threads, work), options.content_budget()),
            pending: Vec::new(),
            pending_size: 0,
            buffers: Buffers::new(chunker.max(), options.chunk_budget()),
            chunker,
            next_id: 0,
            broken: false,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.settled.position()
    }

    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(self.settled.problems())
    }

    pub(crate) fn expect_hard_links(&mut self, id: EntryId) {
        self.settled.expect_hard_links(id.0);
    }

    /// Adds an entry without content: a directory, a symlink with its target, a hard link with target and original.
    pub(crate) fn add(
        &mut self,
        path: &[u8],
        kind: EntryKind,
        metadata: Metadata,
        target: Option<&[u8]>,
        original: Option<EntryId>,
    ) -> io::Result<EntryId> {
        let mut entry = self.announce(path, kind, metadata)?;
        entry.target = target.map(<[u8]>::to_vec);
        entry.target_id = original.map(|id| id.0);
        self.enqueue(entry, Content::None, 0)
    }

    pub(crate) fn add_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        reader: impl Read,
    ) -> io::Result<EntryId> {
        let id = self.start_entry(path, metadata)?;
        match self.fill_entry(id, reader, |_| {}) {
            Ok(()) => self.end(id, Ending::Whole)?,
            Err(error) if self.broken => return Err(error),
            Err(error) => {
                self.end(id, Ending::Abandoned)?;
                return Err(error);
            }
        }
        Ok(id)
    }

    pub(crate) fn add_small_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        size: usize,
        open: impl FnOnce() -> io::Result<(Vec<u8>, bool)> + Send + 'static,
    ) -> io::Result<EntryId> {
        let entry = self.announce(path, EntryKind::File, metadata)?;
        self.enqueue(entry, Content::Open(Box::new(open)), size)
    }

    /// Adds a file of one leaf, which has been verified under this CID.
    pub(crate) fn add_leaf(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        content: Vec<u8>,
        cid: Cid,
    ) -> io::Result<EntryId> {
        let entry = self.announce(path, EntryKind::File, metadata)?;
        let size = content.len();
        self.enqueue(entry, Content::Bytes(content, Some(cid)), size)
    }

    pub(crate) fn start_entry(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
        let entry = self.announce(path, EntryKind::File, metadata)?;
        let id = entry.id;
        self.buffers.open(id);
        self.settled.open_entry(entry);
        Ok(EntryId(id))
    }

    pub(crate) fn append(&mut self, id: EntryId, mut bytes: &[u8]) -> io::Result<()> {
        self.open(id)?;
        while !bytes.is_empty() {
            let room = self.room(id)?;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffers.append(id.0, now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Appends a leaf as it is; what was appended before ends in front of it.
    pub(crate) fn append_leaf(
        &mut self,
        id: EntryId,
        data: Vec<u8>,
        verified: Option<Cid>,
    ) -> io::Result<()> {
        self.open(id)?;
        if data.len() > MAX_LEAF {
            let (what, limit) = ("bytes in one leaf", MAX_LEAF as u64);
            return Err(Error::new(ErrorKind::Limit { what, limit }, self.position()).into());
        }
        let before = self.buffers.take(id.0)?;
        self.leaves(id, before, true)?;
        if !self.settled.is_streamed(id.0) {
            self.flush_batch()?;
            self.settled.mark_streamed(id.0);
        }
        let len = data.len();
        self.push(Job::Leaf { id: id.0, data, verified }, len)
    }

    pub(crate) fn fill_entry(
        &mut self,
        id: EntryId,
        mut reader: impl Read,
        mut seen: impl FnMut(usize),
    ) -> io::Result<()> {
        self.open(id)?;
        let mut piece = vec![0; PIECE];
        loop {
            let room = self.room(id)?;
            let n = match reader.read(&mut piece[..room.min(PIECE)]) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.buffers.append(id.0, &piece[..n])?;
            seen(n);
        }
    }

    pub(crate) fn end(&mut self, id: EntryId, how: Ending) -> io::Result<()> {
        self.open(id)?;
        let mut data = self.buffers.close(id.0)?;
        let is_whole = data.is_empty() || self.chunker.cut(&data, true) == Some(data.len());
        let is_small = is_whole && data.len() <= MAX_BATCH;
        if !self.settled.is_streamed(id.0) && (is_small || how == Ending::Abandoned) {
            let Some(entry) = self.settled.forget_entry(id.0) else {
                return Err(Error::new(ErrorKind::NoSuchEntry, self.position()).into());
            };
            if how == Ending::Changed {
                let problem = Problem { path: entry.path.clone(), kind: ProblemKind::Changed };
                self.settled.problems().push(problem);
            }
            if how != Ending::Abandoned {
                let size = data.len();
                self.enqueue(entry, Content::Bytes(data, None), size)?;
            }
            return Ok(());
        }
        if how != Ending::Abandoned {
            data = self.leaves(id, data, true)?;
            debug_assert!(data.is_empty(), "the last chunk takes all that is left");
        }
        self.push(Job::End { id: id.0, how }, 0)
    }

    /// Waits for everything that was added, and writes it.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.usable()?;
        self.flush_batch()?;
        self.broken = true;
        while let Some(done) = self.queue.pop() {
            self.settled.settle(done?)?;
        }
        self.broken = false;
        Ok(())
    }

    /// Settles, and gives the writing half back.
    pub(crate) fn finish(mut self) -> io::Result<S> {
        self.settle()?;
        Ok(self.settled)
    }

    fn announce(
        &mut self,
        path: &[u8],
        kind: EntryKind,
        metadata: Metadata,
    ) -> io::Result<Announced> {
        self.usable()?;
        check_path(path).map_err(|fault| Error::bad_path(path, fault, self.position()))?;
        if path.is_empty() && kind != EntryKind::Directory {
            let fault = PathFault::EmptyComponent;
            return Err(Error::bad_path(path, fault, self.position()).into());
        }
        let id = self.next_id;
        self.next_id += 1;
        Ok(Announced::new(id, path.to_vec(), kind, metadata))
    }

    /// Puts an entry into the batch under construction.
    fn enqueue(&mut self, entry: Announced, content: Content, size: usize) -> io::Result<EntryId> {
        let id = EntryId(entry.id);
        let encoded = encoded_estimate(&entry);
        if encoded > MAX_ENCODED {
            let (what, limit) = ("metadata of one entry", MAX_ENCODED as u64);
            return Err(Error::new(ErrorKind::Limit { what, limit }, self.position()).into());
        }
        // Content and records share one budget: both stand in memory, and in the pack, together.
        let cost = size + encoded;
        let full = self.pending_size + cost > MAX_BATCH;
        if (full && !self.pending.is_empty()) || self.pending.len() == Batch::MAX_ENTRIES {
            self.flush_batch()?;
        }
        self.pending_size += cost;
        self.pending.push(Pending { entry, content });
        Ok(id)
    }

    fn flush_batch(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let cost = std::mem::take(&mut self.pending_size);
        let batch = std::mem::take(&mut self.pending);
        self.push(Job::Batch(batch), cost)
    }

    /// Bytes that the entry's buffer takes; the chunks in a full one are sent off first.
    fn room(&mut self, id: EntryId) -> io::Result<usize> {
        if self.buffers.room(id.0) == 0 {
            let data = self.buffers.take(id.0)?;
            let rest = self.leaves(id, data, false)?;
            self.buffers.append(id.0, &rest)?;
        }
        Ok(self.buffers.room(id.0))
    }

    /// Sends off the chunks of an entry's content, and gives back what is not certain to be one; `last`: nothing follows.
    fn leaves(&mut self, id: EntryId, mut data: Vec<u8>, last: bool) -> io::Result<Vec<u8>> {
        let mut start = 0;
        while let Some(len) = self.chunker.cut(&data[start..], last) {
            if !self.settled.is_streamed(id.0) {
                self.flush_batch()?;
                self.settled.mark_streamed(id.0);
            }
            let chunk = match (start, len == data.len()) {
                (0, true) => std::mem::take(&mut data), // Chunks of equal size are not copied.
                _ => {
                    start += len;
                    data[start - len..start].to_vec()
                }
            };
            self.push(Job::Leaf { id: id.0, data: chunk, verified: None }, len)?;
        }
        data.drain(..start);
        Ok(data)
    }

    /// Hands a job to the pool, after writing what is done and making room.
    fn push(&mut self, job: Job, cost: usize) -> io::Result<()> {
        self.broken = true;
        while let Some(done) = self.queue.pop_ready() {
            self.settled.settle(done?)?;
        }
        while !self.queue.has_room(cost) {
            match self.queue.pop() {
                Some(done) => self.settled.settle(done?)?,
                None => break,
            }
        }
        self.queue.push(job, cost);
        self.broken = false;
        Ok(())
    }

    fn open(&self, id: EntryId) -> io::Result<()> {
        self.usable()?;
        match self.buffers.contains(id.0) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NoSuchEntry, self.position()).into()),
        }
    }

    fn usable(&self) -> io::Result<()> {
        match self.broken {
            false => Ok(()),
            true => Err(io::Error::other("the pack writer failed before and cannot go on")),
        }
    }
}

/// An upper bound of an entry's encoded length in a batch.
fn encoded_estimate(entry: &Announced) -> usize {
    let xattrs = entry.metadata.xattrs.iter().map(|(name, value)| name.len() + value.len() + 16);
    let names = [&entry.metadata.user, &entry.metadata.group, &entry.target];
    160 + entry.path.len()
        + xattrs.sum::<usize>()
        + names.into_iter().flatten().map(Vec::len).sum::<usize>()
}

/// The most bytes of content in the files of a batch (`docs/format.md`, section 7.2).
pub(crate) const MAX_BATCH: usize = 1 << 20;
/// A section of 8 MiB holds a leaf of so many bytes, and its CID.
const MAX_LEAF: usize = (8 << 20) - 256;
/// How much `fill_entry` reads at once.
const PIECE: usize = 256 << 10;
/// The most bytes that one entry may take in its batch.
const MAX_ENCODED: usize = 900 << 10;
