//! `carstone store`: packs under their hashes.

mod blocks;
mod put;
mod read;
mod show;

use std::future::Future;

use anyhow::Context;
use carstone_store::Store;

use crate::cli::{StoreArgs, StoreCommand, StoreIndexCommand};
use crate::exit::Exit;
use crate::output::Output;

/// Does what is asked for.
pub(crate) fn run(args: StoreArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let job = Job { runtime, location: args.store };
    match args.command {
        StoreCommand::Init => job.init(output),
        StoreCommand::Put(args) => put::run(&job, &args, output),
        StoreCommand::Get(args) => read::get(&job, &args, output),
        StoreCommand::Cat(args) => read::cat(&job, &args, output),
        StoreCommand::Dump(args) => read::dump(&job, &args, output),
        StoreCommand::Ls(args) => show::ls(&job, &args, output),
        StoreCommand::Find(args) => show::find(&job, &args, output),
        StoreCommand::Stats => show::stats(&job, output),
        StoreCommand::Index(StoreIndexCommand::Compact) => show::compact(&job, output),
    }
}

/// A store that was named, and what runs it.
struct Job {
    runtime: tokio::runtime::Runtime,
    location: String,
}

impl Job {
    /// Waits for it.
    fn wait<T>(&self, work: impl Future<Output = carstone_store::Result<T>>) -> anyhow::Result<T> {
        Ok(self.runtime.block_on(work)?)
    }

    /// Opens the store. One in memory is empty.
    fn open(&self) -> anyhow::Result<Store> {
        let opened = self.runtime.block_on(async {
            match &self.location[..] {
                MEMORY => Store::in_memory().await,
                directory => Store::open_local(directory).await,
            }
        });
        opened.with_context(|| {
            format!("{}: cannot be opened; `carstone store init` makes one", self.location)
        })
    }

    fn init(&self, output: &mut Output) -> anyhow::Result<Exit> {
        if self.location != MEMORY {
            let made = self.runtime.block_on(Store::create_local(&self.location));
            made.with_context(|| self.location.clone())?;
        }
        output.note(&format!("{} is a store", self.location));
        Ok(Exit::Intact)
    }
}

const MEMORY: &str = "memory:";
