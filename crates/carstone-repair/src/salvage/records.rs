//! What records say of entries.

use carstone_car::Cid;
use carstone_layer::FailSafeRead;
use carstone_pack::{Announced, Batch, End, EntryKind, Error, ErrorKind, Event, Record, Resume};

use super::files::{self, Open, Piece};
use super::{Awaited, Salvage};
use crate::leaf_digest;

impl<R: FailSafeRead> Salvage<R> {
    pub(super) fn record(&mut self, data: &[u8], at: u64) -> Result<(), Error> {
        match Record::decode(data, at)? {
            Record::Batch(batch) => self.batch(batch, at),
            Record::Resume(resume) => self.resume(resume, at),
            Record::End(end) => self.end(end, at),
            Record::Manifest => {
                for listed in Record::listed(data, at)? {
                    self.listed(listed)?;
                }
                Ok(())
            }
            Record::Tail(tail) => {
                self.has_tail = true;
                self.root = tail.roots.first().copied();
                // The codec of a section is covered by no hash: a record that lost it would be missing without a trace.
                let counted = (tail.entries, tail.blocks) == (self.entries, self.blocks);
                self.tell(Event::Tail(tail));
                match counted || self.damaged {
                    true => Ok(()),
                    false => Err(Error::new(ErrorKind::BadRecord(MISCOUNTED), at)),
                }
            }
            _ => Ok(()),
        }
    }

    fn batch(&mut self, batch: Batch, at: u64) -> Result<(), Error> {
        self.current = None;
        for entry in batch.entries {
            // A repeated batch tells nothing new.
            if !self.ids.insert(entry.id) {
                continue;
            }
            self.entries += 1;
            let mut open = self.open.remove(&entry.id).unwrap_or_default();
            open.span.announce(at);
            match (entry.kind, entry.root) {
                (EntryKind::File, Some(root)) => self.whole_file(entry, &root, at)?,
                (EntryKind::File, None) => self.announce(entry, open)?,
                _ => {
                    self.done.insert(entry.id);
                    self.tell_entry(entry)?;
                }
            }
        }
        Ok(())
    }

    /// A file of several leaves, of which some may have come already.
    fn announce(&mut self, entry: Announced, mut open: Open) -> Result<(), Error> {
        let id = entry.id;
        (open.path, open.named) = (entry.path.clone(), true);
        self.current = Some(id);
        self.tell_entry(entry)?;
        self.give_pieces(id, &mut open);
        self.open.insert(id, open);
        Ok(())
    }

    fn whole_file(&mut self, entry: Announced, root: &Cid, at: u64) -> Result<(), Error> {
        let (id, size) = (entry.id, entry.size.unwrap_or_default());
        self.tell_entry(entry)?;
        let Some(digest) = leaf_digest(root) else {
            self.empty(id, size, at);
            return Ok(());
        };
        match self.find(&digest)? {
            Some((number, len)) if len == size => {
                self.leaves.name(number, len);
                self.tell(Event::Reuse { id, offset: 0, cid: *root, len: Some(len) });
                self.complete(id, size, Some(digest), false);
            }
            Some(_) => self.empty(id, size, at),
            None => self.awaited.entry(digest).or_default().push(Awaited { id, size, at }),
        }
        Ok(())
    }

    fn resume(&mut self, resume: Resume, at: u64) -> Result<(), Error> {
        let Resume { id, mut offset, references, .. } = resume;
        self.current = None;
        if self.takes_no_leaves(id) {
            return Ok(());
        }
        let mut open = self.open.remove(&id).unwrap_or_default();
        open.span.see(at);
        for leaf in references {
            let piece =
                leaf_digest(&leaf.cid).map(|digest| Piece { offset, len: leaf.len, digest });
            if let Some(piece) = piece {
                self.give(id, &mut open, piece)?;
            }
            offset = offset.saturating_add(leaf.len);
        }
        open.offset = offset;
        self.open.insert(id, open);
        self.current = Some(id);
        Ok(())
    }

    fn end(&mut self, end: End, at: u64) -> Result<(), Error> {
        self.current = None;
        let id = end.id;
        if self.takes_no_leaves(id) {
            return Ok(());
        }
        let mut open = self.open.remove(&id).unwrap_or_default();
        open.span.end(at);
        let Some((root, sha256)) = end.proof else {
            self.done.insert(id);
            self.entries = self.entries.saturating_sub(1);
            if open.named {
                self.tell(Event::Abandoned { id });
            }
            return Ok(());
        };
        if open.path.is_empty() {
            open.path = end.path;
        }
        let (root, sha256) = (Some(root), Some(sha256));
        open.end = Some(files::End { size: end.size, root, sha256, changed: end.changed });
        self.settle(id, open, false)
    }

    /// Whether an entry is known not to be a file whose leaves still come.
    pub(super) fn takes_no_leaves(&self, id: u64) -> bool {
        self.done.contains(id) || (self.ids.contains(id) && !self.open.contains_key(&id))
    }
}

const MISCOUNTED: &str = "the pack has not as many entries and blocks as its tail record says";
