//! The blocks that somebody needs who wants one file, a part of it, or one directory.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::str::FromStr;

use carstone_car::Cid;
use carstone_car::dag::{DagError, DagErrorKind, Walk, WalkOptions, blocks_from_fn};

use crate::BlockSink;
use crate::content::check_file;
use crate::decode::{Node, decode};
use crate::error::{Error, ErrorKind};
use crate::inline::is_inline;
use crate::limits::Limits;
use crate::lookup::{directory_links, resolve};
use crate::reader::FileReader;
use crate::source::{BlockSource, fetch_needed};

/// How much of a DAG is wanted: the parameter `dag-scope` of the
/// [trustless gateway](https://specs.ipfs.tech/http-gateways/trustless-gateway/).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DagScope {
    /// The block of the entry alone.
    Block,
    /// Of a file, all of it; of a directory, what it takes to list it; of anything else, its block.
    Entity,
    /// All that the entry links to, and so on.
    #[default]
    All,
}

/// A part of a file in bytes: the parameter `entity-bytes` of the trustless gateway, `FROM:TO`, both included.
///
/// ```
/// use carstone_unixfs::EntityBytes;
/// let last: EntityBytes = "-100:*".parse().unwrap();
/// assert_eq!(last.within(1000), Some(900..1000));
/// let middle: EntityBytes = "10:-11".parse().unwrap();
/// assert_eq!(middle.within(100), Some(10..90));
/// assert_eq!(middle.within(5), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntityBytes {
    /// The first byte; a negative number counts from the end, -1 being the last byte.
    pub from: i64,
    /// The last byte, counted likewise; `None` (`*`) is the end.
    pub to: Option<i64>,
}

impl EntityBytes {
    /// The part that there is of it in a file of so many bytes, or `None` if there is nothing.
    pub fn within(&self, size: u64) -> Option<std::ops::Range<u64>> {
        let from = match u64::try_from(self.from) {
            Ok(from) => from,
            Err(_) => size.saturating_sub(self.from.unsigned_abs()),
        };
        let end = match self.to.map(|to| (to, u64::try_from(to))) {
            None => size,
            Some((_, Ok(to))) => size.min(to.saturating_add(1)),
            Some((to, Err(_))) => (size + 1).checked_sub(to.unsigned_abs())?,
        };
        (from < end).then_some(from..end)
    }
}

impl fmt::Display for EntityBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "{}:{to}", self.from),
            None => write!(f, "{}:*", self.from),
        }
    }
}

impl FromStr for EntityBytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::new(ErrorKind::BadRange(text.chars().take(60).collect()));
        let (from, to) = text.split_once(':').ok_or_else(bad)?;
        let number = |text: &str| text.parse().map_err(|_| bad());
        let to = if to == "*" { None } else { Some(number(to)?) };
        Ok(Self { from: number(from)?, to })
    }
}

/// What [`export_entity`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The block of the entry.
    pub cid: Cid,
    /// Blocks handed out, those on the way to the entry included.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Hands out the blocks that it takes to read what `path` names below `root`: first those on the way, from the root down, then those of the
