//! All tests of the crate in one program, which is linked once.

mod container;
mod edges;
mod fail_safe;
mod laws;
mod packs;
mod strict;
mod vectors;
