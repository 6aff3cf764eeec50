//! All tests of the crate in one program, which is linked once.

mod age_tool;
mod damage;
mod files;
mod hybrid;
#[cfg(feature = "plugin")]
mod plugin;
mod seal_and_open;
#[cfg(feature = "sign")]
mod sign;
#[cfg(feature = "sign")]
mod signers;
#[cfg(feature = "ssh")]
mod ssh;
mod vectors;
