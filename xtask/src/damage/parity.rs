//! `cargo xtask damage --parity`: 8 MiB under 10 % parity, damaged in many ways, each with many seeds.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::Instant;

use anyhow::{Context, ensure};
use carstone::parity::{Memory, Options, Parity, Survey, find_descriptors, heal, protect};

use crate::seeded::Random;

/// Damages each stream so often; fails where one does not come back byte for byte.
pub fn run(trials: u64, seed: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    println!("8 MiB of noise, parity of 10 %, {trials} trials each from seed {seed} on.\n");
    println!("| damage | whole again | most of the budget used |\n|---|---:|---:|");
    let mut broken = Vec::new();
    for (name, damage) in KINDS {
        let (mut whole, mut most) = (0, 0.0_f64);
        for trial in 0..trials {
            let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(trial));
            let stream = random.noise(LEN);
            let parity = Memory::new();
            protect(&stream, &parity, &Options::default(), &|_| ())?;
            let parity = parity.into_bytes();
            ensure!(parity.len() * 10 <= stream.len(), "parity has {} bytes", parity.len());
            match damage(&mut random, &stream, &parity).heal() {
                Ok((healed, used)) if healed == stream => {
                    (whole, most) = (whole + 1, most.max(used))
                }
                Ok(_) => eprintln!("damage: {name}, trial {trial}: not whole"),
                Err(error) => eprintln!("damage: {name}, trial {trial}: {error:#}"),
            }
        }
        println!("| {name} | {whole} of {trials} | {:.1} % |", most * 100.0);
        if whole < trials {
            broken.push(*name);
        }
    }
    println!("\nIt took {:.0} s.", start.elapsed().as_secs_f64());
    ensure!(broken.is_empty(), "not all came back: {}", broken.join(", "));
    Ok(())
}

/// A stream and its parity, damaged: in two files, or one.
enum Damaged {
    Beside { stream: Vec<u8>, parity: Vec<u8> },
    Appended(Vec<u8>),
}

impl Damaged {
    /// What comes back, if all does, and how much of the budget that took.
    fn heal(&self) -> anyhow::Result<(Vec<u8>, f64)> {
        let threads = 2;
        let (stream, parity) = match self {
            Self::Beside { stream, parity } => (stream, Parity::open(&parity[..], threads)?),
            Self::Appended(both) => {
                let found = find_descriptors(&both[..])?.into_iter().next();
                let (descriptor, at) = found.context("no parity is found")?;
                (both, Parity::open_with(&both[..], descriptor, at, threads)?)
            }
        };
        let survey = Survey::of(&stream[..], &parity, threads, &|_| ())?;
        let target = Memory::new();
        let healed = heal(&stream[..], &parity, &survey, &target, threads, &|_| ())?;
        ensure!(healed.whole, "{} cells over the budget", survey.over_budget());
        Ok((target.into_bytes(), survey.used()))
    }
}

type Damage = fn(&mut Random, &[u8], &[u8]) -> Damaged;

const KINDS: &[(&str, Damage)] = &[
    ("200 flipped bits", |random, stream, parity| beside(flips(random, stream, 200), parity)),
    ("400 flipped bits", |random, stream, parity| beside(flips(random, stream, 400), parity)),
    ("1,000 flipped bits", |random, stream, parity| beside(flips(random, stream, 1_000), parity)),
    ("180 zeroed pages of 4 KiB", |random, stream, parity| {
        beside(pages(random, stream, 180), parity)
    }),
    ("a burst of 9 %", |random, stream, parity| {
        beside(burst(random, stream, stream.len() * 9 / 100), parity)
    }),
    ("9 % cut off the end", |_, stream, parity| {
        beside(stream[..stream.len() - stream.len() * 9 / 100].to_vec(), parity)
    }),
    ("9 % cut off the front", |_, stream, parity| {
        beside(stream[stream.len() * 9 / 100..].to_vec(), parity)
    }),
    ("1–5,000 bytes inserted", |random, stream, parity| beside(inserted(random, stream), parity)),
    ("1–5,000 bytes removed", |random, stream, parity| {
        let at = place(random, stream.len() - 5_000);
        let len = 1 + place(random, 5_000);
        beside([&stream[..at], &stream[at + len..]].concat(), parity)
    }),
    ("100 KB repeated", |random, stream, parity| {
        let at = place(random, stream.len() - 100_000);
        beside([&stream[..at + 100_000], &stream[at..]].concat(), parity)
    }),
    ("100 single bytes inserted", |random, stream, parity| {
        let mut stream = stream.to_vec();
        for _ in 0..100 {
            let at = place(random, stream.len());
            stream.insert(at, random.number().to_le_bytes()[0]);
        }
        beside(stream, parity)
    }),
    ("two parts swapped", |random, stream, parity| {
        let at = place(random, stream.len());
        beside([&stream[at..], &stream[..at]].concat(), parity)
    }),
    ("1,000 flipped bits in stream and parity", |random, stream, parity| {
        let both = flips(random, &[stream, parity].concat(), 1_000);
        apart(&both, stream.len())
    }),
    ("160 zeroed pages in stream and parity", |random, stream, parity| {
        let both = pages(random, &[stream, parity].concat(), 160);
        apart(&both, stream.len())
    }),
    ("bursts of 4.5 % of the stream in each", |random, stream, parity| {
        let len = stream.len() * 45 / 1_000;
        let parity = burst(random, parity, len);
        Damaged::Beside { stream: burst(random, stream, len), parity }
    }),
    ("1–5,000 bytes inserted in each", |random, stream, parity| {
        let parity = inserted(random, parity);
        Damaged::Beside { stream: inserted(random, stream), parity }
    }),
    ("a burst of 9 % in stream and appendix", |random, stream, parity| {
        Damaged::Appended(burst(random, &[stream, parity].concat(), stream.len() * 9 / 100))
    }),
    ("stream and appendix, 4 % cut off both ends", |_, stream, parity| {
        let (both, cut) = ([stream, parity].concat(), stream.len() / 25);
        Damaged::Appended(both[cut..both.len() - cut].to_vec())
    }),
];

fn beside(stream: Vec<u8>, parity: &[u8]) -> Damaged {
    Damaged::Beside { stream, parity: parity.to_vec() }
}

fn apart(both: &[u8], at: usize) -> Damaged {
    let (stream, parity) = both.split_at(at);
    Damaged::Beside { stream: stream.to_vec(), parity: parity.to_vec() }
}

fn place(random: &mut Random, below: usize) -> usize {
    usize::try_from(random.below(below as u64)).unwrap_or(0)
}

/// Different bits.
fn flips(random: &mut Random, bytes: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut bits = std::collections::BTreeSet::new();
    while bits.len() < count {
        bits.insert(place(random, bytes.len() * 8));
    }
    bits.into_iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
    bytes
}

/// Different pages.
fn pages(random: &mut Random, bytes: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut hit = std::collections::BTreeSet::new();
    while hit.len() < count {
        hit.insert(place(random, bytes.len() / 4_096));
    }
    hit.into_iter().for_each(|page| bytes[page * 4_096..][..4_096].fill(0));
    bytes
}

/// Noise in the place of so many bytes.
fn burst(random: &mut Random, bytes: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = place(random, bytes.len() - len);
    bytes[at..at + len].copy_from_slice(&random.noise(len));
    bytes
}

fn inserted(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let at = place(random, bytes.len());
    let len = 1 + place(random, 5_000);
    [&bytes[..at], &random.noise(len), &bytes[at..]].concat()
}

const LEN: usize = 8 << 20;
