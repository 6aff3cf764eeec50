//! Packs that are damaged or missing, put right from elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::Cid;
use futures::TryStreamExt;

use super::check::check_with;
use super::copy::fetch;
use super::finding::Finding;
use super::mend::{Plan, mend};
use super::options::{CheckOptions, is_in};
use super::sidecar::{make_again, restore, verify};
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::HashFunction;
use crate::index::Found;
use crate::name::{Hash, text_of};
use crate::objects::{Content, Spool, blocking};
use crate::pack::StoredPack;
use crate::store::Store;

/// Something that packs, and parts of packs, can be had from when those of a store are damaged: another store, or whatever else keeps or computes bytes.
///
/// What it gives is verified by whoever asks, so that it need not be right.
#[async_trait]
pub trait PackSource: fmt::Debug + Send + Sync {
    /// All bytes of a pack, in the file that is given; `None` if it does not have them whole. They are verified by whoever asks.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn pack(&self, name: &Hash, spool: Spool) -> Result<Option<Spool>>;

    /// A range of a pack as it is stored, of one that is damaged too, so that a pack which is damaged in two places at different bytes can be put together; `None` if it has
    /// nothing of the pack. Default: `None`.
    ///
    /// # Errors
    /// It cannot be reached, or has no such bytes of the pack.
    async fn stored(&self, _name: &Hash, _range: Range<u64>) -> Result<Option<Bytes>> {
        Ok(None)
    }

    /// A blob, from wherever it has one; `None` if it does not have it whole. Default: `None`.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn blob(&self, _hash: &Hash) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

/// The packs of another store, or of the store itself, and all blobs that its index knows.
#[async_trait]
impl PackSource for Store {
    async fn pack(&self, name: &Hash, spool: Spool) -> Result<Option<Spool>> {
        match fetch(&**self.packs(), name, spool).await {
            Ok(spool) => Ok(Some(spool)),
            Err(error) if error.is_malformed() || error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn stored(&self, name: &Hash, range: Range<u64>) -> Result<Option<Bytes>> {
        match self.packs().read(name, range).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn blob(&self, hash: &Hash) -> Result<Option<Bytes>> {
        match self.blob_from_any(hash).await {
            Err(error) if matches!(error.kind(), ErrorKind::Io(_) | ErrorKind::Denied(_)) => {
                Err(error)
            }
            found => Ok(found.ok().flatten()),
        }
    }
}

/// What healing a store came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Healed {
    /// Packs that are whole again.
    pub packs: Vec<Hash>,
    /// Of these, the ones that their sidecars have restored.
    pub by_parity: Vec<Hash>,
    /// Packs whose sidecars were damaged, and have been made again.
    pub sidecars: Vec<Hash>,
    /// Packs that could not be had, and were left as they are.
    pub lost: Vec<Lost>,
    /// Packs that could not be read, and were left as they are: they may be sound.
    pub unread: Vec<Finding>,
    /// What else is wrong, which a new index puts right.
    pub index: Vec<Finding>,
}

/// A pack that is damaged or missing, that no source has, and that cannot be put together.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost {
    /// Its name.
    pub pack: Hash,
    /// Why it cannot be put together.
    pub why: Unmended,
    /// What the first source said that could not be asked, if one could not: it may have the pack. Else why its sidecar does not restore it, if it has one.
    pub failed: Option<Error>,
}

/// Why a pack cannot be put together from blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmended {
    /// The index does not know its blobs, or is damaged.
    Unknown,
    /// It is wrapped, so that its bytes do not follow from its blobs, or it is something else than what the index says.
    Wrapped,
    /// These blobs are nowhere else, or not whole.
    Blobs(Vec<Cid>),
    /// All of its blobs are there, and what is between them is not: headers, or other bytes that the index says nothing of.
    Frame,
}

/// Reads all packs, and puts those that are damaged, missing or of a wrong length right. One that is damaged and has a sidecar is first restored by that, if it can be (with the feature
/// `parity`); sidecars that are damaged are made again from packs that are sound, or are so again. Else a pack is put together from what is left of it and from other places that
/// its blobs have in the store, or outside of it. Else it comes from the first source that has it whole, or is put together from what all sources have. In any case it
/// has to hash to its name. No key is needed.
///
/// A wrapped pack can only come from its sidecar, or whole from another source. [`Healed::lost`] says what could not be had, and nothing of such a pack is changed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{Blob, PackWriterOptions, Store, heal};
/// let store = Store::in_memory().await?;
/// let put = |bytes| store.put(Blob::bytes(bytes), PackWriterOptions::default());
/// let first = put(vec![7; 1 << 20]).await?;
/// // A longer file has the same block in another pack.
/// put([vec![7; 1 << 20], vec![8; 5]].concat()).await?;
///
/// let pack = first.packs[0].name;
/// store.packs().delete(&pack).await?;
/// assert_eq!(heal(&store, &[]).await?.packs, [pack]);
/// assert!(store.packs().get(&pack).await?.is_some());
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
///
/// A pack that cannot be read is left as it is, since it may be sound: where access is denied, or a service does not give it. One that the disk itself fails to read twice
/// is replaced by a new file.
///
/// # Errors
/// The store cannot be read, as with [`check`](crate::check), or a pack cannot be kept.
pub async fn heal(store: &Store, sources: &[&dyn PackSource]) -> Result<Healed> {
    heal_part(store, sources, None, |_| ()).await
}

/// The same for one part of the packs, I of N, counted from 0 on, so that several machines can share the work. `done` hears of the bytes of each
/// pack that has been read.
///
/// # Errors
/// As [`heal`].
pub async fn heal_part(
    store: &Store,
    sources: &[&dyn PackSource],
    part: Option<(u64, u64)>,
    done: impl FnMut(u64),
) -> Result<Healed> {
    let mut findings = Vec::new();
    let options = CheckOptions::default().read_data(true).part(part);
    let find = |finding| {
        findings.push(finding);
        Ok(())
    };
    check_with(store, options, find, done).await?;
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
            Finding::BadSidecar { pack, error } => renew(store, &mut healed, pack, error).await?,
            other => rest.push(other),
        }
    }
    // Where a pack hashes to its name, it is the index that has its length wrong.
    sizes.retain(|(pack, _)| {
        is_in(pack, part) && !wanted.contains(pack) && !unread.contains_key(pack)
    });
    healed.index = sizes.into_iter().map(|(_, finding)| finding).chain(rest).collect();
    // What they lack may come with the packs that are put right.
    if !(wanted.is_empty() && unread.is_empty()) {
        healed.index.retain(|finding| !matches!(finding, Finding::IncompleteRoot(_)));
    }
    let is_own = |name: &Hash| is_in(name, part);
    unread.retain(|name, _| is_own(name));
    wanted.retain(is_own);
    let all = wanted.iter().chain(unread.keys()).copied().collect();
    let mut healer = Healer::new(store, sources, all);
    for (name, error) in unread {
        let spool = match is_for_good(store, &name, &error).await {
            true => healer.pack(&name).await?.ok(),
            false => None,
        };
        match spool {
            Some(spool) => keep(store, &mut healed, name, spool).await?,
            None => healed.unread.push(Finding::UnreadablePack { name, error }),
        }
    }
    for name in wanted {
        match healer.pack(&name).await? {
            Ok(spool) => keep(store, &mut healed, name, spool).await?,
            Err(lost) => healed.lost.push(lost),
        }
    }
    healed.by_parity = healer.by_parity;
    Ok(healed)
}

