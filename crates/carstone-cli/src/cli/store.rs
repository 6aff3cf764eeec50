//! `carstone store`, as clap derives it.

mod maintain;

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::car::Cid;
use carstone::compress::Codec;
use carstone_store::Share;
use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::ByteRange;
use super::car::OutArgs;
use super::texts::STORE_EXAMPLES;
use super::{CarVersion, FunctionArg, KeyArgs, ReaderArgs, RestoreArgs, size};

pub(crate) use self::maintain::{
    StoreCheckArgs, StoreCopyArgs, StoreGcArgs, StoreHealArgs, StoreProtectArgs, StoreRebuildArgs,
    StoreRmArgs,
};
use super::parity::share;

// `carstone store`.
#[derive(Debug, Args)]
#[command(after_long_help = STORE_EXAMPLES)]
pub(crate) struct StoreArgs {
    /// The store: a directory or `file:///DIRECTORY`, `s3://BUCKET/PREFIX` with the usual AWS_ variables, `https://HOST/PATH` of one that is only read, or
    /// `memory:` for a trial.
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
    /// The directory of files that were indexed where they lie.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, display_order = 802)]
    pub files: Option<PathBuf>,
    /// Keep the index of a store in a service in this directory, up to 4 GiB, so that look-ups need no requests. Several stores may share it.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "CARSTONE_INDEX_CACHE",
        value_hint = ValueHint::DirPath,
        display_order = 803
    )]
    pub index_cache: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

// What can be done with stores.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make a store. One that is there is left as it is.
    Init,
    /// Put files and directories into packs, and print their roots. The blocks of a directory are all written into a temporary file first, in $TMPDIR or /tmp, which
    /// takes as much room as the files.
    Put(StorePutArgs),
    /// Copy a file out of the store.
    Get(StoreGetArgs),
    /// Restore files and directories out of the store.
    Extract(StoreExtractArgs),
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
    /// Look for what is wrong: packs, index and roots.
    Check(StoreCheckArgs),
    /// Put damaged and missing packs right: by their parity, from other places that their blobs have in the store, and from other stores.
    Heal(StoreHealArgs),
    /// Put parity beside packs that have none, as `put --parity` does. No key is needed.
    Protect(StoreProtectArgs),
    /// Copy everything into another store, which is made if there is none.
    Copy(StoreCopyArgs),
    /// Remove a root. What it leads to stays until `gc` takes it.
    Rm(StoreRmArgs),
    /// Remove packs that no root needs.
    Gc(StoreGcArgs),
    /// Write a catalogue, by which others read the store over HTTP: from any server of files, or out of a bucket that lists nothing.
    Publish,
    /// Tell how much there is of what.
    Stats,
}

// What can be done with the index of a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreIndexCommand {
    /// Keep CARs that somebody else has made as packs, byte for byte, and index their blocks, which are verified first.
    Add(StoreIndexAddArgs),
    /// Index the files of a directory where they lie, without copying them. What reads them takes `--files DIR`.
    Place(StoreIndexPlaceArgs),
    /// Tell where the block of a CID lies: the same as `store find`.
    Find(StoreFindArgs),
    /// Write it in a form of others: as hash-stream's records, or that of one DAG as a sharded-DAG index.
    Export(StoreIndexExportArgs),
    /// Take hash-stream's records and sharded-DAG indexes into it. What they say of packs is believed until it is read.
    Import(StoreIndexImportArgs),
    /// Put its segments together into one, which makes look-ups faster.
    Compact,
    /// Make it again from the packs alone, which are all read and verified; with `--shard` on several machines.
    Rebuild(StoreRebuildArgs),
}

/// `carstone store index export`.
#[derive(Debug, Args)]
pub(crate) struct StoreIndexExportArgs {
    /// The root of the DAG whose index is written, with `--as sharded`.
    #[arg(value_name = "CID", required_if_eq("form", "sharded"))]
    pub cid: Option<Cid>,
    /// The form.
    #[arg(long = "as", value_name = "FORM")]
    pub form: IndexForm,
    /// Where it goes: of records a directory, which is made if there is none, or `s3://BUCKET/PREFIX`; of a sharded-DAG index a file, or `-`.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub output: PathBuf,
    /// Replace an existing file, or write into a directory that is not empty.
    #[arg(long)]
    pub force: bool,
    /// Name records as hash-stream does in services, where each hash stands twice. It is always so with `s3://`.
    #[arg(long)]
    pub nested: bool,
    /// When the records were made, in milliseconds from 1970 on, which is part of their names.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub time: u64,
}

