//! Content packs in layers: write, read at any offset, stream, check.
//!
//! ```
//! use std::io::Read;
//! use carstone::pack::{Metadata, PackReader, PackWriter};
//! use carstone::stack::{self, OpenOptions, Protection, WriteOptions};
//!
//! // Files go in; one compressed, encrypted stream comes out.
//! let options = WriteOptions::default().protection(Protection::content_key([7; 32]));
//! let pipe = stack::write(Vec::new(), options)?;
//! let id = pipe.pack_id();
//! let mut writer = PackWriter::new(pipe, id)?;
//! writer.add_file(b"walls/stone", Metadata::default(), &b"sand, layered"[..])?;
//! let (pipe, _) = writer.finish()?;
//! let stored: Vec<u8> = pipe.finish()?; // Without `finish` the pack reads as cut off.
//!
//! // Any file of it can be read at any offset.
//! let opened = stack::open(stored, &[7; 32], &OpenOptions::default())?;
//! let reader = opened.pack()?;
//! let entry = reader.find(b"walls/stone")?.expect("it was added");
//! let mut content = String::new();
//! reader.open_file(&entry)?.read_to_string(&mut content)?;
//! assert_eq!(content, "sand, layered");
//!
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! This crate re-exports every crate of the workspace, each behind a feature of its name, and adds one thing: [`stack`], which
//! puts the layers together at run time. Whoever needs one layer takes its crate alone: [`encrypt`] is a seekable encrypted file, [`compress`] a
//! seekable compressed one, [`car`] a CAR library.
//!
//! # Guarantees
//!
//! - Nothing is believed: a block is given only if it hashes to its CID, an encrypted frame only if its tag holds.
//! - Everything can be read front to back without any footer; footers and indexes only make it fast.
//! - Content in flight keeps to stated budgets, whatever the size of a pack or a file. Besides, some 60 bytes are held for each distinct
//!   block while a pack is written or streamed.
//!
//! # Format
//!
//! `docs/format.md` is normative and complete.
//!
//! # Features
//!
//! By default everything that needs no C compiler. `zstd` adds a codec, `aws-lc` a faster AES-256-GCM that gives the same bytes, `ssh` and `plugin` more kinds of keys. `sign` adds
//! signatures with keys of OpenSSH, `keys::sign`, over what [`stack::SignedBytes`] gives.

pub use carstone_layer as layer;

#[cfg(feature = "car")]
pub use carstone_car as car;
#[cfg(feature = "compress")]
pub use carstone_compress as compress;
#[cfg(feature = "encrypt")]
pub use carstone_encrypt as encrypt;
#[cfg(feature = "keys")]
pub use carstone_keys as keys;
#[cfg(feature = "pack")]
pub use carstone_pack as pack;
#[cfg(feature = "parity")]
pub use carstone_parity as parity;
#[cfg(feature = "position")]
pub use carstone_position as position;
#[cfg(feature = "raw")]
pub use carstone_raw as raw;
#[cfg(feature = "repair")]
pub use carstone_repair as repair;
#[cfg(feature = "unixfs")]
pub use carstone_unixfs as unixfs;

#[cfg(feature = "stack")]
pub mod stack;
