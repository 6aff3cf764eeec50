//! What can be chosen: codec, block size, threads and memory.

use std::fmt;
use std::str::FromStr;

use carstone_layer::{Corrections, LayerId, LayerSlot, PackId};

use crate::format::{BLOCK_LEN, CONTAINER_LEN, MAX_BLOCK_LEN, MIN_BLOCK_LEN};
use crate::{Error, ErrorKind};

/// How blocks are compressed. A block that would gain less than 3 % is stored whatever the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// Not at all.
    Stored,
    /// Brotli of quality 0 to 11.
    Brotli(u32),
    /// Zstandard of level 1 to 22.
    #[cfg(feature = "zstd")]
    Zstd(i32),
}

impl Default for Codec {
    /// Brotli of quality 5.
    fn default() -> Self {
        Self::Brotli(5)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("none"),
            Self::Brotli(quality) => write!(f, "brotli:{quality}"),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for Codec {
    type Err = Error;

    /// Reads `none`, `brotli`, `brotli:Q`, `zstd` or `zstd:L`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let codec = match (name, level) {
            ("none", None) => Self::Stored,
            ("brotli", None) => Self::default(),
            ("brotli", Some(quality)) => Self::Brotli(number(quality)?),
            #[cfg(feature = "zstd")]
            ("zstd", None) => Self::Zstd(3),
            #[cfg(feature = "zstd")]
            ("zstd", Some(level)) => Self::Zstd(number(level)?),
            #[cfg(not(feature = "zstd"))]
            ("zstd", _) => return Err(bad("this build has no zstd codec")),
            _ => return Err(bad("codec is not none, brotli[:0-11] or zstd[:1-22]")),
        };
        codec.check()?;
        Ok(codec)
    }
}

impl Codec {
    fn check(self) -> Result<(), Error> {
        match self {
            Self::Brotli(12..) => Err(bad("brotli quality is not 0 to 11")),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) if !(1..=22).contains(&level) => {
                Err(bad("zstd level is not 1 to 22"))
            }
            _ => Ok(()),
        }
    }
}

/// Options of [`CompressWriter`](crate::CompressWriter). The stored bytes depend on codec, block size, pack id and anchor
/// only, never on threads or memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompressOptions {
    /// How blocks are compressed; default brotli of quality 5.
    pub codec: Codec,
    /// Plain bytes in a full block, 64 KiB to 16 MiB; default 4 MiB.
    pub block_size: u32,
    /// The id that the frames carry; default drawn at random.
    pub pack_id: Option<PackId>,
    /// Worker threads; 0, the default, takes as many as there are processors.
    pub threads: usize,
    /// Bytes of blocks in flight; default 64 MiB. One block is always let through.
    pub budget: usize,
    /// The container header (256 bytes) where this layer is the outermost of a pack: anchors repeat it about every 64 MiB.
    pub anchor: Option<Vec<u8>>,
}

impl Default for CompressOptions {
    fn default() -> Self {
        Self {
            codec: Codec::default(),
            block_size: BLOCK_LEN,
            pack_id: None,
            threads: 0,
            budget: BUDGET,
            anchor: None,
        }
    }
}

impl CompressOptions {
    /// Sets the codec.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Sets the plain bytes in a full block.
    #[must_use]
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.block_size = bytes;
        self
    }

    /// Sets the id that the frames carry.
    #[must_use]
    pub fn pack_id(mut self, id: PackId) -> Self {
        self.pack_id = Some(id);
        self
    }

    /// Sets the number of worker threads; 0 takes as many as there are processors.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the bytes of blocks in flight.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Sets the container header that anchors repeat.
    #[must_use]
    pub fn anchor(mut self, container_header: Vec<u8>) -> Self {
        self.anchor = Some(container_header);
        self
    }

    /// What the container header says about this layer.
    pub fn layer_slot(&self) -> LayerSlot {
        LayerSlot { id: LayerId::COMPRESSION, algorithm: 0, unit: self.block_size }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.codec.check()?;
        if !(MIN_BLOCK_LEN..=MAX_BLOCK_LEN).contains(&self.block_size) {
            return Err(bad("block size is not 64 KiB to 16 MiB"));
        }
        if self.anchor.as_ref().is_some_and(|header| header.len() != CONTAINER_LEN) {
            return Err(bad("container header for anchors is not 256 bytes"));
        }
        Ok(())
    }
}

/// Options of [`CompressReader`](crate::CompressReader) and [`CompressFailSafe`](crate::CompressFailSafe).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The id that frames must carry; default that of the first sound frame found.
    pub pack_id: Option<PackId>,
    /// Plain bytes in a frame that are accepted; default and maximum 16 MiB.
    pub max_block: u32,
    /// Worker threads; 0, the default, takes as many as there are processors.
    pub threads: usize,
    /// Bytes of decoded frames that are kept; default 32 MiB. One frame is always kept.
    pub cache: usize,
    /// Bytes of frames that are decoded ahead; default 64 MiB.
    pub budget: usize,
    /// Where a [`CompressReader`](crate::CompressReader) tells what it puts right; without it any damage is an error.
    pub corrections: Option<Corrections>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            pack_id: None,
            max_block: MAX_BLOCK_LEN,
            threads: 0,
            cache: CACHE,
            budget: BUDGET,
            corrections: None,
        }
    }
}

impl ReadOptions {
    /// Sets the id that frames must carry.
    #[must_use]
    pub fn pack_id(mut self, id: PackId) -> Self {
        self.pack_id = Some(id);
        self
    }

    /// Sets the plain bytes in a frame that are accepted.
    #[must_use]
    pub fn max_block(mut self, bytes: u32) -> Self {
        self.max_block = bytes;
        self
    }

    /// Sets the number of worker threads; 0 takes as many as there are processors.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the bytes of decoded frames that are kept.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// Sets the bytes of frames that are decoded ahead.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Sets [`corrections`](Self::corrections).
    #[must_use]
    pub fn corrections(mut self, corrections: Option<Corrections>) -> Self {
        self.corrections = corrections;
        self
    }

    /// The limit that holds: never more than the format allows.
    pub(crate) fn block_limit(&self) -> u32 {
        self.max_block.min(MAX_BLOCK_LEN)
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| bad("level of a codec is not a number"))
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::BadOption(what), 0)
}

const BUDGET: usize = 64 << 20;
const CACHE: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Codec>) {
        assert_eq!(text.parse::<Codec>().ok(), expected, "{text}");
    }

    #[test]
    fn codecs_are_read_as_they_are_shown() {
        check("none", Some(Codec::Stored));
        check("brotli", Some(Codec::Brotli(5)));
        check("brotli:11", Some(Codec::Brotli(11)));
        check("brotli:12", None);
        check("brotli:", None);
        check("none:1", None);
        check("gzip", None);
        assert_eq!(Codec::default().to_string().parse::<Codec>().ok(), Some(Codec::default()));
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_levels_are_limited() {
        check("zstd", Some(Codec::Zstd(3)));
        check("zstd:22", Some(Codec::Zstd(22)));
        check("zstd:0", None);
        check("zstd:23", None);
    }
}
