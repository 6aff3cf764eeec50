//! Where blocks come from.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use carstone_car::{Cid, IndexedCar, MemoryCar, ReadAt};

use crate::error::{Error, ErrorKind};
use crate::inline::is_inline;

/// Finds blocks by CID.
///
/// Blocks are believed: a source must have checked that the bytes hash to the CID
/// (`carstone_car::verify`). Where that fails it returns the [`carstone_car::Error`] as an [`io::Error`], which
/// is told as [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) of this one block: all else goes on.
/// So is every other error of that crate but its `Io`. Any other error is a failure of the source, which ends
/// the operation. Identity CIDs carry their block themselves and are never asked for.
pub trait BlockSource {
    /// The bytes of a block, or `None` where the source has no such block.
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>>;

    /// The length of a block in bytes, or `None` where the source has no such block. [`walk`](crate::walk)
    /// asks this of raw leaves, so a source that knows the lengths should answer without reading the block.
    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(self.block(cid)?.map(|data| data.len() as u64))
    }
}

/// A block, from the CID itself if it is an identity CID.
pub(crate) fn fetch<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
) -> Result<Option<Vec<u8>>, Error> {
    if is_inline(cid) {
        return Ok(Some(cid.hash().digest().to_vec()));
    }
    source.block(cid).map_err(|error| Error::from(error).within(cid))
}

/// The same, where an absent block ends the operation.
pub(crate) fn fetch_needed<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
) -> Result<Vec<u8>, Error> {
    fetch(source, cid)?.ok_or_else(|| Error::new(ErrorKind::Missing).within(cid))
}

/// The length of a block, without reading it where that is possible.
pub(crate) fn fetch_size<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
) -> Result<Option<u64>, Error> {
    if is_inline(cid) {
        return Ok(Some(cid.hash().digest().len() as u64));
    }
    source.size(cid).map_err(|error| Error::from(error).within(cid))
}

impl<H: BuildHasher> BlockSource for HashMap<Cid, Vec<u8>, H> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(cid).cloned())
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(self.get(cid).map(|data| data.len() as u64))
    }
}

impl BlockSource for BTreeMap<Cid, Vec<u8>> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(cid).cloned())
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(self.get(cid).map(|data| data.len() as u64))
    }
}

impl<R: ReadAt> BlockSource for IndexedCar<R> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(cid)?)
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(IndexedCar::size(self, cid)?.map(|size| size as u64))
    }
}

impl<B: AsRef<[u8]>> BlockSource for MemoryCar<B> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(cid)?.map(|block| block.data.to_vec()))
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(MemoryCar::size(self, cid).map(|size| size as u64))
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: BlockSource + ?Sized> BlockSource for $pointer {
            fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
                (**self).block(cid)
            }

            fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
                (**self).size(cid)
            }
        }
    )*};
}

forward!(&S, Box<S>, Rc<S>, Arc<S>);

// A source can be chosen at run time.
const _: fn(&dyn BlockSource) = |_| ();
