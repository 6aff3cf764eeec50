//! The outermost part of a carstone pack: a container header in front, a trailer behind, and reading from any start offset.
//!
//! ```
//! use std::io::{Cursor, Read, Write};
//! use carstone_layer::{LayerId, LayerList, LayerSlot};
//! use carstone_raw::{RawReader, RawWriter};
//!
//! // The list names the layers that made the bytes, outermost first.
//! let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
//! let mut writer = RawWriter::new(Vec::new(), LayerList::single(position))?;
//! let id = writer.pack_id();
//! writer.write_all(b"keystone")?;
//! let pack = writer.finish()?; // Without `finish` the pack reads as truncated.
//!
//! let mut reader = RawReader::open(Cursor::new(&pack))?;
//! assert_eq!(reader.container().pack_id, id);
//! let mut framed = Vec::new();
//! reader.read_to_end(&mut framed)?;
//! assert_eq!(framed, b"keystone");
//!
//! assert!(RawReader::open(Cursor::new(&pack[..pack.len() - 1])).is_err());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Use this crate to look at the header of a pack, to find a pack inside a larger file, or as the base of a stack of your own
//! layers. To read and write packs, take the `carstone` facade.
//!
//! Guarantees: [`RawReader`] gives no byte before header and trailer match their checksums, each other and the length
//! of the pack; it says nothing about the bytes between them, whose checks are the business of the layers inside.
//! The bytes are described in `docs/format.md`, section 2.

mod appendix;
mod container;
mod edges;
mod error;
mod fail_safe;
mod reader;
mod search;
mod trailer;
mod writer;

pub use appendix::Appendix;
pub use container::Container;
pub use edges::{Edges, TrailerPlace};
pub use error::{Error, ErrorKind};
pub use fail_safe::RawFailSafe;
pub use reader::{RawReader, read_container};
pub use writer::{RawOptions, RawWriter};
