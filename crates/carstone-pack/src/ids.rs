//! Sets of entry ids.

use std::collections::HashMap;

/// A set of numbers that mostly lie close together: a bit for each, and nothing for far stretches without any.
#[derive(Debug, Default)]
pub struct Ids(HashMap<u64, u64>);

impl Ids {
    /// Puts `id` in, and says whether it is new.
    pub fn insert(&mut self, id: u64) -> bool {
        let bits = self.0.entry(id / 64).or_default();
        let before = *bits;
        *bits |= 1 << (id % 64);
        *bits != before
    }

    /// Whether `id` is in it.
    pub fn contains(&self, id: u64) -> bool {
        self.0.get(&(id / 64)).is_some_and(|bits| bits & (1 << (id % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_wherever_they_lie() {
        let mut ids = Ids::default();
        for id in [0, 63, 64, 1 << 40, u64::MAX] {
            assert!(!ids.contains(id));
            assert!(ids.insert(id) && !ids.insert(id));
            assert!(ids.contains(id));
        }
        assert!(!ids.contains(1) && !ids.contains(65) && !ids.contains(u64::MAX - 1));
    }
}
