//! Compresses a byte stream into seekable, checksummed frames.
//!
//! ```
//! use std::io::{Cursor, Read, Seek, SeekFrom, Write};
//! use carstone_compress::{CompressReader, CompressWriter};
//!
//! let mut writer = CompressWriter::new(Vec::new())?;
//! writer.write_all(&b"keystone ".repeat(100_000))?;
//! let stored = writer.finish()?; // Without `finish` the stream reads as truncated.
//! assert!(stored.len() < 2_000);
//!
//! let mut reader = CompressReader::open(Cursor::new(stored))?;
//! reader.seek(SeekFrom::Start(90_003))?;
//! let mut word = [0; 5];
//! reader.read_exact(&mut word)?;
//! assert_eq!(&word, b"stone");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Use this crate to compress one long stream that is later read in the middle, by many readers at once, or after
//! damage. For many small messages its headers of 96 bytes are too much. To read and write packs, take the `carstone` facade.
//!
//! Guarantees: the strict reader gives a byte only if header and checksum of its frame hold and the frame decompresses to
//! exactly its stated length; [`CompressReader::verify`] checks the BLAKE3 digests too. The fail-safe reader gives the same
//! bytes and a gap for everything that is lost. Checksums find accidents; against forgery put an encryption layer outside. Memory stays
//! within the budgets of the options.
//!
//! The bytes are described in `docs/format.md`, sections 3 and 5. Features: `zstd` adds `Codec::Zstd`, in C; without it
//! frames in that codec are refused.

mod brotli_codec;
mod buffers;
mod cache;
mod codec;
mod error;
mod fail_safe;
mod fetch;
mod footer;
mod format;
mod options;
mod reader;
mod salvage;
mod sample;
mod seen;
mod spares;
mod table;
mod unchecked;
mod verify;
mod walk;
mod writer;
#[cfg(feature = "zstd")]
mod zstd_codec;

pub use error::{Error, ErrorKind};
pub use fail_safe::CompressFailSafe;
pub use footer::{Footer, anchor_frame, is_regular, scan_limits};
pub use format::{ANCHOR_EVERY, PAGE_ENTRIES};
pub use options::{Codec, CompressOptions, ReadOptions};
pub use reader::CompressReader;
pub use seen::SeenCodecs;
pub use walk::Frames;
pub use writer::CompressWriter;
