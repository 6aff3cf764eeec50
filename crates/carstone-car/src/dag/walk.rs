//! Going through a DAG, block by block.

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;
use std::vec;

use super::blocks::{Blocks, fetch, fetch_size, is_inline};
use super::error::{Budget, DagError, DagErrorKind, Result};
use super::node::{can_have_links, links};
use super::options::WalkOptions;
use super::seen::Seen;
use super::selector::{Link, State, select};
use crate::Cid;

/// Visits the blocks of a DAG depth-first: a block before those that it links to, and these in the order of its links, each with all below
/// it. That is the order of `car-order=dfs` and `dag-scope=all` of the [trustless gateway](https://specs.ipfs.tech/http-gateways/trustless-gateway/),
/// and of `TraverseV1` and `SelectiveCar` of go-car.
///
/// Each block is visited once, where it is first needed, unless [duplicates](WalkOptions::duplicates) are asked for. CIDs are told apart as
/// they are, with version and codec. Blocks in identity CIDs are visited as all others, without being asked of the source.
///
/// [Errors that concern one block](DagError::is_block_error), such as a missing one, do not end the walk: it goes on without what is below.
/// All others do. Memory is that of the links on the way and of the CIDs that have been seen, both
/// [bounded](super::WalkLimits); nothing recurses.
///
/// ```
/// use std::collections::HashMap;
/// use carstone_car::{cid_of, codec};
/// use carstone_car::dag::{Walk, WalkOptions};
/// let (leaf, data) = (cid_of(codec::RAW, b"hello"), b"hello".to_vec());
/// let node = format!(r#"[{{"/": "{leaf}"}}, {{"/": "{leaf}"}}]"#).into_bytes();
/// let root = cid_of(codec::DAG_JSON, &node);
/// let blocks = HashMap::from([(leaf, data), (root, node)]);
///
/// let walk = Walk::new(&blocks, &[root], WalkOptions::default());
/// let visited = walk.map(|visit| visit.map(|visit| visit.cid)).collect::<Result<Vec<_>, _>>();
/// assert_eq!(visited?, [root, leaf]);
/// # Ok::<(), carstone_car::dag::DagError>(())
/// ```
pub struct Walk<'b, B: ?Sized> {
    blocks: &'b B,
    options: WalkOptions,
    stack: Vec<Frame>,
    /// Links in the stack that are yet to be followed.
    waiting: usize,
    /// What has been visited; with a selector, together with where in it.
    seen: Seen,
    /// With a selector: the CIDs alone.
    handed_out: Seen,
    visited: u64,
    bytes: u64,
    ended: bool,
}

/// A block that a [`Walk`] has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visit<'b> {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes, believed to be what the CID says. `None` if they were [left where they are](WalkOptions::leave_leaves).
    pub data: Option<Cow<'b, [u8]>>,
    /// Their length.
    pub len: u64,
    /// Blocks on the way from the root: 0 for a root.
    pub depth: usize,
    /// Whether links were looked for. False for blocks of a codec that is not known, where [that is fine](WalkOptions::unknown_is_leaf).
    pub links_known: bool,
}

impl Visit<'_> {
    /// Whether the CID carries the block itself, so that it need not be stored.
    pub fn is_inline(&self) -> bool {
        is_inline(&self.cid)
    }
}

/// A block on the way, or the list of roots.
struct Frame {
    /// `None` for the list of roots.
    cid: Option<Cid>,
    links: vec::IntoIter<Link>,
    /// Links that have been followed.
    followed: u64,
}

impl<'b, B: Blocks + ?Sized> Walk<'b, B> {
    /// A walk from these roots, one after the other.
    pub fn new(blocks: &'b B, roots: &[Cid], options: WalkOptions) -> Self {
        let selector = options.selector.as_ref();
        let state = selector.and_then(State::start);
        let roots = roots.iter().map(|&cid| Link { cid, state: state.clone() });
        let roots: Vec<_> = roots.collect();
        let limit = options.limits.seen;
        Walk {
            blocks,
            options,
            waiting: roots.len(),
            stack: vec![Frame { cid: None, links: roots.into_iter(), followed: 0 }],
            seen: Seen::new(limit),
            handed_out: Seen::new(limit),
            visited: 0,
            bytes: 0,
            ended: false,
        }
    }

    /// The number of blocks visited, each time that one was, missing ones included.
    pub fn visited(&self) -> u64 {
        self.visited
    }

    /// The length of the blocks visited, each time that one was, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The way to the block that was visited last, each number counted from 0: which root, which of its links, and so on.
    pub fn path(&self) -> Vec<u64> {
        let followed = self.stack.iter().filter_map(|frame| frame.followed.checked_sub(1));
        followed.collect()
    }

    /// The blocks on the way to the one that was visited last, from its root to the one that links to it.
    pub fn ancestors(&self) -> impl Iterator<Item = &Cid> {
        self.stack.iter().filter(|frame| frame.followed > 0).filter_map(|frame| frame.cid.as_ref())
    }

