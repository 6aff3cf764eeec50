//! Reads a pack front to back, from a pipe.

mod ahead;
mod event;

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use carstone_car::Cid;
use carstone_layer::{PackId, default_threads};

pub use event::{Event, Use};

use crate::block_map::{BlockKey, BlockMap};
use crate::entry::{Announced, EntryKind};
use crate::error::{Error, ErrorKind};
use crate::ids::Ids;
use crate::record::{Batch, End, RAW, Record, Resume, Tail, decode, is_record};
use ahead::Ahead;

/// Settings of a [`PackStream`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamOptions {
    threads: usize,
    budget: Option<usize>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { threads: default_threads(), budget: None }
    }
}

impl StreamOptions {
    /// Threads that hash blocks; with 0 or 1 the caller's thread does it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes of blocks read ahead. Default 8 MiB a thread, at least 16 MiB.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    fn bytes_ahead(&self) -> usize {
        self.budget.unwrap_or_else(|| self.threads.clamp(2, 256) * (8 << 20))
    }
}

/// Reads the CAR stream of a pack in order, and says what each block means.
///
/// Nothing behind the current block is needed: a pack that is cut gives everything before the cut, then an error. Every block that
/// is given hashes to its CID.
pub struct PackStream<R> {
    ahead: Ahead<R>,
    pack: PackId,
    events: VecDeque<Event>,
    /// The leaves so far: later entries may refer to them. The numbers mean nothing.
    seen: BlockMap,
    /// Whole files of the last batch whose leaf has not come yet.
    awaited: HashMap<[u8; 32], Vec<Awaited>>,
    open: HashMap<u64, Open>,
    /// Entries announced so far.
    ids: Ids,
    /// To whom the next leaf belongs.
    current: Option<u64>,
    /// Entries announced and not abandoned, and content sections: the tail record counts them too.
    entries: u64,
    blocks: u64,
    has_tail: bool,
    done: bool,
}

/// A whole file on its leaf.
struct Awaited {
    id: u64,
    path: Vec<u8>,
    size: u64,
}

/// A file of several leaves.
struct Open {
    path: Vec<u8>,
    offset: u64,
}

impl<R: Read> PackStream<R> {
    /// Starts to read the CAR stream of the pack `pack`.
    ///
    /// # Errors
    /// The stream does not start with a CARv1 header.
    pub fn open(reader: R, pack: PackId) -> Result<Self, Error> {
        Self::with_options(reader, pack, StreamOptions::default())
    }

