//! A scan finds every frame that is left, and says what is not.

use std::io;

use crate::support::*;
use carstone_layer::{Cause, FrameScan, Gap, Kind, LayerId, PlainSource, ScanLimits, Scanned};

#[track_caller]
fn check(stored: &[u8], expected: &[Seen]) {
    let (found, report) = scan(stored);
    assert_eq!(seen(&found), expected);
    assert!(report.corrections.is_empty());
    check_tiles(&found, stored.len() as u64);
    // The same from a reader that gives single bytes.
    let (again, _) = scan_from(PlainSource::new(Stutter(stored, 1, false)), Some(PACK));
    assert_eq!(again, found);
}

use Seen::{Broken, Good, Lost};

const LENS: [usize; 4] = [1000, 0, 1, 5000];
const BEGINS: [u64; 5] = [0, 1096, 1192, 1289, 6385];

#[test]
fn an_undamaged_stream_gives_its_frames() {
    check(&[], &[]);
    check(&stream(&LENS).concat(), &[Good(0), Good(1), Good(2), Good(3)]);
    let largest = frame(0, LIMIT as usize);
    check(&largest, &[Good(0)]);
    let frames = stream(&LENS);
    let (found, _) = scan(&frames.concat());
    assert_eq!(check_subset(&found, &frames), 4);
}

#[test]
fn a_zeroed_payload_is_one_broken_frame() {
    let mut stored = stream(&LENS).concat();
    stored[2000..2100].fill(0);
    check(&stored, &[Good(0), Good(1), Good(2), Broken(1289..6385, Cause::Corrupt, 3, 5000)]);
}

#[test]
fn a_zeroed_header_loses_its_frame_only() {
    let mut stored = stream(&[300, 400, 500]).concat();
    stored[396..396 + 96].fill(0);
    check(&stored, &[Good(0), Lost(396..892, Cause::Corrupt), Good(2)]);
}

#[test]
fn damage_over_the_border_of_two_frames() {
    let mut stored = stream(&[300, 400, 500]).concat();
    stored[380..420].fill(0);
    check(&stored, &[Broken(0..892, Cause::Corrupt, 0, 300), Good(2)]);
}

#[test]
fn bytes_put_in_or_taken_out() {
    let frames = stream(&[300, 400, 500]);
    let mut longer = frames.concat();
    longer.splice(500..500, [7; 33]);
    check(&longer, &[Good(0), Broken(396..925, Cause::Corrupt, 1, 400), Good(2)]);
    let mut shorter = frames.concat();
    shorter.drain(500..533);
    check(&shorter, &[Good(0), Broken(396..859, Cause::Corrupt, 1, 367), Good(2)]);
    // As many as the frame behind has: the broken one seems to end where the stream does.
    let mut exactly = stream(&[300, 400, 100]).concat();
    exactly.drain(500..696);
    check(&exactly, &[Good(0), Broken(396..696, Cause::Corrupt, 1, 204), Good(2)]);
    let between = [&frames[0][..], &[0xF4; 1000], &frames[1], &[1], &frames[2]].concat();
    check(
        &between,
        &[
            Good(0),
            Lost(396..1396, Cause::Corrupt),
            Good(1),
            Lost(1892..1893, Cause::Corrupt),
            Good(2),
        ],
    );
}

#[test]
fn junk_before_and_behind() {
    let stored = [&noise(1, 200_000)[..], &frame(0, 10), &noise(2, 300)].concat();
    check(
        &stored,
        &[Lost(0..200_000, Cause::Corrupt), Good(0), Lost(200_106..200_406, Cause::Corrupt)],
    );
}

#[test]
fn foreign_frames_are_passed_over_whole() {
    let ours = stream(&[300, 400]);
    let nested = [&[1; 10][..], &ours[0]].concat();
    let foreign = frame_of(OTHER, LAYER, 0, 700);
    let stored = [&ours[0][..], &foreign, &foreign, &ours[1]].concat();
    check(&stored, &[Good(0), Lost(396..1988, Cause::Foreign), Good(1)]);
    let layer = frame_of(PACK, LayerId::ENCRYPTION, 0, 30);
    check(&[&layer[..], &ours[0]].concat(), &[Lost(0..126, Cause::Foreign), Good(0)]);
    // A foreign frame that was written over ours in part hides nothing of ours.
    let mut stored = ours.concat();
    stored.splice(100..100, foreign[..200].iter().copied());
    let over = [&foreign[..200], &ours.concat()].concat();
    check(&over, &[Lost(0..200, Cause::Foreign), Good(0), Good(1)]);
    // What is inside an intact foreign frame is not ours.
    let header = carstone_layer::FrameHeader::data(LAYER, OTHER, 0, 0);
    let len = nested.len() as u32;
    let header = header.with_lengths(len, len).sealed(&nested).encode();
    let stored = [&header[..], &nested, &ours[1]].concat();
    check(&stored, &[Lost(0..502, Cause::Foreign), Good(1)]);
}

#[test]
fn lengths_over_the_limit_are_not_believed() {
    let long = frame(0, LIMIT as usize + 1);
    let stored = [&long[..], &frame(1, 5)].concat();
    let end = long.len() as u64;
    check(&stored, &[Lost(0..end, Cause::Limit), Good(1)]);
    check(&long[..96], &[Lost(0..96, Cause::Limit)]);
    // Other kinds have another limit.
    let footer = kind_of(frame(0, 1001), Kind::FOOTER);
    check(&footer, &[Lost(0..1097, Cause::Limit)]);
    check(&kind_of(frame(0, 1000), Kind::FOOTER), &[Good(0)]);
}

