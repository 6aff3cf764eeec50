//! The blocks of a DAG, as fast as a store gives them.

mod options;

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use carstone_car::dag::{NodeLimits, can_have_links, links};
use carstone_car::{Cid, Header, hash_code, section_head, verify};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

pub use self::options::{Order, StreamOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{EntryKind, Found, Location};
use crate::name::Hash;
use crate::store::Store;

/// A verified block.
pub type Block = (Cid, Bytes);

impl Store {
    /// The blocks of the DAG under a root, each verified. Those that lie side by side in a pack are read at once, and the next ones while these are made use of. A
    /// block that is damaged in one place is taken from another. Of a blob whose codec is not known, [`cid`](Self::cid) tells the root.
    ///
    /// The first error ends the stream: a block is in no place, or in none of them whole; a node cannot be decoded; the index cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn stream(&self, root: Cid, options: StreamOptions) -> BoxStream<'static, Result<Block>> {
        let (send, mut blocks) = mpsc::channel(1);
        let containing = options.containing.or(Some(*root.hash()));
        let options = options.containing(containing);
        let mut walk = Walk {
            store: self.clone(),
            options,
            left: vec![root],
            seen: HashSet::new(),
            preferred: None,
            placed: None,
        };
        tokio::spawn(async move {
            loop {
                let batch = match options.order {
                    Order::Dag => walk.next().await,
                    Order::Location => walk.next_placed().await,
                };
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

    /// The same as a CAR of version 1, in pieces.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn stream_car(
        &self,
        root: Cid,
        options: StreamOptions,
    ) -> BoxStream<'static, Result<Bytes>> {
        let header = Header { roots: vec![root] }.encode();
        let sections = self.stream(root, options).map_ok(|(cid, block)| {
            let head = Bytes::from(section_head(&cid, block.len()));
            stream::iter([head, block].map(Ok))
        });
        stream::iter([Ok(Bytes::from(header))]).chain(sections.try_flatten()).boxed()
    }

    /// The CID of a blob by its hash, with the codec that the index has; `None` if the store does not have it.
    ///
    /// # Errors
    /// The index cannot be read.
    pub async fn cid(&self, hash: &Hash) -> Result<Option<Cid>> {
        let places = self.places(hash).await?;
        Ok(places.first().map(|found| Cid::new_v1(found.codec, *hash)))
    }
}

struct Walk {
    store: Store,
    options: StreamOptions,
    /// What is to come, the next one last.
    left: Vec<Cid>,
    seen: HashSet<Cid>,
    /// Where blocks are taken from that several places have, once that is known.
    preferred: Option<HashSet<Location>>,
    /// In the order of places: all blocks, the next one last, once they are known.
    placed: Option<Vec<(Cid, Option<Found>)>>,
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

    /// The next blocks in the order of their places.
    async fn next_placed(&mut self) -> Result<Vec<Block>> {
        let mut placed = match self.placed.take() {
            Some(placed) => placed,
            None => self.all_placed().await?,
        };
        let (mut next, mut planned) = (Vec::new(), 0);
        while planned < self.options.ahead && next.len() < MOST_LEAVES {
            let Some((cid, found)) = placed.pop() else { break };
            planned += found.as_ref().map_or(0, |found| found.len);
            next.push((cid, found));
        }
        self.placed = Some(placed);
        self.read(next).await
    }

    /// All blocks, the first one in its place last.
    async fn all_placed(&mut self) -> Result<Vec<(Cid, Option<Found>)>> {
        let mut placed = Vec::new();
        while let Some(cid) = self.left.pop() {
            let mut wave = vec![cid];
            // Leaves need not be read to know what is below them.
            while let Some(cid) = self.left.pop_if(|_| wave.len() < MOST_LEAVES) {
                wave.push(cid);
            }
            wave.retain(|cid| self.seen.insert(*cid));
            for cid in &wave {
                if can_have_links(cid.codec()) != Some(false) {
                    self.node(*cid).await?;
                }
            }
            placed.extend(self.find(wave).await?);
            if placed.len() > MOST_WAITING {
                let kind = ErrorKind::Malformed("a DAG has too many blocks to put in order");
                return Err(Error::new(kind).of(cid));
            }
        }
        placed.sort_by(|one, other| place_of(&other.1).cmp(&place_of(&one.1)));
        Ok(placed)
    }

    async fn leaves(&mut self, cids: Vec<Cid>) -> Result<Vec<Block>> {
        let places = self.find(cids).await?;
        self.read(places).await
    }

    /// Where blocks lie; `None` of one that is nowhere, or carries its bytes itself.
    async fn find(&mut self, cids: Vec<Cid>) -> Result<Vec<(Cid, Option<Found>)>> {
        let store = &self.store;
        let find = |cid: Cid| async move {
            let is_inline = cid.hash().code() == hash_code::IDENTITY;
            let found = match is_inline {
                true => Vec::new(),
                false => store.index().find(EntryKind::Blob, cid.hash()).await?,
            };
            Ok::<_, Error>((cid, found))
        };
        let places = stream::iter(cids.into_iter().map(find)).buffered(AT_ONCE);
        let places: Vec<(Cid, Vec<Found>)> = places.try_collect().await?;
        let mut chosen = Vec::with_capacity(places.len());
        for (cid, found) in places {
            let number = match found.len() > 1 {
                true => self.preferred(&found).await?,
                false => 0,
            };
            chosen.push((cid, found.into_iter().nth(number)));
        }
        Ok(chosen)
    }

    /// The number of the place that a block is taken from.
    async fn preferred(&mut self, found: &[Found]) -> Result<usize> {
        let preferred = match &mut self.preferred {
            Some(preferred) => preferred,
            none => {
                let locations = match &self.options.containing {
                    Some(root) => self.store.containing(root).await?,
                    None => Vec::new(),
                };
                none.insert(locations.into_iter().collect())
            }
        };
        let number = found.iter().position(|found| preferred.contains(&found.location));
        Ok(number.unwrap_or(0))
    }

    /// Blocks from their places.
    async fn read(&self, places: Vec<(Cid, Option<Found>)>) -> Result<Vec<Block>> {
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

/// What places are sorted by. Blocks without one come first.
fn place_of(found: &Option<Found>) -> Option<(&Location, u64)> {
    found.as_ref().map(|found| (&found.location, found.offset))
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
