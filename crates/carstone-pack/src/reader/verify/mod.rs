//! Checks a whole pack: every block, the index against the sections, the manifest against the blocks.

mod entries;
mod index;

use std::io;

use carstone_layer::ReadAt;

use super::{CAR_HEADER, PackReader};
use crate::block_map::{BlockKey, BlockMap};
use crate::error::{Error, ErrorKind};
use crate::ids::Ids;
use crate::record::{Record, decode};
use crate::sorter::{Sorted, Sorter};

/// Something that does not hold.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Path of the entry it concerns, if it concerns one.
    pub path: Option<Vec<u8>>,
    /// What does not hold, and where.
    pub error: Error,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Content sections whose bytes hash to their CID.
    pub blocks: u64,
    /// carstone's records.
    pub records: u64,
    /// Entries whose content is what the pack states.
    pub entries: u64,
    /// Bytes of content read.
    pub bytes: u64,
    /// How much does not hold.
    pub findings: u64,
}

impl<R: ReadAt + Clone> PackReader<R> {
    /// Reads everything and compares everything. `progress` hears the position in the CAR stream; `found` hears each fault, and the
    /// check goes on behind it where it can.
    ///
    /// # Errors
    /// Only what stops the check: the stream below fails, or sections cannot be told apart any more.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(u64),
        found: &mut dyn FnMut(Finding),
    ) -> Result<VerifyReport, Error> {
        let mut check = Check { report: VerifyReport::default(), found };
        let Found { stands, ends, announced } = self.check_sections(&mut check, progress)?;
        self.check_index(&mut check, &stands)?;
        drop(stands); // What it holds in memory is for the entries now.
        self.check_entries(&mut check, &ends, announced)?;
        Ok(check.report)
    }

    /// Hashes every block and decodes every record.
    fn check_sections(
        &self,
        check: &mut Check<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Found, Error> {
        let mut stands = Sorter::new(SORT_BUDGET);
        let mut ends = BlockMap::new(ENDS_BUDGET);
        let (mut ids, mut announced) = (Ids::default(), 0_u64);
        let (mut position, mut data) = (CAR_HEADER, Vec::new());
        while let Some(head) = self.sections.head(position)? {
            progress(position);
            let end = head.end();
            match self.sections.read_into(position, &mut data) {
                Ok(Some(section)) if self.sections.is_record(&section.cid, &data) => {
                    check.report.records += 1;
                    match decode(&data, position) {
                        Ok(Record::Tail(_)) if end != self.stream_len() => {
                            let rule = "sections follow the tail record";
                            check.fault(None, Error::new(ErrorKind::BadRecord(rule), position));
                        }
                        Ok(Record::End(record)) => {
                            announced -= u64::from(record.proof.is_none() && announced > 0);
                            ends.insert(BlockKey::number(record.id), position)?;
                        }
                        Ok(Record::Batch(batch)) => {
                            announced += batch.entries.len() as u64;
                            let mut new = batch.entries.iter().map(|entry| ids.insert(entry.id));
                            if !new.all(|new| new) {
                                let rule = "an id stands twice";
                                check.fault(None, Error::new(ErrorKind::BadRecord(rule), position));
                            }
                        }
                        Ok(_) => {}
                        Err(error) => check.fault(None, error),
                    }
                }
                Ok(Some(section)) => {
                    check.report.blocks += 1;
                    check.report.bytes += data.len() as u64;
                    stands.push(&index_key(section.cid.hash().digest(), position), &[])?;
                }
                Ok(None) => break,
                Err(error) if matches!(error.kind(), ErrorKind::Car(_)) => check.fault(None, error),
                Err(error) => return Err(error),
            }
            position = end;
        }
        if check.report.blocks != self.tail.blocks {
            let error = Error::mismatch(b"pack", "the number of blocks", self.tail_position());
            check.fault(None, error);
        }
        Ok(Found { stands: stands.finish()?, ends, announced })
    }
}

/// What the sections tell that other parts of the pack must agree with.
struct Found {
    /// The content sections, sorted as the index should be.
    stands: Sorted,
    /// Position of the end record of each entry that has one.
    ends: BlockMap,
    /// Entries announced and not abandoned.
    announced: u64,
}

struct Check<'a> {
    report: VerifyReport,
    found: &'a mut dyn FnMut(Finding),
}

impl Check<'_> {
    fn fault(&mut self, path: Option<Vec<u8>>, error: Error) {
        self.report.findings += 1;
        (self.found)(Finding { path, error });
    }
}

/// A fault of the source, which says nothing about the pack.
fn is_environment(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io(source) if Error::of(source).is_none()
        && source.kind() != io::ErrorKind::UnexpectedEof)
}

fn index_key(digest: &[u8], position: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let n = digest.len().min(8);
    key[8..].copy_from_slice(&position.to_be_bytes());
    key[..n].copy_from_slice(&digest[..n]);
    key
}

/// Memory for what is sorted before it spills; at most two such sorters are in use at a time.
const SORT_BUDGET: usize = 16 << 20;
/// Memory for the positions of end records before they spill.
const ENDS_BUDGET: usize = 4 << 20;
