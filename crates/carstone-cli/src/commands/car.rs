//! `carstone car`: CARs as such, block by block.

mod block;
mod change;
mod copy;
mod dag;
mod export;
mod files;
mod import;
mod index;
mod inspect;
mod list;
mod ls;
mod roots;
mod text;
pub(super) mod write;

use anyhow::bail;

use crate::cli::{CarArgs, CarCommand, CatArgs, ExtractArgs, VerifyArgs};
use crate::commands;
use crate::exit::Exit;
use crate::output::Output;

/// Does what is asked for.
pub(crate) fn run(args: CarArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let reading = args.reading();
    if !args.accept.is_empty() && !args.command.reads_cars() {
        bail!("--accept is for commands that read a CAR: `create` and `export` read none");
    }
    match args.command {
        CarCommand::Create(args) => commands::create::run(args.plain(), output),
        CarCommand::Extract(args) => {
            commands::extract::run(ExtractArgs { reading, ..args }, output)
        }
        CarCommand::Cat(args) => commands::cat::run(CatArgs { reading, ..args }, output),
        CarCommand::Ls(args) => ls::run(args, reading, output),
        CarCommand::Verify(args) => commands::verify::run(VerifyArgs { reading, ..args }, output),
        CarCommand::List(args) => list::list(&args, reading, output),
        CarCommand::Blocks(args) => list::blocks(&args, reading, output),
        CarCommand::Roots(args) => roots::run(&args, reading, output),
        CarCommand::SetRoots(args) => change::set_roots(&args, output),
        CarCommand::Inspect(args) => inspect::run(&args, reading, output),
        CarCommand::GetBlock(args) => block::get(&args, reading, output),
        CarCommand::PutBlock(args) => block::put(&args, reading, output),
        CarCommand::GetDag(args) => dag::get(&args, reading, output),
        CarCommand::Complete(args) => dag::complete(&args, reading, output),
        CarCommand::Split(args) => dag::split(&args, reading, output),
        CarCommand::Filter(args) => copy::filter(&args, reading, output),
        CarCommand::Concat(args) => copy::concat(&args, reading, output),
        CarCommand::Merge(args) => copy::merge(&args, reading, output),
        CarCommand::Index(args) => index::run(args, reading, output),
        CarCommand::DetachIndex(args) => index::detach(args, reading, output),
        CarCommand::AttachIndex(args) => change::attach_index(&args, reading, output),
        CarCommand::Wrap(args) => index::wrap(&args, reading, output),
        CarCommand::Unwrap(args) => index::unwrap(&args, output),
        CarCommand::Debug(args) => text::debug(&args, reading, output),
        CarCommand::Compile(args) => text::compile(&args, output),
        CarCommand::Import(args) => import::run(&args, reading, output),
        CarCommand::Export(args) => export::run(&args, output),
        CarCommand::Hash(args) => inspect::hash(&args, output),
    }
}
