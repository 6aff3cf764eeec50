//! What is found out about files after their content has come: from inner nodes, from the manifest, at the end.

use carstone_car::{cid_of, codec, verify};
use carstone_layer::FailSafeRead;
use carstone_pack::{Announced, EntryKind, Error, ErrorKind, Event, Listed, Metadata, Use};

use super::files::{End, Open, Piece};
use super::{Awaited, Salvage};
use crate::leaves::Digest;
use crate::{leaf_cid, leaf_digest};

impl<R: FailSafeRead> Salvage<R> {
    /// Tells of a file whose end is known, if all is known that can be; with `last` in any case.
    pub(super) fn settle(&mut self, id: u64, mut open: Open, last: bool) -> Result<(), Error> {
        let Some(end) = open.end else {
            self.incomplete(id, None, open.missing(), &open.span);
            return Ok(());
        };
        let mut missing = open.missing();
        let mut is_final = last;
        if let Some(root) = end.root.filter(|_| !missing.is_empty()) {
            let content = self.nodes.content(&root, end.size, &missing);
            for piece in content.pieces {
                self.give(id, &mut open, piece)?;
            }
            is_final |= content.whole;
            missing = open.missing();
        }
        if !open.named && !last {
            // The manifest knows more about it.
            self.open.insert(id, open);
            return Ok(());
        }
        if self.open.is_empty() && !self.damaged {
            self.nodes.clear();
        }
        match (missing.is_empty(), end.sha256) {
            (true, Some(_)) => self.complete(id, end.size, end.sha256, end.changed),
            _ if is_final => self.incomplete(id, Some(end.size), missing, &open.span),
            _ => drop(self.open.insert(id, open)),
        }
        Ok(())
    }

    /// An entry of the manifest. Most have been told long before.
    pub(super) fn listed(&mut self, listed: Listed) -> Result<(), Error> {
        let Some(id) = listed.id else { return Ok(()) };
        if self.done.contains(id) {
            return Ok(());
        }
        self.damaged = true;
        let is_new = self.ids.insert(id);
        if listed.kind != EntryKind::File {
            if !is_new {
                return Ok(());
            }
            self.open.remove(&id);
            self.done.insert(id);
            return self.tell_entry(announced(id, listed));
        }
        // A whole file has nothing to gain here: its batch has said what its leaf is.
        if !is_new && !self.open.contains_key(&id) {
            return Ok(());
        }
        let mut open = self.open.remove(&id).unwrap_or_default();
        if let Some(at) = listed.record {
            open.span.announce(at);
        }
        listed.runs.iter().for_each(|run| open.span.see(run.position));
        let size = listed.size.unwrap_or_default();
        let leaf = self.single_leaf(&listed, size)?;
        let (root, sha256, changed) = (listed.root, listed.sha256.or(leaf), false);
        open.end.get_or_insert(End { size, root, sha256, changed });
        let runs = listed.runs.clone();
        if !open.named {
            self.tell_entry(announced(id, listed))?;
            open.named = true;
            self.give_pieces(id, &mut open);
        }
        for (n, run) in runs.iter().enumerate() {
            let end = runs.get(n + 1).map_or(size, |next| next.offset.min(size));
            self.run(id, &mut open, run.position, run.offset, end)?;
        }
        self.settle(id, open, true)
    }

    /// The digest of a file that is one leaf, which is that of the leaf.
    fn single_leaf(&self, listed: &Listed, size: u64) -> Result<Option<[u8; 32]>, Error> {
        if listed.size == Some(0) {
            // Nothing of an empty file can be lost.
            return Ok(leaf_digest(&cid_of(codec::RAW, &[])));
        }
        let [run] = &listed.runs[..] else { return Ok(None) };
        let found = || match self.leaves.at(run.position)? {
            Some(number) => self.leaves.get(number),
            None => Ok(None),
        };
        let leaf = found().map_err(|error| Error::io(error, run.position))?;
        Ok(leaf.filter(|leaf| leaf.len == size).map(|leaf| leaf.digest))
    }

    /// The leaves from `position` on are the content from `offset` to `end`, as long as none is missing between them.
    fn run(
        &mut self,
        id: u64,
        open: &mut Open,
        position: u64,
        mut offset: u64,
        end: u64,
    ) -> Result<(), Error> {
        let at = |error| Error::io(error, position);
        let Some(mut number) = self.leaves.at(position).map_err(at)? else { return Ok(()) };
        let mut is_first = true;
        while offset < end {
            let Some(leaf) = self.leaves.get(number).map_err(at)? else { break };
            if !leaf.follows && !is_first {
                break;
            }
            let piece = Piece { offset, len: leaf.len, digest: leaf.digest };
            if piece.range().end > end {
                break;
            }
            self.give(id, open, piece)?;
            (offset, number, is_first) = (piece.range().end, number + 1, false);
        }
        Ok(())
    }

    /// Nothing more comes: tells of everything that is not complete.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if !self.has_tail && !self.damaged {
            let end = self.sections.position();
            self.fault(Error::new(ErrorKind::NoTail, end));
        }
        let mut open: Vec<_> = self.open.drain().collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        for (id, mut file) in open {
            if file.named {
                self.settle(id, file, true)?;
            } else if !file.path.is_empty() {
                let (path, kind) = (file.path.clone(), EntryKind::File);
                self.ids.insert(id);
                self.tell_entry(Announced::new(id, path, kind, Metadata::default()))?;
                file.named = true;
                self.give_pieces(id, &mut file);
                self.settle(id, file, true)?;
            }
        }
        let awaited = self.awaited.drain();
        let awaited =
            awaited.flat_map(|(digest, files)| files.into_iter().map(move |file| (digest, file)));
        let mut awaited: Vec<_> = awaited.collect();
        awaited.sort_unstable_by_key(|(_, file)| file.id);
        for (digest, Awaited { id, size, at }) in awaited {
            match leaf_cid(&digest).filter(|cid| size == 0 && verify(cid, &[]).is_ok()) {
                // Nothing of an empty file can be lost.
                Some(_) => {
                    self.give_empty(id, &digest)?;
                    self.complete(id, size, Some(digest), false);
                }
                None => self.empty(id, size, at),
            }
        }
        self.name_by_directories()?;
        self.tell_links()
    }

    /// Gives the leaf of an empty file, which need not be there.
    pub(super) fn give_empty(&mut self, id: u64, digest: &Digest) -> Result<(), Error> {
        match (self.find(digest)?, leaf_cid(digest)) {
            (Some((number, len)), _) => {
                self.leaves.name(number, len);
                self.reuse(id, Piece { offset: 0, len, digest: *digest });
            }
            (None, Some(cid)) => {
                let (data, uses) = (Vec::new(), vec![Use { id, offset: 0 }]);
                self.tell(Event::Leaf { cid, data, uses });
            }
            (None, None) => {}
        }
        Ok(())
    }
}

fn announced(id: u64, listed: Listed) -> Announced {
    let mut metadata = Metadata::default();
    (metadata.mode, metadata.mtime) = (listed.mode, listed.mtime);
    let mut entry = Announced::new(id, listed.path, listed.kind, metadata);
    (entry.size, entry.target) = (listed.size, listed.target);
    entry
}
