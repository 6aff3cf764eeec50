//! `cargo xtask compare --parity`: parity made and used, beside `par2`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::measure::{Job, Usage};
use crate::process::{carstone, target};
use crate::seeded::Random;
use crate::shm;

/// Measures both in turns, on a small and a large file, and tells the ratios of their medians. What it is is told, never judged.
pub fn run(root: &Path, program: Option<&Path>, quick: bool, runs: usize) -> anyhow::Result<()> {
    let carstone = carstone(root, program)?;
    let version = Command::new("par2").arg("--version").output();
    let version = version.context("par2 is not installed: it is the package `par2` of Debian")?;
    let version = String::from_utf8_lossy(&version.stdout);
    println!("Beside {}, with -r10. Medians of {runs} runs.\n", version.trim());
    println!("| file | | par2 | carstone | ratio | wanted |\n|---|---|---:|---:|---:|---:|");
    let large = if quick { 50_000_000 } else { 500_000_000 };
    let folder = match shm::folder(6 * large) {
        Ok(folder) => folder,
        Err(_) => tempfile::Builder::new().prefix("parity-").tempdir_in(target(root))?,
    };
    for (name, len) in [("8 MiB", 8 << 20), ("large", large)] {
        let bench = Bench::new(folder.path(), &carstone, name, len, runs)?;
        bench.create()?;
        bench.repair("repair a burst of 9 %", 20, |bytes, random| {
            let len = bytes.len() * 9 / 100;
            let at = bytes.len() / 3;
            bytes[at..at + len].copy_from_slice(&random.noise(len));
        })?;
        bench.repair("repair a flipped bit", 5, |bytes, _| {
            let at = bytes.len() / 5 * 2;
            bytes[at] ^= 4;
        })?;
        if len == 8 << 20 {
            bench.limits()?;
        }
    }
    Ok(())
}

struct Bench<'a> {
    name: &'a str,
    folder: PathBuf,
    carstone: &'a Path,
    runs: usize,
    content: Vec<u8>,
}

impl<'a> Bench<'a> {
    fn new(
        folder: &Path,
        carstone: &'a Path,
        name: &'a str,
        len: u64,
        runs: usize,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(name.replace(' ', ""));
        fs::create_dir_all(&folder)?;
        let content = Random::new(len).noise(usize::try_from(len)?);
        fs::write(folder.join("data"), &content)?;
        Ok(Self { name, folder, carstone, runs, content })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn par2(&self, command: &str) -> Job {
        Job::new("par2").args([command, "-q", "-q"]).folder(&self.folder)
    }

    fn ours(&self, command: &str) -> Job {
        Job::new(self.carstone).args([command, "-q"]).folder(&self.folder)
    }

    /// Removes what begins so.
    fn remove(&self, begin: &str) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(begin) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn tell(
        &self,
        what: &str,
        theirs: &[Usage],
        ours: &[Usage],
        wanted: u32,
    ) -> anyhow::Result<()> {
        let wall = |usages| Usage::median(usages).map(|usage| usage.wall.as_secs_f64());
        let (theirs, ours) = wall(theirs).zip(wall(ours)).context("nothing was measured")?;
        let ratio = theirs / ours;
        println!(
            "| {} | {what} | {theirs:.3} s | {ours:.3} s | {ratio:.1} | {wanted} |",
            self.name
        );
        Ok(())
    }

    fn create(&self) -> anyhow::Result<()> {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            self.remove("data.")?;
            theirs.push(self.par2("create").args(["-r10", "data.par2", "data"]).measure()?);
            ours.push(self.ours("protect").args(["--parity", "10", "data"]).measure()?);
        }
        self.tell("create", &theirs, &ours, 20)?;
        let mut added = [0; 2];
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let which = usize::from(name == "data.par");
            added[which] += if name == "data" { 0 } else { entry.metadata()?.len() };
        }
        let [theirs, ours] = added.map(|len| len as f64 * 100.0 / self.content.len() as f64);
        println!("| {} | added | {theirs:.2} % | {ours:.2} % | | 10 % |", self.name);
        Ok(())
    }

    fn repair(
        &self,
        what: &str,
        wanted: u32,
        damage: impl Fn(&mut [u8], &mut Random),
    ) -> anyhow::Result<()> {
        let mut damaged = self.content.clone();
        damage(&mut damaged, &mut Random::new(7));
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            fs::write(self.path("data"), &damaged)?;
            ours.push(self.ours("repair").args(["data", "-o", "healed"]).measure()?);
            ensure!(fs::read(self.path("healed"))? == self.content, "{what}: carstone");
            fs::remove_file(self.path("healed"))?;
            theirs.push(self.par2("repair").arg("data.par2").measure()?);
            ensure!(fs::read(self.path("data"))? == self.content, "{what}: par2");
            self.remove("data.1")?;
        }
        self.tell(what, &theirs, &ours, wanted)
    }

    /// What both can bear, three times each.
    fn limits(&self) -> anyhow::Result<()> {
        const TRIALS: u64 = 3;
        type Damage = fn(&mut [u8], &mut Random);
        let flips: Damage = |bytes, random| {
            for _ in 0..400 {
                let bit = usize::try_from(random.below(bytes.len() as u64 * 8)).unwrap_or(0);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        };
        let pages: Damage = |bytes, random| {
            let mut hit = std::collections::BTreeSet::new();
            while hit.len() < 180 {
                hit.insert(usize::try_from(random.below(bytes.len() as u64 / 4_096)).unwrap_or(0));
            }
            hit.into_iter().for_each(|page| bytes[page * 4_096..][..4_096].fill(0));
        };
        for (what, damage) in [("400 flipped bits", flips), ("180 zeroed pages", pages)] {
            let mut whole = [0; 2];
            for trial in 0..TRIALS {
                let mut damaged = self.content.clone();
                damage(&mut damaged, &mut Random::new(trial));
                fs::write(self.path("data"), &damaged)?;
                self.ours("repair").args(["data", "-o", "healed"]).may_find().measure()?;
                let healed = fs::read(self.path("healed")).unwrap_or_default();
                whole[1] += u64::from(healed == self.content);
                self.remove("healed")?;
                let mut par2 = Command::new("par2");
                par2.args(["repair", "-q", "-q", "data.par2"]).current_dir(&self.folder);
                par2.output()?;
                whole[0] += u64::from(fs::read(self.path("data"))? == self.content);
                self.remove("data.1")?;
            }
            let [theirs, ours] = whole;
            println!("| {} | {what} | {theirs} of {TRIALS} | {ours} of {TRIALS} | | |", self.name);
        }
        fs::write(self.path("data"), &self.content)?;
        Ok(())
    }
}
