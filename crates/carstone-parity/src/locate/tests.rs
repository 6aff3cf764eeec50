//! Wrong cells of codes of many shapes. The syndromes are made by the library: the code is linear, so that those of a stream are those of its errors.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use reed_solomon_simd::ReedSolomonEncoder;

use super::field::Field;
use super::recurrence::Recurrence;
use super::{Code, locate};

/// Bytes without order, of a seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// So many different numbers below `below`, in an order of a seed.
fn drawn(count: usize, below: usize, seed: u64) -> Vec<usize> {
    let keys = noise(8 * below, seed);
    let mut numbers: Vec<usize> = (0..below).collect();
    numbers.sort_by_key(|number| &keys[8 * number..][..8]);
    numbers.truncate(count);
    numbers
}

/// A zone of which some recovery cells are left, some cells are lost, and some wrong.
struct Zone {
    code: Code,
    cell_len: usize,
    left: usize,
    lost: usize,
    wrong: usize,
    seed: u64,
}

impl Zone {
    fn new(originals: usize, recoveries: usize, lost: usize, wrong: usize) -> Self {
        let code = Code { originals, recoveries };
        Self { code, cell_len: 128, left: recoveries, lost, wrong, seed: 1 }
    }

    /// What is told to be wrong, and what is, where `error` gives by what the wrong cells are: by the how many-th it is.
    fn locate(&self, error: impl Fn(usize) -> Vec<u8>) -> (Option<Vec<usize>>, Vec<usize>) {
        let Code { originals, recoveries } = self.code;
        let mut hit = drawn(self.lost + self.wrong, originals, self.seed);
        let mut wrong = hit.split_off(self.lost);
        let mut errors: BTreeMap<usize, Vec<u8>> =
            wrong.iter().copied().zip((0..).map(error)).collect();
        errors.extend(hit.iter().map(|cell| (*cell, noise(self.cell_len, *cell as u64))));
        let mut encoder = ReedSolomonEncoder::new(originals, recoveries, self.cell_len).unwrap();
        let zeros = vec![0; self.cell_len];
        for cell in 0..originals {
            encoder.add_original_shard(errors.get(&cell).unwrap_or(&zeros)).unwrap();
        }
        let made = encoder.encode().unwrap();
        let mut left = drawn(self.left, recoveries, self.seed + 1);
        left.sort_unstable();
        let row = |number| (number, made.recovery(number).unwrap().to_vec());
        let syndromes: Vec<_> = left.into_iter().map(row).collect();
        let suspects: Vec<usize> = (0..originals).filter(|cell| !hit.contains(cell)).collect();
        wrong.sort_unstable();
        (locate(self.code, &syndromes, &hit, &suspects, EFFORT, 2).unwrap(), wrong)
    }

    #[track_caller]
    fn check(&self, error: impl Fn(usize) -> Vec<u8>) {
        let (told, wrong) = self.locate(error);
        assert_eq!(told, Some(wrong));
    }

