//! Trees of the file system: into a pack, and out of one again.
