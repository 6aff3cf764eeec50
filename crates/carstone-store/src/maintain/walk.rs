//! What is under a root.

use std::collections::{BTreeSet, HashSet};

use carstone_car::dag::{NodeLimits, can_have_links, links};
use carstone_car::{CarReader, Cid, hash_code};

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Found, Location};
use crate::store::{RootRecord, Store};

/// A root under which something is missing.
#[derive(Debug)]
#[non_exhaustive]
pub struct IncompleteRoot {
    /// The root.
    pub root: Cid,
    /// A block that is not there, or not whole.
    pub block: Cid,
    /// What is wrong with it; `None` if no place of it is known.
    pub error: Option<Error>,
}

/// What a walk over the DAG under a root comes to.
pub(super) enum Under {
    /// All of it is there. These have blocks of it.
    Whole(BTreeSet<Location>),
    /// This block is not, or not whole, so that nobody knows what is below it.
    Not(Cid, Option<Error>),
}

/// Walks over the DAG under a root. Nodes are read and verified; of leaves it is asked whether a place `is_there` that the index knows, and those outside of the
/// store are read, if they can be.
///
/// Nodes in `whole` are left out, and if all is there, those of this root are put into it.
///
/// # Errors
/// The index cannot be read.
pub(super) async fn under(
    store: &Store,
    root: &Cid,
    whole: &mut HashSet<Cid>,
    is_there: impl Fn(&Location) -> bool,
) -> Result<Under> {
    let (mut left, mut seen) = (vec![*root], HashSet::new());
    let mut locations = BTreeSet::new();
    while let Some(cid) = left.pop() {
        if cid.hash().code() != hash_code::IDENTITY {
            let mut places = store.places(cid.hash()).await?;
            places.retain(|place| is_there(&place.location));
            if places.is_empty() {
                return Ok(Under::Not(cid, None));
            }
            if can_have_links(cid.codec()) != Some(true)
                && let Err(error) = is_readable(store, &cid, &places).await
            {
                return Ok(Under::Not(cid, Some(error)));
            }
            locations.extend(places.into_iter().map(|place| place.location));
        }
        if can_have_links(cid.codec()) != Some(true) {
            continue;
        }
        let block = match store.block(&cid).await {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(Under::Not(cid, None)),
            Err(error) => return Ok(Under::Not(cid, Some(error))),
        };
        // What is sound and no node leads nowhere, for whoever reads it.
        let below = links(&cid, &block, &NodeLimits::default()).unwrap_or_default();
        // Only nodes are kept in mind: of leaves there are a thousand times as many.
        let is_new = |link: &Cid, seen: &mut HashSet<Cid>| {
            can_have_links(link.codec()) != Some(true)
                || !whole.contains(link) && seen.insert(*link)
        };
        left.extend(below.into_iter().filter(|link| is_new(link, &mut seen)));
    }
    whole.extend(seen);
    Ok(Under::Whole(locations))
}

/// Whether a leaf can be read that is outside of the store; one that is in a pack is read with it.
async fn is_readable(store: &Store, cid: &Cid, places: &[Found]) -> Result<()> {
    if places.iter().any(|place| place.location.pack().is_some()) {
        return Ok(());
    }
    match store.block(cid).await {
        // Nobody has said where it is to be read.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// What is wrong below a root.
pub(super) async fn incomplete(
    store: &Store,
    record: &RootRecord,
    whole: &mut HashSet<Cid>,
    is_there: impl Fn(&Location) -> bool,
) -> Result<Option<IncompleteRoot>> {
    let root = record.root;
    // What was put together or collected meanwhile is looked at again.
    for is_again in [false, true] {
        if is_again {
            store.index().refresh().await?;
        }
        let (block, error) = match under(store, &root, whole, &is_there).await? {
            Under::Whole(_) => return Ok(None),
            Under::Not(block, error) => (block, error),
        };
        if is_closed(store, &block, &is_there).await? || !store.has_record(record).await? {
            return Ok(None);
        }
        if is_again {
            return Ok(Some(IncompleteRoot { root, block, error }));
        }
    }
    Ok(None)
}

/// Whether a block is only in packs that nothing here opens, so that nothing can be told of it.
pub(super) async fn is_closed(
    store: &Store,
    block: &Cid,
    is_there: impl Fn(&Location) -> bool,
) -> Result<bool> {
    let mut places = store.places(block.hash()).await?;
    places.retain(|place| is_there(&place.location));
    let is_in_pack = places.iter().any(|place| place.location.pack().is_some());
    Ok(is_in_pack && !is_open(store, &places).await)
}

/// Whether one of these packs is a CAR, or opened as one.
async fn is_open(store: &Store, places: &[Found]) -> bool {
    for place in places {
        let Some(name) = place.location.pack() else { continue };
        let front = store.packs().read(name, 0..place.location.size().min(FRONT)).await;
        let is_car = front.is_ok_and(|front| CarReader::open(&front[..]).is_ok());
        if is_car || store.packs().content(name).await.is_ok_and(|car| car.is_some()) {
            return true;
        }
    }
    false
}

/// Bytes of a pack by which a CAR is told.
const FRONT: u64 = 64 << 10;
