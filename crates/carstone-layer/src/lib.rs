//! What every carstone layer agrees on: traits, frames, gaps and checksums.
//!
//! A *layer* is three things: a writer (`Write` plus [`LayerWrite`]), a strict reader (`Read + Seek`
//! and [`ReadAt`]), and a fail-safe reader ([`FailSafeRead`]) that reports damage as [`Gap`]s and goes
//! on. A layer knows neither what is above nor what is below it.
//!
//! ```
//! use carstone_layer::{FrameHeader, Kind, LayerId, PackId};
//!
//! let payload = b"keystone";
//! let header = FrameHeader::data(LayerId::COMPRESSION, PackId::from_bytes([7; 16]), 0, 0)
//!     .with_lengths(8, 8)
//!     .sealed(payload);
//! let stored = header.encode();
//!
//! let read = FrameHeader::decode(&stored)?;
//! assert_eq!(read.kind, Kind::DATA);
//! assert!(read.payload_is_intact(payload));
//! assert!(!read.payload_is_intact(b"keystonE"));
//! # Ok::<(), carstone_layer::Error>(())
//! ```
//!
//! Use this crate to write a layer of your own. To read and write packs, take the `carstone` facade.
//!
//! Guarantees: a frame header counts only when its magic and checksum agree; a corrected frame only
//! when its digest confirms it. The bytes are described in `docs/format.md`, section 3.

mod checksum;
mod correct;
mod error;
mod fail_safe;
mod frame;
mod id;
mod plain;
mod pool;
mod read_at;
mod scan;
mod window;
mod write;

pub use checksum::{Digest16, crc32c, crc64, digest16};
pub use correct::{correct_block, correct_frame, correct_payload};
pub use error::{Error, ErrorKind};
pub use fail_safe::{BoxFailSafe, Cause, Correction, FailSafeRead, Gap, Report};
pub use frame::{FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind};
pub use id::{LayerId, LayerList, LayerSlot, PackId};
pub use plain::PlainSource;
pub use pool::{Ordered, Pool, Ticket, default_threads};
pub use read_at::{ReadAt, ReadSeek, SeekSource, read_full};
pub use scan::{Frame, FrameScan, ScanLimits, Scanned};
pub use write::{BoxWriter, Hint, LayerWrite};
