//! Counts a stream and ends it with a footer: its length, and the position of one marked byte.
//!
//! ```
//! use std::io::{Cursor, Read, Write};
//! use carstone_layer::PackId;
//! use carstone_position::{PositionReader, PositionWriter};
//!
//! let mut writer = PositionWriter::new(Vec::new(), PackId::from_bytes([7; 16]));
//! writer.write_all(b"key")?;
//! writer.mark();
//! writer.write_all(b"stone")?;
//! let stored = writer.finish()?; // Without `finish` the stream reads as truncated.
//!
//! let mut reader = PositionReader::open(Cursor::new(&stored))?;
//! assert_eq!((reader.len(), reader.mark()), (8, Some(3)));
//! let mut plain = String::new();
//! reader.read_to_string(&mut plain)?;
//! assert_eq!(plain, "keystone");
//!
//! assert!(PositionReader::open(Cursor::new(&stored[..stored.len() - 1])).is_err());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! It is the innermost layer of a carstone pack, where the mark is the place of the tail record. Use it alone where a
//! stream written front to back must say at its end where something stands. To read and write packs, take the
//! `carstone` facade.
//!
//! Guarantees: [`PositionReader`] gives no byte before the footer matches its checksum and the length of the stream. The
//! plain bytes themselves are not checked: that is the business of the layers outside.
//! The bytes are described in `docs/format.md`, section 6.

mod error;
mod fail_safe;
mod footer;
mod reader;
mod writer;

pub use error::{Error, ErrorKind};
pub use fail_safe::PositionFailSafe;
pub use reader::PositionReader;
pub use writer::PositionWriter;