/// Forms of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndexForm {
    /// hash-stream's single-level records, `index/blob@0.1`: one for each place of a blob, and one for each pack
    Records,
    /// hash-stream's multiple-level records, `index/containing@0.1`: one for each DAG, with its packs and their blobs
    ContainingRecords,
    /// The index of one DAG, `index/sharded/dag@0.1`: a CAR with a block for each pack
    Sharded,
}

/// `carstone store index import`.
#[derive(Debug, Args)]
pub(crate) struct StoreIndexImportArgs {
    /// Directories with records of either level, `s3://BUCKET/PREFIX` with them, and files that are sharded-DAG indexes.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub from: Vec<PathBuf>,
    /// Records in directories are named as hash-stream does in services, where each hash stands twice. It is always so with `s3://`.
    #[arg(long)]
    pub nested: bool,
}

/// `carstone store index place`.
#[derive(Debug, Args)]
pub(crate) struct StoreIndexPlaceArgs {
    /// The directory. Every file below it gets a root of its own; symbolic links are left out.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}

/// `carstone store put`.
#[derive(Debug, Args)]
pub(crate) struct StorePutArgs {
    /// Files and directories; `-` is standard input. Each gets a root of its own. Those that cannot be read are told, and the others put.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Bytes of a pack at the most: a number, or one with K, M or G behind it.
    #[arg(long, value_name = "BYTES", default_value = "133169152", value_parser = size)]
    pub pack_size: u64,
    /// Hash function of blobs. Packs are named by sha2-256 in any case.
    #[arg(long, value_name = "FUNCTION", default_value = "sha2-256")]
    pub hash: FunctionArg,
    /// Keep each file as it is, in one piece, under its own hash: one that is packed already, compressed or encrypted.
    #[arg(long, conflicts_with_all = ["pack_size", "hash", "dedupe", "compress", "recipient", "recipients_file"])]
    pub raw: bool,
    /// Compress packs: none, brotli[:0-11] or zstd[:1-22]. Else they are CARs, unless they are encrypted.
    #[arg(long, value_name = "CODEC")]
    pub compress: Option<Codec>,
    /// Give each pack a manifest among its roots, so that it is a whole DAG by itself: of the blocks that it has, and of which pack is before it.
    #[arg(long, conflicts_with = "raw")]
    pub manifests: bool,
    /// Put parity beside each pack, of so many percent of its bytes (1 to 100; 10 if no number is given), by which `heal` restores it when it is damaged.
    #[arg(long, value_name = "P", num_args = 0..=1, require_equals = true, default_missing_value = "10%", value_parser = share)]
    pub parity: Option<Share>,
    /// Who is to read packs, which are encrypted then, each with a key of its own.
    #[command(flatten)]
    pub readers: ReaderArgs,
    /// Store a block once that a file repeats, which is always so in a directory; or also leave out what packs of the store have already.
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "blob")]
    pub dedupe: Option<DedupeArg>,
}

/// Which blocks are not stored again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DedupeArg {
    /// Those that the same file has had before
    Blob,
    /// Those that any pack of the store has, too
    Store,
}

/// The order of blocks in a CAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DumpOrder {
    /// Depth first, parents before their children
    Dag,
    /// As they lie in packs, which are read from front to back
    Location,
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
    /// What opens encrypted packs.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone store extract`.
#[derive(Debug, Args)]
pub(crate) struct StoreExtractArgs {
    /// A root, and the path below it.
    #[arg(value_name = "CID[/PATH]")]
    pub what: String,
    /// Restore only what matches, and everything below it.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,
    /// Where it goes, and how.
    #[command(flatten)]
    pub restore: RestoreArgs,
    /// What opens encrypted packs.
    #[command(flatten)]
    pub keys: KeyArgs,
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
    /// What opens encrypted packs.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone store ls`.
#[derive(Debug, Args)]
pub(crate) struct StoreLsArgs {
    /// A directory; without it the roots are listed.
    #[arg(value_name = "CID[/PATH]")]
    pub what: Option<String>,
    /// What opens encrypted packs.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone store find`.
#[derive(Debug, Args)]
pub(crate) struct StoreFindArgs {
    /// What is looked for.
    #[arg(value_name = "CID")]
    pub cid: Cid,
}

/// `carstone store index add`.
#[derive(Debug, Args)]
pub(crate) struct StoreIndexAddArgs {
    /// CARs of either version; `-` is standard input.
    #[arg(value_name = "CAR", required = true, value_hint = ValueHint::FilePath)]
    pub cars: Vec<PathBuf>,
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
    /// The order of blocks.
    #[arg(long, value_name = "ORDER", default_value = "dag")]
    pub order: DumpOrder,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
    /// What opens encrypted packs.
    #[command(flatten)]
    pub keys: KeyArgs,
}
