//! Compares the manifest with records, directories and content.

use std::io;

use carstone_car::Cid;
use carstone_layer::ReadAt;
use carstone_unixfs::{Limits, Link, Node, decode as decode_node};
use sha2::{Digest, Sha256};

use super::{Check, SORT_BUDGET, is_environment};
use crate::block_map::{BlockKey, BlockMap};
use crate::entry::{Announced, EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::reader::{PackFile, PackReader};
use crate::record::{Batch, RAW, Record, decode, decode_kept, encode_kept};
use crate::sorter::Sorter;

impl<R: ReadAt + Clone> PackReader<R> {
    /// Compares every entry of the manifest with its record, its directory and its content.
    ///
    /// Links stand in directories, in the order of paths; content stands in the order of the stream. Each is visited in its own order, so
    /// that no frame is decoded again and again.
    pub(super) fn check_entries(
        &self,
        check: &mut Check<'_>,
        ends: &BlockMap,
        announced: u64,
    ) -> Result<(), Error> {
        let (mut listed, mut linked, mut links) = (0_u64, 0_u64, 0_u64);
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
            listed += u64::from(entry.id.is_some());
            let path = entry.path.clone();
            match self.expect(entry) {
                Ok((entry, link, children)) => {
                    linked += u64::from(link.is_some() && !path.is_empty());
                    links += children;
                    let key = entry.record.unwrap_or_default().to_be_bytes();
                    by_record.push(&key, &encode_kept(&entry, link.as_ref()))?;
                }
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => check.fault(Some(path), error),
            }
        }
        let at = self.tail_position();
        if listed != self.tail.entries || listed != announced {
            check.fault(None, Error::mismatch(b"pack", "the number of entries", at));
        }
        if linked != links && check.report.findings == 0 {
            let what = "the number of links in directory nodes";
            check.fault(None, Error::mismatch(b"pack", what, at));
        }
        let by_record = by_record.finish()?;
        let mut entries = by_record.iter()?;
        let mut batch: Option<(u64, Result<Batch, ()>)> = None;
        while let Some((_, value)) = entries.next()? {
            let (entry, link) = decode_kept(value)?;
            let end = match entry.id {
                Some(id) => ends.get(&BlockKey::number(id))?,
                None => None,
            };
            let result = self.recorded(&entry, &mut batch).and_then(|record| {
                self.check_entry(&entry, link.map(|link| link.cid), record, end)
            });
            match result {
                Ok(()) => check.report.entries += 1,
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => check.fault(Some(entry.path), error),
            }
        }
        Ok(())
    }

    /// Completes an entry by what other parts of the manifest and the directories say of it; also gives how many links a directory
    /// has.
    fn expect(&self, mut entry: Listed) -> Result<(Listed, Option<Link>, u64), Error> {
        let link = self.link(&entry)?;
        if link.is_none() && std::str::from_utf8(&entry.path).is_ok() {
            return Err(Error::mismatch(&entry.path, "the missing link in its directory", 0));
        }
        let mut children = 0;
        match entry.kind {
            EntryKind::File => entry.sha256 = self.sha256(&entry)?,
            EntryKind::HardLink => {
                let original = self
                    .original(&entry)?
                    .ok_or_else(|| Error::mismatch(&entry.path, "the entry it links to", 0))?;
                let representable = std::str::from_utf8(&original.path).is_ok();
                if representable && link.is_some() && self.link(&original)? != link {
                    return Err(Error::mismatch(&entry.path, "the link in its directory", 0));
                }
            }
            EntryKind::Directory => children = self.links_in(&entry.path)?,
            EntryKind::Symlink => {}
        }
        Ok((entry, link.map(|cid| Link { cid, tsize: 0 }), children))
    }

    /// The entry's own announcement, which the manifest must repeat.
    fn recorded(
        &self,
        entry: &Listed,
        batch: &mut Option<(u64, Result<Batch, ()>)>,
    ) -> Result<Option<Announced>, Error> {
        let (position, id) = match (entry.record, entry.id) {
            (Some(position), Some(id)) => (position, id),
            // Paths imply directories, and nothing else.
            (None, None) if entry.kind == EntryKind::Directory => return Ok(None),
            _ => return Err(Error::mismatch(&entry.path, "its entry in the batch", 0)),
        };
        if batch.as_ref().is_none_or(|(loaded, _)| *loaded != position) {
            *batch = Some((position, self.batch(position).map_err(drop)));
        }
        let loaded = batch.as_ref().and_then(|(_, batch)| batch.as_ref().ok());
        let record = loaded.and_then(|batch| batch.entries.iter().find(|e| e.id == id));
        let same = record.filter(|record| {
            record.path == entry.path
                && record.kind == entry.kind
                && record.metadata.mode == entry.mode
                && record.metadata.mtime == entry.mtime
                && record.target == entry.target
                && (record.root.is_none() || record.size == entry.size)
        });
        match same {
            Some(record) => Ok(Some(record.clone())),
            None => Err(Error::mismatch(&entry.path, "its entry in the batch", position)),
        }
    }

    fn check_entry(
        &self,
        entry: &Listed,
        link: Option<Cid>,
        record: Option<Announced>,
        end: Option<u64>,
    ) -> Result<(), Error> {
        let at = entry.record.unwrap_or_default();
        let wrong = |what, at| Err(Error::mismatch(&entry.path, what, at));
        match entry.kind {
            EntryKind::File => {}
            EntryKind::HardLink => return Ok(()),
            EntryKind::Directory | EntryKind::Symlink => {
                // The node itself was hashed with all other sections; here its link must fit.
                let Some(run) = entry.runs.first() else { return Ok(()) };
                let here = self.sections.head(run.position)?.map(|section| section.cid);
                return match link.is_none() || link == here {
                    true => Ok(()),
                    false => wrong("the link in its directory", at),
                };
            }
        }
        let whole = record.and_then(|record| record.root);
        let mut root = whole;
        if let (None, Some(position)) = (whole, end) {
            let end = self.sections.read(position)?.map(|(_, data)| decode(&data, position));
            let Some(Record::End(end)) = end.transpose()? else {
                return wrong("its end record", position);
            };
            let same = end.path == entry.path && Some(end.size) == entry.size;
            let proof = end.proof.filter(|(_, sha256)| same && Some(*sha256) == entry.sha256);
            let Some((cid, _)) = proof else { return wrong("its end record", position) };
            root = Some(cid);
        }
        if root.is_none() || link.is_some_and(|link| Some(link) != root) {
            return wrong("its root", end.unwrap_or(at));
        }
        let mut file = PackFile::of_announced(self.clone(), entry, whole)?;
        let mut hasher = Sha256::new();
        io::copy(&mut file, &mut Hash(&mut hasher))?;
        if Some(<[u8; 32]>::from(hasher.finalize())) != entry.sha256 {
            return wrong("the SHA-256 of its content", at);
        }
        if entry.size == Some(0) {
            return Ok(()); // No leaf was read.
        }
        // The leaves that were read must be those of the root, in order.
        match (file.leaf_sequence(), root.filter(|_| whole.is_none())) {
            (Some(read), Some(root)) if read != self.leaf_sequence(&root, entry)? => {
                wrong("the tree of its root", end.unwrap_or(at))
            }
            _ => Ok(()),
        }
    }

    /// A digest of the CIDs of all leaves under a file's root, in order.
    fn leaf_sequence(&self, root: &Cid, entry: &Listed) -> Result<[u8; 32], Error> {
        let path = entry.path.as_slice();
        let (mut sequence, mut stack) = (Sha256::new(), vec![*root]);
        // No leaf is empty, so there are at most as many as bytes, which have been read; nodes of one link are blocks of their own.
        let leaves = entry.size.unwrap_or_default();
        let mut budget = leaves.saturating_mul(2).saturating_add(self.tail.blocks);
        while let Some(cid) = stack.pop() {
            let spent = budget.checked_sub(1);
            budget = spent.ok_or_else(|| Error::mismatch(path, "the tree of its root", 0))?;
            if cid.codec() == RAW {
                sequence.update(cid.to_bytes());
                continue;
            }
            let missing = || {
                let path = path.escape_ascii().to_string();
                Error::new(ErrorKind::MissingBlock { path, cid: Box::new(cid) }, 0)
            };
            let data = self.get(&cid)?.ok_or_else(missing)?;
            let node = decode_node(&cid, &data)
                .map_err(|error| Error::new(ErrorKind::UnixFs(error), 0))?;
            let Node::File(file) = node else {
                return Err(Error::mismatch(path, "the tree of its root", 0));
            };
            let from = stack.len();
            stack.extend(file.links.map(|link| link.cid));
            stack[from..].reverse();
            if stack.len() > Limits::default().nodes as usize {
                return Err(Error::mismatch(path, "the tree of its root", 0));
            }
        }
        Ok(sequence.finalize().into())
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
