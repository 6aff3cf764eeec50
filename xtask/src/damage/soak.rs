//! `cargo xtask damage --soak N`: that many random mutations of small packs, and what every reader makes of them.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod readers;
mod sample;

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::cores::{each, locked};
use super::packs::Layers;
use super::wild::mutate;
use crate::seeded::Random;
use sample::Sample;

/// Fails when a wrong byte is told to be right, on a panic, and above 256 MiB of memory.
pub fn run(count: u64, first: u64) -> anyhow::Result<()> {
    let samples = sample::all()?;
    let progress = Mutex::new(Progress::new());
    println!("{count} mutations of {} packs, seeds {first} and up", samples.len());
    let done = each(count, "soak", |number| {
        let seed = first.wrapping_add(number);
        let (start, mut random) = (Instant::now(), Random::new(seed));
        let sample = &samples[random.below(samples.len() as u64) as usize];
        let mut damaged = sample.stored.clone();
        let ways = mutate(&mut damaged, &sample.twin_stored, &mut random);
        let place = || format!("seed {seed}: {}, {}, {ways:?}", sample.layers, sample.shape);
        let caught = super::cores::caught(|| readers::check(sample, &damaged, &mut random));
        let intact = caught.with_context(place)?;
        locked(&progress, |progress| progress.note(sample, intact, start.elapsed(), seed, count));
        Ok(())
    });
    progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).tell();
    let peak = peak_memory()?;
    println!("peak memory {:.0} MiB", peak as f64 / f64::from(1 << 20));
    ensure!(peak <= MOST_MEMORY, "more than {} MiB of memory", MOST_MEMORY >> 20);
    done
}

/// What has come of all mutations so far.
struct Progress {
    start: Instant,
    told: Instant,
    done: u64,
    slowest: (Duration, u64),
    /// Of each combination of layers: mutations, and the sum of the shares of entries that were intact.
    intact: Vec<(Layers, u64, f64)>,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        let intact = Layers::all().map(|layers| (layers, 0, 0.0)).collect();
        Self { start: now, told: now, done: 0, slowest: (Duration::ZERO, 0), intact }
    }

    fn note(&mut self, sample: &Sample, intact: usize, took: Duration, seed: u64, count: u64) {
        self.done += 1;
        self.slowest = self.slowest.max((took, seed));
        let of = self.intact.iter_mut().find(|(layers, ..)| *layers == sample.layers);
        if let Some((_, mutations, shares)) = of {
            *mutations += 1;
            *shares += intact as f64 / sample.tree.len() as f64;
        }
        if self.told.elapsed() > Duration::from_secs(10) {
            self.told = Instant::now();
            let rate = self.done as f64 / self.start.elapsed().as_secs_f64();
            let (sum, all) = self.intact.iter().fold((0.0, 0), |(s, n), (_, m, i)| (s + i, n + m));
            let mean = sum / all as f64 * 100.0;
            eprintln!("{} of {count}, {rate:.0} a second, {mean:.1} % intact", self.done);
        }
    }

    fn tell(&self) {
        for (layers, mutations, shares) in &self.intact {
            let mean = shares / (*mutations).max(1) as f64 * 100.0;
            println!(
                "{:<28} {mutations:>8} mutations, {mean:>5.1} % of entries intact",
                layers.to_string()
            );
        }
        let ((took, seed), seconds) = (self.slowest, self.start.elapsed().as_secs_f64());
        let rate = self.done as f64 / seconds;
        println!("{} mutations in {seconds:.0} s, {rate:.0} a second", self.done);
        println!("the slowest took {:.0} ms (seed {seed})", took.as_secs_f64() * 1e3);
    }
}

/// The most memory that this process has had.
fn peak_memory() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

const MOST_MEMORY: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    #[test]
    fn some_mutations_end_well() {
        // Peak memory is that of all tests of this process; they are small.
        super::run(200, 7).expect("nothing wrong is told");
    }
}
