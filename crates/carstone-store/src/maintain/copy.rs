//! Packs from one store into another.

use std::collections::{HashMap, HashSet};
use std::fmt;

use async_trait::async_trait;
use futures::TryStreamExt;

use super::check::{CheckOptions, Finding, check, is_in};
use crate::error::Result;
use crate::hasher::HashFunction;
use crate::name::{Hash, text_of};
use crate::objects::{Content, Created, Spool, blocking};
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
        (done.packs, done.bytes) = (done.packs + 1, done.bytes + pack.size);
        copied(pack.size);
    }
    Ok((done, old))
}

/// Something that packs can be had from when those of a store are damaged.
#[async_trait]
pub trait PackSource: fmt::Debug + Send + Sync {
    /// All bytes of a pack, in the file that is given; `None` if it does not have them whole. They are verified by whoever asks.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn pack(&self, name: &Hash, spool: Spool) -> Result<Option<Spool>>;
}

/// The packs of another store.
#[async_trait]
impl PackSource for Store {
    async fn pack(&self, name: &Hash, spool: Spool) -> Result<Option<Spool>> {
        match fetch(&**self.packs(), name, spool).await {
            Ok(spool) => Ok(Some(spool)),
            Err(error) if error.is_malformed() || error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What healing a store came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Healed {
    /// Packs that are whole again.
    pub packs: Vec<Hash>,
    /// Packs that no source has.
    pub lost: Vec<Hash>,
    /// What else is wrong, which a new index puts right.
    pub index: Vec<Finding>,
}

/// Reads all packs, and puts those that are damaged, missing or of a wrong length right from the first source that has them. Neither keys nor the content of packs are
/// needed.
///
/// # Errors
/// Something cannot be read or kept.
pub async fn heal(store: &Store, sources: &[&dyn PackSource]) -> Result<Healed> {
    heal_part(store, sources, None).await
}

/// The same for one part of the packs, I of N, counted from 0 on, so that several machines can share the work.
///
/// # Errors
/// As [`heal`].
pub async fn heal_part(
    store: &Store,
    sources: &[&dyn PackSource],
    part: Option<(u64, u64)>,
) -> Result<Healed> {
    let mut findings = Vec::new();
    let options = CheckOptions::default().read_data(true).part(part);
    check(store, options, |finding| {
        findings.push(finding);
        Ok(())
    })
    .await?;
    let mut healed = Healed::default();
    let mut wanted = Vec::new();
    let damaged: HashSet<Hash> = findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::DamagedPack { name, .. } => Some(*name),
            _ => None,
        })
        .collect();
    for finding in findings {
        match finding {
            Finding::MissingPack(name) | Finding::DamagedPack { name, .. } => wanted.push(name),
            // Where the pack hashes to its name, it is the index that has it wrong.
            Finding::WrongSize { pack, .. } if damaged.contains(&pack) => {}
            other => healed.index.push(other),
        }
    }
    wanted.retain(|name| is_in(name, part));
    wanted.sort();
    wanted.dedup();
    for name in wanted {
        match from_any(store, sources, &name).await? {
            Some(spool) => {
                store.packs().replace(&name, Content::Spool(spool)).await?;
                healed.packs.push(name);
            }
            None => healed.lost.push(name),
        }
    }
    Ok(healed)
}

async fn from_any(
    store: &Store,
    sources: &[&dyn PackSource],
    name: &Hash,
) -> Result<Option<Spool>> {
    let function = HashFunction::of(name).map_err(|error| error.of(text_of(name)))?;
    let mut failed = None;
    for source in sources {
        let spool = match source.pack(name, store.packs().spool()?).await {
            Ok(Some(spool)) => spool,
            Ok(None) => continue,
            // The next one may have it.
            Err(error) => {
                failed = failed.or(Some(error));
                continue;
            }
        };
        // Those of this crate have been hashed.
        let spool = match spool.hash() {
            Some(_) => spool,
            None => blocking(move || spool.hashed(function)).await?,
        };
        if spool.hash() == Some(name) {
            return Ok(Some(spool));
        }
    }
    failed.map_or(Ok(None), Err)
}

/// A pack in a file, verified on its way.
async fn fetch(packs: &dyn PackStore, name: &Hash, spool: Spool) -> Result<Spool> {
    let spool = spool.filled(packs.stream(name).await?).await?;
    Ok(spool.verified_as(*name))
}
