//! What the strict reader and the check without a key say about streams that are damaged or forged.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::streams::{
    FRAME, HEADER, KEY, N, PACK, fault, forge, frame_at, header_at, open, options, plain, seal,
    seal_with,
};
use carstone_encrypt::{
    EncryptReader, EncryptWriter, ErrorKind, LayerHeader, ReadOptions, verify_stored,
};
use carstone_layer::{FrameHeader, Kind, LayerId, LayerList, LayerSlot, PackId, ReadAt};

#[track_caller]
fn kind_of(result: Result<EncryptReader<&[u8]>, carstone_encrypt::Error>) -> String {
    format!("{:?}", result.expect_err("a fault").kind())
}

#[test]
fn a_wrong_key_is_told_before_anything_else() {
    let mut stored = seal(&plain(3 * N));
    assert_eq!(kind_of(EncryptReader::open_at(&stored, &[1; 32])), "WrongKey");
    stored.truncate(HEADER);
    assert_eq!(kind_of(EncryptReader::open_at(&stored, &[1; 32])), "WrongKey");
}

#[test]
fn no_key_is_told_and_a_failing_key_source_too() {
    let stored = seal(b"keystone");
    assert_eq!(kind_of(EncryptReader::open_at(&stored, |_: &[u8]| Ok(None))), "NoKey");
    let failing = |_: &[u8]| Err(io::Error::other("no agent"));
    let error = EncryptReader::open_at(&stored, failing).map(drop).expect_err("fails");
    assert!(matches!(error.kind(), ErrorKind::Io(source) if source.to_string() == "no agent"));
}

#[test]
fn the_key_is_bound_to_the_list_of_layers() {
    let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
    let two = LayerList::new(vec![carstone_encrypt::slot(), position]).expect("valid");
    let stored = seal_with(b"keystone", options().layers(two.clone()));
    assert_eq!(kind_of(EncryptReader::open_at(&stored, &KEY)), "WrongKey");
    let fits = ReadOptions::default().layers(two);
    assert!(EncryptReader::with_options(&stored[..], &KEY, fits).is_ok());
}

