//! All tests of the crate in one program, which is linked once.

mod fail_safe;
mod strict;
mod vectors;
