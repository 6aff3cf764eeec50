//! Builds the directory nodes, bottom up, from the entries sorted by path, in bounded memory.

use std::io;

use carstone_car::Cid;
use carstone_unixfs::{DirectoryBuilder, DirectorySize, Link, Profile, ShardedBuilder, shard_hash};

use super::links::{LinkStack, decode_all, encode};
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
    write_within(TREE_BUDGET, blocks, manifest, profile)
}

fn write_within<B: BlockOut>(
    budget: usize,
    blocks: &mut B,
    manifest: &Sorted,
    profile: &Profile,
) -> io::Result<Built> {
    let mut tree = Tree {
        blocks,
        profile,
        budget,
        open: Vec::new(),
        path: Vec::new(),
        links: LinkStack::new(budget),
        built: Sorter::new(budget),
    };
    tree.enter(b"");
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
    budget: usize,
    /// From the root down.
    open: Vec<Open>,
    /// Path of the innermost open directory; those of the others are its beginnings.
    path: Vec<u8>,
    links: LinkStack,
    built: Sorter,
}

struct Open {
    path_len: usize,
    /// Where its links begin in the stack.
    start: u64,
    /// `None` where the path cannot stand in directory nodes.
    size: Option<DirectorySize>,
    /// Name of the last link: they come in order.
    last: Vec<u8>,
}

impl<B: BlockOut> Tree<'_, B> {
    fn enter(&mut self, path: &[u8]) {
        let size = is_representable(path).then(|| DirectorySize::new(self.profile));
        let start = self.links.top();
        self.open.push(Open { path_len: path.len(), start, size, last: Vec::new() });
        self.path.clear();
        self.path.extend_from_slice(path);
    }

    /// Puts an entry into its directory, after closing those that are complete and opening those on the way.
    fn place(&mut self, entry: &Listed, link: Option<Link>) -> io::Result<()> {
        let (parent, _) = split_path(&entry.path).unwrap_or_default();
        while self.open.is_empty() || !crate::path::is_within(parent, &self.path) {
            if self.leave()?.is_none() && self.open.is_empty() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        // Directories that no entry announces.
        loop {
            let depth = self.path.len();
            if depth == parent.len() {
                break;
            }
            let from = if depth == 0 { 0 } else { depth + 1 };
            let next = parent[from..].iter().position(|&byte| byte == b'/');
            self.enter(&parent[..next.map_or(parent.len(), |slash| from + slash)]);
        }
        match (entry.kind, link) {
            (EntryKind::Directory, _) => {
                self.enter(&entry.path);
                Ok(())
            }
            (_, Some(link)) => self.link(&entry.path, link),
            (_, None) => Ok(()),
        }
    }

    /// Completes the innermost open directory, and links it into its parent.
    fn leave(&mut self) -> io::Result<Option<Link>> {
        let Some(open) = self.open.pop() else { return Ok(None) };
        let path_len = self.open.last().map_or(0, |parent| parent.path_len);
        let path = std::mem::take(&mut self.path);
        self.path.extend_from_slice(&path[..path_len]);
        let Some(size) = open.size else {
            self.built.push(&sort_key(&path), &[])?;
            return Ok(None);
        };
        let (mut position, blocks) = (0, &mut *self.blocks);
        let mut sink = |cid: &Cid, node: &[u8]| {
            position = blocks.content(cid, node)?;
            Ok(())
        };
        let link = match size.is_sharded() {
            false => {
                let mut node = DirectoryBuilder::new(self.profile);
                self.links.pop(open.start, |name, link| Ok(node.add(name, link)?))?;
                node.finish(&mut sink)?
            }
            true => {
                let sorted = by_hash(&mut self.links, open.start, self.budget)?;
                let (mut shards, mut entries) = (ShardedBuilder::new(self.profile), sorted.iter()?);
                while let Some((_, entry)) = entries.next()? {
                    decode_all(entry, &mut |name, link| shards.add(name, link, &mut sink))?;
                }
                shards.finish(&mut sink)?
            }
        };
        self.built.push(&sort_key(&path), &position.to_le_bytes())?;
        if !path.is_empty() {
            self.link(&path, link)?;
        }
        Ok(Some(link))
    }

    fn link(&mut self, path: &[u8], link: Link) -> io::Result<()> {
        let name = split_path(path).map(|(_, name)| name).unwrap_or_default();
        let Some(parent) = self.open.last_mut() else { return Ok(()) };
        let (Some(size), Ok(text)) = (&mut parent.size, std::str::from_utf8(name)) else {
            return Ok(());
        };
        if parent.last == name {
            return Err(twice(path));
        }
        parent.last.clear();
        parent.last.extend_from_slice(name);
        size.add(text, &link);
        self.links.push(text, &link)
    }
}

