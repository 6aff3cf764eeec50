//! Small damage is put right, everything else is left alone.

use std::thread;

use crate::support::*;
use carstone_layer::{
    Cause, FRAME_HEADER_LEN, FrameHeader, LayerId, PackId, correct_block, correct_frame,
    correct_payload, crc64, digest16,
};

const LEN: usize = 64 << 10;

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Flips 1 to 32 bits from `start` on, the first and the last included; returns how many.
fn flip_burst(bytes: &mut [u8], start: usize, len: usize, seed: u64) -> u32 {
    let inner = noise(seed, 32);
    let inside = (1..len.saturating_sub(1)).filter(|&i| inner[i] & 1 == 1);
    let places: Vec<_> = [0].into_iter().chain(inside).chain((len > 1).then(|| len - 1)).collect();
    places.iter().for_each(|i| flip(bytes, start + i));
    places.len() as u32
}

/// Puts a frame right as a reader would.
fn correct(frame: &mut [u8]) -> Option<(u64, u32)> {
    let (head, payload) = frame.split_first_chunk_mut().expect("a frame has a header");
    if let Ok(header) = FrameHeader::decode(head) {
        let made = correct_payload(&header, payload)?;
        return Some((made.at + FRAME_HEADER_LEN as u64, made.bits));
    }
    let (_, made) = correct_frame(frame, LAYER, Some(PACK), limits())?;
    Some((made[0].at, made.iter().map(|one| one.bits).sum()))
}

#[track_caller]
fn check(good: &[u8], damaged: &mut [u8], bit: usize, bits: u32) {
    assert_eq!(correct(damaged), Some((bit as u64 / 8, bits)), "bit {bit}");
    assert_eq!(damaged, good, "bit {bit}");
}

#[test]
fn every_single_bit_of_a_frame_is_put_right() {
    let good = frame(3, LEN);
    // The work is shared by two threads, or the test is the slowest of all.
    thread::scope(|scope| {
        for half in 0..2 {
            let mut damaged = good.clone();
            let good = &good;
            scope.spawn(move || {
                for bit in (half..8 * good.len()).step_by(2) {
                    flip(&mut damaged, bit);
                    check(good, &mut damaged, bit, 1);
                }
            });
        }
    });
}

#[test]
fn every_single_bit_of_short_frames_is_put_right() {
    for len in 0..70 {
        let good = frame(3, len);
        for bit in 0..8 * good.len() {
            let mut damaged = good.clone();
            flip(&mut damaged, bit);
            check(&good, &mut damaged, bit, 1);
        }
    }
}

#[test]
fn bursts_are_put_right_wherever_they_are() {
    for (len, seed) in [(0, 1), (1, 2), (7, 3), (1000, 4)] {
        let good = frame(3, len);
        for start in 0..8 * good.len() {
            let longest = (8 * good.len() - start).min(32);
            let long = 1 + noise(seed + start as u64, 1)[0] as usize % longest;
            for long in [long, longest] {
                let mut damaged = good.clone();
                let bits = flip_burst(&mut damaged, start, long, seed * start as u64);
                check(&good, &mut damaged, start, bits);
            }
        }
    }
}

#[test]
fn random_bursts_in_a_long_frame_are_put_right() {
    let good = frame(3, LEN);
    for seed in 0..1000 {
        let dice = noise(seed, 5);
        let start = u32::from_le_bytes([dice[0], dice[1], dice[2], 0]) as usize;
        let start = start % (8 * good.len() - 32);
        let mut damaged = good.clone();
        let bits = flip_burst(&mut damaged, start, 1 + dice[4] as usize % 32, seed);
        check(&good, &mut damaged, start, bits);
    }
}

#[test]
fn more_damage_than_a_burst_is_left_as_it_is() {
    for (n, len) in (0_u64..).zip([1, 100, 5000]) {
        let good = frame(n, len);
        for seed in 0..500 {
            let dice = noise(1000 * n + seed, 8);
            let bit = |at: usize| u32::from_le_bytes([dice[at], dice[at + 1], dice[at + 2], 0]);
            let (a, b) = (bit(0) as usize % (8 * good.len()), bit(3) as usize % (8 * good.len()));
            // Close together they are one burst. On both sides of the border they may be put right, since
            // header and payload have a sum each.
            let border = 8 * FRAME_HEADER_LEN;
            if a.abs_diff(b) < 32 || (a < border) != (b < border) {
                continue;
            }
            let mut damaged = good.clone();
            flip(&mut damaged, a);
            flip(&mut damaged, b);
            let before = damaged.clone();
            assert_eq!(correct(&mut damaged), None, "bits {a} and {b}");
            assert_eq!(damaged, before);
        }
    }
}

#[test]
fn a_zeroed_page_is_never_made_into_something_else() {
    let good = frame(3, LEN);
    for seed in 0..1000 {
        let dice = noise(seed, 2);
        let at = u16::from_le_bytes([dice[0], dice[1]]) as usize % (good.len() - 4096);
        let mut damaged = good.clone();
        damaged[at..at + 4096].fill(0);
        let before = damaged.clone();
        assert_eq!(correct(&mut damaged), None);
        assert!(damaged == before);
    }
}

