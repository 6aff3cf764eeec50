//! What the hashing pool does: reads small files and computes CIDs, off the writing thread.

use std::io;

use carstone_unixfs::{Cid, Leaf, Profile};

use crate::entry::Announced;

/// Where the content of a small file comes from.
pub(crate) enum Content {
    /// Bytes that are already there, and are one chunk; they may have been verified under this CID.
    Bytes(Vec<u8>, Option<Cid>),
    /// Read by the worker. Gives one chunk, and whether the source turned out to be longer or to have changed.
    Open(Box<dyn FnOnce() -> io::Result<(Vec<u8>, bool)> + Send>),
    /// An entry without content.
    None,
}

/// An entry of a batch on its way to the pack.
pub(crate) struct Pending {
    pub(crate) entry: Announced,
    pub(crate) content: Content,
}

/// Work for the pool, in the order of the pack.
pub(crate) enum Job {
    /// Entries that are announced together.
    Batch(Vec<Pending>),
    /// One chunk of an entry of its own, which may have been verified under this CID.
    Leaf { id: u64, data: Vec<u8>, verified: Option<Cid> },
    /// Ends an entry of its own.
    End { id: u64, how: Ending },
}

/// How an entry ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All its content is there.
    Whole,
    /// All is there, but the source changed meanwhile.
    Changed,
    /// Reading failed; the entry does not count.
    Abandoned,
}

/// An entry whose content is known.
pub(crate) struct Hashed {
    pub(crate) entry: Announced,
    /// The block of the leaf, for files.
    pub(crate) data: Vec<u8>,
    pub(crate) changed: bool,
}

/// A finished job.
pub(crate) enum Done {
    Batch(Vec<Result<Hashed, Box<(Announced, io::Error)>>>),
    Leaf { id: u64, leaf: Leaf },
    End { id: u64, how: Ending },
}

/// Does the work of one job.
pub(crate) fn work(profile: &Profile, job: Job) -> Done {
    match job {
        Job::Batch(entries) => {
            Done::Batch(entries.into_iter().map(|entry| hash(profile, entry)).collect())
        }
        Job::Leaf { id, data, verified } => Done::Leaf { id, leaf: leaf(profile, data, verified) },
        Job::End { id, how } => Done::End { id, how },
    }
}

fn hash(profile: &Profile, pending: Pending) -> Result<Hashed, Box<(Announced, io::Error)>> {
    let mut entry = pending.entry;
    let mut verified = None;
    let (data, changed) = match pending.content {
        Content::None => return Ok(Hashed { entry, data: Vec::new(), changed: false }),
        Content::Bytes(data, cid) => {
            verified = cid;
            (data, false)
        }
        Content::Open(open) => match open() {
            Ok(content) => content,
            Err(error) => return Err(Box::new((entry, error))),
        },
    };
    let leaf = leaf(profile, data, verified);
    entry.size = Some(leaf.size);
    entry.root = Some(leaf.cid);
    Ok(Hashed { entry, data: leaf.block, changed })
}

fn leaf(profile: &Profile, data: Vec<u8>, verified: Option<Cid>) -> Leaf {
    match verified {
        Some(cid) => profile.danger_verified_leaf(&cid, data),
        None => profile.leaf(data),
    }
}
