//! Columns of the syndromes, and the sequences that they are made to.

use std::sync::Mutex;

use super::Code;
use super::field::{Field, ORDER, ZERO};
use crate::Error;
use crate::workers::{into_inner, lock, share};

/// The syndromes of a zone, by symbols of a cell.
pub(super) struct Columns<'a> {
    field: &'a Field,
    rows: &'a [(usize, Vec<u8>)],
    len: usize,
}

impl<'a> Columns<'a> {
    /// Syndromes by the numbers of their recovery cells; all of one length, a multiple of 64.
    pub(super) fn new(field: &'a Field, rows: &'a [(usize, Vec<u8>)]) -> Self {
        let len = rows.first().map_or(0, |(_, row)| row.len() / 2);
        Self { field, rows, len }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The numbers of so many columns, spread over all.
    pub(super) fn spread(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (len, count) = (self.len, count.min(self.len));
        (0..count).map(move |number| number * len / count)
    }

    /// A column, a number for each row.
    pub(super) fn at(&self, column: usize) -> Vec<u16> {
        let at = column / LANES * 64 + column % LANES;
        let symbol = |(_, row): &(usize, Vec<u8>)| u16::from_le_bytes([row[at], row[at + LANES]]);
        self.rows.iter().map(symbol).collect()
    }

    /// Sums of all columns, each multiplied by a drawn number: no column is overlooked in these.
    pub(super) fn combinations(&self, threads: usize) -> Result<Vec<Vec<u16>>, Error> {
        let mut combined = vec![vec![0; self.rows.len()]; COMBINATIONS];
        let made = Mutex::new(Vec::new());
        let parts: Vec<_> = self.rows.chunks(ROWS_AT_ONCE).collect();
        share(
            threads,
            0..parts.len(),
            || (),
            |job, ()| {
                let sums = self.combine(parts[job]);
                lock(&made).push((job * ROWS_AT_ONCE, sums));
                Ok(())
            },
        )?;
        for (first, sums) in into_inner(made) {
            for (row, sums) in (first..).zip(sums) {
                combined.iter_mut().zip(sums).for_each(|(column, sum)| column[row] = sum);
            }
        }
        Ok(combined)
    }

    /// All combinations of some rows.
    fn combine(&self, rows: &[(usize, Vec<u8>)]) -> Vec<[u16; COMBINATIONS]> {
        let mut sums = vec![[0; COMBINATIONS]; rows.len()];
        for block in 0..self.len / LANES {
            let drawn: [_; LANES] = std::array::from_fn(|lane| drawn(block * LANES + lane));
            for (sums, (_, row)) in sums.iter_mut().zip(rows) {
                let (low, high) = row[block * 64..][..64].split_at(LANES);
                for ((low, high), drawn) in low.iter().zip(high).zip(&drawn) {
                    let log = self.field.log(u16::from_le_bytes([*low, *high]));
                    if log != ZERO {
                        let add =
                            |(sum, drawn): (&mut u16, &u32)| *sum ^= self.field.exp(log + drawn);
                        sums.iter_mut().zip(drawn).for_each(add);
                    }
                }
            }
        }
        sums
    }
}

/// The logarithms of what a column is multiplied by in each combination: always the same, by SplitMix64.
fn drawn(column: usize) -> [u32; COMBINATIONS] {
    let mut state = column as u64 * COMBINATIONS as u64;
    std::array::from_fn(|_| {
        state += 1;
        let mut drawn = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        drawn = (drawn ^ drawn >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((drawn ^ drawn >> 31) % u64::from(ORDER)).unwrap_or(0)
    })
}

/// Makes a column a sequence in which each wrong cell that is not known, at the point `p`, has a term `E'·pᵃ`.
///
/// With `W(x)` the product of `x ⊕ q` over the points `q` of all rows, and `K(x)` that of `x ⊕ k` over the points `k` of all cells that are known to be lost or wrong, the sum over all `q` of
/// `qᵃ·K(q)/W'(q)/(p ⊕ q)` is `pᵃ·K(p)/W(p)`, as long as `a` is below the number of rows less that of known cells. That is Lagrange's formula; the terms of known cells are 0.
pub(super) struct PowerSums<'a> {
    field: &'a Field,
    /// For each row, the logarithm of `K(q)/W'(q)` by the factor of the row, and that of `q`.
    rows: Vec<(u32, u32)>,
    len: usize,
}

impl<'a> PowerSums<'a> {
    pub(super) fn new(
        field: &'a Field,
        code: Code,
        rows: &[(usize, Vec<u8>)],
        known: &[usize],
    ) -> Self {
        let points: Vec<u16> = rows.iter().map(|(number, _)| code.recovery_at(*number)).collect();
        let known_at: Vec<u16> = known.iter().map(|cell| code.original_at(*cell)).collect();
        let order = u64::from(ORDER);
        let product = |points: &[u16], at: u16| {
            let others = points.iter().filter(|point| **point != at);
            others.map(|point| u64::from(field.log(point ^ at))).sum::<u64>() % order
        };
        let log = |number: u16| u64::from(field.log(number));
        let row = |((number, _), at): (&(usize, Vec<u8>), &u16)| {
            let below = product(&points, *at) + log(code.factor(*number));
            let factor = (product(&known_at, *at) + 2 * order - below) % order;
            (u32::try_from(factor).unwrap_or(0), field.log(*at))
        };
        Self {
            field,
            rows: rows.iter().zip(&points).map(row).collect(),
            len: rows.len().saturating_sub(known.len()),
        }
    }

    /// How many terms a sequence has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The sequence of a column.
    pub(super) fn of(&self, column: &[u16]) -> Vec<u16> {
        let mut sums = vec![0; self.len];
        // Logarithms of what is added next, and of what it is multiplied by then.
        let mut terms: Vec<(u32, u32)> = Vec::with_capacity(column.len());
        for (number, (factor, at)) in column.iter().zip(&self.rows) {
            match self.field.log(*number) {
                ZERO => {}
                // The point 0 to the power 0 is 1, and 0 to all others.
                log if *at == ZERO => {
                    sums.iter_mut().take(1).for_each(|sum| *sum ^= self.field.exp(log + factor));
                }
                log => terms.push(((log + factor) % ORDER, *at)),
            }
        }
        for sum in &mut sums {
            for (log, at) in &mut terms {
                *sum ^= self.field.exp(*log);
                *log += *at;
                *log -= if *log >= ORDER { ORDER } else { 0 };
            }
        }
        sums
    }
}

/// How many sums of all columns are made.
pub(super) const COMBINATIONS: usize = 16;

/// Symbols in 64 bytes of a shard: first the low bytes of all, then the high bytes.
const LANES: usize = 32;

/// Rows that a thread takes at once.
const ROWS_AT_ONCE: usize = 64;
