//! Reads and writes CARs: files and streams of content-addressed blocks, each stored behind its CID.
//!
//! ```
//! use carstone_car::{CarReader, CarWriter, ErrorKind, cid_of, codec};
//!
//! let cid = cid_of(codec::RAW, b"hello");
//! let mut writer = CarWriter::new(Vec::new(), &[cid])?;
//! writer.write_block(&cid, b"hello")?;
//! let mut bytes = writer.finish()?;
//!
//! for block in CarReader::open(&bytes[..])? {
//!     assert_eq!(block?.data, b"hello");
//! }
//!
//! *bytes.last_mut().expect("not empty") ^= 1; // The data is no longer what the CID says:
//! let error = CarReader::open(&bytes[..])?.next_block().unwrap_err();
//! assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # When to use it
//!
//! Both versions of the format are read and written, CARv2 with its indexes of both formats.
//!
//! - [`CarReader`] reads any [`Read`](std::io::Read), front to back: whole blocks, or only where they lie. With
//!   [`Seek`](std::io::Seek) it skips bodies. [`CarScan`] goes over all blocks at the speed of the hash on all cores.
//! - [`IndexedCar`] finds blocks by their CIDs in any [`ReadAt`], such as a file, through an index or without one.
//! - [`CarSlice`] reads from memory and copies nothing, and [`MemoryCar`] finds blocks there by their CIDs; [`parse_section`] is for callers
//!   who find sections by themselves.
//! - [`CarFileWriter`] writes a CARv2 with an index, or a CARv1, whose roots may be known only at the end. [`CarWriter`] writes a CARv1
//!   to any [`Write`](std::io::Write); [`replace_roots`] puts other roots into a file.
//! - [`DeferredCarWriter`] makes its file with the first block. Of blocks that are *put* rather than written, an option leaves out the
//!   [ones that are there](Dedupe).
//! - [`CarStore`] puts and gets blocks in one file, also one that is finished, or that was left unfinished by a crash.
//! - [`CarBufferWriter`] writes a CARv1 into memory that somebody else has made.
//! - [`wrap`] and [`extract_payload`] lead from one version to the other, [`attach_index`], [`make_index`], [`detach_index`] and
//!   [`remove_index`] change what a file has behind its payload.
//! - [`IndexBuilder`] and [`Index`] are for indexes in files of their own. [`MultiIndex`] is one over many CARs, which [`MultiIndexBuilder`]
//!   makes, [`MultiIndexMerge`] joins, and [`MultiCar`] gets blocks by.
//! - [`dag`] follows links: walks, selectors, what is missing, CARs of a DAG or of a part of it.
//!
//! - Over asynchronous sources and sinks, with the [feature](#features) `futures`: `AsyncCarReader`, `AsyncCarWriter`, and `car_channel`,
//!   which takes blocks at one end and gives the bytes of a CAR at the other.
//!
//! Most users want the `carstone` facade.
//!
//! # Coming from @ipld/car
//!
//! The first program of its documentation: a block is written, read back, and found under the root.
//!
//! ```
//! use carstone_car::{CarWriter, MemoryCar, cid_of, codec};
//!
//! let bytes = b"random meaningless bytes";
//! let cid = cid_of(codec::RAW, bytes);
//! let mut writer = CarWriter::new(Vec::new(), &[cid])?; // Or a file.
//! writer.write_block(&cid, bytes)?;
//! let car = MemoryCar::parse(writer.finish()?)?;
//!
//! let root = car.roots()[0];
//! let got = car.get(&root)?.expect("a block");
//! let told = format!("Retrieved [{}] with CID [{root}]", String::from_utf8_lossy(got.data));
//! println!("{told}");
//! assert_eq!(
//!     told,
//!     "Retrieved [random meaningless bytes] with CID [bafkreihwkf6mtnjobdqrkiksr7qhp6tiiqywux64aylunbvmfhzeql2coa]"
//! );
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What else has which name is in the tables of the crate's README.
//!
//! # Guarantees
//!
//! - *Verified.* A block is handed out only if its bytes hash to its CID, unless an option with `danger` in its name says otherwise.
//!   Functions that give sections without data verify nothing.
//! - *Strict.* Varints in their shortest form, canonical headers, CIDs that stay inside of their sections; in a CARv2, places that
//!   agree with each other and with the length of the file. What the format leaves open (number and presence of roots, order,
//!   duplicates, empty blocks, bits without a meaning) is accepted.
//! - *An index is a claim.* What it finds is compared with the CID at the place, and one that lies is replaced by a scan.
//! - *Bounded.* [`Limits`] are checked before memory is allocated, and buffers grow as bytes arrive. A reader needs 64 KiB and one
//!   section; a scan, and the making of an index, keep to a budget; an index is searched where it is stored.
//! - *No silent end.* A CARv1 may end only where a section would start, and one that was cut exactly there cannot be told from a
//!   complete one. A CARv2 says how long it is, and one that was never finished reads as such.
//!
//! # Format
//!
//! [CARv1](https://ipld.io/specs/transport/car/carv1/) and [CARv2](https://ipld.io/specs/transport/car/carv2/), with varints and
//! multihashes as [multiformats](https://github.com/multiformats/unsigned-varint) has them. Where the text on indexes differs from what
//! is in files (numbers of buckets, lengths in bytes), the files count.
//!
//! # Features
//!
//! - `fs`, on by default: files, threads and positional reads. [`IndexedCar`], [`CarStore`], [`CarScan`], [`MultiIndex`], [`Index`] and all
//!   that takes a path need it. Without it the readers and writers of streams and of memory are left, and [`dag`]: for browsers, say. An index
//!   that is written then has to fit into its budget.
//! - `futures`: readers, writers and a channel over the traits `AsyncRead`, `AsyncWrite`, `Stream` and `Sink` of `futures`, without its
//!   functions and its executor. They need no runtime and start no tasks.
//! - `tokio`: the same and `TokioIo`, which makes what reads and writes in tokio a source or a sink of these, and the other way round. Of
//!   tokio nothing but its I/O traits is built.

