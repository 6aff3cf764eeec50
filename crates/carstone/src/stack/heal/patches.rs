//! A source with small damage put right.

use std::io;

use carstone_layer::ReadAt;

/// Bits that are flipped back: offset in the source, and what to flip there. Ascending.
#[derive(Debug, Default)]
pub(super) struct Flips(Vec<(u64, u8)>);

impl Flips {
    /// From now on `right` stands at `at` of `source`. Frames come in the order of the source.
    pub(super) fn put<R: ReadAt>(
        &mut self,
        source: &R,
        mut at: u64,
        right: &[&[u8]],
    ) -> io::Result<()> {
        for part in right {
            let mut wrong = vec![0; part.len()];
            source.read_exact_at(&mut wrong, at)?;
            let bytes = (at..).zip(wrong.iter().zip(*part));
            let flips = bytes.map(|(at, (wrong, right))| (at, wrong ^ right));
            self.0.extend(flips.filter(|(_, flips)| *flips != 0));
            at += part.len() as u64;
        }
        Ok(())
    }

    /// How many bytes are changed.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The bytes of a source, some of them flipped back.
#[derive(Debug)]
pub(super) struct Patched<R> {
    pub(super) source: R,
    pub(super) flips: Flips,
}

impl<R: ReadAt> ReadAt for Patched<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.source.read_at(buf, offset)?;
        let flips = &self.flips.0;
        let first = flips.partition_point(|(at, _)| *at < offset);
        for (at, flips) in flips.get(first..).unwrap_or_default() {
            let inside = usize::try_from(at - offset).unwrap_or(usize::MAX);
            match buf.get_mut(..n).and_then(|read| read.get_mut(inside)) {
                Some(byte) => *byte ^= flips,
                None => break,
            }
        }
        Ok(n)
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }
}
