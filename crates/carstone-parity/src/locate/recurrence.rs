//! The shortest recurrence that several sequences have in common.

use super::field::{Field, ORDER};

/// A linear recurrence: with coefficients `σ`, `σ_0 = 1`, each term `s_n` from the `len`-th on satisfies `Σ σ_j·s_(n−j) = 0`.
///
/// Its roots are those of `Σ σ_j·x^(len−j)`: sequences of sums of their powers satisfy it.
#[derive(Debug)]
pub(super) struct Recurrence {
    len: usize,
    /// Logarithms of `σ_0`, `σ_1` …; those that are left out are 0.
    logs: Vec<u32>,
}

/// A recurrence that failed at a term of a sequence: by it a later one is put right.
struct Failed {
    len: usize,
    logs: Vec<u32>,
    at: usize,
    /// Logarithm of 1 by what it failed by.
    inverse: u32,
}

impl Recurrence {
    /// The shortest for all of `sequences`, which are of one length.
    ///
    /// The algorithm is that of Berlekamp and Massey for one sequence, and for several the one of Schmidt and Sidorenko ("Multi-sequence linear shift-register synthesis", 2006).
    /// Takes time in proportion to the number of sequences, their length, and the length of what is found.
    pub(super) fn shortest(field: &Field, sequences: &[Vec<u16>]) -> Self {
        let logs = |sequence: &Vec<u16>| sequence.iter().map(|term| field.log(*term)).collect();
        let sequences: Vec<Vec<u32>> = sequences.iter().map(logs).collect();
        let terms = sequences.first().map_or(0, Vec::len);
        let none = || Failed { len: 0, logs: Vec::new(), at: 0, inverse: 0 };
        let mut failed: Vec<Failed> = sequences.iter().map(|_| none()).collect();
        let mut found = Self { len: 0, logs: vec![field.log(1)] };
        let mut sigma = vec![1];
        for at in 1..=terms {
            for (sequence, failed) in sequences.iter().zip(&mut failed) {
                let differs = found.sum(field, &sequence[..at]);
                if differs == 0 {
                    continue;
                }
                let log = field.log(differs);
                let (shift, ratio) = (at - failed.at, (log + failed.inverse) % ORDER);
                let before = (at - found.len > failed.at - failed.len).then(|| found.logs.clone());
                if !failed.logs.is_empty() {
                    sigma.resize(sigma.len().max(failed.logs.len() + shift), 0);
                    found.logs.resize(sigma.len(), field.log(0));
                }
                let numbers = sigma.iter_mut().zip(&mut found.logs).skip(shift);
                for ((number, log), other) in numbers.zip(&failed.logs) {
                    *number ^= field.exp(ratio + other);
                    *log = field.log(*number);
                }
                if let Some(logs) = before {
                    let len = failed.len + shift;
                    *failed = Failed { len: found.len, logs, at, inverse: (ORDER - log) % ORDER };
                    found.len = len;
                }
            }
        }
        found
    }

    /// How many roots it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a sequence satisfies it.
    pub(super) fn holds(&self, field: &Field, sequence: &[u16]) -> bool {
        let logs: Vec<u32> = sequence.iter().map(|term| field.log(*term)).collect();
        (self.len + 1..=logs.len()).all(|at| self.sum(field, &logs[..at]) == 0)
    }

    /// Whether a point is one of its roots.
    pub(super) fn has_root(&self, field: &Field, point: u16) -> bool {
        let coefficients = self.logs.iter().map(|log| field.exp(*log)).chain(std::iter::repeat(0));
        let step = |sum: u16, coefficient| field.times(sum, point) ^ coefficient;
        coefficients.take(self.len + 1).fold(0, step) == 0
    }

    /// `Σ σ_j·s_(n−j)`, `s_n` being the last of these terms.
    fn sum(&self, field: &Field, logs: &[u32]) -> u16 {
        let products = self.logs.iter().zip(logs.iter().rev());
        products.fold(0, |sum, (a, b)| sum ^ field.exp(a + b))
    }
}
