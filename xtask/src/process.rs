//! Runs cargo, and fails with the command when it fails.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

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
