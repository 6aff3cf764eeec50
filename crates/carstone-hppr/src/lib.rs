//! HPPR packets: data, where it belongs, and who says so.

pub mod b64a;
mod error;
mod tai;
mod text;

pub use error::{Error, ErrorKind, Result};
pub use tai::Tai;
pub use text::{DIGEST, PacketHash, PacketKind, SUFFIX, Signature, TYPED, VerifyingKey};
