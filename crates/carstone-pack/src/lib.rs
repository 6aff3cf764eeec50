//! The CAR pack.
mod entry;
mod error;
mod path;
mod record;
mod sorter;
mod writer;

pub use entry::*;
pub use error::*;
pub use path::*;
pub use record::*;
pub use writer::*;
