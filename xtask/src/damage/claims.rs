//! `cargo xtask damage --claims`: what is promised of damaged packs, each in full counts.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

mod bits;
mod cuts;
mod ends;
mod flips;
mod layout;
mod nested;
mod order;
mod places;

use std::time::Instant;

use anyhow::ensure;

use super::packs::{Item, Tree};
use crate::seeded::Random;

/// Checks everything, or what has these names; each failure is printed as it comes.
pub fn run(only: &[String], seed: u64) -> anyhow::Result<()> {
    let unknown = only.iter().find(|name| CLAIMS.iter().all(|(known, _)| known != name));
    ensure!(unknown.is_none(), "no claim is named {}", unknown.map_or("", String::as_str));
    let mut broken = Vec::new();
    for (name, check) in CLAIMS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        let start = Instant::now();
        match check(seed) {
            Ok(()) => println!("{name}: it took {:.0} s", start.elapsed().as_secs_f64()),
            Err(error) => {
                println!("{name}: FAIL, {error:#}");
                broken.push(*name);
            }
        }
    }
    ensure!(broken.is_empty(), "not all claims hold: {}", broken.join(", "));
    Ok(())
}

type Check = fn(u64) -> anyhow::Result<()>;

const CLAIMS: &[(&str, Check)] = &[
    ("bits", bits::bits),
    ("bursts", bits::bursts),
    ("pages", bits::pages),
    ("ends", ends::ends),
    ("middle", ends::middle),
    ("places", places::places),
    ("cuts", cuts::everywhere),
    ("cuts-large", cuts::large),
    ("flips", flips::flips),
    ("order", order::order),
    ("nested", nested::nested),
];

/// Files of noise, of about this length each.
fn noise(count: u64, length: u64, seed: u64) -> Tree {
    let mut random = Random::new(seed);
    let mut file = |n| {
        let length = length / 2 + random.below(length);
        (format!("f{n:05}").into_bytes(), Item::file(random.noise(length as usize)))
    };
    (0..count).map(&mut file).collect()
}

/// A generator for the `number`-th trial.
fn trial(seed: u64, number: u64) -> Random {
    Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number))
}
