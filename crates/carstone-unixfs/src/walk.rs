//! Visits every entry below a root.

use std::io;

use carstone_car::Cid;

use crate::decode::{DAG_PB, Node, RAW, decode};
use crate::error::{Error, ErrorKind};
use crate::frame::{Budget, Frame, Item, Listing, Stack};
use crate::hamt::Prefix;
use crate::limits::Limits;
use crate::metadata::Metadata;
use crate::name::{NameFault, check_name};
use crate::source::{BlockSource, fetch, fetch_needed, fetch_size};

/// An entry of a tree.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Names from the root down, joined by slashes; empty for the root itself. Any bytes: safe to join to a
    /// directory only where `state` is [`State::Present`].
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Its root block.
    pub cid: Cid,
    /// Bytes of content of a file, bytes of the target of a symlink, 0 of a directory; `None` if unknown.
    pub size: Option<u64>,
    /// Permission bits, if stored.
    pub mode: Option<u32>,
    /// Seconds since 1970 and nanoseconds, if stored.
    pub mtime: Option<(i64, u32)>,
    /// Whether the entry can be used.
    pub state: State,
}

impl Entry {
    /// The last step of the path; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A file; [`FileReader`](crate::FileReader) reads it.
    File,
    /// A directory, sharded or not.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points, as stored: any bytes, never to be trusted.
        target: Vec<u8>,
    },
    /// A missing or damaged part of a sharded directory, whose path this entry has. The names in it are
    /// unknown.
    Shard,
    /// Not UnixFS.
    Other {
        /// The codec of the CID.
        codec: u64,
    },
    /// The block that would tell is missing or damaged.
    Unknown,
}

/// Whether an entry can be used. Only a present directory is entered.
#[derive(Debug)]
#[non_exhaustive]
pub enum State {
    /// Its root block is there and sound. Blocks below are yet to be read.
    Present,
    /// Its root block is not in the source.
    Missing,
    /// Its root block is not what it should be, or not what its CID says.
    Damaged(Error),
    /// Its name must not reach a file system. The path ends in that name as stored, or is that of the directory
    /// where it would be [too long](NameFault::TooLong).
    BadName(NameFault),
    /// An earlier entry of the same directory has the same name.
    Duplicate,
    /// It stands where no look-up would find it, since its name hashes to another shard.
    Misplaced,
}

/// How a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Into the entry if it is a directory, else to the next.
    Into,
    /// To the next entry; a directory is not entered.
    Over,
    /// No further.
    Stop,
}

/// Visits the root and everything below it: parents before children, entries in stored order, the entries of
/// sharded directories as if they stood in one.
///
/// What is missing, damaged or badly named is visited too, with the reason in its [`State`], and the walk
/// goes on. Errors are a failing source, a failing visitor, and a used up budget. A source that says that a
/// block is [damaged](ErrorKind::Damaged) has not failed.
pub fn walk<S: BlockSource + ?Sized>(
    source: &S,
    root: &Cid,
    limits: &Limits,
    visit: &mut dyn FnMut(Entry) -> io::Result<Step>,
) -> Result<(), Error> {
    let (mut budget, mut stack) = (Budget::new(limits), Stack::default());
    let mut path = Vec::new();
    let mut next = Some((*root, None, None));
    while let Some((cid, place, fault)) = next {
        budget.spend(&cid)?;
        let (visited, frame) = match place {
            Some(prefix) => enter_shard(source, &cid, prefix, &path, limits)?,
            None => {
                let (mut entry, frame) = examine(source, &cid, path.clone(), limits)?;
                let bad = fault.is_some();
                entry.state = fault.unwrap_or(entry.state);
                (Some(entry), frame.filter(|_| !bad))
            }
        };
        let step = visited.map_or(Ok(Step::Into), &mut *visit)?;
        match (step, frame) {
            (Step::Stop, _) => return Ok(()),
            (Step::Into, Some(frame)) => stack.push(&cid, frame, limits)?,
            (Step::Into, None) | (Step::Over, _) => {}
        }
        next = advance(&mut stack, &mut path, limits);
    }
    Ok(())
}

/// A link to follow: for a shard where it stands, for an entry what is wrong with its name.
type Next = (Cid, Option<Prefix>, Option<State>);

