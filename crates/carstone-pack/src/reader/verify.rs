//! Checks a whole pack: every block, the index against the sections, the manifest against the blocks.

use std::collections::HashMap;
use std::io;

use carstone_layer::ReadAt;
use carstone_unixfs::Link;
use sha2::{Digest, Sha256};

use super::{PackFile, PackReader, index};
use crate::entry::{EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::record::{Batch, Record, decode, decode_kept, encode_kept};
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
        let stands = self.check_sections(&mut check, progress)?;
        self.check_index(&mut check, &stands)?;
        self.check_entries(&mut check)?;
        Ok(check.report)
    }

    /// Hashes every block; gives the content sections, sorted as the index should be.
    fn check_sections(
        &self,
        check: &mut Check<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Sorted, Error> {
        let mut stands = Sorter::new(SORT_BUDGET);
        let mut ends: HashMap<u64, u64> = HashMap::new();
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
                            ends.insert(record.id, position);
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
        Ok(stands.finish()?)
    }

    /// The index must list each content section once, and nothing else.
    fn check_index(&self, check: &mut Check<'_>, stands: &Sorted) -> Result<(), Error> {
        let mut listed = Sorter::new(SORT_BUDGET);
        let mut pages = vec![self.tail.index];
        let mut width = 8;
        while let Some(position) = pages.pop() {
            let page = match index::page(&self.sections, position) {
                Ok(page) => page,
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => {
                    check.fault(None, error);
                    return Ok(());
                }
            };
            width = page.prefix;
            let mut before: Option<(Vec<u8>, u64)> = None;
            for (prefix, at) in page.entries() {
                let sorted = before.as_ref().is_none_or(|(b, p)| (b.as_slice(), *p) < (prefix, at));
                let below = page.level == 0 || at < position;
                if !sorted || !below {
                    let rule = "an index page is not in order";
                    check.fault(None, Error::new(ErrorKind::BadRecord(rule), position));
                    return Ok(());
                }
                before = Some((prefix.to_vec(), at));
                match page.level {
                    0 => listed.push(&index_key(prefix, at), &[])?,
                    _ => pages.push(at),
                }
            }
        }
        let listed = listed.finish()?;
        let same = listed.count() == stands.count() && same_sections(&listed, stands, width)?;
        if !same {
            let error = Error::mismatch(b"pack", "the index of blocks", self.tail.index);
            check.fault(None, error);
        }
        Ok(())
    }

    /// Compares every entry of the manifest with its record, its directory and its content.
    ///
    /// Digests stand in directories, in the order of paths; content stands in the order of the stream. Each is visited in its own order, so
    /// that no frame is decoded again and again.
    fn check_entries(&self, check: &mut Check<'_>) -> Result<(), Error> {
        let mut announced = 0;
        let mut by_record = Sorter::new(SORT_BUDGET);
        for entry in self.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => {
                    check.fault(None, error);
                    return Ok(());
                }
            };
            announced += u64::from(entry.id.is_some());
            match self.expect(entry.clone()) {
                Ok((entry, link)) => {
                    let key = entry.record.unwrap_or_default().to_be_bytes();
                    by_record.push(&key, &encode_kept(&entry, link.as_ref()))?;
                }
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => check.fault(Some(entry.path), error),
            }
        }
        if announced != self.tail.entries {
            let error = Error::mismatch(b"pack", "the number of entries", self.tail_position());
            check.fault(None, error);
        }
        let by_record = by_record.finish()?;
        let mut entries = by_record.iter()?;
        let mut batch: Option<(u64, Result<Batch, ()>)> = None;
        while let Some((_, value)) = entries.next()? {
            let (entry, link) = decode_kept(value)?;
            match self.check_entry(&entry, link, &mut batch) {
                Ok(()) => check.report.entries += 1,
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => check.fault(Some(entry.path), error),
            }
        }
        Ok(())
    }

    /// Completes an entry by what other parts of the manifest and the directories say of it.
    fn expect(&self, mut entry: Listed) -> Result<(Listed, Option<Link>), Error> {
        match entry.kind {
            EntryKind::File => {
                entry.sha256 = self.sha256(&entry)?;
                Ok((entry, None))
            }
            EntryKind::HardLink if self.original(&entry)?.is_none() => {
                Err(Error::mismatch(&entry.path, "the entry it links to", 0))
            }
            EntryKind::HardLink => Ok((entry, None)),
            EntryKind::Directory | EntryKind::Symlink => {
                let link = self.link(&entry)?.map(|cid| Link { cid, tsize: 0 });
                Ok((entry, link))
            }
        }
    }

    fn check_entry(
        &self,
        entry: &Listed,
        link: Option<Link>,
        batch: &mut Option<(u64, Result<Batch, ()>)>,
    ) -> Result<(), Error> {
        let at = entry.record.unwrap_or_default();
        let mut root = None;
        if let (Some(position), Some(id)) = (entry.record, entry.id) {
            if batch.as_ref().is_none_or(|(loaded, _)| *loaded != position) {
                *batch = Some((position, self.batch(position).map_err(drop)));
            }
            let loaded = batch.as_ref().and_then(|(_, batch)| batch.as_ref().ok());
            let record = loaded.and_then(|batch| batch.entries.iter().find(|e| e.id == id));
            let same = record.is_some_and(|record| {
                record.path == entry.path
                    && record.kind == entry.kind
                    && record.metadata.mode == entry.mode
                    && record.metadata.mtime == entry.mtime
                    && record.target == entry.target
                    && (record.size.is_none() || record.size == entry.size)
            });
            if !same {
                return Err(Error::mismatch(&entry.path, "its entry in the batch", position));
            }
            root = record.and_then(|record| record.root);
        }
        match entry.kind {
            EntryKind::File => {}
            EntryKind::HardLink => return Ok(()),
            EntryKind::Directory | EntryKind::Symlink => {
                // The node itself was hashed with all other sections; here its link must fit.
                let Some(run) = entry.runs.first() else { return Ok(()) };
                let here = self.sections.head(run.position)?.map(|section| section.cid);
                return match link {
                    Some(link) if Some(link.cid) != here => {
                        Err(Error::mismatch(&entry.path, "the link in its directory", at))
                    }
                    _ => Ok(()),
                };
            }
        }
        let mut file = PackFile::of_announced(self.clone(), entry, root)?;
        let mut hasher = Sha256::new();
        io::copy(&mut file, &mut Hash(&mut hasher))?;
        match Some(<[u8; 32]>::from(hasher.finalize())) == entry.sha256 {
            true => Ok(()),
            false => Err(Error::mismatch(&entry.path, "the SHA-256 of its content", at)),
        }
    }
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

