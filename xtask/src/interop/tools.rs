//! The programs: those of others are installed or looked for, carstone is built.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};

use crate::process::{cargo_outside, carstone, target};

/// Where the programs are.
pub struct Tools {
    pub carstone: PathBuf,
    /// Packs a folder under a key and an envelope that are given.
    pub foreign_envelope: PathBuf,
    /// Scripts, and the packages that they use.
    node: PathBuf,
    /// Whether `create` can be told the version of a CAR.
    pub car_versions: bool,
}

impl Tools {
    /// Builds and installs what is missing.
    pub fn prepare(root: &Path, program: Option<&Path>) -> anyhow::Result<Self> {
        let carstone = carstone(root, program)?;
        let help = run(Command::new(&carstone).args(["create", "--help"]))?;
        let car_versions = String::from_utf8_lossy(&help).contains("--car-version");
        Ok(Self {
            carstone,
            foreign_envelope: build_foreign_envelope(root)?,
            node: install_node_packages(root)?,
            car_versions,
        })
    }

    /// A call of carstone.
    pub fn carstone(&self, command: &str) -> Command {
        let mut call = Command::new(&self.carstone);
        call.arg(command);
        call
    }

    /// A call of `carstone car`.
    pub fn car(&self, command: &str) -> Command {
        let mut call = self.carstone("car");
        call.arg(command);
        call
    }

    /// A call of ipfs-car.
    pub fn ipfs_car(&self, command: &str) -> Command {
        let mut call = self.script("node_modules/ipfs-car/bin.js");
        call.arg(command);
        call
    }

    /// A call of a script of Node.
    pub fn script(&self, name: &str) -> Command {
        let mut call = Command::new("node");
        call.arg(self.node.join(name));
        call
    }

    /// Reads a CAR with all readers of `@ipld/car`, which hash each block.
    pub fn judge(&self, car: &Path) -> anyhow::Result<serde_json::Value> {
        let told = run(self.script("judge.mjs").arg(car))?;
        Ok(serde_json::from_slice(&told)?)
    }
}

/// What lies in the folder `interop` of this package.
const FILES: [&str; 7] = [
    "package.json",
    "package-lock.json",
    "age.mjs",
    "judge.mjs",
    "write.mjs",
    "importer.mjs",
    "time.mjs",
];

/// Packages with the versions of the lock file, installed again when it changes.
pub fn install_node_packages(root: &Path) -> anyhow::Result<PathBuf> {
    let (from, to) = (root.join("xtask/interop"), root.join("target/peers/node"));
    let installed = to.join("installed.json");
    let lock = fs::read(from.join("package-lock.json"))?;
    fs::create_dir_all(&to)?;
    // Node looks for packages beside the script.
    for name in FILES {
        fs::copy(from.join(name), to.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    if fs::read(&installed).ok().as_ref() != Some(&lock) {
        eprintln!("interop: installing Node packages below {}", to.display());
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&to);
        run(&mut npm).context("Node packages cannot be installed (apt-get install nodejs npm)")?;
        // Written last: what is only half installed is installed again.
        fs::write(installed, lock)?;
    }
    Ok(to)
}

fn build_foreign_envelope(root: &Path) -> anyhow::Result<PathBuf> {
    cargo_outside(root, "build", &root.join("xtask/interop/envelope/Cargo.toml"))?.run()?;
    Ok(target(root).join("debug/foreign-envelope"))
}

/// Whether a program is there; Debian's `age` is installed by those who may.
pub fn has(program: &str) -> bool {
    let found = |program: &str| {
        let mut version = Command::new(program);
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    if !found(program) && program == "age" && nix::unistd::geteuid().is_root() {
        eprintln!("interop: installing age");
        let mut install = Command::new("apt-get");
        install.args(["install", "-y", "-qq", "age"]).stdout(Stdio::null());
        return install.status().is_ok_and(|status| status.success()) && found(program);
    }
    found(program)
}

/// Runs a program that must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    run_on(Stdio::null(), command)
}

/// The same, with standard input.
pub fn run_on(input: impl Into<Stdio>, command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stdin(input).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    succeeded(command, &output)?;
    Ok(output.stdout)
}

/// The same, as text without the end of the last line.
pub fn text(command: &mut Command) -> anyhow::Result<String> {
    Ok(String::from_utf8(run(command)?)?.trim_end().to_owned())
}

/// Runs a program on a terminal of its own, where lines are typed: for programs that take a passphrase in no other way.
pub fn typed(program: &str, arguments: &[&OsStr], lines: &str) -> anyhow::Result<()> {
    let quoted = arguments.iter().map(|argument| {
        let argument = argument.to_str().context("an argument is not UTF-8")?;
        ensure!(!argument.contains('\''), "{argument} has a quote");
        Ok(format!("'{argument}'"))
    });
    let line = quoted.collect::<anyhow::Result<Vec<_>>>()?.join(" ");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{program} {line}"), "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start script (apt-get install bsdutils)")?;
    let mut stdin = child.stdin.take().context("it has no input")?;
    stdin.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    drop(stdin);
    succeeded(&command, &output)
}

fn succeeded(command: &Command, output: &Output) -> anyhow::Result<()> {
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, told.trim());
    Ok(())
}
