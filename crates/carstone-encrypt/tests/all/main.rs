//! All tests of the crate in one program, which is linked once.

mod damage;
mod fail_safe;
mod hostile;
mod laws;
mod rewrap;
mod roundtrip;
mod seek;
mod splice;
mod streams;
mod two_keys;
mod vectors;
