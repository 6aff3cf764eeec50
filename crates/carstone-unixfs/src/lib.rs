//! Turns files, symlinks and directories into UnixFS blocks, and UnixFS blocks back.
//!
//! ```
//! use std::collections::HashMap;
//! use std::io::Read;
//! use carstone_unixfs::{DirectoryBuilder, FileReader, Profile, resolve, write_file};
//!
//! let profile = Profile::unixfs_v1_2025();
//! let mut blocks = HashMap::new();
//! let mut sink = |cid: &_, data: &[u8]| {
//!     blocks.insert(*cid, data.to_vec());
//!     Ok(())
//! };
//! let file = write_file(&profile, &b"keystone"[..], &mut sink)?;
//! let mut directory = DirectoryBuilder::new(&profile);
//! directory.add("stone.txt", file.into())?;
//! let root = directory.finish(&mut sink)?;
//!
//! let entry = resolve(&blocks, &root.cid, b"stone.txt")?.expect("the name was added");
//! let mut text = String::new();
//! FileReader::open(&blocks, &entry.cid)?.read_to_string(&mut text)?;
//! assert_eq!(text, "keystone");
//!
//! blocks.remove(&file.cid); // A block that is gone is noticed, never papered over.
//! assert!(FileReader::open(&blocks, &file.cid).is_err());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Use it when you hold blocks (in a CAR file, a store, a cache) and want files, or the other way round.
//! It opens no file, knows no network and no container: blocks leave through a [`BlockSink`] and arrive
//! through a [`BlockSource`]. For packs that hold whole trees with their metadata, use `carstone`.
//!
//! # Guarantees
//!
//! - Root CIDs are those that other programs give under the same [`Profile`].
//! - [`FileBuilder`], in either [`Layout`], and [`ShardedBuilder`] hold one partly filled node per level of the tree, not the
//!   file or directory;
//!   [`DirectoryBuilder`], for directories of ordinary size, holds their entries.
//! - Where a chunk ends depends on the content alone, never on how it arrives.
//! - [`FileReader`] asks for the blocks that hold a part of a file, and those above them, and no other.
//! - [`Metadata`] are written only where they are asked for.
//! - A [`BlockSource`] must return verified blocks only: this crate does not hash what it reads. It checks
//!   what hashes cannot: sizes, positions in sharded directories, names. What is missing and what the source
//!   calls damaged are told apart.
//! - Reading never panics and never recurses, whatever the blocks hold; [`Limits`] bound time and memory.
//!
//! # Format
//!
//! [UnixFS](https://specs.ipfs.tech/unixfs/) on
//! [dag-pb](https://ipld.io/specs/codecs/dag-pb/spec/); `docs/format.md` says which parts carstone writes.
//!
//! # Features
//!
//! None.

mod balanced;
mod chunk;
mod content;
mod dag_pb;
mod decode;
mod directory;
mod entity;
mod error;
mod file;
mod frame;
mod hamt;
mod inline;
mod layout;
mod leaf;
mod limits;
mod lookup;
mod metadata;
mod name;
mod open_node;
mod profile;
mod proto;
mod reader;
mod sharded;
mod source;
mod spec;
mod stream;
mod trickle;
mod walk;

pub use carstone_car::Cid;

pub use chunk::{Chunker, FixedChunker};
pub use content::check_file;
pub use dag_pb::{Links, NodeLink};
pub use decode::{FileNode, Node, ShardNode, decode, is_unixfs};
pub use directory::{DirectoryBuilder, DirectorySize, symlink, symlink_with_metadata};
pub use entity::{DagScope, EntityBytes, Exported, export_entity};
pub use error::{Error, ErrorKind};
pub use file::{FileBuilder, FileRoot, write_file, write_file_with_metadata};
pub use layout::Layout;
pub use leaf::{Leaf, leaf_cid};
pub use limits::Limits;
pub use lookup::{directory_links, resolve};
pub use metadata::Metadata;
pub use name::{NameFault, check_name};
pub use profile::{CidVersion, Leaves, Profile, ShardThreshold};
pub use reader::{FileLeaf, FileReader};
pub use sharded::{ShardedBuilder, shard_hash};
pub use source::BlockSource;
pub use spec::{ChunkerSpec, SpecChunker};
pub use walk::{Entry, EntryKind, State, Step, walk};

/// Takes each finished block with its CID, children before parents.
///
/// Blocks that their CIDs hold do not come here. The bytes are borrowed for the call only. An error stops the builder for good.
pub type BlockSink<'a> = dyn FnMut(&Cid, &[u8]) -> std::io::Result<()> + 'a;

/// A link to a finished file, directory or symlink, as a directory stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The root block of what is linked.
    pub cid: Cid,
    /// Bytes of that block and of all blocks below it, counted once for each link to them.
    pub tsize: u64,
}
