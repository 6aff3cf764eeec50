//! Stores of content-addressed packs, in directories, in memory and in object stores.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use carstone_store::{Blob, Layout, LocalObjects, ObjectPackStore, PackStore, PackWriter};
//!
//! let directory = tempfile::tempdir()?;
//! let packs = ObjectPackStore::new(
//!     Arc::new(LocalObjects::new(directory.path())),
//!     Layout::flat("packs/", ".car")?,
//! );
//! let writer = PackWriter::new(Arc::new(packs.clone()));
//! let written = writer.write(Blob::bytes(&b"keystone"[..])).await?;
//!
//! let pack = &written.packs[0]; // It is on the disk, under the hash of its bytes.
//! let place = pack.blobs[0];
//! let blob = packs.read(&pack.name, place.offset..place.offset + place.len).await?;
//! assert_eq!(&blob[..], b"keystone");
//! # Ok::<(), carstone_store::Error>(()) }).unwrap();
//! ```
//!
//! # Guarantees
//!
//! - A pack is whole and durable before anything speaks of it. Its name is the hash of its bytes, so that to put it again changes nothing.
//! - Whole packs are verified when they are put and when they are got.
//! - No key leads out of a store.
//! - Memory does not grow with the bytes of blobs and packs, only with the number of blocks that one put writes: about 120 bytes for each.

mod error;
mod hasher;
mod index;
mod maintain;
mod name;
mod objects;
mod pack;
mod pieces;
mod place;
mod store;
mod streamer;

#[cfg(feature = "parity")]
pub use carstone_parity::Share;
pub use error::{Error, ErrorKind, Result};
pub use hasher::HashFunction;
pub use index::{
    Compacted, EntryKind, Fetch, Found, Imported, Index, IndexEntry, IndexReader, IndexRecord,
    IndexWriter, Location, RecordId, RecordIndex, RecordKind, RecordLayout, RecordLevel,
    RecordLocation, RecordOptions, Segment, SegmentBuilder, SegmentIndexWriter, SegmentShape,
    ShardedDagIndex, Source, SourceReader, export_records, import_records, import_sharded_index,
    index_written, sharded_index,
};
pub use maintain::{
    Added, CheckOptions, Checked, Collected, Copied, Finding, Healed, IncompleteRoot, Lost,
    PackSource, Rebuilt, Unmended, add_pack, check, check_with, collect, collect_part, copy,
    copy_packs, finish_rebuild, heal, heal_part, rebuild_index, rebuild_part, rebuild_roots,
    remove_root,
};
#[cfg(feature = "parity")]
pub use maintain::{Protected, protect};
pub use name::{Hash, Key, Layout, parse_text, text_of};
pub use objects::{
    CachedObjects, Content, Created, Disk, DiskEntry, DiskFile, Done, LocalObjects, Object,
    Objects, PublishedObjects, RealDisk, RemoteObjects, Spool, StoreUrl, Turn,
};
pub use pack::{
    Blob, BlobPlace, Dedupe, ObjectPackStore, PackCar, PackLayers, PackManifest, PackStore,
    PackWriter, PackWriterOptions, PackWritten, Put, Sidecars, StoredPack, Written,
};
pub use place::{MemoryScheduler, Placed, Scheduler, index_in_place, index_scheduled};
pub use store::{Published, RootRecord, Store};
pub use streamer::{Block, Order, StreamOptions};
