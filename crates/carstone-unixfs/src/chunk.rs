//! Cuts a byte stream into the leaves of a file.

use std::io::{self, Read};

/// Cuts a stream into chunks.
///
/// The caller owns the chunk, so that it can hand it to another thread, and gives back an old one to
/// save the allocation.
pub trait Chunker {
    /// Replaces what is in `chunk` by the next chunk. `false`: the stream has ended and `chunk` is empty.
    ///
    /// After an error the content of `chunk` is unspecified, and part of the stream may be lost.
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool>;
}

/// Chunks of equal length; the last may be shorter.
///
/// ```
/// use carstone_unixfs::{Chunker, FixedChunker};
/// let (mut chunker, mut chunk) = (FixedChunker::new(&b"stones"[..], 4), Vec::new());
/// let mut chunks = Vec::new();
/// while chunker.next_chunk(&mut chunk)? {
///     chunks.push(chunk.clone());
/// }
/// assert_eq!(chunks, [&b"ston"[..], b"es"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FixedChunker<R> {
    inner: R,
    size: usize,
}

impl<R: Read> FixedChunker<R> {
    /// Cuts `inner` into chunks of `size` bytes (at least 1).
    pub fn new(inner: R, size: usize) -> Self {
        Self { inner, size: size.max(1) }
    }

    /// The stream, which stands after the last chunk.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }
}

impl<R: Read> Chunker for FixedChunker<R> {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        chunk.clear();
        // Reading goes straight into this space; without it the buffer would grow, and copy, on the way.
        chunk.reserve_exact(self.size);
        self.inner.by_ref().take(self.size as u64).read_to_end(chunk)?;
        Ok(!chunk.is_empty())
    }
}

impl<C: Chunker + ?Sized> Chunker for &mut C {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        (**self).next_chunk(chunk)
    }
}

impl<C: Chunker + ?Sized> Chunker for Box<C> {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        (**self).next_chunk(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, and is interrupted before each.
    struct Stutter<'a>(&'a [u8], bool);

    impl Read for Stutter<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = buf.len().min(1);
            self.0.read(&mut buf[..n])
        }
    }

    fn lengths(mut chunker: impl Chunker) -> Vec<usize> {
        let (mut chunk, mut lengths) = (Vec::new(), Vec::new());
        while chunker.next_chunk(&mut chunk).expect("the source never fails") {
            lengths.push(chunk.len());
        }
        lengths
    }

    #[test]
    fn only_the_last_chunk_is_short_however_the_bytes_arrive() {
        let data = [7; 9];
        for (len, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (3, vec![3]),
            (4, vec![4]),
            (5, vec![4, 1]),
            (8, vec![4, 4]),
            (9, vec![4, 4, 1]),
        ] {
            assert_eq!(lengths(FixedChunker::new(&data[..len], 4)), expected);
            assert_eq!(lengths(FixedChunker::new(Stutter(&data[..len], false), 4)), expected);
        }
    }

    #[test]
    fn a_full_chunk_needs_no_second_allocation() {
        let data = vec![1; 1 << 16];
        let mut chunk = Vec::new();
        FixedChunker::new(&data[..], 1 << 15).next_chunk(&mut chunk).expect("a slice never fails");
        assert_eq!((chunk.len(), chunk.capacity()), (1 << 15, 1 << 15));
    }
}
