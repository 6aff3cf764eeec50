//! Stores as their users see them.

mod crashes;
mod faults;
mod faulty;
mod index;
mod maintain;
mod packs;
mod remote;
mod service;
mod sim;
mod vectors;
