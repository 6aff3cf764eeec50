//! Whole files: between the two versions, and the index of a CARv2 in and out of it.

mod edit;
#[cfg(feature = "fs")]
mod index;
#[cfg(feature = "fs")]
mod path;
mod payload;

pub use edit::Editable;
#[cfg(feature = "fs")]
pub use index::{attach_index, detach_index, generate_index, make_index, remove_index};
#[cfg(feature = "fs")]
pub(crate) use path::write_whole;
#[cfg(feature = "fs")]
pub use path::{unwrap_file, wrap_file};
pub use payload::{extract_payload, wrap};