#[test]
fn options_that_cannot_be_used_are_refused() {
    let other = LayerList::single(LayerSlot { unit: 7, ..carstone_encrypt::slot() });
    for options in [options().layers(other), options().container(vec![0; 255])] {
        let error = EncryptWriter::with_options(Vec::new(), &KEY, options).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn another_pack_than_the_expected_one_is_refused() {
    let stored = seal(b"keystone");
    let other = PackId::from_bytes([1; 16]);
    let expecting = ReadOptions::default().pack_id(other);
    assert_eq!(kind_of(EncryptReader::with_options(&stored[..], &KEY, expecting)), "Foreign");
    assert!(verify_stored(&stored, Some(other)).is_err());
    assert!(verify_stored(&stored, Some(PACK)).is_ok());
}

#[test]
fn every_flipped_bit_of_a_tiny_stream_is_found_with_and_without_a_key() {
    let stored = seal(b"stone");
    for bit in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&flipped).is_err(), "bit {bit}");
        assert!(verify_stored(&flipped, None).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_of_a_tiny_stream_is_found() {
    let stored = seal(b"stone");
    for len in 0..stored.len() {
        assert!(open(&stored[..len]).is_err(), "{len}");
        assert!(verify_stored(&stored[..len], None).is_err(), "{len}");
    }
}

#[test]
fn a_stream_that_was_cut_anywhere_is_truncated() {
    let stored = seal(&plain(3 * N));
    let end = stored.len();
    let cuts = [
        HEADER,
        HEADER + 1,
        HEADER + 95,
        HEADER + 96,
        frame_at(1),
        frame_at(1) + 96,
        frame_at(2) - 1,
        frame_at(2),
        frame_at(2) + HEADER,
        frame_at(3),
        frame_at(3) + 96,
        end - 1,
    ];
    for cut in cuts {
        let (kind, at) = fault(&stored[..cut]);
        assert!(matches!(kind, ErrorKind::Truncated), "{cut}: {kind:?}");
        assert_eq!(at, cut as u64);
    }
}

#[test]
fn a_fault_in_a_layer_header_names_the_frame_and_the_place_in_it() {
    let stored = seal(&plain(N));
    for (at, inside) in [(0, 99), (frame_at(1), 96 + 3)] {
        let mut damaged = stored.clone();
        damaged[at + inside] = 1; // A reserved byte, and the checksums are made to fit.
        forge(&mut damaged, at, |_| {});
        let error = open(&damaged[..]).expect_err("a reserved byte is set");
        assert_eq!(error.offset(), at as u64);
        let ErrorKind::BadHeader(source) = error.kind() else { panic!("{error}") };
        assert_eq!(source.offset(), (at + inside) as u64);
    }
    let headless = &stored[HEADER..];
    let error = open(headless).expect_err("no layer header at the front");
    assert!(matches!(error.kind(), ErrorKind::BadHeader(_)), "{error}");
    assert_eq!(error.offset(), 0);
}

#[test]
fn what_follows_the_end_is_refused() {
    let mut stored = seal(&plain(N));
    stored.extend_from_slice(&[0; 500]);
    assert!(matches!(fault(&stored).0, ErrorKind::Truncated));
}

#[test]
fn a_frame_that_is_added_or_left_out_changes_the_length() {
    let stored = seal(&plain(3 * N));
    let again = [&stored[..frame_at(3)], &stored[frame_at(1)..]].concat();
    assert!(matches!(fault(&again).0, ErrorKind::BadLength));
    let without = [&stored[..frame_at(1)], &stored[frame_at(2)..]].concat();
    let (kind, at) = fault(&without);
    assert!(matches!(kind, ErrorKind::BadLength));
    assert_eq!(at, without.len() as u64);
}

#[test]
fn a_forged_end_is_found_by_the_flag_of_the_last_frame() {
    let stored = seal(&plain(3 * N));
    let mut cut = [&stored[..frame_at(2)], &stored[frame_at(3)..]].concat();
    forge(&mut cut, frame_at(2), |end| end.plain_offset = 2 * N as u64);
    let (kind, at) = fault(&cut);
    assert!(matches!(kind, ErrorKind::WrongFrame { frame: 1, field: "last flag" }), "{kind:?}");
    assert_eq!(at, frame_at(1) as u64);
    forge(&mut cut, frame_at(1), |frame| frame.last = true);
    assert!(matches!(fault(&cut).0, ErrorKind::BadTag { frame: 1 }));
}

#[test]
fn a_removed_last_flag_is_found() {
    let mut stored = seal(&plain(2 * N));
    forge(&mut stored, frame_at(1), |frame| frame.last = false);
    assert!(matches!(fault(&stored).0, ErrorKind::WrongFrame { frame: 1, field: "last flag" }));
}

#[test]
fn swapped_frames_are_found_even_with_forged_headers() {
    let stored = seal(&plain(4 * N));
    let mut swapped = stored.clone();
    swapped[frame_at(1)..frame_at(2)].copy_from_slice(&stored[frame_at(2)..frame_at(3)]);
    swapped[frame_at(2)..frame_at(3)].copy_from_slice(&stored[frame_at(1)..frame_at(2)]);
    let (kind, at) = fault(&swapped);
    assert!(matches!(kind, ErrorKind::WrongFrame { frame: 1, field: "sequence" }), "{kind:?}");
    assert_eq!(at, frame_at(1) as u64);
    for frame in [1, 2] {
        forge(&mut swapped, frame_at(frame), |header| {
            header.sequence = frame as u64;
            header.plain_offset = (frame * N) as u64;
        });
    }
    assert!(verify_stored(&swapped, None).is_ok(), "only the tag can tell");
    let (kind, at) = fault(&swapped);
    assert!(matches!(kind, ErrorKind::BadTag { frame: 1 }), "{kind:?}");
    assert_eq!(at, frame_at(1) as u64);
    let error = open(&swapped).expect("good ends").verify().expect_err("forged");
    assert!(matches!(error.kind(), ErrorKind::BadTag { frame: 1 }));
}

#[test]
fn a_frame_of_another_stream_under_the_same_key_is_found() {
    let mut stored = seal(&plain(3 * N));
    let other = seal_with(&plain(3 * N), options().pack_id(PackId::from_bytes([2; 16])));
    stored[frame_at(1)..frame_at(2)].copy_from_slice(&other[frame_at(1)..frame_at(2)]);
    let (kind, at) = fault(&stored);
    assert!(matches!(kind, ErrorKind::Foreign));
    assert_eq!(at, frame_at(1) as u64);
    forge(&mut stored, frame_at(1), |header| header.pack = PACK);
    assert!(matches!(fault(&stored).0, ErrorKind::BadTag { frame: 1 }));
}

#[test]
fn the_end_of_another_stream_is_found() {
    let stored = seal(&plain(N));
    let other = seal_with(&plain(N), options().pack_id(PackId::from_bytes([2; 16])));
    let joined = [&stored[..frame_at(1)], &other[frame_at(1)..]].concat();
    let (kind, at) = fault(&joined);
    assert!(matches!(kind, ErrorKind::HeadersDiffer));
    assert_eq!(at, frame_at(1) as u64);
}

#[test]
fn a_hole_is_reported_as_one() {
    let mut stored = seal(&plain(3 * N));
    let at = frame_at(1);
    let mut hole = FrameHeader::data(LayerId::ENCRYPTION, PACK, 1, N as u64);
    (hole.kind, hole.plain_len) = (Kind::HOLE, N as u32);
    stored[at..at + 96].copy_from_slice(&hole.sealed(&[]).encode());
    assert!(
        matches!(fault(&stored), (ErrorKind::Hole { frame: 1 }, offset) if offset == at as u64)
    );
}

#[test]
fn what_only_a_later_version_writes_is_refused_as_unknown() {
    let unknown = |at: usize, change: fn(&mut FrameHeader)| {
        let mut stored = seal(b"keystone");
        forge(&mut stored, at, change);
        let error = open(&stored[..]).expect_err("unknown");
        assert!(matches!(error.kind(), ErrorKind::Unknown { .. }), "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Unsupported);
    };
    unknown(0, |header| header.codec = 2);
    unknown(0, |header| header.segment = 1);
    unknown(HEADER, |frame| frame.codec = 2);
}

#[test]
fn a_length_that_lies_costs_no_memory() {
    let mut stored = seal(b"keystone");
    for len in [u32::MAX, 44 + (1 << 20) + 1] {
        let mut header = header_at(&stored, 0);
        header.stored_len = len;
        stored[..96].copy_from_slice(&header.encode());
        let watched = Watched { stored: &stored, largest: AtomicUsize::new(0) };
        let error = EncryptReader::open_at(&watched, &KEY).expect_err("over the limit");
        assert!(matches!(error.kind(), ErrorKind::TooLong { .. }), "{error}");
        assert!(LayerHeader::read_at(&watched).is_ok(), "the copy at the end");
        // Whoever believes the length makes room for that much, and asks for as much.
        let largest = watched.largest.into_inner();
        assert!((1..=1 << 20).contains(&largest), "{largest} bytes were asked for at a time");
    }
}

/// Notes the largest buffer that somebody wants filled.
struct Watched<'a> {
    stored: &'a [u8],
    largest: AtomicUsize,
}

impl ReadAt for Watched<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.largest.fetch_max(buf.len(), Ordering::Relaxed);
        self.stored.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.stored.size()
    }
}

