//! Files that get their name again when they are whole.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carstone::parity::{Options, Survey};

use crate::cli::ScrubArgs;
use crate::input::options;
use crate::output::Output;
use crate::parity::{Held, Spot, Whose, beside, put, threads};
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;
use crate::target::Target;

/// What came of healing a file.
pub(super) enum Outcome {
    /// It is whole again; the damaged one may be kept there.
    Healed(Option<PathBuf>),
    /// What comes out is not what was protected. Nothing was changed.
    NotWhole,
    /// What comes out is something else than this pack, in these words. Nothing was changed.
    Other(&'static str),
}

/// Heals a file under its own name.
pub(super) fn stream(
    path: &Path,
    file: &File,
    held: &Held,
    survey: &mut Survey,
    args: &ScrubArgs,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let threads = threads(args.threads);
    // The file, and not a link to it, gets a second name.
    let path = &fs::canonicalize(path).context("cannot follow its name")?;
    let target = Target::create(path, true, output)?;
    if !target.is_seekable() {
        bail!("is written to in place; `carstone repair` heals it into another file");
    }
    let out = Watched(target.file().try_clone().context("cannot open it again")?);
    let healed = held.heal(survey, &out, threads, output).context("cannot be healed")?;
    if !healed.whole {
        return Ok(Outcome::NotWhole);
    }
    match held.whose(file, &out.0, &options(args.threads))? {
        Whose::Own => {}
        Whose::OtherPack => return Ok(Outcome::Other("of another pack")),
        Whose::OtherReaders => {
            return Ok(Outcome::Other(
                "of the pack as it was before it was given to other readers",
            ));
        }
    }
    if let Spot::Behind(found) = &held.spot {
        let progress = Progress::new(output, "making parity", Some(held.len() * 2));
        let made = held.parity.descriptor();
        let end = found.restore(&Watched(file), &out, made, threads, &|n| progress.add(n));
        progress.finish();
        signals::check()?;
        end.context("cannot make its parity again")?;
    }
    let metadata = file.metadata().context("cannot look at it")?;
    like(target.file(), &metadata)?;
    // What has a later time than its parity may have been changed by somebody, and behind a pack whose ends are damaged more may have stood.
    let is_sure = !is_newer(&metadata, held) && !held.spot.is_guessed();
    let kept = match args.discard_damaged && is_sure {
        true => None,
        false => Some(keep(path)?),
    };
    target.finish()?;
    Ok(Outcome::Healed(kept))
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
    match stream(path, file, held, &mut survey?, args, output)? {
        Outcome::Healed(kept) => Ok(kept),
        _ => bail!("its parity cannot be made anew"),
    }
}

/// Gives a healed file the owner, the mode and the time of the damaged one; the owner only where that is allowed.
fn like(healed: &File, damaged: &Metadata) -> anyhow::Result<()> {
    let healed_metadata = healed.metadata().context("cannot look at it")?;
    let owner = |metadata: &Metadata| (metadata.uid(), metadata.gid());
    if owner(&healed_metadata) != owner(damaged) {
        fchown(healed, Some(damaged.uid()), Some(damaged.gid()))
            .context("cannot give it the owner of the damaged file")?;
    }
    healed.set_permissions(damaged.permissions()).context("cannot set its mode")?;
    match damaged.modified() {
        Ok(time) => healed.set_modified(time).context("cannot set its time"),
        Err(_) => Ok(()),
    }
}

/// Whether a file has a later time than the parity in a file of its own.
fn is_newer(metadata: &Metadata, held: &Held) -> bool {
    let parity = held.spot.path().and_then(|path| path.metadata().ok());
    let times = metadata.modified().ok().zip(parity.and_then(|parity| parity.modified().ok()));
    times.is_some_and(|(file, parity)| file > parity)
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

/// Names that are tried.
const MOST_KEPT: usize = 1_000;
