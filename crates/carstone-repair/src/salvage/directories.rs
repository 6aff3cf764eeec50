//! Names that only directory nodes tell: batch and manifest page of an entry may both be lost.

use std::collections::HashSet;
use std::io;

use carstone_car::Cid;
use carstone_layer::FailSafeRead;
use carstone_pack::{Announced, EntryKind, Error, Metadata, Timestamp};
use carstone_unixfs::{self as unixfs, BlockSource, Limits, Node, State, Step, decode, walk};

use super::Salvage;
use super::files::{End, Open};
use super::nodes::Nodes;
use super::places::Span;
use crate::leaf_digest;
use crate::leaves::Leaves;

impl<R: FailSafeRead> Salvage<R> {
    /// Tells of entries that stand in directories that are left, and of which nothing else tells.
    pub(super) fn name_by_directories(&mut self) -> Result<(), Error> {
        if !self.damaged {
            return Ok(());
        }
        let tops = self.nodes.tops();
        let stated = self.root.filter(|root| tops.contains(root));
        let root = stated.or_else(|| tops.first().copied().filter(|_| self.is_only(&tops)));
        let mut found = Vec::new();
        for top in &tops {
            match Some(*top) == root {
                true => self.collect(top, b"", &mut found),
                // Where it stood is lost: only content that has no other name gets one here.
                false => {
                    let above = format!("{LOST}/{top}");
                    self.collect(top, above.as_bytes(), &mut found);
                }
            }
        }
        found.into_iter().try_for_each(|entry| self.found(entry))
    }

    /// Whether the only directory without another above it must be the root.
    fn is_only(&self, tops: &[Cid]) -> bool {
        self.root.is_none() && tops.len() == 1
    }

    /// What stands below a directory and is not known; `above` is the path of one whose place is lost.
    fn collect(&self, top: &Cid, above: &[u8], found: &mut Vec<unixfs::Entry>) {
        let source = Source { nodes: &self.nodes, leaves: &self.leaves };
        let limits = Limits::default().with_path(carstone_pack::MAX_PATH);
        // A DAG that has no end, or a temporary file that cannot be read: what was found by then counts.
        let _ = walk(&source, top, &limits, &mut |mut entry| {
            let is_new = match above.is_empty() {
                true => !self.knows(&entry.path)?,
                false => self.is_nameless(&entry)?,
            };
            if is_new && found.len() < MOST_FOUND {
                let slash: &[u8] = if above.is_empty() { b"" } else { b"/" };
                entry.path = [above, slash, &entry.path].concat();
                found.push(entry);
            }
            Ok(Step::Into)
        });
    }

    /// Whether it is a file whose content nothing names.
    fn is_nameless(&self, entry: &unixfs::Entry) -> io::Result<bool> {
        let size = entry.size.unwrap_or_default();
        if entry.kind != unixfs::EntryKind::File || entry.path.is_empty() || size == 0 {
            return Ok(false);
        }
        let first = self.nodes.content(&entry.cid, size, std::slice::from_ref(&(0..1)));
        let Some(first) = first.pieces.first() else { return Ok(false) };
        Ok(match self.leaves.find(&first.digest)? {
            Some((number, _)) => self.leaves.is_nameless(number),
            None => false,
        })
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
        if carstone_pack::check_path(&path).is_err() {
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
        if let Some(digest) = leaf {
            // An empty file has no bytes that would be missing.
            self.give(id, &mut open, super::Piece { offset: 0, len: size, digest })?;
        }
        self.settle(id, open, true)
    }
}

impl Nodes {
    /// Directories that no other directory holds, each once.
    fn tops(&self) -> Vec<Cid> {
        let (mut directories, mut below) = (Vec::new(), HashSet::new());
        for (cid, data) in self.blocks() {
            let links = match decode(cid, data) {
                Ok(Node::Directory { links, .. }) => links,
                Ok(Node::Shard(shard)) => shard.links,
                _ => continue,
            };
            directories.push(*cid);
            below.extend(links.map(|link| link.cid));
        }
        directories.retain(|cid| !below.contains(cid));
        directories.sort_unstable();
        directories
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
        Ok(self.leaves.find(&digest)?.map(|(_, len)| len))
    }
}

/// Stands above what was in directories whose own place is lost.
const LOST: &str = "lost+found";
/// Entries that get their names so: some 200 bytes each.
const MOST_FOUND: usize = 1 << 18;
