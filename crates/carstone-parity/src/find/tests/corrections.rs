//! Flipped bits.

use proptest::prelude::*;

use super::*;
use crate::frame::{self, HEADER_LEN, Label, ProtectionId};
use crate::layout::Slot;

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// A frame of a recovery cell of `len` bytes.
fn frame_of(len: usize) -> Vec<u8> {
    let payload = noise(len, 20);
    let label = Label::Slot(Slot::Recovery { zone: 3, number: 4 });
    let header = frame::encode(ProtectionId::from_bytes([6; 16]), label, &payload);
    [&header[..], &payload].concat()
}

/// The bits of a frame that may be flipped: all but those of the digest.
fn bits_of(frame: &[u8]) -> impl Iterator<Item = usize> + Clone {
    (0..40 * 8).chain(HEADER_LEN * 8..8 * frame.len())
}

#[track_caller]
fn check_frame(whole: &[u8], bits: &[usize]) {
    let mut frame = whole.to_vec();
    bits.iter().for_each(|bit| flip(&mut frame, *bit));
    assert!(correct_frame(&mut frame), "bits {bits:?}");
    assert_eq!(frame, whole, "bits {bits:?}");
}

#[test]
fn each_bit_of_a_frame_and_many_pairs_are_put_right() {
    for len in [64, 128, 1_024] {
        let whole = frame_of(len);
        bits_of(&whole).for_each(|bit| check_frame(&whole, &[bit]));
        for one in bits_of(&whole).step_by(67) {
            for two in bits_of(&whole).skip(1).step_by(131) {
                if one != two {
                    check_frame(&whole, &[one, two]);
                }
            }
        }
    }
}

#[test]
fn a_frame_with_a_burst_is_put_right_and_one_with_more_damage_stays_as_it_is() {
    let whole = frame_of(256);
    for at in (0..27).chain(32..36).chain(HEADER_LEN..whole.len() - 4) {
        let bits: Vec<usize> = (0..32).step_by(3).map(|bit| 8 * at + bit).collect();
        check_frame(&whole, &bits);
    }
    for bits in [[100, 900, 1_700], [1, 2, 2_000], [40, 270, 1_000], [100, 330, 360]] {
        let mut frame = whole.clone();
        bits.iter().for_each(|bit| flip(&mut frame, *bit));
        let damaged = frame.clone();
        assert!(!correct_frame(&mut frame));
        assert_eq!(frame, damaged);
    }
    for len in [0, 47, 48, 100, whole.len() - 1] {
        let mut cut = whole[..len].to_vec();
        assert!(!correct_frame(&mut cut));
        assert_eq!(cut, whole[..len]);
    }
}

#[test]
fn pairs_are_put_right_up_to_64_kib_and_bursts_beyond() {
    for log in [15, 16] {
        let whole = frame_of(1 << log);
        check_frame(&whole, &[8, 8 * whole.len() - 1]);
    }
    let whole = frame_of(1 << 17);
    check_frame(&whole, &[1_000, 1_031]);
    let mut frame = whole.clone();
    flip(&mut frame, 1_000);
    flip(&mut frame, 1_032);
    assert!(!correct_frame(&mut frame));
}

#[test]
fn each_bit_of_a_cell_is_put_right() {
    for len in [1, 64, 100, 256, 1_100] {
        let stream = noise(len, 21);
        let entries = entries_of(&stream);
        for bit in 0..8 * len {
            let mut source = stream.clone();
            flip(&mut source, bit);
            let found = check(&stream, &source, &entries);
            let cell_bits = 8 * layout_of(&stream).cell_len() as usize;
            let flip = Flip {
                cell: (bit / cell_bits) as u32,
                at: (bit % cell_bits / 8) as u32,
                mask: 1 << (bit % 8),
            };
            assert_eq!(found.flips(), [flip]);
            assert_eq!(found.flips_of(flip.cell.into()), [flip]);
            assert_eq!((found.counts().corrected, found.counts().bits), (1, 1));
        }
    }
}

