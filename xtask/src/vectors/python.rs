//! The Python environment of the independent implementation, kept below `target/`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

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
        let installed = environment.join("installed.txt");
        let wanted = fs::read(&requirements).context("cannot read the Python requirements")?;
        if fs::read(&installed).ok().as_deref() != Some(&wanted) {
            eprintln!("vectors: installing Python packages below {}", environment.display());
            fs::create_dir_all(work)?;
            let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
            let mut make = Command::new(python);
            checked(make.args(["-m", "venv", "--clear"]).arg(&environment))?;
            let mut install = Command::new(&interpreter);
            install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            checked(install.arg("--requirement").arg(&requirements))?;
            // Written last: an environment that is only half made is made again.
            fs::write(&installed, wanted)?;
        }
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
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    String::from_utf8(output.stdout)
        .with_context(|| format!("{command:?} printed bytes that are not UTF-8"))
}
