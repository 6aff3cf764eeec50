//! Packs from one store into another.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;

use super::options::is_in;
use super::sidecar::carried;
use crate::error::{Error, ErrorKind, Result};
use crate::index::MOST_LOOKS;
use crate::name::{Hash, text_of};
use crate::objects::{Content, Created, Spool};
use crate::pack::{PackStore, StoredPack};
use crate::store::{RootRecord, Store};

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
    /// Sidecars that were not there before.
    pub sidecars: u64,
    /// Their bytes.
    pub sidecar_bytes: u64,
    /// Of these, the ones that were damaged, and have been made again from their packs (with the feature `parity`).
    pub sidecars_made: u64,
    /// Sidecars that are damaged and could not be made again: they are left out.
    pub sidecars_left: u64,
}

/// What becomes of a sidecar on its way.
pub(super) enum Carried {
    AsItIs(Spool),
    /// It was damaged.
    #[cfg_attr(not(feature = "parity"), expect(dead_code, reason = "nobody looks at it then"))]
    MadeAgain(Spool),
    /// It is damaged, and its pack does not help.
    #[cfg_attr(not(feature = "parity"), expect(dead_code, reason = "nobody looks at it then"))]
    Nothing,
}

/// Copies all packs, their sidecars, the index and all roots into another store, in this order. What is there already is left. A sidecar that is damaged is made again from its pack (with
/// the feature `parity`). `copied` hears of the bytes of each pack.
///
/// What others put meanwhile is copied in part, or not at all: no root is noted of which a pack is missing.
///
/// # Errors
/// A pack is damaged, or something cannot be read or kept. A segment of the index is damaged: then packs are copied alone. A pack is missing that a root needs:
/// then all else is copied.
pub async fn copy(from: &Store, to: &Store, mut copied: impl FnMut(u64)) -> Result<Copied> {
    // A put brings packs, then their index, then the root: in the opposite order, nothing is seen whose packs and index are not seen too.
    let records = from.roots().await;
    let needed = records.iter().flatten().flat_map(|record| &record.packs);
    let needed: HashSet<Hash> = needed.copied().collect();
    let mut copying = Copying::new(from, to).await?;
    let mut looks = 0;
    loop {
        looks += 1;
        from.index().refresh().await?;
        let (segments, whole) = (from.index().segments(), from.index().whole(REBUILD_EITHER));
        copying.packs(None, &needed, &mut copied).await?;
        let records = match &records {
            Ok(records) => records,
            Err(_) => break,
        };
        whole?;
        let (records, missing) = copying.whole(records).await?;
        let packs = records.iter().flat_map(|record| &record.packs);
        let old = packs.filter(|pack| copying.is_old(pack)).copied().collect();
        let mut is_gone = false;
        let index = async {
            for segment in segments {
                let spool = to.packs().spool()?;
                let spool = from.index().fetch(&segment, spool).await;
                is_gone = spool.as_ref().is_err_and(Error::is_not_found);
                to.index().keep(spool?).await?;
            }
            Ok(())
        };
        match to.note_roots(&records, &old, index).await {
            // Somebody has put it together with others, of which there may be packs that are yet to be copied.
            Err(_) if is_gone && looks < MOST_LOOKS => {}
            Err(error) => return Err(error),
            Ok(()) => return missing.map_or(Ok(copying.done), Err),
        }
    }
    records.map(|_| copying.done)
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
    mut copied: impl FnMut(u64),
) -> Result<Copied> {
    let mut copying = Copying::new(from, to).await?;
    copying.packs(part, &HashSet::new(), &mut copied).await?;
    Ok(copying.done)
}

/// Packs on their way from one store into another.
struct Copying<'a> {
    from: &'a Store,
    to: &'a Store,
    /// What the other one has by now.
    there: HashMap<Hash, There>,
    /// The packs that have sidecars there.
    protected: HashSet<Hash>,
    done: Copied,
}

struct There {
    size: u64,
    /// Somebody else has put it.
    is_old: bool,
}

impl<'a> Copying<'a> {
    async fn new(from: &'a Store, to: &'a Store) -> Result<Self> {
        let listed = to.packs().list();
        let there = listed.map_ok(|pack| (pack.name, There { size: pack.size, is_old: true }));
        let there = there.try_collect().await?;
        let mut protected = HashSet::new();
        if let Some(sidecars) = to.packs().sidecars() {
            protected = sidecars.list().map_ok(|sidecar| sidecar.name).try_collect().await?;
        }
        Ok(Self { from, to, there, protected, done: Copied::default() })
    }

