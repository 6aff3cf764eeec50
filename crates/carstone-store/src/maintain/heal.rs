//! Packs that are damaged or missing, put right from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use futures::TryStreamExt;

use super::check::{CheckOptions, Finding, check, is_in};
use super::copy::fetch;
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::HashFunction;
use crate::name::{Hash, text_of};
use crate::objects::{Content, Spool, blocking};
use crate::store::Store;

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
    pub lost: Vec<Lost>,
    /// Packs that could not be read, and were left as they are: they may be sound.
    pub unread: Vec<Finding>,
    /// What else is wrong, which a new index puts right.
    pub index: Vec<Finding>,
}

/// A pack that is damaged or missing, and that no source has.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost {
    /// Its name.
    pub pack: Hash,
    /// What the first source said that could not be asked, if one could not: it may have the pack.
    pub failed: Option<Error>,
}

/// Reads all packs, and puts those that are damaged, missing or of a wrong length right from the first source that has them. Neither keys nor the content of packs are
/// needed.
///
/// A pack that cannot be read is left as it is, since it may be sound: where access is denied, or a service does not give it. One that the disk itself fails to read twice
/// is replaced by a new file.
///
/// # Errors
/// The store cannot be read, as with [`check`], or a pack cannot be kept.
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
    let (mut wanted, mut unread) = (BTreeSet::new(), BTreeMap::new());
    let (mut sizes, mut rest) = (Vec::new(), Vec::new());
    for finding in findings {
        match finding {
            Finding::MissingPack(name) | Finding::DamagedPack { name, .. } => {
                wanted.insert(name);
            }
            Finding::UnreadablePack { name, error } => {
                unread.insert(name, error);
            }
            Finding::WrongSize { pack, .. } => sizes.push((pack, finding)),
            other => rest.push(other),
        }
    }
    // Where a pack hashes to its name, it is the index that has its length wrong.
    sizes.retain(|(pack, _)| {
        is_in(pack, part) && !wanted.contains(pack) && !unread.contains_key(pack)
    });
    healed.index = sizes.into_iter().map(|(_, finding)| finding).chain(rest).collect();
    for (name, error) in unread.into_iter().filter(|(name, _)| is_in(name, part)) {
        let spool = match is_for_good(store, &name, &error).await {
            true => from_any(store, sources, &name).await?.ok(),
            false => None,
        };
        match spool {
            Some(spool) => keep(store, &mut healed, name, spool).await?,
            None => healed.unread.push(Finding::UnreadablePack { name, error }),
        }
    }
    for name in wanted.into_iter().filter(|name| is_in(name, part)) {
        match from_any(store, sources, &name).await? {
            Ok(spool) => keep(store, &mut healed, name, spool).await?,
            Err(lost) => healed.lost.push(lost),
        }
    }
    Ok(healed)
}

async fn keep(store: &Store, healed: &mut Healed, name: Hash, spool: Spool) -> Result<()> {
    store.packs().replace(&name, Content::Spool(spool)).await?;
    healed.packs.push(name);
    Ok(())
}

/// Whether the disk failed to read a pack, and fails again. All else that keeps a pack from being read says nothing of its bytes.
async fn is_for_good(store: &Store, name: &Hash, error: &Error) -> bool {
    if !is_of_disk(error) {
        return false;
    }
    let again = async {
        let pieces = store.packs().stream(name).await?;
        pieces.try_for_each(|_| async { Ok(()) }).await
    };
    again.await.is_err_and(|error| is_of_disk(&error) || error.is_malformed())
}

fn is_of_disk(error: &Error) -> bool {
    let ErrorKind::Io(cause) = error.kind() else { return false };
    cause.raw_os_error().is_some_and(|code| DISK_ERRORS.contains(&code))
}

async fn from_any(
    store: &Store,
    sources: &[&dyn PackSource],
    name: &Hash,
) -> Result<std::result::Result<Spool, Lost>> {
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
            return Ok(Ok(spool));
        }
    }
    Ok(Err(Lost { pack: *name, failed }))
}

/// What systems call a disk that cannot read what is on it: EIO; of Windows, a wrong checksum and a device that fails.
const DISK_ERRORS: &[i32] = if cfg!(windows) { &[23, 1117] } else { &[5] };
