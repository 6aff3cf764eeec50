//! `cargo xtask fuzz`: builds the fuzz targets, runs each for a while, and shows what came of it (`docs/fuzzing.md`).

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::collections::VecDeque;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, bail, ensure};

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Targets that run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Mebibytes of memory at which a target fails
    #[arg(long, default_value_t = 2048)]
    rss_limit_mb: u32,
    /// Build the targets and run none
    #[arg(long, conflicts_with = "keep")]
    build_only: bool,
    /// Make a finding smaller and keep it as a regression: a file in fuzz/artifacts/TARGET
    #[arg(long, value_name = "FILE", conflicts_with = "targets")]
    keep: Option<PathBuf>,
    /// Targets [default: all]
    targets: Vec<String>,
}

/// Builds and runs the targets; fails when one of them found something.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let fuzz = Fuzz::new(root)?;
    if let Some(finding) = &arguments.keep {
        return fuzz.keep(finding);
    }
    let all = fuzz.targets()?;
    let unknown = arguments.targets.iter().find(|name| !all.contains(name));
    if let Some(name) = unknown {
        bail!("there is no target {name}; there are {}", all.join(", "));
    }
    let targets = match arguments.targets.is_empty() {
        true => {
            fuzz.build(None)?;
            all
        }
        false => {
            arguments.targets.iter().try_for_each(|target| fuzz.build(Some(target)))?;
            arguments.targets.clone()
        }
    };
    if arguments.build_only {
        return Ok(());
    }
    for target in &targets {
        fuzz.seed(target)?;
    }
    let results = fuzz.run_all(&targets, arguments)?;
    report(&fuzz, &results)
}

/// Where everything is.
struct Fuzz {
    root: PathBuf,
    folder: PathBuf,
    /// The triple of this machine.
    host: String,
}

/// What a run of one target came to.
#[derive(Default)]
struct Outcome {
    target: String,
    executions: u64,
    per_second: u64,
    peak_mb: u64,
    corpus: usize,
    /// Inputs on which it failed.
    findings: Vec<PathBuf>,
    failed: bool,
}

impl Fuzz {
    fn new(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc does not name its host")?.to_owned();
        Ok(Self { root: root.to_owned(), folder: root.join("fuzz"), host })
    }

    /// The names of all targets, as the seeds command gives them.
    fn targets(&self) -> anyhow::Result<Vec<String>> {
        let output = crate::cargo(&self.root).args(SEEDS).output()?;
        Ok(String::from_utf8(output)?.lines().map(str::to_owned).collect())
    }

    /// Builds one target, or all, without a sanitizer: there is no unsafe code to watch, and a stable compiler is enough.
    fn build(&self, target: Option<&String>) -> anyhow::Result<()> {
        let tools = self.root.join("target/tools");
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([tools.join("bin")].into_iter().chain(env::split_paths(&path)))?;
        let has_tool = Command::new("cargo")
            .args(["fuzz", "--version"])
            .env("PATH", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !has_tool.is_ok_and(|status| status.success()) {
            eprintln!("fuzz: installing cargo-fuzz");
            let install = ["install", "cargo-fuzz", "--locked", "--root"];
            crate::cargo(&self.root).args(install).args([&tools]).run()?;
        }
        let mut command = Command::new("cargo");
        command.args(["fuzz", "build", "--sanitizer", "none", "--codegen-units", "16"]);
        command.args(target).env("PATH", &path).current_dir(&self.folder);
        let status = command.status().context("cannot run cargo fuzz")?;
        ensure!(status.success(), "the targets do not build: {status}");
        Ok(())
    }

    /// Puts seeds and regressions into the corpus of a target.
    fn seed(&self, target: &str) -> anyhow::Result<()> {
        let corpus = self.folder.join("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(self.artifacts(target))?;
        crate::cargo(&self.root).args(SEEDS).args([target.as_ref(), corpus.as_os_str()]).run()?;
        for file in files(&self.folder.join("regressions").join(target))? {
            fs::copy(&file, corpus.join(file.file_name().context("a file without a name")?))?;
        }
        Ok(())
    }

    /// Runs the targets, some at a time.
    fn run_all(&self, targets: &[String], arguments: &Arguments) -> anyhow::Result<Vec<Outcome>> {
        let queue: Mutex<VecDeque<_>> = Mutex::new(targets.iter().enumerate().collect());
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..arguments.jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                        let Some((n, target)) = next else { return };
                        eprintln!("fuzz: {target}, {} s", arguments.seconds);
                        let outcome = self.run_one(target, arguments);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((n, outcome));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(n, _)| *n);
        done.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn run_one(&self, target: &str, arguments: &Arguments) -> anyhow::Result<Outcome> {
        let corpus = self.folder.join("corpus").join(target);
        let known = files(&self.artifacts(target))?;
        let log = self.log(target);
        let status = Command::new(self.binary(target))
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-rss_limit_mb={}", arguments.rss_limit_mb))
            .arg(format!("-artifact_prefix={}/", self.artifacts(target).display()))
            .args(["-max_len=8192", "-timeout=10", "-print_final_stats=1", "-reload=0"])
            .arg(&corpus)
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("cannot write the fuzzer's log")?)
            .status()
            .with_context(|| format!("cannot run {target}"))?;
        let log = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let number = |name: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        let is_finding = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            !known.contains(file) && !name.starts_with("slow-unit-")
        };
        Ok(Outcome {
            target: target.to_owned(),
            executions: number("stat::number_of_executed_units:"),
            per_second: number("stat::average_exec_per_sec:"),
            peak_mb: number("stat::peak_rss_mb:"),
            corpus: files(&corpus)?.len(),
            findings: files(&self.artifacts(target))?.into_iter().filter(is_finding).collect(),
            failed: !status.success(),
        })
    }

