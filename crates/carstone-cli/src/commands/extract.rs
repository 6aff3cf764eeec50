//! `carstone extract`.

use crate::cli::ExtractArgs;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(_args: ExtractArgs, _output: &mut Output) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
