//! What no root needs any more.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use carstone_car::Cid;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::options::is_in;
use super::pack::read_pack;
use crate::error::{ErrorKind, Result};
use crate::index::{Location, REBUILD};
use crate::name::Hash;
use crate::pack::StoredPack;
use crate::store::Store;

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Packs that are gone, or would be.
    pub packs: Vec<Hash>,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that nobody needs, and that are too young to go.
    pub young: u64,
    /// What writers left behind that ended before they could finish.
    pub leftovers: u64,
    /// Sidecars that are gone, or would be: those of these packs, and those of no pack.
    pub sidecars: u64,
    /// Their bytes.
    pub sidecar_bytes: u64,
}

/// Removes the records of a root, and says how many there were. What it led to stays until it is [collected](collect).
///
/// # Errors
/// They cannot be listed or removed.
pub async fn remove_root(store: &Store, root: &Cid) -> Result<u64> {
    store.forget_root(root).await
}

/// Removes packs that no root names, and that were made `grace` ago or earlier: a writer that still works has put its packs and not yet its root. First their
/// entries leave the index, then they go, and sidecars with them, so that the index never leads to what is not there. Sidecars of no pack that are as old go too. Before all that, what writers left behind goes that ended before that time.
///
/// A root that a listing leaves out, and that the index knows, is asked for by itself.
/// With `dry_run` nothing is changed.
///
/// A writer that finds an old pack at the same time, and so does not put it again, either keeps it from being removed, or fails.
///
/// # Errors
/// Something cannot be listed or removed, or the record of a root is damaged. A segment of the index is damaged, unless it is a dry run. The disk is so full that
/// there is no room to say which packs are to go; or none for the index without them: then they are gone, and the index is put right by doing it again.
pub async fn collect(store: &Store, grace: Duration, dry_run: bool) -> Result<Collected> {
    collect_from(store, grace, dry_run, None).await
}

/// The same for one part of the packs, I of N, counted from 0 on, so that several machines can share the work. The index is left, since each of them would write
/// it anew: when all parts are done, [`collect`] takes out of it what is gone.
///
/// # Errors
/// As [`collect`].
pub async fn collect_part(
    store: &Store,
    grace: Duration,
    dry_run: bool,
    part: (u64, u64),
) -> Result<Collected> {
    collect_from(store, grace, dry_run, Some(part)).await
}

async fn collect_from(
    store: &Store,
    grace: Duration,
    dry_run: bool,
    part: Option<(u64, u64)>,
) -> Result<Collected> {
    let before = SystemTime::now().checked_sub(grace);
    // First of all: it makes room, which what follows may need.
    let leftovers = if dry_run { 0 } else { store.clean(grace).await? };
    // Whatever these segments speak of was durable before them, and so is listed now, unless it is gone.
    store.index().refresh().await?;
    if !dry_run {
        // What it says is to leave it, and it says which roots a listing leaves out.
        store.index().whole(REBUILD)?;
    }
    let indexed = store.index().segments();
    let mut records = store.roots().await?;
    records.extend(store.unlisted_roots(&records).await?);
    let needed: HashSet<Hash> = records.into_iter().flat_map(|record| record.packs).collect();
    // A sidecar is put behind its pack, so that those which are listed before the packs, and have none, are strays.
    let mut sidecars = Vec::new();
    if let Some(beside) = store.packs().sidecars() {
        sidecars = beside.list().try_collect().await?;
    }
    let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
    let listed: HashSet<Hash> = packs.iter().map(|pack| pack.name).collect();
    let (mut young, mut old) = (0, BTreeMap::new());
    let mut strays = Vec::new();
    for stray in sidecars.iter().filter(|sidecar| !listed.contains(&sidecar.name)) {
        let is_old = stray.modified.zip(before).is_some_and(|(made, before)| made <= before);
        // A listing that ended too early does not count.
        if is_old && is_in(&stray.name, part) && store.packs().size(&stray.name).await?.is_none() {
            strays.push(stray.name);
        }
    }
    let unneeded = packs.into_iter().filter(|pack| !needed.contains(&pack.name));
    for pack in unneeded.filter(|pack| is_in(&pack.name, part)) {
        match pack.modified.zip(before).is_some_and(|(made, before)| made <= before) {
            true => drop(old.insert(pack.name, pack.size)),
            false => young += 1,
        }
    }
    let mut gone = HashSet::new();
    if part.is_none() && !dry_run {
        let locations = indexed.iter().flat_map(|segment| segment.locations());
        for name in locations.filter_map(Location::pack) {
            let is_there = listed.contains(name) || needed.contains(name) || gone.contains(name);
            // A listing that ended too early does not count.
            if !is_there && store.packs().size(name).await?.is_none() {
                gone.insert(*name);
            }
        }
    }
    let is_any = !(old.is_empty() && gone.is_empty());
    if is_any && !dry_run {
        let names: Vec<Hash> = old.keys().copied().collect();
        let marks = store.condemn(&names).await.map_err(|error| error.advised(NO_MARK))?;
        let index = part.is_none().then_some(gone);
        let protected = sidecars.iter().map(|sidecar| sidecar.name).collect();
        let removed = remove(store, &mut old, &protected, before, index).await;
        // What has not gone by now stays.
        marks.lift(store).await;
        removed?;
    }
    if let (false, Some(beside)) = (dry_run, store.packs().sidecars()) {
        for stray in &strays {
            beside.delete(stray).await?;
        }
    }
    let bytes = old.values().copied().fold(0, u64::saturating_add);
    let strays: HashSet<Hash> = strays.into_iter().collect();
    sidecars.retain(|sidecar| old.contains_key(&sidecar.name) || strays.contains(&sidecar.name));
    let sidecar_bytes = sidecars.iter().map(|sidecar| sidecar.size).fold(0, u64::saturating_add);
    let packs = old.keys().copied().collect();
    let sidecars = sidecars.len() as u64;
    Ok(Collected { packs, bytes, young, leftovers, sidecars, sidecar_bytes })
}