    /// Makes a finding as small as a minute allows, and puts it among the regressions.
    fn keep(&self, finding: &Path) -> anyhow::Result<()> {
        let finding = fs::canonicalize(finding).context("there is no such finding")?;
        let target = finding.parent().and_then(Path::file_name).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        let name = finding.file_name().context("a finding is a file")?;
        let targets = self.targets()?;
        ensure!(targets.contains(&target), "a finding lies in the folder of its target");
        self.build(Some(&target))?;
        let folder = self.folder.join("regressions").join(&target);
        fs::create_dir_all(&folder)?;
        let kept = folder.join(name);
        fs::copy(&finding, &kept)?;
        // It fails when it cannot make it smaller, and the whole finding stays.
        Command::new(self.binary(&target))
            .args(["-minimize_crash=1", "-max_total_time=60", "-timeout=10"])
            .arg(format!("-exact_artifact_path={}", kept.display()))
            .arg(&finding)
            .stdout(Stdio::null())
            .stderr(File::create(self.log(&target))?)
            .status()
            .with_context(|| format!("cannot run {target}"))?;
        let shown = kept.strip_prefix(&self.root).unwrap_or(&kept).display();
        println!(
            "{shown}: {} bytes; cargo test -p carstone-fuzz replays it",
            fs::metadata(&kept)?.len()
        );
        Ok(())
    }

    fn binary(&self, target: &str) -> PathBuf {
        self.folder.join("target").join(&self.host).join("release").join(target)
    }

    fn artifacts(&self, target: &str) -> PathBuf {
        self.folder.join("artifacts").join(target)
    }

    fn log(&self, target: &str) -> PathBuf {
        self.folder.join("artifacts").join(format!("{target}.log"))
    }
}

/// Prints the table, and what to do about what was found.
fn report(fuzz: &Fuzz, results: &[Outcome]) -> anyhow::Result<()> {
    let head = ["target", "executions", "per s", "peak MB", "corpus", "findings"];
    println!(
        "{:20} {:>12} {:>8} {:>8} {:>7} {:>9}",
        head[0], head[1], head[2], head[3], head[4], head[5]
    );
    for one in results {
        let Outcome { target, executions, per_second, peak_mb, corpus, findings, .. } = one;
        let found = findings.len();
        println!(
            "{target:20} {executions:>12} {per_second:>8} {peak_mb:>8} {corpus:>7} {found:>9}"
        );
    }
    let mut failed = 0;
    for one in results.iter().filter(|one| one.failed || !one.findings.is_empty()) {
        failed += 1;
        println!("\n{} failed; its log is {}", one.target, fuzz.log(&one.target).display());
        for finding in &one.findings {
            let finding = finding.strip_prefix(&fuzz.root).unwrap_or(finding).display();
            println!("  cargo xtask fuzz --keep {finding}");
        }
    }
    ensure!(failed == 0, "{failed} of {} targets failed", results.len());
    Ok(())
}

/// The files in a folder, or none where there is no folder.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let items = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let mut files = items.map(|item| Ok(item?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Runs the command that lists targets and writes seeds.
const SEEDS: [&str; 7] = ["run", "--quiet", "--package", "carstone-fuzz", "--bin", "seeds", "--"];
