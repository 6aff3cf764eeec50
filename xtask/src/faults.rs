//! `cargo xtask faults`: puts whose system calls fail, or that are killed at one of them. What was said to be kept has to be there.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::process::{carstone, target};
use crate::seeded::Random;

/// What is tried.
#[derive(Args)]
pub struct Arguments {
    /// The `carstone` program that is tried, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// Runs of each kind, at the most: where there are more calls, every second one fails, or every third
    #[arg(long, value_name = "N", default_value_t = 40)]
    most: u64,
}

/// Lets calls fail, one in each run.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("faults-").tempdir_in(target(root))?;
    let probe = Command::new("strace")
        .args(["-f", "-q", "-o"])
        .arg(folder.path().join("log"))
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: there is no strace, or it may not trace");
        return Ok(());
    }
    let carstone = carstone(root, arguments.command.as_deref())?;
    let files = [(3_000_000, "first"), (1_500_000, "second")];
    let files =
        files.map(|(len, name)| (folder.path().join(name), Random::new(len as u64).noise(len)));
    for (path, content) in &files {
        fs::write(path, content)?;
    }
    let trial = Trial { carstone, folder: folder.path(), files };
    let mut total = Told::default();
    println!(
        "{:<8} {:<7} {:>5} {:>5} {:>6} {:>13}",
        "call", "fault", "calls", "runs", "failed", "acknowledged"
    );
    for (name, calls) in CALLS {
        let count = trial.count(calls)?;
        for fault in FAULTS {
            let told = trial.each(calls, fault, count, arguments.most)?;
            println!(
                "{name:<8} {fault:<7} {count:>5} {:>5} {:>6} {:>13}",
                told.runs, told.failed, told.acknowledged
            );
            total.add(&told);
        }
    }
    let Told { runs, failed, acknowledged } = total;
    println!(
        "{runs} runs, {failed} of them failed; 0 of {acknowledged} acknowledged roots are lost"
    );
    // Else nothing was tried at all.
    ensure!(failed > 0 && acknowledged > 0, "no call failed");
    Ok(())
}

/// What came of some runs.
#[derive(Default)]
struct Told {
    runs: u64,
    failed: u64,
    acknowledged: u64,
}

impl Told {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.acknowledged += other.acknowledged;
    }
}

struct Trial<'a> {
    carstone: PathBuf,
    folder: &'a Path,
    /// What is put, and its content.
    files: [(PathBuf, Vec<u8>); 2],
}

impl Trial<'_> {
    /// How often a thread of a put calls one of these, at the most.
    fn count(&self, calls: &str) -> anyhow::Result<u64> {
        self.init()?;
        let put = self.put(&["-e", &format!("trace={calls}")])?;
        ensure!(put.status.success(), "a put fails: {}", String::from_utf8_lossy(&put.stderr));
        let log = fs::read_to_string(self.log())?;
        // Threads are counted each by itself, as the tracer does it: their numbers stand first.
        let mut threads = std::collections::BTreeMap::new();
        for line in log.lines().filter(|line| line.contains('(') && !line.contains("resumed>")) {
            *threads.entry(line.split(' ').next()).or_insert(0) += 1;
        }
        threads.into_values().max().context("the call is never made")
    }

    /// Lets each of the calls fail in a run of its own, until runs make no more of them.
    fn each(&self, calls: &str, fault: &str, count: u64, most: u64) -> anyhow::Result<Told> {
        let step = usize::try_from(count.div_ceil(most).max(1))?;
        let (mut told, mut missed) = (Told::default(), 0);
        for number in (1..).step_by(step) {
            let place = format!("{fault} at call {number} of {calls}");
            told.acknowledged += self.once(calls, fault, number).with_context(|| place)?;
            told.runs += 1;
            let log = fs::read_to_string(self.log())?;
            match log.contains("INJECTED") || log.contains("killed by SIGKILL") {
                true => (told.failed, missed) = (told.failed + 1, 0),
                // How work is spread over threads is not the same in every run.
                false => missed += 1,
            }
            if missed >= 2 && u64::try_from(number)? >= count {
                break;
            }
        }
        Ok(told)
    }

    /// One put with a fault, and what is left then. Gives the number of roots that were acknowledged.
    fn once(&self, calls: &str, fault: &str, number: usize) -> anyhow::Result<u64> {
        self.init()?;
        let what = match fault {
            "KILL" => "signal=KILL".to_owned(),
            error => format!("error={error}"),
        };
        let inject = format!("inject={calls}:{what}:when={number}");
        let put = self.put(&["-e", &format!("trace={calls}"), "-e", &inject])?;
        let told = String::from_utf8(put.stdout)?;
        let lines = told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let roots: Vec<&str> = lines.collect();
        ensure!(roots.len() == self.files.len() || !put.status.success(), "a root was not told");
        self.has(&roots)?;
        let log = fs::read(self.log())?;
        self.ok(&["index", "rebuild"])?;
        self.ok(&["check", "--read-data"])?;
        self.has(&roots)?;
        // It goes on, where it can.
        let again = self.put(&[])?;
        fs::write(self.log(), log)?;
        ensure!(
            again.status.success(),
            "a put after it: {}",
            String::from_utf8_lossy(&again.stderr)
        );
        self.ok(&["check", "--read-data"])?;
        Ok(roots.len() as u64)
    }

    /// Whether these roots lead to the files.
    fn has(&self, roots: &[&str]) -> anyhow::Result<()> {
        for (root, (path, content)) in roots.iter().zip(&self.files) {
            let got = self.ok(&["cat", root])?.stdout;
            ensure!(got == *content, "{root} is lost: it is not {}", path.display());
        }
        Ok(())
    }

    /// An empty store.
    fn init(&self) -> anyhow::Result<()> {
        let store = self.store();
        if store.exists() {
            fs::remove_dir_all(&store)?;
        }
        self.ok(&["init"]).map(drop)
    }

    /// A put, traced with these options, or as it is without any.
    fn put(&self, trace: &[&str]) -> anyhow::Result<Output> {
        let mut command = match trace.is_empty() {
            true => Command::new(&self.carstone),
            false => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-q", "-o"]).arg(self.log()).args(trace);
                // A runtime whose own events cannot be written, which no system does, may wait for ever.
                strace.args(["timeout", "-s", "KILL", LONGEST]).arg(&self.carstone);
                strace
            }
        };
        let files = self.files.iter().map(|(path, _)| path);
        command.args(["store", "--store"]).arg(self.store());
        command.args(["put", "-q", "--pack-size", "1100K"]).args(files);
        Ok(command.stdin(Stdio::null()).output()?)
    }

    fn ok(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.carstone);
        command.args(["store", "--store"]).arg(self.store()).args(arguments);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let (out, err) = (&output.stdout, &output.stderr);
            let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
            bail!("store {arguments:?}: {}{err}", out.chars().take(2000).collect::<String>());
        }
        Ok(output)
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// Calls that fail, and what they are called on the systems there are.
const CALLS: [(&str, &str); 4] = [
    ("fsync", "?fsync,?fdatasync"),
    ("rename", "?rename,?renameat,?renameat2"),
    ("write", "?write,?pwrite64,?writev"),
    ("mkdir", "?mkdir,?mkdirat"),
];
/// Seconds of a put, at the most. One that is ended then is one more that is killed.
const LONGEST: &str = "8";
const FAULTS: [&str; 3] = ["EIO", "ENOSPC", "KILL"];
