//! Parity of a file: where it is found, and what it says of the file.

mod made;
mod told;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use carstone::layer::{ReadAt, default_threads, read_full};
use carstone::parity::{self, Error, ErrorKind, Healed, Parity, Section, Survey};
use carstone::raw::RawReader;
use carstone::stack::{self, OpenOptions, PackParity, find_parity, may_be_of};

use crate::cli::UseParityArgs;
use crate::input::chain;
use crate::keys::is_stdin;
use crate::names::escaped;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::sink::is_unfinished;
use crate::source::Watched;

pub(crate) use made::{Made, put};
pub(crate) use told::{Healable, healable, percent, used_text};

/// A part of a file.
pub(crate) type Part = Section<Watched<File>>;

/// Where there is parity, or may be.
#[derive(Debug)]
pub(crate) enum Spot {
    /// In a file that was named.
    Given(PathBuf),
    /// In a file that is called like the protected one.
    Beside(PathBuf),
    /// Behind the pack.
    Behind(PackParity),
}

/// Parity that is open, and what it protects.
pub(crate) struct Held {
    pub(crate) spot: Spot,
    pub(crate) parity: Parity<Part>,
    /// What may be left of it in the file.
    pub(crate) stream: Part,
}

/// Parity that is of no use, and why.
pub(crate) struct Useless {
    pub(crate) spot: Spot,
    pub(crate) why: String,
    /// Whether it could not be read: nobody knows what it is then.
    pub(crate) is_unread: bool,
}

/// Whose a pack is that was healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// It is the one at hand, as far as anything tells, or none at all.
    Own,
    /// What is left of the one at hand has another id.
    OtherPack,
    /// What is left of the one at hand is for other readers.
    OtherReaders,
}

/// What parity says of a file.
pub(crate) enum State {
    /// It is what was protected, byte for byte.
    Sound,
    /// Parts of it are.
    Damaged(Survey),
    /// It is something else, or next to nothing of it is left.
    Foreign(Error),
}

/// All spots where parity of a file is looked for, in this order.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn spots(args: &UseParityArgs, path: &Path, file: &File) -> anyhow::Result<Vec<Spot>> {
    if args.no_parity {
        return Ok(Vec::new());
    }
    if let Some(given) = &args.parity_file {
        if is_stdin(given) {
            bail!("parity is read in many places at once: give a file, not standard input");
        }
        return Ok(vec![Spot::Given(given.clone())]);
    }
    let sidecar = Some(beside(path)).filter(|beside| !is_stdin(path) && beside.is_file());
    let name = || path.display().to_string();
    let mut found = Vec::new();
    // Any other file may hold packs, whose parity is not its own.
    if has_end_of_pack(file).with_context(name)? {
        found = find_parity(&Watched(file)).with_context(name)?;
    }
    // What is only guessed comes last.
    let (behind, guessed): (Vec<_>, Vec<_>) = found.into_iter().partition(PackParity::is_in_place);
    let spots = behind.into_iter().map(Spot::Behind).chain(sidecar.map(Spot::Beside));
    Ok(spots.chain(guessed.into_iter().map(Spot::Behind)).collect())
}

/// Whether a file begins or ends as packs and what follows them do.
pub(crate) fn has_end_of_pack(file: &File) -> io::Result<bool> {
    let (mut front, mut end) = ([0; 4], [0; 4]);
    let size = file.size()?;
    read_full(file, &mut front, 0)?;
    read_full(file, &mut end, size.saturating_sub(4))?;
    Ok(&front == b"\x89CST" || &end == b"TSC\x89")
}

/// The name of a file with `.par` behind it.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".par");
    name.into()
}

/// Whether a file is called like parity.
pub(crate) fn is_parity(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b".par")
}

/// Whether a file is called like what commands leave behind: a damaged file beside the one that was healed, or a file that was not finished.
pub(crate) fn is_left_over(path: &Path) -> bool {
    is_unfinished(path) || (is_kept(path) && path.with_extension("").exists())
}

