//! Takes whole packs, or parts of them, to the file system.

mod selection;

pub use selection::Selection;
