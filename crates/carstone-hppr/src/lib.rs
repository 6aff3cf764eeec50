//! HPPR packets: data, where it belongs, and who says so.

pub mod b64a;
mod coordinate;
mod error;
mod header;
mod hsb3;
mod limits;
mod packet;
#[cfg(unix)]
mod repository;
mod tai;
mod text;
pub mod trailer;
mod urc;

pub use coordinate::{Coordinate, Name};
pub use error::{Error, ErrorKind, Result};
pub use header::Header;
pub use hsb3::SigningKey;
#[cfg(feature = "password")]
pub use hsb3::{MOST_MEMORY_KIB, PasswordParameters, password_token};
pub use limits::{
    MAX_DATA, MAX_EXTRAS_READ, MAX_EXTRAS_WRITTEN, MAX_LINE, MAX_LOCATION, MAX_NAME, MAX_PACKET,
    MAX_SEGMENT,
};
pub use packet::{
    Blob, ExtrasOrder, Hashes, Head, Packet, PacketReader, PacketStream, ParseOptions, Plex, Seal,
    verify,
};
#[cfg(unix)]
pub use repository::{
    BATCH, BATCH_BYTES, Batch, CheckOptions, Checked, Collected, Disk, ExportOptions, Exported,
    Finding, Headers, OpenOptions, RealDisk, Rebuilt, Repository, Source, StoreOptions, TipPrefix,
    Tips, Version, What, import, import_car,
};
#[cfg(all(unix, feature = "watch"))]
pub use repository::{Change, WATCH_QUEUE, Watch, WatchOptions};
pub use tai::Tai;
pub use text::{DIGEST, PacketHash, PacketKind, SUFFIX, Signature, TYPED, VerifyingKey};
pub use trailer::MAX_ANNOUNCEMENT;
pub use urc::{ListPath, Listing, Selector, Urc};
