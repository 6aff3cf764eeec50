//! The ways in which packs are damaged. They know nothing of the format.

use crate::seeded::Random;

/// A way to damage a pack.
pub struct Kind {
    pub name: &'static str,
    pub apply: fn(&mut Vec<u8>, &mut Random),
}

const fn kind(name: &'static str, apply: fn(&mut Vec<u8>, &mut Random)) -> Kind {
    Kind { name, apply }
}

pub const KINDS: &[Kind] = &[
    kind("nothing", |_, _| ()),
    kind("1 bit flipped", |bytes, random| flip(bytes, random)),
    kind("burst of 32 bits", |bytes, random| {
        let at = place(bytes, 4, random);
        let word = (random.number() as u32 | 0x8000_0001).to_le_bytes();
        bytes[at..].iter_mut().zip(word).for_each(|(byte, flips)| *byte ^= flips);
    }),
    kind("40 bits flipped", |bytes, random| (0..40).for_each(|_| flip(bytes, random))),
    kind("4 KiB zeroed", |bytes, random| {
        let at = place(bytes, 4096, random);
        bytes[at..].iter_mut().take(4096).for_each(|byte| *byte = 0);
    }),
    kind("1 byte inserted", |bytes, random| {
        let at = place(bytes, 1, random);
        bytes.insert(at, random.number() as u8);
    }),
    kind("1 byte removed", |bytes, random| {
        bytes.remove(place(bytes, 1, random));
    }),
    kind("4 KiB duplicated", |bytes, random| {
        let at = place(bytes, 4096, random);
        let copy: Vec<u8> = bytes[at..].iter().take(4096).copied().collect();
        bytes.splice(at..at, copy);
    }),
    kind("two times 64 KiB swapped", |bytes, random| {
        let len = (64 << 10).min(bytes.len() / 4);
        let half = bytes.len() / 2;
        let a = random.below((half - len) as u64) as usize;
        let b = half + random.below((half - len) as u64) as usize;
        for n in 0..len {
            bytes.swap(a + n, b + n);
        }
    }),
    kind("cut at a random place", |bytes, random| bytes.truncate(place(bytes, 1, random))),
    kind("first 256 bytes zeroed", |bytes, _| bytes.iter_mut().take(256).for_each(|b| *b = 0)),
    kind("last 304 bytes gone", |bytes, _| bytes.truncate(bytes.len().saturating_sub(304))),
    kind("first 64 KiB gone", |bytes, _| drop(bytes.drain(..(64 << 10).min(bytes.len())))),
    kind("last 64 KiB gone", |bytes, _| bytes.truncate(bytes.len().saturating_sub(64 << 10))),
    kind("first and last 1 % gone", |bytes, _| {
        let part = bytes.len() / 100;
        bytes.truncate(bytes.len() - part);
        bytes.drain(..part);
    }),
];

fn place(bytes: &[u8], room: usize, random: &mut Random) -> usize {
    random.below(bytes.len().saturating_sub(room) as u64) as usize
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = place(bytes, 1, random);
    bytes[at] ^= 1 << random.below(8);
}
