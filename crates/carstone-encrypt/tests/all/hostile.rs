//! Streams that are made to be expensive, and readers that ask at awkward moments.

use std::io::{Read, Write};

use crate::streams::{KEY, N, PACK, frame_at, options, plain, seal};
use carstone_encrypt::{EncryptFailSafe, EncryptWriter, FailSafeOptions};
use carstone_layer::{FailSafeRead, FrameHeader, Kind, LayerId, PlainSource};

/// Reads the first byte of the stream, and says how many stored bytes that took.
fn taken_for_one_byte(stored: &[u8], threads: usize) -> u64 {
    let options = FailSafeOptions::default().threads(threads);
    let mut reader =
        EncryptFailSafe::new(PlainSource::new(stored), &KEY, options).expect("the right key");
    assert_eq!(reader.read(&mut [0]).expect("undamaged"), 1);
    reader.get_ref().position()
}

/// A stream of two frames with many frames between them that hold nothing.
fn stuffed(kind: Kind) -> Vec<u8> {
    let stored = seal(&plain(N + 1));
    let mut frame = FrameHeader::data(LayerId::ENCRYPTION, PACK, 0, 0);
    frame.kind = kind;
    let frame = frame.sealed(&[]).encode();
    let (front, back) = stored.split_at(frame_at(1));
    [front, &frame.repeat(100_000), back].concat()
}

#[test]
fn frames_without_payload_are_not_queued_without_bound() {
    for kind in [Kind::ANCHOR, Kind::HOLE, Kind(200)] {
        let stored = stuffed(kind);
        for threads in [1, 2] {
            let taken = taken_for_one_byte(&stored, threads);
            assert!(taken < 4 << 20, "{kind:?}, {threads} threads: {taken} bytes read ahead");
        }
    }
}

#[test]
fn a_boundary_is_named_before_a_large_read_passes_it() {
    let plain = plain(3 * N);
    let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options()).expect("opens");
    let sections = [5, N + 7, 2 * N];
    let mut at = 0;
    for next in sections {
        writer.write_all(&plain[at..next]).expect("takes all");
        writer.boundary().expect("not broken");
        at = next;
    }
    writer.write_all(&plain[at..]).expect("takes all");
    let stored = writer.finish().expect("takes all");

    let source = PlainSource::new(&stored[..]);
    let mut reader = EncryptFailSafe::new(source, &KEY, FailSafeOptions::default()).expect("opens");
    let mut buf = vec![0; N];
    for section in sections {
        assert_eq!(reader.next_boundary(), Some(section as u64));
        assert_eq!(reader.read(&mut buf).expect("undamaged"), N);
    }
    assert_eq!(reader.next_boundary(), None);
}
