//! All tests of the crate in one program, which is linked once.

mod chunks;
mod directory;
mod entity;
mod file;
mod fixtures;
mod hashes;
mod hostile;
mod hostile_files;
mod importer;
mod inline;
mod layouts;
mod metadata;
mod profiles;
mod shared_vectors;
mod vectors;
