//! Where the blocks of a DAG come from.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::error::DagError;
use crate::error::{Error, ErrorKind, Result};
use crate::{Cid, MemoryCar, hash_code};

/// Finds blocks by CID.
///
/// Blocks are believed: a source must have checked that the bytes hash to the CID ([`verify`](crate::verify)). Identity CIDs carry their
/// block themselves and are never asked for.
///
/// [`blocks_from_fn`] makes one of a function of [`io::Result`]s, such as the method of another trait.
pub trait Blocks {
    /// The bytes of a block, or `None` where the source has no such block.
    fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>>;

    /// The length of a block in bytes, or `None` where the source has no such block. A source that knows the lengths should answer
    /// without reading the block.
    fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        Ok(self.block(cid)?.map(|data| data.len() as u64))
    }
}

/// Blocks that a function finds. Made by [`blocks_from_fn`].
#[derive(Clone)]
pub struct BlocksFromFn<F>(F);

/// Makes [`Blocks`] of a function. An [`Error`] of this crate inside of the [`io::Error`] is found again.
///
/// ```
/// use carstone_car::{cid_of, codec};
/// use carstone_car::dag::{Blocks, blocks_from_fn};
/// let hello = cid_of(codec::RAW, b"hello");
/// let blocks = blocks_from_fn(|cid| Ok((*cid == hello).then(|| b"hello".to_vec())));
/// assert_eq!(blocks.size(&hello)?, Some(5));
/// # Ok::<(), carstone_car::Error>(())
/// ```
pub fn blocks_from_fn<F>(find: F) -> BlocksFromFn<F>
where
    F: Fn(&Cid) -> io::Result<Option<Vec<u8>>>,
{
    BlocksFromFn(find)
}

impl<F> fmt::Debug for BlocksFromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlocksFromFn").finish_non_exhaustive()
    }
}

impl<F: Fn(&Cid) -> io::Result<Option<Vec<u8>>>> Blocks for BlocksFromFn<F> {
    fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>> {
        let found = (self.0)(cid).map_err(|error| match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::new(ErrorKind::Io(error)),
        });
        Ok(found?.map(Cow::Owned))
    }
}

impl<B: AsRef<[u8]>> Blocks for MemoryCar<B> {
    fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(self.get(cid)?.map(|block| Cow::Borrowed(block.data)))
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        Ok(MemoryCar::size(self, cid).map(|size| size as u64))
    }
}

impl<H: BuildHasher> Blocks for HashMap<Cid, Vec<u8>, H> {
    fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(self.get(cid).map(|data| Cow::Borrowed(&data[..])))
    }
}

impl Blocks for BTreeMap<Cid, Vec<u8>> {
    fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(self.get(cid).map(|data| Cow::Borrowed(&data[..])))
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<B: Blocks + ?Sized> Blocks for $pointer {
            fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>> {
                (**self).block(cid)
            }

            fn size(&self, cid: &Cid) -> Result<Option<u64>> {
                (**self).size(cid)
            }
        }
    )*};
}

forward!(&B, Box<B>, Rc<B>, Arc<B>);

/// Whether the CID carries its block itself.
pub(crate) fn is_inline(cid: &Cid) -> bool {
    cid.hash().code() == hash_code::IDENTITY
}

/// A block, from the CID itself if that carries it.
pub(crate) fn fetch<'b, B: Blocks + ?Sized>(
    blocks: &'b B,
    cid: &Cid,
) -> Result<Option<Cow<'b, [u8]>>, DagError> {
    if is_inline(cid) {
        return Ok(Some(Cow::Owned(cid.hash().digest().to_vec())));
    }
    blocks.block(cid).map_err(DagError::from)
}

/// The length of a block.
pub(crate) fn fetch_size<B: Blocks + ?Sized>(
    blocks: &B,
    cid: &Cid,
) -> Result<Option<u64>, DagError> {
    if is_inline(cid) {
        return Ok(Some(u64::from(cid.hash().size())));
    }
    blocks.size(cid).map_err(DagError::from)
}

// A source can be chosen at run time.
const _: fn(&dyn Blocks) = |_| ();
