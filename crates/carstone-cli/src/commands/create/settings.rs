//! What was asked for, and whether it fits together.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use carstone::car::hash_code;
use carstone::pack::Timestamp;
use carstone::unixfs::{CidVersion, Layout, Leaves, Profile};

use crate::cli::{CarVersion, CreateArgs, OrderArg};
use crate::keys::once;

/// Kind and form of the output.
pub(super) struct Settings {
    /// A plain CAR.
    pub(super) plain: bool,
    /// Its version, where one was asked for.
    pub(super) car_version: Option<CarVersion>,
    pub(super) profile: Profile,
    pub(super) reproducible: Option<Fixed>,
}

/// Metadata of all entries of a reproducible pack.
#[derive(Clone, Copy)]
pub(super) struct Fixed {
    pub(super) mtime: Option<Timestamp>,
}

impl Settings {
    /// Reads them from the arguments.
    ///
    /// # Errors
    /// They contradict each other.
    pub(super) fn new(args: &CreateArgs) -> anyhow::Result<Self> {
        if args.paths.is_empty() && args.files_from.is_none() && args.stdin_name.is_none() {
            bail!("nothing to pack: give PATHs, -T FILE or --stdin-name NAME");
        }
        let content = args.stdin_name.as_ref().map(|_| Path::new("-"));
        let files =
            args.readers.recipients_file.iter().chain(&args.files_from).chain(&args.exclude_from);
        let files = files.chain(&args.readers.passphrase.passphrase_file);
        once(files.map(PathBuf::as_path).chain(content))?;
        let ends_in_car =
            |path: &PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("car"));
        let plain = args.plain || args.output.as_ref().is_some_and(ends_in_car);
        let mut profile = args.profile.profile();
        if let Some(chunker) = args.chunker {
            profile = profile.with_chunker(chunker);
        }
        profile = args.shape.of(profile)?;
        let version = args.shape.cid_version;
        if version == Some(CidVersion::V0) && profile.cid_version() != CidVersion::V0 {
            bail!("CIDs of version 0 have sha2-256 alone: leave --cid-version or --hash out");
        }
        match plain {
            true => check_plain(args)?,
            false => check_pack(args, &profile)?,
        }
        let reproducible = match args.reproducible {
            true => Some(Fixed { mtime: source_date(env::var_os(SOURCE_DATE).as_deref())? }),
            false => None,
        };
        Ok(Self { plain, car_version: args.car_version, profile, reproducible })
    }
}

fn check_plain(args: &CreateArgs) -> anyhow::Result<()> {
    if args.readers.encrypts() {
        bail!("a plain CAR cannot be encrypted: name the output .cstone, and leave --plain out");
    }
    if args.compress.is_some() || args.block_size.is_some() {
        bail!("a plain CAR cannot be compressed: name the output .cstone, and leave --plain out");
    }
    if args.order.is_some_and(|order| order != OrderArg::Path) {
        bail!("a plain CAR keeps path order: leave --order out, or name the output .cstone");
    }
    Ok(())
}

fn check_pack(args: &CreateArgs, profile: &Profile) -> anyhow::Result<()> {
    if args.car_version.is_some() {
        bail!("--car-version is for plain CARs: name the output .car, or give --plain");
    }
    let (name, instead) = (profile_name(args), "name the output .car, or give --plain");
    if profile.leaves() != Leaves::Raw || profile.cid_version() != CidVersion::V1 {
        bail!("a pack cannot hold the profile {name}, whose leaves are not raw: {instead}");
    }
    if profile.layout() != Layout::Balanced || profile.inline_limit().is_some() {
        bail!("--layout and --inline-limit are for plain CARs: {instead}");
    }
    if profile.hash() != hash_code::SHA2_256 {
        bail!("--hash is for plain CARs: {instead}");
    }
    if args.shape.no_wrap {
        bail!("--no-wrap is for plain CARs: {instead}");
    }
    if args.reproducible && args.readers.encrypts() {
        bail!("an encrypted pack cannot be reproducible: leave --reproducible or the keys out");
    }
    Ok(())
}

fn profile_name(args: &CreateArgs) -> &'static str {
    args.profile.profile().name().unwrap_or_default()
}

/// The time that SOURCE_DATE_EPOCH states, if it is set.
fn source_date(value: Option<&OsStr>) -> anyhow::Result<Option<Timestamp>> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.and_then(|text| text.parse().ok()) {
        Some(seconds) => Ok(Some(Timestamp { seconds, nanos: 0 })),
        None => bail!("{SOURCE_DATE} is {value:?}, which is no number of seconds since 1970"),
    }
}

const SOURCE_DATE: &str = "SOURCE_DATE_EPOCH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_dates_are_whole_seconds() {
        let check = |text: &str, expected: Option<i64>| {
            let found = source_date(Some(OsStr::new(text))).ok();
            let expected = expected.map(|seconds| Some(Timestamp { seconds, nanos: 0 }));
            assert_eq!(found, expected, "{text:?}");
        };
        check("0", Some(0));
        check("1700000000", Some(1_700_000_000));
        check("9223372036854775807", Some(i64::MAX));
        for bad in ["", "+5", "-5", "1.5", " 5", "yesterday", "9223372036854775808"] {
            check(bad, None);
        }
        assert_eq!(source_date(None).ok(), Some(None));
    }
}
