//! A directory or shard that is being listed: its block, and how far the listing has come.

use carstone_car::Cid;

use crate::dag_pb::{Links, NodeLink};
use crate::decode::Node;
use crate::error::{Error, ErrorKind};
use crate::hamt::{Place, Prefix, hash_name};
use crate::limits::Limits;

/// Keeps the block and reads link after link from it, which takes less memory than a list of links.
#[derive(Debug)]
pub(crate) struct Frame {
    block: Vec<u8>,
    cursor: (usize, usize),
    place: Option<Place>,
    /// Cursors of links whose name an earlier link has.
    duplicates: Vec<usize>,
    /// Length of the path of the directory.
    pub path_len: usize,
}

/// What a link leads to.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// A shard of the same directory.
    Shard(Prefix, NodeLink<'a>),
    /// An entry, whose link name is now the entry name.
    Entry { link: NodeLink<'a>, duplicate: bool, misplaced: bool },
}

/// Where a link of a directory begins, so that `block` can be moved into its [`Frame`].
#[derive(Debug)]
pub(crate) struct Listing {
    cursor: (usize, usize),
    place: Option<Place>,
    duplicates: Vec<usize>,
}

impl Listing {
    /// Of a directory or shard; `None` of any other node. `above` is where a shard stands.
    pub(crate) fn of(
        node: &Node<'_>,
        above: Prefix,
        limits: &Limits,
    ) -> Result<Option<Self>, Error> {
        match node {
            Node::Directory { links, .. } => {
                let duplicates = duplicates(links.clone());
                Ok(Some(Self { cursor: links.cursor(), place: None, duplicates }))
            }
            Node::Shard(shard) => {
                if shard.fanout > limits.fanout {
                    return Err(Error::new(ErrorKind::BadFanout(shard.fanout as u64)));
                }
                let place = Place::new(above, shard.fanout);
                let place = place
                    .ok_or_else(|| Error::malformed("a shard lies deeper than hashes reach", 0))?;
                // Equal names have equal slots, and the slots of a shard differ: no duplicates but misplaced ones.
                Ok(Some(Self {
                    cursor: shard.links.cursor(),
                    place: Some(place),
                    duplicates: Vec::new(),
                }))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn over(self, block: Vec<u8>, path_len: usize) -> Frame {
        let Self { cursor, place, duplicates } = self;
        Frame { block, cursor, place, duplicates, path_len }
    }
}

impl Frame {
    /// The next link, or `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Item<'_>> {
        let mut links = Links::resume(&self.block, self.cursor);
        let at = self.cursor.0;
        let mut link = links.next()?;
        self.cursor = links.cursor();
        let Some(place) = self.place else {
            let duplicate = self.duplicates.binary_search(&at).is_ok();
            return Some(Item::Entry { link, duplicate, misplaced: false });
        };
        let (prefix, name) = place.split(link.name)?; // `decode` has split every name once.
        link.name = name;
        if name.is_empty() {
            return Some(Item::Shard(prefix, link));
        }
        let misplaced = place.prefix_of(hash_name(name)) != prefix;
        Some(Item::Entry { link, duplicate: false, misplaced })
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.block.len() + self.duplicates.len() * size_of::<usize>()
    }
}

/// Directories as programs write them are sorted, which shows without further memory that no name repeats.
fn duplicates(links: Links<'_>) -> Vec<usize> {
    if links.clone().map(|link| link.name).is_sorted_by(|a, b| a < b) {
        return Vec::new();
    }
    let (mut links, mut names) = (links, Vec::new());
    loop {
        let at = links.cursor().0;
        let Some(link) = links.next() else { break };
        names.push((link.name, at));
    }
    names.sort_unstable();
    let repeated = names.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
    let mut repeated = repeated.collect::<Vec<_>>();
    repeated.sort_unstable();
    repeated
}

/// What is left of the links that may be followed or listed.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.nodes }
    }

    /// Pays for one link.
    pub(crate) fn spend(&mut self, cid: &Cid) -> Result<(), Error> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| Error::new(ErrorKind::Limit("nodes")).within(cid))?;
        Ok(())
    }
}

/// Frames from the root down, within the limits on depth and memory.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    frames: Vec<Frame>,
    held: usize,
}

impl Stack {
    pub(crate) fn push(&mut self, cid: &Cid, frame: Frame, limits: &Limits) -> Result<(), Error> {
        self.held = self.held.saturating_add(frame.memory());
        self.frames.push(frame);
        let limit = match () {
            () if self.frames.len() > limits.depth => "depth",
            () if self.held > limits.memory => "memory",
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::Limit(limit)).within(cid))
    }

    pub(crate) fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.held = self.held.saturating_sub(frame.memory());
        }
    }

    pub(crate) fn top(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }
}
