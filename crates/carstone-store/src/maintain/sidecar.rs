//! Packs and their sidecars: what these can restore, and doing so.

use std::collections::HashSet;

use carstone_parity::{Parity, Share, Survey, heal};
use futures::TryStreamExt;

use super::copy::{Carried, fetch};
use super::options::is_in;
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::HashFunction;
use crate::name::{Hash, text_of};
use crate::objects::{Content, Spool, blocking};
use crate::pack::StoredPack;
use crate::pack::parity::{MAKING, Source, Target, is_of, protected, threads};
use crate::store::Store;

/// What protecting a store came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Protected {
    /// Packs that have a sidecar now, and had none.
    pub packs: Vec<Hash>,
    /// Bytes of these sidecars.
    pub bytes: u64,
    /// Packs that had one.
    pub known: u64,
    /// Packs that are damaged or cannot be read, so that they have none now.
    pub unread: Vec<Error>,
}

/// Puts a sidecar beside each pack that has none, or each in one part of the packs, I of N, counted from 0 on. `done` hears of the bytes of each pack that has been read.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{Blob, PackWriterOptions, Share, Store, heal, protect};
/// let store = Store::in_memory().await?;
/// let written = store.put(Blob::bytes(vec![7; 100_000]), PackWriterOptions::default()).await?;
/// assert_eq!(protect(&store, Share::default(), None, |_| ()).await?.packs, [written.packs[0].name]);
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// Packs cannot be listed, the store does not answer any more, or a sidecar cannot be kept.
pub async fn protect(
    store: &Store,
    share: Share,
    part: Option<(u64, u64)>,
    mut done: impl FnMut(u64),
) -> Result<Protected> {
    let none = || Error::new(ErrorKind::Unsupported("parity beside packs"));
    let sidecars = store.packs().sidecars().ok_or_else(none)?;
    let known: HashSet<Hash> = sidecars.list().map_ok(|sidecar| sidecar.name).try_collect().await?;
    let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
    let mut protected = Protected::default();
    for pack in packs.into_iter().filter(|pack| is_in(&pack.name, part)) {
        if known.contains(&pack.name) {
            protected.known += 1;
            continue;
        }
        match make(store, &pack.name, share).await? {
            Ok(sidecar) => {
                protected.bytes = protected.bytes.saturating_add(sidecar.len());
                sidecars.put(&pack.name, Content::Spool(sidecar)).await?;
                protected.packs.push(pack.name);
            }
            Err(error) => {
                store.answers().await?;
                protected.unread.push(error.of(text_of(&pack.name)));
            }
        }
        done(pack.size);
    }
    Ok(protected)
}

/// The sidecar of a pack that is in the store; the inner error says that the pack cannot be read or is damaged.
async fn make(
    store: &Store,
    name: &Hash,
    share: Share,
) -> Result<std::result::Result<Spool, Error>> {
    let pack = match fetch(&**store.packs(), name, Spool::unnamed()?).await {
        Ok(pack) => pack,
        Err(error) => return Ok(Err(error)),
    };
    let made = protected(*name, share, pack, store.packs().spool()?).await?;
    Ok(Ok(made.1))
}

/// Whether the sidecar of a damaged pack restores it, and what part of its budget that takes; the error says why not. `None` if it has no sidecar.
pub(super) async fn can_restore(store: &Store, name: &Hash) -> Option<Result<f64>> {
    let asked = async {
        let Some(patient) = Patient::of(store, name).await? else { return Ok(None) };
        let turn = MAKING.acquire().await;
        blocking(move || {
            let _turn = turn;
            patient.survey().map(|(_, survey)| Some((survey.used(), survey.can_surely_heal())))
        })
        .await
    };
    match asked.await.transpose()? {
        Ok((used, true)) => Some(Ok(used)),
        // Only whoever does it knows.
        Ok((used, false)) => Some(restore(store, name).await.map(|_| used)),
        Err(error) => Some(Err(error)),
    }
}

/// A pack as its sidecar restores it, verified. `None` if there is no sidecar, or nothing of the pack.
///
/// # Errors
/// One of them cannot be read, or the sidecar does not restore it.
pub(super) async fn restore(store: &Store, name: &Hash) -> Result<Option<Spool>> {
    let function = HashFunction::of(name)?;
    let Some(patient) = Patient::of(store, name).await? else { return Ok(None) };
    let (spool, name) = (store.packs().spool()?, *name);
    let turn = MAKING.acquire().await;
    blocking(move || {
        let _turn = turn;
        let (parity, mut survey) = patient.survey()?;
        let target = Target::new(spool);
        let heal =
            |survey: &Survey| heal(&patient.pack, &parity, survey, &target, threads(), &|_| ());
        // Bytes that were put in the place of others may have the same CRC.
        if !heal(&survey)?.whole && survey.doubt(&patient.pack)? {
            if !survey.can_heal() {
                return Err(over(&survey).of(&patient.key));
            }
            heal(&survey)?;
        }
        let spool = target.into_spool().hashed(function)?;
        match spool.hash() == Some(&name) {
            true => Ok(Some(spool)),
            false => Err(Error::mismatch(&name).of(&patient.key)),
        }
    })
    .await
}

/// A damaged pack, and its sidecar, in temporary files.
struct Patient {
    name: Hash,
    pack: Source,
    sidecar: Source,
    /// That of the sidecar.
    key: String,
}

