//! Python environments below `target/`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::checked;

/// Makes the environment, or takes the one there is when the same was wanted. `packages` are arguments of pip. The environment variable `PYTHON` names
/// another interpreter than `python3`.
pub fn prepare(environment: &Path, wanted: &[u8], packages: &[&OsStr]) -> anyhow::Result<()> {
    let installed = environment.join("installed.txt");
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    eprintln!("installing Python packages below {}", environment.display());
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut make = Command::new(python);
    checked(make.args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    checked(pip.args(packages))?;
    // Written last: an environment that is only half made is made again.
    Ok(fs::write(&installed, wanted)?)
}
