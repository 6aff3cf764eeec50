//! A pack put together again from its blobs, wherever they are.
//!
//! The index knows where each blob of a pack lies in it. What is between them, the header and the heads of sections, follows from their hashes, but for versions and
//! codecs of CIDs and for roots, which leaves few ways. Which one is right, the hash of the whole tells: a wrong guess costs time and nothing else.

mod giver;
mod plan;

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;

use bytes::Bytes;
use carstone_car::{CarReader, Cid, verify};

use self::giver::Giver;
use self::plan::Placed;
pub(super) use self::plan::Plan;
use super::heal::{PackSource, Unmended};
use crate::error::Result;
use crate::hasher::HashFunction;
use crate::objects::{Spool, blocking};
use crate::store::Store;

/// Puts a pack together from what is in the store, and then from what these sources have. With `all` it looks for every blob, so that those are known which are nowhere.
pub(super) async fn mend(
    store: &Store,
    plan: &Plan,
    sources: &[&dyn PackSource],
    all: bool,
) -> Result<std::result::Result<Spool, Unmended>> {
    let own = Giver::new(store, plan.name, plan.size);
    let others = sources.iter().map(|source| Giver::new(*source, plan.name, plan.size).impatient());
    let mut givers: Vec<Giver<'_>> = std::iter::once(own).chain(others).collect();
    if !plan.is_tiled() && !is_car(&mut givers, plan).await {
        return Ok(Err(Unmended::Wrapped));
    }
    let spool = Some(store.packs().spool()?);
    let mut made =
        Made { spool, buffer: Vec::new(), open: Vec::new(), room: MOST_OPEN, is_given_up: false };
    let (mut at, mut lost) = (0, Vec::new());
    for blob in &plan.blobs {
        let frame = at..blob.offset;
        at = blob.end();
        made.frame(&mut givers, plan, frame.clone(), Some(blob)).await?;
        match any_blob(&mut givers, blob).await {
            Some(data) => made.write(&data).await?,
            None => {
                lost.push(blob.cid_behind(&frame));
                made.is_given_up = true;
            }
        }
        if made.is_given_up && !all {
            break;
        }
    }
    if !made.is_given_up {
        made.frame(&mut givers, plan, at..plan.size, None).await?;
    }
    Ok(match (lost.is_empty(), made.is_given_up) {
        (false, _) => Err(Unmended::Blobs(lost)),
        (true, true) => Err(Unmended::Frame),
        (true, false) => made.finish(plan).await?.ok_or(Unmended::Frame),
    })
}