/// entry, as far as `scope` goes, parents before their children and each block once. With `bytes`, which is for files and goes with
/// [`DagScope::Entity`], only the part of the file that holds these bytes. Blocks that CIDs hold themselves are not handed out.
///
/// What a trustless gateway answers to `/ipfs/ROOT/PATH?format=car&dag-scope=…&entity-bytes=…`, with `order=dfs` and `dups=n`.
///
/// ```
/// use std::collections::HashMap;
/// use carstone_unixfs::{DagScope, Limits, Profile, export_entity, write_file};
/// let mut blocks = HashMap::new();
/// let profile = Profile::default().with_chunk_size(4)?;
/// let root = write_file(&profile, &b"0123456789"[..], &mut |cid, data| {
///     blocks.insert(*cid, data.to_vec());
///     Ok(())
/// })?;
/// let part = "5:6".parse()?;
/// let mut sizes = Vec::new();
/// export_entity(&blocks, &root.cid, b"", DagScope::Entity, Some(part), &Limits::default(), &mut |_, data| {
///     sizes.push(data.len());
///     Ok(())
/// })?;
/// assert_eq!(sizes[1..], [4]); // One leaf behind the root.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// No such entry ([`ErrorKind::NoSuchEntry`]); a block that is missing or damaged; `bytes` where there is no file, or none of them in it;
/// a failure of source or sink.
pub fn export_entity<S: BlockSource + ?Sized>(
    source: &S,
    root: &Cid,
    path: &[u8],
    scope: DagScope,
    bytes: Option<EntityBytes>,
    limits: &Limits,
    sink: &mut BlockSink<'_>,
) -> Result<Exported, Error> {
    let taken = Taken { seen: HashSet::new(), bytes: 0, sink };
    let tap = Tap { source, taken: RefCell::new(taken), most: limits.nodes };
    let entry = resolve(&tap, root, path)?;
    let entry = entry.ok_or_else(|| Error::new(ErrorKind::NoSuchEntry))?;
    let cid = entry.cid;
    let block = fetch_needed(&tap, &cid)?;
    match (bytes, scope) {
        (Some(part), _) => export_part(&tap, &cid, part, limits)?,
        (None, DagScope::Block) => {}
        (None, DagScope::All) => export_all(&tap, &cid, limits)?,
        (None, DagScope::Entity) => match decode(&cid, &block) {
            Ok(Node::File(_)) => {
                export_part(&tap, &cid, EntityBytes { from: 0, to: None }, limits)?
            }
            Ok(Node::Shard(_)) => drop(directory_links(&tap, &cid, limits)?),
            // All there is of it, and of what is no UnixFS.
            _ => {}
        },
    }
    let Taken { seen, bytes, .. } = tap.taken.into_inner();
    Ok(Exported { cid, blocks: seen.len() as u64, bytes })
}

/// Has all blocks fetched that hold a part of a file.
fn export_part<S: BlockSource>(
    tap: &S,
    cid: &Cid,
    part: EntityBytes,
    limits: &Limits,
) -> Result<(), Error> {
    let size = FileReader::with_limits(tap, cid, limits.clone())?.len();
    let range = match part.within(size) {
        Some(range) => range,
        None if size == 0 => return Ok(()),
        None => {
            let text = format!("{part} in {size} bytes");
            return Err(Error::new(ErrorKind::BadRange(text)).within(cid));
        }
    };
    check_file(tap, cid, Some(range), limits).map(drop)
}

/// Has all blocks fetched below one.
fn export_all<S: BlockSource + ?Sized>(tap: &S, cid: &Cid, limits: &Limits) -> Result<(), Error> {
    let blocks = blocks_from_fn(|cid| tap.block(cid));
    let mut options = WalkOptions::default().unknown_is_leaf(true);
    options.limits = options.limits.blocks(limits.nodes).depth(limits.depth);
    for visit in Walk::new(&blocks, &[*cid], options) {
        visit.map_err(of_walk)?;
    }
    Ok(())
}

/// Hands out each block that is asked for, the first time.
struct Tap<'a, S: ?Sized> {
    source: &'a S,
    taken: RefCell<Taken<'a>>,
    most: u64,
}

struct Taken<'a> {
    seen: HashSet<Cid>,
    bytes: u64,
    sink: &'a mut BlockSink<'a>,
}

impl<S: BlockSource + ?Sized> BlockSource for Tap<'_, S> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        let block = self.source.block(cid)?;
        let mut taken = self.taken.borrow_mut();
        if let Some(data) = &block
            && !is_inline(cid)
            && taken.seen.insert(*cid)
        {
            if taken.seen.len() as u64 > self.most {
                return Err(Error::new(ErrorKind::Limit("nodes")).within(cid).into());
            }
            taken.bytes += data.len() as u64;
            (taken.sink)(cid, data)?;
        }
        Ok(block)
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        self.source.size(cid)
    }
}

/// What stopped a walk.
fn of_walk(error: DagError) -> Error {
    match (error.kind(), error.cid().copied()) {
        (DagErrorKind::Missing, Some(cid)) => Error::new(ErrorKind::Missing).within(&cid),
        _ => Error::new(ErrorKind::Dag(error)),
    }
}
