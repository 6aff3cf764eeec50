//! Keeping a store in order: what is wrong with it, an index made again, what nobody needs any more.

mod add;
mod check;
mod copy;
mod finding;
mod gc;
mod heal;
mod mend;
mod options;
mod pack;
mod rebuild;
#[cfg_attr(not(feature = "parity"), path = "no_parity.rs")]
mod sidecar;
mod walk;

pub use add::{Added, add_pack};
pub use check::{check, check_with};
pub use copy::{Copied, copy, copy_packs};
pub use finding::Finding;
pub use gc::{Collected, collect, collect_part, remove_root};
pub use heal::{Healed, Lost, PackSource, Unmended, heal, heal_part};
pub use options::{CheckOptions, Checked};
pub use rebuild::{Rebuilt, finish_rebuild, rebuild_index, rebuild_part, rebuild_roots};
#[cfg(feature = "parity")]
pub use sidecar::{Protected, protect};
pub use walk::IncompleteRoot;
