//! Runs cargo, and fails with the command when it fails.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The program that was given, from wherever it is called; without one, the command is built.
pub fn carstone(root: &Path, program: Option<&Path>) -> anyhow::Result<PathBuf> {
    match program {
        Some(program) => {
            std::path::absolute(program).with_context(|| format!("no {}", program.display()))
        }
        None => build_carstone(root),
    }
}

/// Builds the command with all optimisations and returns its path.
pub fn build_carstone(root: &Path) -> anyhow::Result<PathBuf> {
    cargo(root).args(["build", "--quiet", "--release", "--package", "carstone-cli"]).run()?;
    let program =
        target(root).join("release").join(format!("carstone{}", std::env::consts::EXE_SUFFIX));
    ensure!(program.exists(), "the build left no {}", program.display());
    Ok(program)
}

/// Builds an example of the benches with all optimisations and returns its path.
pub fn build_example(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let build = ["build", "--quiet", "--release", "--package", "carstone-benches", "--example"];
    cargo(root).args(build).args([name]).run()?;
    Ok(target(root).join("release/examples").join(name))
}

/// Where this workspace's builds are put.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// `cargo COMMAND` on a package that is no member of the workspace.
///
/// It is built with the workspace's profiles and in its target folder, so that the crates both need are built once.
pub fn cargo_outside(root: &Path, command: &str, manifest: &Path) -> anyhow::Result<Cargo> {
    let ours = fs::read_to_string(root.join("Cargo.toml"))?;
    let profiles = ours.parse::<toml::Table>()?.into_iter().filter(|(name, _)| name == "profile");
    let target = target(root);
    let config = target.join("profiles.toml");
    fs::write(&config, toml::to_string(&profiles.collect::<toml::Table>())?)?;
    let command = cargo(root).args([command, "--quiet", "--manifest-path"]).args([manifest]);
    Ok(command.args(["--target-dir"]).args([target]).args(["--config"]).args([config]))
}

/// A cargo command in the workspace's folder.
pub struct Cargo(Command);

/// The cargo that runs this task.
pub fn cargo(root: &Path) -> Cargo {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    Cargo(command)
}

impl Cargo {
    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs it, and shows what it prints.
    pub fn run(mut self) -> anyhow::Result<()> {
        let status = self.0.status().with_context(|| format!("cannot run {:?}", self.0))?;
        ensure!(status.success(), "{:?} failed: {status}", self.0);
        Ok(())
    }

    /// Runs it, and gives what it prints.
    pub fn output(mut self) -> anyhow::Result<Vec<u8>> {
        let output = self.0.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot run {:?}", self.0))?;
        ensure!(output.status.success(), "{:?} failed: {}", self.0, output.status);
        Ok(output.stdout)
    }
}

/// Runs a program that must succeed.
pub fn checked(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Runs a program that must succeed, and returns what it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    String::from_utf8(output.stdout)
        .with_context(|| format!("{command:?} printed bytes that are not UTF-8"))
}
