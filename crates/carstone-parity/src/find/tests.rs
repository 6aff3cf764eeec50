//! Damage of all kinds, judged by a slow search.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memchr::memmem;
use proptest::prelude::*;

use super::found::Counts;
use super::*;
use crate::Share;

mod corrections;

/// Bytes without order, of a seed.
pub(super) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 32);
    for block in 0_u64.. {
        if bytes.len() >= len {
            break;
        }
        let hash = carstone_layer::digest16(&[&seed.to_le_bytes(), &block.to_le_bytes()]);
        bytes.extend_from_slice(&hash);
    }
    bytes.truncate(len);
    bytes
}

pub(super) fn layout_of(stream: &[u8]) -> Layout {
    Layout::new(stream.len() as u64, Share::default()).unwrap()
}

/// The cells of a stream, the last one filled up.
pub(super) fn cells_of(stream: &[u8]) -> Vec<Vec<u8>> {
    let len = layout_of(stream).cell_len() as usize;
    let fill = |cell: &[u8]| [cell, &vec![0; len - cell.len()]].concat();
    stream.chunks(len).map(fill).collect()
}

pub(super) fn entries_of(stream: &[u8]) -> Entries {
    Entries::known(cells_of(stream).iter().map(|cell| Entry::of(cell)).collect())
}

/// Finds the cells of `stream` in `source`; what is found must be right, and must not depend on the number of threads.
#[track_caller]
pub(super) fn check(stream: &[u8], source: &[u8], entries: &Entries) -> Found {
    let layout = layout_of(stream);
    let told = AtomicU64::new(0);
    let count = |bytes| {
        told.fetch_add(bytes, Relaxed);
    };
    let found = find(source, &layout, entries, 1, &count, &|_| true).unwrap();
    // In place twice, slid over, for a short cell too, and four places of each that is corrected.
    let windows = told.into_inner() / (u64::from(layout.cell_len()) + source.len() as u64);
    assert!(windows <= 40, "{windows} times the source was read");
    is_right(stream, source, &found);
    let other = find(source, &layout, entries, 3, &|_| {}, &|_| true).unwrap();
    is_right(stream, source, &other);
    assert_eq!(found.counts(), other.counts());
    found
}

/// Whatever is found has the bytes of the stream, unless it was assumed.
#[track_caller]
fn is_right(stream: &[u8], source: &[u8], found: &Found) {
    let cells = cells_of(stream);
    let mut buf = vec![0xAA; layout_of(stream).cell_len() as usize];
    for (number, cell) in (0..).zip(&cells) {
        let state = found.state(number);
        let is_read = found.read(source, number, &mut buf).unwrap();
        assert_eq!(is_read, state != State::Missing);
        assert!(!is_read || matches!(state, State::Assumed(_)) || buf == *cell, "cell {number}");
    }
    let counts = found.counts();
    let all = [counts.in_place, counts.moved, counts.corrected, counts.assumed, counts.missing];
    assert_eq!(all.iter().sum::<u64>(), cells.len() as u64);
}

/// The bytes of each cell, the last one not filled up, and whether they stand anywhere.
fn stand(stream: &[u8], source: &[u8]) -> Vec<bool> {
    let len = layout_of(stream).cell_len() as usize;
    stream.chunks(len).map(|cell| memmem::find(source, cell).is_some()).collect()
}

#[derive(Debug, Clone)]
enum Edit {
    Insert { at: usize, bytes: Vec<u8> },
    Remove { at: usize, len: usize },
    Copy { at: usize, len: usize, to: usize },
    Move { at: usize, len: usize, to: usize },
    Zero { at: usize, len: usize },
    Flip { bit: usize },
}

