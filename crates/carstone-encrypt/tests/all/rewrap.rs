//! A stream under another key envelope is the stream that a writer would have made with that envelope.

use std::io::{self, Write};

use crate::streams::{FRAME, HEADER, KEY, N, PACK, forge, open, options, plain, seal_with};
use carstone_encrypt::{
    EncryptOptions, EncryptReader, Error, ErrorKind, LayerHeader, MAX_ENVELOPE, ReadOptions,
    verify_stored,
};
use carstone_layer::{FrameHeader, Kind, LayerId};
use proptest::prelude::*;

/// Bytes of a container header, of which this layer reads nothing.
const CONTAINER: [u8; 256] = [0xC0; 256];

fn with(envelope: &[u8]) -> EncryptOptions {
    options().envelope(envelope.to_vec())
}

/// The stream under another envelope.
fn rewrap(stored: &[u8], envelope: &[u8], container: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut last, len) = (0, stored.len() as u64);
    let mut hear = |at| {
        assert!(last < at && at <= len, "{last} {at} of {len}");
        last = at;
    };
    let reader = open(stored)?;
    let (new, stats) = reader.rewrap(Vec::new(), envelope.to_vec(), container, &mut hear)?;
    assert_eq!(stats, verify_stored(&new, Some(PACK)).expect("a sound stream"));
    Ok(new)
}

/// Fails unless it is the stream that is written with the other envelope.
#[track_caller]
fn becomes(plain: &[u8], old: &[u8], new: &[u8], container: &[u8]) {
    let write = |envelope| seal_with(plain, with(envelope).container(container.to_vec()));
    let made = rewrap(&write(old), new, container).expect("a sound stream");
    assert!(made == write(new), "{} bytes, envelopes {} {}", plain.len(), old.len(), new.len());
    assert_eq!(LayerHeader::read_at(&made).expect("a sound stream").envelope, new);
}

#[test]
fn it_is_what_a_writer_makes_with_that_envelope() {
    for len in [0, 1, N - 1, N, N + 1, 8 * N, 8 * N + 1, 9 * N] {
        becomes(&plain(len), b"old", b"a longer one", &[]);
        becomes(&plain(len), b"a longer one", b"", &CONTAINER);
    }
}

#[test]
fn anchors_carry_the_new_envelope() {
    for (frames, rest) in [(511, 1), (512, 0), (512, 1), (1024, 5)] {
        let plain = plain(frames * N + rest);
        becomes(&plain, &[1; 300], &[2; 400], &CONTAINER);
        becomes(&plain, &[1; 300], &[2; 10], &[]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_lengths_on_any_threads(
        len in 0..12 * N,
        old in 0..2000usize,
        new in 0..2000usize,
        threads in 1..4usize,
        budget in 1..4_000_000usize,
    ) {
        let plain = plain(len);
        let stored = seal_with(&plain, with(&vec![3; old]));
        let read = ReadOptions::default().threads(threads).budget(budget);
        let reader = EncryptReader::with_options(&stored, &KEY, read).expect("a sound stream");
        let (made, _) = reader.rewrap(Vec::new(), vec![4; new], &[], &mut |_| ()).expect("sound");
        prop_assert!(made == seal_with(&plain, with(&vec![4; new])));
    }
}

/// The fault that a damaged stream gives, when it is opened or copied.
#[track_caller]
fn fault(stored: &[u8], container: &[u8]) -> Error {
    rewrap(stored, b"new", container).expect_err("a fault in the stream")
}

#[test]
fn every_damaged_byte_is_found() {
    let stored = seal_with(&plain(3 * N + 7), with(b"old"));
    let ends = 0..HEADER + 3 + 200;
    let frame = |index: usize| HEADER + 3 + index * FRAME;
    let heads = (1..4).flat_map(|index| frame(index) - 20..frame(index) + 110);
    let tail = stored.len() - 2 * HEADER..stored.len();
    for at in ends.chain(heads).chain(tail) {
        let mut damaged = stored.clone();
        damaged[at] ^= 4;
        fault(&damaged, &[]);
    }
    let mut damaged = stored.clone();
    damaged[frame(1) + 5000] ^= 1;
    let error = fault(&damaged, &[]);
    assert!(matches!(error.kind(), ErrorKind::BadFrame { frame: 1, .. }), "{error}");
    assert_eq!(error.offset(), frame(1) as u64);
}

#[test]
fn a_cut_stream_is_refused_wherever_it_ends() {
    let stored = seal_with(&plain(2 * N), with(b"old"));
    for len in (0..stored.len()).step_by(997).chain(stored.len() - 300..stored.len()) {
        fault(&stored[..len], &[]);
    }
}

#[test]
fn a_hole_is_named() {
    let mut stored = seal_with(&plain(3 * N), with(b"old"));
    let at = HEADER + 3 + FRAME;
    let hole = FrameHeader::hole(LayerId::ENCRYPTION, PACK, 1, N as u64, N as u32, false);
    stored.splice(at..at + FRAME, hole.encode());
    let error = fault(&stored, &[]);
    assert!(matches!(error.kind(), ErrorKind::Hole { frame: 1 }), "{error}");
    assert_eq!(error.offset(), at as u64);
}

#[test]
fn an_anchor_that_repeats_something_else_is_refused() {
    let plain = plain(513 * N);
    let stored = seal_with(&plain, with(b"old").container(CONTAINER.to_vec()));
    let at = HEADER + 3 + 512 * FRAME;
    let is_bad = |stored: &[u8], container: &[u8]| {
        let error = fault(stored, container);
        assert!(matches!(error.kind(), ErrorKind::BadAnchor { frame: 511 }), "{error}");
        assert_eq!(error.offset(), at as u64);
    };
    is_bad(&stored, &[]);
    is_bad(&stored, &[0xC1; 256]);
    let mut forged = stored.clone();
    assert_eq!(forged[at + 14], Kind::ANCHOR.0);
    let last = at + 96 + 8 + 256 + 44 + 3 - 1;
    forged[last] ^= 1;
    is_bad(&forged, &CONTAINER);
    // With checksums that fit it is another envelope, and as little a copy.
    forge(&mut forged, at, |_| ());
    is_bad(&forged, &CONTAINER);
}

#[test]
fn a_wrong_key_copies_nothing() {
    let stored = seal_with(&plain(N), with(b"old"));
    let error = EncryptReader::open_at(&stored, &[1; 32]).expect_err("another key");
    assert!(matches!(error.kind(), ErrorKind::WrongKey), "{error}");
}

#[test]
fn what_cannot_be_written_is_told_as_that() {
    let stored = seal_with(&plain(N), with(b"old"));
    let reader = open(&stored).expect("a sound stream");
    let refused = |envelope: Vec<u8>, container: &[u8]| {
        let copied = reader.rewrap(io::sink(), envelope, container, &mut |_| ());
        copied.map(drop).expect_err("it cannot be")
    };
    let error = refused(vec![0; MAX_ENVELOPE + 1], &[]);
    assert!(matches!(error.kind(), ErrorKind::TooLong { what: "key envelope", .. }), "{error}");
    let error = refused(Vec::new(), &[0; 255]);
    assert!(matches!(error.kind(), ErrorKind::BadOption(_)), "{error}");
    let error = reader.rewrap(Full(500), Vec::new(), &[], &mut |_| ()).map(drop).expect_err("full");
    assert!(matches!(error.kind(), ErrorKind::Write(_)), "{error}");
    let source = error.into_sink().expect("it is about the sink");
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
}

/// A sink that takes so many bytes.
#[derive(Debug)]
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match buf.len().min(self.0) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            n => {
                self.0 -= n;
                Ok(n)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