impl Patient {
    async fn of(store: &Store, name: &Hash) -> Result<Option<Self>> {
        let Some(sidecars) = store.packs().sidecars() else { return Ok(None) };
        if sidecars.size(name).await?.is_none() {
            return Ok(None);
        }
        let pack = sidecars.remains(name, Spool::unnamed()?).await?;
        if pack.is_empty() {
            return Ok(None);
        }
        let sidecar = sidecars.fetch(name, Spool::unnamed()?).await?;
        let key = sidecars.key(name)?.to_string();
        Ok(Some(Self { name: *name, pack: Source(pack), sidecar: Source(sidecar), key }))
    }

    /// What is left of the pack, if that is enough.
    fn survey(&self) -> Result<(Parity<&Source>, Survey)> {
        let survey = || {
            let parity = Parity::open(&self.sidecar, threads())?;
            if !is_of(parity.descriptor(), &self.name) {
                return Err(Error::new(ErrorKind::Malformed(FOREIGN)));
            }
            // What is not in the pack has to come out of the sidecar: who forges one is not to fill the disk.
            let left = self.pack.0.len().saturating_add(self.sidecar.0.len());
            if parity.descriptor().layout().stream_len() > left {
                return Err(Error::new(ErrorKind::Malformed("it is of more than is left")));
            }
            let survey = Survey::of(&self.pack, &parity, threads(), &|_| ())?;
            match survey.can_heal() {
                true => Ok((parity, survey)),
                false => Err(over(&survey)),
            }
        };
        survey().map_err(|error: Error| error.of(&self.key))
    }
}

fn over(survey: &Survey) -> Error {
    Error::new(ErrorKind::OverBudget { cells: survey.over_budget() })
}

/// What is wrong with the sidecar of a sound pack, all frames of which are read; `None` if nothing is, or it is gone.
///
/// # Errors
/// The store does not answer any more.
pub(super) async fn verify(store: &Store, pack: &StoredPack) -> Result<Option<Error>> {
    let Some(sidecars) = store.packs().sidecars() else { return Ok(None) };
    let key = sidecars.key(&pack.name)?;
    let (name, size) = (pack.name, pack.size);
    let verified = async {
        let sidecar = Source(sidecars.fetch(&name, Spool::unnamed()?).await?);
        blocking(move || is_sound(&sidecar, &name, size)).await
    };
    match verified.await {
        // It went with its pack.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => {
            store.answers().await?;
            Ok(Some(error.of(key)))
        }
        Ok(()) => Ok(None),
    }
}

fn is_sound(sidecar: &Source, pack: &Hash, size: u64) -> Result<()> {
    let parity = Parity::open(sidecar, threads())?;
    let layout = parity.descriptor().layout();
    if layout.stream_len() != size || !is_of(parity.descriptor(), pack) {
        return Err(Error::new(ErrorKind::Malformed(FOREIGN)));
    }
    if !parity.is_sound() {
        let ((lost, all), corrected) = (parity.lost_frames(), parity.corrected_frames());
        return Err(Error::new(ErrorKind::LostFrames { lost, corrected, all }));
    }
    match sidecar.0.len() == layout.parity_len() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Malformed("it has another length than it says"))),
    }
}

/// Makes a sidecar that is damaged again, from its pack: with the share that it states, if it is of this pack at all. Says whether that was possible: one that
/// cannot be read may be sound, and is left.
pub(super) async fn make_again(store: &Store, name: &Hash, error: &Error) -> Result<bool> {
    let Some(sidecars) = store.packs().sidecars().filter(|_| error.is_malformed()) else {
        return Ok(false);
    };
    let old = sidecars.fetch(name, Spool::unnamed()?).await?;
    match make(store, name, share_of(old, name).await?).await? {
        Ok(sidecar) => {
            sidecars.replace(name, Content::Spool(sidecar)).await?;
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

/// The share that a damaged sidecar states, if it is of this pack at all.
async fn share_of(sidecar: Spool, pack: &Hash) -> Result<Share> {
    let (sidecar, pack) = (Source(sidecar), *pack);
    blocking(move || {
        let stated = Parity::open(&sidecar, threads()).ok();
        let stated = stated.filter(|parity| is_of(parity.descriptor(), &pack));
        Ok(stated.map_or_else(Share::default, |parity| parity.descriptor().layout().share()))
    })
    .await
}

/// A sidecar from another store for one that has its pack, of `size` bytes: it is checked, and one that is damaged is made again from the pack.
///
/// # Errors
/// It cannot be read again, or the store with the pack does not answer any more.
pub(super) async fn carried(
    store: &Store,
    pack: &Hash,
    size: u64,
    sidecar: Spool,
) -> Result<Carried> {
    let (sidecar, name) = (Source(sidecar), *pack);
    let (sidecar, checked) = blocking(move || {
        let checked = is_sound(&sidecar, &name, size);
        Ok((sidecar.0, checked))
    })
    .await?;
    match checked {
        Ok(()) => return Ok(Carried::AsItIs(sidecar)),
        Err(error) if error.is_malformed() => {}
        Err(error) => return Err(error),
    }
    match make(store, pack, share_of(sidecar, pack).await?).await? {
        Ok(sidecar) => Ok(Carried::MadeAgain(sidecar)),
        Err(_) => {
            store.answers().await?;
            Ok(Carried::Nothing)
        }
    }
}

const FOREIGN: &str = "it is the parity of something else than its pack";
