//! What the fail-safe reader gives back, and what it reports, for streams that are damaged or forged.

use std::io::{self, Read};

use crate::streams::{
    self, FRAME, HEADER, KEY, N, PACK, forge, frame_at, options, plain, seal, seal_with,
};
use carstone_encrypt::{EncryptFailSafe, EncryptWriter, ErrorKind, FailSafeOptions, LayerHeader};
use carstone_layer::{
    BoxFailSafe, Cause, FailSafeRead, FrameHeader, Gap, Kind, LayerId, PackId, PlainSource, Report,
};

/// What a salvage gave: stretches of plain bytes with their offsets, gaps, and the corrections.
struct Salvage {
    stretches: Vec<(u64, Vec<u8>)>,
    gaps: Vec<(u64, Option<u64>, Cause)>,
    corrections: usize,
}

fn salvage(mut reader: impl FailSafeRead) -> Salvage {
    let mut found = Salvage { stretches: Vec::new(), gaps: Vec::new(), corrections: 0 };
    let mut buf = vec![0; 50_000];
    loop {
        let at = reader.position();
        match reader.read(&mut buf).expect("the source never fails") {
            0 => match reader.next_gap().expect("the source never fails") {
                Some(Gap { at: start, len, cause, .. }) => {
                    assert_eq!(start, at, "a gap starts where reading stopped");
                    assert_eq!(reader.position(), at + len.unwrap_or(0));
                    found.gaps.push((start, len, cause));
                }
                None => break,
            },
            n => match found.stretches.last_mut() {
                Some((start, bytes)) if *start + bytes.len() as u64 == at => {
                    bytes.extend_from_slice(&buf[..n]);
                }
                _ => found.stretches.push((at, buf[..n].to_vec())),
            },
        }
    }
    assert_eq!(reader.read(&mut buf).expect("the end stays"), 0);
    assert_eq!(reader.next_gap().expect("the end stays"), None);
    let mut report = Report::default();
    reader.drain_report(&mut report);
    found.corrections = report.corrections.len();
    found
}

fn salvage_stored(stored: &[u8]) -> Salvage {
    let options = FailSafeOptions::default();
    let found = salvage(
        EncryptFailSafe::new(PlainSource::new(stored), &KEY, options.clone().threads(1))
            .expect("the right key"),
    );
    let parallel = salvage(
        EncryptFailSafe::new(PlainSource::new(stored), &KEY, options.threads(3))
            .expect("the right key"),
    );
    assert_eq!(found.gaps, parallel.gaps, "threads change nothing");
    assert!(found.stretches == parallel.stretches, "threads change nothing");
    found
}

/// All bytes that come out are right, and exactly these plain ranges are reported missing.
#[track_caller]
fn check(stored: &[u8], plain: &[u8], gaps: &[(usize, Option<usize>, Cause)]) {
    let found = salvage_stored(stored);
    let expected: Vec<_> = gaps
        .iter()
        .map(|(at, len, cause)| (*at as u64, len.map(|len| len as u64), cause.clone()))
        .collect();
    assert_eq!(found.gaps, expected);
    let mut covered = 0;
    for (start, bytes) in &found.stretches {
        assert!(plain[*start as usize..][..bytes.len()] == *bytes, "wrong bytes at {start}");
        covered += bytes.len();
    }
    let missing: usize = gaps.iter().map(|(at, len, _)| len.unwrap_or(plain.len() - at)).sum();
    assert_eq!(covered + missing, plain.len());
}

#[test]
fn an_undamaged_stream_has_no_gaps() {
    for len in [0, 1, N - 1, N, N + 1, 10 * N] {
        let plain = plain(len);
        check(&seal(&plain), &plain, &[]);
    }
}

#[test]
fn a_zeroed_page_costs_one_frame() {
    let plain = plain(5 * N + 100);
    for (frame, len) in [(0, N), (2, N), (5, 100)] {
        let mut stored = seal(&plain);
        let at = frame_at(frame) + 60;
        let end = stored.len().min(at + 4096).min(frame_at(5) + 212);
        stored[at..end].fill(0);
        check(&stored, &plain, &[(frame * N, Some(len), Cause::Corrupt)]);
    }
}

#[test]
fn bytes_that_are_added_or_missing_cost_at_most_the_frame_they_hit() {
    let plain = plain(4 * N);
    let stored = seal(&plain);
    let at = frame_at(1) + 777;
    let added = [&stored[..at], &[9; 333], &stored[at..]].concat();
    check(&added, &plain, &[(N, Some(N), Cause::Corrupt)]);
    let missing = [&stored[..at], &stored[at + 333..]].concat();
    check(&missing, &plain, &[(N, Some(N), Cause::Corrupt)]);
    let between = [&stored[..frame_at(2)], &[9; 333], &stored[frame_at(2)..]].concat();
    check(&between, &plain, &[]);
}

