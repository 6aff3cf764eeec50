//! Damage is found by the strict reader, and stepped over by the fail-safe one.

use std::io::{self, Cursor, Read};

use crate::streams::{N, PACK, codecs, noise, options, plain, store};
use carstone_compress::{Codec, CompressFailSafe, CompressReader, Error, ErrorKind, ReadOptions};
use carstone_layer::{Cause, FailSafeRead, FrameHeader, Gap, Kind, LayerId, PackId, PlainSource};

/// Reads all there is: plain offsets with their bytes, and gaps.
fn salvage(stored: &[u8], threads: usize) -> (Vec<(u64, Vec<u8>)>, Vec<Gap>) {
    let options = ReadOptions::default().threads(threads);
    let mut reader = CompressFailSafe::new(PlainSource::new(stored), options);
    let (mut parts, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let (at, mut part) = (reader.position(), Vec::new());
        reader.read_to_end(&mut part).expect("reads");
        assert_eq!(reader.position(), at + part.len() as u64);
        if !part.is_empty() {
            parts.push((at, part));
        }
        match reader.next_gap().expect("reads") {
            Some(gap) => gaps.push(gap),
            None => return (parts, gaps),
        }
    }
}

/// Checks that parts and gaps make up the plain stream, and gives the gaps.
#[track_caller]
fn check(stored: &[u8], plain: &[u8]) -> Vec<Gap> {
    let (parts, gaps) = salvage(stored, 2);
    let (_, gaps_of_one) = salvage(stored, 1);
    assert_eq!(gaps, gaps_of_one, "gaps depend on threads");
    let mut next = 0;
    let mut rest = gaps.iter().peekable();
    for (at, part) in &parts {
        while let Some(gap) = rest.next_if(|gap| gap.at < *at) {
            assert_eq!(gap.at, next);
            next += gap.len.expect("bytes follow");
        }
        assert_eq!(*at, next);
        assert!(&plain[*at as usize..][..part.len()] == part, "wrong bytes at {at}");
        next += part.len() as u64;
    }
    for gap in rest {
        assert_eq!(gap.at, next);
        next = gap.len.map_or(plain.len() as u64, |len| next + len);
    }
    assert_eq!(next, plain.len() as u64, "neither read nor reported: {gaps:?}");
    gaps
}

/// Positions of the data frames' headers.
fn frames(stored: &[u8]) -> Vec<(usize, FrameHeader)> {
    let reader = CompressReader::open_at(stored).expect("opens");
    let data = reader.frames().map(|frame| frame.expect("sound"));
    data.filter(|(_, header)| header.kind == Kind::DATA).map(|(at, h)| (at as usize, h)).collect()
}

fn strict_error(stored: &[u8]) -> Option<ErrorKind> {
    let read = |stored: &[u8]| -> io::Result<u64> {
        io::copy(&mut CompressReader::open_at(stored)?, &mut io::sink())
    };
    match read(stored).err()?.downcast::<Error>() {
        Ok(error) => {
            assert!(!error.to_string().ends_with('.'));
            let io = io::Error::from(error);
            Some(kind_of(io))
        }
        Err(error) => panic!("not typed: {error}"),
    }
}

fn kind_of(error: io::Error) -> ErrorKind {
    match Error::of(&error).expect("typed").kind() {
        ErrorKind::Truncated => ErrorKind::Truncated,
        ErrorKind::BadChecksum { frame } => ErrorKind::BadChecksum { frame: *frame },
        ErrorKind::BadPayload { frame } => ErrorKind::BadPayload { frame: *frame },
        ErrorKind::Missing { range } => ErrorKind::Missing { range: range.clone() },
        ErrorKind::TooLong { what, len, limit } => {
            ErrorKind::TooLong { what, len: *len, limit: *limit }
        }
        ErrorKind::Misplaced { frame, what } => ErrorKind::Misplaced { frame: *frame, what },
        ErrorKind::UnknownCodec { codec } => ErrorKind::UnknownCodec { codec: *codec },
        _ => ErrorKind::Foreign,
    }
}

#[test]
fn intact_streams_have_no_gaps() {
    for codec in codecs() {
        for len in [0, 1, N, N + 1, 3 * N] {
            assert_eq!(check(&store(&plain(len), options(codec)), &plain(len)), []);
        }
    }
}

