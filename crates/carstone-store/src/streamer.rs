//! The blocks of a DAG, as fast as a store gives them.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use carstone_car::dag::{NodeLimits, can_have_links, links};
use carstone_car::{Cid, hash_code, verify};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{EntryKind, Found};
use crate::name::Hash;
use crate::store::Store;

/// How the blocks of a DAG are streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Whether a block to which several link comes once. Default: yes. A file whose content is wanted needs it as often as it has it.
    pub unique: bool,
    /// Bytes that are read ahead, about. Default: 8 MiB.
    pub ahead: u64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { unique: true, ahead: 8 << 20 }
    }
}

impl StreamOptions {
    /// Sets whether a block to which several link comes once.
    #[must_use]
    pub fn unique(mut self, yes: bool) -> Self {
        self.unique = yes;
        self
    }

    /// Sets how many bytes are read ahead.
    #[must_use]
    pub fn ahead(mut self, bytes: u64) -> Self {
        self.ahead = bytes;
        self
    }
}

/// A verified block.
pub type Block = (Cid, Bytes);

impl Store {
    /// The blocks of the DAG under a root, depth first, parents before their children, each verified. Leaves that lie side by side in a pack are read at once, and
    /// the next ones while these are made use of. A block that is damaged in one place is taken from another.
    ///
    /// The first error ends the stream: a block is in no place, or in none of them whole; a node cannot be decoded; the index cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn stream(&self, root: Cid, options: StreamOptions) -> BoxStream<'static, Result<Block>> {
        let (send, mut blocks) = mpsc::channel(1);
        let mut walk =
            Walk { store: self.clone(), options, left: vec![root], seen: HashSet::new() };
        tokio::spawn(async move {
            loop {
                let batch = walk.next().await;
                if matches!(&batch, Ok(blocks) if blocks.is_empty()) {
                    break;
                }
                let is_last = batch.is_err();
                if send.send(batch).await.is_err() || is_last {
                    break;
                }
            }
        });
        let batches = stream::poll_fn(move |context| blocks.poll_recv(context));
        let blocks = batches.map_ok(|batch: Vec<Block>| stream::iter(batch.into_iter().map(Ok)));
        blocks.try_flatten().boxed()
    }
}

struct Walk {
    store: Store,
    options: StreamOptions,
    /// What is to come, the next one last.
    left: Vec<Cid>,
    seen: HashSet<Cid>,
}

impl Walk {
    /// The next blocks: a node, or some leaves. None: it is over.
    async fn next(&mut self) -> Result<Vec<Block>> {
        let mut leaves = Vec::new();
        let mut planned = 0;
        while let Some(cid) = self.left.pop() {
            if self.options.unique && !self.seen.insert(cid) {
                continue;
            }
            if can_have_links(cid.codec()) != Some(false) {
                if !leaves.is_empty() {
                    // It comes with the next call.
                    self.seen.remove(&cid);
                    self.left.push(cid);
                    break;
                }
                return Ok(vec![self.node(cid).await?]);
            }
            leaves.push(cid);
            planned += LEAF;
            if planned >= self.options.ahead || leaves.len() >= MOST_LEAVES {
                break;
            }
        }
        self.leaves(leaves).await
    }

    async fn node(&mut self, cid: Cid) -> Result<Block> {
        let block = self.store.block(&cid).await?.ok_or_else(|| missing(&cid))?;
        let below = links(&cid, &block, &NodeLimits::default());
        let below = below.map_err(|error| Error::new(ErrorKind::Dag(Box::new(error))).of(cid))?;
        if self.left.len() + below.len() > MOST_WAITING {
            let kind = ErrorKind::Malformed("a DAG has too many links that wait");
            return Err(Error::new(kind).of(cid));
        }
        self.left.extend(below.into_iter().rev());
        Ok((cid, block))
    }

    async fn leaves(&self, cids: Vec<Cid>) -> Result<Vec<Block>> {
        let store = &self.store;
        let find = |cid: Cid| async move {
            let is_inline = cid.hash().code() == hash_code::IDENTITY;
            let found = match is_inline {
                true => Vec::new(),
                false => store.index().find(EntryKind::Blob, cid.hash()).await?,
            };
            Ok::<_, Error>((cid, found.into_iter().next()))
        };
        let places = stream::iter(cids.into_iter().map(find)).buffered(AT_ONCE);
        let places: Vec<(Cid, Option<Found>)> = places.try_collect().await?;
        let groups = stream::iter(groups(&places)).map(|group| self.group(&places[group]));
        let blocks: Vec<Vec<Block>> = groups.buffered(AT_ONCE / 2).try_collect().await?;
        Ok(blocks.concat())
    }

    /// Leaves that lie side by side.
    async fn group(&self, group: &[(Cid, Option<Found>)]) -> Result<Vec<Block>> {
        let range = group.first().zip(group.last()).and_then(|(first, last)| {
            let (first, last) = (first.1.as_ref()?, last.1.as_ref()?);
            let name: Hash = *first.location.pack()?;
            Some((name, first.offset..last.offset.saturating_add(last.len)))
        });
        // Where all of it cannot be read, each block may be had by itself.
        let read = match &range {
            Some((name, range)) => self.store.packs().read(name, range.clone()).await.ok(),
            None => None,
        };
        let mut blocks = Vec::with_capacity(group.len());
        for (cid, found) in group {
            let part = read.as_ref().zip(found.as_ref()).zip(range.as_ref());
            let part = part.and_then(|((bytes, found), (_, range))| {
                let start = usize::try_from(found.offset.checked_sub(range.start)?).ok()?;
                let end = start.checked_add(usize::try_from(found.len).ok()?)?;
                (end <= bytes.len()).then(|| bytes.slice(start..end))
            });
            let block = match part.filter(|part| verify(cid, part).is_ok()) {
                Some(part) => part,
                None => self.store.block(cid).await?.ok_or_else(|| missing(cid))?,
            };
            blocks.push((*cid, block));
        }
        Ok(blocks)
    }
}

/// Numbers of leaves that one read gives: they follow each other in a pack, with no more between them than the heads of sections.
fn groups(places: &[(Cid, Option<Found>)]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (number, (_, found)) in places.iter().enumerate() {
        let goes_on = groups.last().is_some_and(|group| {
            let (first, last) = (places[group.start].1.as_ref(), places[number - 1].1.as_ref());
            let (Some(first), Some(last), Some(found)) = (first, last, found) else { return false };
            let end = last.offset.saturating_add(last.len);
            first.location == found.location
                && first.location.pack().is_some()
                && (end..=end.saturating_add(MOST_BETWEEN)).contains(&found.offset)
                && found.offset.saturating_add(found.len) - first.offset <= MOST_READ
        });
        match groups.last_mut() {
            Some(group) if goes_on => group.end = number + 1,
            _ => groups.push(number..number + 1),
        }
    }
    groups
}

fn missing(cid: &Cid) -> Error {
    Error::new(ErrorKind::NoBlock(Box::new(*cid)))
}

/// What a leaf is taken to have, before that is known.
const LEAF: u64 = 1 << 20;
const MOST_LEAVES: usize = 256;
const MOST_WAITING: usize = 1 << 24;
/// Look-ups at the same time, and twice as many as reads.
const AT_ONCE: usize = 8;
/// Bytes of one read.
const MOST_READ: u64 = 8 << 20;
/// Bytes between two blocks that are read along.
const MOST_BETWEEN: u64 = 4 << 10;
