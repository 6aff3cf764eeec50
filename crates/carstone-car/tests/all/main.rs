//! All tests of the crate in one program, which is linked once.

mod buffer;
mod dag;
mod damage;
mod fixtures;
mod index;
mod indexed;
mod interop;
mod laws;
mod scan;
mod sources;
mod streams;
mod v2;
