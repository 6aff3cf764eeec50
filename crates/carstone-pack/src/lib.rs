//! The CAR pack.
mod entry;
mod error;
mod path;
mod reader;
mod record;
mod sorter;
mod writer;

pub use entry::*;
pub use error::*;
pub use path::*;
pub use reader::*;
pub use record::*;
pub use writer::*;
