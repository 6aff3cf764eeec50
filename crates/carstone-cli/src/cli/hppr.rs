//! `carstone hppr`, as clap derives it.

use std::path::PathBuf;

use carstone_hppr::{
    Coordinate, ErrorKind, Header, ListPath, PacketHash, RESERVED_HEADERS, Tai, TipPrefix, Urc,
};
use clap::builder::{OsStr, Resettable};
use clap::{Args, Subcommand, ValueHint};

use super::texts::HPPR_EXAMPLES;

// `carstone hppr`.
#[derive(Debug, Args)]
#[command(after_long_help = HPPR_EXAMPLES)]
pub(crate) struct HpprArgs {
    /// The repository: a directory.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = hppr_variable(),
        default_value = "hppr",
        value_hint = ValueHint::DirPath,
        display_order = 800
    )]
    pub repo: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: HpprCommand,
}

// What can be done with repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum HpprCommand {
    /// Make a repository. One that is there is left as it is, and what is missing of it is made.
    Init,
    /// Keep packets, which are verified first, and print their hashes: of a Seal its own, that of its Plex and that of its Blob.
    Store(HpprStoreArgs),
    /// Make a Plex of data, and a Seal with a key, and keep it.
    Add(HpprAddArgs),
    /// Make a Seal of a Plex that is kept, and keep it.
    Seal(HpprSealArgs),
    /// Write a packet, or its data alone. It is verified first.
    Get(HpprGetArgs),
    /// Print the headers of a packet, down to the blank line ahead of its data. Nothing of them is verified: neither hashes nor a signature, as that takes the data.
    Headers(HpprHeadersArgs),
    /// List what a path has: groups, applications, locations, times, keys or hashes.
    Ls(HpprLsArgs),
    /// List the latest packets of all coordinates below a path.
    Tips(HpprTipsArgs),
    /// Print a line for each new tip below a path as it comes, until a signal ends it. The lines are those of `tips`.
    Watch(HpprWatchArgs),
    /// Take a packet out of the index. Its hash still leads to it.
    Detach(HpprDetachArgs),
    /// Remove data that no packet has any more, as `detach` has noted.
    Collect,
    /// Look for what is wrong, and put right what can be.
    Check(HpprCheckArgs),
    /// Write packets one behind the other, or as a CAR.
    Export(HpprExportArgs),
    /// Keep the packets of such a stream, or of such a CAR.
    Import(HpprImportArgs),
    /// Make a key to sign with.
    Keygen(HpprKeygenArgs),
    /// Print what others verify the signatures of a key with.
    Id(HpprIdArgs),
}

// `carstone hppr store`.
#[derive(Debug, Args)]
pub(crate) struct HpprStoreArgs {
    /// Files of one packet or several; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// The input is in the form with hashes behind the data, one packet for each file.
    #[arg(long)]
    pub trailer: bool,
    /// Take extra headers that are in order by their names alone.
    #[arg(long)]
    pub by_name: bool,
}

// `carstone hppr add`.
#[derive(Debug, Args)]
pub(crate) struct HpprAddArgs {
    /// Where: `//GROUP/APP/LOCATION`.
    #[arg(value_name = "COORDINATE", value_parser = coordinate)]
    pub coordinate: Coordinate,
    /// The data, of 32 MiB at most; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// An extra header. May be given more than once.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<Header>,
    /// The time, instead of now: ten digits, a colon, and nine digits, of international atomic time.
    #[arg(long, value_name = "TAI")]
    pub tai: Option<Tai>,
    /// Sign it with the key in this file.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
}

// `carstone hppr seal`.
#[derive(Debug, Args)]
pub(crate) struct HpprSealArgs {
    /// The packet: `//GROUP/APP/LOCATION`, with a selector behind `/|/`, or `////HASH`. Of a Seal it is the Plex in it.
    #[arg(value_name = "ADDRESS")]
    pub address: Urc,
    /// The key.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: PathBuf,
}

// `carstone hppr get`.
#[derive(Debug, Args)]
pub(crate) struct HpprGetArgs {
    /// The packet: `//GROUP/APP/LOCATION`, with a selector behind `/|/`, or `////HASH`.
    #[arg(value_name = "ADDRESS")]
    pub address: Urc,
    /// Where it goes; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    pub force: bool,
    /// Write the data alone.
    #[arg(short, long)]
    pub data: bool,
    /// Write it in the form with hashes behind the data.
    #[arg(long, conflicts_with = "data")]
    pub trailer: bool,
}