    /// Takes the next link, and does what is to be done with it. `None`: nothing is to be handed out.
    fn step(&mut self, link: &Link) -> Result<Option<Visit<'b>>> {
        let depth = self.stack.len().saturating_sub(1);
        let is_new = self.is_new(link)?;
        if is_new == New::Nothing {
            return Ok(None);
        }
        let limits = self.options.limits;
        if self.visited >= limits.blocks {
            return Err(DagError::over(Budget::Blocks, limits.blocks));
        }
        self.visited += 1;
        let leaf = can_have_links(link.cid.codec()) == Some(false);
        let found = match leaf && self.options.leave_leaves {
            true => fetch_size(self.blocks, &link.cid)?.map(|len| (None, len)),
            false => fetch(self.blocks, &link.cid)?.map(|data| {
                let len = data.len() as u64;
                (Some(data), len)
            }),
        };
        let (data, len) = found.ok_or_else(|| DagError::new(DagErrorKind::Missing))?;
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > limits.bytes {
            return Err(DagError::over(Budget::Bytes, limits.bytes));
        }
        let links_known = match (leaf, &data) {
            (false, Some(data)) => self.enter(link, data, depth)?,
            _ => true,
        };
        let visit = Visit { cid: link.cid, data, len, depth, links_known };
        Ok((is_new == New::Block).then_some(visit))
    }

    /// Puts the links of a block on the stack, and says whether they are known.
    fn enter(&mut self, link: &Link, data: &[u8], depth: usize) -> Result<bool> {
        let limits = self.options.limits;
        let links = match self.links(link, data) {
            Err(error)
                if self.options.unknown_is_leaf
                    && matches!(error.kind(), DagErrorKind::UnknownCodec(_)) =>
            {
                return Ok(false);
            }
            links => links?,
        };
        if links.is_empty() {
            return Ok(true);
        }
        if depth >= limits.depth {
            return Err(DagError::over(Budget::Depth, limits.depth as u64));
        }
        self.waiting = self.waiting.saturating_add(links.len());
        if self.waiting > limits.waiting {
            return Err(DagError::over(Budget::Waiting, limits.waiting as u64));
        }
        self.stack.push(Frame { cid: Some(link.cid), links: links.into_iter(), followed: 0 });
        Ok(true)
    }

    fn links(&self, link: &Link, data: &[u8]) -> Result<Vec<Link>> {
        let limits = &self.options.limits.node;
        match (&self.options.selector, &link.state) {
            (Some(selector), Some(state)) => select(selector, state, &link.cid, data, limits),
            (Some(_), None) => Ok(Vec::new()),
            (None, _) => {
                let links = links(&link.cid, data, limits)?;
                Ok(links.into_iter().map(|cid| Link { cid, state: None }).collect())
            }
        }
    }

    fn is_new(&mut self, link: &Link) -> Result<New> {
        if self.options.duplicates {
            return Ok(New::Block);
        }
        let Some(state) = &link.state else {
            return Ok(if self.seen.insert(&link.cid)? { New::Block } else { New::Nothing });
        };
        // A block that is come to in another state of the selector may lead to others.
        Ok(match self.seen.insert_with(&link.cid, &state.to_bytes())? {
            false => New::Nothing,
            true if self.handed_out.insert(&link.cid)? => New::Block,
            true => New::Links,
        })
    }

    /// The same error, with where it happened.
    fn place(&self, error: DagError, link: &Link, depth: usize) -> DagError {
        let frames = self.stack.get(..=depth).unwrap_or(&self.stack);
        let path = frames.iter().filter_map(|frame| frame.followed.checked_sub(1)).collect();
        let parent = frames.last().and_then(|frame| frame.cid);
        error.within(&link.cid).on_the_way(parent, path)
    }
}

/// What of a link has not been visited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum New {
    Block,
    Links,
    Nothing,
}

impl<'b, B: Blocks + ?Sized> Iterator for Walk<'b, B> {
    type Item = Result<Visit<'b>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let depth = self.stack.len().saturating_sub(1);
            let top = self.stack.last_mut()?;
            let Some(link) = top.links.next() else {
                self.stack.pop();
                continue;
            };
            top.followed += 1;
            self.waiting = self.waiting.saturating_sub(1);
            match self.step(&link) {
                Ok(None) => {}
                Ok(Some(visit)) => return Some(Ok(visit)),
                Err(error) => {
                    self.ended = !error.is_block_error();
                    return Some(Err(self.place(error, &link, depth)));
                }
            }
        }
        None
    }
}

impl<B: Blocks + ?Sized> FusedIterator for Walk<'_, B> {}

impl<B: ?Sized> fmt::Debug for Walk<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("options", &self.options)
            .field("visited", &self.visited)
            .field("bytes", &self.bytes)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
