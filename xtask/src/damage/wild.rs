//! Wilder damage than that of the matrix. Of the format it knows how frames begin, and nothing else.

use std::ops::Range;

use super::kinds::KINDS;
use super::pathological::MAGIC;
use crate::seeded::Random;

/// Damages `bytes` in one to five ways, and tells them. Parts of `other` may get in.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) -> Vec<&'static str> {
    let ways = [1, 1, 1, 1, 2, 2, 3, 5][up_to(random, 8)];
    (0..ways).map(|_| once(bytes, other, random)).collect()
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) -> &'static str {
    // What is smaller has nothing left to be damaged.
    if bytes.len() < 16 {
        return "nothing";
    }
    let way = up_to(random, KINDS.len() + WILD.len());
    match (KINDS.get(way), way.checked_sub(KINDS.len()).and_then(|way| WILD.get(way))) {
        (Some(kind), _) => {
            (kind.apply)(bytes, random);
            kind.name
        }
        (None, Some((name, apply))) => {
            apply(bytes, other, random);
            name
        }
        (None, None) => "nothing",
    }
}

type Apply = fn(&mut Vec<u8>, &[u8], &mut Random);

const WILD: &[(&str, Apply)] = &[
    ("a page of zeros", |bytes, _, random| {
        let page = 512 << up_to(random, 4);
        let at = up_to(random, bytes.len()) / page * page;
        bytes[at..].iter_mut().take(page).for_each(|byte| *byte = 0);
    }),
    ("a range of ones", |bytes, _, random| {
        let range = range(bytes, 2000, random);
        bytes[range].fill(0xff);
    }),
    ("a range of noise", |bytes, _, random| {
        let range = range(bytes, 5000, random);
        let noise = random.noise(range.len());
        bytes[range].copy_from_slice(&noise);
    }),
    ("a range gone", |bytes, _, random| drop(bytes.drain(range(bytes, 70_000, random)))),
    ("a range copied over another", |bytes, _, random| {
        let range = range(bytes, 8000, random);
        let at = up_to(random, bytes.len() - range.len());
        bytes.copy_within(range, at);
    }),
    ("noise inserted", |bytes, _, random| {
        let (at, len) = (up_to(random, bytes.len()), up_to(random, 9000));
        bytes.splice(at..at, random.noise(len));
    }),
    ("pieces shuffled", |bytes, _, random| {
        let mut cuts: Vec<_> =
            (0..1 + up_to(random, 6)).map(|_| up_to(random, bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        *bytes = shuffled(bytes, pieces, random);
    }),
    ("frames shuffled", |bytes, _, random| {
        let frames = frames(bytes);
        *bytes = shuffled(bytes, frames, random);
    }),
    ("two frames swapped", |bytes, _, random| {
        let mut frames = frames(bytes);
        let (a, b) = (up_to(random, frames.len()), up_to(random, frames.len()));
        frames.swap(a, b);
        *bytes = joined(bytes, &frames);
    }),
    ("a frame repeated", |bytes, _, random| {
        let mut frames = frames(bytes);
        let copy = frames[up_to(random, frames.len())].clone();
        frames.insert(up_to(random, frames.len() + 1), copy);
        *bytes = joined(bytes, &frames);
    }),
    ("a frame gone", |bytes, _, random| {
        let frames = frames(bytes);
        bytes.drain(frames[up_to(random, frames.len())].clone());
    }),
    ("a frame of another pack instead", |bytes, other, random| {
        let (ours, theirs) = (frames(bytes), frames(other));
        let n = up_to(random, ours.len());
        // In the same place, or anywhere.
        let m = if random.below(2) == 0 { n } else { up_to(random, theirs.len()) };
        let foreign = other[theirs[m.min(theirs.len() - 1)].clone()].to_vec();
        bytes.splice(ours[n].clone(), foreign);
    }),
    ("frames of another pack between", |bytes, other, random| {
        let (ours, theirs) = (frames(bytes), frames(other));
        let at = ours[up_to(random, ours.len())].start;
        let first = up_to(random, theirs.len());
        let foreign = theirs.iter().skip(first).take(1 + up_to(random, 4));
        let foreign: Vec<u8> = foreign.flat_map(|frame| &other[frame.clone()]).copied().collect();
        bytes.splice(at..at, foreign);
    }),
    ("bits of heads flipped", |bytes, _, random| {
        let frames = frames(bytes);
        for _ in 0..1 + up_to(random, 12) {
            let head = frames[up_to(random, frames.len())].clone();
            let at = head.start + up_to(random, head.len().min(96));
            bytes[at] ^= 1 << random.below(8);
        }
    }),
    ("bits of the ends flipped", |bytes, _, random| {
        for _ in 0..1 + up_to(random, 12) {
            let at = match random.below(2) {
                0 => up_to(random, bytes.len().min(256)),
                _ => bytes.len() - 1 - up_to(random, bytes.len().min(304)),
            };
            bytes[at] ^= 1 << random.below(8);
        }
    }),
    ("a byte of each 4 KiB changed", |bytes, _, random| {
        let step = up_to(random, 4096);
        bytes.iter_mut().skip(step).step_by(4096).for_each(|byte| *byte ^= 0x5a);
    }),
    ("both ends cut off", |bytes, _, random| {
        let last = up_to(random, bytes.len() / 2);
        bytes.truncate(bytes.len() - last);
        bytes.drain(..up_to(random, bytes.len() / 2));
    }),
    ("another pack before", |bytes, other, random| {
        let noise = some_noise(random);
        bytes.splice(..0, [other, &noise].concat());
    }),
    ("another pack behind", |bytes, other, random| {
        bytes.extend(some_noise(random));
        bytes.extend_from_slice(other);
    }),
    ("itself behind", |bytes, _, random| {
        let copy = bytes.clone();
        bytes.extend(some_noise(random));
        bytes.extend(copy);
    }),
    ("a part of another pack over it", |bytes, other, random| {
        let range = range(bytes, 60_000, random);
        let from = up_to(random, other.len());
        for (byte, foreign) in bytes[range].iter_mut().zip(&other[from..]) {
            *byte = *foreign;
        }
    }),
    ("marks strewn in", |bytes, _, random| {
        for _ in 0..1 + up_to(random, 30) {
            let at = up_to(random, bytes.len() - 8);
            let mark = [&MAGIC, b"\x89CSTN\r\n\x1a", b"\x1a\r\nNTSC\x89", b"\x89CSPO\r\n\x1a"];
            bytes[at..at + 8].copy_from_slice(mark[up_to(random, 4)]);
        }
    }),
];

/// From each mark of a frame to the next; the first piece is what stands before all marks.
fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let marks = (0..bytes.len().saturating_sub(7)).filter(|&at| bytes[at..].starts_with(&MAGIC));
    let mut starts: Vec<usize> = [0].into_iter().chain(marks).collect();
    starts.dedup();
    starts.push(bytes.len());
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

fn joined(bytes: &[u8], pieces: &[Range<usize>]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| &bytes[piece.clone()]).copied().collect()
}

fn shuffled(bytes: &[u8], mut pieces: Vec<Range<usize>>, random: &mut Random) -> Vec<u8> {
    for n in (1..pieces.len()).rev() {
        pieces.swap(n, up_to(random, n + 1));
    }
    joined(bytes, &pieces)
}

/// Some bytes, fewer more often than many.
fn range(bytes: &[u8], most: usize, random: &mut Random) -> Range<usize> {
    let room = up_to(random, most) + 1;
    let len = (1 + up_to(random, room)).min(bytes.len() / 2);
    let at = up_to(random, bytes.len() - len);
    at..at + len
}

/// What may stand between packs.
fn some_noise(random: &mut Random) -> Vec<u8> {
    let len = up_to(random, 3) * 700;
    random.noise(len)
}

/// A number from 0 to `limit - 1`, or 0.
fn up_to(random: &mut Random, limit: usize) -> usize {
    random.below(limit as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_damages_in_the_same_way_whatever_is_there() {
        let whole = [&MAGIC[..], &[7; 200], &MAGIC, &[9; 400]].concat();
        for seed in 0..3000 {
            for len in [0, 1, 15, 16, 17, 200, whole.len()] {
                let damage = || {
                    let mut bytes = whole[..len].to_vec();
                    let ways = mutate(&mut bytes, &whole, &mut Random::new(seed));
                    (ways, bytes)
                };
                assert_eq!(damage(), damage());
            }
        }
    }
}
