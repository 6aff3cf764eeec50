//! Arguments that several commands have.

use std::path::PathBuf;

use carstone::car::{FileOptions, IndexCodec, codec};
use clap::{Args, ValueEnum, ValueHint};

use crate::cli::CarVersion;

/// What a CAR may have although the format does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tolerance {
    /// A section of length zero ends the data.
    ZeroSection,
    /// Bytes that are no section end the data.
    TrailingBytes,
    /// Lengths are not in their shortest form.
    PaddedVarints,
    /// The index of a CARv2 has no codec.
    LegacyIndex,
    /// SHA-1 is taken for evidence.
    Sha1,
    /// Blocks are taken unverified whose hash function is not known.
    UnknownHash,
}

/// A CAR to read.
#[derive(Debug, Args)]
pub(crate) struct OneCar {
    /// The CAR; `-` is standard input.
    #[arg(value_name = "CAR", value_hint = ValueHint::FilePath)]
    pub car: PathBuf,
}

/// Where the output goes.
#[derive(Debug, Args)]
pub(crate) struct OutArgs {
    /// The file to write; `-` is standard output. It appears under its name only when it is complete.
    #[arg(short, long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace an existing output.
    #[arg(long)]
    pub force: bool,
}

/// One CAR in, one file out.
#[derive(Debug, Args)]
pub(crate) struct OneToOneArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
}

/// The version of what is written.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Version of the CAR that is written; default is that of the first input.
    #[arg(long, alias = "version", value_name = "VERSION")]
    pub car_version: Option<CarVersion>,
}

/// Which index is made.
#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Format of the index.
    #[arg(short, long, value_name = "FORMAT", default_value = "car-multihash-index-sorted")]
    pub codec: IndexFormat,
}

/// Formats of indexes, by their names in the table of multicodecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndexFormat {
    /// By hash function and digest (0x0401).
    CarMultihashIndexSorted,
    /// By digest (0x0400).
    CarIndexSorted,
    /// No index.
    None,
}

impl IndexFormat {
    /// The same for the library; `None` for no index.
    pub(crate) fn codec(self) -> Option<IndexCodec> {
        match self {
            Self::CarMultihashIndexSorted => Some(IndexCodec::MultihashSorted),
            Self::CarIndexSorted => Some(IndexCodec::Sorted),
            Self::None => None,
        }
    }
}

impl VersionArgs {
    /// How a CAR is written whose first source has this version.
    pub(crate) fn options(&self, first: u64) -> FileOptions {
        file_options(self.car_version, first)
    }
}

/// How a CAR is written, by default in version `version`.
pub(crate) fn file_options(asked: Option<CarVersion>, version: u64) -> FileOptions {
    match asked {
        Some(CarVersion::V1) => FileOptions::v1(),
        Some(CarVersion::V2) => FileOptions::v2(),
        None if version == 2 => FileOptions::v2(),
        None => FileOptions::v1(),
    }
}

/// A codec by its name in the table of multicodecs.
pub(crate) fn codec_named(text: &str) -> Option<u64> {
    CODECS.iter().find(|(name, _)| *name == text).map(|(_, code)| *code)
}

/// A codec by its name in the table of multicodecs, or its number.
pub(super) fn parse_codec(text: &str) -> Result<u64, String> {
    let known = codec_named(text);
    let number = || match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    known.or_else(number).ok_or_else(|| {
        let names: Vec<_> = CODECS.iter().map(|(name, _)| *name).collect();
        format!("a codec is one of {}, or a number", names.join(", "))
    })
}

/// The names of codecs.
pub(crate) const CODECS: [(&str, u64); 7] = [
    ("raw", codec::RAW),
    ("dag-pb", codec::DAG_PB),
    ("dag-cbor", codec::DAG_CBOR),
    ("dag-json", 0x0129),
    ("cbor", 0x51),
    ("json", 0x0200),
    ("libp2p-key", 0x72),
];
