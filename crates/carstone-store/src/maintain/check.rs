//! What is wrong with a store.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::TryStreamExt;

use super::pack::read_pack;
use super::walk::{IncompleteRoot, incomplete};
use crate::error::{Error, Result};
use crate::index::{EntryKind, Found, Index, Location};
use crate::name::{Hash, text_of};
use crate::pack::StoredPack;
use crate::store::{RootRecords, Store};

/// How far a check goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Whether packs are read and verified, and compared with the index. Else only their lengths are looked at.
    pub read_data: bool,
    /// Only one part of the packs, I of N, counted from 0 on, so that several machines can share the work.
    pub part: Option<(u64, u64)>,
    /// Of these, read only one part, so that all are read in several checks.
    pub read_part: Option<(u64, u64)>,
}

impl CheckOptions {
    /// Sets whether packs are read.
    #[must_use]
    pub fn read_data(mut self, yes: bool) -> Self {
        self.read_data = yes;
        self
    }

    /// Sets which part of the packs is looked at.
    #[must_use]
    pub fn part(mut self, part: Option<(u64, u64)>) -> Self {
        self.part = part;
        self
    }

    /// Sets which part of the packs is read, of those that are looked at.
    #[must_use]
    pub fn read_part(mut self, part: Option<(u64, u64)>) -> Self {
        self.read_part = part;
        self
    }
}

/// Something that is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A pack of the index, or of a root, is not there.
    MissingPack(Hash),
    /// A pack of the index is there, and the listing leaves it out: what else it leaves out, nobody knows.
    NotListed(Hash),
    /// A pack has another length than the index says.
    WrongSize {
        /// The pack.
        pack: Hash,
        /// Its length in the index.
        indexed: u64,
        /// Its length.
        found: u64,
    },
    /// A pack is damaged.
    DamagedPack {
        /// The pack.
        name: Hash,
        /// What is wrong with it.
        error: Error,
    },
    /// A pack could not be read, or what it is could not be found out: it may be sound, and is neither missing nor damaged as far as anybody knows.
    UnreadablePack {
        /// The pack.
        name: Hash,
        /// What was said instead.
        error: Error,
    },
    /// No segment speaks of a pack. `index rebuild` makes an index that does.
    Unindexed(Hash),
    /// A blob that a pack has is not in the index, or not where it lies.
    MissingEntry {
        /// The pack.
        pack: Hash,
        /// The blob.
        blob: Hash,
    },
    /// The index has more entries for blobs than packs have.
    ExtraEntries(u64),
    /// A segment of the index is damaged.
    DamagedSegment(String),
    /// The root block of a root is not in the index.
    MissingRoot(Hash),
    /// Something under a root is not there, though all packs are that its record names.
    IncompleteRoot(IncompleteRoot),
    /// The record of a root is damaged, or cannot be read. Where it is damaged, and a pack names the root, `index rebuild` makes another one.
    DamagedRoot(Error),
    /// Something stands beside the records of roots that is none, and that nobody looks at.
    OddKey(String),
}

/// What a check has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Roots.
    pub roots: u64,
    /// What was found to be wrong.
    pub findings: u64,
}

/// Looks for what is wrong with a store. `tell` hears of each thing.
///
/// A pack that cannot be read is told, and the next one is read, as long as the store itself answers.
///
/// # Errors
/// Something cannot be listed, the index cannot be read, the store does not answer any more, or what `tell` says.
pub async fn check(
    store: &Store,
    options: CheckOptions,
    tell: impl FnMut(Finding) -> Result<()>,
) -> Result<Checked> {
    check_with(store, options, tell, |_| ()).await
}