/// Whether what is left of the front of a pack is that of a CAR.
async fn is_car(givers: &mut [Giver<'_>], plan: &Plan) -> bool {
    for giver in givers {
        let front = giver.stored(0..plan.size.min(FRONT)).await;
        if front.is_some_and(|front| CarReader::open(&front[..]).is_ok()) {
            return true;
        }
    }
    false
}

/// A blob from where it lies in the pack, or from anywhere else, verified.
async fn any_blob(givers: &mut [Giver<'_>], blob: &Placed) -> Option<Bytes> {
    if blob.len > MOST_BLOB {
        return None;
    }
    let cid = Cid::new_v1(blob.codec, blob.hash);
    for giver in givers {
        let stored = giver.stored(blob.range()).await;
        if let Some(stored) = stored.filter(|stored| verify(&cid, stored).is_ok()) {
            return Some(stored);
        }
        let found = giver.blob(&blob.hash).await;
        let is_it = |found: &Bytes| found.len() as u64 == blob.len && verify(&cid, found).is_ok();
        if let Some(found) = found.filter(is_it) {
            return Some(found);
        }
    }
    None
}

/// A pack in the making.
struct Made {
    /// `None` only while it is written to.
    spool: Option<Spool>,
    buffer: Vec<u8>,
    /// What may be otherwise.
    open: Vec<Open>,
    /// Bytes that these may still take.
    room: usize,
    /// Something is nowhere, so that nothing is written any more.
    is_given_up: bool,
}

/// Bytes for which there are several ways. The first one has been written.
struct Open {
    at: u64,
    ways: Vec<Vec<u8>>,
}

impl Made {
    /// Writes what is in front of a blob, or behind the last one.
    async fn frame(
        &mut self,
        givers: &mut [Giver<'_>],
        plan: &Plan,
        range: Range<u64>,
        blob: Option<&Placed>,
    ) -> Result<()> {
        let mut at = range.start;
        while at < range.end && !self.is_given_up {
            let end = range.end.min(at.saturating_add(MOST_FRAME));
            let blob = blob.filter(|_| at == range.start && end == range.end);
            let mut ways = ways(givers, plan, at..end, blob).await;
            let Some(first) = ways.first().cloned() else {
                self.is_given_up = true;
                return Ok(());
            };
            ways.truncate(MOST_WAYS);
            let taken: usize = ways.iter().map(Vec::len).sum();
            if let Some(room) = self.room.checked_sub(taken).filter(|_| ways.len() > 1) {
                self.room = room;
                self.open.push(Open { at, ways });
            }
            self.write(&first).await?;
            at = end;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.is_given_up {
            self.buffer.extend_from_slice(bytes);
        }
        match self.buffer.len() < BUFFER {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    async fn flush(&mut self) -> Result<()> {
        let (mut spool, buffer) = (self.spool.take(), std::mem::take(&mut self.buffer));
        self.spool = blocking(move || {
            if let Some(spool) = &mut spool {
                spool.write_all(&buffer)?;
            }
            Ok(spool)
        })
        .await?;
        Ok(())
    }

    /// The pack, if one of the ways leads to it.
    async fn finish(mut self, plan: &Plan) -> Result<Option<Spool>> {
        self.flush().await?;
        let function = HashFunction::of(&plan.name)?;
        let (name, open, size) = (plan.name, self.open, plan.size);
        let Some(mut spool) = self.spool else { return Ok(None) };
        blocking(move || {
            let counts: Vec<usize> = open.iter().map(|open| open.ways.len()).collect();
            let mut written = vec![0; open.len()];
            for guess in guesses(&counts, size) {
                for ((open, way), written) in open.iter().zip(guess).zip(&mut written) {
                    if let Some(bytes) = open.ways.get(way).filter(|_| way != *written) {
                        spool.write_at(bytes, open.at)?;
                        *written = way;
                    }
                }
                if spool.hash_of(function)? == name {
                    return Ok(Some(spool.verified_as(name)));
                }
            }
            Ok(None)
        })
        .await
    }
}

/// What some bytes of a pack that are in no blob may be, the likeliest first.
async fn ways(
    givers: &mut [Giver<'_>],
    plan: &Plan,
    range: Range<u64>,
    blob: Option<&Placed>,
) -> Vec<Vec<u8>> {
    let len = range.end - range.start;
    let is_front = range.start == 0;
    let made = match blob {
        Some(blob) if is_front => plan.fronts(blob),
        Some(blob) => blob.heads(len).collect(),
        None => Vec::new(),
    };
    let is_legible = |bytes: &[u8]| match blob {
        Some(blob) if is_front => blob.has_front(bytes),
        Some(blob) => blob.has_head(bytes),
        None => true,
    };
    let (mut ways, mut stored) = (Vec::<Vec<u8>>::new(), Vec::new());
    for giver in givers {
        match giver.stored(range.clone()).await {
            // What the pack has itself, and what the index says: they differ where one of them is wrong.
            Some(bytes) if is_legible(&bytes) => {
                ways.push(bytes.to_vec());
                if blob.is_some() {
                    break;
                }
            }
            Some(bytes) => stored.push(bytes.to_vec()),
            None => {}
        }
    }
    // Where both say the same, there is nothing to guess.
    if is_front || ways.is_empty() || ways.first() != made.first() {
        ways.extend(made);
    }
    if ways.is_empty() {
        ways = stored;
    }
    let mut seen = HashSet::new();
    ways.retain(|way| seen.insert(way.clone()));
    ways
}

/// Which ways are tried together, of so many for each place: all of them where these are few; else the first of all, the second of all, and each one by itself.
fn guesses(counts: &[usize], size: u64) -> Vec<Vec<usize>> {
    let most = (MOST_HASHED / size.max(1)).clamp(LEAST_GUESSES, MOST_GUESSES) as usize;
    let product = counts.iter().try_fold(1_usize, |product, count| product.checked_mul(*count));
    if let Some(product) = product.filter(|product| *product <= most) {
        let guess = |number: usize| {
            let digit = |rest: &mut usize, count: &usize| {
                let digit = *rest % count;
                *rest /= count;
                Some(digit)
            };
            counts.iter().scan(number, digit).collect()
        };
        return (0..product).map(guess).collect();
    }
    let all = |way: usize| counts.iter().map(|count| way.min(count - 1)).collect::<Vec<_>>();
    let mut guesses = vec![all(0), all(1)];
    for way in 1..MOST_WAYS {
        for place in (0..counts.len()).filter(|place| way < counts[*place]) {
            for base in [0, 1] {
                let mut guess = all(base);
                guess[place] = if base == way { 0 } else { way };
                guesses.push(guess);
                if guesses.len() >= most {
                    return guesses;
                }
            }
        }
    }
    guesses
}

/// Bytes of a front by which a CAR is told.
const FRONT: u64 = 64 << 10;
/// The largest blob that is looked for: what readers of blocks take.
const MOST_BLOB: u64 = 16 << 20;
/// Bytes between blobs that are looked at together.
const MOST_FRAME: u64 = 64 << 10;
/// Bytes that are written at a time, unless a blob has more.
const BUFFER: usize = 1 << 20;
/// Bytes of places for which there are several ways, and ways for each.
const MOST_OPEN: usize = 4 << 20;
const MOST_WAYS: usize = 8;
/// How often a pack is hashed to find out which ways are right: so often, unless it is large.
const MOST_GUESSES: u64 = 64;
const LEAST_GUESSES: u64 = 4;
const MOST_HASHED: u64 = 8 << 30;
