//! All tests of the crate in one program, which is linked once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod code;
mod made;
mod textbook;
mod vectors;
