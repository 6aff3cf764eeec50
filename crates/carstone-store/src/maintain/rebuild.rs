//! The index, made again from the packs.

mod work;

use self::work::Work;
use super::options::is_in;
use super::walk::IncompleteRoot;
use crate::error::{Error, Result};
use crate::name::{Hash, Key};
use crate::store::{IndexPart, Store};

/// What making an index again came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Packs that were read.
    pub packs: u64,
    /// Blobs that they have.
    pub blobs: u64,
    /// Packs that needed not be read, since a [part](rebuild_part) has them.
    pub known: u64,
    /// Roots that packs name, and no record did.
    pub roots: u64,
    /// Roots of which no record was made, since not all that is under them is there.
    pub incomplete: Vec<IncompleteRoot>,
    /// When all roots were looked for: packs that no root needs. They name none, or one that is incomplete, or cannot be opened here.
    pub unneeded: Vec<Hash>,
    /// Records of roots that are damaged, and for which no other stands.
    pub damaged_roots: Vec<Error>,
    /// Packs that could not be used, and why. What the old index says of them stays, so that they can be healed.
    pub damaged: Vec<Error>,
}

/// Makes the index of a store from its packs alone. All packs are read and verified. The old index goes when the new one is there; entries for what lies outside of
/// the store go with it.
///
/// Records of roots that are damaged are made again, and where there are none at all, those of all roots that packs name: of those under which everything is
/// there. A pack that is a blob by itself names itself; of one that nothing here opens, the old index knows the root. Else a root without a record was removed, and stays so; [`rebuild_roots`] makes records of these too.
///
/// `read` hears of the bytes of each pack.
///
/// # Errors
/// Packs cannot be listed or read, the listing leaves out packs of the index that are there, or the new index cannot be kept. Then the old one is there still.
pub async fn rebuild_index(store: &Store, read: impl FnMut(u64)) -> Result<Rebuilt> {
    rebuild(store, false, false, read).await
}

/// The same, with records of all roots that packs name and that have none: when some of the records were lost. A root that was removed comes back with them, as long as all that
/// is under it is there.
///
/// # Errors
/// As [`rebuild_index`].
pub async fn rebuild_roots(store: &Store, read: impl FnMut(u64)) -> Result<Rebuilt> {
    rebuild(store, false, true, read).await
}

/// Makes a part of the index again, that of the packs of part I of N, counted from 0 on, so that several machines can share the work. Nothing goes: the new segments stand
/// beside the old ones until [`finish_rebuild`], which reads what no part has.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_store::{Blob, PackWriterOptions, Store, finish_rebuild, rebuild_part};
/// let store = Store::in_memory().await?;
/// store.put(Blob::bytes(&b"keystone"[..]), PackWriterOptions::default()).await?;
/// // Each of them on another machine.
/// let (first, second) = (rebuild_part(&store, (0, 2), |_| ()).await?, rebuild_part(&store, (1, 2), |_| ()).await?);
/// assert_eq!(first.packs + second.packs, 1);
/// let done = finish_rebuild(&store, |_| ()).await?;
/// assert_eq!((done.packs, done.known), (0, 1));
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// As [`rebuild_index`].
pub async fn rebuild_part(
    store: &Store,
    part: (u64, u64),
    mut read: impl FnMut(u64),
) -> Result<Rebuilt> {
    let mut work = Work::begin(store).await?;
    for pack in std::mem::take(&mut work.packs) {
        if is_in(&pack.name, Some(part)) {
            work.read(&pack, &mut read).await?;
        }
    }
    work.believe().await?;
    work.writer.flush().await?;
    let segments = work.writer.keys().to_vec();
    // Whoever finds the note finds all of its segments, or takes it for none.
    let part = IndexPart { segments, roots: work.named.into_iter().collect() };
    if !part.segments.is_empty() {
        store.note_part(&part).await?;
    }
    Ok(work.done)
}

/// Ends what [`rebuild_part`] has begun: as [`rebuild_index`], but packs that are in a part are not read again. A part of which a segment is gone, because segments have been
/// put together meanwhile, counts as none. So this may run whenever it likes, and has the more to read the fewer parts are done.
///
/// # Errors
/// As [`rebuild_index`].
pub async fn finish_rebuild(store: &Store, read: impl FnMut(u64)) -> Result<Rebuilt> {
    rebuild(store, true, false, read).await
}

async fn rebuild(
    store: &Store,
    with_parts: bool,
    all_roots: bool,
    mut read: impl FnMut(u64),
) -> Result<Rebuilt> {
    // Notes first: the segments of those that are found are then among the old ones.
    let mut notes = if with_parts { store.parts().await? } else { Vec::new() };
    let mut work = Work::begin(store).await?;
    work.all_roots = all_roots;
    for part in notes.iter().filter_map(|(_, part)| part.as_ref()) {
        work.take(part).await?;
    }
    for pack in std::mem::take(&mut work.packs) {
        match work.known.remove(&pack.name) {
            Some(size) => {
                work.sizes.insert(pack.name, size);
                work.done.known += 1;
            }
            None => work.read(&pack, &mut read).await?,
        }
    }
    let done = work.finish().await?;
    if !with_parts {
        // Their segments are gone.
        notes = store.parts().await?;
    }
    let notes: Vec<Key> = notes.into_iter().map(|(key, _)| key).collect();
    store.forget_parts(&notes).await?;
    Ok(done)
}
