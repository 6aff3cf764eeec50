//! Reading damaged streams: gaps from below, footers that are damaged or gone.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use carstone_layer::{Cause, Correction, FailSafeRead, Gap, LayerId, PackId, Report};
use carstone_position::{PositionFailSafe, PositionWriter};
use proptest::prelude::*;

/// What the layer below gives, piece by piece.
#[derive(Clone, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    /// This many bytes are missing; `None`: everything from here on.
    Gap(Option<u64>),
}

/// A fail-safe reader that follows a script.
struct Below {
    pieces: VecDeque<Piece>,
    position: u64,
    /// Section starts; each is known once the piece that it lies in is being read.
    boundaries: Vec<u64>,
    unchecked: &'static [u8],
}

impl Below {
    fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces = pieces.into_iter().collect();
        Self { pieces, position: 0, boundaries: Vec::new(), unchecked: b"" }
    }
}

impl Read for Below {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self
            .pieces
            .front()
            .is_some_and(|piece| matches!(piece, Piece::Bytes(b) if b.is_empty()))
        {
            self.pieces.pop_front();
        }
        let Some(Piece::Bytes(bytes)) = self.pieces.front_mut() else { return Ok(0) };
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        bytes.drain(..n);
        self.position += n as u64;
        Ok(n)
    }
}

impl FailSafeRead for Below {
    fn position(&self) -> u64 {
        self.position
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        let Some(Piece::Gap(len)) = self.pieces.front() else { return Ok(None) };
        let gap = Gap::new(LayerId::COMPRESSION, self.position, *len, Cause::Corrupt);
        self.position += len.unwrap_or(0);
        self.pieces.pop_front();
        Ok(Some(gap))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        let Some(Piece::Bytes(bytes)) = self.pieces.front() else { return None };
        let known = self.position..self.position + bytes.len() as u64;
        self.boundaries.iter().copied().find(|at| known.contains(at))
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.unchecked.read(buf)?;
        Ok(n)
    }

    fn drain_report(&mut self, report: &mut Report) {
        report.corrections.push(Correction::new(LayerId::COMPRESSION, 5, 1));
    }
}

fn stored(plain: &[u8]) -> Vec<u8> {
    let mut writer = PositionWriter::new(Vec::new(), PackId::from_bytes([7; 16]));
    writer.mark();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 37 + at / 251) as u8).collect()
}

/// Reads to the end, with buffers of these sizes in turn: the bytes with their offsets, and the gaps.
fn read_all(reader: &mut PositionFailSafe<Below>, sizes: &[usize]) -> (Vec<(u64, u8)>, Vec<Gap>) {
    let (mut bytes, mut gaps) = (Vec::new(), Vec::new());
    let mut sizes = sizes.iter().cycle();
    loop {
        let at = reader.position();
        let mut buf = vec![0; *sizes.next().unwrap()];
        match reader.read(&mut buf).unwrap() {
            0 => match reader.next_gap().unwrap() {
                Some(gap) => gaps.push(gap),
                None => return (bytes, gaps),
            },
            n => {
                assert_eq!(reader.position(), at + n as u64);
                bytes.extend((at..).zip(buf[..n].iter().copied()));
            }
        }
    }
}

fn plain(bytes: &[(u64, u8)]) -> Vec<u8> {
    bytes.iter().map(|&(_, byte)| byte).collect()
}

fn truncated(at: u64) -> Gap {
    Gap::new(LayerId::POSITION, at, None, Cause::Truncated)
}

fn below(at: u64, len: Option<u64>) -> Gap {
    let below = Gap::new(LayerId::COMPRESSION, at, len, Cause::Corrupt);
    Gap::new(LayerId::POSITION, at, len, Cause::Below(Box::new(below)))
}

#[track_caller]
fn check(pieces: impl IntoIterator<Item = Piece>, bytes: &[u8], gaps: &[Gap], mark: Option<u64>) {
    let mut reader = PositionFailSafe::new(Below::new(pieces));
    let seen = read_all(&mut reader, &[100, 3, 1000]);
    assert_eq!(plain(&seen.0), bytes);
    assert_eq!(seen.1, gaps);
    assert_eq!(reader.mark(), mark);
    assert_eq!(reader.pack_id().is_some(), mark.is_some());
}