    fn noise(&self) -> impl Fn(usize) -> Vec<u8> + use<> {
        let (cell_len, seed) = (self.cell_len, self.seed);
        move |number| noise(cell_len, seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
    }

    /// One bit, anywhere.
    fn flip(&self) -> impl Fn(usize) -> Vec<u8> + use<> {
        let (cell_len, draw) = (self.cell_len, self.noise());
        move |number| {
            let mut cell = vec![0; cell_len];
            let drawn = draw(number);
            cell[usize::from(u16::from_le_bytes([drawn[0], drawn[1]])) % cell_len] =
                1 << (drawn[2] % 8);
            cell
        }
    }
}

/// Enough for all that can be told.
const EFFORT: usize = 1 << 30;

/// Cells, recovery cells.
const SHAPES: [(usize, usize); 9] =
    [(1_000, 99), (293, 19), (90, 64), (64, 64), (65, 64), (63, 64), (40, 100), (7, 6), (8, 9)];

#[test]
fn where_nothing_is_wrong_nothing_is_told_to_be() {
    for (originals, recoveries) in SHAPES {
        for lost in [0, 1, recoveries.min(originals) - 1] {
            let zone = Zone::new(originals, recoveries, lost, 0);
            zone.check(zone.noise());
        }
    }
}

#[test]
fn noise_is_told_as_long_as_two_recovery_cells_are_left_over() {
    for (originals, recoveries) in SHAPES {
        let most = recoveries.min(originals);
        for lost in [0, 1, most / 2] {
            for wrong in [1, (most - lost) / 2, most - lost - 2] {
                let zone = Zone::new(originals, recoveries, lost, wrong);
                zone.check(zone.noise());
            }
        }
    }
}

#[test]
fn hundreds_of_columns_tell_hundreds_of_cells() {
    let zone = Zone { cell_len: 1_024, ..Zone::new(1_000, 700, 0, 698) };
    zone.check(zone.noise());
}

#[test]
fn less_than_half_is_told_however_wrong() {
    for (originals, recoveries) in SHAPES {
        for lost in [0, 1, recoveries.min(originals) / 2] {
            let wrong = ((recoveries - lost - 1) / 2).min(originals - lost);
            let zone = Zone::new(originals, recoveries, lost, wrong);
            let one_bit = |_| [&[1][..], &vec![0; zone.cell_len - 1]].concat();
            zone.check(one_bit);
            zone.check(|_| noise(zone.cell_len, 7));
            zone.check(|number| noise(zone.cell_len, number as u64 % 3));
            zone.check(zone.flip());
        }
    }
}

#[test]
fn what_is_wrong_alike_in_more_cells_than_half_is_not_told() {
    let zone = Zone::new(293, 19, 0, 12);
    assert_eq!(zone.locate(|_| noise(128, 7)).0, None);
}

#[test]
fn more_wrong_cells_than_could_be_restored_are_not_told() {
    for (originals, recoveries) in SHAPES {
        let most = recoveries.min(originals - 1);
        for wrong in [recoveries, recoveries + 1, originals].map(|wrong| wrong.min(most + 1)) {
            let zone = Zone::new(originals, recoveries, 0, wrong);
            if wrong >= recoveries {
                assert_eq!(zone.locate(zone.noise()).0, None, "{originals} {recoveries} {wrong}");
            }
        }
    }
}

#[test]
fn single_bits_in_many_cells_are_told_column_by_column() {
    for (originals, recoveries, wrong) in [(1_000, 99, 96), (2_000, 190, 187), (293, 19, 16)] {
        let zone = Zone { cell_len: 1_024, ..Zone::new(originals, recoveries, 0, wrong) };
        zone.check(zone.flip());
        // Noise in half of them.
        let (flip, noise) = (zone.flip(), zone.noise());
        zone.check(|number| if number % 2 == 0 { flip(number) } else { noise(number) });
    }
}

proptest! {
    #[test]
    fn what_is_wrong_is_told_whatever_is_lost(
        (originals, recoveries) in (1..300_usize, 1..120_usize),
        [lost, gone, wrong] in proptest::array::uniform3(0..=256_usize),
        seed in any::<u64>(),
    ) {
        let left = recoveries - gone * recoveries / 512;
        let lost = lost * left.min(originals) / 512;
        let spare = (left - lost).saturating_sub(2).min(originals - lost);
        let zone = Zone { left, seed, ..Zone::new(originals, recoveries, lost, wrong * spare / 256) };
        let (told, wrong) = zone.locate(zone.noise());
        prop_assert_eq!(told, Some(wrong));
    }

    #[test]
    fn a_recurrence_has_the_roots_of_all_sequences(
        roots in proptest::collection::btree_set(any::<u16>(), 0..20),
        count in 1..10_usize,
        seed in any::<u64>(),
    ) {
        let field = Field::new();
        // As many terms as it takes, for generic ones.
        let terms = roots.len() + roots.len().div_ceil(count);
        let sequence = |number: usize| {
            let factors = noise(2 * roots.len(), seed.wrapping_add(number as u64));
            let mut powers: Vec<u16> =
                factors.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair).max(1)).collect();
            let mut term = || {
                let sum = powers.iter().fold(0, |sum, power| sum ^ power);
                powers.iter_mut().zip(&roots).for_each(|(power, root)| *power = field.times(*power, *root));
                sum
            };
            (0..terms).map(|_| term()).collect()
        };
        let sequences: Vec<Vec<u16>> = (0..count).map(sequence).collect();
        let found = Recurrence::shortest(&field, &sequences);
        prop_assert_eq!(found.len(), roots.len());
        prop_assert!(sequences.iter().all(|sequence| found.holds(&field, sequence)));
        prop_assert!((0..=u16::MAX).all(|point| found.has_root(&field, point) == roots.contains(&point)));
    }

    #[test]
    fn the_shortest_recurrence_of_any_sequences_is_that_of_elimination(
        sequences in proptest::collection::vec(proptest::collection::vec(0..3_u16, 7), 1..4),
    ) {
        let field = Field::new();
        let found = Recurrence::shortest(&field, &sequences);
        prop_assert!(sequences.iter().all(|sequence| found.holds(&field, sequence)));
        let is_possible = |len: usize| {
            // Rows s_(n−1) … s_(n−len), and what they are to sum to.
            let row = |sequence: &[u16], at: usize| -> Vec<u16> {
                (1..=len).map(|j| sequence[at - j]).chain([sequence[at]]).collect()
            };
            let rows = sequences.iter().flat_map(|one| (len..one.len()).map(|at| row(one, at)));
            is_solvable(&field, rows.collect(), len)
        };
        prop_assert_eq!((0..=7).find(|len| is_possible(*len)), Some(found.len()));
    }
}

/// Whether rows of an equation, the last number of each being what it comes to, have a solution.
fn is_solvable(field: &Field, mut rows: Vec<Vec<u16>>, unknown: usize) -> bool {
    let inverse = |number| (1..=u16::MAX).find(|other| field.times(number, *other) == 1).unwrap();
    let mut done = 0;
    for column in 0..unknown {
        let Some(pivot) = (done..rows.len()).find(|row| rows[*row][column] != 0) else { continue };
        rows.swap(done, pivot);
        let (pivot, factor) = (rows[done].clone(), inverse(rows[done][column]));
        for row in &mut rows[done + 1..] {
            let factor = field.times(factor, row[column]);
            row.iter_mut()
                .zip(&pivot)
                .for_each(|(number, pivot)| *number ^= field.times(factor, *pivot));
        }
        done += 1;
    }
    rows[done..].iter().all(|row| row[unknown] == 0)
}
