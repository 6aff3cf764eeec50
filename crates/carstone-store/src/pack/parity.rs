//! Sidecars of packs, made while the packs are in files here.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use carstone_car::{ReadAt, hash_code};
use carstone_layer::default_threads;
use carstone_parity::{Descriptor, Options, ProtectionId, Share, WriteAt, protect};
use tokio::sync::Semaphore;

use super::store::PackStore;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Hash, text_of};
use crate::objects::{Spool, blocking};

/// A pack in a file, and its sidecar, if it has none in the store yet.
///
/// # Errors
/// There can be no sidecars; it cannot be found out or made; the file has other bytes by now.
pub(crate) async fn missing(
    store: &dyn PackStore,
    name: &Hash,
    share: Share,
    pack: Spool,
) -> Result<(Spool, Option<Spool>)> {
    let none = || Error::new(ErrorKind::Unsupported("parity beside packs")).of(text_of(name));
    let sidecars = store.sidecars().ok_or_else(none)?;
    // Its share may be another one: a pack has one sidecar, and whoever made it has chosen.
    if sidecars.size(name).await?.is_some() {
        return Ok((pack, None));
    }
    let (pack, sidecar) = protected(*name, share, pack, store.spool()?).await?;
    Ok((pack, Some(sidecar)))
}

/// A pack in a file, and its sidecar in another, which was empty. One is made after the other, on up to four threads, each of which takes 64 MiB and what the share is of that.
///
/// The same pack and the same share give the same bytes, whoever makes them, as is so with all that is in a store.
///
/// # Errors
/// It cannot be read or written; the file has other bytes than the name says.
pub(crate) async fn protected(
    name: Hash,
    share: Share,
    pack: Spool,
    sidecar: Spool,
) -> Result<(Spool, Spool)> {
    let turn = MAKING.acquire().await;
    blocking(move || {
        let _turn = turn;
        let options = Options::default().with_share(share).with_id(id_of(&name, share));
        let (pack, target) = (Source(pack), Target::new(sidecar));
        let made = protect(&pack, &target, &options.with_threads(threads()), &|_| ())?;
        match is_of(&made, &name) {
            true => Ok((pack.0, target.into_spool())),
            false => Err(Error::mismatch(&name).of(text_of(&name))),
        }
    })
    .await
}

/// Whether parity says of what it protects that it has this name. Of names by other functions than its own it says nothing.
pub(crate) fn is_of(descriptor: &Descriptor, name: &Hash) -> bool {
    match name.code() {
        hash_code::SHA2_256 => descriptor.sha256()[..] == *name.digest(),
        hash_code::BLAKE3 => descriptor.blake3()[..] == *name.digest(),
        _ => true,
    }
}

/// Threads for one pack. Each takes the memory of a zone.
pub(crate) fn threads() -> usize {
    default_threads().min(MOST_THREADS)
}

/// Follows from what the sidecar is made of, so that frames with the same id are the same frames.
fn id_of(name: &Hash, share: Share) -> ProtectionId {
    let mut hasher = blake3::Hasher::new_derive_key("carstone-store sidecar 1");
    hasher.update(&name.to_bytes()).update(&share.hundredths().to_le_bytes());
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    ProtectionId::from_bytes(id)
}

/// A file that is read anywhere.
pub(crate) struct Source(pub(crate) Spool);

impl carstone_layer::ReadAt for Source {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }
}

/// A file that is written and read anywhere.
pub(crate) struct Target(Mutex<Spool>);

impl Target {
    pub(crate) fn new(spool: Spool) -> Self {
        Self(Mutex::new(spool))
    }

    pub(crate) fn into_spool(self) -> Spool {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteAt for Target {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut spool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = offset.saturating_sub(spool.len());
        io::copy(&mut io::Read::take(io::repeat(0), missing), &mut *spool)?;
        let within = usize::try_from(spool.len() - offset).unwrap_or(usize::MAX).min(bytes.len());
        let (over, behind) = bytes.split_at(within);
        if !over.is_empty() {
            spool.write_at(over, offset)?;
        }
        spool.write_all(behind)
    }
}

impl carstone_layer::ReadAt for Target {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

/// Sidecars that are made, or packs that are restored, at the same time: memory is bounded by that.
pub(crate) static MAKING: Semaphore = Semaphore::const_new(1);
const MOST_THREADS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_written_in_any_order() {
        let target = Target::new(Spool::unnamed().expect("made"));
        for (bytes, offset) in [(&b"ef"[..], 6), (b"ab", 0), (b"bcde", 1), (b"fgh", 7)] {
            target.write_all_at(bytes, offset).expect("written");
        }
        let mut held = [9; 12];
        let len = carstone_layer::read_full(&target, &mut held, 0).expect("read");
        assert_eq!(&held[..len], b"abcde\0efgh");
        assert_eq!(target.into_spool().len(), 10);
    }
}
