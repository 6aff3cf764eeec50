//! Numbers in the order of their keys, found by the upper bits of a key.

/// Finds numbers by keys of 64 bits. Keys that are spread evenly are found at once, others by halving.
pub(super) struct Index {
    /// Says of the lower bits of a key whether there is one like it: a word for each few numbers, three bits in it for each.
    filter: Vec<u64>,
    order: Vec<u32>,
    /// Where the keys of each value of the upper bits begin.
    starts: Vec<u32>,
    upper: u32,
}

impl Index {
    /// `order` is sorted by `key`.
    pub(super) fn new(order: Vec<u32>, key: impl Fn(u32) -> u64) -> Self {
        let upper = order.len().max(2).ilog2();
        let words = 1 << (order.len() / 2).max(64).ilog2().min(MAX_FILTER_LOG);
        let mut filter = vec![0; words];
        let mut starts = Vec::with_capacity((1 << upper) + 1);
        for (at, number) in (0..).zip(&order) {
            let key = key(*number);
            let (word, bits) = place(key, words);
            filter[word] |= bits;
            while starts.len() as u64 <= key >> (64 - upper) {
                starts.push(at);
            }
        }
        let end = u32::try_from(order.len()).unwrap_or(u32::MAX);
        starts.resize((1 << upper) + 1, end);
        Self { filter, order, starts, upper }
    }

    /// Whether there may be a number of this key: `false` for 99 of 100 that are not there, where there are not millions of numbers.
    pub(super) fn may_have(&self, key: u64) -> bool {
        let (word, bits) = place(key, self.filter.len());
        self.filter[word] & bits == bits
    }

    /// All numbers whose key is `wanted`.
    pub(super) fn get(&self, wanted: u64, key: impl Fn(u32) -> u64) -> &[u32] {
        let bucket = usize::try_from(wanted >> (64 - self.upper)).unwrap_or(usize::MAX);
        let Some([from, to]) = self.starts.get(bucket..).and_then(|starts| starts.first_chunk())
        else {
            return &[];
        };
        let bucket = &self.order[*from as usize..*to as usize];
        let from = bucket.partition_point(|number| key(*number) < wanted);
        let rest = &bucket[from..];
        &rest[..rest.partition_point(|number| key(*number) == wanted)]
    }
}

/// The word of the filter and three bits of it; `words` is a power of two.
fn place(key: u64, words: usize) -> (usize, u64) {
    let word = usize::try_from(key >> 18 & (words as u64 - 1)).unwrap_or(0);
    (word, 1 << (key & 63) | 1 << (key >> 6 & 63) | 1 << (key >> 12 & 63))
}

/// The logarithm of the most words of the filter, so that it stays in a cache near the processor.
const MAX_FILTER_LOG: u32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_keys_that_are_even_or_not() {
        let even = |number: u32| u64::from(number / 2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let low = |number: u32| u64::from(number / 3);
        let high = |number: u32| u64::MAX - u64::from(number / 5);
        for key in [&even as &dyn Fn(u32) -> u64, &low, &high] {
            for count in [0, 1, 2, 3, 100, 1_000] {
                let mut order: Vec<u32> = (0..count).collect();
                order.sort_by_key(|number| key(*number));
                let index = Index::new(order, key);
                for number in 0..count + 10 {
                    let wanted = key(number);
                    let mut same: Vec<u32> = (0..count).filter(|n| key(*n) == wanted).collect();
                    let mut got = index.get(wanted, key).to_vec();
                    same.sort_unstable();
                    got.sort_unstable();
                    assert_eq!(got, same);
                    assert!(same.is_empty() || index.may_have(wanted));
                }
            }
        }
    }
}