// `carstone hppr headers`.
#[derive(Debug, Args)]
pub(crate) struct HpprHeadersArgs {
    /// The packet: `//GROUP/APP/LOCATION`, with a selector behind `/|/`, or `////HASH`.
    #[arg(value_name = "ADDRESS")]
    pub address: Urc,
}

// `carstone hppr ls`.
#[derive(Debug, Args)]
pub(crate) struct HpprLsArgs {
    /// The path, which ends with a slash: `//` lists groups, `//GROUP/` applications, `//GROUP/APP/LOCATION/|/` what is there.
    #[arg(value_name = "PATH", default_value = "//")]
    pub path: ListPath,
}

// `carstone hppr tips`.
#[derive(Debug, Args)]
pub(crate) struct HpprTipsArgs {
    /// What they are below: `//`, `//GROUP/`, `//GROUP/APP/` or `//GROUP/APP/LOCATION/`.
    #[arg(value_name = "PATH", default_value = "//")]
    pub path: TipPrefix,
}

// `carstone hppr watch`.
#[derive(Debug, Args)]
pub(crate) struct HpprWatchArgs {
    /// What they are below: `//`, `//GROUP/`, `//GROUP/APP/` or `//GROUP/APP/LOCATION/`.
    #[arg(value_name = "PATH", default_value = "//")]
    pub path: TipPrefix,
}

// `carstone hppr detach`.
#[derive(Debug, Args)]
pub(crate) struct HpprDetachArgs {
    /// The hash of the packet.
    #[arg(value_name = "HASH")]
    pub hash: PacketHash,
}

// `carstone hppr check`.
#[derive(Debug, Args)]
pub(crate) struct HpprCheckArgs {
    /// Put right what can be: links to the latest packets, references, and the index from them. No data is removed.
    #[arg(long)]
    pub repair: bool,
    /// Look at names and lengths only, and read no data.
    #[arg(long)]
    pub quick: bool,
}

// `carstone hppr export`.
#[derive(Debug, Args)]
pub(crate) struct HpprExportArgs {
    /// What is written: all that is below `//`, `//GROUP/`, `//GROUP/APP/` or `//GROUP/APP/LOCATION/`.
    #[arg(value_name = "PATH", default_value = "//")]
    pub path: TipPrefix,
    /// Where it goes; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    pub force: bool,
    /// Write a CAR, in which each packet is a block under the CID of its hash.
    #[arg(long)]
    pub car: bool,
    /// Write Blobs too that no packet has. They are below no path, so that all is to be written.
    #[arg(long)]
    pub lone_blobs: bool,
    /// Leave packets out that are damaged or missing, and tell how many they are. Else the first one ends the export.
    #[arg(long)]
    pub skip_damaged: bool,
}

// `carstone hppr import`.
#[derive(Debug, Args)]
pub(crate) struct HpprImportArgs {
    /// Streams of packets, or CARs; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// The input is a CAR.
    #[arg(long)]
    pub car: bool,
    /// Take extra headers that are in order by their names alone.
    #[arg(long)]
    pub by_name: bool,
}

// `carstone hppr keygen`.
#[derive(Debug, Args)]
pub(crate) struct HpprKeygenArgs {
    /// The file of the key, which must be new; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

// `carstone hppr id`.
#[derive(Debug, Args)]
pub(crate) struct HpprIdArgs {
    /// The file of the key; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub key: PathBuf,
}

fn coordinate(text: &str) -> Result<Coordinate, String> {
    match text.parse::<Urc>() {
        Ok(Urc::Coordinate { coordinate, selector: carstone_hppr::Selector::Tip }) => {
            Ok(coordinate)
        }
        Ok(_) => Err("it is no coordinate, //GROUP/APP/LOCATION".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn header(text: &str) -> Result<Header, String> {
    let header = Header::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    match RESERVED_HEADERS.contains(&header.name()) {
        true => Err(ErrorKind::ReservedName.to_string()),
        false => Ok(header),
    }
}

/// The variable that names the repository; one that is empty names none.
fn hppr_variable() -> Resettable<OsStr> {
    const NAME: &str = "CARSTONE_HPPR";
    match std::env::var_os(NAME) {
        Some(value) if value.is_empty() => Resettable::Reset,
        _ => Resettable::Value(NAME.into()),
    }
}
