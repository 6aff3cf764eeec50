//! Keeping a store in order: what is wrong with it, an index made again, what nobody needs any more.

mod add;
mod check;
mod copy;
mod gc;
mod pack;
mod rebuild;

pub use add::{Added, add_pack};
pub use check::{CheckOptions, Checked, Finding, check};
pub use copy::{Copied, Healed, PackSource, copy, copy_packs, heal, heal_part};
pub use gc::{Collected, collect, remove_root};
pub use rebuild::{Rebuilt, rebuild_index};
