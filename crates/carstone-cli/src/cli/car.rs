//! `carstone car`, as clap derives it.

mod dag;
mod packs;
mod shared;

use std::path::PathBuf;

use carstone::car::{Cid, ReaderOptions};
use clap::{Args, Subcommand, ValueHint};

use super::texts::CAR_EXAMPLES;
use super::{CarVersion, CatArgs, CreateArgs, ExtractArgs, ListArgs, VerifyArgs};
pub(crate) use dag::{CompleteArgs, GetDagArgs, ScopeArg, SplitArgs};
pub(crate) use packs::{ExportArgs, ImportArgs};
pub(crate) use shared::{CODECS, OneCar, OneToOneArgs, OutArgs, codec_named, file_options};
use shared::{FormatArgs, Tolerance, VersionArgs, parse_codec};

// `carstone car`.
#[derive(Debug, Args)]
#[command(after_long_help = CAR_EXAMPLES)]
pub(crate) struct CarArgs {
    /// Accept what the format does not have; can be given again.
    #[arg(long, global = true, value_name = "WHAT", display_order = 800)]
    pub accept: Vec<Tolerance>,
    /// What to do.
    #[command(subcommand)]
    pub command: CarCommand,
}

// What can be done with CARs.
#[derive(Debug, Subcommand)]
pub(crate) enum CarCommand {
    /// Pack files and directories into a CAR.
    #[command(alias = "c")]
    Create(Box<CreateArgs>),
    /// Restore the files of a CAR.
    #[command(aliases = ["x", "un", "unpack"])]
    Extract(ExtractArgs),
    /// Write one file of a CAR, or a range of it, to standard output.
    Cat(CatArgs),
    /// List the files of a CAR.
    Ls(LsArgs),
    /// Check every block of a CAR, its files and its index.
    #[command(alias = "v")]
    Verify(VerifyArgs),
    /// Print the CID of each block, in the order of the file.
    #[command(alias = "l")]
    List(CarListArgs),
    /// Print the CID of each block, and check that its data has this hash.
    Blocks(OneCar),
    /// Print the roots.
    #[command(visible_alias = "root")]
    Roots(RootsArgs),
    /// Put other roots in place of those in the header, which stays as long as it is.
    SetRoots(SetRootsArgs),
    /// Tell what a CAR consists of.
    Inspect(InspectArgs),
    /// Write the data of one block.
    #[command(alias = "gb")]
    GetBlock(GetBlockArgs),
    /// Put standard input into a CAR as one block, and print its CID.
    #[command(alias = "pb")]
    PutBlock(PutBlockArgs),
    /// Copy a DAG: a block, and all that it links to.
    #[command(alias = "gd")]
    GetDag(GetDagArgs),
    /// Tell which blocks of the DAGs of a CAR are missing.
    Complete(CompleteArgs),
    /// Copy the blocks whose CIDs are given, or all others.
    ///
    /// Roots are kept where their blocks are.
    #[command(alias = "f")]
    Filter(FilterArgs),
    /// Put CARs behind each other: all their sections under the header of the first.
    Concat(ConcatArgs),
    /// Put CARs together: each block once, under the roots of all.
    Merge(ConcatArgs),
    /// Cut a CAR into CARs of limited size.
    ///
    /// Each part has the roots, and to every block in it the way from a root, so that it can be read by itself; what else the nodes on the way
    /// link to is in other parts. `merge` puts them together.
    Split(SplitArgs),
    /// Copy a CAR as a CARv2 with a new index, or make an index alone.
    #[command(alias = "i")]
    Index(IndexArgs),
    /// Copy the index that a CARv2 has inside, or list its entries.
    DetachIndex(DetachIndexArgs),
    /// Put an index into a CARv2, in place of the one that it may have.
    AttachIndex(AttachIndexArgs),
    /// Make a CARv2 of a CARv1, whose bytes stay as they are. Blocks are not verified.
    Wrap(WrapArgs),
    /// Make a CARv1 of a CARv2: take its payload out.
    Unwrap(OneToOneArgs),
    /// Write a CAR as text that can be edited: `compile` makes a CAR of it again.
    ///
    /// Blocks whose codec is dag-pb, dag-cbor or dag-json stand there as DAG-JSON, others as text or bytes.
    Debug(OneToOneArgs),
    /// Make a CAR of a text that `debug` has written, and somebody may have edited.
    ///
    /// Blocks that were changed get other CIDs; links to them, and roots, are changed accordingly. A new block stands behind the name of its
    /// codec, in place of a CID.
    Compile(CompileArgs),
    /// Make a pack of the files of a CAR. What the CAR says of them stays: blocks of content are taken over as they are.
    ///
    /// Directories, and nodes of files, are made anew in the form of packs. Where the CAR has another form its root becomes another one, which is
    /// told; --width, --hamt-threshold and --hamt-fanout may help.
    Import(ImportArgs),
    /// Copy the blocks of a pack, or of one file or directory in it, into a CAR.
    Export(ExportArgs),
    /// Print the CID of a CAR itself: its SHA-256 under the codec `car`.
    Hash(HashArgs),
}