async fn keep(store: &Store, healed: &mut Healed, name: Hash, spool: Spool) -> Result<()> {
    let pack = StoredPack::new(name, spool.len(), None);
    store.packs().replace(&name, Content::Spool(spool)).await?;
    healed.packs.push(name);
    // What befell the pack may have befallen its sidecar too.
    match verify(store, &pack).await? {
        Some(error) => renew(store, healed, name, error).await,
        None => Ok(()),
    }
}

/// Makes the sidecar of a sound pack again.
async fn renew(store: &Store, healed: &mut Healed, pack: Hash, error: Error) -> Result<()> {
    match make_again(store, &pack, &error).await? {
        true => healed.sidecars.push(pack),
        false => healed.unread.push(Finding::BadSidecar { pack, error }),
    }
    Ok(())
}

/// Whether the disk failed to read a pack, and fails again. All else that keeps a pack from being read says nothing of its bytes.
async fn is_for_good(store: &Store, name: &Hash, error: &Error) -> bool {
    if !error.is_of_disk() {
        return false;
    }
    let again = async {
        let pieces = store.packs().stream(name).await?;
        pieces.try_for_each(|_| async { Ok(()) }).await
    };
    again.await.is_err_and(|error| error.is_of_disk() || error.is_malformed())
}

/// Brings packs back.
struct Healer<'a> {
    store: &'a Store,
    sources: &'a [&'a dyn PackSource],
    /// The roots that name each pack, once they have been read.
    roots: Option<HashMap<Hash, Vec<Cid>>>,
    /// Packs that are to come back, and what the index knows of some of them.
    wanted: BTreeSet<Hash>,
    known: BTreeMap<Hash, Vec<(Hash, Found)>>,
    /// Packs that their sidecars have restored.
    by_parity: Vec<Hash>,
}