/// Whether a file is called like a damaged one that was kept.
fn is_kept(path: &Path) -> bool {
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

/// Says that parity beside a file is of what had its name before, if there is some.
pub(crate) fn note_older(path: &Path, output: &mut Output) {
    let sidecar = beside(path);
    let mut front = [0; 4];
    let is_parity = !is_stdin(path)
        && sidecar.is_file()
        && File::open(&sidecar)
            .and_then(|file| read_full(&file, &mut front, 0))
            .is_ok_and(|_| front == MAGIC);
    if is_parity {
        let [path, sidecar] =
            [path, &sidecar].map(|path| escaped(path.as_os_str().as_encoded_bytes()).into_owned());
        output.note(&format!(
            "{sidecar} is parity of what was there before; `carstone protect --force {path}` makes it anew."
        ));
    }
}

impl Spot {
    /// Whether somebody named it.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }

    /// Whether it is only guessed that frames which were found are parity of the pack.
    pub(crate) fn is_guessed(&self) -> bool {
        matches!(self, Self::Behind(found) if !found.is_in_place())
    }

    /// How messages call the parity.
    pub(crate) fn called(&self) -> String {
        match self {
            Self::Given(path) | Self::Beside(path) => {
                format!("the parity in {}", escaped(path.as_os_str().as_encoded_bytes()))
            }
            Self::Behind(_) => "the parity behind the pack".to_owned(),
        }
    }

    /// The file that it is in, if that is one of its own.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Given(path) | Self::Beside(path) => Some(path),
            Self::Behind(_) => None,
        }
    }

    /// Opens it, as parity of `file`; or says why that cannot be done.
    ///
    /// # Errors
    /// It was named, the file itself cannot be read, or somebody wants no more of it.
    pub(crate) fn open(self, file: &File, threads: usize) -> anyhow::Result<Result<Held, Useless>> {
        let error = match self.parts(file, threads) {
            Ok((parity, stream)) => return Ok(Ok(Held { spot: self, parity, stream })),
            Err(error) => error,
        };
        signals::check()?;
        let why = format!("{}: {}", self.called(), chain(&error));
        let is_unread = matches!(error.kind(), ErrorKind::Io(_));
        if self.is_given() || (is_unread && self.path().is_none()) {
            bail!(why);
        }
        Ok(Err(Useless { spot: self, why, is_unread }))
    }

    fn parts(&self, file: &File, threads: usize) -> Result<(Parity<Part>, Part), Error> {
        let again = || file.try_clone().map(Watched);
        match self {
            Self::Given(path) | Self::Beside(path) => {
                let sidecar = Section::new(Watched(File::open(path)?), 0..u64::MAX);
                let stream = Section::new(again()?, 0..u64::MAX);
                Ok((Parity::open_for(sidecar, &stream, threads)?, stream))
            }
            Self::Behind(found) => {
                let stream = Section::new(again()?, found.stream());
                Ok((found.open(again()?, threads)?, stream))
            }
        }
    }
}

impl Held {
    /// How long the protected stream is.
    pub(crate) fn len(&self) -> u64 {
        self.parity.descriptor().layout().stream_len()
    }

    /// Whose the pack is that was healed, if it is one: parity of an older pack under the same name is not of the one at hand.
    pub(crate) fn whose(
        &self,
        file: &File,
        healed: &File,
        options: &OpenOptions,
    ) -> anyhow::Result<Whose> {
        let (healed, len) = (Watched(healed), self.len());
        let is_own = match &self.spot {
            Spot::Behind(found) => found.is_of(&Watched(file), &healed, len)?,
            _ if has_end_of_pack(file)? => may_be_of(&Watched(file), &healed, len)?,
            _ => return Ok(Whose::Own),
        };
        if !is_own {
            return Ok(Whose::OtherPack);
        }
        let Some(made) = envelope(Watched(healed.0.try_clone()?), options) else {
            return Ok(Whose::Own);
        };
        let left = stack::heal(Watched(file.try_clone()?), options, &mut |_| ()).ok();
        signals::check()?;
        let left = left.and_then(|left| envelope(Arc::new(left), options));
        Ok(match left.is_none_or(|left| left == made) {
            true => Whose::Own,
            false => Whose::OtherReaders,
        })
    }