#[test]
fn cells_that_moved_are_put_right_where_their_neighbours_say_they_are() {
    let stream = noise(40_000, 22);
    let entries = entries_of(&stream);
    // A row of three damaged cells behind one that is found, with other bytes before and behind all of them.
    let mut source = [&noise(100, 23)[..], &stream[10_000..30_000], &noise(7_000, 24)].concat();
    let at = |cell: usize| cell * 1_024 - 10_000 + 100;
    for (cell, bits) in [(15, vec![3]), (16, vec![0, 8_191]), (17, vec![500, 900])] {
        bits.iter().for_each(|bit| flip(&mut source, 8 * at(cell) + bit));
    }
    let found = check(&stream, &source, &entries);
    for cell in 15..18 {
        assert_eq!(found.state(cell as u64), State::Corrected(at(cell) as u64));
    }
    assert_eq!((found.counts().corrected, found.counts().bits), (3, 5));
}

#[test]
fn cells_are_put_right_before_and_behind_inserted_bytes() {
    let stream = noise(40_000, 27);
    let (front, back) = (&stream[10_000..16_384], &stream[16_384..30_000]);
    let mut source = [&noise(100, 23)[..], front, &[1; 9], back, &noise(7_000, 24)].concat();
    let places = [15 * 1_024 - 9_900, 16_384 - 9_891];
    places.iter().for_each(|at| flip(&mut source, 8 * at + 77));
    let found = check(&stream, &source, &entries_of(&stream));
    assert_eq!(
        [15, 16].map(|cell| found.state(cell)),
        places.map(|at| State::Corrected(at as u64))
    );
}

#[test]
fn bits_are_put_right_among_many_cells_that_are_destroyed() {
    let stream = noise(12_000_000, 25);
    let mut source = stream.clone();
    // A long row is lost, and behind it each second cell; in between some have two bits flipped.
    source[409_600..4_096_000].fill(0);
    for cell in (1_001..2_900).step_by(2) {
        source[cell * 4_096..(cell + 1) * 4_096].fill(1);
    }
    for cell in (1_100..2_800).step_by(100) {
        flip(&mut source, cell * 32_768 + 17);
        flip(&mut source, cell * 32_768 + 32_000);
    }
    let counts = check(&stream, &source, &entries_of(&stream)).counts();
    assert_eq!((counts.corrected, counts.bits), (17, 34));
    assert_eq!(counts.missing, 900 + 950);
}

#[test]
fn pairs_are_looked_for_in_a_long_row_where_single_bits_were_found() {
    let stream = noise(2_200 * 4_096, 26);
    let mut source = stream.clone();
    source[10 * 4_096..2_100 * 4_096].fill(0);
    for cell in [500, 501, 2_000, 2_001] {
        source[cell * 4_096..][..4_096].copy_from_slice(&stream[cell * 4_096..][..4_096]);
        flip(&mut source, cell * 32_768 + 5);
        if cell % 2 == 0 {
            flip(&mut source, cell * 32_768 + 9_000);
        }
    }
    let found = check(&stream, &source, &entries_of(&stream));
    let is_corrected = |cell| matches!(found.state(cell), State::Corrected(_));
    assert_eq!([500, 501, 2_000, 2_001].map(is_corrected), [true; 4]);
    let mut source = stream.clone();
    source[10 * 4_096..2_100 * 4_096].fill(0);
    source[500 * 4_096..][..4_096].copy_from_slice(&stream[500 * 4_096..][..4_096]);
    flip(&mut source, 500 * 32_768 + 5);
    flip(&mut source, 500 * 32_768 + 9_000);
    let found = check(&stream, &source, &entries_of(&stream));
    assert_eq!(found.state(500), State::Missing);
}

proptest! {
    #[test]
    fn cells_with_one_burst_or_two_flipped_bits_are_put_right(
        (len, seed) in (1..40_000_usize, any::<u64>()),
        flips in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<bool>()), 1..20),
    ) {
        let stream = noise(len, seed);
        let (mut source, mut hit) = (stream.clone(), std::collections::BTreeSet::new());
        let width = layout_of(&stream).cell_len() as usize;
        for (one, two, burst) in flips {
            let one = one % (8 * len);
            let cell = one / 8 / width;
            let end = 8 * len.min((cell + 1) * width);
            if hit.insert(cell) {
                let two = if burst { one + two % 32 } else { 8 * cell * width + two % (end - 8 * cell * width) };
                flip(&mut source, one);
                if two != one && two < end {
                    flip(&mut source, two);
                }
            }
        }
        let found = check(&stream, &source, &entries_of(&stream));
        prop_assert_eq!(found.counts().missing, 0);
        for cell in hit {
            // Few bytes may stand elsewhere as they were.
            let is_corrected = matches!(found.state(cell as u64), State::Corrected(_));
            prop_assert!(is_corrected || len - cell * width < 8, "cell {}", cell);
        }
    }
}