impl Edit {
    fn apply(&self, source: &mut Vec<u8>) {
        let end = source.len() + 1;
        let range = |at: usize, len: usize| (at % end)..((at % end) + len).min(end - 1);
        match self {
            Self::Insert { at, bytes } => {
                source.splice(range(*at, 0), bytes.iter().copied());
            }
            Self::Remove { at, len } => drop(source.drain(range(*at, *len))),
            Self::Copy { at, len, to } => {
                let bytes = source[range(*at, *len)].to_vec();
                source.splice(range(*to, 0), bytes);
            }
            Self::Move { at, len, to } => {
                let bytes: Vec<u8> = source.drain(range(*at, *len)).collect();
                let to = to % (source.len() + 1);
                source.splice(to..to, bytes);
            }
            Self::Zero { at, len } => source[range(*at, *len)].fill(0),
            Self::Flip { bit } => {
                let at = bit / 8 % source.len().max(1);
                source.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (bit % 8));
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let (at, len, to) = (0..70_000_usize, 0..9_000_usize, 0..70_000_usize);
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        (at.clone(), bytes).prop_map(|(at, bytes)| Edit::Insert { at, bytes }),
        (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Remove { at, len }),
        (at.clone(), len.clone(), to.clone()).prop_map(|(at, len, to)| Edit::Copy { at, len, to }),
        (at.clone(), len.clone(), to).prop_map(|(at, len, to)| Edit::Move { at, len, to }),
        (at, len).prop_map(|(at, len)| Edit::Zero { at, len }),
        (0..560_000_usize).prop_map(|bit| Edit::Flip { bit }),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..200_usize, 900..1_200_usize, 2_000..16_384_usize, 16_384..60_000_usize]
}

/// Streams that repeat themselves: equal cells, short and long periods, data among zeros.
fn orderly() -> impl Strategy<Value = Vec<u8>> {
    (length(), any::<u64>(), 0..4_u8, 1..600_usize).prop_map(|(len, seed, kind, period)| {
        let noise = noise(len.max(period), seed);
        (0..len)
            .map(|at| match kind {
                0 => 0,
                1 => noise[at % period],
                2 => noise[at % (period % 7 + 1)],
                _ if (at / period) % 3 == 0 => noise[at],
                _ => 0,
            })
            .collect()
    })
}

fn damaged(stream: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut source = stream.to_vec();
    edits.iter().for_each(|edit| edit.apply(&mut source));
    source
}

proptest! {
    #[test]
    fn each_cell_that_stands_anywhere_is_found(
        (len, seed) in (length(), any::<u64>()),
        edits in proptest::collection::vec(edit(), 0..8),
    ) {
        let stream = noise(len, seed);
        let source = damaged(&stream, &edits);
        let found = check(&stream, &source, &entries_of(&stream));
        let width = layout_of(&stream).cell_len() as usize;
        for (cell, stands) in (0..).zip(stand(&stream, &source)) {
            // A few bytes at the end of the stream stand inside of other cells too.
            let few = stream.len() - cell * width < 8;
            let is_found = matches!(found.state(cell as u64), State::At(_));
            prop_assert!(is_found || !stands || few, "cell {}", cell);
        }
    }

    #[test]
    fn streams_that_repeat_themselves_are_found_whole_by_the_long_search(
        stream in orderly(),
        edits in proptest::collection::vec(edit(), 0..8),
    ) {
        let source = damaged(&stream, &edits);
        let entries = entries_of(&stream);
        let mut found = check(&stream, &source, &entries);
        let before = found.counts();
        let more =
            find_anywhere(&mut found, &source[..], &layout_of(&stream), &entries, 2, &|_| {});
        is_right(&stream, &source, &found);
        prop_assert_eq!(more.unwrap(), found.counts().missing < before.missing);
        for (cell, stands) in (0..).zip(stand(&stream, &source)) {
            prop_assert!(!stands || found.state(cell) != State::Missing, "cell {}", cell);
        }
    }

    #[test]
    fn cells_whose_entry_is_lost_are_assumed_between_those_that_are_found(
        (len, seed) in (length(), any::<u64>()),
        (first, count) in (0..200_u64, 1..200_u64),
        (front, inner) in (0..100_usize, 0..2_usize),
    ) {
        let stream = noise(len, seed);
        let (layout, cells) = (layout_of(&stream), cells_of(&stream));
        let first = first % layout.cells().max(1);
        let lost = first..(first + count).min(layout.cells());
        let mut entries = Entries::lost(layout.cells());
        for (number, cell) in (0..).zip(&cells) {
            if !lost.contains(&number) {
                entries.set(number, Entry::of(cell));
            }
        }
        let width = u64::from(layout.cell_len());
        // Bytes in front move everything, those within the first lost cell only what is behind.
        let within = (first * width) as usize;
        let insert = |at, len| Edit::Insert { at, bytes: noise(len, 1) };
        let source = damaged(&stream, &[insert(within, inner), insert(0, front)]);
        let found = check(&stream, &source, &entries);
        let before = (lost.start > 0).then_some(front);
        let behind = (lost.end < layout.cells()).then_some(front + inner);
        let differ = before.zip(behind).is_some_and(|(before, behind)| before != behind);
        let shift = before.or(behind).unwrap_or(0);
        let mut buf = vec![0; width as usize];
        for (number, cell) in (0..).zip(&cells) {
            let state = found.state(number);
            if !lost.contains(&number) {
                prop_assert!(matches!(state, State::At(_)));
            } else if differ {
                prop_assert_eq!(state, State::Missing);
            } else {
                prop_assert_eq!(state, State::Assumed(number * width + shift as u64));
                if inner == 0 && shift == front {
                    found.read(&source[..], number, &mut buf).unwrap();
                    prop_assert_eq!(&buf, cell);
                }
            }
        }
    }
}

#[test]
fn cells_whose_entry_is_lost_stand_by_the_neighbour_that_has_no_equal() {
    // Zeros are where they belong whatever was cut off in front, and what is behind them is not.
    let stream = [vec![0; 20_480], noise(20_480, 14)].concat();
    let source = &stream[1_000..];
    let mut entries = Entries::lost(40);
    for (cell, bytes) in (0..).zip(&cells_of(&stream)).filter(|(cell, _)| !(18..23).contains(cell))
    {
        entries.set(cell, Entry::of(bytes));
    }
    let found = check(&stream, source, &entries);
    assert_eq!(found.state(1), State::At(1_024));
    for cell in 18..23 {
        assert_eq!(found.state(cell), State::Assumed(cell * 1_024 - 1_000));
    }
}

#[test]
fn whole_streams_of_all_lengths_are_in_place() {
    for len in [0, 1, 63, 64, 65, 127, 128, 1_023, 1_024, 1_025, 16_383, 16_384, 16_385, 20_480] {
        let stream = noise(len, 3);
        let found = check(&stream, &stream, &entries_of(&stream));
        let in_place = found.counts().in_place;
        assert_eq!(in_place, layout_of(&stream).cells(), "{len}");
        let nothing = check(&stream, &[], &entries_of(&stream));
        assert_eq!(nothing.counts(), Counts { missing: in_place, ..Counts::default() });
    }
}

#[test]
fn a_stream_that_is_cut_or_lengthened_in_front_is_found_by_its_end() {
    let stream = noise(50_001, 4);
    let entries = entries_of(&stream);
    let source = [&noise(777, 5)[..], &stream].concat();
    assert_eq!(check(&stream, &source, &entries).counts().moved, 49);
    let counts = check(&stream, &stream[5_000..], &entries).counts();
    assert_eq!((counts.moved, counts.missing), (44, 5));
    let counts = check(&stream, &stream[..stream.len() - 1], &entries).counts();
    assert_eq!((counts.in_place, counts.missing), (48, 1));
}

#[test]
fn data_behind_zeros_is_found_although_windows_of_zeros_match_before_it() {
    let mut stream = vec![0; 40_000];
    stream[20_500..20_600].fill(7);
    let source = [&[1, 2, 3][..], &stream[1_024..], &[9; 500]].concat();
    let found = check(&stream, &source, &entries_of(&stream));
    assert_eq!(found.counts().missing, 0);
    assert_eq!(found.state(20), State::At(3 + 19 * 1_024));
}

#[test]
fn cells_that_begin_or_end_within_claimed_ones_are_found() {
    let rest = noise(30_000, 13);
    let stream = [&[0; 2_548][..], &rest].concat();
    let source = [&stream[1_200..], &[1]].concat();
    // The first cell claims 1,024 zeros, of which some begin the third.
    let found = check(&stream, &source, &entries_of(&stream));
    assert_eq!(found.state(0), State::At(0));
    assert_eq!(found.state(2), State::At(848));

    let stream = [&rest[..1_024], &[7], &[0; 20_000]].concat();
    let source = [&rest[..2_047], &[7], &[0; 18_977]].concat();
    // The third cell claims zeros, of which some end the second.
    let found = check(&stream, &source, &entries_of(&stream));
    assert_eq!(found.state(2), State::At(2_048));
    assert_eq!(found.state(1), State::At(2_047));
}

#[test]
fn equal_cells_are_found_by_one_that_is_left() {
    let mut stream = [vec![5; 30_720], noise(10_240, 6)].concat();
    let (entries, whole) = (entries_of(&stream), stream.clone());
    stream[1_024..30_720].copy_from_slice(&noise(29_696, 7));
    let counts = check(&whole, &stream, &entries).counts();
    assert_eq!((counts.in_place, counts.moved, counts.missing), (11, 29, 0));
}

#[test]
fn a_stream_that_holds_a_file_twice_is_found_by_the_other_copy() {
    let twice = noise(10_000, 8);
    let stream = [&noise(4_000, 9)[..], &twice, &noise(4_100, 10), &twice].concat();
    let (layout, entries) = (layout_of(&stream), entries_of(&stream));
    let mut source = stream.clone();
    source[18_432..].fill(0xEE);
    let mut found = check(&stream, &source, &entries);
    assert_eq!(found.counts().missing, 10);
    let mut is_more = |threads| {
        find_anywhere(&mut found, &source[..], &layout, &entries, threads, &|_| {}).unwrap()
    };
    assert!(is_more(2));
    assert!(!is_more(1));
    is_right(&stream, &source, &found);
    assert_eq!(found.counts().missing, 0);
}

#[test]
fn a_forged_table_of_right_sums_and_wrong_digests_takes_no_more_digests_than_the_source_is_long() {
    let period = noise(1_500, 11);
    let source: Vec<u8> = period.iter().copied().cycle().take(1 << 20).collect();
    let layout = layout_of(&source);
    let forged = |at: usize| {
        let entry = Entry::of(&source[at + 100..at + 2_148]);
        Entry { digest: [0; 4], crc: entry.crc }
    };
    let vain = |entries: Vec<Entry>| {
        let entries = Entries::known(entries);
        let places = Places::missing(layout.cells());
        let search = Search::new(&source[..], &layout, &entries, places, 1, &|_| {}).unwrap();
        let matcher = matcher::Matcher::of_missing(&search).unwrap();
        let vain = search.slide_piece(&matcher, &source, 0, true);
        assert!((0..layout.cells()).all(|cell| search.places.is_missing(cell)));
        vain
    };
    // Without a limit each of the windows would be tried anew in each period.
    let limit = 64 + (source.len() / 2_048) as u64;
    let many = vain((0..512).map(forged).collect());
    assert!((limit / 2..=limit).contains(&many), "{many} of {limit}");
    // One sum with all kinds of digests costs one digest for each place that has it.
    let one = forged(0);
    let entry = |at: u32| Entry { digest: at.to_le_bytes(), ..one };
    assert!((1..=700).contains(&vain((0..512).map(entry).collect())));
}

#[test]
fn a_failing_source_is_an_error_with_its_place() {
    struct Failing;
    impl ReadAt for Failing {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
            if offset >= 8_192 { Err(std::io::ErrorKind::Other.into()) } else { Ok(buf.len()) }
        }
        fn size(&self) -> std::io::Result<u64> {
            Ok(20_000)
        }
    }
    let stream = noise(20_000, 12);
    for threads in [1, 4] {
        let error =
            find(&Failing, &layout_of(&stream), &entries_of(&stream), threads, &|_| {}, &|_| true)
                .unwrap_err();
        assert!(matches!(error.kind(), crate::ErrorKind::Io(_)));
        assert!(error.offset() >= 8_192);
    }
}
