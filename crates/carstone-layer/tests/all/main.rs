//! All tests of the crate in one program, which is linked once.

mod correct;
mod header;
mod hostile;
mod laws;
mod pool;
mod read_at;
mod scan;
mod support;
mod vectors;
