//! How far a check goes, and what it comes to.

use crate::name::Hash;

/// How far a check goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Whether packs are read and verified, and compared with the index. Else only their lengths are looked at.
    pub read_data: bool,
    /// Only one part of the packs, I of N, counted from 0 on, so that several machines can share the work.
    pub part: Option<(u64, u64)>,
    /// Of these, read only one part, so that all are read in several checks.
    pub read_part: Option<(u64, u64)>,
}

impl CheckOptions {
    /// Sets whether packs are read.
    #[must_use]
    pub fn read_data(mut self, yes: bool) -> Self {
        self.read_data = yes;
        self
    }

    /// Sets which part of the packs is looked at.
    #[must_use]
    pub fn part(mut self, part: Option<(u64, u64)>) -> Self {
        self.part = part;
        self
    }

    /// Sets which part of the packs is read, of those that are looked at.
    #[must_use]
    pub fn read_part(mut self, part: Option<(u64, u64)>) -> Self {
        self.read_part = part;
        self
    }
}

/// What a check has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these packs, those that have a sidecar.
    pub protected: u64,
    /// Roots.
    pub roots: u64,
    /// What was found to be wrong.
    pub findings: u64,
}

/// Whether a pack is in a part.
pub(super) fn is_in(name: &Hash, part: Option<(u64, u64)>) -> bool {
    part.is_none_or(|(part, of)| part_of(name, of) == part)
}

/// Which of so many parts a pack is in.
fn part_of(name: &Hash, of: u64) -> u64 {
    let front = name.digest().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    front.checked_rem(of).unwrap_or(0)
}