#[test]
fn a_stream_cut_at_any_length_reads_as_truncated() {
    let mut writer =
        carstone_compress::CompressWriter::with_options(Vec::new(), options(Codec::Brotli(1)))
            .expect("opens");
    writer.seek_unit(50);
    let plain = plain(170);
    io::Write::write_all(&mut writer, &plain).expect("writes");
    let stored = writer.finish().expect("finishes");
    let last = frames(&stored).pop().expect("there are frames");
    let data_end = last.0 + last.1.frame_len() as usize;
    for len in 0..stored.len() {
        let cut = &stored[..len];
        let gaps = check(cut, &plain);
        match strict_error(cut) {
            // The footer is not needed.
            None => assert!(len >= data_end && gaps.is_empty(), "cut at {len}"),
            Some(ErrorKind::Truncated) => assert!(len < data_end && !gaps.is_empty()),
            Some(kind) => panic!("cut at {len}: {kind:?}"),
        }
        if len >= data_end {
            let reader = CompressReader::open_at(cut).expect("opens");
            assert!(!reader.has_footer());
            let error = reader.verify(|_| ()).expect_err("the footer is missing");
            assert!(matches!(error.kind(), ErrorKind::Truncated), "{error}");
        } else {
            assert!(matches!(gaps[gaps.len() - 1].cause, Cause::Truncated));
            // The header of the last frame tells how much it held.
            let end_is_known = len >= last.0 + 96;
            assert_eq!(gaps[gaps.len() - 1].len.is_some(), end_is_known, "cut at {len}");
        }
    }
}

#[test]
fn a_zeroed_payload_costs_its_frame() {
    for codec in codecs() {
        let plain = plain(4 * N);
        let mut stored = store(&plain, options(codec));
        let (at, header) = frames(&stored)[2];
        stored[at + 96 + 5_000..at + 96 + 9_000].fill(0xEE);
        assert!(matches!(strict_error(&stored), Some(ErrorKind::BadChecksum { frame: 2 })));
        let reader = CompressReader::open_at(&stored).expect("opens");
        let error = reader.verify(|_| ()).expect_err("damaged");
        assert_eq!(error.offset(), at as u64);
        let gaps = check(&stored, &plain);
        let stored_range = at as u64..at as u64 + header.frame_len();
        let gap = Gap::new(LayerId::COMPRESSION, 2 * N as u64, Some(N as u64), Cause::Corrupt);
        assert_eq!(gaps, [gap.with_stored(stored_range)]);
    }
}

#[test]
fn the_prefix_of_a_broken_frame_can_be_read_unchecked() {
    for codec in codecs() {
        let plain = plain(3 * N);
        let mut stored = store(&plain, options(codec));
        let (at, header) = frames(&stored)[1];
        let half = header.stored_len as usize / 2;
        stored[at + 96 + half..at + 96 + half + 100].fill(0xEE);
        let mut reader =
            CompressFailSafe::new(PlainSource::new(&stored[..]), ReadOptions::default());
        let mut part = Vec::new();
        reader.read_to_end(&mut part).expect("reads");
        let mut byte = [0];
        assert_eq!(reader.read_unchecked(&mut byte).expect("reads"), 0, "before the gap");
        assert!(reader.next_gap().expect("reads").is_some());
        let mut prefix = Vec::new();
        let mut few = [0; 1000];
        while let n @ 1.. = reader.read_unchecked(&mut few).expect("reads") {
            prefix.extend_from_slice(&few[..n]);
        }
        assert!(prefix.len() <= N);
        let same = prefix.iter().zip(&plain[N..]).take_while(|(a, b)| a == b).count();
        // The zstd library decodes blocks of 128 KiB or nothing.
        let enough = if header.codec == 2 { 0 } else { N / 3 };
        assert!(same >= enough, "{codec}: {same} bytes");
        part.clear();
        reader.read_to_end(&mut part).expect("reads");
        assert!(part == plain[2 * N..]);
    }
}

/// What is repeated begins in one frame and ends in the next, whose first copy is then broken and whose second is whole.
#[test]
fn a_frame_that_comes_again_after_it_was_broken_is_read() {
    let plain = plain(4 * N);
    for codec in codecs() {
        let stored = store(&plain, options(codec));
        let second = frames(&stored)[2].0;
        let repeated = [&stored[..second + 300], &stored[second - 300..]].concat();
        assert_eq!(check(&repeated, &plain), [], "{codec}");
    }
}

