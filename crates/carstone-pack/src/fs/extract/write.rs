//! What the pool does for an extraction from a stream: writes leaves where they are content, and keeps them where nothing else does.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::output::{Output, Piece};
use super::parts::Lacks;
use super::places::{Digest, Placed, Spool};
use crate::entry::Announced;
use crate::error::Error;
use crate::fs::restore::{RestoreError, RestoreErrorKind, RestoreEvent, Restorer};

/// Work for the pool, in the order of the stream.
pub(super) enum Job {
    Leaves(Vec<Leaf>),
    /// All pieces of a long file are on their way.
    End {
        output: Arc<Output>,
        id: u64,
        size: u64,
        sha256: Option<Digest>,
    },
    /// Nothing more comes of a long file.
    Incomplete {
        output: Arc<Output>,
        id: u64,
        lacks: Lacks,
        keep: bool,
    },
    /// Waits for its turn only: all that stands before it is then there.
    Link(Box<Announced>),
}

/// Bytes that are content of something.
pub(super) struct Leaf {
    pub(super) digest: Digest,
    pub(super) source: Source,
    /// Files of which it is all.
    pub(super) whole: Vec<Announced>,
    /// Files of which it is a part.
    pub(super) pieces: Vec<Part>,
}

/// A part of a long file.
pub(super) struct Part {
    pub(super) id: u64,
    pub(super) piece: Piece,
    pub(super) offset: u64,
    /// Length that a record states.
    pub(super) len: Option<u64>,
}

/// Where the bytes come from.
pub(super) enum Source {
    /// From the stream, for the first time.
    New(Arc<Vec<u8>>),
    /// From the stream, a moment ago.
    Known(Arc<Vec<u8>>),
    /// Written before; `Output` if that file is still under construction.
    Back { len: u64, placed: Placed, output: Option<Arc<Output>> },
    /// Nowhere to be found.
    Lost,
}

/// What came of a job.
#[derive(Default)]
pub(super) struct Done {
    pub(super) events: Vec<RestoreEvent>,
    pub(super) restored: Vec<u64>,
    /// Whole files that are not there, with their digest.
    pub(super) left_out: Vec<(u64, Digest, u64)>,
    /// Leaves that were new, and where they are now.
    pub(super) placed: Vec<(Digest, u64, Option<Placed>)>,
    pub(super) ended: Option<u64>,
    pub(super) link: Option<Announced>,
}

/// What the pool's threads share.
pub(super) struct Writer {
    pub(super) restorer: Arc<Restorer>,
    pub(super) spool: Arc<Spool>,
    /// The first failure of the spool, to be told once.
    pub(super) spool_failed: Mutex<Option<std::io::Error>>,
}

impl Writer {
    pub(super) fn work(&self, job: Job) -> Done {
        let mut done = Done::default();
        match job {
            Job::Leaves(leaves) => leaves.into_iter().for_each(|leaf| self.leaf(leaf, &mut done)),
            Job::End { output, id, size, sha256 } => {
                let events = &mut done.events;
                let told = &mut |event| events.push(event);
                if output.finish(&self.restorer, size, sha256.as_ref(), told) {
                    done.restored.push(id);
                }
                done.ended = Some(id);
            }
            Job::Incomplete { output, id, lacks, keep } => {
                let events = &mut done.events;
                let told = &mut |event| events.push(event);
                output.give_up(&self.restorer, lacks, &self.spool, keep, told);
                done.ended = Some(id);
            }
            Job::Link(entry) => done.link = Some(*entry),
        }
        done
    }

    fn leaf(&self, leaf: Leaf, done: &mut Done) {
        let Leaf { digest, source, whole, pieces } = leaf;
        let is_new = matches!(source, Source::New(_));
        let data = match self.fetch(&digest, source) {
            Some(data) => data,
            None => return lose(&digest, whole, pieces, done),
        };
        let len = data.len() as u64;
        let mut placed = None;
        for entry in whole {
            let (path, metadata) = (&entry.path, &entry.metadata);
            if entry.size != Some(len) {
                let error = Error::mismatch(path, "the size of its content", 0).into();
                done.events.push(RestoreEvent::Problem { path: entry.path, error });
                continue;
            }
            let events = &mut done.events;
            if !self.restorer.file(path, metadata, &data, &mut |event| events.push(event)) {
                done.left_out.push((entry.id, digest, len));
                continue;
            }
            done.restored.push(entry.id);
            if is_new && placed.is_none() && is_readable(metadata.mode) {
                let place = self.restorer.stripped(path).unwrap_or_default().to_vec();
                placed = Some(Placed::File { id: entry.id, place, offset: 0 });
            }
            done.events.push(RestoreEvent::Progress { bytes: len });
        }
        for part in pieces {
            if part.len.is_some_and(|stated| stated != len) {
                let path = part.piece.path();
                part.piece.fail(Error::mismatch(&path, "the size of a leaf", 0).into());
                continue;
            }
            if !part.piece.write(Arc::clone(&data), part.offset) {
                continue;
            }
            if is_new && placed.is_none() && is_readable(part.piece.mode()) {
                let place = part.piece.place();
                placed = Some(Placed::File { id: part.id, place, offset: part.offset });
            }
            done.events.push(RestoreEvent::Progress { bytes: len });
        }
        if is_new {
            let placed = placed.or_else(|| self.keep(&data).map(|offset| Placed::Spool { offset }));
            done.placed.push((digest, len, placed));
        }
    }

    /// Puts `data` into the spool, and gives where.
    pub(super) fn keep(&self, data: &[u8]) -> Option<u64> {
        match self.spool.keep(data) {
            Ok(offset) => Some(offset),
            Err(error) => {
                let mut failed = self.spool_failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
                None
            }
        }
    }

    /// The bytes of a leaf; `None` when they cannot be had, or are not what they were.
    pub(super) fn fetch(&self, digest: &Digest, source: Source) -> Option<Arc<Vec<u8>>> {
        let (len, placed, output) = match source {
            Source::New(data) | Source::Known(data) => return Some(data),
            Source::Lost => return None,
            Source::Back { len, placed, output } => (len, placed, output),
        };
        // It was written, so it was in memory before.
        let mut data = vec![0; usize::try_from(len).ok()?];
        match (placed, output) {
            (Placed::Spool { offset }, _) => self.spool.read(&mut data, offset).ok()?,
            (Placed::File { offset, .. }, Some(output)) => {
                output.read_at(&mut data, offset).ok()?
            }
            (Placed::File { place, offset, .. }, None) => {
                let file = self.restorer.open_placed(&place).ok()?;
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut data, offset).ok()?;
            }
        }
        // Others may have written to the file since.
        (Sha256::digest(&data)[..] == digest[..]).then(|| Arc::new(data))
    }
}

/// The bytes of a leaf that was given before are gone.
fn lose(digest: &Digest, whole: Vec<Announced>, pieces: Vec<Part>, done: &mut Done) {
    for entry in whole {
        done.events.push(RestoreEvent::Problem { path: entry.path, error: lost(digest) });
    }
    for part in pieces {
        part.piece.fail(lost(digest));
    }
}

pub(super) fn lost(digest: &Digest) -> RestoreError {
    use carstone_unixfs::Cid;
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend_from_slice(digest);
    // These bytes are a raw leaf's CID, whatever the digest.
    let cid = Cid::try_from(bytes).unwrap_or_default();
    RestoreError::new(RestoreErrorKind::LostBlock(Box::new(cid)))
}

/// Whether what is restored with this mode can be read back by its owner.
fn is_readable(mode: Option<u32>) -> bool {
    mode.is_none_or(|mode| mode & 0o400 != 0)
}
