//! All tests of the crate in one program, which is linked once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod choose;
mod code;
mod faults;
mod forged;
mod laws;
mod made;
mod packed;
mod textbook;
mod vectors;
