//! The search itself: hints of a stored index, and what a scan says where they settle nothing.

use super::car::IndexedCar;
use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::found::{self, AHEAD, Found};
use crate::index::{Offsets, offsets_in};
use crate::read_at::ReadAt;
use crate::section;

impl<R: ReadAt> IndexedCar<R> {
    /// Hands the sections of a CID to `by_index` until it takes one, and where that settles nothing, those that a scan finds to `by_scan`,
    /// of which so many bytes are read.
    pub(super) fn find<T>(
        &self,
        cid: &Cid,
        by_index: impl FnMut(Found) -> Result<T>,
        by_scan: impl FnMut(Found) -> Result<T>,
        scan_ahead: usize,
    ) -> Result<Option<T>> {
        let mut bad = None;
        let is_all_scanned = self.made.get().is_some_and(|made| made.stopped.is_none());
        if let Some(stored) = self.stored().filter(|_| !is_all_scanned) {
            let source = self.source_of(stored);
            let offsets = offsets_in(source, &stored.table, cid.hash());
            match offsets.and_then(|offsets| self.try_all(cid, offsets, by_index, AHEAD)) {
                Ok(Tried::Taken(found)) => return Ok(Some(found)),
                Ok(Tried::Nothing) => return Ok(None),
                Ok(Tried::Others) => {}
                Ok(Tried::Bad(error)) => bad = Some(error),
                Err(error) if is_index_fault(&error) => drop(self.fault.set(error)), // The first one is kept.
                Err(error) => return Err(error),
            }
        }
        let made = self.made()?;
        if let Some(offset) = bad.as_ref().and_then(Error::offset)
            && !made.may_have(cid, offset)?
        {
            let stale = Error::at(ErrorKind::StaleIndex, offset).with_base(self.payload.start);
            let _ = self.fault.set(stale);
        }
        match (self.try_all(cid, made.offsets(cid)?, by_scan, scan_ahead)?, &made.stopped) {
            (Tried::Taken(found), _) => Ok(Some(found)),
            (Tried::Bad(error), _) => Err(error),
            (_, None) => Ok(None),
            (_, Some(stop)) => {
                let offset = stop.offset().unwrap_or(0);
                let unknown = Error::at(ErrorKind::NotAllScanned, offset);
                Err(bad.unwrap_or(unknown.with_base(self.payload.start)))
            }
        }
    }

    /// Hands the sections of a CID to `found` until it takes one. A bad block is passed over if there is another of its CID.
    fn try_all<T>(
        &self,
        cid: &Cid,
        offsets: Offsets<'_, dyn ReadAt + '_>,
        mut found: impl FnMut(Found) -> Result<T>,
        ahead: usize,
    ) -> Result<Tried<T>> {
        let (mut tried, mut bad_count) = (Tried::Nothing, 0);
        for offset in offsets {
            let offset = offset?;
            let stale = || Error::at(ErrorKind::StaleIndex, offset).with_base(self.payload.start);
            let there = found::find_at(&self.source, &self.payload, offset, ahead, &self.options)?;
            let there = there.ok_or_else(stale)?;
            let stored_cid = there.section.cid;
            let (wanted, stored) = (cid.hash(), stored_cid.hash());
            if stored.digest() != wanted.digest() {
                return Err(stale());
            }
            if stored.code() != wanted.code() || (self.whole_cids && stored_cid != *cid) {
                // The same digest, but another function or codec: that need not be a fault of the index.
                if let Tried::Nothing = tried {
                    tried = Tried::Others;
                }
                continue;
            }
            match found(there) {
                Ok(value) => return Ok(Tried::Taken(value)),
                Err(error) if error.is_block_error() => {
                    bad_count += 1;
                    if !matches!(tried, Tried::Bad(_)) {
                        tried = Tried::Bad(error);
                    }
                    // An index could lead to one bad block over and over.
                    if bad_count > MAX_BAD {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tried)
    }

    /// The data of a section, verified. What was read of it already is not read again, if it is all there.
    pub(super) fn data_of(&self, found: Found) -> Result<Vec<u8>> {
        let section = found.section;
        let data = found.into_data(&self.source, &self.payload, &self.options)?;
        section::check(&section, &data, self.options.checks())
            .map_err(|error| error.with_base(self.payload.start))?;
        Ok(data)
    }
}

/// What has come of the places that an index has for a CID.
enum Tried<T> {
    /// One of them was taken.
    Taken(T),
    /// There are none.
    Nothing,
    /// There are only sections of the same digest under other CIDs.
    Others,
    /// The blocks there are bad; this is the first of them.
    Bad(Error),
}

/// Whether this says that the stored index is not to be used.
fn is_index_fault(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StaleIndex | ErrorKind::BadIndex(_) | ErrorKind::Truncated(Part::Index)
    )
}

/// Bad blocks of one CID that are passed over.
const MAX_BAD: u32 = 16;
