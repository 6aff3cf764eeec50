//! Reads what a damaged pack still holds, and says exactly what is lost.
//!
//! ```
//! use carstone_layer::{PackId, PlainSource};
//! use carstone_pack::{Event, Metadata, PackWriter, PlainPipe};
//! use carstone_repair::{Item, Salvage, SalvageOptions};
//!
//! let id = PackId::from_bytes([7; 16]);
//! let mut writer = PackWriter::new(PlainPipe::new(Vec::new()), id)?;
//! writer.add_file(b"walls/stone", Metadata::default(), &b"sand, layered"[..])?;
//! let (pipe, _) = writer.finish()?;
//! let mut stream = pipe.into_inner();
//! stream.truncate(stream.len() / 2); // The manifest is gone, and more.
//!
//! let mut salvage = Salvage::new(PlainSource::new(&stream[..]), id, &SalvageOptions::default());
//! let mut complete = 0;
//! while let Some(item) = salvage.next()? {
//!     complete += u32::from(matches!(item, Item::Event(Event::End { .. })));
//! }
//! assert_eq!(complete, 1);
//! # Ok::<(), carstone_pack::Error>(())
//! ```
//!
//! [`Salvage`] reads the CAR stream of a pack from any [`FailSafeRead`](carstone_layer::FailSafeRead): from a stack of fail-safe layers, which give what
//! is intact and say what is missing. The `carstone` facade puts such stacks together.
//!
//! [`CarSalvage`] reads plain CARs, from any [`Read`](std::io::Read): behind damage it finds the next block by its content. [`BlockSearch`] is
//! for callers who look for other things at the same time.
//!
//! # Guarantees
//!
//! - Damage makes data missing, never wrong: a block counts only if it hashes to its CID, and a file is complete only when all of it has come.
//! - Bytes on both sides of a hole are never joined, and after a hole no leaf is taken for the next one of a file because it stands there.
//! - Nothing inside of a block is taken for a block of the pack. Where no frame proves the bytes, blocks are found by their content; what is found so is used by its CID
//!   alone, wherever it stands.
//! - What looks like blocks and is none costs time in proportion to the stream: the bytes that are hashed are bounded.
//! - Memory is bounded. Some 50 bytes for each leaf lie in temporary files, and 32 MiB of inner nodes are kept at most.
//!
//! # Format
//!
//! `docs/format.md`, section 7.
//!
//! There are no features.

mod car;
mod leaves;
mod ranges;
mod rebuild;
mod report;
mod salvage;
mod sections;

use carstone_car::{Cid, codec};

pub use car::{BlockSearch, CarFault, CarGap, CarItem, CarSalvage, Judged, Passed, Stops};
pub use rebuild::{Plan, RebuildError, RebuildOptions, Written};
pub use report::{Damage, Hit, Report, State, Tally, Told};
pub use salvage::{Item, Salvage, SalvageOptions};

use leaves::Digest;

/// The digest of a raw leaf under SHA-256, which is also that of its content.
fn leaf_digest(cid: &Cid) -> Option<Digest> {
    let is_leaf = cid.codec() == codec::RAW && cid.hash().code() == SHA2_256;
    cid.hash().digest().try_into().ok().filter(|_| is_leaf)
}

/// The CID of the raw leaf with this digest.
fn leaf_cid(digest: &Digest) -> Option<Cid> {
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend_from_slice(digest);
    Cid::try_from(bytes).ok()
}

const SHA2_256: u64 = 0x12;
