//! Stores as their users see them.

mod crashes;
mod index;
mod packs;
mod sim;
mod vectors;
