//! The fuzzer's bytes, read as choices.

use arbitrary::Unstructured;

/// Choices, one after the other. When the bytes run out, every choice is the first or smallest one, so that every input means something.
pub(crate) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    pub(crate) fn u16(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// Small numbers, large ones, and those next to powers of two.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            0..=99 => u64::from(self.byte()),
            100..=179 => u64::from(self.u16()),
            180..=229 => {
                let (shift, by) = (self.byte() % 64, self.byte() % 5);
                (1_u64 << shift).wrapping_add(u64::from(by)).wrapping_sub(2)
            }
            _ => self.u64(),
        }
    }

    /// A number below `end`, or 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end.saturating_sub(1)).unwrap_or_default()
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// As many bytes as there are, up to `len`.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let len = len.min(self.0.len());
        self.0.bytes(len).unwrap_or_default()
    }

    /// A string of fewer than `end` bytes, its length first.
    pub(crate) fn text(&mut self, end: usize) -> &'a [u8] {
        let len = self.below(end);
        self.bytes(len)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }
}

/// Bytes without a pattern, the same for one seed. No input makes them what it wants them to be.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend_from_slice(&(word ^ word >> 31).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Inputs of choices to start from: short and long, the same each time.
pub(crate) fn choices() -> Vec<Vec<u8>> {
    let lens = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377];
    (0..).zip(lens).map(|(seed, len)| noise(seed, len)).collect()
}
