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
//! In a stream that may be damaged, [`FrameScan`] finds the frames that are left, and puts right what small damage it can:
//!
//! ```
//! # use carstone_layer::{FrameHeader, LayerId, PackId};
//! use carstone_layer::{FrameScan, PlainSource, ScanLimits, Scanned};
//!
//! # let pack = PackId::from_bytes([7; 16]);
//! # let payload = b"keystone";
//! # let header = FrameHeader::data(LayerId::COMPRESSION, pack, 0, 0).with_lengths(8, 8);
//! let mut stored = [&b"junk"[..], &header.sealed(payload).encode(), payload].concat();
//! stored[102] ^= 0x40; // Rot.
//!
//! let limits = ScanLimits::new(16 << 20, 1 << 16);
//! let mut scan = FrameScan::new(PlainSource::new(&stored[..]), LayerId::COMPRESSION, Some(pack), limits);
//! assert!(matches!(scan.next()?, Some(Scanned::Lost { stored, .. }) if stored == (0..4)));
//! assert!(matches!(scan.next()?, Some(Scanned::Frame(frame)) if frame.payload == b"keystone"));
//! assert!(scan.next()?.is_none());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Use this crate to write a layer of your own. To read and write packs, take the `carstone` facade.
//!
//! Guarantees: a frame header counts only when its magic and checksum agree; a corrected frame only
//! when its digest confirms it. A scan takes time in proportion to the stream and memory for two frames, whatever the
//! stream holds. The bytes are described in `docs/format.md`, section 3. There are no features.

mod arrange;
mod checksum;
mod correct;
mod corrections;
mod error;
mod fail_safe;
mod frame;
mod hold_back;
mod id;
mod plain;
mod pool;
mod read_at;
mod scan;
mod window;
mod write;

pub use arrange::FramesInOrder;
pub use checksum::{Digest16, crc32c, crc64, digest16};
pub use correct::{correct_block, correct_frame, correct_payload};
pub use corrections::Corrections;
pub use error::{Error, ErrorKind};
pub use fail_safe::{BoxFailSafe, Cause, Correction, FailSafeRead, Gap, Report};
pub use frame::{FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind};
pub use hold_back::HoldBack;
pub use id::{LayerId, LayerList, LayerSlot, PackId};
pub use plain::PlainSource;
pub use pool::{Ordered, Pool, Ticket, default_threads};
pub use read_at::{ReadAt, ReadSeek, SeekSource, read_full};
pub use scan::{Frame, FrameScan, ScanLimits, Scanned};
pub use write::{BoxWriter, Hint, LayerWrite};