#[test]
fn the_footer_is_taken_off_an_undamaged_stream() {
    for len in [1, 63, 64, 65, 128, 5000] {
        check([Piece::Bytes(stored(&noise(len)))], &noise(len), &[], Some(0));
    }
    let mut reader = PositionFailSafe::new(Below::new([Piece::Bytes(stored(b""))]));
    assert_eq!(read_all(&mut reader, &[10]), (vec![], vec![]));
    assert_eq!((reader.stated_len(), reader.mark()), (Some(0), None));
}

#[test]
fn a_cut_stream_is_given_whole_and_ends_in_a_gap() {
    let whole = stored(&noise(200));
    for len in 0..whole.len() {
        let cut = &whole[..len];
        check([Piece::Bytes(cut.to_vec())], cut, &[truncated(len as u64)], None);
    }
}

#[test]
fn a_flipped_bit_in_the_footer_is_put_right() {
    let good = stored(&noise(200));
    for bit in 200 * 8..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut reader = PositionFailSafe::new(Below::new([Piece::Bytes(bytes)]));
        let (bytes, gaps) = read_all(&mut reader, &[50]);
        assert_eq!((plain(&bytes), gaps), (noise(200), vec![]), "bit {bit}");
        assert_eq!((reader.mark(), reader.pack_id()), (Some(0), Some(PackId::from_bytes([7; 16]))));
        let mut report = Report::default();
        reader.drain_report(&mut report);
        reader.drain_report(&mut report);
        let below = Correction::new(LayerId::COMPRESSION, 5, 1);
        let own = Correction::new(LayerId::POSITION, bit as u64 / 8, 1);
        assert_eq!(report.corrections, [below.clone(), own, below]);
    }
}

#[test]
fn a_footer_that_does_not_fit_is_not_taken_for_one() {
    // Another length before it: bytes are missing that no gap speaks of.
    let whole = stored(&noise(200));
    let cut = [&whole[..50], &whole[60..]].concat();
    check([Piece::Bytes(cut.clone())], &cut, &[truncated(254)], None);
    let mut zeroed = whole;
    zeroed[220..240].fill(0);
    check([Piece::Bytes(zeroed.clone())], &zeroed, &[truncated(264)], None);
}

#[test]
fn gaps_from_below_are_passed_on_after_the_bytes_before_them() {
    let whole = stored(&noise(500));
    let rest = |from: usize| Piece::Bytes(whole[from..].to_vec());
    for at in [0, 1, 63, 64, 65, 300] {
        let pieces = [Piece::Bytes(whole[..at].to_vec()), Piece::Gap(Some(100)), rest(at + 100)];
        let bytes = [&whole[..at], &whole[at + 100..500]].concat();
        check(pieces, &bytes, &[below(at as u64, Some(100))], Some(0));
    }
    let pieces = [Piece::Gap(Some(10)), Piece::Gap(Some(20)), rest(30)];
    let gaps = [below(0, Some(10)), below(10, Some(20))];
    check(pieces, &whole[30..500], &gaps, Some(0));
}

#[test]
fn an_end_that_is_lost_below_is_lost_once() {
    let pieces = [Piece::Bytes(noise(100)), Piece::Gap(None)];
    check(pieces, &noise(100), &[below(100, None)], None);
    // Bytes that come all the same have an end of their own.
    let pieces = [Piece::Bytes(noise(100)), Piece::Gap(None), Piece::Bytes(noise(9))];
    let bytes = [noise(100), noise(9)].concat();
    check(pieces, &bytes, &[below(100, None), truncated(109)], None);
}

#[test]
fn a_footer_cut_by_a_gap_is_no_footer() {
    let whole = stored(&noise(100));
    let pieces = [
        Piece::Bytes(whole[..130].to_vec()),
        Piece::Gap(Some(4)),
        Piece::Bytes(whole[134..].to_vec()),
    ];
    let bytes = [&whole[..130], &whole[134..]].concat();
    check(pieces, &bytes, &[below(130, Some(4)), truncated(164)], None);
}

