//! `carstone store`: packs under their hashes.

mod blocks;
mod layers;
mod maintain;
mod put;
mod read;
mod records;
mod show;

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use carstone_store::{CachedObjects, ErrorKind, LocalObjects, SourceReader, Store, StoreUrl};
use serde_json::json;

use self::layers::StackLayers;
use crate::cli::{KeyArgs, StoreArgs, StoreCommand, StoreIndexCommand};
use crate::exit::Exit;
use crate::output::Output;

/// Does what is asked for.
pub(crate) fn run(args: StoreArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    // What looks for damage, or changes segments, looks at those of the store itself.
    let looks_up = matches!(
        args.command,
        StoreCommand::Put(_)
            | StoreCommand::Get(_)
            | StoreCommand::Extract(_)
            | StoreCommand::Cat(_)
            | StoreCommand::Dump(_)
            | StoreCommand::Ls(_)
            | StoreCommand::Find(_)
            | StoreCommand::Index(StoreIndexCommand::Find(_))
    );
    let url = StoreUrl::new(args.store).endpoint(args.endpoint);
    let is_far = url.directory().is_none() && url.url != "memory:";
    let cache = args.index_cache.filter(|_| looks_up && is_far).filter(|cache| {
        let made = fs::create_dir_all(cache);
        // It is there to be faster, and nothing else.
        made.map_err(|error| {
            output.note(&format!("{}: the index is not kept there: {error}", cache.display()));
        })
        .is_ok()
    });
    let job = Job { runtime, url, files: args.files, cache };
    match args.command {
        StoreCommand::Init => job.init(output),
        StoreCommand::Put(args) => put::run(&job, &args, output),
        StoreCommand::Get(args) => read::get(&job, &args, output),
        StoreCommand::Extract(args) => read::extract(&job, &args, output),
        StoreCommand::Cat(args) => read::cat(&job, &args, output),
        StoreCommand::Dump(args) => read::dump(&job, &args, output),
        StoreCommand::Ls(args) => show::ls(&job, &args, output),
        StoreCommand::Find(args) => show::find(&job, &args, output),
        StoreCommand::Publish => maintain::publish(&job, output),
        StoreCommand::Stats => show::stats(&job, output),
        StoreCommand::Check(args) => maintain::check(&job, &args, output),
        StoreCommand::Heal(args) => maintain::heal(&job, &args, output),
        StoreCommand::Protect(args) => maintain::protect(&job, &args, output),
        StoreCommand::Copy(args) => maintain::copy(&job, &args, output),
        StoreCommand::Rm(args) => maintain::rm(&job, &args, output),
        StoreCommand::Gc(args) => maintain::gc(&job, &args, output),
        StoreCommand::Index(StoreIndexCommand::Add(args)) => put::add(&job, &args, output),
        StoreCommand::Index(StoreIndexCommand::Place(args)) => put::place(&job, &args, output),
        StoreCommand::Index(StoreIndexCommand::Find(args)) => show::find(&job, &args, output),
        StoreCommand::Index(StoreIndexCommand::Export(args)) => {
            records::export(&job, &args, output)
        }
        StoreCommand::Index(StoreIndexCommand::Import(args)) => {
            records::import(&job, &args, output)
        }
        StoreCommand::Index(StoreIndexCommand::Compact) => maintain::compact(&job, output),
        StoreCommand::Index(StoreIndexCommand::Rebuild(args)) => {
            maintain::rebuild(&job, &args, output)
        }
    }
}

/// A store that was named, and what runs it.
struct Job {
    runtime: tokio::runtime::Runtime,
    url: StoreUrl,
    /// Where files lie that are in no pack.
    files: Option<PathBuf>,
    /// Where segments of the index are kept.
    cache: Option<PathBuf>,
}

impl Job {
    /// Waits for it.
    fn wait<T>(&self, work: impl Future<Output = carstone_store::Result<T>>) -> anyhow::Result<T> {
        Ok(self.runtime.block_on(work)?)
    }

    fn open(&self) -> anyhow::Result<Store> {
        let Some(cache) = &self.cache else { return self.open_other(&self.url) };
        let open = async {
            let objects = CachedObjects::new(self.url.objects()?, cache, MOST_CACHED);
            Store::open(Arc::new(objects)).await
        };
        self.opened(&self.url, open)
    }

    /// The store, into which something is to be written.
    fn open_to_write(&self) -> anyhow::Result<Store> {
        let store = self.open()?;
        match store.is_read_only() {
            true => bail!("{}: is read over HTTP, and nothing can be written there", self.url.url),
            false => Ok(store),
        }
    }

    /// The store, of which these keys open encrypted packs.
    fn open_with(&self, keys: &KeyArgs) -> anyhow::Result<Store> {
        self.with_keys(self.open()?, keys)
    }

    fn with_keys(&self, store: Store, keys: &KeyArgs) -> anyhow::Result<Store> {
        let layers = StackLayers::opening(keys)?;
        let store = store.with_layers(Arc::new(layers));
        Ok(match &self.files {
            None => store,
            Some(files) => {
                let files = Arc::new(LocalObjects::new(files));
                store.with_sources(SourceReader::new().paths(files))
            }
        })
    }

    fn open_other(&self, url: &StoreUrl) -> anyhow::Result<Store> {
        self.opened(url, Store::open_at(url))
    }

    fn opened(
        &self,
        url: &StoreUrl,
        open: impl Future<Output = carstone_store::Result<Store>>,
    ) -> anyhow::Result<Store> {
        let opened = self.runtime.block_on(open);
        let is_missing = |error: &carstone_store::Error| matches!(error.kind(), ErrorKind::NoStore);
        opened.map_err(|error| match is_missing(&error) {
            true if url.url.starts_with("http") => anyhow!("{}: is no store", url.url),
            true => anyhow!("{}: is no store; `carstone store init` makes one", url.url),
            false => anyhow::Error::from(error).context(format!("{}: cannot be opened", url.url)),
        })
    }

    /// Another store, reached like this one.
    fn other(&self, url: &str) -> StoreUrl {
        StoreUrl::new(url).endpoint(self.url.endpoint.clone())
    }

    fn init(&self, output: &mut Output) -> anyhow::Result<Exit> {
        let made = self.runtime.block_on(Store::create_at(&self.url));
        made.with_context(|| self.url.url.clone())?;
        if output.is_json() {
            output.object("summary", show::object(json!({ "store": self.url.url })))?;
        }
        output.note(&format!("{} is a store", self.url.url));
        Ok(Exit::Intact)
    }
}

/// Bytes of segments that are kept on a local disk.
const MOST_CACHED: u64 = 4 << 30;
