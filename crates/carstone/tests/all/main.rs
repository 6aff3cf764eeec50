//! All tests of the crate in one program, which is linked once.

mod carve;
mod carve_image;
mod cut;
mod heal;
mod laws;
mod parity;
mod rebuild;
mod rekey;
mod salvage;
mod signed;
mod sinks;
mod splice;
mod stack;
mod support;
mod vectors;