#![cfg_attr(
    not(feature = "fs"),
    allow(dead_code, unused_imports, reason = "what only files need stays where it belongs")
)]

#[cfg(feature = "futures")]
mod asynchronous;
mod buffer;
mod cid_bytes;
mod data_reader;
#[cfg(feature = "fs")]
mod deferred;
mod error;
mod files;
#[cfg(feature = "fs")]
mod found;
mod hash;
mod header;
mod index;
#[cfg(feature = "fs")]
mod indexed;
mod input;
mod iter;
mod memory;
#[cfg(feature = "fs")]
mod multi;
mod open;
mod options;
mod place;
mod put;
#[cfg(feature = "fs")]
mod read_at;
mod reader;
mod roots;
#[cfg(feature = "fs")]
mod scan;
mod section;
mod seen;
mod slice;
mod stats;
#[cfg(feature = "fs")]
mod store;
mod v2;
mod varint;
mod writer;

pub mod dag;

#[cfg(feature = "tokio")]
pub use asynchronous::TokioIo;
#[cfg(feature = "futures")]
pub use asynchronous::{
    AsyncCarReader, AsyncCarWriter, CarBytes, CarSender, ChannelOptions, IntoCidStream,
    IntoPlaceStream, car_appender, car_channel,
};
pub use buffer::{CarBufferWriter, estimated_header_len};
pub use cid::{self, Cid};
pub use data_reader::DataReader;
#[cfg(feature = "fs")]
pub use deferred::DeferredCarWriter;
pub use error::{Error, ErrorKind, Part, Result};
pub use files::{Editable, extract_payload, wrap};
#[cfg(feature = "fs")]
pub use files::{
    attach_index, detach_index, generate_index, make_index, remove_index, unwrap_file, wrap_file,
};
pub use hash::{
    cid_of, cid_of_sha2_256, cids_of, codec, digest_len, hash_code, multihash_of, verify,
};
pub use header::{Header, header_len};
#[cfg(feature = "fs")]
pub use index::{Index, IndexEntries, IndexEntry, Offsets};
pub use index::{IndexBuilder, IndexCodec, SortedIndex};
#[cfg(feature = "fs")]
pub use indexed::{IndexReport, IndexedCar};
pub use iter::{Blocks, IntoBlocks, IntoCids, IntoPlaces, IntoSections};
pub use memory::MemoryCar;
#[cfg(feature = "fs")]
pub use multi::{
    FileEntry, MultiCar, MultiEntries, MultiEntry, MultiIndex, MultiIndexBuilder, MultiIndexMerge,
    MultiPlace, MultiPlaces,
};
pub use multihash;
pub use options::{Dedupe, Limits, ReaderOptions, Verification, WriterOptions};
pub use place::BlockPlace;
pub use put::PutCount;
#[cfg(feature = "fs")]
pub use read_at::{AtReader, ReadAt, SeekSource};
pub use reader::CarReader;
pub use roots::replace_roots;
#[cfg(feature = "fs")]
pub use scan::{CarScan, ScanOptions, scan_sections};
pub use section::{
    Block, BlockRef, Section, SectionHead, parse_section, section_head, section_len,
};
pub use slice::{CarSlice, SliceBlocks, SliceSections};
pub use stats::{CarStats, Lengths};
#[cfg(feature = "fs")]
pub use store::{CarStore, StoreOptions, SyncPolicy};
pub use v2::{CarFileWriter, Characteristics, FileOptions, V2_PRAGMA, V2Header};
pub use writer::CarWriter;

/// The media type of CARs, for `Content-Type` and `Accept`. It may have the parameters `version`, `order` and `dups`.
/// The counterpart of `contentType` in @ipld/car.
///
/// ```
/// use carstone_car::CONTENT_TYPE;
/// assert_eq!(format!("{CONTENT_TYPE}; version=1"), "application/vnd.ipld.car; version=1");
/// ```
pub const CONTENT_TYPE: &str = "application/vnd.ipld.car";
