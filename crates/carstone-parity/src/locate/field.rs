//! The field of section 14.3, by logarithms.

use reed_solomon_simd::engine::tables::get_exp_log;

/// The elements of the field, and their logarithms.
///
/// A number is an element in the basis of the format.
#[derive(Debug)]
pub(super) struct Field {
    exp: Vec<u16>,
    log: Vec<u32>,
}

impl Field {
    pub(super) fn new() -> Self {
        let tables = get_exp_log();
        let element = |log: usize| tables.exp.get(log % ORDER as usize).copied().unwrap_or(0);
        let zeros = std::iter::repeat_n(0, ZERO as usize + 1);
        let log = |number: &u16| {
            if *number == 0 { ZERO } else { u32::from(tables.log[*number as usize]) }
        };
        Self {
            exp: (0..ZERO as usize).map(element).chain(zeros).collect(),
            log: (0..=u16::MAX).map(|number| log(&number)).collect(),
        }
    }

    /// The logarithm of an element, below [`ORDER`]; [`ZERO`] that of 0.
    pub(super) fn log(&self, number: u16) -> u32 {
        self.log[number as usize]
    }

    /// The element of a logarithm, or of the sum of two.
    pub(super) fn exp(&self, log: u32) -> u16 {
        self.exp[log as usize]
    }

    /// The product of two elements.
    pub(super) fn times(&self, a: u16, b: u16) -> u16 {
        self.exp(self.log(a) + self.log(b))
    }
}

/// How many elements are not 0.
pub(super) const ORDER: u32 = 65_535;

/// The logarithm of 0: it and its sum with any other are beyond all sums of two logarithms.
pub(super) const ZERO: u32 = 2 * ORDER;
