//! Parity over any stream of bytes: restores it after damage, byte for byte, without a key.

mod error;
mod frame;
mod layout;

pub use error::{Error, ErrorKind};
pub use frame::{Descriptor, ProtectionId};
pub use layout::{Layout, Share};
