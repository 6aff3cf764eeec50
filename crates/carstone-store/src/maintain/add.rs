//! CARs that somebody else has made, as packs.

use std::io;

use carstone_car::{AtReader, CarReader, Cid, codec};

use super::pack::PackContent;
use crate::error::Result;
use crate::hasher::HashFunction;
use crate::index::Location;
use crate::name::Hash;
use crate::objects::{Content, Created, blocking};
use crate::pack::Blob;
use crate::store::{RootRecord, Store};

/// A CAR that is a pack now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// Its name.
    pub name: Hash,
    /// Its bytes.
    pub size: u64,
    /// Blobs that were indexed.
    pub blobs: u64,
    /// Roots that were noted: those of its header or, where that has none, the pack itself, so that it is needed.
    pub roots: Vec<Cid>,
}

/// Keeps a CAR of either version as a pack, byte for byte, and indexes its blobs. Each of them is verified first.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use carstone_car::{CarWriter, cid_of, codec};
/// use carstone_store::{Blob, Store, add_pack};
/// let cid = cid_of(codec::RAW, b"keystone");
/// let mut car = CarWriter::new(Vec::new(), &[cid])?;
/// car.write_data(codec::RAW, b"keystone")?;
/// let store = Store::in_memory().await?;
/// let added = add_pack(&store, Blob::bytes(car.finish()?)).await?;
/// assert_eq!((added.blobs, added.roots), (1, vec![cid]));
/// assert!(store.block(&cid).await?.is_some());
/// # Ok::<(), carstone_store::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// It cannot be read, is no CAR, or has a block that does not hash to its CID: then nothing is kept. Or it cannot be kept.
pub async fn add_pack(store: &Store, car: Blob) -> Result<Added> {
    let (mut source, _) = car.into_parts();
    let mut spool = store.packs().spool()?;
    let (spool, content) = blocking(move || {
        io::copy(&mut source, &mut spool)?;
        let spool = spool.hashed(HashFunction::Sha2_256)?;
        let content = PackContent::of(CarReader::open(AtReader::new(&spool))?)?;
        Ok((spool, content))
    })
    .await?;
    let (name, size) = (spool.hash().copied().unwrap_or_default(), spool.len());
    let created = store.packs().put(&name, Content::Spool(spool)).await?;
    let mut roots = content.roots;
    if roots.is_empty() {
        roots.push(Cid::new_v1(codec::RAW, name));
    }
    let location = Location::Pack { name, size };
    let index = async {
        let mut writer = store.index().writer();
        for blob in &content.blobs {
            writer.blob(&blob.cid, &location, blob.offset, blob.len).await?;
        }
        for root in &roots {
            writer.containing(root, &location)?;
        }
        writer.flush().await
    };
    let records: Vec<_> =
        roots.iter().map(|root| RootRecord { root: *root, packs: vec![name] }).collect();
    let old = (created == Created::Existed).then_some(name).into_iter().collect();
    store.note_roots(&records, &old, index).await?;
    Ok(Added { name, size, blobs: content.blobs.len() as u64, roots })
}
