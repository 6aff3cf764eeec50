//! The Python environment of the independent implementation, kept below `target/`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::process::checked;
use crate::venv;

/// An interpreter that has the packages of `tests/python/requirements.txt`.
pub struct Python {
    interpreter: PathBuf,
    scripts: PathBuf,
}

impl Python {
    /// Makes the environment, or takes the one there is when the requirements have not changed. The
    /// environment variable `PYTHON` names another interpreter than `python3`.
    pub fn prepare(root: &Path, work: &Path) -> anyhow::Result<Self> {
        let scripts = root.join("tests").join("python");
        let requirements = scripts.join("requirements.txt");
        let environment = work.join("python");
        let interpreter = environment.join("bin").join("python");
        let wanted = fs::read(&requirements).context("cannot read the Python requirements")?;
        venv::prepare(
            &environment,
            &wanted,
            &["--requirement".as_ref(), requirements.as_os_str()],
        )?;
        Ok(Self { interpreter, scripts })
    }

    /// A call of one of the project's scripts.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        // No byte code is left between the sources.
        command.arg("-B").arg(self.scripts.join(name));
        command
    }

    /// Runs a script and fails when it does.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<()> {
        checked(self.script(name).args(arguments))
    }
}
