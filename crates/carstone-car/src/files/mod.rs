//! Whole files: between the two versions, and the index of a CARv2 in and out of it.

mod edit;
mod index;
mod path;
mod payload;

pub use edit::Editable;
pub use index::{attach_index, detach_index, generate_index, make_index, remove_index};
pub(crate) use path::write_whole;
pub use path::{unwrap_file, wrap_file};
pub use payload::{extract_payload, wrap};
