//! CARv2: a frame of header, padding and index around a CARv1, the payload.

mod header;
mod options;
mod writer;

pub use header::{Characteristics, V2_PRAGMA, V2Header};
pub use options::FileOptions;
pub use writer::CarFileWriter;
pub(crate) use writer::{frame, payload_start, write_zeros};