#[test]
fn a_removed_frame_is_missing_and_a_repeated_one_is_dropped() {
    let plain = plain(4 * N);
    let stored = store(&plain, options(Codec::Brotli(1)));
    let places = frames(&stored);
    let frame = |i: usize| places[i].0..places[i].0 + places[i].1.frame_len() as usize;

    let removed = [&stored[..frame(1).start], &stored[frame(1).end..]].concat();
    assert!(matches!(strict_error(&removed), Some(ErrorKind::Misplaced { frame: 1, .. })));
    let gap = Gap::new(LayerId::COMPRESSION, N as u64, Some(N as u64), Cause::Missing);
    assert_eq!(check(&removed, &plain), std::slice::from_ref(&gap));

    let repeated = [&stored[..frame(1).end], &stored[frame(0)], &stored[frame(2).start..]].concat();
    assert_eq!(check(&repeated, &plain), []);

    let swapped = [
        &stored[..frame(1).start],
        &stored[frame(2)],
        &stored[frame(1)],
        &stored[frame(3).start..],
    ]
    .concat();
    assert!(strict_error(&swapped).is_some());
    assert_eq!(check(&swapped, &plain), [], "the one that stands too early waits");
    let mut reader = CompressFailSafe::new(PlainSource::new(&swapped[..]), ReadOptions::default());
    io::copy(&mut reader, &mut io::sink()).expect("reads");
    let told = reader.check_end().expect("reads").expect("told in the end");
    assert_eq!((told.len, told.cause), (Some(0), Cause::OutOfOrder));

    let headless = &stored[frame(1).start + 50..];
    let gap = check(headless, &plain).remove(0);
    assert_eq!((gap.at, gap.len), (0, Some(2 * N as u64)));

    let junk = [&noise(5_000)[..], &stored, &noise(5_000)].concat();
    assert_eq!(check(&junk, &plain), []);
}

#[test]
fn the_footer_tells_how_much_is_missing_at_the_end() {
    let plain = plain(4 * N);
    let stored = store(&plain, options(Codec::Brotli(1)));
    let (from, _) = frames(&stored)[2];
    let (last, header) = frames(&stored)[3];
    let end = last + header.frame_len() as usize;
    let gaps = check(&[&stored[..from], &stored[end..]].concat(), &plain);
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].at, gaps[0].len), (2 * N as u64, Some(2 * N as u64)));
}

#[test]
fn single_flipped_bits_are_corrected_and_reported() {
    let plain = plain(2 * N);
    let stored = store(&plain, options(Codec::Brotli(1)));
    for at in (3..stored.len()).step_by(stored.len() / 12) {
        let mut flipped = stored.clone();
        flipped[at] ^= 4;
        assert_eq!(check(&flipped, &plain), [], "byte {at}");
    }
    let mut flipped = stored;
    flipped[96 + 1234] ^= 1;
    let source = PlainSource::new(&flipped[..]);
    let mut reader = CompressFailSafe::new(source, ReadOptions::default());
    io::copy(&mut reader, &mut io::sink()).expect("reads");
    let mut report = carstone_layer::Report::default();
    reader.drain_report(&mut report);
    assert_eq!(report.corrections.len(), 1);
    assert_eq!((report.corrections[0].at, report.corrections[0].bits), (96 + 1234, 1));
}

/// A stream of one frame with a header made to order.
fn forged(change: impl Fn(&mut FrameHeader), payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u32;
    let mut header = FrameHeader::data(LayerId::COMPRESSION, PACK, 0, 0).with_lengths(2 * len, len);
    header.last = true;
    header.codec = 1;
    change(&mut header);
    [&header.sealed(payload).encode()[..], payload].concat()
}

#[test]
fn bombs_and_unknown_codecs_are_refused_before_memory_is_taken() {
    let payload = noise(1000);
    let bomb = forged(|header| header.plain_len = 400 << 20, &payload);
    assert!(matches!(strict_error(&bomb), Some(ErrorKind::TooLong { len: 0x1900_0000, .. })));
    let (parts, gaps) = salvage(&bomb, 2);
    assert!(parts.is_empty() && gaps.len() == 1, "{gaps:?}");

    let unknown = forged(|header| header.codec = 9, &payload);
    assert!(matches!(strict_error(&unknown), Some(ErrorKind::UnknownCodec { codec: 9 })));
    let source = PlainSource::new(&unknown[..]);
    let mut reader = CompressFailSafe::new(source, ReadOptions::default());
    let error = reader.read(&mut [0; 9]).expect_err("unknown codec");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert_eq!(reader.next_gap().expect("reads").and_then(|gap| gap.len), Some(2000));
    assert_eq!(reader.next_gap().expect("reads"), None);

    let nonsense = forged(|_| (), &payload);
    assert!(matches!(strict_error(&nonsense), Some(ErrorKind::BadPayload { frame: 0 })));
    let (_, gaps) = salvage(&nonsense, 2);
    assert_eq!((gaps[0].len, &gaps[0].cause), (Some(2000), &Cause::Corrupt));
}

