//! Parity over any stream of bytes: restores it after damage, byte for byte, without a key.
//!
//! ```
//! use carstone_parity::{Memory, Options, Parity, Survey, heal, protect};
//!
//! let stream: Vec<u8> = (0..300_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
//! let sidecar = Memory::new();
//! protect(&stream, &sidecar, &Options::default(), &|_| ())?; // 10 %
//!
//! let mut damaged = stream.clone();
//! damaged[500_000..570_000].fill(0); // A burst,
//! damaged.drain(70_000..70_123); // a cut,
//! damaged[9] ^= 0x40; // and a flipped bit.
//!
//! let parity = Parity::open(sidecar, 2)?;
//! let survey = Survey::of(&damaged, &parity, 2, &|_| ())?;
//! assert!(survey.can_heal());
//! let target = Memory::new();
//! assert!(heal(&damaged, &parity, &survey, &target, 2, &|_| ())?.whole);
//! assert_eq!(target.into_bytes(), stream);
//! # Ok::<(), carstone_parity::Error>(())
//! ```
//!
//! Use it for files and packs that are kept for long: beside each, its parity in a file of its own. It is wide Reed–Solomon code over small cells,
//! with a table by which cells are found that moved, and by which single flipped bits are put right at no cost. Reading a stream takes no parity; nothing is
//! checked then.
//!
//! Guarantees: what is called [whole](Healed::whole) has the BLAKE3 and SHA-256 that were stated when it was protected. Any damage that loses no more cells of a zone
//! than it has [recovery cells](Layout::recovery) is healed. Damage to the parity only lowers that number. Its table may lose half of its frames; where it loses more, the
//! code itself finds out which of the cells are wrong that are in their places: up to half as many as it could restore, and all but two or three where they hold noise. Parity is *no
//! authentication*: who made it says what the stream was. Memory is bounded: some 40 bytes for each of at most 2²³ cells, some 70 MiB for a zone, and 5 MiB for each thread.
//!
//! The bytes are described in `docs/format.md`, section 14. There are no features.

mod check;
mod choose;
mod desk;
mod error;
mod find;
mod frame;
mod heal;
mod layout;
mod locate;
mod outcome;
mod pages;
mod parity;
mod protect;
mod section;
mod survey;
mod workers;
mod write_at;

pub use desk::prepare;
pub use error::{Error, ErrorKind};
pub use frame::{Descriptor, ProtectionId};
pub use heal::{Healed, heal};
pub use layout::{Layout, Share};
pub use parity::{Parity, find_descriptors};
pub use protect::{Options, protect};
pub use section::Section;
pub use survey::{Counts, Survey};
pub use write_at::{Memory, WriteAt};
