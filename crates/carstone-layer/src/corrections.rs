//! What strict readers put right, told beside what they read.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Correction;

/// Corrections that the strict readers of a stack have made, shared by all of them and by whoever wants to hear of them.
///
/// A strict reader that is given one puts small damage right, where a digest confirms it, instead of failing. Without it, any damage is an error.
#[derive(Clone, Debug, Default)]
pub struct Corrections(Arc<Mutex<Vec<Correction>>>);

impl Corrections {
    /// None has been made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a correction. The same place counts once, however often it is read; the first 65,536 are kept.
    pub fn note(&self, correction: Correction) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |made: &Correction| (made.layer, made.at);
        if let Err(place) = made.binary_search_by_key(&key(&correction), key)
            && made.len() < MOST
        {
            made.insert(place, correction);
        }
    }

    /// The corrections so far, by layer and place.
    #[must_use]
    pub fn made(&self) -> Vec<Correction> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerId;

    #[test]
    fn each_place_counts_once() {
        let corrections = Corrections::new();
        let at = |at| Correction::new(LayerId::COMPRESSION, at, 1);
        [7, 3, 7].into_iter().for_each(|place| corrections.clone().note(at(place)));
        assert_eq!(corrections.made(), [at(3), at(7)]);
    }
}
