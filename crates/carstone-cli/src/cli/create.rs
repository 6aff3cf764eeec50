//! The arguments of `carstone create`.

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::car::hash_code;
use carstone::compress::Codec;
use carstone::unixfs::{
    ChunkerSpec, CidVersion, Error as UnixFsError, Layout, Leaves, Profile, ShardThreshold,
};
use clap::{Args, ValueEnum, ValueHint};

use super::texts::CREATE_EXAMPLES;
use super::{MakeParityArgs, PassphraseArgs, size};

// `carstone create`.
#[derive(Debug, Args)]
#[command(after_long_help = CREATE_EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The pack to write; `-` is standard output. It appears under its name only when it is complete.
    #[arg(
        short,
        long,
        alias = "file",
        short_alias = 'f',
        value_name = "PACK",
        value_hint = ValueHint::FilePath,
        required_unless_present = "dry_run"
    )]
    pub output: Option<PathBuf>,
    /// Files and directories to pack. One directory alone is the root of the pack; else each stands under its path as
    /// given.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Paths are looked up below this directory.
    #[arg(short = 'C', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
    /// Replace an existing output.
    #[arg(long)]
    pub force: bool,
    /// Write nothing, and print what would be packed, by path. Files are opened, but not read.
    ///
    /// What could not be packed is told, with the exit status of the real run; what happens only while content is read and
    /// written cannot be foreseen. No key is asked for.
    #[arg(short = 'n', long, conflicts_with = "stdin_name")]
    pub dry_run: bool,

    /// How to compress: none, brotli[:0-11] or zstd[:1-22] [default: brotli:5].
    #[arg(long, value_name = "CODEC", help_heading = "Stored form")]
    pub compress: Option<Codec>,
    /// Bytes that are compressed together, 64K to 16M: larger compresses better, smaller reads faster in the middle
    /// [default: 4M].
    #[arg(long, value_name = "SIZE", value_parser = block_size, help_heading = "Stored form")]
    pub block_size: Option<u32>,
    /// Write a plain CAR, which every IPLD tool opens; so does an output that ends in `.car`. Mode, times, owner and
    /// extended attributes are lost, and names that are not UTF-8 are left out.
    #[arg(long, help_heading = "Stored form")]
    pub plain: bool,
    /// Version of a plain CAR: 2 has an index, 1 is all that some tools read [default: 2 in a file, 1 in a pipe].
    #[arg(long, alias = "version", value_name = "VERSION", help_heading = "Stored form")]
    pub car_version: Option<CarVersion>,
    /// How directories and files become blocks, and so all CIDs.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "unixfs-v1-2025",
        help_heading = "Stored form"
    )]
    pub profile: ProfileArg,
    /// How files are cut, instead of the profile's way: fixed:SIZE, or fastcdc:SIZE, where the content says where, so
    /// that an insertion leaves most blocks as they were. SIZE is in bytes, or with K or M.
    #[arg(long, value_name = "CHUNKER", help_heading = "Stored form")]
    pub chunker: Option<ChunkerSpec>,
    /// What else of the profile is changed.
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Write the same bytes for the same tree, on any machine, by any user, with any number of threads. Not for
    /// encrypted packs.
    ///
    /// Kept are names, contents, symlinks, and whether the owner of a file may execute it: files have the mode 0644 or
    /// 0755, directories 0755. There are no owners and no attributes, and hard links are files of their own, whose content
    /// is stored once. There is no modification time either, or, where SOURCE_DATE_EPOCH is set, that one for every entry.
    ///
    /// The pack id is made from the content and the settings, so all files are read twice, and standard input is kept in a
    /// temporary file; when anything changes in between, nothing is written. Another version of carstone may compress
    /// otherwise.
    #[arg(long, help_heading = "Stored form")]
    pub reproducible: bool,
    /// Threads that read, hash, compress and encrypt. The bytes of a pack do not depend on it.
    #[arg(long, value_name = "N", help_heading = "Stored form")]
    pub threads: Option<usize>,

    /// Who may read it.
    #[command(flatten)]
    pub readers: ReaderArgs,
    /// What restores it.
    #[command(flatten)]
    pub making: MakeParityArgs,

    /// Leave out what matches: a pattern without `/` is compared with names, one with `/` with paths in the pack. A
    /// directory that matches is not entered.
    #[arg(long, value_name = "GLOB", help_heading = "Choosing files")]
    pub exclude: Vec<String>,
    /// Leave out what matches a pattern in this file, one a line.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Choosing files")]
    pub exclude_from: Vec<PathBuf>,
    /// Read more paths from this file, one a line; `-` is standard input.
    #[arg(short = 'T', long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Choosing files")]
    pub files_from: Option<PathBuf>,
    /// Paths in the list end with a NUL byte instead of a line end.
    #[arg(long, requires = "files_from", help_heading = "Choosing files")]
    pub null: bool,
    /// Do not enter directories: pack only what is named.
    #[arg(long, help_heading = "Choosing files")]
    pub no_recursion: bool,
    /// Do not enter other file systems.
    #[arg(short = 'x', long, help_heading = "Choosing files")]
    pub one_file_system: bool,
    /// In which order files are packed. By type compresses best; plain CARs keep path order [default: type].
    #[arg(long, value_name = "ORDER", help_heading = "Choosing files")]
    pub order: Option<OrderArg>,
    /// Pack standard input as one file of this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["paths", "files_from"], help_heading = "Choosing files")]
    pub stdin_name: Option<OsString>,
    /// The CID of the root is printed without a word in front.
    #[arg(skip)]
    pub bare_root: bool,
}