#[test]
fn a_flipped_bit_anywhere_is_put_right() {
    let plain = plain(N + 50);
    let stored = seal(&plain);
    let places =
        [0, 10, 99, 139, HEADER, HEADER + 50, HEADER + 5000, frame_at(1) + 3, frame_at(1) + 150];
    for at in places {
        let mut flipped = stored.clone();
        flipped[at] ^= 0x10;
        let found = salvage_stored(&flipped);
        assert_eq!(found.gaps, [], "byte {at}");
        assert!(found.stretches[0].1 == plain);
        assert_eq!(found.corrections, 1, "byte {at}");
    }
}

#[test]
fn a_cut_stream_gives_every_whole_frame_and_says_that_the_end_never_came() {
    let plain = plain(3 * N);
    let stored = seal(&plain);
    for (cut, frames) in [
        (HEADER, 0),
        (HEADER + 5, 0),
        (frame_at(1) - 1, 0),
        (frame_at(1), 1),
        (frame_at(1) + 97, 1),
        (frame_at(2), 2),
        (frame_at(2) + 95, 2),
    ] {
        check(&stored[..cut], &plain, &[(frames * N, None, Cause::Truncated)]);
    }
    for cut in [frame_at(2) + 96, frame_at(3) - 1] {
        // The header of the last frame still says how much is missing.
        check(&stored[..cut], &plain, &[(2 * N, Some(N), Cause::Truncated)]);
    }
    for cut in [frame_at(3), frame_at(3) + 1, stored.len() - 1] {
        check(&stored[..cut], &plain, &[]); // The last frame came: nothing is lost.
    }
}

#[test]
fn every_cut_of_a_tiny_stream_gives_all_or_a_gap() {
    let stored = seal(b"stone");
    for cut in 0..stored.len() {
        let found = salvage_stored(&stored[..cut]);
        let whole = found.stretches == [(0, b"stone".to_vec())] && found.gaps.is_empty();
        let none = found.stretches.is_empty() && found.gaps.len() == 1;
        assert!(if cut >= HEADER + 117 { whole } else { none }, "{cut}");
    }
}

#[test]
fn a_lost_last_frame_is_measured_by_the_end_header() {
    let plain = plain(2 * N + 7);
    let stored = seal(&plain);
    let without = [&stored[..frame_at(2)], &stored[frame_at(2) + 119..]].concat();
    check(&without, &plain, &[(2 * N, Some(7), Cause::Truncated)]);
}

#[test]
fn frames_that_stand_too_early_wait_and_those_that_come_too_late_are_dropped() {
    let plain = plain(5 * N);
    let stored = seal(&plain);
    let frame = |i| &stored[frame_at(i)..frame_at(i + 1)];
    let order = |frames: &[usize]| {
        let frames: Vec<_> = frames.iter().flat_map(|&i| frame(i)).copied().collect();
        [&stored[..HEADER], &frames, &stored[frame_at(5)..]].concat()
    };
    let missing = |at, frames| (at * N, Some(frames * N), Cause::Missing);
    check(&order(&[0, 2, 1, 3, 4]), &plain, &[]);
    check(&order(&[0, 3, 2, 1, 4]), &plain, &[]);
    check(&order(&[0, 3, 2, 4, 1]), &plain, &[]);
    check(&order(&[0, 1, 1, 2, 0, 3, 4]), &plain, &[]);
    check(&order(&[0, 3, 4]), &plain, &[missing(1, 2)]);
    check(&order(&[4, 0, 1, 2, 3]), &plain, &[]);
}

#[test]
fn frames_behind_the_last_one_do_not_count() {
    let plain = plain(2 * N);
    let stored = seal(&plain);
    let longer = seal(&streams::plain(4 * N));
    let joined = [&stored[..frame_at(2)], &longer[frame_at(2)..]].concat();
    check(&joined, &plain, &[]);
}

#[test]
fn frames_of_another_pack_are_foreign() {
    let plain = plain(4 * N);
    let mut stored = seal(&plain);
    let other = seal_with(&plain, options().pack_id(PackId::from_bytes([2; 16])));
    stored[frame_at(1)..frame_at(3)].copy_from_slice(&other[frame_at(1)..frame_at(3)]);
    check(&stored, &plain, &[(N, Some(2 * N), Cause::Foreign)]);
}

