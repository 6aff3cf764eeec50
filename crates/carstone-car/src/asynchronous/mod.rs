//! Readers and writers over asynchronous sources and sinks.
//!
//! What a CAR means is said once, by the code that blocks: here it is given a source that may say *not yet*, and is called again.

mod bytes;
mod channel;
mod polled;
mod put;
mod queue;
mod reader;
mod streams;
#[cfg(feature = "tokio")]
mod tokio_io;
mod writer;

pub use bytes::CarBytes;
pub use channel::{CarSender, ChannelOptions, car_appender, car_channel};
pub use reader::AsyncCarReader;
pub use streams::{IntoCidStream, IntoPlaceStream};
#[cfg(feature = "tokio")]
pub use tokio_io::TokioIo;
pub use writer::AsyncCarWriter;
