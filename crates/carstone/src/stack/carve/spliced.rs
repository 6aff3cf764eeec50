//! Pieces of a source, one behind the other.

use std::io;
use std::ops::Range;

use carstone_layer::ReadAt;

/// A header that was made anew, and behind it pieces of a source.
#[derive(Debug)]
pub struct Spliced<R> {
    source: R,
    front: Vec<u8>,
    /// Where each piece ends here, and its bytes in the source.
    pieces: Vec<(u64, Range<u64>)>,
}

impl<R: ReadAt> Spliced<R> {
    /// Pieces that reach over the end of the source are cut there.
    pub(super) fn new(source: R, front: Vec<u8>, pieces: &[Range<u64>]) -> io::Result<Self> {
        let size = source.size()?;
        let mut end = front.len() as u64;
        let placed = pieces.iter().map(|piece| {
            let piece = piece.start.min(size)..piece.end.min(size);
            end += piece.end - piece.start;
            (end, piece)
        });
        let pieces = placed.collect();
        Ok(Self { source, front, pieces })
    }
}

impl<R: ReadAt> ReadAt for Spliced<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let front = usize::try_from(offset).ok().and_then(|at| self.front.get(at..));
        if let Some(front) = front.filter(|front| !front.is_empty()) {
            let n = front.len().min(buf.len());
            buf[..n].copy_from_slice(&front[..n]);
            return Ok(n);
        }
        let index = self.pieces.partition_point(|(end, _)| *end <= offset);
        let Some((end, piece)) = self.pieces.get(index) else { return Ok(0) };
        let left = end - offset;
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        self.source.read_at(&mut buf[..n], piece.end - left)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.pieces.last().map_or(self.front.len() as u64, |(end, _)| *end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stand_one_behind_the_other() {
        let source: Vec<u8> = (0..100).collect();
        let spliced = Spliced::new(&source, vec![200, 201], &[10..13, 50..50, 5..7, 98..300]);
        let spliced = spliced.expect("memory");
        let whole = [200, 201, 10, 11, 12, 5, 6, 98, 99];
        assert_eq!(spliced.size().expect("known"), whole.len() as u64);
        for at in 0..=whole.len() {
            let mut rest = vec![0; whole.len() - at];
            spliced.read_exact_at(&mut rest, at as u64).expect("inside");
            assert_eq!(rest, whole[at..]);
        }
        assert_eq!(spliced.read_at(&mut [0; 4], 9).expect("memory"), 0);
    }
}
