//! Sources that give their bytes in any pieces, and with gaps.

use std::collections::VecDeque;
use std::io::{self, Read};

use carstone::layer::{Cause, FailSafeRead, Gap, LayerId, Report};

use crate::input::Input;

/// A source that gives few bytes at a time, and is interrupted now and then.
pub(crate) struct Stutter<'a> {
    bytes: &'a [u8],
    steps: Vec<usize>,
    turn: usize,
}

impl<'a> Stutter<'a> {
    pub(crate) fn new(bytes: &'a [u8], input: &mut Input<'_>) -> Self {
        let sizes = [usize::MAX, 0, 1, 7, 96, 300, 4096];
        let mut steps: Vec<_> = (0..input.below(6)).map(|_| input.pick(&sizes)).collect();
        // It neither stops nor takes all day.
        steps.push(bytes.len() / 64 + 1);
        Self { bytes, steps, turn: 0 }
    }
}

impl Read for Stutter<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let step = self.steps[self.turn % self.steps.len()];
        self.turn += 1;
        if step == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = step.min(buf.len());
        self.bytes.read(&mut buf[..len])
    }
}

/// Part of what [`Gappy`] gives.
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    Gap(Option<u64>),
}

/// A fail-safe reader that gives these pieces.
pub(crate) struct Gappy {
    pieces: VecDeque<Piece>,
    position: u64,
}

impl Gappy {
    pub(crate) fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self { pieces: pieces.into_iter().collect(), position: 0 }
    }

    /// All of `bytes`, but for the stretches that the input leaves out.
    pub(crate) fn of(bytes: &[u8], input: &mut Input<'_>) -> Self {
        let (mut at, mut pieces) = (0, Vec::new());
        for _ in 0..input.below(6) {
            let good = input.below(bytes.len() - at + 1);
            pieces.push(Piece::Bytes(bytes[at..at + good].to_vec()));
            at += good;
            if input.one_in(8) {
                pieces.push(Piece::Gap(None));
                return Self::new(pieces);
            }
            let most = input.pick(&[0, 1, 64, usize::MAX]);
            let lost = input.below((bytes.len() - at).min(most) + 1);
            pieces.push(Piece::Gap(Some(lost as u64)));
            at += lost;
        }
        pieces.push(Piece::Bytes(bytes[at..].to_vec()));
        Self::new(pieces)
    }
}

impl Read for Gappy {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while matches!(self.pieces.front(), Some(Piece::Bytes(bytes)) if bytes.is_empty()) {
            self.pieces.pop_front();
        }
        let Some(Piece::Bytes(bytes)) = self.pieces.front_mut() else { return Ok(0) };
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        bytes.drain(..len);
        self.position += len as u64;
        Ok(len)
    }
}

impl FailSafeRead for Gappy {
    fn position(&self) -> u64 {
        self.position
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        let Some(Piece::Gap(len)) = self.pieces.front() else { return Ok(None) };
        let gap = Gap::new(LayerId(99), self.position, *len, Cause::Corrupt);
        self.position += len.unwrap_or(0);
        self.pieces.pop_front();
        Ok(Some(gap))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        None
    }

    fn drain_report(&mut self, _: &mut Report) {}
}