    /// Copies the packs that are there now, all or one part of them, but for those that have been; and those that are `needed`, if a listing has left them out.
    async fn packs(
        &mut self,
        part: Option<(u64, u64)>,
        needed: &HashSet<Hash>,
        copied: &mut impl FnMut(u64),
    ) -> Result<()> {
        let mut packs: Vec<StoredPack> = self.from.packs().list().try_collect().await?;
        let listed: HashSet<Hash> = packs.iter().map(|pack| pack.name).collect();
        for name in needed.iter().filter(|name| !listed.contains(name) && !self.has(name)) {
            if let Some(size) = self.from.packs().size(name).await? {
                packs.push(StoredPack::new(*name, size, None));
            }
        }
        self.done.known = 0;
        for pack in packs.into_iter().filter(|pack| is_in(&pack.name, part)) {
            match self.there.get(&pack.name) {
                Some(there) if there.size == pack.size => {
                    self.done.known += u64::from(there.is_old);
                }
                _ => self.pack(&pack, copied).await?,
            }
        }
        self.sidecars(part).await
    }

    /// Copies the sidecars of packs that are there by now, as they are.
    async fn sidecars(&mut self, part: Option<(u64, u64)>) -> Result<()> {
        let beside = (self.from.packs().sidecars(), self.to.packs().sidecars());
        let (Some(from), Some(to)) = beside else { return Ok(()) };
        let sidecars: Vec<StoredPack> = from.list().try_collect().await?;
        for sidecar in sidecars.into_iter().filter(|sidecar| is_in(&sidecar.name, part)) {
            if !self.has(&sidecar.name) || self.protected.contains(&sidecar.name) {
                continue;
            }
            let spool = match from.fetch(&sidecar.name, self.to.packs().spool()?).await {
                // It was removed meanwhile.
                Err(error) if error.is_not_found() => continue,
                spool => spool?,
            };
            let size = self.there.get(&sidecar.name).map_or(0, |there| there.size);
            let spool = match carried(self.to, &sidecar.name, size, spool).await? {
                Carried::AsItIs(spool) => spool,
                Carried::MadeAgain(spool) => {
                    self.done.sidecars_made += 1;
                    spool
                }
                Carried::Nothing => {
                    self.done.sidecars_left += 1;
                    continue;
                }
            };
            let bytes = spool.len();
            to.put(&sidecar.name, Content::Spool(spool)).await?;
            self.protected.insert(sidecar.name);
            self.done.sidecars += 1;
            self.done.sidecar_bytes = self.done.sidecar_bytes.saturating_add(bytes);
        }
        Ok(())
    }

    async fn pack(&mut self, pack: &StoredPack, copied: &mut impl FnMut(u64)) -> Result<()> {
        let spool = self.to.packs().spool()?;
        let spool = match fetch(&**self.from.packs(), &pack.name, spool).await {
            // It was removed meanwhile. Whether a root needs it is seen in the end.
            Err(error) if error.is_not_found() => return Ok(()),
            spool => spool?,
        };
        let created = self.to.packs().put(&pack.name, Content::Spool(spool)).await?;
        let there = There { size: pack.size, is_old: created == Created::Existed };
        self.there.insert(pack.name, there);
        self.done.packs += 1;
        self.done.bytes = self.done.bytes.saturating_add(pack.size);
        copied(pack.size);
        Ok(())
    }

    fn has(&self, pack: &Hash) -> bool {
        self.there.contains_key(pack)
    }

    fn is_old(&self, pack: &Hash) -> bool {
        self.there.get(pack).is_some_and(|there| there.is_old)
    }

    /// The records whose packs are all there, and what is wrong with one of the others.
    async fn whole(&self, records: &[RootRecord]) -> Result<(Vec<RootRecord>, Option<Error>)> {
        let (mut whole, mut missing) = (Vec::new(), None);
        for record in records {
            match record.packs.iter().find(|pack| !self.has(pack)) {
                None => whole.push(record.clone()),
                // The root was removed meanwhile, and its packs with it.
                Some(_) if !self.from.has_record(record).await? => {}
                Some(pack) => {
                    missing.get_or_insert(Error::new(ErrorKind::NotFound).of(text_of(pack)));
                }
            }
        }
        Ok((whole, missing))
    }
}

/// A pack in a file, verified on its way.
pub(super) async fn fetch(packs: &dyn PackStore, name: &Hash, spool: Spool) -> Result<Spool> {
    let spool = spool.filled(packs.stream(name).await?).await?;
    Ok(spool.verified_as(*name))
}

/// What to do where a segment of the store that is copied is damaged.
const REBUILD_EITHER: &str = "it is damaged, so that packs alone were copied: `carstone store index rebuild` makes another one, of this store, or, with --roots, of the copy";
