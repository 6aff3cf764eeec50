//! What no root needs any more.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use carstone_car::Cid;
use futures::TryStreamExt;

use crate::error::Result;
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
}

/// Removes the records of a root, and says how many there were. What it led to stays until it is [collected](collect).
///
/// # Errors
/// They cannot be listed or removed.
pub async fn remove_root(store: &Store, root: &Cid) -> Result<u64> {
    store.forget_root(root).await
}

/// Removes packs that no root names, and that were made `grace` ago or earlier: a writer that still works has put its packs and not yet its root. First their entries
/// leave the index, then they go, so that the index never leads to what is not there. With `dry_run` nothing is changed.
///
/// # Errors
/// Something cannot be listed or removed.
pub async fn collect(store: &Store, grace: Duration, dry_run: bool) -> Result<Collected> {
    let needed: HashSet<Hash> =
        store.roots().await?.into_iter().flat_map(|record| record.packs).collect();
    let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
    let before = SystemTime::now().checked_sub(grace);
    let mut collected = Collected::default();
    for pack in packs.into_iter().filter(|pack| !needed.contains(&pack.name)) {
        let is_old = pack.modified.zip(before).is_some_and(|(made, before)| made <= before);
        if is_old {
            collected.bytes += pack.size;
            collected.packs.push(pack.name);
        } else {
            collected.young += 1;
        }
    }
    if dry_run || collected.packs.is_empty() {
        return Ok(collected);
    }
    let gone: HashSet<Hash> = collected.packs.iter().copied().collect();
    let keep =
        move |location: &crate::Location| location.pack().is_none_or(|name| !gone.contains(name));
    store.index().compact(keep).await?;
    for name in &collected.packs {
        store.packs().delete(name).await?;
    }
    Ok(collected)
}