#[test]
fn a_small_payload_that_expands_for_ever_fills_no_more_than_its_frame() {
    // The brotli stream of 16 MiB of zeros, in a frame that claims few.
    let stored = store(&vec![0; 16 << 20], options(Codec::Brotli(1)).block_size(16 << 20));
    let payload = &stored[96..96 + frames(&stored)[0].1.stored_len as usize];
    assert!(payload.len() < 10_000);
    let small = forged(|header| header.plain_len = 10_000, payload);
    assert!(matches!(strict_error(&small), Some(ErrorKind::BadPayload { frame: 0 })));
}

#[test]
fn holes_are_missing_ranges() {
    let plain = plain(3 * N);
    let mut stored = store(&plain, options(Codec::Stored));
    let (at, header) = frames(&stored)[1];
    let mut hole = header;
    (hole.kind, hole.codec, hole.stored_len, hole.first_boundary) = (Kind::HOLE, 0, 0, None);
    let hole = hole.sealed(&[]).encode();
    stored.splice(at..at + header.frame_len() as usize, hole);
    // The footer is wrong now, and the frames are found by their headers.
    stored.truncate(stored.len() - 136);
    let range = N as u64..2 * N as u64;
    match strict_error(&stored) {
        Some(ErrorKind::Missing { range: missing }) => assert_eq!(missing, range),
        other => panic!("{other:?}"),
    }
    let mut reader = CompressReader::open(Cursor::new(&stored)).expect("opens");
    io::Seek::seek(&mut reader, io::SeekFrom::Start(range.end)).expect("seeks");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("the rest is there");
    assert!(rest == plain[2 * N..]);
    let gaps = check(&stored, &plain);
    assert_eq!((gaps.len(), &gaps[0].cause), (1, &Cause::Missing));
}

#[test]
fn boundaries_are_found_behind_a_gap() {
    let mut writer =
        carstone_compress::CompressWriter::with_options(Vec::new(), options(Codec::Stored))
            .expect("opens");
    let plain = noise(4 * N);
    for section in plain.chunks(N * 2 / 3) {
        writer.boundary();
        io::Write::write_all(&mut writer, section).expect("writes");
    }
    let mut stored = writer.finish().expect("finishes");
    stored[96 + N + 96 + 10..][..100].fill(0);
    for threads in [1, 2] {
        let read = ReadOptions::default().threads(threads);
        let mut reader = CompressFailSafe::new(PlainSource::new(&stored[..]), read);
        assert_eq!(reader.next_boundary(), Some(0));
        io::copy(&mut reader, &mut io::sink()).expect("reads");
        let gap = reader.next_gap().expect("reads").expect("damage");
        assert_eq!((gap.at, gap.len), (N as u64, Some(N as u64)));
        let first = (2 * N).div_ceil(N * 2 / 3) * (N * 2 / 3);
        assert_eq!(reader.next_boundary(), Some(first as u64));
    }
}

#[test]
fn frames_of_another_pack_are_no_plain_bytes() {
    let plain = plain(3 * N);
    let stored = store(&plain, options(Codec::Brotli(1)));
    let other = store(&noise(N), options(Codec::Stored).pack_id(PackId::from_bytes([9; 16])));
    let (at, header) = frames(&stored)[1];
    let end = at + header.frame_len() as usize;
    let mixed = [&stored[..at], &other, &stored[end..]].concat();
    let gaps = check(&mixed, &plain);
    assert_eq!((gaps.len(), &gaps[0].cause), (1, &Cause::Foreign));
}

#[test]
fn a_changed_digest_is_found_by_verify() {
    let mut stored = store(&plain(2 * N), options(Codec::Brotli(1)));
    let (at, mut header) = frames(&stored)[1];
    header.digest[3] ^= 1;
    stored[at..at + 96].copy_from_slice(&header.encode());
    assert_eq!(strict_error(&stored).map(|_| ()), None);
    let error = CompressReader::open_at(&stored).expect("opens").verify(|_| ());
    let error = error.expect_err("the digest differs");
    assert!(matches!(error.kind(), ErrorKind::BadChecksum { frame: 1 }), "{error}");
}
