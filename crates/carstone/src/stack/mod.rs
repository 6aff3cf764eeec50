//! Whole stacks of layers, put together at run time: options in, a boxed writer or reader out.
//!
//! The order is fixed: raw, encryption, compression, position, from the stored bytes inward. [`write()`] makes a pipe for
//! `PackWriter`, [`open`] a source for `PackReader`, [`stream`] a forward reader for `PackStream`, and [`fail_safe`] a reader that goes on behind
//! damage; [`salvage`] puts the entries of a damaged pack together. [`heal()`] mends stored bytes without a key, [`Rebuild`]
//! writes a clean pack of what is left, [`carve()`] finds packs at any offset of anything, and [`Rekey`] gives a pack to other readers.
//! [`append_parity`] puts parity behind a pack, and [`find_parity`] finds it there.

mod budget;
#[cfg(feature = "repair")]
mod carve;
mod detect;
mod error;
mod forward;
mod front;
mod heal;
mod keys;
mod open;
#[cfg(feature = "parity")]
mod parity;
#[cfg(feature = "repair")]
mod rebuild;
mod rekey;
#[cfg(feature = "repair")]
mod salvage;
mod signed;
mod stream;
mod verify;
mod write;

#[cfg(feature = "repair")]
pub use carve::{Carved, CarvedCar, CarvedPack, Carving, MendedPack, Spliced, carve};
pub use detect::{Format, detect};
pub use error::{Error, ErrorKind};
pub use heal::{Conflict, Damage, HealReport, Healed, Part, Rebuilt, heal};
pub use keys::{Protection, envelope_keys};
pub use open::{OpenOptions, Opened, SharedSource, Stored, inspect, open};
#[cfg(feature = "parity")]
pub use parity::{PackParity, append_parity, find_parity, may_be_of};
#[cfg(feature = "repair")]
pub use rebuild::{Rebuild, RebuiltPack};
#[cfg(feature = "repair")]
pub use rekey::Fresh;
pub use rekey::{Rekey, RekeyedPack};
#[cfg(feature = "repair")]
pub use salvage::{Salvaged, salvage, salvage_at};
pub use signed::SignedBytes;
pub use stream::{FailSafe, Streamed, fail_safe, stream};
pub use verify::{LayerCheck, StackCheck, verify};
pub use write::{StackWriter, WriteOptions, write};