#[test]
fn verify_counts_what_it_has_seen() {
    let len = 3 * N + 9;
    let stored = seal(&plain(len));
    let stats = verify_stored(&stored, None).expect("undamaged");
    assert_eq!((stats.frames, stats.anchors), (4, 0));
    assert_eq!((stats.plain_len, stats.stored_len), (len as u64, stored.len() as u64));
    assert_eq!(open(&stored).expect("undamaged").verify().expect("undamaged"), stats);
}

#[test]
fn verify_finds_damage_that_no_tag_covers_in_any_frame() {
    let stored = seal(&plain(20 * N));
    for frame in [0, 7, 8, 15, 19] {
        let mut damaged = stored.clone();
        damaged[frame_at(frame) + 80] ^= 1;
        let mut header = header_at(&stored, frame_at(frame));
        header.digest[0] ^= 1;
        damaged[frame_at(frame)..][..96].copy_from_slice(&header.encode());
        let mut plain = Vec::new();
        open(&damaged).expect("tags hold").read_to_end(&mut plain).expect("tags hold");
        let error = verify_stored(&damaged, None).expect_err("the digest does not fit");
        assert_eq!(error.offset(), frame_at(frame) as u64);
        let damaged =
            matches!(error.kind(), ErrorKind::BadFrame { frame: at, .. } if *at == frame as u64);
        assert!(damaged, "{error}");
    }
}

#[test]
fn anchors_that_do_not_repeat_the_headers_or_stand_in_the_wrong_place_are_found() {
    let stored = seal(&vec![0; 513 * N]);
    let at = HEADER + 512 * FRAME;
    let check = |place: Option<usize>, change: fn(&mut FrameHeader)| {
        let mut forged = stored.clone();
        if let Some(place) = place {
            forged[at + 96 + place] ^= 1;
        }
        forge(&mut forged, at, change);
        let error = verify_stored(&forged, None).expect_err("a forged anchor");
        assert!(matches!(error.kind(), ErrorKind::BadAnchor { frame: 511 }), "{error}");
        assert_eq!(error.offset(), at as u64);
    };
    check(Some(8 + 10), |_| {}); // The commitment.
    check(Some(4), |_| {}); // A length.
    check(None, |anchor| anchor.sequence = 1);
    check(None, |anchor| anchor.plain_offset -= 1);
    check(None, |anchor| anchor.last = true);
}

#[test]
fn an_end_that_is_no_copy_of_the_front_is_found() {
    let stored = seal(&plain(N));
    let end = frame_at(1);
    let mut differs = stored.clone();
    differs[end + 96 + 20] ^= 1;
    forge(&mut differs, end, |_| {});
    assert!(matches!(fault(&differs), (ErrorKind::HeadersDiffer, at) if at == end as u64));

    let mut front = stored.clone();
    forge(&mut front, end, |header| header.sequence = 0);
    assert!(matches!(fault(&front).0, ErrorKind::Truncated));
}

#[test]
fn a_damaged_anchor_is_found_by_verify_and_not_read_by_the_reader() {
    let mut stored = seal(&vec![0; 513 * N]);
    let at = HEADER + 512 * FRAME;
    assert_eq!(verify_stored(&stored, None).expect("undamaged").anchors, 1);
    stored[at + 110] ^= 1;
    let error = verify_stored(&stored, None).expect_err("a damaged anchor");
    assert!(matches!(error.kind(), ErrorKind::BadAnchor { frame: 511 }));
    assert_eq!(error.offset(), at as u64);
    let mut reader = open(&stored).expect("anchors are stepped over");
    assert_eq!(io::copy(&mut reader, &mut io::sink()).expect("tags hold"), 513 * N as u64);
}