/// The same. `done` hears of the bytes of each pack that has been read.
///
/// # Errors
/// As [`check`].
pub async fn check_with(
    store: &Store,
    options: CheckOptions,
    mut tell: impl FnMut(Finding) -> Result<()>,
    mut done: impl FnMut(u64),
) -> Result<Checked> {
    let mut checked = Checked::default();
    // Packs with which something is wrong, or which nothing here opens.
    let lost = Mutex::new(HashSet::new());
    let lose = |name: Hash| {
        lost.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    };
    let has_damage = AtomicBool::new(false);
    let mut find = |finding: Finding| {
        checked.findings += 1;
        match &finding {
            Finding::MissingPack(name)
            | Finding::NotListed(name)
            | Finding::WrongSize { pack: name, .. }
            | Finding::DamagedPack { name, .. }
            | Finding::UnreadablePack { name, .. } => lose(*name),
            Finding::DamagedSegment(_) => has_damage.store(true, Ordering::Relaxed),
            _ => {}
        }
        tell(finding)
    };
    store.index().refresh().await?;
    for fault in store.index().damaged() {
        find(Finding::DamagedSegment(fault.to_string()))?;
    }
    let packs: Vec<StoredPack> = store.packs().list().try_collect().await?;
    let sizes: BTreeMap<Hash, u64> = packs.iter().map(|pack| (pack.name, pack.size)).collect();
    let mut indexed = BTreeSet::new();
    for segment in store.index().segments() {
        if let Err(error) = store.index().verify(&segment).await {
            match error.is_malformed() {
                true => find(Finding::DamagedSegment(error.to_string()))?,
                // It has been put together with others meanwhile.
                false if error.is_not_found() => {}
                false => return Err(error),
            }
        }
        for location in segment.locations() {
            let Some(name) = location.pack() else { continue };
            if !indexed.insert(*name) {
                continue;
            }
            match sizes.get(name) {
                None => match store.packs().size(name).await {
                    Ok(None) => find(Finding::MissingPack(*name))?,
                    Ok(Some(_)) => find(Finding::NotListed(*name))?,
                    Err(error) => find(unreadable(store, *name, error).await?)?,
                },
                Some(size) if *size != location.size() => find(Finding::WrongSize {
                    pack: *name,
                    indexed: location.size(),
                    found: *size,
                })?,
                Some(_) => {}
            }
        }
    }
    for pack in packs.iter().filter(|pack| !indexed.contains(&pack.name)) {
        find(Finding::Unindexed(pack.name))?;
    }
    let RootRecords { sound: records, damaged, odd } = store.root_records().await?;
    for error in damaged {
        if !error.is_malformed() {
            store.answers().await?;
        }
        find(Finding::DamagedRoot(error))?;
    }
    for key in odd {
        find(Finding::OddKey(key))?;
    }
    let mut missing = BTreeSet::new();
    for record in &records {
        for name in &record.packs {
            let is_told = indexed.contains(name) || !missing.insert(*name);
            if !sizes.contains_key(name) && !is_told {
                find(Finding::MissingPack(*name))?;
            }
        }
        // A pack that names no root is one itself.
        if entries(store.places(record.root.hash()).await)?.is_some_and(|found| found.is_empty()) {
            find(Finding::MissingRoot(*record.root.hash()))?;
        }
    }
    let (mut read, mut bytes, mut blobs) = (0, 0, 0_u64);
    let mut closed = Closed { index: store.index(), packs: &sizes, known: None };
    for pack in packs {
        if !is_in(&pack.name, options.part) {
            continue;
        }
        (read, bytes) = (read + 1, u64::saturating_add(bytes, pack.size));
        if !options.read_data || !is_in(&pack.name, options.read_part) {
            continue;
        }
        let itself = entries(store.index().find(EntryKind::Blob, &pack.name).await)?;
        let is_blob =
            itself.into_iter().flatten().any(|found| found.location.pack() == Some(&pack.name));
        match read_pack(&**store.packs(), &pack.name, pack.size, is_blob).await {
            // That its bytes are right is all that can be said.
            Ok(content) if content.is_lone && closed.has(&pack.name).await? => lose(pack.name),
            Ok(content) => {
                let mut places = BTreeSet::new();
                for blob in &content.blobs {
                    let hash = blob.cid.hash();
                    let found = entries(store.index().find(EntryKind::Blob, hash).await)?;
                    // Of what a damaged segment had, nobody knows.
                    let is_there = found.is_none_or(|found| {
                        found.iter().any(|found| {
                            found.location.pack() == Some(&pack.name)
                                && (found.offset, found.len) == (blob.offset, blob.len)
                        })
                    });
                    if !is_there && indexed.contains(&pack.name) {
                        find(Finding::MissingEntry { pack: pack.name, blob: *hash })?;
                    }
                    places.insert((*hash, blob.offset));
                }
                blobs += places.len() as u64;
            }
            Err(error) if error.is_malformed() => {
                find(Finding::DamagedPack {
                    name: pack.name,
                    error: error.of(text_of(&pack.name)),
                })?;
            }
            // It went after it was listed.
            Err(error) if error.is_not_found() => find(Finding::MissingPack(pack.name))?,
            Err(error) => find(unreadable(store, pack.name, error).await?)?,
        }
        done(pack.size);
    }
    // What the packs of a root lack, none of them tells by itself.
    let lost = lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let is_there = |location: &Location| {
        location.pack().is_none_or(|name| sizes.contains_key(name) && !lost.contains(name))
    };
    let mut whole = HashSet::new();
    let roots = records.iter().filter(|record| is_in(record.root.hash(), options.part));
    let roots = roots.filter(|record| is_in(record.root.hash(), options.read_part));
    let is_looked_for = options.read_data && !has_damage.load(Ordering::Relaxed);
    for record in roots.filter(|_| is_looked_for) {
        if !record.packs.iter().any(|name| lost.contains(name))
            && let Some(root) = incomplete(store, record, &mut whole, is_there).await?
        {
            find(Finding::IncompleteRoot(root))?;
        }
    }
    // Where all packs were read, entries that lead nowhere are more than there are blobs.
    let segments = store.index().segments();
    let is_part = options.part.or(options.read_part).is_some();
    let is_all = options.read_data && !is_part && lost.is_empty();
    // What lies outside of the store is in no pack.
    let locations = segments.iter().flat_map(|segment| segment.locations());
    let has_others = locations.into_iter().any(|location| location.pack().is_none());
    if is_all && !has_others && segments.len() == 1 {
        let entries: u64 = segments.iter().map(|segment| segment.blobs()).sum();
        if entries > blobs {
            find(Finding::ExtraEntries(entries - blobs))?;
        }
    }
    (checked.packs, checked.bytes, checked.roots) = (read, bytes, records.len() as u64);
    Ok(checked)
}