    /// Starts to read with other settings than the default.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_options(reader: R, pack: PackId, options: StreamOptions) -> Result<Self, Error> {
        Ok(Self {
            ahead: Ahead::open(reader, options.threads, options.bytes_ahead())?,
            pack,
            events: VecDeque::new(),
            seen: BlockMap::new(SEEN_BUDGET),
            awaited: HashMap::new(),
            open: HashMap::new(),
            ids: Ids::default(),
            current: None,
            entries: 0,
            blocks: 0,
            has_tail: false,
            done: false,
        })
    }

    /// What comes next; `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream is cut or damaged, or breaks the format. All that was given before is good. [`ErrorKind::Unfinished`] when the stream
    /// ends although an entry's content is not complete.
    #[expect(clippy::should_implement_trait, reason = "after an error it must not be called again")]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if self.done {
                return Ok(None);
            }
            match self.ahead.next() {
                Ok(Some((section, data))) => self.section(&section.cid, section.offset, data)?,
                Ok(None) => {
                    self.done = true;
                    self.all_ended()?;
                }
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
            }
        }
    }

    /// Bytes of the CAR stream that have been given out.
    pub fn position(&self) -> u64 {
        self.ahead.position()
    }

    fn section(&mut self, cid: &Cid, at: u64, data: Vec<u8>) -> Result<(), Error> {
        if self.has_tail {
            return Err(Error::new(ErrorKind::BadRecord("sections follow the tail record"), at));
        }
        if is_record(cid, &data, &self.pack) {
            let record = decode(&data, at)?;
            if matches!(record, Record::Batch(_) | Record::Resume(_) | Record::End(_)) {
                self.none_awaited(at)?;
            }
            return match record {
                Record::Batch(batch) => self.batch(batch, at),
                Record::Resume(resume) => self.resume(resume, at),
                Record::End(end) => self.end(end, at),
                Record::Tail(tail) => self.tail(tail, at),
                Record::Manifest | Record::Index | Record::Unknown(_) => Ok(()),
            };
        }
        self.blocks += 1;
        match cid.codec() {
            RAW => self.leaf(cid, at, data),
            _ => Ok(()),
        }
    }

    fn batch(&mut self, batch: Batch, at: u64) -> Result<(), Error> {
        self.current = None;
        self.entries += batch.entries.len() as u64;
        for entry in batch.entries {
            if !self.ids.insert(entry.id) {
                return Err(Error::new(ErrorKind::BadRecord("an id stands twice"), at));
            }
            if entry.kind != EntryKind::File {
                self.events.push_back(Event::Entry(entry));
                continue;
            }
            match entry.root {
                Some(root) => self.whole_file(entry, root, at)?,
                None => {
                    self.current = Some(entry.id);
                    let open = Open { path: entry.path.clone(), offset: 0 };
                    self.open.insert(entry.id, open);
                    self.events.push_back(Event::Entry(entry));
                }
            }
        }
        Ok(())
    }

    fn whole_file(&mut self, entry: Announced, cid: Cid, at: u64) -> Result<(), Error> {
        let digest = leaf_digest(&cid)
            .ok_or_else(|| Error::new(ErrorKind::BadRecord("a root is no raw leaf"), at))?;
        let (id, size) = (entry.id, entry.size.unwrap_or_default());
        let path = entry.path.clone();
        self.events.push_back(Event::Entry(entry));
        if has(&self.seen, digest, at)? {
            self.events.push_back(Event::Reuse { id, offset: 0, cid, len: Some(size) });
            let sha256 = Some(digest);
            self.events.push_back(Event::End { id, size, sha256, changed: false });
        } else {
            self.awaited.entry(digest).or_default().push(Awaited { id, path, size });
        }
        Ok(())
    }

    fn leaf(&mut self, cid: &Cid, at: u64, data: Vec<u8>) -> Result<(), Error> {
        let len = data.len() as u64;
        let (mut uses, mut ends) = (Vec::new(), Vec::new());
        let digest = leaf_digest(cid);
        for file in digest.and_then(|digest| self.awaited.remove(&digest)).unwrap_or_default() {
            if file.size != len {
                return Err(Error::mismatch(&file.path, "the size of its content", at));
            }
            uses.push(Use { id: file.id, offset: 0 });
            ends.push((file.id, len));
        }
        if let Some(id) = self.current
            && let Some(open) = self.open.get_mut(&id)
        {
            uses.push(Use { id, offset: open.offset });
            open.offset = advance(open.offset, len, at)?;
        }
        if let Some(digest) = digest {
            let new = self.seen.insert(BlockKey::leaf(digest), 0);
            new.map_err(|error| Error::io(error, at))?;
        }
        self.events.push_back(Event::Leaf { cid: *cid, data, uses });
        for (id, size) in ends {
            self.events.push_back(Event::End { id, size, sha256: digest, changed: false });
        }
        Ok(())
    }

    fn resume(&mut self, resume: Resume, at: u64) -> Result<(), Error> {
        let bad = |rule| Error::new(ErrorKind::BadRecord(rule), at);
        let open = self.open.get_mut(&resume.id);
        let open = open.ok_or_else(|| bad("a resume record names no open entry"))?;
        if open.offset != resume.offset {
            return Err(Error::mismatch(&open.path, "the offset to go on from", at));
        }
        for leaf in resume.references {
            let known = match leaf_digest(&leaf.cid) {
                Some(digest) => has(&self.seen, digest, at)?,
                None => false,
            };
            if !known {
                let path = open.path.escape_ascii().to_string();
                let cid = Box::new(leaf.cid);
                return Err(Error::new(ErrorKind::MissingBlock { path, cid }, at));
            }
            let (offset, cid, len) = (open.offset, leaf.cid, Some(leaf.len));
            self.events.push_back(Event::Reuse { id: resume.id, offset, cid, len });
            open.offset = advance(open.offset, leaf.len, at)?;
        }
        self.current = Some(resume.id);
        Ok(())
    }

    fn end(&mut self, end: End, at: u64) -> Result<(), Error> {
        self.current = None;
        let open = self.open.remove(&end.id).ok_or_else(|| {
            Error::new(ErrorKind::BadRecord("an end record names no open entry"), at)
        })?;
        if open.path != end.path || open.offset != end.size {
            return Err(Error::mismatch(&open.path, "the path or size in its end record", at));
        }
        self.events.push_back(match end.proof {
            Some((_, sha256)) => {
                let (id, size, sha256) = (end.id, end.size, Some(sha256));
                Event::End { id, size, sha256, changed: end.changed }
            }
            None => {
                self.entries -= 1;
                Event::Abandoned { id: end.id }
            }
        });
        Ok(())
    }

    /// The tail counts what went before. The codec of a section is covered by no hash: a record that lost it would be missing without a
    /// trace.
    fn tail(&mut self, tail: Tail, at: u64) -> Result<(), Error> {
        self.has_tail = true;
        // An entry whose content is not complete is the better thing to tell, at the end.
        if self.open.is_empty() && tail.entries != self.entries {
            return Err(Error::mismatch(b"pack", "the number of entries", at));
        }
        if tail.blocks != self.blocks {
            return Err(Error::mismatch(b"pack", "the number of blocks", at));
        }
        self.events.push_back(Event::Tail(tail));
        Ok(())
    }

    /// Whole files come before the next record that says whose the leaves are.
    fn none_awaited(&self, at: u64) -> Result<(), Error> {
        none_unfinished(self.awaited.values().flatten().map(|file| &file.path), at)
    }

    /// At the end no entry may wait for content.
    fn all_ended(&self) -> Result<(), Error> {
        let open = self.open.values().map(|open| &open.path);
        let awaited = self.awaited.values().flatten().map(|file| &file.path);
        none_unfinished(open.chain(awaited), self.position())
    }
}