// Who may read a new pack.
#[derive(Debug, Default, Args)]
pub(crate) struct ReaderArgs {
    /// Encrypt to this recipient, of age (age1 or age1pq1, or of a plugin) or an SSH public key; can be given again.
    #[arg(short, long, value_name = "RECIPIENT", help_heading = "Encryption")]
    pub recipient: Vec<String>,
    /// Encrypt to the recipients in this file, one a line; can be given again.
    #[arg(short = 'R', long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub recipients_file: Vec<PathBuf>,
    /// How a passphrase is given.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl ReaderArgs {
    /// Whether anything asks for encryption.
    pub(crate) fn encrypts(&self) -> bool {
        let passphrase = &self.passphrase;
        !self.recipient.is_empty()
            || !self.recipients_file.is_empty()
            || passphrase.passphrase
            || passphrase.passphrase_file.is_some()
            || passphrase.passphrase_command.is_some()
    }
}

// What can be changed of a profile, for plain CARs: other CIDs come of it.
#[derive(Debug, Default, Args)]
pub(crate) struct ShapeArgs {
    /// Links of a full node of a file.
    #[arg(long, value_name = "N", help_heading = "Shape of plain CARs")]
    pub width: Option<usize>,
    /// Whether leaves are content and nothing else, or nodes with the content inside.
    #[arg(long, value_name = "BOOL", help_heading = "Shape of plain CARs")]
    pub raw_leaves: Option<bool>,
    /// Version of the CIDs of nodes: 0 or 1.
    #[arg(long, value_name = "VERSION", value_parser = cid_version, help_heading = "Shape of plain CARs")]
    pub cid_version: Option<CidVersion>,
    /// Hash function of all CIDs. With another than sha2-256 they are of version 1.
    #[arg(long, value_name = "FUNCTION", help_heading = "Shape of plain CARs")]
    pub hash: Option<FunctionArg>,
    /// How the leaves of files hang below their roots: balanced or trickle.
    #[arg(long, value_name = "LAYOUT", help_heading = "Shape of plain CARs")]
    pub layout: Option<Layout>,
    /// Put blocks of up to so many bytes into their CIDs, at most 64.
    #[arg(long, value_name = "BYTES", help_heading = "Shape of plain CARs")]
    pub inline_limit: Option<usize>,
    /// When a directory is sharded: above so many entries or, with K or M behind the number, bytes.
    #[arg(long, value_name = "N|SIZE", value_parser = threshold, help_heading = "Shape of plain CARs")]
    pub hamt_threshold: Option<ShardThreshold>,
    /// Slots in a shard of a sharded directory: a power of two from 8 to 1024.
    #[arg(long, value_name = "N", help_heading = "Shape of plain CARs")]
    pub hamt_fanout: Option<usize>,
    /// Let one file be the root, instead of a directory around it.
    #[arg(long, help_heading = "Shape of plain CARs")]
    pub no_wrap: bool,
}

