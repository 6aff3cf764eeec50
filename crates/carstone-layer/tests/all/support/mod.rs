//! Streams of frames, and readers that misbehave.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use carstone_layer::{
    Cause, FailSafeRead, Frame, FrameHeader, FrameScan, Gap, Kind, LayerId, PackId, PlainSource,
    Report, ScanLimits, Scanned,
};

pub const LAYER: LayerId = LayerId::COMPRESSION;
pub const PACK: PackId = PackId::from_bytes(*b"sandstone & co. ");
pub const OTHER: PackId = PackId::from_bytes(*b"granite is other");
pub const LIMIT: u32 = 1 << 16;

/// Bytes without a pattern, the same for one seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(len)
    .collect()
}

/// A frame of `len` bytes of noise, header first.
pub fn frame_of(pack: PackId, layer: LayerId, sequence: u64, len: usize) -> Vec<u8> {
    let payload = noise(sequence + 77, len);
    let len = u32::try_from(len).expect("a short payload");
    let header = FrameHeader::data(layer, pack, sequence, sequence << 20).with_lengths(len, len);
    [&header.sealed(&payload).encode()[..], &payload].concat()
}

pub fn frame(sequence: u64, len: usize) -> Vec<u8> {
    frame_of(PACK, LAYER, sequence, len)
}

pub fn stream(lens: &[usize]) -> Vec<Vec<u8>> {
    lens.iter().enumerate().map(|(i, &len)| frame(i as u64, len)).collect()
}

pub fn limits() -> ScanLimits {
    ScanLimits::new(LIMIT, 1000)
}

pub fn scan(stored: &[u8]) -> (Vec<Scanned>, Report) {
    scan_from(PlainSource::new(stored), Some(PACK))
}

pub fn scan_from(source: impl FailSafeRead, pack: Option<PackId>) -> (Vec<Scanned>, Report) {
    let mut scan = FrameScan::new(source, LAYER, pack, limits());
    let mut found = Vec::new();
    while let Some(item) = scan.next().expect("the source does not fail") {
        found.push(item);
    }
    assert!(scan.next().expect("the source does not fail").is_none(), "the end stays the end");
    let mut report = Report::default();
    scan.drain_report(&mut report);
    (found, report)
}

/// The stored range of each item, with the frame's sequence or the cause.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Good(u64),
    Lost(Range<u64>, Cause),
    Broken(Range<u64>, Cause, u64, usize),
}

pub fn seen(found: &[Scanned]) -> Vec<Seen> {
    found
        .iter()
        .map(|item| match item {
            Scanned::Frame(frame) => Seen::Good(frame.header.sequence),
            Scanned::Lost { stored, cause, broken: None, .. } => {
                Seen::Lost(stored.clone(), cause.clone())
            }
            Scanned::Lost { stored, cause, broken: Some(frame), .. } => Seen::Broken(
                stored.clone(),
                cause.clone(),
                frame.header.sequence,
                frame.payload.len(),
            ),
            _ => unreachable!("there are two kinds of items"),
        })
        .collect()
}

/// Asserts that the items cover `0..len` in order, without overlap.
#[track_caller]
pub fn check_tiles(found: &[Scanned], len: u64) {
    let end = found.iter().fold(0, |at, item| {
        let range = match item {
            Scanned::Frame(frame) => frame.at..frame.at + frame.header.frame_len(),
            Scanned::Lost { stored, .. } => stored.clone(),
            _ => unreachable!("there are two kinds of items"),
        };
        assert_eq!(range.start, at);
        range.end
    });
    assert_eq!(end, len);
}

/// Asserts that the frames given back are some of `frames`, unchanged and in order; returns how many.
#[track_caller]
pub fn check_subset(found: &[Scanned], frames: &[Vec<u8>]) -> usize {
    let mut rest = frames.iter();
    let good = found.iter().filter_map(|item| match item {
        Scanned::Frame(frame) => Some(bytes_of(frame)),
        _ => None,
    });
    good.inspect(|frame| assert!(rest.any(|original| original == frame), "a wrong frame")).count()
}

pub fn bytes_of(frame: &Frame) -> Vec<u8> {
    [&frame.header.encode()[..], &frame.payload].concat()
}

/// Gives at most `step` bytes a read, and is interrupted before each.
pub struct Stutter<R>(pub R, pub usize, pub bool);

impl<R: Read> Read for Stutter<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.2 = !self.2;
        if self.2 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = buf.len().min(self.1);
        self.0.read(&mut buf[..n])
    }
}

/// Pieces of a stream with gaps of the raw layer between them.
pub struct Gappy {
    pub pieces: VecDeque<Vec<u8>>,
    pub gap: u64,
    pub at: u64,
}

impl Read for Gappy {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.front_mut() else { return Ok(0) };
        let n = buf.len().min(piece.len());
        buf[..n].copy_from_slice(&piece[..n]);
        piece.drain(..n);
        self.at += n as u64;
        Ok(n)
    }
}

impl FailSafeRead for Gappy {
    fn position(&self) -> u64 {
        self.at
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        assert!(self.pieces.front().is_none_or(Vec::is_empty), "asked before the gap");
        self.pieces.pop_front();
        if self.pieces.is_empty() {
            return Ok(None);
        }
        let gap = Gap::new(LayerId::RAW, self.at, Some(self.gap), Cause::Corrupt);
        self.at += self.gap;
        Ok(Some(gap))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        None
    }

    fn drain_report(&mut self, _: &mut Report) {}
}

pub fn kind_of(mut bytes: Vec<u8>, kind: Kind) -> Vec<u8> {
    let head = bytes.first_chunk().expect("a frame begins with a header");
    let mut header = FrameHeader::decode(head).expect("the header is good");
    header.kind = kind;
    let sealed = header.sealed(&bytes[96..]).encode();
    bytes[..96].copy_from_slice(&sealed);
    bytes
}