#[test]
fn forged_frames_fail_their_tag_and_leave_gaps() {
    let plain = plain(4 * N);
    let sealed = seal(&plain);
    let mut stored = sealed.clone();
    forge(&mut stored, frame_at(1), |frame| frame.first_boundary = Some(3));
    check(&stored, &plain, &[(N, Some(N), Cause::Corrupt)]);

    let mut stored = sealed.clone();
    stored[frame_at(2) + 1000] ^= 1;
    forge(&mut stored, frame_at(2), |_| {}); // Checksums fit, the tag does not.
    check(&stored, &plain, &[(2 * N, Some(N), Cause::Corrupt)]);

    // A frame that claims to be far behind must not make the good ones late.
    let mut stored = sealed.clone();
    forge(&mut stored, frame_at(1), |frame| {
        (frame.sequence, frame.plain_offset) = (1000, 1000 * N as u64);
    });
    check(&stored, &plain, &[(N, Some(N), Cause::OutOfOrder)]);

    // A false end must not end the stream.
    let mut stored = sealed.clone();
    forge(&mut stored, frame_at(1), |frame| frame.last = true);
    check(&stored, &plain, &[(N, Some(N), Cause::Corrupt)]);

    // Without the flag, the true end is not believed.
    let mut stored = sealed;
    forge(&mut stored, frame_at(3), |frame| frame.last = false);
    check(&stored, &plain, &[(3 * N, Some(N), Cause::Corrupt)]);
}

#[test]
fn a_hole_is_missing() {
    let plain = plain(3 * N);
    let stored = seal(&plain);
    let hole = |frame: u64, last| {
        let mut hole = FrameHeader::data(LayerId::ENCRYPTION, PACK, frame, frame * N as u64);
        (hole.kind, hole.plain_len, hole.last) = (Kind::HOLE, N as u32, last);
        hole.sealed(&[]).encode()
    };
    let middle = [&stored[..frame_at(1)], &hole(1, false), &stored[frame_at(2)..]].concat();
    check(&middle, &plain, &[(N, Some(N), Cause::Missing)]);
    let end = [&stored[..frame_at(2)], &hole(2, true)].concat();
    check(&end, &plain, &[(2 * N, Some(N), Cause::Missing)]);
}

#[test]
fn without_a_key_every_frame_is_a_gap() {
    let stored = seal(&plain(2 * N + 5));
    let no_key = |_: &[u8]| Ok(None);
    let options = FailSafeOptions::default();
    let reader = EncryptFailSafe::new(PlainSource::new(&stored[..]), no_key, options);
    let found = salvage(reader.expect("no key is not an error"));
    assert!(found.stretches.is_empty());
    let n = N as u64;
    let gap = |at, len| (at, Some(len), Cause::NoKey);
    assert_eq!(found.gaps, [gap(0, n), gap(n, n), gap(2 * n, 5)]);
}

#[test]
fn without_a_key_a_frame_that_contradicts_itself_is_not_believed() {
    let mut stored = seal(&plain(3 * N));
    forge(&mut stored, frame_at(1), |frame| frame.plain_offset = u64::MAX - 5);
    let options = FailSafeOptions::default();
    let reader = EncryptFailSafe::new(PlainSource::new(&stored[..]), |_: &[u8]| Ok(None), options);
    let found = salvage(reader.expect("no key is not an error"));
    let n = N as u64;
    let gap = |at, cause| (at, Some(n), cause);
    assert_eq!(
        found.gaps,
        [gap(0, Cause::NoKey), gap(n, Cause::OutOfOrder), gap(2 * n, Cause::NoKey)]
    );
}

#[test]
fn a_wrong_key_is_a_typed_error() {
    let stored = seal(b"keystone");
    let source = PlainSource::new(&stored[..]);
    let error = EncryptFailSafe::new(source, &[1; 32], FailSafeOptions::default());
    assert!(matches!(error.expect_err("wrong").kind(), ErrorKind::WrongKey));
}

#[test]
fn what_comes_before_the_first_layer_header_has_no_key() {
    let plain = plain(2 * N + 5);
    let stored = &seal(&plain)[HEADER..];
    check(stored, &plain, &[(0, Some(plain.len()), Cause::NoKey)]);
    let nothing = &stored[..FRAME];
    check(nothing, &plain, &[(0, None, Cause::NoKey)]);
}

