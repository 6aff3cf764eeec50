//! HPPR packets: data, where it belongs, and who says so.
//!
//! ```
//! # #[cfg(unix)] {
//! use carstone_hppr::{Coordinate, Repository, Selector, SigningKey, Tai, Urc};
//!
//! let directory = tempfile::tempdir()?;
//! let repository = Repository::init(directory.path())?;
//! let at = Coordinate::new("my-group", "notes", "2026/first")?;
//! let key = SigningKey::generate()?;
//! repository.add_sealed(at.clone(), Tai::now()?, Vec::new(), "a note", &key)?;
//!
//! let packet = repository.get(&Urc::Coordinate { coordinate: at, selector: Selector::Tip })?;
//! assert_eq!(&packet.data()[..], b"a note"); // Its hashes and its signature are verified.
//! assert_eq!(packet.seal().map(|seal| seal.key()), Some(key.verifying_key()));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - What is parsed, or got out of a repository, is verified: its hashes, its signature and the rules of each line. What is not says so in its name.
//! - A repository that a crash has stopped at any step has the old or the new state at each coordinate, and storing again completes it.
//! - Readers take no lock. Nothing but `collect` removes data.

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
    Blob, ExtrasOrder, Hashes, Head, MARK_CHARACTER, Packet, PacketReader, PacketStream,
    ParseOptions, Plex, RESERVED_HEADERS, Seal, verify,
};
#[cfg(unix)]
pub use repository::{
    BATCH, BATCH_BYTES, Batch, CheckOptions, Checked, Collected, Disk, EMPTY_BLOB, ExportOptions,
    Exported, Finding, Headers, Held, OpenOptions, RealDisk, Rebuilt, Repository, Source,
    StoreOptions, TipPrefix, Tips, Version, What, import, import_car,
};
#[cfg(all(unix, feature = "watch"))]
pub use repository::{Change, WATCH_QUEUE, Watch, WatchOptions};
pub use tai::{FIRST_TAI_OFFSET, TAI_OFFSETS, Tai};
pub use text::{DIGEST, PacketHash, PacketKind, SUFFIX, Signature, TYPED, VerifyingKey};
pub use trailer::MAX_ANNOUNCEMENT;
pub use urc::{ListPath, Listing, Selector, Urc};