fn none_unfinished<'a>(paths: impl Iterator<Item = &'a Vec<u8>>, at: u64) -> Result<(), Error> {
    match paths.min() {
        None => Ok(()),
        Some(path) => {
            let path = path.escape_ascii().to_string();
            Err(Error::new(ErrorKind::Unfinished { path }, at))
        }
    }
}

fn has(seen: &BlockMap, leaf: [u8; 32], at: u64) -> Result<bool, Error> {
    let found = seen.get(&BlockKey::leaf(leaf));
    Ok(found.map_err(|error| Error::io(error, at))?.is_some())
}

fn advance(offset: u64, len: u64, at: u64) -> Result<u64, Error> {
    offset
        .checked_add(len)
        .ok_or_else(|| Error::new(ErrorKind::BadRecord("a file offset overflows"), at))
}

/// The digest of a raw leaf under SHA-256, which is also that of its content.
fn leaf_digest(cid: &Cid) -> Option<[u8; 32]> {
    let is_leaf = cid.codec() == RAW && cid.hash().code() == SHA2_256;
    cid.hash().digest().try_into().ok().filter(|_| is_leaf)
}

const SHA2_256: u64 = 0x12;
/// Memory for the leaves so far, before they spill.
const SEEN_BUDGET: usize = 16 << 20;
