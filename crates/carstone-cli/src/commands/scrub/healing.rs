//! Files that get their name again when they are whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carstone::parity::{self, Options, Survey};

use crate::cli::ScrubArgs;
use crate::output::Output;
use crate::parity::{Held, Spot, beside, put, threads};
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;
use crate::target::Target;

/// Heals a file under its own name, and says where the damaged one is kept, if it is; `None` where it could not be healed, and nothing was changed.
pub(super) fn stream(
    path: &Path,
    file: &File,
    held: &Held,
    survey: &Survey,
    args: &ScrubArgs,
    output: &mut Output,
) -> anyhow::Result<Option<Option<PathBuf>>> {
    let threads = threads(args.threads);
    let target = Target::create(path, true, output)?;
    if !target.is_seekable() {
        bail!("is written to in place; `carstone repair` heals it into another file");
    }
    let out = Watched(target.file().try_clone().context("cannot open it again")?);
    let progress = Progress::new(output, "healing", Some(held.len()));
    let healed =
        parity::heal(&held.stream, &held.parity, survey, &out, threads, &|n| progress.add(n));
    progress.finish();
    signals::check()?;
    if !healed.context("cannot be healed")?.whole {
        return Ok(None);
    }
    if let Spot::Behind(found) = &held.spot {
        if !found.is_of(&Watched(file), &out, held.len())? {
            return Ok(None);
        }
        let progress = Progress::new(output, "making parity", Some(held.len() * 2));
        let made = held.parity.descriptor();
        let end = found.restore(&Watched(file), &out, made, threads, &|n| progress.add(n));
        progress.finish();
        signals::check()?;
        end.context("cannot make its parity again")?;
    }
    let mode = file.metadata().context("cannot look at it")?.permissions();
    target.file().set_permissions(mode).context("cannot set its mode")?;
    let kept = match args.discard_damaged {
        true => None,
        false => Some(keep(path)?),
    };
    target.finish()?;
    Ok(Some(kept))
}

/// Makes damaged parity of a sound file anew: the same bytes. Says where the damaged one is kept, if it is.
pub(super) fn parity(
    path: &Path,
    file: &File,
    held: &Held,
    args: &ScrubArgs,
    output: &mut Output,
) -> anyhow::Result<Option<PathBuf>> {
    let Spot::Behind(_) = held.spot else {
        let made = held.parity.descriptor();
        let options = Options::default()
            .with_share(made.layout().share())
            .with_id(made.id())
            .with_threads(threads(args.threads));
        let sidecar = beside(path);
        let target = Target::create(&sidecar, true, output)?;
        put(&Watched(file), &target, &options, output)?;
        // What is damaged of parity says nothing that the new one does not say.
        target.finish()?;
        return Ok(None);
    };
    let progress = Progress::new(output, "looking for what is left", Some(held.len()));
    let survey =
        Survey::of(&held.stream, &held.parity, threads(args.threads), &|n| progress.add(n));
    progress.finish();
    signals::check()?;
    match stream(path, file, held, &survey?, args, output)? {
        Some(kept) => Ok(kept),
        None => bail!("its parity cannot be made anew"),
    }
}

/// Gives the damaged file a second name.
fn keep(path: &Path) -> anyhow::Result<PathBuf> {
    for number in 0..MOST_KEPT {
        let mut name = OsString::from(path);
        name.push(".damaged");
        if number > 0 {
            name.push(format!("-{number}"));
        }
        let kept = PathBuf::from(name);
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            // A file system without links.
            Err(_) if kept.symlink_metadata().is_err() => {
                fs::rename(path, &kept).context("cannot keep the damaged file")?;
                return Ok(kept);
            }
            Err(_) => {}
        }
    }
    bail!("so many damaged files are kept beside it already; --discard-damaged keeps none")
}

/// Whether a file is called like a damaged one that was kept.
pub(super) fn is_kept(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.as_encoded_bytes());
    let Some(rest) = extension.and_then(|extension| extension.strip_prefix(b"damaged")) else {
        return false;
    };
    match rest {
        [] => true,
        [b'-', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Names that are tried.
const MOST_KEPT: usize = 1_000;
