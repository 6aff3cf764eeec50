//! Files that are indexed where they lie, without being copied.

mod schedule;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use carstone_car::Cid;
use carstone_unixfs::{Leaves, Profile, write_file};
use futures::{StreamExt, TryStreamExt};

pub use self::schedule::{MemoryScheduler, Placed, Scheduler, index_scheduled};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{IndexWriter, Location};
use crate::name::Key;
use crate::objects::Objects;
use crate::pack::{Blob, PackWriterOptions};
use crate::store::{RootRecord, Store, old};

/// Where a leaf of a file lies in it.
struct Leaf {
    cid: Cid,
    offset: u64,
    len: u64,
}

/// Indexes a file as a UnixFS file whose leaves stay where they are: at places in `files`, under `key`. Nodes go into packs, so that all of the DAG can be given. The
/// root is that of the same file when it is [put](Store::put).
///
/// Leaves are read by a store that has been [told](Store::with_sources) where the files are, and verified as all blobs are: of a file that has been changed nothing is
/// given.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use carstone_store::{Key, LocalObjects, SourceReader, Store, index_in_place};
/// use carstone_unixfs::Profile;
/// let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join("stones"), b"a keystone")?;
/// let files = Arc::new(LocalObjects::new(directory.path()));
///
/// let store = Store::in_memory().await?.with_sources(SourceReader::new().paths(files.clone()));
/// let root = index_in_place(&store, files, &Key::new("stones")?, Profile::default()).await?;
/// assert_eq!(store.block(&root).await?.as_deref(), Some(&b"a keystone"[..]));
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// The file cannot be read; the profile has leaves that are not the content itself; the index cannot be kept.
pub async fn index_in_place(
    store: &Store,
    files: Arc<dyn Objects>,
    key: &Key,
    profile: Profile,
) -> Result<Cid> {
    if profile.leaves() != Leaves::Raw || profile.inline_limit().is_some() {
        let what = "files in place whose leaves are not raw blocks";
        return Err(Error::new(ErrorKind::Unsupported(what)).of(key));
    }
    let missing = || Error::new(ErrorKind::NotFound).of(key);
    let size = files.size(key).await?.ok_or_else(missing)?;
    let content = files.stream(key, None).await?.map_err(io::Error::other);
    let (mut source, _) = Blob::stream(content.boxed()).into_parts();
    let leaves = Arc::new(Mutex::new(Vec::new()));
    let (found, shape, mut read) = (Arc::clone(&leaves), profile.clone(), 0);
    let make = move |put: &mut crate::Put<'_>| {
        let root = write_file(&shape, &mut source, &mut |cid, data| {
            if cid.codec() != carstone_car::codec::RAW {
                return Ok(put(cid, data)?);
            }
            let len = data.len() as u64;
            let leaf = Leaf { cid: *cid, offset: read, len };
            found.lock().unwrap_or_else(PoisonError::into_inner).push(leaf);
            read += len;
            Ok(())
        })?;
        Ok(root.cid)
    };
    let options = PackWriterOptions::default().profile(profile);
    let written = store.writer(options)?.write_blocks(make, |_| Ok(())).await;
    let written = written.map_err(|error| error.of(key))?;
    let place = Location::Foreign { text: key.to_string(), size };
    let leaves = std::mem::take(&mut *leaves.lock().unwrap_or_else(PoisonError::into_inner));
    let index = async {
        let mut writer = store.index().writer();
        for leaf in leaves {
            writer.blob(&leaf.cid, &place, leaf.offset, leaf.len).await?;
        }
        for pack in &written.packs {
            writer.pack(pack).await?;
        }
        writer.containing(&written.root, &place)?;
        writer.finish(Some(&written.root)).await
    };
    let packs = written.packs.iter().map(|pack| pack.name).collect();
    let record = RootRecord { root: written.root, packs };
    store.note_roots(&[record], &old(&written.packs), index).await?;
    Ok(written.root)
}