/// Takes the next link of the innermost directory that has one left, and makes `path` its path.
fn advance(stack: &mut Stack, path: &mut Vec<u8>, limits: &Limits) -> Option<Next> {
    loop {
        let top = stack.top()?;
        path.truncate(top.path_len);
        match top.next() {
            None => stack.pop(),
            Some(Item::Shard(prefix, link)) => return Some((link.cid, Some(prefix), None)),
            Some(Item::Entry { link, duplicate, misplaced }) => {
                let mut fault = check_name(link.name).err();
                let slash = usize::from(!path.is_empty());
                if path.len() + slash + link.name.len() > limits.path {
                    fault = Some(NameFault::TooLong); // The path stays that of the directory.
                } else {
                    path.extend_from_slice(&b"/"[..slash]);
                    path.extend_from_slice(link.name);
                }
                let state = match fault {
                    Some(fault) => Some(State::BadName(fault)),
                    None if duplicate => Some(State::Duplicate),
                    None if misplaced => Some(State::Misplaced),
                    None => None,
                };
                return Some((link.cid, None, state));
            }
        }
    }
}

/// Looks at the root block of an entry. A directory comes with its frame.
pub(crate) fn examine<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
    path: Vec<u8>,
    limits: &Limits,
) -> Result<(Entry, Option<Frame>), Error> {
    let (kind, state) = (EntryKind::Unknown, State::Missing);
    let mut entry = Entry { path, kind, cid: *cid, size: None, mode: None, mtime: None, state };
    if cid.codec() != DAG_PB {
        // A raw leaf is a file as it is: its length is all there is to know, and its block may be large.
        entry.kind = match cid.codec() {
            RAW => EntryKind::File,
            codec => EntryKind::Other { codec },
        };
        let size = entry.found(fetch_size(source, cid))?;
        let Some(size) = size else { return Ok((entry, None)) };
        entry.size = (cid.codec() == RAW).then_some(size);
        entry.state = State::Present;
        return Ok((entry, None));
    }
    let Some(block) = entry.found(fetch(source, cid))? else { return Ok((entry, None)) };
    let listing = match decode(cid, &block).and_then(|node| {
        let listing = Listing::of(&node, Prefix::default(), limits)?;
        Ok((node, listing))
    }) {
        Ok((node, listing)) => {
            entry.describe(&node);
            entry.state = State::Present;
            listing
        }
        Err(error) => {
            entry.state = State::Damaged(error.within(cid));
            None
        }
    };
    let path_len = entry.path.len();
    Ok((entry, listing.map(|listing| listing.over(block, path_len))))
}

/// Opens a part of the directory that `path` is. Where that fails, an entry tells so.
fn enter_shard<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
    prefix: Prefix,
    path: &[u8],
    limits: &Limits,
) -> Result<(Option<Entry>, Option<Frame>), Error> {
    let state = match open_shard(source, cid, prefix, path.len(), limits) {
        Ok(frame) => return Ok((None, Some(frame))),
        Err(error) => match error.kind() {
            ErrorKind::Io(_) => return Err(error),
            ErrorKind::Missing => State::Missing,
            _ => State::Damaged(error),
        },
    };
    let (path, kind) = (path.to_vec(), EntryKind::Shard);
    Ok((Some(Entry { path, kind, cid: *cid, size: None, mode: None, mtime: None, state }), None))
}

/// Opens a shard below the top one.
pub(crate) fn open_shard<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
    prefix: Prefix,
    path_len: usize,
    limits: &Limits,
) -> Result<Frame, Error> {
    let block = fetch_needed(source, cid)?;
    let listing = match decode(cid, &block)? {
        node @ Node::Shard(_) => {
            Listing::of(&node, prefix, limits).map_err(|error| error.within(cid))?
        }
        _ => None,
    };
    let wrong =
        || Error::malformed("a link of a shard without a name leads to no shard", 0).within(cid);
    Ok(listing.ok_or_else(wrong)?.over(block, path_len))
}

impl Entry {
    /// Notes that the block is damaged, where the source says so.
    fn found<T>(&mut self, fetched: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        match fetched {
            Err(error) if matches!(error.kind(), ErrorKind::Damaged(_)) => {
                self.state = State::Damaged(error);
                Ok(None)
            }
            fetched => fetched,
        }
    }

    fn describe(&mut self, node: &Node<'_>) {
        let (kind, size, metadata) = match node {
            Node::Raw(data) => (EntryKind::File, Some(data.len() as u64), Metadata::default()),
            Node::File(file) => (EntryKind::File, Some(file.size), file.metadata),
            Node::Directory { metadata, .. } => (EntryKind::Directory, Some(0), *metadata),
            Node::Shard(shard) => (EntryKind::Directory, Some(0), shard.metadata),
            Node::Symlink { target, metadata } => {
                let size = target.len() as u64;
                (EntryKind::Symlink { target: target.to_vec() }, Some(size), *metadata)
            }
            Node::Other { codec } => {
                (EntryKind::Other { codec: *codec }, None, Metadata::default())
            }
        };
        (self.kind, self.size) = (kind, size);
        (self.mode, self.mtime) = (metadata.mode, metadata.mtime);
    }
}
