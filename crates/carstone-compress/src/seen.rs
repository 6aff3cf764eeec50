//! Which codecs a stream that is read uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Codec;
use crate::format::codec;

/// Hears which codecs the frames of a stream have, while it is read.
#[derive(Clone, Debug, Default)]
pub struct SeenCodecs(Arc<AtomicU8>);

impl SeenCodecs {
    /// The codec of the frames so far, at its default level, which no frame tells; stored where none is compressed. `None` before the first, and
    /// where this build has no such codec.
    pub fn codec(&self) -> Option<Codec> {
        let seen = self.0.load(Ordering::Relaxed);
        let has = |number: u8| seen & (1 << number) != 0;
        if has(codec::BROTLI) {
            return Some(Codec::default());
        }
        if has(codec::ZSTD) {
            return "zstd".parse().ok();
        }
        has(codec::STORED).then_some(Codec::Stored)
    }

    pub(crate) fn note(&self, number: u8) {
        if number < 8 {
            self.0.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}