impl ShapeArgs {
    /// The profile with the changes.
    ///
    /// # Errors
    /// One is out of range.
    pub(crate) fn of(&self, mut profile: Profile) -> Result<Profile, UnixFsError> {
        if let Some(links) = self.width {
            profile = profile.with_width(links)?;
        }
        if let Some(raw) = self.raw_leaves {
            profile = profile.with_leaves(if raw { Leaves::Raw } else { Leaves::DagPb });
        }
        if let Some(version) = self.cid_version {
            profile = profile.with_cid_version(version);
        }
        if let Some(function) = self.hash {
            profile = profile.with_hash(function.code())?;
        }
        if let Some(layout) = self.layout {
            profile = profile.with_layout(layout);
        }
        if let Some(bytes) = self.inline_limit {
            profile = profile.with_inline_limit(bytes)?;
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

/// Version of a plain CAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CarVersion {
    /// Header and blocks.
    #[value(name = "1")]
    V1,
    /// The same, with an index behind it.
    #[value(name = "2")]
    V2,
}

/// A published way to make blocks of files and directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileArg {
    /// Chunks of 1 MiB in raw leaves, trees of width 1024, CIDs of version 1.
    #[value(name = "unixfs-v1-2025")]
    V1,
    /// Chunks of 256 KiB in dag-pb leaves, trees of width 174, CIDs of version 0: for plain CARs only.
    #[value(name = "unixfs-v0-2015")]
    V0,
}

impl ProfileArg {
    /// The profile.
    pub(crate) fn profile(self) -> Profile {
        match self {
            Self::V1 => Profile::unixfs_v1_2025(),
            Self::V0 => Profile::unixfs_v0_2015(),
        }
    }
}

/// Hash functions of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FunctionArg {
    /// SHA2-256, which all programs know
    #[default]
    #[value(name = "sha2-256")]
    Sha2_256,
    /// SHA2-512, with CIDs of 68 bytes
    #[value(name = "sha2-512")]
    Sha2_512,
    /// BLAKE3 with 32 bytes
    Blake3,
}

impl FunctionArg {
    /// The multihash code.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Sha2_256 => hash_code::SHA2_256,
            Self::Sha2_512 => hash_code::SHA2_512,
            Self::Blake3 => hash_code::BLAKE3,
        }
    }
}

/// Order of files in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// By extension, name and size.
    Type,
    /// By path.
    Path,
    /// As they are given and found.
    Given,
}

impl CreateArgs {
    /// The same for `carstone car`.
    pub(crate) fn plain(self) -> Self {
        Self { plain: true, bare_root: true, ..self }
    }
}

fn cid_version(text: &str) -> Result<CidVersion, String> {
    match text {
        "0" => Ok(CidVersion::V0),
        "1" => Ok(CidVersion::V1),
        _ => Err("a version is 0 or 1".to_owned()),
    }
}

pub(super) fn threshold(text: &str) -> Result<ShardThreshold, String> {
    let count = usize::try_from(size(text)?).map_err(|error| error.to_string())?;
    Ok(match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => ShardThreshold::Entries(count),
        false => ShardThreshold::NodeBytes(count),
    })
}

pub(super) fn block_size(text: &str) -> Result<u32, String> {
    match u32::try_from(size(text)?) {
        Ok(bytes) if (64 << 10..=16 << 20).contains(&bytes) => Ok(bytes),
        _ => Err("a block size is 64K to 16M".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_have_suffixes_and_bounds() {
        assert_eq!(block_size("64K"), Ok(64 << 10));
        assert_eq!(block_size("16MiB"), Ok(16 << 20));
        assert_eq!(block_size("65536"), Ok(65536));
        for bad in ["63K", "17M", "", "M", "1G", "4294967297", "8 M", "99999999M"] {
            assert!(block_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_published_profiles_can_be_asked_for() {
        let names: Vec<_> =
            ProfileArg::value_variants().iter().map(|p| p.profile().name()).collect();
        assert_eq!(names, Profile::NAMES.iter().copied().map(Some).collect::<Vec<_>>());
        for profile in ProfileArg::value_variants() {
            let value = profile.to_possible_value().expect("none is hidden");
            assert_eq!(Some(value.get_name()), profile.profile().name());
        }
    }
}
