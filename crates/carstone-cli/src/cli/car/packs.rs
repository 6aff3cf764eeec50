//! What `carstone car` is told of packs.

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::compress::Codec;
use carstone::unixfs::{Error as UnixFsError, Profile, ShardThreshold};
use clap::{Args, ValueHint};

use super::shared::{OneCar, OutArgs, VersionArgs};
use crate::cli::create::{block_size, threshold};
use crate::cli::{KeyArgs, ReaderArgs};

/// `carstone car import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What is read.
    #[command(flatten)]
    pub input: OneCar,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
    /// How to compress: none, brotli[:0-11] or zstd[:1-22] [default: brotli:5].
    #[arg(long, value_name = "CODEC", help_heading = "Stored form")]
    pub compress: Option<Codec>,
    /// Bytes that are compressed together, 64K to 16M [default: 4M].
    #[arg(long, value_name = "SIZE", value_parser = block_size, help_heading = "Stored form")]
    pub block_size: Option<u32>,
    /// Links of a full node of a file.
    #[arg(long, value_name = "N", help_heading = "Stored form")]
    pub width: Option<usize>,
    /// When a directory is sharded: above so many entries or, with K or M behind the number, bytes.
    #[arg(long, value_name = "N|SIZE", value_parser = threshold, help_heading = "Stored form")]
    pub hamt_threshold: Option<ShardThreshold>,
    /// Slots in a shard of a sharded directory: a power of two from 8 to 1024.
    #[arg(long, value_name = "N", help_heading = "Stored form")]
    pub hamt_fanout: Option<usize>,
    /// Threads that hash, compress and encrypt.
    #[arg(long, value_name = "N", help_heading = "Stored form")]
    pub threads: Option<usize>,
    /// Who may read it.
    #[command(flatten)]
    pub readers: ReaderArgs,
}

impl ImportArgs {
    /// How directories and nodes are made.
    ///
    /// # Errors
    /// A setting is out of range.
    pub(crate) fn profile(&self) -> Result<Profile, UnixFsError> {
        let mut profile = Profile::default();
        if let Some(links) = self.width {
            profile = profile.with_width(links)?;
        }
        if let Some(threshold) = self.hamt_threshold {
            profile = profile.with_shard_threshold(threshold);
        }
        if let Some(slots) = self.hamt_fanout {
            profile = profile.with_fanout(slots)?;
        }
        Ok(profile)
    }
}

/// `carstone car export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// The file or directory in it; default is all.
    #[arg(value_name = "PATH")]
    pub path: Option<OsString>,
    /// Version of the CAR that is written.
    #[command(flatten)]
    pub version: VersionArgs,
    /// Where it goes.
    #[command(flatten)]
    pub out: OutArgs,
    /// What opens an encrypted pack.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Threads that decode ahead.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}
