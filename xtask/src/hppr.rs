//! `cargo xtask hppr`: how fast a repository stores, gets and lists, and whether several that store and read at the same time lose or mix up packets.

#![expect(clippy::print_stdout, reason = "the figures are the result of the task")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::measure::Job;
use crate::process::{build_example, carstone, output, target};
use crate::rig::mib;

/// The flags of the task.
#[derive(clap::Args)]
pub struct Arguments {
    /// Packets that are stored in batches
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    packets: u64,
    /// Coordinates that they are at
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    coordinates: u64,
    /// Packets of a batch
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    batch: u64,
    /// Packets that are stored one by one, each durable before the next
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    single: u64,
    /// How long two processes store and ten read
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// The `carstone` program that checks what was stored, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// Where the repositories are made [default: the target folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Processes that store, and those that read meanwhile.
const WRITERS: u64 = 2;
const READERS: u64 = 10;
/// Gets that are timed.
const GETS: u64 = 20_000;

/// Runs the task.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let carstone = carstone(root, arguments.command.as_deref())?;
    let load = build_example(root, "hppr_load")?;
    let folder = arguments.folder.clone().unwrap_or_else(|| target(root));
    let folder = tempfile::Builder::new().prefix("hppr-").tempdir_in(folder)?;
    let trial = Trial { load, carstone, folder: folder.path() };

    println!("parsed beside BLAKE3: {}", trial.figures(&["parse"])?);
    let single = trial.repository("single");
    let counts = [arguments.single, arguments.coordinates].map(|count| count.to_string());
    let stored = trial.figures(&["store", &single, &counts[0], &counts[1], "1"])?;
    println!("one by one: {stored}");
    trial.together(arguments.seconds)?;
    trial.bulk(arguments)
}

struct Trial<'a> {
    load: PathBuf,
    carstone: PathBuf,
    folder: &'a Path,
}

impl Trial<'_> {
    fn repository(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn figures(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        figures(&output(Command::new(&self.load).args(arguments))?)
    }

    fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.load);
        command.args(arguments).stdout(Stdio::piped()).spawn().context("cannot start a process")
    }

    fn check(&self, repository: &str) -> anyhow::Result<()> {
        let told =
            output(Command::new(&self.carstone).args(["hppr", "--repo", repository, "check"]))?;
        println!("check: {}", told.trim().lines().last().unwrap_or_default());
        Ok(())
    }

    /// Many packets in batches, and what can be asked of them.
    fn bulk(&self, arguments: &Arguments) -> anyhow::Result<()> {
        let repository = self.repository("many");
        let [packets, coordinates, batch] =
            [arguments.packets, arguments.coordinates, arguments.batch].map(|n| n.to_string());
        let told = self.folder.join("told");
        let store = ["store", &repository, &packets, &coordinates, &batch];
        let usage = Job::new(&self.load).args(store).stdout(&told).measure()?;
        let stored = figures(&std::fs::read_to_string(told)?)?;
        println!("in batches: {stored}, {:.0} MiB", mib(usage.memory));
        let gets = GETS.to_string();
        println!("got: {}", self.figures(&["get", &repository, &coordinates, &gets])?);
        println!("tips: {}", self.figures(&["tips", &repository, "//bench/load/"])?);
        Ok(())
    }

    /// Some store, and some read, at the same time. Nothing may be lost, and nothing be other than it was stored.
    fn together(&self, seconds: u64) -> anyhow::Result<()> {
        let repository = self.repository("together");
        output(Command::new(&self.carstone).args(["hppr", "--repo", &repository, "init"]))?;
        let seconds = seconds.to_string();
        let start =
            |mode: &str, who: u64| self.start(&[mode, &repository, &who.to_string(), &seconds]);
        let writers: Vec<_> = (0..WRITERS).map(|who| start("write", who)).collect();
        let readers: Vec<_> = (0..READERS).map(|who| start("read", who)).collect();
        let counts: Vec<_> = writers.into_iter().map(ended).collect();
        let (mut read, mut wrong) = (0, 0);
        for reader in readers {
            let told = ended(reader)?;
            read += told["read"].as_u64().context("no count")?;
            wrong += told["wrong"].as_u64().context("no count")?;
        }
        let (mut stored, mut lost) = (0, 0);
        for (who, count) in counts.into_iter().enumerate() {
            let count = count?["stored"].as_u64().context("no count")?;
            let wrote = ["wrote", &repository, &who.to_string(), &count.to_string()];
            lost += self.figures(&wrote)?["lost"].as_u64().context("no count")?;
            stored += count;
        }
        println!(
            "together: {WRITERS} stored {stored} packets, {lost} lost; {READERS} read {read}, {wrong} wrong"
        );
        ensure!(stored > 0 && read > 0, "nothing was stored or read");
        ensure!(lost == 0 && wrong == 0, "something is lost, or was read wrong");
        self.check(&repository)
    }
}

fn figures(told: &str) -> anyhow::Result<Value> {
    serde_json::from_str(told).with_context(|| format!("these are no figures: {told}"))
}

fn ended(child: anyhow::Result<Child>) -> anyhow::Result<Value> {
    let output = child?.wait_with_output()?;
    ensure!(output.status.success(), "a process ended with {}", output.status);
    figures(&String::from_utf8(output.stdout)?)
}
