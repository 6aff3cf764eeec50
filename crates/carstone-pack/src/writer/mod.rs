//! Writes a pack: entries in, a CAR stream out, over any pipe of layers.

mod buffers;
mod directories;
mod far;
mod jobs;
mod options;
mod sections;
mod settle;
mod streamed;

use std::io::{self, Read};

use carstone_layer::{LayerWrite, Ordered, PackId, Pool};
use carstone_unixfs::Profile;

pub use options::{PackOptions, Problem, ProblemKind, Summary};

use crate::entry::{Announced, EntryKind, Metadata};
use crate::error::{Error, ErrorKind};
use crate::path::check_path;
use crate::record::Batch;
use buffers::Buffers;
use jobs::{Content, Done, Ending, Job, Pending};
use settle::Settled;

/// Number of an entry, as the writer gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(pub(crate) u64);

/// Writes entries and their content; [`finish`](Self::finish) adds directories, manifest, index and tail.
///
/// Entries are announced in the order in which they are added. Many may be open at once
/// ([`start_entry`](Self::start_entry)); their data is then interleaved. Content is hashed on a pool of threads; the bytes that
/// come out do not depend on how many.
///
/// After an error the writer is broken: the pack has no tail, and reads as cut off.
#[must_use = "the pack has no manifest until `finish` has returned `Ok`"]
pub struct PackWriter<W: LayerWrite> {
    settled: Settled<W>,
    queue: Ordered<Job, Done>,
    pending: Vec<Pending>,
    pending_size: usize,
    buffers: Buffers,
    profile: Profile,
    next_id: u64,
    broken: bool,
}

impl<W: LayerWrite> PackWriter<W> {
    /// Starts a pack whose frames carry `pack`.
    ///
    /// # Errors
    /// Whatever the pipe gives.
    pub fn new(pipe: W, pack: PackId) -> io::Result<Self> {
        Self::with_options(pipe, pack, PackOptions::default())
    }

    /// Starts a pack with other settings than the default.
    ///
    /// # Errors
    /// Whatever the pipe gives.
    pub fn with_options(pipe: W, pack: PackId, options: PackOptions) -> io::Result<Self> {
        let profile = Profile::unixfs_v1_2025();
        let buffers = Buffers::new(profile.chunk_size(), options.budget);
        Ok(Self {
            settled: Settled::new(pipe, pack, &profile, options.budget)?,
            queue: Ordered::new(Pool::new(options.threads, jobs::work), options.budget),
            pending: Vec::new(),
            pending_size: 0,
            buffers,
            profile,
            next_id: 0,
            broken: false,
        })
    }

    /// Bytes of the CAR stream written so far.
    pub fn position(&self) -> u64 {
        self.settled.sections.position()
    }

    /// Takes what went wrong with single entries since the last call; the pack goes on without them.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.settled.problems)
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// A path that cannot stand in a pack, or whatever the pipe gives.
    pub fn add_directory(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
        let entry = self.announce(path, EntryKind::Directory, metadata)?;
        self.enqueue(entry, Content::None, 0)
    }

