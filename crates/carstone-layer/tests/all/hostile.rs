//! Streams made to cost time or memory cost little more than others.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::support::*;
use carstone_layer::{FrameHeader, FrameScan, Kind, PlainSource, ScanLimits, Scanned};

const LEN: usize = 24 << 20;
const LARGEST: u32 = 16 << 20;

/// Anything that is not linear would take minutes.
#[track_caller]
fn check(what: &str, unit: &[u8]) {
    for (pack, name) in [(Some(PACK), "known"), (None, "unknown")] {
        let source = PlainSource::new(io::repeat(0).take(0).chain(Cycle(unit, 0).take(LEN as u64)));
        let mut scan = FrameScan::new(source, LAYER, pack, ScanLimits::new(LARGEST, LARGEST));
        let begin = Instant::now();
        let mut end = 0;
        while let Some(item) = scan.next().expect("a slice does not fail") {
            match item {
                Scanned::Lost { stored, broken, .. } => {
                    assert_eq!(stored.start, end);
                    end = stored.end;
                    if let Some(frame) = broken {
                        scan.recycle(frame.payload);
                    }
                }
                Scanned::Frame(frame) => {
                    assert_eq!(frame.at, end);
                    end += frame.header.frame_len();
                    scan.recycle(frame.payload);
                }
                _ => unreachable!("there are two kinds of items"),
            }
        }
        assert_eq!(end, LEN as u64);
        let taken = begin.elapsed();
        eprintln!("{what}, pack {name}: {taken:?}");
        assert!(taken < Duration::from_secs(20), "{what}: {taken:?}");
    }
}

/// A slice again and again.
struct Cycle<'a>(&'a [u8], usize);

impl Read for Cycle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.0.len() - self.1);
        buf[..n].copy_from_slice(&self.0[self.1..][..n]);
        self.1 = (self.1 + n) % self.0.len();
        Ok(n)
    }
}

fn liar(stored_len: u32, seed: u64) -> Vec<u8> {
    let header = FrameHeader::data(LAYER, PACK, seed, 0).with_lengths(stored_len, stored_len);
    header.encode().to_vec()
}

#[test]
fn streams_without_frames() {
    check("zeros", &[0; 4096]);
    check("first magic bytes", &[0xF4; 4096]);
    check("magics", &carstone_layer::FRAME_MAGIC.repeat(100));
    check("noise", &noise(1, 1 << 20));
}

#[test]
fn headers_that_announce_much() {
    check("largest", &liar(LARGEST, 0));
    check("a page short of the largest", &liar(LARGEST - 4096, 0));
    check("fitting", &liar((16 << 20) / 96 * 96, 0));
    check("not fitting", &liar((1 << 20) + 7, 0));
    check("just behind", &liar(96, 0));
    let mut foreign = liar(LARGEST - 96, 0);
    foreign = {
        let mut header =
            FrameHeader::decode(foreign.first_chunk().expect("96 bytes")).expect("good");
        header.pack = OTHER;
        header.encode().to_vec()
    };
    check("foreign", &foreign);
    check("foreign among ours", &[foreign, liar(1000, 0)].concat());
    let mut over = liar(LARGEST, 0);
    over = {
        let mut header = FrameHeader::decode(over.first_chunk().expect("96 bytes")).expect("good");
        header.stored_len = LARGEST + 1;
        header.encode().to_vec()
    };
    check("over the limit", &over);
}

#[test]
fn damaged_headers_one_after_the_other() {
    let good = frame(0, 0);
    let mut flipped = liar(LARGEST, 1);
    flipped[50] ^= 1;
    check("behind a good frame", &[&good[..], &flipped].concat());
    let mut digest = frame(0, 0);
    digest[85] ^= 4;
    check("each put right", &digest);
    check("all frames empty", &kind_of(good, Kind(200)));
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    let header = liar(LARGEST, 0);
    let stored = [&header[..], &[0; 1000]].concat();
    let mut scan = FrameScan::new(
        PlainSource::new(&stored[..]),
        LAYER,
        Some(PACK),
        ScanLimits::new(LARGEST, LARGEST),
    );
    let Ok(Some(Scanned::Lost { broken: Some(frame), .. })) = scan.next() else {
        panic!("the frame is cut short");
    };
    assert_eq!(frame.payload.len(), 1000);
    assert!(frame.payload.capacity() <= 1 << 20);
}