/// `carstone car list`.
#[derive(Debug, Args)]
pub(crate) struct CarListArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Print offset in the file and length of the data, too.
    #[arg(short, long, alias = "verbose", short_alias = 'v')]
    pub long: bool,
}

/// `carstone car ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// What is listed.
    #[command(flatten)]
    pub list: ListArgs,
    /// Print the blocks that each file, link and directory consists of, a line each: CID, length, path.
    #[arg(long, visible_alias = "unixfs-blocks", conflicts_with_all = ["long", "null"])]
    pub blocks: bool,
}

/// `carstone car roots`.
#[derive(Debug, Args)]
pub(crate) struct RootsArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Print the blocks that no other block links to, whatever the header says.
    #[arg(short, long)]
    pub implicit: bool,
    /// Print CIDs of version 0 as version 1.
    #[arg(long)]
    pub cid_v1: bool,
}

/// `carstone car set-roots`.
#[derive(Debug, Args)]
pub(crate) struct SetRootsArgs {
    /// The CAR, which is changed.
    #[arg(value_name = "CAR", value_hint = ValueHint::FilePath)]
    pub car: PathBuf,
    /// The new roots: as many as there are, with CIDs of the same lengths.
    #[arg(value_name = "CID", required = true)]
    pub roots: Vec<Cid>,
}

/// `carstone car inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Read and hash every block.
    #[arg(long)]
    pub full: bool,
}

/// `carstone car get-block`.
#[derive(Debug, Args)]
pub(crate) struct GetBlockArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// The block.
    #[arg(value_name = "CID")]
    pub cid: Cid,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone car put-block`.
#[derive(Debug, Args)]
pub(crate) struct PutBlockArgs {
    /// The CAR, which is made where it is not there.
    #[arg(value_name = "CAR", value_hint = ValueHint::FilePath)]
    pub car: PathBuf,
    /// Codec of the block.
    #[arg(short, long, value_name = "CODEC", default_value = "raw", value_parser = parse_codec)]
    pub codec: u64,
    /// The CID that the block must have; says its codec and hash function, too.
    #[arg(long, value_name = "CID", conflicts_with = "codec")]
    pub cid: Option<Cid>,
    /// Version of a CAR that is made.
    #[arg(long, alias = "version", value_name = "VERSION")]
    pub car_version: Option<CarVersion>,
    /// Make the block the root of a CAR that is made.
    #[arg(long)]
    pub set_root: bool,
}

/// `carstone car filter`.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// The CIDs, one a line; default is standard input.
    #[arg(long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub cid_file: PathBuf,
    /// Copy all blocks but these.
    #[arg(long)]
    pub inverse: bool,
    /// Add the blocks to the output, a CARv2 that is there: its roots stay, and blocks that it has are not added again.
    #[arg(long, conflicts_with_all = ["force", "car_version"])]
    pub append: bool,
    /// Version of the CAR that is written.
    #[command(flatten)]
    pub version: VersionArgs,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone car concat` and `merge`.
