//! All tests of the crate in one program, which is linked once.

#[cfg(feature = "fs")]
mod compare;
#[cfg(feature = "fs")]
mod extract;
#[cfg(feature = "fs")]
mod extract_events;
#[cfg(feature = "fs")]
mod extract_stream;
mod hostile;
mod plain;
#[cfg(feature = "fs")]
mod profiles;
#[cfg(feature = "fs")]
mod reproducible;
#[cfg(feature = "fs")]
mod restore;
mod roundtrip;
mod support;
#[cfg(feature = "fs")]
mod tree;
#[cfg(feature = "fs")]
mod tree_faults;
#[cfg(feature = "fs")]
mod tree_order;
#[cfg(feature = "fs")]
mod trees;