/// What the index says; `None` where a segment is damaged, which is told by itself.
fn entries(found: Result<Vec<Found>>) -> Result<Option<Vec<Found>>> {
    match found {
        Err(error) if error.is_malformed() => Ok(None),
        found => found.map(Some),
    }
}

/// Packs that are no CAR, and in which the index knows blobs: they are wrapped, and nothing here opens them.
struct Closed<'a> {
    index: &'a Index,
    packs: &'a BTreeMap<Hash, u64>,
    /// Which they are, once that is asked for; `Some(None)`: nobody knows.
    known: Option<Option<HashSet<Hash>>>,
}

impl Closed<'_> {
    async fn has(&mut self, pack: &Hash) -> Result<bool> {
        let known = match &mut self.known {
            Some(known) => known,
            none => {
                let packs = self.packs.keys().copied().collect();
                let known = match self.index.inhabited(packs).await {
                    // What a damaged segment says of them cannot be known.
                    Err(error) if error.is_malformed() => None,
                    Ok(_) if !self.index.damaged().is_empty() => None,
                    known => Some(known?),
                };
                none.insert(known)
            }
        };
        Ok(known.as_ref().is_none_or(|known| known.contains(pack)))
    }
}

/// What an error of one pack comes to. Where the store itself does not answer, there is nothing to be said of its packs.
async fn unreadable(store: &Store, name: Hash, error: Error) -> Result<Finding> {
    store.answers().await?;
    Ok(Finding::UnreadablePack { name, error: error.of(text_of(&name)) })
}

/// Whether a pack is in a part.
pub(super) fn is_in(name: &Hash, part: Option<(u64, u64)>) -> bool {
    part.is_none_or(|(part, of)| part_of(name, of) == part)
}

/// Which of so many parts a pack is in.
fn part_of(name: &Hash, of: u64) -> u64 {
    let front = name.digest().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    front.checked_rem(of).unwrap_or(0)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPack(name) => write!(f, "pack {} is missing", text_of(name)),
            Self::NotListed(name) => {
                write!(f, "pack {} is there, and the listing leaves it out", text_of(name))
            }
            Self::WrongSize { pack, indexed, found } => {
                let name = text_of(pack);
                write!(f, "pack {name} has {found} bytes, and the index says {indexed}")
            }
            Self::DamagedPack { error, .. } => write!(f, "damaged pack: {error}"),
            Self::UnreadablePack { error, .. } => write!(f, "a pack cannot be read: {error}"),
            Self::Unindexed(name) => write!(f, "pack {} is not in the index", text_of(name)),
            Self::MissingEntry { pack, blob } => {
                let (pack, blob) = (text_of(pack), text_of(blob));
                write!(f, "the index does not have blob {blob} where it lies in pack {pack}")
            }
            Self::ExtraEntries(count) => {
                write!(
                    f,
                    "{count} entries of the index lead to no blob: `index rebuild` makes it again"
                )
            }
            Self::DamagedSegment(what) => write!(f, "damaged index: {what}"),
            Self::MissingRoot(root) => {
                write!(f, "root {} is not in the index", text_of(root))
            }
            Self::IncompleteRoot(IncompleteRoot { root, block, error }) => {
                write!(f, "root {root} is incomplete: block {block} ")?;
                match error {
                    None => f.write_str("is not there"),
                    Some(error) => write!(f, "cannot be read: {error}"),
                }
            }
            Self::DamagedRoot(error) if error.is_malformed() => {
                write!(f, "damaged root: {error}")
            }
            Self::DamagedRoot(error) => {
                write!(f, "the record of a root cannot be read: {error}")
            }
            Self::OddKey(key) => write!(f, "{key} is no record of a root, and is left alone"),
        }
    }
}
