//! `carstone verify --against`: compares a pack with a directory.

use std::fs::File;
use std::path::Path;

use carstone::stack::Format;

use crate::cli::VerifyArgs;
use crate::exit::Exit;
use crate::keys::Keys;
use crate::output::Output;

pub(crate) fn run(
    _file: File,
    _format: Format,
    _name: &str,
    _keys: &Keys,
    _directory: &Path,
    _args: &VerifyArgs,
    _output: &mut Output,
) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
