//! Which cells of a zone are wrong, where nothing tells (`docs/format.md`, section 14.3).
//!
//! A *syndrome* is a recovery cell xor the one that the cells as they are give: one number for each symbol of a cell, and one *column* of numbers for each symbol,
//! with a row for each recovery cell. Where the cell at the point `p` is wrong by `E`, the syndrome at the point `q` has a term `E·b/(p ⊕ q)` with a factor `b` that
//! depends on `p` alone or on `q` alone. So a column is a rational function of `q` whose poles are the points of the wrong cells, and the poles are the same in all columns.
//! Sums over all `q` make it a sequence with a term `E'·pᵃ` for each wrong cell ([`columns`]); the shortest recurrence that the sequences of some columns
//! have in common has those `p` as its roots ([`recurrence`]).

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::Error;
use crate::workers::{into_inner, lock, share};
use columns::{COMBINATIONS, Columns, PowerSums};
use field::Field;
use recurrence::Recurrence;

mod columns;
mod field;
mod recurrence;

#[cfg(test)]
mod tests;

/// The code of a zone: how many cells and recovery cells it has, lost ones included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    pub(crate) originals: usize,
    pub(crate) recoveries: usize,
}

/// Says which of the cells `suspects` are wrong; `None` where it cannot be told.
///
/// `syndromes` are those of the recovery cells that are left, by their numbers, in which the cells `lost` count as zeros. With `spare` more of them than cells are lost, up to half of
/// `spare` wrong cells are told however they are wrong, and all but two or three of `spare` where what they are wrong by is independent, as noise is. Single bits in many cells are told where
/// no symbol is wrong in half of `spare` of them. `c` columns tell at most `c/(c + 1)` of `spare`, and are taken as long as `c·spare²` is within `effort`. As far as syndromes are left
/// over, what is told explains them, but for a chance of 2⁻⁶⁴.
///
/// # Errors
/// None of its own.
pub(crate) fn locate(
    code: Code,
    syndromes: &[(usize, Vec<u8>)],
    lost: &[usize],
    suspects: &[usize],
    effort: usize,
    threads: usize,
) -> Result<Option<Vec<usize>>, Error> {
    let field = Field::new();
    let columns = Columns::new(&field, syndromes);
    let combinations = columns.combinations(threads)?;
    let mut known = lost.to_vec();
    let mut located = BTreeSet::new();
    for _ in 0..ROUNDS {
        let suspects = suspects.iter().filter(|cell| !located.contains(*cell)).copied();
        let sums = PowerSums::new(&field, code, syndromes, &known);
        let work = Work {
            field: &field,
            columns: &columns,
            columns_at_most: (effort / sums.len().pow(2).max(1)).max(1),
            sums,
            points: suspects.map(|cell| (cell, code.original_at(cell))).collect(),
            threads,
        };
        let combined = work.sums_of(&combinations)?;
        let (told, is_all) = match combined.iter().flatten().all(|sum| *sum == 0) {
            true => (Vec::new(), true),
            false => match work.together(combined)? {
                Some(told) => (told, true),
                // What the columns tell one by one leaves fewer for all together.
                None => (work.one_by_one()?, false),
            },
        };
        located.extend(told.iter().copied());
        if is_all {
            return Ok(Some(located.into_iter().collect()));
        }
        known.extend(&told);
        if told.is_empty() || known.len() > syndromes.len() {
            break;
        }
    }
    Ok(None)
}

impl Code {
    /// The power of two of section 14.3.
    fn chunk(self) -> usize {
        self.originals.min(self.recoveries).next_power_of_two()
    }

    /// Whether originals stand behind recoveries.
    fn is_high(self) -> bool {
        self.originals >= self.recoveries
    }

    /// The point of a cell.
    fn original_at(self, number: usize) -> u16 {
        narrow(if self.is_high() { self.chunk() + number } else { number })
    }

    /// The point of a recovery cell.
    fn recovery_at(self, number: usize) -> u16 {
        narrow(if self.is_high() { number } else { self.chunk() + number })
    }

    /// What all terms of a recovery cell are multiplied by.
    fn factor(self, number: usize) -> u16 {
        let chunk = self.chunk();
        narrow(if self.is_high() { 1 } else { (chunk + number) / chunk })
    }
}

