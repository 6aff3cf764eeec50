//! Encrypts a byte stream in frames, so that any part of it can be read, checked and salvaged alone.
//!
//! ```
//! use std::io::{Read, Seek, SeekFrom, Write};
//!
//! use carstone_encrypt::{EncryptReader, EncryptWriter, ErrorKind};
//!
//! let key = [7; 32]; // Draw it at random, and never use it for anything else.
//! let mut writer = EncryptWriter::new(Vec::new(), &key)?;
//! writer.write_all(b"under the keystone")?;
//! let mut stored = writer.finish()?; // Without `finish` the stream reads as truncated.
//!
//! let mut reader = EncryptReader::open_at(&stored, &key)?;
//! reader.seek(SeekFrom::Start(10))?;
//! let mut text = String::new();
//! reader.read_to_string(&mut text)?;
//! assert_eq!(text, "keystone");
//!
//! stored[240] ^= 1;
//! let error = EncryptReader::open_at(&stored, &key).unwrap_err();
//! assert!(matches!(error.kind(), ErrorKind::BadTag { frame: 0 }));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Use this crate for one encrypted, seekable stream under a 32-byte key that you keep, or whose envelope you make. To
//! write and read whole packs, take the `carstone` facade; for keys that people hold, `carstone-keys`.
//!
//! Guarantees:
//! - No plain byte leaves a reader before the authentication tag of its frame holds. Place, order and end of the frames are
//!   authenticated too: frames that are swapped, repeated, cut off or of another stream are found.
//! - A wrong key is told from damage, before anything is decrypted.
//! - A nonce is used once: after a failed write the writer is broken for ever.
//! - Whoever holds the key can forge; only a signature keeps readers from doing that. Lengths are not hidden.
//! - Memory is bounded by the budgets in the options.
//!
//! The bytes are described in `docs/format.md`, sections 3 and 4.
//!
//! Features: `aws-lc` (off by default) encrypts with aws-lc, several times faster than the default `aes-gcm`, and
//! needs a C compiler. Both give the same bytes.

mod aead;
mod ahead;
mod error;
mod fail_safe;
mod format;
mod header;
mod keys;
mod layout;
mod opening;
mod options;
mod reader;
mod rewrap;
mod stream;
mod verify;
mod writer;

#[cfg(test)]
mod constant_time_tests;
#[cfg(test)]
mod published;

pub use aead::Backend;
pub use error::{Error, ErrorKind};
pub use fail_safe::EncryptFailSafe;
pub use format::{
    ANCHOR_EVERY, Anchor, FRAME_LEN, LayerHeader, MAX_ENVELOPE, MAX_FRAMES, STORED_FRAME,
    is_regular, scan_limits, slot,
};
pub use keys::{ContentKeyBytes, KeySource};
pub use options::{EncryptOptions, FailSafeOptions, ReadOptions};
pub use reader::EncryptReader;
pub use verify::{Stats, verify_stored};
pub use writer::EncryptWriter;
