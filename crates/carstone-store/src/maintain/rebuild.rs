//! The index, made again from the packs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use carstone_car::dag::{NodeLimits, links};
use carstone_car::{Cid, hash_code};
use futures::TryStreamExt;

use super::pack::{opaque, read_pack};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Location, Segment};
use crate::name::{Hash, Key, text_of};
use crate::pack::StoredPack;
use crate::store::{RootRecord, Store};

/// What making an index again came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Packs that were read.
    pub packs: u64,
    /// Blobs that they have.
    pub blobs: u64,
    /// Roots that packs name, and no record did.
    pub roots: u64,
    /// Packs that could not be used, and why.
    pub damaged: Vec<Error>,
}

/// Makes the index of a store from its packs alone, and records of roots that packs name and that have none. All packs are read and verified. The old
/// index goes when the new one is there; entries for what lies outside of the store go with it.
///
/// `read` hears of the bytes of each pack.
///
/// # Errors
/// Packs cannot be listed, the listing leaves out packs of the index that are there, or the new index cannot be kept. Then the old one is there still.
pub async fn rebuild_index(store: &Store, mut read: impl FnMut(u64)) -> Result<Rebuilt> {
    let mut done = Rebuilt::default();
    let mut writer = store.index().writer();
    let mut named: BTreeSet<Cid> = BTreeSet::new();
    let mut sizes: BTreeMap<Hash, u64> = BTreeMap::new();
    // Whatever these segments speak of was durable before them, and so is listed now. Those that come later stay.
    let old = store.index().keys().await?;
    store.index().refresh().await?;
    let indexed = store.index().segments();
    let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
    is_whole(store, &packs, &indexed).await?;
    let (records, damaged) = store.root_records().await?;
    let known: HashSet<Hash> = records.iter().map(|record| *record.root.hash()).collect();
    for pack in packs {
        let is_blob = known.contains(&pack.name);
        let content = match read_pack(&**store.packs(), &pack.name, pack.size, is_blob).await {
            Ok(content) => content,
            Err(error) if error.is_malformed() => {
                done.damaged.push(error.of(text_of(&pack.name)));
                continue;
            }
            Err(error) => return Err(error),
        };
        read(pack.size);
        done.packs += 1;
        sizes.insert(pack.name, pack.size);
        let location = Location::Pack { name: pack.name, size: pack.size };
        // Of packs that are not opened, what the index says stays.
        let opaque = opaque(store, &pack.name, &content).await?;
        for (hash, found) in &opaque {
            let cid = Cid::new_v1(found.codec, *hash);
            writer.blob(&cid, &location, found.offset, found.len).await?;
            done.blobs += 1;
        }
        for blob in content.blobs.iter().filter(|_| opaque.is_empty()) {
            writer.blob(&blob.cid, &location, blob.offset, blob.len).await?;
            done.blobs += 1;
        }
        named.extend(content.roots);
    }
    // Which packs have blobs of a DAG, the index of blobs tells.
    writer.flush().await?;
    let known: HashSet<Cid> = records.iter().map(|record| record.root).collect();
    for record in &records {
        for name in &record.packs {
            if let Some(size) = sizes.get(name) {
                writer.containing(&record.root, &Location::Pack { name: *name, size: *size })?;
            }
        }
    }
    let (mut found, condemned) = (Vec::new(), store.condemned().await?);
    for root in named.iter().filter(|root| !known.contains(root)) {
        let packs = packs_of(store, root).await?;
        // That of packs which are about to go was removed.
        if packs.iter().filter_map(Location::pack).any(|name| condemned.contains(name)) {
            continue;
        }
        for location in &packs {
            writer.containing(root, location)?;
        }
        let packs = packs.iter().filter_map(Location::pack).copied().collect();
        found.push(RootRecord { root: *root, packs });
        done.roots += 1;
    }
    writer.flush().await?;
    let keep: HashSet<_> = writer.keys().iter().cloned().collect();
    let old: Vec<Key> = old.into_iter().filter(|key| !keep.contains(key)).collect();
    store.index().remove(&old).await?;
    // A record that is damaged may stand where the new one has to.
    let sound: Vec<Cid> = records.iter().chain(&found).map(|record| record.root).collect();
    for error in &damaged {
        store.forget_damaged(error, &sound).await?;
    }
    store.note_roots(&found, &sizes.into_keys().collect(), async { Ok(()) }).await?;
    Ok(done)
}

/// Compares a listing with the index: an index without packs that are there is worse than the old one.
async fn is_whole(store: &Store, listed: &[StoredPack], indexed: &[Arc<Segment>]) -> Result<()> {
    let listed: HashSet<Hash> = listed.iter().map(|pack| pack.name).collect();
    for segment in indexed {
        for name in segment.locations().iter().filter_map(Location::pack) {
            if !listed.contains(name) && store.packs().size(name).await?.is_some() {
                return Err(Error::new(ErrorKind::NotListed).of(text_of(name)));
            }
        }
    }
    Ok(())
}

/// The packs in which blocks of a DAG lie, as far as its blocks are there.
async fn packs_of(store: &Store, root: &Cid) -> Result<Vec<Location>> {
    let (mut left, mut seen) = (vec![*root], HashSet::from([*root]));
    let mut packs = BTreeSet::new();
    while let Some(cid) = left.pop() {
        if cid.hash().code() != hash_code::IDENTITY {
            let places = store.places(cid.hash()).await?;
            packs.extend(places.into_iter().map(|place| place.location));
        }
        if carstone_car::dag::can_have_links(cid.codec()) == Some(false) {
            continue;
        }
        // What is missing or damaged leads nowhere.
        let Ok(Some(block)) = store.block(&cid).await else { continue };
        let below = links(&cid, &block, &NodeLimits::default()).unwrap_or_default();
        left.extend(below.into_iter().filter(|link| seen.insert(*link)));
    }
    Ok(packs.into_iter().collect())
}