impl<'a> Healer<'a> {
    fn new(store: &'a Store, sources: &'a [&'a dyn PackSource], wanted: BTreeSet<Hash>) -> Self {
        let (known, by_parity) = (BTreeMap::new(), Vec::new());
        Self { store, sources, roots: None, wanted, known, by_parity }
    }

    /// A pack, whole.
    async fn pack(&mut self, name: &Hash) -> Result<std::result::Result<Spool, Lost>> {
        let (store, sources) = (self.store, self.sources);
        if let Err(error) = HashFunction::of(name) {
            let failed = Some(error.of(text_of(name)));
            return Ok(Err(Lost { pack: *name, why: Unmended::Unknown, failed }));
        }
        let no_parity = match restore(store, name).await {
            Ok(Some(spool)) => {
                self.by_parity.push(*name);
                return Ok(Ok(spool));
            }
            restored => restored.err(),
        };
        let roots = self.roots_of(name).await?;
        let blobs = self.blobs_in(name).await?;
        let plan = blobs.ok_or(Unmended::Unknown).and_then(|blobs| Plan::of(name, blobs, roots));
        let mut why = match &plan {
            Ok(plan) => match mend(store, plan, &[], sources.is_empty()).await? {
                Ok(spool) => return Ok(Ok(spool)),
                Err(why) => why,
            },
            Err(why) => why.clone(),
        };
        let (found, failed) = self.whole(name).await?;
        if let Some(spool) = found {
            return Ok(Ok(spool));
        }
        if let (Ok(plan), false) = (&plan, sources.is_empty()) {
            match mend(store, plan, sources, true).await? {
                Ok(spool) => return Ok(Ok(spool)),
                Err(again) => why = again,
            }
        }
        Ok(Err(Lost { pack: *name, why, failed: failed.or(no_parity) }))
    }

    /// A pack from the first source that has it whole, and what the first one said that could not be asked.
    async fn whole(&self, name: &Hash) -> Result<(Option<Spool>, Option<Error>)> {
        let function = HashFunction::of(name).map_err(|error| error.of(text_of(name)))?;
        let mut failed = None;
        for source in self.sources {
            let spool = match source.pack(name, self.store.packs().spool()?).await {
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
                return Ok((Some(spool), failed));
            }
        }
        Ok((None, failed))
    }

    /// What the index knows of a pack, and of others along the way; `None` if it is damaged.
    async fn blobs_in(&mut self, name: &Hash) -> Result<Option<Vec<(Hash, Found)>>> {
        let index = self.store.index();
        if !self.known.contains_key(name) {
            let wanted = self.wanted.range(name..).copied().collect();
            self.known = match index.blobs_in_some(&wanted).await {
                // What is damaged may be about the others.
                Err(error) if error.is_malformed() => BTreeMap::new(),
                known => known?,
            };
        }
        match self.known.remove(name) {
            Some(blobs) => Ok(Some(blobs)),
            None => match index.blobs_in(name).await {
                Err(error) if error.is_malformed() => Ok(None),
                blobs => blobs.map(Some),
            },
        }
    }

    async fn roots_of(&mut self, name: &Hash) -> Result<Vec<Cid>> {
        let roots = match &mut self.roots {
            Some(roots) => roots,
            none => {
                let mut roots = HashMap::<Hash, Vec<Cid>>::new();
                for record in self.store.root_records().await?.sound {
                    for pack in record.packs {
                        let named = roots.entry(pack).or_default();
                        if !named.contains(&record.root) {
                            named.push(record.root);
                        }
                    }
                }
                none.insert(roots)
            }
        };
        Ok(roots.get(name).cloned().unwrap_or_default())
    }
}

impl fmt::Display for Unmended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the index does not know its blobs"),
            Self::Wrapped => f.write_str(
                "it is compressed or encrypted, or not what the index says, and can only come whole from another store",
            ),
            Self::Blobs(cids) => {
                write!(f, "{} of its blobs are nowhere else:", cids.len())?;
                cids.iter().try_for_each(|cid| write!(f, " {cid}"))
            }
            Self::Frame => f.write_str("what is between its blobs cannot be made again"),
        }
    }
}