/// Removes packs that are condemned, but for those that somebody has begun to rely on meanwhile, which are taken out; and before that their entries and those
/// of packs that are `gone`, unless the index is left.
async fn remove(
    store: &Store,
    packs: &mut BTreeMap<Hash, u64>,
    protected: &HashSet<Hash>,
    before: Option<SystemTime>,
    gone: Option<HashSet<Hash>>,
) -> Result<()> {
    // In this order: a writer notes its root before it takes back that it needs the packs.
    let needed = store.needed(before).await?;
    let by_roots = by_roots(store).await?;
    packs.retain(|name, _| !needed.contains(name) && !by_roots.contains(name));
    let Some(gone) = gone else { return delete(store, packs, protected).await };
    let were_gone = gone.clone();
    let gone: HashSet<Hash> = gone.into_iter().chain(packs.keys().copied()).collect();
    let keep = move |location: &Location| location.pack().is_none_or(|name| !gone.contains(name));
    let taken_out = store.index().compact(keep).await.map_err(|error| error.advised(NO_INDEX));
    match taken_out {
        // The packs make room, also without it. The index is left then, as it is for a part: by now somebody may put again what it would lose.
        Err(error) if matches!(error.kind(), ErrorKind::NoRoom { .. }) => {
            delete(store, packs, protected).await?;
            Err(error)
        }
        Err(error) => Err(error),
        Ok(_) => {
            delete(store, packs, protected).await?;
            index_again(store, &were_gone).await
        }
    }
}

/// Indexes packs that were gone, and that somebody has put again before the index was without them: whoever put them is done.
async fn index_again(store: &Store, packs: &HashSet<Hash>) -> Result<()> {
    let mut writer = store.index().writer();
    for name in packs {
        let Some(size) = store.packs().size(name).await? else { continue };
        let content = read_pack(&**store.packs(), name, size, false).await?;
        for blob in content.blobs {
            let location = Location::Pack { name: *name, size };
            writer.blob(&blob.cid, &location, blob.offset, blob.len).await?;
        }
        for record in store.roots().await?.iter().filter(|record| record.packs.contains(name)) {
            writer.containing(&record.root, &Location::Pack { name: *name, size })?;
        }
    }
    writer.flush().await
}

/// Removes packs, each behind its sidecar: who puts the pack again meanwhile finds none, and makes another one.
async fn delete(
    store: &Store,
    packs: &BTreeMap<Hash, u64>,
    protected: &HashSet<Hash>,
) -> Result<()> {
    let names: Vec<Hash> = packs.keys().copied().collect();
    let deleted = names.into_iter().map(|name| {
        let packs = Arc::clone(store.packs());
        let sidecars = packs.sidecars().filter(|_| protected.contains(&name));
        async move {
            if let Some(sidecars) = sidecars {
                sidecars.delete(&name).await?;
            }
            packs.delete(&name).await
        }
    });
    let mut deleted = stream::iter(deleted).buffer_unordered(AT_ONCE);
    while deleted.try_next().await?.is_some() {}
    Ok(())
}

async fn by_roots(store: &Store) -> Result<HashSet<Hash>> {
    Ok(store.roots().await?.into_iter().flat_map(|record| record.packs).collect())
}

const NO_MARK: &str = "there is no room to say which packs are to go: make some, a few kilobytes, or, when nothing writes to the store, run `carstone store gc --grace 0`, which first removes what writers left behind";
const NO_INDEX: &str = "packs are gone that no root needs, and there was no room to take them out of the index: run `carstone store gc` again";
/// Packs that are removed at the same time.
const AT_ONCE: usize = 16;
