//! HPPR packets: data, where it belongs, and who says so.

pub mod b64a;
mod error;
mod hsb3;
mod tai;
mod text;

pub use error::{Error, ErrorKind, Result};
pub use hsb3::SigningKey;
#[cfg(feature = "password")]
pub use hsb3::{MOST_MEMORY_KIB, PasswordParameters, password_token};
pub use tai::Tai;
pub use text::{DIGEST, PacketHash, PacketKind, SUFFIX, Signature, TYPED, VerifyingKey};