#[test]
fn a_layer_header_that_is_handed_in_opens_a_stream_that_lost_its_own() {
    let plain = plain(3 * N);
    let stored = seal(&plain);
    let header = LayerHeader::read_at(&stored).expect("undamaged");
    let options = FailSafeOptions::default().layer_header(header);
    let middle = &stored[frame_at(1)..frame_at(2)];
    let reader = EncryptFailSafe::new(PlainSource::new(middle), &KEY, options);
    let found = salvage(reader.expect("the right key"));
    let n = N as u64;
    assert_eq!(found.gaps, [(0, Some(n), Cause::Missing), (2 * n, None, Cause::Truncated)]);
    assert!(found.stretches == [(n, plain[N..2 * N].to_vec())]);
}

#[test]
fn an_anchor_opens_a_fragment_without_ends() {
    let stored = seal_with(&vec![7; 515 * N], options().envelope(b"envelope".to_vec()).threads(2));
    let fragment = &stored[frame_at(511) + 8..stored.len() - FRAME];
    let header = LayerHeader::read_at(fragment).expect("an anchor");
    assert_eq!(header.envelope, b"envelope");
    let found = salvage_stored(fragment);
    assert_eq!(found.stretches.len(), 1);
    assert_eq!(found.stretches[0].0, 512 * N as u64);
    assert!(found.stretches[0].1 == vec![7; 2 * N]);
    let n = N as u64;
    let end = (514 * n, Some(n), Cause::Truncated);
    assert_eq!(found.gaps, [(0, Some(512 * n), Cause::NoKey), end]);
}

#[test]
fn a_boundary_is_known_once_its_frame_is_read() {
    let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options()).expect("opens");
    let plain = plain(3 * N);
    io::Write::write_all(&mut writer, &plain[..2 * N + 9]).expect("takes all");
    writer.boundary().expect("not broken");
    io::Write::write_all(&mut writer, &plain[2 * N + 9..]).expect("takes all");
    let mut stored = writer.finish().expect("takes all");
    stored[frame_at(1)..frame_at(2)].fill(0);
    let source = PlainSource::new(&stored[..]);
    let mut reader = EncryptFailSafe::new(source, &KEY, FailSafeOptions::default()).expect("opens");
    assert_eq!(reader.next_boundary(), None);
    assert_eq!(reader.read(&mut [0; 5]).expect("good"), 5);
    assert_eq!(reader.next_boundary(), None);
    reader.read_to_end(&mut Vec::new()).expect("up to the gap");
    assert!(reader.next_gap().expect("a gap").is_some());
    assert_eq!(reader.next_boundary(), Some(2 * N as u64 + 9));
    reader.read_exact(&mut [0; 10]).expect("good");
    assert_eq!(reader.next_boundary(), None);
}

#[test]
fn a_source_that_fails_is_an_error_behind_what_came_before() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buf) {
                Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
                other => other,
            }
        }
    }
    let plain = plain(3 * N);
    let stored = seal(&plain);
    let source = PlainSource::new(Failing(&stored[..frame_at(2) + 500]));
    let mut reader = EncryptFailSafe::new(source, &KEY, FailSafeOptions::default()).expect("opens");
    let mut got = Vec::new();
    let error = reader.read_to_end(&mut got).expect_err("the source fails");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(got == plain[..2 * N]);
}

#[test]
fn a_gap_below_becomes_a_gap_here() {
    /// Has a gap of 10 bytes behind its first part.
    struct Gapped<'a>(&'a [u8], &'a [u8], u64, bool);
    impl Read for Gapped<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(buf)?;
            self.2 += n as u64;
            Ok(n)
        }
    }
    impl FailSafeRead for Gapped<'_> {
        fn position(&self) -> u64 {
            self.2
        }
        fn next_gap(&mut self) -> io::Result<Option<Gap>> {
            if std::mem::replace(&mut self.3, true) {
                return Ok(None);
            }
            self.0 = self.1;
            let gap = Gap::new(LayerId::RAW, self.2, Some(10), Cause::Corrupt);
            self.2 += 10;
            Ok(Some(gap))
        }
        fn next_boundary(&mut self) -> Option<u64> {
            None
        }
        fn drain_report(&mut self, _: &mut Report) {}
    }
    let plain = plain(3 * N);
    let stored = seal(&plain);
    let at = frame_at(1) + 500;
    let source = Gapped(&stored[..at], &stored[at + 10..], 0, false);
    let reader = EncryptFailSafe::new(source, &KEY, FailSafeOptions::default()).expect("opens");
    let found = salvage(Box::new(reader) as BoxFailSafe<'_>);
    assert_eq!(found.gaps.len(), 1);
    let (start, len, cause) = &found.gaps[0];
    assert_eq!((*start, *len), (N as u64, Some(N as u64)));
    assert!(matches!(cause, Cause::Below(gap) if gap.at == at as u64), "{cause:?}");
}