/// Points of the layout are below 2¹⁶.
fn narrow(point: usize) -> u16 {
    u16::try_from(point).unwrap_or(u16::MAX)
}

/// One round, in which some cells are known to be lost or wrong.
struct Work<'a> {
    field: &'a Field,
    columns: &'a Columns<'a>,
    columns_at_most: usize,
    sums: PowerSums<'a>,
    /// Cells that may be wrong, and their points.
    points: Vec<(usize, u16)>,
    threads: usize,
}

impl Work<'_> {
    /// The power sums of some columns.
    fn sums_of(&self, columns: &[Vec<u16>]) -> Result<Vec<Vec<u16>>, Error> {
        let made = columns.iter().map(|_| Mutex::new(Vec::new())).collect::<Vec<_>>();
        share(
            self.threads,
            0..columns.len(),
            || (),
            |job, ()| {
                *lock(&made[job]) = self.sums.of(&columns[job]);
                Ok(())
            },
        )?;
        let take = |sums: Mutex<_>| into_inner(sums);
        Ok(made.into_iter().map(take).collect())
    }

    /// All wrong cells, from as many columns together as it takes; `combined` are the sums of all combinations.
    fn together(&self, mut combined: Vec<Vec<u16>>) -> Result<Option<Vec<usize>>, Error> {
        let len = self.sums.len();
        let check = combined.split_off(SOLVED);
        let mut sequences = combined;
        // More than there are terms tell nothing more.
        let most = len.min(MOST_TOGETHER).min(self.columns_at_most);
        let mut count = 1;
        loop {
            if count > sequences.len() {
                let spread = self.columns.spread(count - SOLVED);
                let columns: Vec<Vec<u16>> = spread.map(|at| self.columns.at(at)).collect();
                sequences.truncate(SOLVED);
                sequences.extend(self.sums_of(&columns)?);
            }
            let used = &sequences[..count.min(sequences.len())];
            let found = Recurrence::shortest(self.field, used);
            if (len - found.len()) * used.len() > found.len()
                && check.iter().all(|sums| found.holds(self.field, sums))
                && let Some(cells) = self.cells(&found)
            {
                return Ok(Some(cells));
            }
            if count >= most || used.len() < count {
                return Ok(None);
            }
            count = (count * 4).min(most);
        }
    }

    /// Cells that single columns tell to be wrong, where few of them are in each.
    fn one_by_one(&self) -> Result<Vec<usize>, Error> {
        let len = self.sums.len();
        let found = Mutex::new(BTreeSet::new());
        let look = |columns: Vec<usize>| {
            share(
                self.threads,
                0..columns.len(),
                || (),
                |job, ()| {
                    let sums = [self.sums.of(&self.columns.at(columns[job]))];
                    let alone = Recurrence::shortest(self.field, &sums);
                    // Two more terms than it takes: a recurrence by chance is not taken for one.
                    if alone.len() * 2 + 2 <= len
                        && let Some(cells) = self.cells(&alone)
                    {
                        lock(&found).extend(cells);
                    }
                    Ok(())
                },
            )
        };
        let all = self.columns.len().min(self.columns_at_most);
        look(self.columns.spread(all.min(TRIED)).collect())?;
        let is_none = lock(&found).is_empty();
        if !is_none {
            look(self.columns.spread(all).collect())?;
        }
        Ok(into_inner(found).into_iter().collect())
    }

    /// The cells whose points are the roots of a recurrence; `None` where it has others.
    fn cells(&self, found: &Recurrence) -> Option<Vec<usize>> {
        let is_root = |(_, point): &&(usize, u16)| found.has_root(self.field, *point);
        let cells: Vec<usize> = self.points.iter().filter(is_root).map(|(cell, _)| *cell).collect();
        (cells.len() == found.len()).then_some(cells)
    }
}

/// So often cells that were told are taken for lost, and the others looked for again.
const ROUNDS: usize = 4;

/// Combinations of columns that tell; the others only check what these told.
const SOLVED: usize = COMBINATIONS - 4;

/// Columns from which a recurrence is had at most.
const MOST_TOGETHER: usize = 512;

/// Columns that are tried one by one before all others are.
const TRIED: usize = 32;