    /// Adds a symlink that points to `target`.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    pub fn add_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        metadata: Metadata,
    ) -> io::Result<EntryId> {
        let mut entry = self.announce(path, EntryKind::Symlink, metadata)?;
        entry.target = Some(target.to_vec());
        self.enqueue(entry, Content::None, 0)
    }

    /// Says that hard links to an entry that was just added will come. Without this the writer does not keep what they need.
    pub fn expect_hard_links(&mut self, id: EntryId) {
        self.settled.expect_hard_links(id.0);
    }

    /// Adds another name of the file or symlink `original`, which was added before under the path `original_path`.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). If the original is lost on the way (its source could not be read), or hard links to it
    /// were [not expected](Self::expect_hard_links), a [`Problem`] says so and the link is left out.
    pub fn add_hard_link(
        &mut self,
        path: &[u8],
        original: EntryId,
        original_path: &[u8],
        metadata: Metadata,
    ) -> io::Result<EntryId> {
        let mut entry = self.announce(path, EntryKind::HardLink, metadata)?;
        entry.target = Some(original_path.to_vec());
        entry.target_id = Some(original.0);
        // The original may still be in a worker's hands; in the queue the order holds.
        self.enqueue(entry, Content::None, 0)
    }

    /// Adds a file whose content is read here and now, however long it is.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). When `reader` fails, the entry is abandoned and the error returned; the
    /// pack goes on.
    pub fn add_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        reader: impl Read,
    ) -> io::Result<EntryId> {
        let id = self.start_entry(path, metadata)?;
        match self.fill_entry(id, reader, |_| {}) {
            Ok(()) => self.end_entry(id)?,
            Err(error) if self.broken => return Err(error),
            Err(error) => {
                self.abandon_entry(id)?;
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Adds a file of at most one chunk that a worker opens and reads. `open` gives the content and whether the source
    /// changed while it was read; `size` is what it is expected to give.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). What `open` gives becomes a [`Problem`].
    pub fn add_small_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        size: usize,
        open: impl FnOnce() -> io::Result<(Vec<u8>, bool)> + Send + 'static,
    ) -> io::Result<EntryId> {
        let entry = self.announce(path, EntryKind::File, metadata)?;
        self.enqueue(entry, Content::Open(Box::new(open)), size)
    }

    /// Opens a file of unknown length.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    pub fn start_entry(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
        let entry = self.announce(path, EntryKind::File, metadata)?;
        let id = entry.id;
        self.buffers.open(id);
        self.settled.open_entry(entry);
        Ok(EntryId(id))
    }

    /// Appends to an open file.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchEntry`] when it is not open, or whatever the pipe gives.
    pub fn append(&mut self, id: EntryId, mut bytes: &[u8]) -> io::Result<()> {
        self.open(id)?;
        while !bytes.is_empty() {
            let room = self.room(id)?;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffers.append(id.0, now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Appends all that `reader` gives. `seen` hears how many bytes came, as they come.
    ///
    /// # Errors
    /// As [`append`](Self::append), or whatever `reader` gives; the entry stays open.
    pub fn fill_entry(
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

    /// Ends an open file.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn end_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.close(id, Ending::Whole)
    }

    /// Ends an open file whose source changed while it was read; what was read is kept.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn end_changed_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.close(id, Ending::Changed)
    }

    /// Gives an open file up: it will not be in the manifest, and readers drop it.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn abandon_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.close(id, Ending::Abandoned)
    }

    /// Writes what is pending, then directory nodes, manifest, index and tail, and gives back the pipe, which is not
    /// finished yet.
    ///
    /// # Errors
    /// Whatever the pipe gives; two entries under one path; an entry below something that is no directory.
    pub fn finish(mut self) -> io::Result<(W, Summary)> {
        self.usable()?;
        self.flush_batch()?;
        while let Some(done) = self.queue.pop() {
            self.settled.settle(done?)?;
        }
        self.settled.finish(&self.profile)
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
            let fault = crate::path::PathFault::EmptyComponent;
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
        let full = self.pending_size + cost > self.profile.chunk_size();
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

    /// Bytes that the entry's chunk takes; a full chunk is sent off first.
    fn room(&mut self, id: EntryId) -> io::Result<usize> {
        if self.buffers.room(id.0) == 0 {
            self.flush_batch()?;
            let data = self.buffers.take(id.0)?;
            let cost = data.len();
            self.push(Job::Leaf { id: id.0, data }, cost)?;
            self.settled.mark_streamed(id.0);
        }
        Ok(self.buffers.room(id.0))
    }

    fn close(&mut self, id: EntryId, how: Ending) -> io::Result<()> {
        self.open(id)?;
        let data = self.buffers.close(id.0)?;
        if !self.settled.is_streamed(id.0) {
            let Some(entry) = self.settled.forget_entry(id.0) else {
                return Err(Error::new(ErrorKind::NoSuchEntry, self.position()).into());
            };
            if how == Ending::Changed {
                self.settled.changed(&entry.path);
            }
            if how != Ending::Abandoned {
                let size = data.len();
                self.enqueue(entry, Content::Bytes(data), size)?;
            }
            return Ok(());
        }
        if how != Ending::Abandoned && !data.is_empty() {
            let cost = data.len();
            self.push(Job::Leaf { id: id.0, data }, cost)?;
        }
        self.push(Job::End { id: id.0, how }, 0)
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

/// How much [`PackWriter::fill_entry`] reads at once.
const PIECE: usize = 256 << 10;
/// The most bytes that one entry may take in its batch.
const MAX_ENCODED: usize = 900 << 10;
