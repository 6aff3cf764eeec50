//! Builds the tree above the leaves of a file.

use std::io::{self, Read};

use carstone_car::Cid;

use crate::chunk::Chunker;
use crate::dag_pb::{put_data, put_link};
use crate::decode::TYPE_FILE;
use crate::error::{Error, ErrorKind};
use crate::profile::Profile;
use crate::proto::put_number;
use crate::{BlockSink, Link};

/// A finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRoot {
    /// The root of the tree; of a file of one leaf, that leaf.
    pub cid: Cid,
    /// Bytes of content.
    pub size: u64,
    /// Bytes of all blocks of the tree, as [`Link::tsize`] counts them.
    pub tsize: u64,
}

impl From<FileRoot> for Link {
    fn from(root: FileRoot) -> Self {
        Self { cid: root.cid, tsize: root.tsize }
    }
}

/// Builds a balanced tree while the leaves arrive, in order, and holds only its right edge.
///
/// ```
/// use carstone_unixfs::{FileBuilder, Profile};
/// let mut sink = |_cid: &_, _data: &[u8]| Ok(()); // Leaves do not pass through here, only inner nodes.
/// let profile = Profile::unixfs_v1_2025();
/// let mut builder = FileBuilder::new(&profile);
/// let leaf = profile.leaf(b"keystone".to_vec());
/// builder.add_leaf(leaf.cid, leaf.size, &mut sink)?;
/// let root = builder.finish(&mut sink)?;
/// assert_eq!((root.cid, root.size), (leaf.cid, 8)); // A single leaf is the file.
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the file has no root until `finish` has returned it"]
pub struct FileBuilder {
    profile: Profile,
    levels: Vec<Level>,
    broken: bool,
}

impl FileBuilder {
    /// A file without leaves.
    pub fn new(profile: &Profile) -> Self {
        Self { profile: profile.clone(), levels: Vec::new(), broken: false }
    }

    /// Adds the next leaf, of `len` bytes of content, which [`Profile::leaf`] made. Its block is the caller's to store; an
    /// inner node goes to `sink` as soon as its last child is complete.
    pub fn add_leaf(&mut self, cid: Cid, len: u64, sink: &mut BlockSink<'_>) -> io::Result<()> {
        self.usable()?;
        self.broken = true; // Until the whole edge has been updated.
        let tsize = self.profile.leaf_block_len(len);
        self.push(0, FileRoot { cid, size: len, tsize }, sink)?;
        self.broken = false;
        Ok(())
    }

    /// Emits the nodes that are not full, and returns the root. A file without leaves is an empty leaf, which goes to
    /// `sink`.
    pub fn finish(mut self, sink: &mut BlockSink<'_>) -> io::Result<FileRoot> {
        self.usable()?;
        if self.levels.is_empty() {
            let leaf = self.profile.leaf(Vec::new());
            sink(&leaf.cid, &leaf.block)?;
            return Ok(FileRoot { cid: leaf.cid, size: 0, tsize: leaf.block.len() as u64 });
        }
        let mut level = 0;
        loop {
            if level + 1 == self.levels.len()
                && let Some(root) = self.levels[level].only_child()
            {
                return Ok(root);
            }
            if self.levels[level].count > 0 {
                let node = self.levels[level].emit(&self.profile, sink)?;
                self.push(level + 1, node, sink)?;
            }
            level += 1;
        }
    }

    fn push(
        &mut self,
        mut level: usize,
        mut child: FileRoot,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<()> {
        loop {
            if level == self.levels.len() {
                self.levels.push(Level::default());
            }
            self.levels[level].add(child)?;
            if self.levels[level].count < self.profile.width() {
                return Ok(());
            }
            child = self.levels[level].emit(&self.profile, sink)?;
            level += 1;
        }
    }

    fn usable(&self) -> Result<(), Error> {
        if self.broken { Err(Error::new(ErrorKind::Broken)) } else { Ok(()) }
    }
}

/// Writes a whole file, leaves included, from `reader`.
pub fn write_file(
    profile: &Profile,
    reader: impl Read,
    sink: &mut BlockSink<'_>,
) -> io::Result<FileRoot> {
    let mut chunker = profile.chunker().over(reader);
    let (mut builder, mut chunk) = (FileBuilder::new(profile), Vec::new());
    while chunker.next_chunk(&mut chunk)? {
        let leaf = profile.leaf(std::mem::take(&mut chunk));
        sink(&leaf.cid, &leaf.block)?;
        builder.add_leaf(leaf.cid, leaf.size, sink)?;
        chunk = leaf.block; // Its allocation serves the next chunk.
    }
    builder.finish(sink)
}

/// The node of one level that is not yet full, in encoded pieces.
#[derive(Debug, Default)]
struct Level {
    links: Vec<u8>,
    blocksizes: Vec<u8>,
    count: usize,
    size: u64,
    tsize: u64,
    last: Option<Cid>,
}

impl Level {
    fn add(&mut self, child: FileRoot) -> Result<(), Error> {
        let too_large = || Error::new(ErrorKind::TooLarge);
        self.size = self.size.checked_add(child.size).ok_or_else(too_large)?;
        self.tsize = self.tsize.checked_add(child.tsize).ok_or_else(too_large)?;
        // The name of a file's link is empty, and written all the same.
        put_link(&mut self.links, &child.cid, &[], child.tsize);
        put_number(&mut self.blocksizes, 4, child.size);
        self.last = Some(child.cid);
        self.count += 1;
        Ok(())
    }

    fn only_child(&self) -> Option<FileRoot> {
        let cid = self.last.filter(|_| self.count == 1)?;
        Some(FileRoot { cid, size: self.size, tsize: self.tsize })
    }

    /// Writes the node and leaves the level empty.
    fn emit(&mut self, profile: &Profile, sink: &mut BlockSink<'_>) -> io::Result<FileRoot> {
        let mut data = Vec::with_capacity(self.blocksizes.len() + 16);
        put_number(&mut data, 1, TYPE_FILE);
        put_number(&mut data, 3, self.size);
        data.extend_from_slice(&self.blocksizes);
        put_data(&mut self.links, &data);
        let (block, cid) = (&self.links, profile.node_cid(&self.links));
        sink(&cid, block)?;
        let tsize = self.tsize.checked_add(block.len() as u64);
        let tsize = tsize.ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
        let node = FileRoot { cid, size: self.size, tsize };
        self.links.clear(); // The allocations serve the next node.
        self.blocksizes.clear();
        (self.count, self.size, self.tsize, self.last) = (0, 0, 0, None);
        Ok(node)
    }
}
