//! Parity over any stream of bytes: restores it after damage, byte for byte, without a key.

mod error;
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "encoder and healing call it"))]
mod find;
mod frame;
mod layout;

pub use error::{Error, ErrorKind};
pub use frame::{Descriptor, ProtectionId};
pub use layout::{Layout, Share};
