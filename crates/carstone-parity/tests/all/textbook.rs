//! The code of section 14.3 of the format by its definition: slow, and without the library.

use std::collections::BTreeMap;
use std::ops::Range;

pub const BASIS: [u16; 16] = [
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72, 0xB900,
    0xFDB8, 0xFB34, 0xFF38, 0x991E,
];

/// A field element as a polynomial in x over GF(2), modulo 0x1002D.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element(pub u16);

impl Element {
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(1);

    /// The element of a number: the sum of the basis elements of its bits.
    pub fn of(number: u16) -> Self {
        let bits = (0..16).filter(|bit| number >> bit & 1 == 1);
        Self(bits.fold(0, |sum, bit| sum ^ BASIS[bit]))
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// By shifts and additions.
    pub fn times(self, other: Self) -> Self {
        let (mut product, mut shifted) = (0, u32::from(self.0));
        for bit in 0..16 {
            if other.0 >> bit & 1 == 1 {
                product ^= shifted;
            }
            shifted <<= 1;
            if shifted >> 16 == 1 {
                shifted ^= 0x1_002D;
            }
        }
        Self(product as u16)
    }

    /// 1 divided by it: its power 2¹⁶ − 2.
    pub fn inverse(self) -> Self {
        let (mut power, mut inverse) = (self, Self::ONE);
        for _ in 1..16 {
            power = power.times(power);
            inverse = inverse.times(power);
        }
        inverse
    }
}

/// The elements and their numbers.
struct Field {
    numbers: Vec<u16>,
}

impl Field {
    fn new() -> Self {
        let mut numbers = vec![0; 1 << 16];
        for number in 0..=u16::MAX {
            numbers[usize::from(Element::of(number).0)] = number;
        }
        Self { numbers }
    }

    fn number(&self, element: Element) -> u16 {
        self.numbers[usize::from(element.0)]
    }

    /// The symbols of a shard of 64 bytes.
    fn symbols(shard: &Shard) -> [Element; 32] {
        std::array::from_fn(|at| Element::of(u16::from_le_bytes([shard[at], shard[32 + at]])))
    }

    /// The shard of these symbols.
    fn shard(&self, symbols: &[Element; 32]) -> Shard {
        let mut shard = [0; 64];
        for (at, symbol) in symbols.iter().enumerate() {
            [shard[at], shard[32 + at]] = self.number(*symbol).to_le_bytes();
        }
        shard
    }
}

/// A shard of 64 bytes: 32 symbols.
pub type Shard = [u8; 64];

/// Where the shards of a zone stand in the field, as numbers of elements: the fewer ones from 0 on, the others from `block` on.
pub struct Code {
    field: Field,
    pub block: u16,
    pub originals: Range<u16>,
    pub recoveries: Range<u16>,
}

impl Code {
    pub fn new(originals: u16, recoveries: u16) -> Self {
        let block = originals.min(recoveries).next_power_of_two();
        let (low, high) = (|count| 0..count, |count| block..block + count);
        let (originals, recoveries) = if originals >= recoveries {
            (high(originals), low(recoveries))
        } else {
            (low(originals), high(recoveries))
        };
        Self { field: Field::new(), block, originals, recoveries }
    }

    /// What each original counts in the recovery at a place: through the originals of each block goes a polynomial of a degree below `block`, and the recovery
    /// is the sum of their values there. This is the polynomial that is 1 at the original and 0 elsewhere in its block.
    pub fn weights(&self, at: u16) -> Vec<Element> {
        let one_only = |original: u16| {
            let first = original - original % self.block;
            let others = (first..first + self.block).filter(|other| *other != original);
            let quotient = others.fold((Element::ONE, Element::ONE), |(above, below), other| {
                let other = Element::of(other);
                let above = above.times(Element::of(at).plus(other));
                (above, below.times(Element::of(original).plus(other)))
            });
            quotient.0.times(quotient.1.inverse())
        };
        self.originals.clone().map(one_only).collect()
    }

    pub fn recover(&self, originals: &[Shard]) -> Vec<Shard> {
        let originals: Vec<_> = originals.iter().map(Field::symbols).collect();
        let recovery = |at| {
            let mut sum = [Element::ZERO; 32];
            for (weight, original) in self.weights(at).into_iter().zip(&originals) {
                add(&mut sum, weight, original);
            }
            self.field.shard(&sum)
        };
        self.recoveries.clone().map(recovery).collect()
    }

    /// The missing originals, from as many recoveries: each is an equation.
    pub fn restore(
        &self,
        originals: &BTreeMap<u16, Shard>,
        recoveries: &BTreeMap<u16, Shard>,
    ) -> BTreeMap<u16, Shard> {
        let count = self.originals.end - self.originals.start;
        let missing: Vec<u16> = (0..count).filter(|at| !originals.contains_key(at)).collect();
        assert!(missing.len() <= recoveries.len());
        let equation = |(number, shard): (&u16, &Shard)| {
            let weights = self.weights(self.recoveries.start + number);
            let mut right = Field::symbols(shard);
            for (at, original) in originals {
                add(&mut right, weights[usize::from(*at)], &Field::symbols(original));
            }
            let left = missing.iter().map(|at| weights[usize::from(*at)]).collect();
            (left, right)
        };
        let equations = recoveries.iter().take(missing.len()).map(equation).collect();
        let solved = solve(equations).into_iter().map(|symbols| self.field.shard(&symbols));
        missing.into_iter().zip(solved).collect()
    }
}

/// Adds a multiple of a row.
fn add(sum: &mut [Element], factor: Element, row: &[Element]) {
    for (symbol, other) in sum.iter_mut().zip(row) {
        *symbol = symbol.plus(factor.times(*other));
    }
}

/// The unknowns of as many equations, by elimination.
fn solve(mut equations: Vec<(Vec<Element>, [Element; 32])>) -> Vec<[Element; 32]> {
    for column in 0..equations.len() {
        let pivot =
            (column..equations.len()).find(|row| equations[*row].0[column] != Element::ZERO);
        equations.swap(column, pivot.expect("any recoveries are independent"));
        let (left, right) = equations[column].clone();
        let unit = left[column].inverse();
        for (row, (other_left, other_right)) in equations.iter_mut().enumerate() {
            let factor = if row == column {
                unit.plus(Element::ONE)
            } else {
                other_left[column].times(unit)
            };
            add(other_left, factor, &left);
            add(other_right, factor, &right);
        }
    }
    equations.into_iter().map(|(_, right)| right).collect()
}
