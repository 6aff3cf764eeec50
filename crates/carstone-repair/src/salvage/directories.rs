//! Names that only directory nodes tell: batch and manifest page of an entry may both be lost.

use std::io;

use carstone_car::{Cid, verify};
use carstone_layer::FailSafeRead;
use carstone_pack::{Announced, EntryKind, Error, MAX_PATH, Metadata, Timestamp, check_path};
use carstone_unixfs::{self as unixfs, BlockSource, Limits, Node, State, Step, decode, walk};

use super::Salvage;
use super::files::{End, Open};
use super::nodes::{Content, Nodes};
use super::places::Span;
use crate::leaf_digest;
use crate::leaves::Leaves;

impl<R: FailSafeRead> Salvage<R> {
    /// Tells of entries that stand in directories that are left, and of which nothing else tells. Only below the root that the tail record
    /// states: where a directory stands is known from those above it alone.
    pub(super) fn name_by_directories(&mut self) -> Result<(), Error> {
        let Some(root) = self.root.filter(|_| self.damaged) else { return Ok(()) };
        let source = Source { nodes: &self.nodes, leaves: &self.leaves };
        let limits = Limits::default().with_path(MAX_PATH);
        let mut found = Vec::new();
        // A DAG that has no end, or a temporary file that cannot be read: what was found by then counts.
        let _ = walk(&source, &root, &limits, &mut |entry| {
            // Directories that only paths imply are in no batch either.
            let is_implied = entry.kind == unixfs::EntryKind::Directory
                && !self.nodes.is_empty_directory(&entry.cid);
            if !is_implied && !self.knows(&entry.path)? && found.len() < MOST_FOUND {
                found.push(entry);
            }
            Ok(Step::Into)
        });
        found.into_iter().try_for_each(|entry| self.found(entry))
    }

    fn found(&mut self, entry: unixfs::Entry) -> Result<(), Error> {
        let unixfs::Entry { path, kind, cid, size, mode, mtime, state, .. } = entry;
        let (kind, target) = match kind {
            unixfs::EntryKind::File => (EntryKind::File, None),
            unixfs::EntryKind::Directory => (EntryKind::Directory, None),
            unixfs::EntryKind::Symlink { target } => (EntryKind::Symlink, Some(target)),
            _ => return Ok(()),
        };
        let is_there = match state {
            State::Present => true,
            State::Missing => false,
            _ => return Ok(()),
        };
        if path.is_empty() || check_path(&path).is_err() {
            return Ok(());
        }
        let mut metadata = Metadata::default();
        metadata.mode = mode.map(|mode| mode & 0o7777);
        metadata.mtime = mtime.map(|(seconds, nanos)| Timestamp { seconds, nanos });
        let id = self.made_id;
        self.made_id += 1;
        self.ids.insert(id);
        let mut entry = Announced::new(id, path, kind, metadata);
        entry.target = target;
        if kind != EntryKind::File {
            self.done.insert(id);
            return self.tell_entry(entry);
        }
        let leaf = leaf_digest(&cid);
        entry.size = size;
        entry.root = leaf.map(|_| cid);
        self.tell_entry(entry)?;
        let Some(size) = size.filter(|_| is_there) else {
            self.incomplete(id, None, Vec::new(), &Span::default());
            return Ok(());
        };
        let end = End { size, root: Some(cid), sha256: leaf, changed: false };
        let mut open = Open { named: true, end: Some(end), ..Open::default() };
        let content = match leaf {
            // An empty one is given in any case.
            Some(digest) => Content::leaf(digest, size),
            None => self.nodes.content(&cid, size, &open.missing()),
        };
        for piece in content.pieces {
            self.give(id, &mut open, piece)?;
        }
        if let Some(digest) = leaf.filter(|_| size == 0) {
            self.give_empty(id, &digest)?;
        }
        let missing = open.missing();
        match content.whole && missing.is_empty() {
            // Its CID proves its links, and they its content.
            true => self.complete(id, size, leaf, false),
            false => self.incomplete(id, Some(size), missing, &open.span),
        }
        Ok(())
    }
}

impl Nodes {
    fn is_empty_directory(&self, cid: &Cid) -> bool {
        let node = self.get(cid).map(|data| decode(cid, data));
        matches!(node, Some(Ok(Node::Directory { links, .. })) if links.is_empty())
    }
}

/// The blocks that are left, as far as directories and files need them.
struct Source<'a> {
    nodes: &'a Nodes,
    leaves: &'a Leaves,
}

impl BlockSource for Source<'_> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        Ok(self.nodes.get(cid).map(<[u8]>::to_vec))
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        let Some(digest) = leaf_digest(cid) else { return Ok(None) };
        let is_empty = || verify(cid, &[]).is_ok().then_some(0);
        Ok(self.leaves.find(&digest)?.map(|(_, len)| len).or_else(is_empty))
    }
}

/// Entries that get their names so: some 200 bytes each.
const MOST_FOUND: usize = 1 << 18;
