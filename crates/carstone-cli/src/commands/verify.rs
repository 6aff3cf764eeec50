//! `carstone verify`.

use crate::cli::VerifyArgs;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(_args: VerifyArgs, _output: &mut Output) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
