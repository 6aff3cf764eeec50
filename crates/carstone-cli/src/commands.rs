//! The commands, a file each.

mod against;
pub(crate) mod car;
pub(crate) mod carve;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod extract;
pub(crate) mod hppr;
pub(crate) mod info;
pub(crate) mod keygen;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod protect;
pub(crate) mod rekey;
pub(crate) mod repair;
pub(crate) mod scrub;
pub(crate) mod sign;
pub(crate) mod store;
pub(crate) mod verify;
