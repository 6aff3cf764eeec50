//! Sharded directories: where a name belongs.

/// Slots in a shard: a power of two from 8 to 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fanout {
    bits: u32,
}

impl Fanout {
    pub(crate) const F256: Self = Self { bits: 8 };

    pub(crate) fn new(slots: u64) -> Option<Self> {
        let allowed = slots.is_power_of_two() && (8..=MAX_SLOTS as u64).contains(&slots);
        allowed.then(|| Self { bits: slots.trailing_zeros() })
    }

    pub(crate) fn slots(self) -> usize {
        1 << self.bits
    }

    pub(crate) fn bits(self) -> u32 {
        self.bits
    }

    /// Hexadecimal digits of the highest slot.
    pub(crate) fn width(self) -> usize {
        self.bits.div_ceil(4) as usize
    }

    /// The slot of a name's hash on the level where `used` bits have been consumed; `None` when fewer bits
    /// are left than a slot needs. Bits are taken from the first byte, highest bit first.
    pub(crate) fn slot(self, hash: u64, used: u32) -> Option<usize> {
        let right = 64_u32.checked_sub(used.checked_add(self.bits)?)?;
        Some((hash >> right) as usize & (self.slots() - 1))
    }

    /// The slot that a link's name begins with.
    pub(crate) fn parse_slot(self, name: &[u8]) -> Option<usize> {
        let mut slot = 0;
        for digit in name.get(..self.width())? {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return None,
            };
            slot = slot << 4 | usize::from(value);
        }
        (slot < self.slots()).then_some(slot)
    }

    pub(crate) fn digits(self, slot: usize) -> [u8; 3] {
        // `[u8; 3]` holds the widest slot; shorter ones stand at the end.
        let digit = |shift: u32| b"0123456789ABCDEF"[slot >> shift & 15];
        [digit(8), digit(4), digit(0)]
    }
}

/// A shard's place: the hash bits that the shards above it have consumed, and its own fanout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    above: Prefix,
    fanout: Fanout,
}

/// The first bits of the hashes of all names in a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    used: u32,
    bits: u64,
}

impl Place {
    /// `None` when the shards above have consumed so many bits that no slot is left here.
    pub(crate) fn new(above: Prefix, fanout: usize) -> Option<Self> {
        let fanout = Fanout::new(fanout as u64)?;
        (above.used + fanout.bits <= 64).then_some(Self { above, fanout })
    }

    /// Takes a link's name apart: what the hashes of all names in its slot begin with, and the entry name.
    pub(crate) fn split<'a>(&self, name: &'a [u8]) -> Option<(Prefix, &'a [u8])> {
        let slot = self.fanout.parse_slot(name)?;
        let bits = self.above.bits << self.fanout.bits | slot as u64;
        let prefix = Prefix { used: self.above.used + self.fanout.bits, bits };
        Some((prefix, &name[self.fanout.width()..]))
    }

    /// What the hashes of all names in the slot of a hash begin with.
    pub(crate) fn prefix_of(&self, hash: u64) -> Prefix {
        let used = self.above.used + self.fanout.bits;
        Prefix { used, bits: hash >> (64 - used) } // `new` saw to it that `used` is from 3 to 64.
    }
}

/// The hash that places `name`: murmur3-x64-64, whose first byte is the highest of this number.
pub(crate) fn hash_name(name: &[u8]) -> u64 {
    let mut rest = name;
    let hash = murmur3::murmur3_x64_128(&mut rest, 0).expect("reading from memory does not fail");
    hash as u64 // The first of its two halves.
}

/// Multihash code of the hash that places names.
pub(crate) const MURMUR3_X64_64: u64 = 0x22;
/// Beyond this a shard is an attack on its reader.
pub(crate) const MAX_SLOTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_from_8_to_1024_are_fanouts() {
        let allowed = (0..=4096).filter(|slots| Fanout::new(*slots).is_some()).collect::<Vec<_>>();
        assert_eq!(allowed, [8, 16, 32, 64, 128, 256, 512, 1024]);
        assert!(Fanout::new(1 << 63).is_none());
    }

    #[test]
    fn digits_and_slots_are_inverse() {
        for slots in [8, 16, 32, 256, 512, 1024] {
            let fanout = Fanout::new(slots).expect("allowed");
            for slot in 0..fanout.slots() {
                let digits = fanout.digits(slot);
                assert_eq!(fanout.parse_slot(&digits[3 - fanout.width()..]), Some(slot));
            }
        }
        assert_eq!(Fanout::F256.parse_slot(b"fF"), None);
        assert_eq!(Fanout::F256.parse_slot(b"F"), None);
        assert_eq!(Fanout::new(8).expect("allowed").parse_slot(b"8"), None);
    }

    #[test]
    fn slots_are_taken_from_the_highest_bits_until_they_run_out() {
        let hash = 0xabcd_ef01_2345_6789;
        assert_eq!(Fanout::F256.slot(hash, 0), Some(0xab));
        assert_eq!(Fanout::F256.slot(hash, 8), Some(0xcd));
        assert_eq!(Fanout::F256.slot(hash, 56), Some(0x89));
        assert_eq!(Fanout::F256.slot(hash, 64), None);
        let ten = Fanout::new(1024).expect("allowed");
        assert_eq!(ten.slot(hash, 0), Some(0xabc >> 2));
        assert_eq!(ten.slot(hash, 60), None);
    }
}
