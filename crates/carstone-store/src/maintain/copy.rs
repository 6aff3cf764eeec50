//! Packs from one store into another.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;

use super::options::is_in;
use crate::error::Result;
use crate::name::Hash;
use crate::objects::{Content, Created, Spool};
use crate::pack::{PackStore, StoredPack};
use crate::store::Store;

/// What copying a store came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Packs that were not there before.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that were there.
    pub known: u64,
}

/// Copies all packs, the index and all roots into another store, in this order. What is there already is left. `copied` hears of the bytes of each pack.
///
/// # Errors
/// A pack is damaged, or something cannot be read or kept.
pub async fn copy(from: &Store, to: &Store, copied: impl FnMut(u64)) -> Result<Copied> {
    let (done, old) = copy_part(from, to, None, copied).await?;
    let index = async {
        for segment in from.index().segments() {
            let spool = from.index().fetch(&segment, to.packs().spool()?).await?;
            to.index().keep(spool).await?;
        }
        Ok(())
    };
    to.note_roots(&from.roots().await?, &old, index).await?;
    Ok(done)
}

/// Copies packs alone, all or one part of them, I of N, counted from 0 on, so that several machines can share the work. When all parts are there, [`copy`]
/// finds them, and brings the index and the roots.
///
/// # Errors
/// As [`copy`].
pub async fn copy_packs(
    from: &Store,
    to: &Store,
    part: Option<(u64, u64)>,
    copied: impl FnMut(u64),
) -> Result<Copied> {
    Ok(copy_part(from, to, part, copied).await?.0)
}

/// The same, with the packs that were there before.
async fn copy_part(
    from: &Store,
    to: &Store,
    part: Option<(u64, u64)>,
    mut copied: impl FnMut(u64),
) -> Result<(Copied, HashSet<Hash>)> {
    let (mut done, mut old) = (Copied::default(), HashSet::new());
    let there = to.packs().list().map_ok(|pack| (pack.name, pack.size));
    let there: HashMap<Hash, u64> = there.try_collect().await?;
    let packs: Vec<StoredPack> = from.packs().list().try_collect().await?;
    for pack in packs.into_iter().filter(|pack| is_in(&pack.name, part)) {
        if there.get(&pack.name) == Some(&pack.size) {
            done.known += 1;
            old.insert(pack.name);
            continue;
        }
        let spool = fetch(&**from.packs(), &pack.name, to.packs().spool()?).await?;
        if to.packs().put(&pack.name, Content::Spool(spool)).await? == Created::Existed {
            old.insert(pack.name);
        }
        (done.packs, done.bytes) = (done.packs + 1, done.bytes.saturating_add(pack.size));
        copied(pack.size);
    }
    Ok((done, old))
}

/// A pack in a file, verified on its way.
pub(super) async fn fetch(packs: &dyn PackStore, name: &Hash, spool: Spool) -> Result<Spool> {
    let spool = spool.filled(packs.stream(name).await?).await?;
    Ok(spool.verified_as(*name))
}