#[test]
fn every_cut_is_told() {
    let stored = stream(&LENS[..3]).concat();
    for cut in 0..=stored.len() {
        let whole = BEGINS[1..4].iter().take_while(|&&end| end <= cut as u64).count();
        let (begin, end) = (BEGINS[whole], cut as u64);
        let mut expected: Vec<_> = (0..whole as u64).map(Good).collect();
        if end >= begin + 96 {
            let len = cut - begin as usize - 96;
            expected.push(Broken(begin..end, Cause::Truncated, whole as u64, len));
        } else if end > begin {
            expected.push(Lost(begin..end, Cause::Truncated));
        }
        let (found, _) = scan(&stored[..cut]);
        assert_eq!(seen(&found), expected, "cut at {cut}");
    }
}

#[test]
fn nothing_is_joined_across_a_gap_below() {
    let stored = stream(&LENS).concat();
    for cut in 0..=stored.len() as u64 {
        // No byte is missing, but the reader below cannot know that.
        let (a, b) = stored.split_at(cut as usize);
        let pieces = [a.to_vec(), b.to_vec()].into();
        let (found, _) = scan_from(Gappy { pieces, gap: 50, at: 0 }, Some(PACK));
        check_tiles(&found, stored.len() as u64 + 50);
        let broken = BEGINS.iter().rposition(|&begin| begin <= cut).expect("0 is a begin");
        let whole = BEGINS[broken] == cut;
        let good = found.iter().filter(|item| matches!(item, Scanned::Frame(_))).count();
        assert_eq!(good, 4 - usize::from(!whole), "gap at {cut}");
        let gap = Gap::new(LayerId::RAW, cut, Some(50), Cause::Corrupt);
        let below = Cause::Below(Box::new(gap));
        let begin = BEGINS[broken];
        let told = match cut - begin {
            0..96 => Lost(begin..cut + 50, below),
            n => Broken(begin..cut + 50, below, broken as u64, n as usize - 96),
        };
        assert!(seen(&found).contains(&told), "gap at {cut}: {:?}", seen(&found));
    }
}

#[test]
fn a_pack_that_is_not_known_is_taken_from_the_first_whole_frame() {
    let mut damaged = frame_of(OTHER, LAYER, 0, 100);
    damaged[100..150].fill(0);
    let other_layer = frame_of(OTHER, LayerId::ENCRYPTION, 0, 30);
    let stored =
        [damaged, other_layer, frame(5, 60), frame_of(OTHER, LAYER, 6, 10), frame(7, 3)].concat();
    let (found, _) = scan_from(PlainSource::new(&stored[..]), None);
    let expected = [
        Broken(0..196, Cause::Corrupt, 0, 100),
        Lost(196..322, Cause::Foreign),
        Good(5),
        Lost(478..584, Cause::Foreign),
        Good(7),
    ];
    assert_eq!(seen(&found), expected);
}

#[test]
fn position_and_pack_are_told() {
    let stored = [&frame(0, 10)[..], &[9; 20], &frame(1, 10)].concat();
    let mut scan = FrameScan::new(PlainSource::new(&stored[..]), LAYER, None, limits());
    assert_eq!((scan.position(), scan.pack()), (0, None));
    let mut positions = Vec::new();
    while let Some(item) = scan.next().expect("a slice does not fail") {
        positions.push(scan.position());
        assert_eq!(scan.pack(), Some(PACK));
        if let Scanned::Frame(frame) = item {
            scan.recycle(frame.payload);
        }
    }
    assert_eq!(positions, [106, 126, 232]);
    assert_eq!(scan.get_ref().get_ref().len(), 0);
}

#[test]
fn an_error_of_the_source_is_passed_on_and_reading_can_go_on() {
    struct Once<'a>(&'a [u8], usize);
    impl io::Read for Once<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.1 == 0 {
                self.1 = usize::MAX;
                return Err(io::Error::other("a loose cable"));
            }
            let n = buf.len().min(self.1);
            let n = self.0.read(&mut buf[..n])?;
            self.1 -= n;
            Ok(n)
        }
    }
    let stored = stream(&LENS).concat();
    for after in 1..stored.len() {
        let source = PlainSource::new(Once(&stored, after));
        let mut scan = FrameScan::new(source, LAYER, Some(PACK), limits());
        let (mut errors, mut frames) = (0, 0);
        loop {
            match scan.next() {
                Err(error) => errors += usize::from(error.to_string() == "a loose cable"),
                Ok(None) => break,
                Ok(Some(item)) => frames += usize::from(matches!(item, Scanned::Frame(_))),
            }
        }
        assert_eq!((errors, frames), (1, 4), "error after {after} bytes");
    }
}

const fn assert_send<T: Send>() {}
const _: () = assert_send::<FrameScan<PlainSource<std::fs::File>>>();
const _: () = assert_send::<Scanned>();

#[test]
fn limits_are_by_kind() {
    let limits = ScanLimits::new(3, 4);
    assert_eq!((limits.of(Kind::DATA), limits.of(Kind::HOLE), limits.of(Kind(200))), (3, 4, 4));
}