#[test]
fn offsets_stay_right_behind_a_gap() {
    let whole = stored(&noise(500));
    let pieces = [
        Piece::Bytes(whole[..70].to_vec()),
        Piece::Gap(Some(30)),
        Piece::Bytes(whole[100..].to_vec()),
    ];
    let (bytes, _) = read_all(&mut PositionFailSafe::new(Below::new(pieces)), &[7]);
    assert!(bytes.iter().all(|&(at, byte)| byte == whole[at as usize]));
    assert_eq!(bytes.len(), 470);
}

#[test]
fn section_starts_are_known_although_bytes_are_held_back() {
    let whole = stored(&noise(500));
    let pieces = [
        Piece::Bytes(whole[..150].to_vec()),
        Piece::Gap(Some(50)),
        Piece::Bytes(whole[200..300].to_vec()),
        Piece::Bytes(whole[300..].to_vec()),
    ];
    let mut source = Below::new(pieces);
    source.boundaries = vec![0, 250, 310, 480];
    let mut reader = PositionFailSafe::new(source);
    assert_eq!(reader.next_boundary(), Some(0));
    assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 150);
    assert_eq!(reader.next_gap().unwrap(), Some(below(150, Some(50))));
    assert_eq!((reader.position(), reader.next_boundary()), (200, Some(250)));
    // One byte at a time, as a caller reads that looks for the next start.
    let mut starts = vec![];
    while reader.read(&mut [0]).unwrap() == 1 {
        starts.extend(reader.next_boundary().filter(|&at| at == reader.position()));
    }
    assert_eq!(starts, [250, 310, 480]);
    assert_eq!(reader.next_boundary(), None);
}

#[test]
fn unchecked_bytes_come_from_below_and_only_behind_a_gap() {
    let mut source = Below::new([Piece::Bytes(noise(70)), Piece::Gap(Some(9))]);
    source.unchecked = b"readable";
    let mut reader = PositionFailSafe::new(source);
    assert_eq!(reader.read(&mut [0; 200]).unwrap(), 6);
    assert_eq!(reader.read(&mut [0; 200]).unwrap(), 64);
    assert_eq!(reader.read_unchecked(&mut [0; 3]).unwrap(), 0);
    assert_eq!(reader.read(&mut [0; 200]).unwrap(), 0);
    assert!(reader.next_gap().unwrap().is_some());
    let mut buf = [0; 20];
    assert_eq!(reader.read_unchecked(&mut buf).unwrap(), 8);
    assert_eq!(&buf[..8], b"readable");
    assert_eq!(reader.read_unchecked(&mut buf).unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_and_gaps_together_are_the_stream(
        len in 1..3000_usize,
        cuts in prop::collection::btree_set(0..3000_usize, 0..8),
        sizes in prop::collection::vec(1..600_usize, 1..5),
    ) {
        // Every second stretch between the cuts is lost; the footer never is.
        let whole = stored(&noise(len));
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut > 0 && cut < len).collect();
        cuts.truncate(cuts.len() & !1);
        cuts.push(whole.len());
        let (mut pieces, mut kept, mut from) = (vec![], vec![], 0);
        for (index, &to) in cuts.iter().enumerate() {
            match index % 2 {
                0 => {
                    pieces.push(Piece::Bytes(whole[from..to].to_vec()));
                    kept.extend((from..to.min(len)).map(|at| (at as u64, whole[at])));
                }
                _ => pieces.push(Piece::Gap(Some((to - from) as u64))),
            }
            from = to;
        }
        let mut reader = PositionFailSafe::new(Below::new(pieces));
        let (bytes, gaps) = read_all(&mut reader, &sizes);
        prop_assert_eq!(bytes, kept);
        prop_assert_eq!(gaps.len(), cuts.len() / 2);
        prop_assert_eq!(reader.stated_len(), Some(len as u64));
    }
}
