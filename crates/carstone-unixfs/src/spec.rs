//! The chunkers there are, as a value with a name.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use fastcdc::v2020::FastCDC;

use crate::chunk::{Chunker, FixedChunker};
use crate::error::{Error, ErrorKind};
use crate::stream::CutChunker;

/// How files are cut into leaves.
///
/// As text it is `fixed:N` or `fastcdc:N`, where N is a number of bytes that may end in `K` (1024) or `M` (1024²).
///
/// ```
/// use carstone_unixfs::{Chunker, ChunkerSpec};
/// let spec: ChunkerSpec = "fastcdc:64K".parse()?;
/// assert_eq!((spec.min(), spec.max()), (16 << 10, 256 << 10));
/// let (mut chunker, mut chunk) = (spec.over(&b"a short file"[..]), Vec::new());
/// assert!(chunker.next_chunk(&mut chunk)?);
/// assert_eq!(chunk, b"a short file"); // At most `min` bytes are one chunk.
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkerSpec(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Fixed(usize),
    FastCdc(usize),
}

impl ChunkerSpec {
    /// The most bytes that a chunk may have: with its CID, and as a node of its own, it must fit into a section of a CAR,
    /// for which readers allow 8 MiB.
    pub const MAX_CHUNK: usize = (8 << 20) - 256;

    pub(crate) const MIB: Self = Self(Kind::Fixed(MIB));
    pub(crate) const KIB_256: Self = Self(Kind::Fixed(256 * KIB));

    /// Chunks of `bytes` bytes each, from 1 to [`MAX_CHUNK`](Self::MAX_CHUNK); the last of a file may be shorter.
    pub fn fixed(bytes: usize) -> Result<Self, Error> {
        match (1..=Self::MAX_CHUNK).contains(&bytes) {
            true => Ok(Self(Kind::Fixed(bytes))),
            false => Err(Error::setting("chunk size", bytes, "must be from 1 to 8388352 bytes")),
        }
    }

    /// Chunks that end where the content says so, so that an insertion moves few boundaries: FastCDC of 2020, normalisation
    /// level 1, unseeded.
    ///
    /// `average`, a power of two from 256 bytes to 4 MiB, is the size around which chunks lie. None is shorter than a quarter
    /// of it, but for the last of a file, and none longer than four times it or [`MAX_CHUNK`](Self::MAX_CHUNK).
    pub fn fastcdc(average: usize) -> Result<Self, Error> {
        match average.is_power_of_two() && (256..=4 << 20).contains(&average) {
            true => Ok(Self(Kind::FastCdc(average))),
            false => {
                let rule = "must be a power of two from 256 bytes to 4 MiB";
                Err(Error::setting("average chunk size", average, rule))
            }
        }
    }

    /// Content of at most so many bytes is one chunk, whatever it is.
    pub fn min(&self) -> usize {
        match self.0 {
            Kind::Fixed(size) => size,
            Kind::FastCdc(average) => average / 4,
        }
    }

    /// Bytes in the longest chunk.
    pub fn max(&self) -> usize {
        match self.0 {
            Kind::Fixed(size) => size,
            Kind::FastCdc(average) => (average * 4).min(Self::MAX_CHUNK),
        }
    }

    /// Length of the first chunk of content that begins with `bytes`; `last` says that nothing follows them.
    ///
    /// `None`: more bytes are needed to tell (at most [`max`](Self::max) in all), or, after the last, there is no chunk.
    /// Where a chunk ends does not depend on how many bytes are there beyond it.
    pub fn cut(&self, bytes: &[u8], last: bool) -> Option<usize> {
        let cut = match self.0 {
            Kind::Fixed(size) => bytes.len().min(size),
            Kind::FastCdc(average) => {
                FastCDC::new(bytes, self.min(), average, self.max()).cut(0, bytes.len()).1
            }
        };
        // A cut at the very end is only where the bytes end, unless the chunk cannot grow further.
        let is_certain = cut < bytes.len() || cut == self.max() || last;
        (is_certain && cut > 0).then_some(cut)
    }

    /// Cuts what `reader` gives.
    pub fn over<R: Read>(&self, reader: R) -> SpecChunker<R> {
        SpecChunker(match self.0 {
            Kind::Fixed(size) => Inner::Fixed(FixedChunker::new(reader, size)),
            Kind::FastCdc(_) => Inner::Cut(CutChunker::new(reader, *self)),
        })
    }
}

impl fmt::Display for ChunkerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, size) = match self.0 {
            Kind::Fixed(size) => ("fixed", size),
            Kind::FastCdc(average) => ("fastcdc", average),
        };
        match size {
            _ if size % MIB == 0 => write!(f, "{name}:{}M", size / MIB),
            _ if size % KIB == 0 => write!(f, "{name}:{}K", size / KIB),
            _ => write!(f, "{name}:{size}"),
        }
    }
}