/// Takes the links of a directory off the stack, and sorts them by the hashes of their names.
fn by_hash(links: &mut LinkStack, start: u64, budget: usize) -> io::Result<Sorted> {
    let (mut sorter, mut record) = (Sorter::new(budget), Vec::new());
    links.pop(start, |name, link| {
        record.clear();
        encode(&mut record, name, &link)?;
        sorter.push(&shard_hash(name).to_be_bytes(), &record)
    })?;
    sorter.finish()
}

fn twice(path: &[u8]) -> io::Error {
    Error::mismatch(path, "another entry under the same name", 0).into()
}

/// Memory before things spill: for what open directories link to, for one large directory in order of hashes, and for where
/// all directories are.
const TREE_BUDGET: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use carstone_unixfs::{ShardThreshold, leaf_cid};

    use super::*;

    /// Blocks in the order in which they came.
    #[derive(Default)]
    struct Blocks(Vec<(Cid, Vec<u8>)>);

    impl BlockOut for Blocks {
        fn content(&mut self, cid: &Cid, data: &[u8]) -> io::Result<u64> {
            self.0.push((*cid, data.to_vec()));
            Ok(self.0.len() as u64 - 1)
        }
    }

    fn link_of(path: &str) -> Link {
        Link { cid: leaf_cid(path.as_bytes()), tsize: path.len() as u64 }
    }

    /// The root that builders give which hold each directory in memory.
    fn expected(paths: &[String], prefix: &str, profile: &Profile) -> Link {
        let mut children: BTreeMap<&str, bool> = BTreeMap::new();
        for path in paths.iter().filter_map(|path| path.strip_prefix(prefix)) {
            let (name, below) =
                path.split_once('/').map_or((path, false), |(name, _)| (name, true));
            children.insert(name, below);
        }
        let mut node = DirectoryBuilder::new(profile);
        for (name, is_directory) in children {
            let link = match is_directory {
                true => expected(paths, &format!("{prefix}{name}/"), profile),
                false => link_of(&format!("{prefix}{name}")),
            };
            node.add(name, link).expect("names are good and differ");
        }
        node.finish(&mut |_, _| Ok(())).expect("the sink never fails")
    }

    fn built(paths: &[String], profile: &Profile, budget: usize) -> io::Result<(Built, Blocks)> {
        let mut manifest = Sorter::new(1 << 20);
        for path in paths {
            let entry = Listed {
                path: path.clone().into_bytes(),
                kind: EntryKind::File,
                id: None,
                record: None,
                mode: None,
                mtime: None,
                size: None,
                root: None,
                sha256: None,
                target: None,
                runs: Vec::new(),
            };
            keep(&mut manifest, &entry, Some(link_of(path)))?;
        }
        let mut blocks = Blocks::default();
        let built = write_within(budget, &mut blocks, &manifest.finish()?, profile)?;
        Ok((built, blocks))
    }

    #[test]
    fn directories_of_any_size_take_little_memory_and_keep_their_roots() {
        let mut paths: Vec<String> = (0..2000).map(|i| format!("large/{i}")).collect();
        paths.extend((0..30).map(|i| format!("large/{}/{i}/x", i * 50 + 2000)));
        paths.extend((0..60).map(|depth| format!("{}z", "d/".repeat(depth))));
        paths.extend((0..60).map(|depth| format!("{}a{depth}", "d/".repeat(depth))));
        let threshold = |entries| {
            let threshold = ShardThreshold::Entries(entries);
            Profile::unixfs_v1_2025().with_shard_threshold(threshold)
        };
        for profile in [Profile::unixfs_v0_2015(), threshold(0), threshold(2), threshold(1000)] {
            let expected = expected(&paths, "", &profile);
            for budget in [0, 1000, 1 << 20] {
                let (built, blocks) = built(&paths, &profile, budget).expect("a sound tree");
                assert_eq!(built.root, expected.cid);
                assert_eq!(blocks.0.last().map(|(cid, _)| *cid), Some(expected.cid));
                assert_eq!(built.directories.count(), 1 + 1 + 60 + 59);
            }
        }
    }

    #[test]
    fn a_name_that_is_a_file_and_a_directory_is_refused() {
        let paths = ["a", "a/b"].map(str::to_owned);
        let error =
            built(&paths, &Profile::unixfs_v1_2025(), 0).err().expect("two entries, one name");
        assert!(error.to_string().contains("another entry under the same name"), "{error}");
    }
}