#[test]
fn a_pack_id_that_is_not_known_is_put_right_too() {
    let good = frame(3, 500);
    for bit in 0..8 * FRAME_HEADER_LEN {
        let mut damaged = good.clone();
        flip(&mut damaged, bit);
        let made = correct_frame(&mut damaged, LAYER, None, limits());
        assert_eq!(made.expect("one flipped bit").0.pack, PACK, "bit {bit}");
        assert_eq!(damaged, good);
    }
}

#[test]
fn only_the_expected_frame_is_looked_for() {
    let mut damaged = frame(3, 500);
    flip(&mut damaged, 8 * 50);
    let other = PackId::from_bytes([1; 16]);
    assert!(correct_frame(&mut damaged, LAYER, Some(other), limits()).is_none());
    assert!(correct_frame(&mut damaged, LayerId::ENCRYPTION, Some(PACK), limits()).is_none());
    let mut long = frame(3, LIMIT as usize + 1);
    flip(&mut long, 8 * 50);
    assert!(correct_frame(&mut long, LAYER, Some(PACK), limits()).is_none());
    let cut = &mut frame(3, 500)[..595];
    flip(cut, 8 * 50);
    assert!(correct_frame(cut, LAYER, Some(PACK), limits()).is_none());
    assert!(correct_frame(&mut [0; 95], LAYER, Some(PACK), limits()).is_none());
    assert!(correct_frame(&mut damaged, LAYER, Some(PACK), limits()).is_some());
}

#[test]
fn an_intact_payload_and_one_of_another_length_are_not_touched() {
    let good = frame(3, 50);
    let header = FrameHeader::decode(good.first_chunk().expect("96 bytes")).expect("a good header");
    assert_eq!(correct_payload(&header, &mut good[96..].to_vec()), None);
    assert_eq!(correct_payload(&header, &mut good[96..145].to_vec()), None);
    assert_eq!(correct_payload(&header, &mut []), None);
}

#[test]
fn blocks_are_put_right_with_their_sum() {
    // Laid out like a container trailer: content, digest, sum, and a mark that the sum does not cover.
    let mut good = noise(9, 272);
    good.extend(digest16(&[&good]));
    good.extend(crc64(&[&good]).to_le_bytes());
    good.extend(b"the mark");
    let confirm = |bytes: &[u8]| {
        digest16(&[&bytes[..272]])[..] == bytes[272..288]
            && crc64(&[&bytes[..288]]).to_le_bytes()[..] == bytes[288..296]
    };
    for start in 0..8 * 296 {
        for long in [1, 9, 32] {
            let long = long.min(8 * 296 - start);
            let mut damaged = good.clone();
            let bits = flip_burst(&mut damaged, start, long, start as u64);
            let made = correct_block(&mut damaged, 288, confirm).expect("a burst");
            assert_eq!((made.at, made.bits), (start as u64 / 8, bits));
            assert_eq!(damaged, good);
        }
    }
    assert_eq!(correct_block(&mut good.clone(), 288, confirm), None);
    assert_eq!(correct_block(&mut good.clone(), 299, confirm), None);
    assert_eq!(correct_block(&mut good.clone(), usize::MAX, confirm), None);
    let mut damaged = good.clone();
    flip(&mut damaged, 5);
    flip(&mut damaged, 500);
    let before = damaged.clone();
    assert_eq!(correct_block(&mut damaged, 288, confirm), None);
    assert_eq!(damaged, before);
    // What the digest does not confirm is not used.
    flip(&mut damaged, 500);
    let before = damaged.clone();
    assert_eq!(correct_block(&mut damaged, 288, |_| false), None);
    assert_eq!(damaged, before);
}

#[test]
fn a_scan_hands_out_corrected_frames_and_tells_where() {
    let good = stream(&[300, 0, 5000]).concat();
    for bit in 0..8 * good.len() {
        let mut damaged = good.clone();
        flip(&mut damaged, bit);
        let (found, report) = scan(&damaged);
        assert_eq!(seen(&found), [Seen::Good(0), Seen::Good(1), Seen::Good(2)], "bit {bit}");
        let made = &report.corrections;
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].layer, made[0].at, made[0].bits), (LAYER, bit as u64 / 8, 1));
    }
}

#[test]
fn a_scan_puts_right_what_stands_beside_a_lost_header() {
    let mut damaged = stream(&[300, 400, 500]).concat();
    flip(&mut damaged, 8 * 200);
    damaged[396..396 + 96].fill(0);
    let (found, report) = scan(&damaged);
    let lost = Seen::Lost(396..892, Cause::Corrupt);
    assert_eq!(seen(&found), [Seen::Good(0), lost, Seen::Good(2)]);
    assert_eq!(report.corrections.len(), 1);
}

#[test]
fn a_burst_over_the_border_of_two_frames_hurts_neither() {
    let frames = stream(&[300, 400]);
    for start in 8 * 392 + 1..8 * 396 {
        let mut damaged = frames.concat();
        flip_burst(&mut damaged, start, 32, start as u64);
        let (found, _) = scan(&damaged);
        assert_eq!(check_subset(&found, &frames), 2, "bit {start}");
    }
}
