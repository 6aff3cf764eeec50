//! `carstone create`.

use crate::cli::CreateArgs;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(_args: CreateArgs, _output: &mut Output) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
