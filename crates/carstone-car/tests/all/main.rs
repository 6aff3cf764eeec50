//! All tests of the crate in one program, which is linked once.

mod advisories;
mod asynchronous;
mod buffer;
mod dag;
mod damage;
mod data_streams;
mod files;
mod fixtures;
mod index;
mod indexed;
mod interop;
mod laws;
mod memory;
mod multi;
mod places;
mod put;
mod scan;
mod sources;
mod stats;
mod store;
mod store_kill;
mod streams;
mod tolerances;
mod v2;
