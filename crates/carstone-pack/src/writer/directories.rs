//! Builds the directory nodes, bottom up, from the entries sorted by path.

use std::io;

use carstone_car::Cid;
use carstone_unixfs::{DirectoryBuilder, Link, Profile};

use crate::entry::{EntryKind, Listed};
use crate::error::Error;
use crate::path::split_path;
use crate::record::{RAW, decode_kept, encode_kept};
use crate::sorter::{Sorted, Sorter};

/// Where content blocks go.
pub(crate) trait BlockOut {
    /// Writes a block whose CID the caller has computed, unless it is already there. Gives its position.
    fn content(&mut self, cid: &Cid, data: &[u8]) -> io::Result<u64>;
}

/// The directories of the pack.
pub(crate) struct Built {
    /// CID of the root directory.
    pub(crate) root: Cid,
    /// Position of each directory's node, under its sort key; no value where it has no node.
    pub(crate) directories: Sorted,
}

/// Keeps an entry until the end; `link` is what its directory will link to.
pub(crate) fn keep(manifest: &mut Sorter, entry: &Listed, link: Option<Link>) -> io::Result<()> {
    manifest.push(&sort_key(&entry.path), &encode_kept(entry, link.as_ref()))
}

/// Writes all directory nodes, children before parents, and says where they are.
pub(crate) fn write<B: BlockOut>(
    blocks: &mut B,
    manifest: &Sorted,
    profile: &Profile,
) -> io::Result<Built> {
    let mut tree = Tree { blocks, profile, open: Vec::new(), built: Sorter::new(TREE_BUDGET) };
    tree.enter(Vec::new(), true);
    let mut entries = manifest.iter()?;
    let mut before: Option<Vec<u8>> = None;
    while let Some((_, value)) = entries.next()? {
        let (entry, link) = decode_kept(value)?;
        if before.as_ref() == Some(&entry.path) {
            return Err(twice(&entry.path));
        }
        if !entry.path.is_empty() {
            tree.place(&entry, link)?;
        }
        before = Some(entry.path);
    }
    let mut root = None;
    while !tree.open.is_empty() {
        root = tree.leave()?;
    }
    let root = root.ok_or_else(|| io::Error::other("the root directory has no node"))?.cid;
    Ok(Built { root, directories: tree.built.finish()? })
}

/// Whether a path can stand in directory nodes.
pub(crate) fn is_representable(path: &[u8]) -> bool {
    std::str::from_utf8(path).is_ok()
}

/// Whether the entry's digest is told by the link in its directory's node.
pub(crate) fn is_told_by_link(entry: &Listed, link: Option<&Link>) -> bool {
    is_representable(&entry.path) && link.is_some_and(|link| link.cid.codec() == RAW)
}

/// A key whose bytewise order is the order of the manifest: components hold no NUL.
pub(crate) fn sort_key(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'/' { 0 } else { byte }).collect()
}

struct Tree<'a, B> {
    blocks: &'a mut B,
    profile: &'a Profile,
    open: Vec<Open>,
    built: Sorter,
}

struct Open {
    path: Vec<u8>,
    /// `None` where the path cannot stand in directory nodes.
    node: Option<DirectoryBuilder>,
}

impl<B: BlockOut> Tree<'_, B> {
    fn enter(&mut self, path: Vec<u8>, representable: bool) {
        let node = representable.then(|| DirectoryBuilder::new(self.profile));
        self.open.push(Open { path, node });
    }

    /// Puts an entry into its directory, after closing those that are complete and opening those on the way.
    fn place(&mut self, entry: &Listed, link: Option<Link>) -> io::Result<()> {
        let (parent, _) = split_path(&entry.path).unwrap_or_default();
        while !self.open.last().is_some_and(|open| crate::path::is_within(parent, &open.path)) {
            if self.leave()?.is_none() && self.open.is_empty() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        // Directories that no entry announces.
        loop {
            let depth = self.open.last().map_or(0, |open| open.path.len());
            if depth == parent.len() {
                break;
            }
            let from = if depth == 0 { 0 } else { depth + 1 };
            let next = parent[from..].iter().position(|&byte| byte == b'/');
            let path = &parent[..next.map_or(parent.len(), |slash| from + slash)];
            self.enter(path.to_vec(), is_representable(path));
        }
        match entry.kind {
            EntryKind::Directory => {
                self.enter(entry.path.clone(), is_representable(&entry.path));
                Ok(())
            }
            _ => match link {
                Some(link) => self.link(&entry.path, link),
                None => Ok(()),
            },
        }
    }

    /// Completes the innermost open directory, and links it into its parent.
    fn leave(&mut self) -> io::Result<Option<Link>> {
        let Some(open) = self.open.pop() else { return Ok(None) };
        let key = sort_key(&open.path);
        let Some(node) = open.node else {
            self.built.push(&key, &[])?;
            return Ok(None);
        };
        let (mut position, blocks) = (0, &mut *self.blocks);
        let link = node.finish(&mut |cid, node| {
            position = blocks.content(cid, node)?;
            Ok(())
        })?;
        self.built.push(&key, &position.to_le_bytes())?;
        if !open.path.is_empty() {
            self.link(&open.path, link)?;
        }
        Ok(Some(link))
    }

    fn link(&mut self, path: &[u8], link: Link) -> io::Result<()> {
        let name = split_path(path).map(|(_, name)| name).unwrap_or_default();
        let parent = self.open.last_mut().and_then(|open| open.node.as_mut());
        match (parent, std::str::from_utf8(name)) {
            (Some(parent), Ok(name)) => parent.add(name, link).map_err(|_| twice(path)),
            _ => Ok(()),
        }
    }
}

fn twice(path: &[u8]) -> io::Error {
    Error::mismatch(path, "another entry under the same name", 0).into()
}

/// Memory for directories before they spill.
const TREE_BUDGET: usize = 8 << 20;
