//! The keys of a map that is read, none of which may come twice.

use std::borrow::Cow;

/// The keys of a map so far.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    keys: Vec<Cow<'a, [u8]>>,
    unsorted: bool,
}

impl<'a> Keys<'a> {
    pub(super) fn add(&mut self, key: Cow<'a, [u8]>) {
        // Nearly all maps are sorted, the shorter keys first: then each key is compared with one other.
        let after = self.keys.last().is_none_or(|last| rank(last) < rank(&key));
        self.unsorted |= !after;
        self.keys.push(key);
    }

    /// Whether no key came twice, once all are known.
    pub(super) fn are_distinct(mut self) -> bool {
        if !self.unsorted {
            return true;
        }
        self.keys.sort_unstable();
        self.keys.windows(2).all(|pair| pair[0] != pair[1])
    }
}

fn rank(key: &[u8]) -> (usize, &[u8]) {
    (key.len(), key)
}
