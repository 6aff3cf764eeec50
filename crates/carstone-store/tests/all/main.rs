//! Stores as their users see them.

mod crashes;
mod index;
mod maintain;
mod packs;
mod records;
mod sim;
mod sources;
mod vectors;
