//! What `carstone car` is told of DAGs.

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::car::Cid;
use carstone::unixfs::{DagScope, EntityBytes};
use clap::{Args, ValueEnum, ValueHint};

use super::shared::{OneCar, OutArgs, VersionArgs};
use crate::cli::size;

/// How much of a DAG is copied, as in a trustless gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// One block.
    Block,
    /// A file, or the list of a directory.
    Entity,
    /// All below it.
    All,
}

impl ScopeArg {
    /// The same for the library.
    pub(crate) fn scope(self) -> DagScope {
        match self {
            Self::Block => DagScope::Block,
            Self::Entity => DagScope::Entity,
            Self::All => DagScope::All,
        }
    }
}

/// `carstone car get-dag`.
#[derive(Debug, Args)]
pub(crate) struct GetDagArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Where the DAG begins; default is the root of a CAR that has one.
    #[arg(value_name = "CID")]
    pub root: Option<Cid>,
    /// Copy only what this IPLD selector says, in DAG-JSON.
    #[arg(short, long, value_name = "SELECTOR", conflicts_with_all = ["path", "scope", "bytes"])]
    pub selector: Option<String>,
    /// Begin at the file or directory that this path names; the blocks on the way to it come first. What is missing is an error then.
    #[arg(long, value_name = "PATH")]
    pub path: Option<OsString>,
    /// How much of it: its block, what it takes to read the file or to list the directory, or all below it.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<ScopeArg>,
    /// Only what holds these bytes of a file: FROM:TO, both included and from 0; a negative number counts from the end, and TO may be `*`.
    #[arg(long, value_name = "FROM:TO", allow_hyphen_values = true)]
    pub bytes: Option<EntityBytes>,
    /// Fail where a block is missing, instead of leaving it out.
    #[arg(long)]
    pub strict: bool,
    /// Version of the CAR that is written.
    #[command(flatten)]
    pub version: VersionArgs,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone car complete`.
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Where the DAGs begin; default are the roots of the CAR.
    #[arg(value_name = "CID")]
    pub roots: Vec<Cid>,
    /// The most missing blocks that are named; all are counted.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub most: usize,
    /// Only see whether raw blocks are there, without reading and verifying them.
    #[arg(long)]
    pub quick: bool,
}

/// `carstone car split`.
#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// The most bytes of a part; K, M and G may follow.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub size: u64,
    /// Cut between any two blocks, in the order of the file, so that only all parts together can be read.
    #[arg(long)]
    pub simple: bool,
    /// Where the parts go, as NAME-0000.car and so on.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// Replace existing files.
    #[arg(long)]
    pub force: bool,
}