struct Hash<'a>(&'a mut Sha256);

impl io::Write for Hash<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

/// Whether both hold the same positions under the same prefixes of `width` bytes.
fn same_sections(listed: &Sorted, stands: &Sorted, width: usize) -> io::Result<bool> {
    // Within one prefix the order may differ, since the index orders by position there.
    let (mut listed, mut stands) = (listed.iter()?, stands.iter()?);
    let (mut group, mut other): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    loop {
        let (a, b) = (listed.next()?, stands.next()?);
        let ends = match (&a, &b, group.first()) {
            (None, None, _) => true,
            (Some((a, _)), Some((b, _)), first) => {
                if a[..width] != b[..width] {
                    return Ok(false);
                }
                first.is_some_and(|first| first[..width] != a[..width])
            }
            _ => return Ok(false),
        };
        if ends {
            group.iter_mut().chain(&mut other).for_each(|key| key[width..8].fill(0));
            group.sort();
            other.sort();
            if group != other {
                return Ok(false);
            }
            group.clear();
            other.clear();
        }
        match (a, b) {
            (Some((a, _)), Some((b, _))) => {
                group.push(a.to_vec());
                other.push(b.to_vec());
            }
            _ => return Ok(true),
        }
    }
}

const SORT_BUDGET: usize = 32 << 20;
/// Length of a CAR header without roots.
const CAR_HEADER: u64 = 18;
