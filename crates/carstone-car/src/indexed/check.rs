//! Whether a stored index says of the payload what is there, and all of it.

use std::io::{Read, Seek};

use super::car::IndexedCar;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::index::{IndexCodec, IndexEntries, Runs};
use crate::read_at::ReadAt;
use crate::{CarReader, hash_code};

/// What the comparison of an index with the payload has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexReport {
    /// Entries of the index.
    pub entries: u64,
    /// Sections that the index should have and has not. Those of identity CIDs are left out, unless the header says that the index has
    /// them.
    pub missing: u64,
    /// Offset in the payload of the first section that is missing.
    pub first_missing: Option<u64>,
    /// Sections of identity CIDs that the index has.
    pub identity: u64,
    /// Sections of identity CIDs that it does not have, whether it should or not.
    pub identity_missing: u64,
    /// Entries with an offset at which there is no section of their digest, or that are there twice.
    pub wrong: u64,
    /// The smallest offset of a wrong entry.
    pub first_wrong: Option<u64>,
}

impl IndexReport {
    /// Whether the index is right and complete.
    pub fn is_sound(&self) -> bool {
        self.missing == 0 && self.wrong == 0
    }

    fn add_missing(&mut self, offset: u64) {
        self.missing += 1;
        self.first_missing = Some(self.first_missing.map_or(offset, |first| first.min(offset)));
    }

    fn add_wrong(&mut self, count: u64, offset: u64) {
        if count > 0 {
            self.wrong += count;
            self.first_wrong = Some(self.first_wrong.map_or(offset, |first| first.min(offset)));
        }
    }
}

impl<R: ReadAt> IndexedCar<R> {
    /// Compares the stored index with the payload, entry by entry, in bounded memory. `None` if there is no stored index, or one that is
    /// [not usable](Self::index_fault).
    ///
    /// Order among entries of equal digests is free. A payload that cannot be gone over to its end is an error, as are entries that are
    /// not sorted.
    pub fn check_index(&self) -> Result<Option<IndexReport>> {
        let Some(stored) = self.stored() else {
            return Ok(None);
        };
        let characteristics = self.v2_header().map(|v2| v2.characteristics).unwrap_or_default();
        let entries = IndexEntries::new(self.source_of(stored), &stored.table);
        let is_full = characteristics.is_fully_indexed();
        compare(&mut self.reader()?, stored.table.codec(), entries, is_full).map(Some)
    }
}

/// Compares the entries of an index with the sections that a reader gives. `is_full`: identity CIDs should be there, too.
pub(crate) fn compare<R: Read + Seek, I: ReadAt + ?Sized>(
    reader: &mut CarReader<R>,
    codec: IndexCodec,
    mut entries: IndexEntries<'_, I>,
    is_full: bool,
) -> Result<IndexReport> {
    let io = |error| Error::new(ErrorKind::Io(error));
    let mut report = IndexReport::default();
    // Both sides are sorted together, and equal entries meet.
    let mut runs: Runs = Runs::new(BUDGET);
    while let Some(section) = reader.skip_section()? {
        let hash = section.cid.hash();
        let side = if hash.code() == hash_code::IDENTITY { IDENTITY } else { BLOCK };
        let code = match codec {
            IndexCodec::Sorted => 0,
            IndexCodec::MultihashSorted => hash.code(),
        };
        runs.push(code, hash.digest(), mark(section.offset, side)?).map_err(io)?;
    }
    while let Some(seen) = entries.advance()? {
        report.entries += 1;
        match seen.digest.len() <= usize::from(u8::MAX) {
            true => {
                let offset = mark(seen.offset, LISTED)?;
                runs.push(seen.code, seen.digest, offset).map_err(io)?;
            }
            false => report.add_wrong(1, seen.offset), // No CID has such a digest.
        }
    }
    runs.finish().map_err(io)?;
    let mut group = Group::default();
    runs.for_each(|record| {
        let offset = record.offset >> SIDE_BITS;
        if !group.is(record.code, record.digest, offset) {
            group.close(&mut report, is_full);
            group.open(record.code, record.digest, offset);
        }
        group.sides[(record.offset & ((1 << SIDE_BITS) - 1)) as usize] += 1;
        Ok(())
    })
    .map_err(io)?;
    group.close(&mut report, is_full);
    Ok(report)
}

/// All that is said of one digest at one offset.
#[derive(Default)]
struct Group {
    code: u64,
    digest: Vec<u8>,
    offset: u64,
    /// How often each side says it.
    sides: [u64; 1 << SIDE_BITS],
}

impl Group {
    fn is(&self, code: u64, digest: &[u8], offset: u64) -> bool {
        self.offset == offset && self.code == code && self.digest == digest
    }

    fn open(&mut self, code: u64, digest: &[u8], offset: u64) {
        (self.code, self.offset, self.sides) = (code, offset, [0; 1 << SIDE_BITS]);
        self.digest.clear();
        self.digest.extend_from_slice(digest);
    }

    fn close(&self, report: &mut IndexReport, is_full: bool) {
        let [block, identity, listed, _] = self.sides;
        let is_missing = block > 0 || (identity > 0 && is_full);
        match listed {
            0 => {
                report.identity_missing += identity;
                if is_missing {
                    report.add_missing(self.offset);
                }
            }
            _ => report.identity += identity,
        }
        report.add_wrong(listed.saturating_sub(block + identity), self.offset);
    }
}

/// Adds to an offset who says it.
fn mark(offset: u64, side: u64) -> Result<u64> {
    if offset >> (u64::BITS - SIDE_BITS) != 0 {
        let limit = u64::MAX >> SIDE_BITS;
        return Err(Error::new(ErrorKind::TooLarge { part: Part::Payload, size: offset, limit }));
    }
    Ok((offset << SIDE_BITS) | side)
}

const SIDE_BITS: u32 = 2;

/// A section that the index should have.
const BLOCK: u64 = 0;

/// A section of an identity CID, which the index need not have.
const IDENTITY: u64 = 1;

/// An entry of the index.
const LISTED: u64 = 2;

/// Bytes of entries that are sorted in memory.
const BUDGET: usize = 32 << 20;
