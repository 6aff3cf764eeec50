//! Reads and writes CARs: streams of content-addressed blocks, each stored behind its CID.
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
//! - [`CarReader`] reads any [`Read`](std::io::Read), front to back: whole blocks, or only where they lie. With
//!   [`Seek`](std::io::Seek) it skips bodies.
//! - [`CarSlice`] reads from memory and copies nothing; [`parse_section`] is for callers who find sections by themselves.
//! - [`CarWriter`] writes to any [`Write`](std::io::Write); [`replace_roots`] puts in roots that are known only afterwards.
//!
//! Not for CARv2, whose header is recognised and refused, nor for asynchronous sources. Most users want the `carstone` facade.
//!
//! # Guarantees
//!
//! - *Verified.* A block is handed out only if its bytes hash to its CID, unless an option with `danger` in its name says otherwise.
//!   Functions that give sections without data verify nothing.
//! - *Strict.* Varints in their shortest form, canonical headers, CIDs that stay inside of their sections. What the format leaves open
//!   (number and presence of roots, order, duplicates, empty blocks) is accepted.
//! - *Bounded.* [`Limits`] are checked before memory is allocated, and buffers grow as bytes arrive. A reader needs 32 KiB and one
//!   section.
//! - *No silent end.* A stream may end only where a section would start. One that was cut exactly there cannot be told from a complete
//!   one: the format has no end mark.
//!
//! # Format
//!
//! [CARv1](https://ipld.io/specs/transport/car/carv1/), with varints and multihashes as
//! [multiformats](https://github.com/multiformats/unsigned-varint) has them.
//!
//! There are no features.

mod cid_bytes;
mod error;
mod hash;
mod header;
mod index;
mod indexed;
mod input;
mod open;
mod options;
mod read_at;
mod reader;
mod roots;
mod scan;
mod section;
mod slice;
mod v2;
mod varint;
mod writer;

pub use cid::{self, Cid};
pub use error::{Error, ErrorKind, Part, Result};
pub use hash::{cid_of, cid_of_sha2_256, codec, digest_len, hash_code, multihash_of, verify};
pub use header::Header;
pub use index::{Index, IndexBuilder, IndexCodec, IndexEntries, IndexEntry, Offsets, SortedIndex};
pub use indexed::{IndexReport, IndexedCar};
pub use multihash;
pub use options::{Limits, ReaderOptions, Verification, WriterOptions};
pub use read_at::{AtReader, ReadAt, SeekSource};
pub use reader::{Blocks, CarReader, IntoBlocks};
pub use roots::replace_roots;
pub use scan::{CarScan, ScanOptions};
pub use section::{Block, BlockRef, Section, SectionHead, parse_section, section_len};
pub use slice::{CarSlice, SliceBlocks};
pub use v2::{CarFileWriter, Characteristics, FileOptions, V2_PRAGMA, V2Header};
pub use writer::CarWriter;
