//! `carstone store`, as clap derives it.

use std::path::PathBuf;

use carstone::car::Cid;
use clap::{Args, Subcommand, ValueHint};

use super::ByteRange;
use super::car::OutArgs;
use super::texts::STORE_EXAMPLES;
use super::{CarVersion, size};

/// `carstone store`.
#[derive(Debug, Args)]
#[command(after_long_help = STORE_EXAMPLES)]
pub(crate) struct StoreArgs {
    /// The store: a directory, `s3://BUCKET/PREFIX` with the usual AWS_ variables, or `memory:` for a trial.
    #[arg(
        long,
        global = true,
        value_name = "STORE",
        env = "CARSTONE_STORE",
        default_value = "carstone-store",
        value_hint = ValueHint::DirPath,
        display_order = 800
    )]
    pub store: String,
    /// The URL of a service that is compatible with S3.
    #[arg(long, global = true, value_name = "URL", env = "AWS_ENDPOINT_URL", display_order = 801)]
    pub endpoint: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What can be done with stores.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make a store. One that is there is left as it is.
    Init,
    /// Put files and directories into packs, and print their roots.
    Put(StorePutArgs),
    /// Copy a file out of the store.
    Get(StoreGetArgs),
    /// Write a file, or a range of it, to standard output.
    Cat(StoreCatArgs),
    /// List the roots that were put, or what is in a directory.
    Ls(StoreLsArgs),
    /// Tell where the block of a CID lies, and which packs have its DAG.
    Find(StoreFindArgs),
    /// Write a DAG as a CAR.
    Dump(StoreDumpArgs),
    /// Work on the index.
    #[command(subcommand)]
    Index(StoreIndexCommand),
    /// Tell how much there is of what.
    Stats,
}

/// What can be done with the index of a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreIndexCommand {
    /// Put its segments together into one, which makes look-ups faster.
    Compact,
}

/// `carstone store put`.
#[derive(Debug, Args)]
pub(crate) struct StorePutArgs {
    /// Files and directories; `-` is standard input. Each gets a root of its own.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Bytes of a pack at the most: a number, or one with K, M or G behind it.
    #[arg(long, value_name = "BYTES", default_value = "133169152", value_parser = size)]
    pub pack_size: u64,
    /// Store a block that a file repeats once. In a directory that is always so.
    #[arg(long)]
    pub dedupe: bool,
}

/// `carstone store get`.
#[derive(Debug, Args)]
pub(crate) struct StoreGetArgs {
    /// The root of the file, and the path below it, if it is a directory.
    #[arg(value_name = "CID[/PATH]")]
    pub what: String,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone store cat`.
#[derive(Debug, Args)]
pub(crate) struct StoreCatArgs {
    /// The root of the file, and the path below it, if it is a directory.
    #[arg(value_name = "CID[/PATH]")]
    pub what: String,
    /// Only these bytes: FIRST-LAST (both included, from 0), FIRST-, or -COUNT for the last COUNT.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub range: Option<ByteRange>,
}

/// `carstone store ls`.
#[derive(Debug, Args)]
pub(crate) struct StoreLsArgs {
    /// A directory; without it the roots are listed.
    #[arg(value_name = "CID[/PATH]")]
    pub what: Option<String>,
}

/// `carstone store find`.
#[derive(Debug, Args)]
pub(crate) struct StoreFindArgs {
    /// What is looked for.
    #[arg(value_name = "CID")]
    pub cid: Cid,
}

/// `carstone store dump`.
#[derive(Debug, Args)]
pub(crate) struct StoreDumpArgs {
    /// The root of the DAG.
    #[arg(value_name = "CID")]
    pub cid: Cid,
    /// Version of the CAR; one of version 2 has an index.
    #[arg(long, value_name = "VERSION", default_value = "1")]
    pub car_version: CarVersion,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}