impl FromStr for ChunkerSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::new(ErrorKind::BadChunker(text.to_owned()));
        // Kubo's name for it, of which the size is in bytes.
        let kubo = text.strip_prefix("size-").map(|size| ("fixed", size));
        let (name, size) = kubo.or_else(|| text.split_once(':')).ok_or_else(unknown)?;
        let size = parse_size(size).ok_or_else(unknown)?;
        match name {
            "fixed" => Self::fixed(size),
            "fastcdc" => Self::fastcdc(size),
            _ => Err(unknown()),
        }
    }
}

/// Digits, then perhaps one of the letters.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], KIB),
        b'M' | b'm' => (&text[..text.len() - 1], MIB),
        _ => (text, 1),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()); // `parse` would take a sign.
    digits.parse::<usize>().ok().filter(|_| plain)?.checked_mul(unit)
}

/// The chunker that a [`ChunkerSpec`] names, over a stream. Holds at most two of the longest chunks.
#[derive(Debug)]
pub struct SpecChunker<R>(Inner<R>);

#[derive(Debug)]
enum Inner<R> {
    Fixed(FixedChunker<R>),
    Cut(CutChunker<R>),
}

impl<R: Read> Chunker for SpecChunker<R> {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        match &mut self.0 {
            Inner::Fixed(chunker) => chunker.next_chunk(chunk),
            Inner::Cut(chunker) => chunker.next_chunk(chunk),
        }
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_its_text() {
        for text in
            ["fixed:1", "fixed:1023", "fixed:256K", "fixed:1M", "fixed:8388352", "fastcdc:256"]
                .into_iter()
                .chain(["fastcdc:512", "fastcdc:64K", "fastcdc:1M", "fastcdc:4M"])
        {
            assert_eq!(text.parse::<ChunkerSpec>().expect("a chunker").to_string(), text);
        }
        for (text, canonical) in [("fixed:1024", "fixed:1K"), ("fixed:1024k", "fixed:1M")] {
            assert_eq!(text.parse::<ChunkerSpec>().expect("a chunker").to_string(), canonical);
        }
    }

    #[test]
    fn texts_that_name_no_chunker_are_refused() {
        for text in
            ["", "fixed", "fixed:", "fixed:K", "fixed:+1", "fixed:1 K", "rabin:1K", "FIXED:1"]
                .into_iter()
                .chain(["fixed:99999999999999999999", "fixed:18446744073709551615K", "fixed:1é"])
        {
            let error = text.parse::<ChunkerSpec>().expect_err("no chunker");
            assert!(
                matches!(error.kind(), ErrorKind::BadChunker(known) if known == text),
                "{error}"
            );
        }
        for text in ["fixed:0", "fixed:8M", "fastcdc:128", "fastcdc:48K", "fastcdc:8M", "fastcdc:0"]
        {
            let error = text.parse::<ChunkerSpec>().expect_err("out of range");
            assert!(matches!(error.kind(), ErrorKind::BadSetting { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn chunks_lie_between_their_bounds() {
        let mut state = 1_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let data: Vec<u8> = (0..1 << 20).map(|_| noise()).collect();
        let spec = ChunkerSpec::fastcdc(4096).expect("a power of two");
        let (mut rest, mut lengths) = (&data[..], Vec::new());
        while let Some(cut) = spec.cut(rest, true) {
            lengths.push(cut);
            rest = &rest[cut..];
        }
        let last = lengths.pop().expect("there is content");
        assert!(
            last <= spec.max() && lengths.iter().all(|n| (spec.min()..=spec.max()).contains(n))
        );
        assert!(
            (128..=512).contains(&lengths.len()),
            "{} chunks of about 4096 bytes",
            lengths.len()
        );
        // Content without a place to cut at.
        assert_eq!(spec.cut(&vec![0; 1 << 20], false), Some(spec.max()));
        assert_eq!(spec.cut(&vec![0; spec.max() - 1], false), None);
        assert_eq!(spec.cut(&[], true), None);
    }

    #[test]
    fn an_early_cut_is_the_final_one() {
        let data: Vec<u8> =
            (0..40_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let spec = ChunkerSpec::fastcdc(1024).expect("a power of two");
        let whole = spec.cut(&data, true).expect("there is content");
        for len in 0..spec.max() + 2 {
            let early = spec.cut(&data[..len], false);
            assert_eq!(early, (len > whole).then_some(whole), "{len} bytes known");
        }
    }
}