    /// Writes what was protected to `target`, as far as it can be had. Where what comes out is something else, all that seemed to be there is compared with its digests, and
    /// it is done once more without what differs.
    pub(crate) fn heal(
        &self,
        survey: &mut Survey,
        target: &Watched<File>,
        threads: usize,
        output: &Output,
    ) -> anyhow::Result<Healed> {
        let heal = |survey: &Survey| {
            let progress = Progress::new(output, "healing", Some(self.len()));
            let hear = |n| progress.add(n);
            let healed = parity::heal(&self.stream, &self.parity, survey, target, threads, &hear);
            progress.finish();
            signals::check()?;
            anyhow::Ok(healed?)
        };
        let mut healed = heal(survey)?;
        if !healed.whole && !survey.is_thorough() {
            match self.survey(threads, output, true)? {
                Ok(all) => *survey = all,
                Err(_) => return Ok(healed),
            }
            healed = heal(survey)?;
        }
        if healed.whole || !survey.doubt(&self.stream)? {
            return Ok(healed);
        }
        heal(survey)
    }

    /// What is left of the stream: in all ways there are, or as far as it takes to heal it. The inner error is [`ErrorKind::Foreign`].
    fn survey(
        &self,
        threads: usize,
        output: &Output,
        all: bool,
    ) -> anyhow::Result<Result<Survey, Error>> {
        let progress = Progress::new(output, "looking for what is left", self.stream.size().ok());
        let look = if all { Survey::of } else { Survey::enough };
        let survey = look(&self.stream, &self.parity, threads, &|n| progress.add(n));
        progress.finish();
        signals::check()?;
        match survey {
            Err(error) if !matches!(error.kind(), ErrorKind::Foreign { .. }) => Err(error.into()),
            survey => Ok(survey),
        }
    }

    /// Compares the file with what was protected: it is read twice where they are the same, and two or three times where they are not. Of what is to be healed next, `all` need not be
    /// told.
    pub(crate) fn examine(
        &self,
        threads: usize,
        output: &Output,
        all: bool,
    ) -> anyhow::Result<State> {
        let survey = match self.survey(threads, output, all)? {
            Ok(survey) => survey,
            Err(error) => return Ok(State::Foreign(error)),
        };
        let counts = survey.counts();
        if counts.missing + counts.moved + counts.corrected > 0 {
            return Ok(State::Damaged(survey));
        }
        let progress = Progress::new(output, "comparing with the parity", Some(self.len()));
        let descriptor = self.parity.descriptor();
        let fits = match self.spot.is_guessed() {
            // Nobody knows where it ends.
            true => {
                let stream = Section::new(&self.stream, 0..self.len());
                descriptor.fits(&stream, &|n| progress.add(n))
            }
            false => descriptor.fits(&self.stream, &|n| progress.add(n)),
        };
        progress.finish();
        signals::check()?;
        if fits? {
            return Ok(State::Sound);
        }
        // Other bytes may have the same CRC.
        let mut survey = survey;
        survey.doubt(&self.stream)?;
        Ok(State::Damaged(survey))
    }
}

/// The key envelope of a pack, if it has one that can be read.
fn envelope<R>(pack: R, options: &OpenOptions) -> Option<Vec<u8>>
where
    R: ReadAt + Send + Sync + 'static,
{
    stack::inspect(pack, options).ok()?.encryption.map(|layer| layer.envelope)
}

/// Whether all frames, the header and the trailer of a pack are sound.
pub(crate) fn is_intact_pack(file: &File, options: &OpenOptions, output: &Output) -> bool {
    // Nothing that is no pack is looked at any further.
    if RawReader::open_at(&Watched(file)).is_err() {
        return false;
    }
    let progress = Progress::new(output, "checking frames", file.size().ok());
    let healed = stack::heal(Watched(file), options, &mut |at| progress.at(at));
    progress.finish();
    healed.is_ok_and(|healed| {
        let report = healed.report();
        report.is_unchanged && report.is_original()
    })
}

/// Threads, as asked for or as there are cores.
pub(crate) fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(default_threads)
}

/// What frames of parity begin with.
const MAGIC: [u8; 4] = *b"\xF5CSP";
