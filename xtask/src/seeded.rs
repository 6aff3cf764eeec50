//! Content that is made up, and the same on every machine: text, records, noise.

use std::fmt::Write as _;

/// A generator of numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit - 1`, all about as likely.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// Words as a language has them: few are common, most are rare.
    pub fn text(&mut self, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 16);
        let mut column = 0;
        while text.len() < length {
            // The product of two is small more often than not.
            let rank = self.below(128) * self.below(128);
            let from = text.len();
            word(rank, &mut text);
            column += text.len() - from + 1;
            let breaks = column > 90;
            text.push(if breaks { b'\n' } else { b' ' });
            column = if breaks { 0 } else { column };
        }
        text.truncate(length);
        text
    }

    /// Lines of JSON.
    pub fn records(&mut self, length: usize) -> Vec<u8> {
        let mut text = String::with_capacity(length + 128);
        let mut id = self.below(1 << 20);
        while text.len() < length {
            id += 1 + self.below(9);
            let (size, state, x) = (self.below(1 << 20), self.below(5), self.number());
            let states = ["new", "open", "held", "closed", "gone"];
            let _ = writeln!(
                text,
                r#"{{"id":{id},"state":"{}","size":{size},"token":"{x:016x}"}}"#,
                states[state as usize]
            );
        }
        text.truncate(length);
        text.into_bytes()
    }

    /// Bytes that do not compress.
    pub fn noise(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.number().to_le_bytes());
        let mut bytes: Vec<u8> = words.collect();
        bytes.truncate(length);
        bytes
    }

    /// One of the kinds above: of eight files five are text, two are records, one is noise. Also the ending that fits.
    pub fn file(&mut self, length: usize) -> (&'static str, Vec<u8>) {
        match self.below(8) {
            0..5 => ("txt", self.text(length)),
            5..7 => ("json", self.records(length)),
            _ => ("bin", self.noise(length)),
        }
    }
}

/// The word of a rank: common ones are short.
fn word(rank: u64, text: &mut Vec<u8>) {
    const SYLLABLES: [&str; 16] = [
        "ka", "re", "sto", "ne", "mi", "lo", "tan", "ve", "ri", "do", "sul", "pa", "en", "gra",
        "bi", "qu",
    ];
    let mut rest = rank;
    loop {
        text.extend_from_slice(SYLLABLES[(rest % 16) as usize].as_bytes());
        rest /= 16;
        if rest == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_same_seed_gives_the_same_file_of_the_asked_length() {
        for length in [0, 1, 7, 8, 9, 1000] {
            for seed in 0..20 {
                let (ending, bytes) = Random::new(seed).file(length);
                assert_eq!(bytes.len(), length);
                assert_eq!((ending, bytes), Random::new(seed).file(length));
            }
        }
        assert_ne!(Random::new(1).noise(16), Random::new(2).noise(16));
    }
}
