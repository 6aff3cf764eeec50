//! Runs a program and measures it: wall time, processor time, peak memory.
//!
//! The kernel lets a child start with the peak memory of the process that started it. Each program is therefore
//! started by a fresh copy of this task, which is small and has no other child.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

/// A program to be run, and where its output goes.
#[derive(Clone, Default)]
pub struct Job {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    stdout: Option<PathBuf>,
    may_find: bool,
}

impl Job {
    /// A program, with no arguments yet.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// A pipeline of the shell, which fails when any part of it does. Its positional parameters are the arguments
    /// that are added.
    pub fn pipeline(script: &str) -> Self {
        Self::new("bash").args(["-c", &format!("set -euo pipefail; {script}"), "bash"])
    }

    /// Adds arguments.
    pub fn args<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds an argument.
    pub fn arg(self, argument: impl Into<OsString>) -> Self {
        self.args([argument])
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it in this folder.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Writes its output to this file instead of dropping it.
    pub fn stdout(mut self, file: &Path) -> Self {
        self.stdout = Some(file.to_owned());
        self
    }

    /// Lets it end with 1 or 2 too: damage was found, or nothing could be done.
    pub fn may_find(self) -> Self {
        Self { may_find: true, ..self }
    }

    /// Runs it and measures it; an error when it fails.
    pub fn measure(&self) -> anyhow::Result<Usage> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("measured");
        if let Some(file) = &self.stdout {
            command.arg("--stdout").arg(file);
        }
        if self.may_find {
            command.arg("--may-find");
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let output = command.stdin(Stdio::null()).output().context("cannot start this task")?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let line = self.arguments.join(std::ffi::OsStr::new(" "));
            bail!("{} {} failed:\n{told}", self.program.display(), line.display());
        }
        let report: Value = serde_json::from_slice(&output.stdout).context("no measurement")?;
        let seconds = |key: &str| report[key].as_f64().with_context(|| format!("no {key}"));
        Ok(Usage {
            wall: Duration::from_secs_f64(seconds("wall")?),
            cpu: Duration::from_secs_f64(seconds("cpu")?),
            memory: report["memory"].as_u64().context("no memory")?,
        })
    }
}

/// What a program used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub wall: Duration,
    /// User and system time of all its processes.
    pub cpu: Duration,
    /// Peak resident memory in bytes; of a pipeline, that of its largest process.
    pub memory: u64,
}

impl Usage {
    /// The median of each number.
    pub fn median(all: &[Self]) -> Option<Self> {
        fn middle<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
            let mut values: Vec<_> = values.collect();
            values.sort_unstable();
            values.get(values.len().checked_sub(1)? / 2).copied()
        }
        Some(Self {
            wall: middle(all.iter().map(|usage| usage.wall))?,
            cpu: middle(all.iter().map(|usage| usage.cpu))?,
            memory: middle(all.iter().map(|usage| usage.memory))?,
        })
    }

    /// For `--json`.
    pub fn to_json(self) -> Value {
        json!({
            "wall": self.wall.as_secs_f64(),
            "cpu": self.cpu.as_secs_f64(),
            "memory": self.memory,
        })
    }
}

/// The hidden task that starts and measures one program.
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    stdout: Option<PathBuf>,
    #[arg(long)]
    may_find: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the program, then prints what it used as JSON.
#[expect(clippy::print_stdout, reason = "the measurement is the result of this task")]
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (program, rest) = arguments.command.split_first().context("there is no program")?;
    let stdout = match &arguments.stdout {
        Some(path) => File::create(path).with_context(|| path.display().to_string())?.into(),
        None => Stdio::null(),
    };
    let start = Instant::now();
    let mut command = Command::new(program);
    command.args(rest).stdout(stdout);
    if arguments.may_find {
        // There may be very much to tell.
        command.stderr(Stdio::null());
    }
    let status = command.status();
    let wall = start.elapsed();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    let is_found = arguments.may_find && matches!(status.code(), Some(1 | 2));
    if !status.success() && !is_found {
        bail!("{status}");
    }
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let report = json!({
        "wall": wall.as_secs_f64(),
        "cpu": seconds(used.user_time()) + seconds(used.system_time()),
        // Linux counts KiB.
        "memory": used.max_rss() * 1024,
    });
    println!("{report}");
    Ok(())
}
