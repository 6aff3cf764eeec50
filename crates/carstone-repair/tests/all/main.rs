//! All tests of the crate in one program, which is linked once.

mod cars;
mod salvage;
mod support;
mod unproven;
