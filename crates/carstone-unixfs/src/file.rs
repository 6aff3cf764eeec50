//! Builds the tree above the leaves of a file.

use std::io::{self, Read};

use carstone_car::Cid;

use crate::balanced::Balanced;
use crate::chunk::Chunker;
use crate::error::{Error, ErrorKind};
use crate::inline;
use crate::layout::Layout;
use crate::leaf::{self, Leaf};
use crate::metadata::{Metadata, Tail};
use crate::profile::Profile;
use crate::trickle::Trickle;
use crate::{BlockSink, Link};

/// A finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRoot {
    /// The root of the tree; of a file of one leaf, in the balanced layout, that leaf.
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

/// Builds the tree of a file while the leaves arrive, in order, and holds only its right edge.
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
    tail: Tail,
    tree: Tree,
    /// The first leaf, as long as it may become the root and so have to carry the metadata.
    first: Option<Leaf>,
    broken: bool,
}

#[derive(Debug)]
enum Tree {
    Balanced(Balanced),
    Trickle(Trickle),
}

impl FileBuilder {
    /// A file without leaves.
    pub fn new(profile: &Profile) -> Self {
        Self::with_tail(profile, Tail::NONE)
    }

    /// The same for a file whose root tells its metadata, which must be in range, else [`ErrorKind::BadSetting`].
    pub fn with_metadata(profile: &Profile, metadata: &Metadata) -> Result<Self, Error> {
        Ok(Self::with_tail(profile, metadata.encode()?))
    }

    fn with_tail(profile: &Profile, tail: Tail) -> Self {
        let tree = match profile.layout() {
            Layout::Balanced => Tree::Balanced(Balanced::new(&tail)),
            Layout::Trickle => Tree::Trickle(Trickle::new()),
        };
        Self { profile: profile.clone(), tail, tree, first: None, broken: false }
    }

    /// Adds the next leaf, which [`Profile::leaf`] made, and hands its block to `sink`, before the inner nodes that it
    /// completes.
    ///
    /// The first leaf of a file with metadata is held back: where no other follows, its content stands in the root.
    pub fn add(&mut self, leaf: Leaf, sink: &mut BlockSink<'_>) -> io::Result<()> {
        self.take(leaf, sink).map(drop)
    }

    /// Adds the next leaf, of `len` bytes of content, which [`Profile::leaf`] made. Its block is the caller's to store; an
    /// inner node goes to `sink` as soon as its last child is complete.
    ///
    /// A file of one such leaf and with metadata has a node above the leaf, other than with [`add`](Self::add).
    pub fn add_leaf(&mut self, cid: Cid, len: u64, sink: &mut BlockSink<'_>) -> io::Result<()> {
        self.usable()?;
        self.broken = true; // Until the whole edge has been updated.
        self.release(sink)?;
        self.link(cid, len, sink)?;
        self.broken = false;
        Ok(())
    }

    /// Emits the nodes that are not full, and returns the root. A file without leaves is an empty leaf or, in the trickle
    /// layout, a node without links, which goes to `sink`.
    pub fn finish(self, sink: &mut BlockSink<'_>) -> io::Result<FileRoot> {
        self.usable()?;
        let profile = &self.profile;
        match (self.tree, self.first) {
            (Tree::Trickle(tree), _) => tree.finish(profile, &self.tail, sink),
            (Tree::Balanced(_), Some(leaf)) => lone(profile, leaf, &self.tail, sink),
            (Tree::Balanced(tree), None) if tree.is_empty() => {
                lone(profile, profile.leaf(Vec::new()), &self.tail, sink)
            }
            (Tree::Balanced(tree), None) => tree.finish(profile, &self.tail, sink),
        }
    }

    /// [`add`](Self::add), which gives back the block for its allocation.
    fn take(&mut self, leaf: Leaf, sink: &mut BlockSink<'_>) -> io::Result<Vec<u8>> {
        self.usable()?;
        if self.may_be_root() {
            self.first = Some(leaf);
            return Ok(Vec::new());
        }
        self.broken = true; // Until the whole edge has been updated.
        self.release(sink)?;
        inline::put(sink, &leaf.cid, &leaf.block)?;
        self.link(leaf.cid, leaf.size, sink)?;
        self.broken = false;
        Ok(leaf.block)
    }

    /// Whether the next leaf would carry the metadata if it were the last.
    fn may_be_root(&self) -> bool {
        let Tree::Balanced(tree) = &self.tree else { return false };
        tree.is_empty() && self.first.is_none() && !self.tail.is_empty()
    }

    /// Another leaf has come: the first is one of several.
    fn release(&mut self, sink: &mut BlockSink<'_>) -> io::Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        inline::put(sink, &first.cid, &first.block)?;
        self.link(first.cid, first.size, sink)
    }

    fn link(&mut self, cid: Cid, size: u64, sink: &mut BlockSink<'_>) -> io::Result<()> {
        let leaf = FileRoot { cid, size, tsize: self.profile.leaf_block_len(size) };
        match &mut self.tree {
            Tree::Balanced(tree) => tree.add(leaf, &self.profile, sink),
            Tree::Trickle(tree) => tree.add(leaf, &self.profile, sink),
        }
    }

    fn usable(&self) -> Result<(), Error> {
        if self.broken { Err(Error::new(ErrorKind::Broken)) } else { Ok(()) }
    }
}

/// The file of one leaf: that leaf, or with metadata a node that holds its content and them.
fn lone(
    profile: &Profile,
    mut leaf: Leaf,
    tail: &Tail,
    sink: &mut BlockSink<'_>,
) -> io::Result<FileRoot> {
    if !tail.is_empty() {
        leaf.block = leaf::with_metadata(leaf.content(), tail);
        leaf.cid = profile.node_cid(&leaf.block);
    }
    inline::put(sink, &leaf.cid, &leaf.block)?;
    Ok(FileRoot { cid: leaf.cid, size: leaf.size, tsize: leaf.block.len() as u64 })
}

/// Writes a whole file, leaves included, from `reader`.
pub fn write_file(
    profile: &Profile,
    reader: impl Read,
    sink: &mut BlockSink<'_>,
) -> io::Result<FileRoot> {
    write(FileBuilder::new(profile), profile, reader, sink)
}

/// The same for a file whose root tells its metadata. With none it is the same file.
///
/// As the specification asks, metadata of a file are in one place, its root; where that would be a raw block, it is a
/// node with the content inside. [`ErrorKind::BadSetting`]: the metadata are out of range.
pub fn write_file_with_metadata(
    profile: &Profile,
    metadata: &Metadata,
    reader: impl Read,
    sink: &mut BlockSink<'_>,
) -> io::Result<FileRoot> {
    write(FileBuilder::with_metadata(profile, metadata)?, profile, reader, sink)
}

fn write(
    mut builder: FileBuilder,
    profile: &Profile,
    reader: impl Read,
    sink: &mut BlockSink<'_>,
) -> io::Result<FileRoot> {
    let mut chunker = profile.chunker().over(reader);
    // The allocation of a block serves a later chunk.
    let mut spare = Vec::new();
    loop {
        // Two at a time are hashed sooner.
        let mut chunks = Vec::with_capacity(2);
        while chunks.len() < 2 {
            let mut chunk = spare.pop().unwrap_or_default();
            if !chunker.next_chunk(&mut chunk)? {
                break;
            }
            chunks.push(chunk);
        }
        let is_last = chunks.len() < 2;
        for leaf in profile.leaf_each(chunks) {
            spare.push(builder.take(leaf, sink)?);
        }
        if is_last {
            return builder.finish(sink);
        }
    }
}
