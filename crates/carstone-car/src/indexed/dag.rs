//! The blocks of a CAR as those of DAGs.

use std::borrow::Cow;

use super::car::IndexedCar;
use crate::Cid;
use crate::dag::Blocks;
use crate::error::Result;
use crate::read_at::ReadAt;

impl<R: ReadAt> Blocks for IndexedCar<R> {
    fn block(&self, cid: &Cid) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(self.get(cid)?.map(Cow::Owned))
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        Ok(IndexedCar::size(self, cid)?.map(|size| size as u64))
    }
}