#[derive(Debug, Args)]
pub(crate) struct ConcatArgs {
    /// The CARs; `-` is standard input.
    #[arg(value_name = "CAR", required = true, value_hint = ValueHint::FilePath)]
    pub cars: Vec<PathBuf>,
    /// Version of the CAR that is written; default is 1 for `concat`, and that of the first CAR for `merge`.
    #[arg(long, alias = "version", value_name = "VERSION")]
    pub car_version: Option<CarVersion>,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone car wrap`, and `index create`.
#[derive(Debug, Args)]
pub(crate) struct WrapArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Which index is made.
    #[command(flatten)]
    pub format: FormatArgs,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone car index`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct IndexArgs {
    /// What else can be done.
    #[command(subcommand)]
    pub command: Option<IndexCommand>,
    /// The CAR; `-` is standard input.
    #[arg(value_name = "CAR", required = true, value_hint = ValueHint::FilePath)]
    pub car: Option<PathBuf>,
    /// Which index is made.
    #[command(flatten)]
    pub format: FormatArgs,
    /// Version of the CAR that is written; one of version 1 has no index.
    #[arg(long, alias = "version", value_name = "VERSION", default_value = "2")]
    pub car_version: CarVersion,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

// What can be done with indexes.
#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Write an index of a CAR into a file of its own.
    Create(WrapArgs),
}

/// `carstone car detach-index`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct DetachIndexArgs {
    /// What else can be done.
    #[command(subcommand)]
    pub command: Option<DetachIndexCommand>,
    /// The CARv2; `-` is standard input.
    #[arg(value_name = "CAR", required = true, value_hint = ValueHint::FilePath)]
    pub car: Option<PathBuf>,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

// What can be done with the index that is inside.
#[derive(Debug, Subcommand)]
pub(crate) enum DetachIndexCommand {
    /// Print the entries of an index, that of a CARv2 or one in a file of its own: digest or multihash, and offset in the payload.
    List(OneCar),
}

/// `carstone car attach-index`.
#[derive(Debug, Args)]
pub(crate) struct AttachIndexArgs {
    /// The CARv2, which is changed.
    #[arg(value_name = "CAR", value_hint = ValueHint::FilePath)]
    pub car: PathBuf,
    /// The index in a file of its own; without it one is made.
    #[arg(value_name = "INDEX", value_hint = ValueHint::FilePath)]
    pub index: Option<PathBuf>,
}

/// `carstone car compile`.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// The text; `-` is standard input.
    #[arg(value_name = "TEXT", value_hint = ValueHint::FilePath)]
    pub text: PathBuf,
    /// Version of the CAR that is written; default is what the text says.
    #[arg(long, alias = "version", value_name = "VERSION")]
    pub car_version: Option<CarVersion>,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// `carstone car hash`.
#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    /// The CARs; `-` is standard input.
    #[arg(value_name = "CAR", required = true, value_hint = ValueHint::FilePath)]
    pub cars: Vec<PathBuf>,
    /// Print the multihash, in base58 without the prefix of multibase, instead of a CID.
    #[arg(short, long)]
    pub multihash: bool,
}

impl CarCommand {
    /// Whether a CAR is what it reads.
    pub(crate) fn reads_cars(&self) -> bool {
        !matches!(self, Self::Create(_) | Self::Export(_) | Self::Compile(_))
    }
}

impl CarArgs {
    /// What readers are told.
    pub(crate) fn reading(&self) -> ReaderOptions {
        let accepted = |what| self.accept.contains(&what);
        let options = ReaderOptions::default()
            .zero_section_is_end(accepted(Tolerance::ZeroSection))
            .ignore_trailing_bytes(accepted(Tolerance::TrailingBytes))
            .padded_varints(accepted(Tolerance::PaddedVarints))
            .legacy_index(accepted(Tolerance::LegacyIndex));
        let options = match accepted(Tolerance::Sha1) {
            true => options.danger_accept_sha1(),
            false => options,
        };
        match accepted(Tolerance::UnknownHash) {
            true => options.danger_accept_unverifiable(),
            false => options,
        }
    }
}
