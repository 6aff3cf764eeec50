//! The CAR pack: files and directories in one verifiable CAR stream, listed and read at random or front to back.
//!
//! ```
//! use std::io::Read;
//! use carstone_layer::PackId;
//! use carstone_pack::{Metadata, PackReader, PackWriter, PlainPipe};
//!
//! let id = PackId::from_bytes([7; 16]); // Drawn at random by the raw layer in real packs.
//! let mut writer = PackWriter::new(PlainPipe::new(Vec::new()), id)?;
//! writer.add_file(b"walls/stone", Metadata::default(), &b"sand, layered"[..])?;
//! let (pipe, summary) = writer.finish()?;
//! assert_eq!(summary.entries, 1); // `walls` is implied.
//!
//! let tail = pipe.mark().expect("a finished pack has a tail");
//! let reader = PackReader::open(pipe.into_inner(), id, tail)?;
//! let entry = reader.find(b"walls/stone")?.expect("it was added");
//! let mut content = String::new();
//! reader.open_file(&entry)?.read_to_string(&mut content)?;
//! assert_eq!(content, "sand, layered");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`PackWriter`] writes over any pipe of layers (`carstone_layer::LayerWrite`), [`PackReader`] reads over any
//! `carstone_layer::ReadAt`, [`PackStream`] over any `Read`. The stream inside is a CARv1 that every CAR reader understands; names, metadata, manifest and
//! index are blocks of their own in it. For compressed and encrypted packs in files take the `carstone` facade, which puts the layers together.
//!
//! [`PlainWriter`] takes the same entries and writes the same DAG as a plain CAR, for other tools; with the feature `fs`, `fs::add_tree`
//! feeds either from the file system. [`PackOptions::profile`] decides how files are cut and directories laid out. [`Fingerprint`] tells
//! what a stream holds whatever its pack id.
//!
//! # Guarantees
//!
//! - A block is given out only if its bytes hash to its CID. The SHA-256 of every file's whole content is in the pack.
//! - Each block stands in a pack once. The bytes of a pack do not depend on the number of threads.
//! - Content in flight keeps to a budget, and sorted state spills to unnamed temporary files. What grows with a pack: some 60 bytes for each
//!   distinct block while writing and streaming, and the links of directories while they are looked up or verified.
//! - Names that would lead outside a directory are refused when written and when read.
//!
//! # Format
//!
//! `docs/format.md`, section 7.
//!
//! # Features
//!
//! - `fs`: walks and restores trees of the file system.

mod block_map;
mod entry;
mod error;
mod fingerprint;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(test, not(fuzzing)))]
mod fuzzing;
mod ids;
mod path;
mod pipe;
mod plain;
mod reader;
mod record;
mod sink;
mod sorter;
mod stream;
mod writer;

pub use block_map::{BlockKey, BlockMap};
pub use entry::{Announced, EntryKind, Listed, Metadata, Run, Timestamp};
pub use error::{Error, ErrorKind};
pub use fingerprint::Fingerprint;
pub use ids::Ids;
pub use path::{MAX_PATH, PathFault, check_path, compare_paths, is_within, split_path};
pub use pipe::PlainPipe;
pub use plain::PlainWriter;
pub use reader::{Blocks, Entries, Finding, PackFile, PackReader, VerifyReport};
pub use record::{Batch, End, Record, Reference, Resume, Tail};
pub use sink::{EntrySink, SmallFile};
pub use sorter::{Sorted, SortedIter, Sorter};
pub use stream::{Event, PackStream, StreamOptions, Use};
pub use writer::{EntryId, PackOptions, PackWriter, Problem, ProblemKind, Summary};
