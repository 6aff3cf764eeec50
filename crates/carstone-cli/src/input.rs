//! Opens what is to be read: a pack at random, a pack front to back, or a plain CAR.

mod car;
mod compared;
mod loose;
mod pipe;
mod searched;
mod stored;
mod told;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};

use anyhow::{Context, anyhow, bail};
use carstone::car::Cid;
use carstone::layer::{Cause, Corrections, Gap, default_threads};
use carstone::pack::{ErrorKind as PackErrorKind, PackReader};
use carstone::raw;
use carstone::stack::{self, ErrorKind, Format, OpenOptions, Opened, SharedSource};

pub(crate) use car::PlainCar;
use pipe::Kept;
pub(crate) use searched::Searched;
pub(crate) use told::without_roots;

use crate::front::Front;
use crate::keys::{IDENTITY, Keys, Variable};
use crate::output::Output;
use crate::source::{Bytes, Source, Watched};

/// What is to be read.
pub(crate) enum Input {
    /// A sound pack, at random.
    Pack(Box<Pack>),
    /// A pack from a pipe, or one that is damaged where it is opened: the error says why it is read front to back.
    Front(Box<Front>, Option<stack::Error>),
    /// A plain CAR.
    Car(Box<PlainCar>),
}

/// A pack at random.
pub(crate) struct Pack {
    /// The layers.
    pub layers: Opened,
    /// The entries.
    pub reader: PackReader<SharedSource>,
    corrections: Corrections,
}

impl Pack {
    /// Says what small damage has been put right so far.
    pub(crate) fn tell_corrections(&self, name: &str, output: &mut Output) -> anyhow::Result<()> {
        let bits: u64 = self.corrections.made().iter().map(|found| u64::from(found.bits)).sum();
        match bits {
            0 => Ok(()),
            _ => output.problem(name.as_bytes(), &put_right(bits)),
        }
    }

    /// Says what is damaged in the footers, where nothing else was found: reading did without it.
    pub(crate) fn tell_footers(&self, name: &str, output: &mut Output) -> anyhow::Result<()> {
        if output.problems() > 0 {
            return Ok(());
        }
        match self.layers.check_footers() {
            Ok(()) => Ok(()),
            Err(fault) => {
                output.problem(name.as_bytes(), &format!("{}; no content is lost", chain(&fault)))
            }
        }
    }
}

/// What is said of bits that were flipped back.
pub(crate) fn put_right(bits: u64) -> String {
    let plural = if bits == 1 { " was" } else { "s were" };
    format!("{bits} flipped bit{plural} put right on the way")
}

/// Settings of the layers.
pub(crate) fn options(threads: Option<usize>) -> OpenOptions {
    OpenOptions::default().threads(threads.unwrap_or_else(default_threads))
}

impl Input {
    /// Opens a source. A file that is damaged at its end is read front to back instead.
    pub(crate) fn open(
        source: Source,
        keys: &Keys,
        threads: Option<usize>,
    ) -> anyhow::Result<Self> {
        let name = source.name.clone();
        let input = match (source.format, source.bytes) {
            (Format::Car, Bytes::File(file)) => {
                PlainCar::with_files(file, source.reading).map(|car| Self::Car(Box::new(car)))
            }
            (Format::Car, Bytes::Pipe(pipe)) => {
                let spooled = Source { bytes: Bytes::Pipe(pipe), ..source }.spooled()?;
                return Self::open(spooled, keys, threads);
            }
            (Format::Pack, Bytes::File(file)) => open_file(file, keys, threads),
            (_, Bytes::File(file)) => {
                restart(&file, keys, threads).map(|front| Self::Front(Box::new(front), None))
            }
            (_, Bytes::Pipe(pipe)) => open_pipe(pipe, keys, threads)
                .map(|(front, fault)| Self::Front(Box::new(front), fault)),
        };
        input.with_context(|| name)
    }

    /// Begins at this block, where one is named, and not at the roots.
    ///
    /// # Errors
    /// It is no plain CAR.
    pub(crate) fn start_at(&mut self, root: Option<Cid>) -> anyhow::Result<()> {
        match (root, self) {
            (None, _) => {}
            (Some(root), Self::Car(car)) => car.start_at(root),
            (Some(_), _) => bail!("--root is for plain CARs, and this is a pack"),
        }
        Ok(())
    }

    /// Opens a source to read all that is left of it, front to back. What opening it in the usual way tells is kept.
    pub(crate) fn salvage(
        source: Source,
        keys: &Keys,
        threads: Option<usize>,
    ) -> anyhow::Result<Self> {
        match (source.format, &source.bytes) {
            (Format::Pack | Format::Unknown, Bytes::File(file)) => {
                let again = file.try_clone().context("cannot open it again")?;
                let fault = told_by(again, keys, threads);
                let front = restart(file, keys, threads).with_context(|| source.name)?;
                Ok(Self::Front(Box::new(front), fault))
            }
            _ => Self::open(source, keys, threads),
        }
    }
}

/// Opens a pack in a file at random, and nothing else. Any damage that is met is an error.
pub(crate) fn open_strict(
    file: File,
    keys: &Keys,
    threads: Option<usize>,
) -> Result<Pack, stack::Error> {
    open_pack(file, keys, &options(threads), Corrections::new())
}

fn open_pack(
    file: File,
    keys: &Keys,
    options: &OpenOptions,
    corrections: Corrections,
) -> Result<Pack, stack::Error> {
    let layers = stack::open(Watched(file), keys.source(), options)?;
    let reader = layers.pack()?;
    Ok(Pack { layers, reader, corrections })
}

/// Starts to read a file front to back, past whatever is damaged.
pub(crate) fn restart(file: &File, keys: &Keys, threads: Option<usize>) -> anyhow::Result<Front> {
    start_again(file, keys, threads)?.map_err(explained)
}

/// The same; what is wrong with the pack is told as it is.
pub(crate) fn start_again(
    file: &File,
    keys: &Keys,
    threads: Option<usize>,
) -> anyhow::Result<Result<Front, stack::Error>> {
    let file = Watched(file.try_clone().context("cannot open it again")?);
    let salvaged = stack::salvage_at(file, keys.source(), &options(threads), &mut |_| ());
    Ok(salvaged.map(|(salvaged, report)| Front::new(salvaged, report.as_ref())))
}

/// Reads a pipe front to back. Where that gives nothing, all of it is kept in a temporary file, since copies of what stands at the front follow;
/// then what opening that in the usual way tells is given too.
fn open_pipe(
    pipe: Box<dyn Read + Send>,
    keys: &Keys,
    threads: Option<usize>,
) -> anyhow::Result<(Front, Option<stack::Error>)> {
    let pipe = Kept::new(pipe);
    let begun = match stack::salvage(pipe.clone(), keys.source(), &options(threads)) {
        Ok(salvaged) => {
            let mut front = Front::new(salvaged, None);
            // The key is made use of where the first bytes are read.
            front.begin().map(|is_begun| (front, is_begun)).map_err(anyhow::Error::from)
        }
        Err(error) if matches!(error.kind(), ErrorKind::NoKey) => {
            // What is encrypted may be another pack, of which something was written over this one.
            pipe.read_front()?;
            match pipe.has_foreign_front() {
                true => Err(explained(error)),
                false => return Err(explained(error)),
            }
        }
        Err(error) => Err(explained(error)),
    };
    match begun {
        // What is read behind the header of another pack is that this one has no frames.
        Ok((front, true)) if !pipe.has_foreign_front() => {
            pipe.forget();
            Ok((front, None))
        }
        Err(error) if !pipe.has_damaged_front() && !pipe.has_foreign_front() => Err(error),
        begun => {
            drop(begun);
            let file = pipe.spool()?;
            let fault = told_by(file.try_clone().context("cannot open it again")?, keys, threads);
            Ok((restart(&file, keys, threads)?, fault))
        }
    }
}

/// What opening a file in the usual way tells of damage.
fn told_by(file: File, keys: &Keys, threads: Option<usize>) -> Option<stack::Error> {
    match open_strict(file, keys, threads) {
        Ok(pack) => pack.layers.check_footers().err(),
        Err(error) => Some(error).filter(is_damage),
    }
}

fn open_file(file: File, keys: &Keys, threads: Option<usize>) -> anyhow::Result<Input> {
    let again = file.try_clone().context("cannot open it again")?;
    let corrections = Corrections::new();
    let mending = options(threads).corrections(corrections.clone());
    match open_pack(file, keys, &mending, corrections) {
        Ok(pack) => Ok(Input::Pack(Box::new(pack))),
        Err(error) if is_damage(&error) => {
            let front = restart(&again, keys, threads)?;
            Ok(Input::Front(Box::new(front), Some(error)))
        }
        Err(error) => Err(explained(error)),
    }
}

/// Whether the fault lies in what only random access needs, so that reading front to back may still give something.
pub(crate) fn is_damage(error: &stack::Error) -> bool {
    use raw::ErrorKind as Raw;
    match error.kind() {
        ErrorKind::Raw(error) => !matches!(
            error.kind(),
            Raw::Io(_)
                | Raw::Empty
                | Raw::NotAPack
                | Raw::ShortHeader { .. }
                | Raw::BadField(_)
                | Raw::Unknown { .. }
        ),
        ErrorKind::Encrypt(fault) => {
            use carstone::encrypt::ErrorKind as Encrypt;
            !error.is_about_keys()
                && !matches!(fault.kind(), Encrypt::Io(_) | Encrypt::Unknown { .. })
        }
        ErrorKind::Compress(error) => match error.kind() {
            carstone::compress::ErrorKind::Io(source) => is_told_below(source),
            _ => true,
        },
        ErrorKind::Pack(error) => !matches!(error.kind(), PackErrorKind::Newer(_)),
        ErrorKind::Position(_) => true,
        _ => false,
    }
}

/// The same for what a pack tells once it is open.
pub(crate) fn is_damage_of_pack(error: &carstone::pack::Error) -> bool {
    match error.kind() {
        PackErrorKind::Io(source) => is_told_below(source),
        PackErrorKind::Newer(_) => false,
        _ => true,
    }
}

/// Layers tell damage through I/O errors; what the system says has no error inside, or a number.
fn is_told_below(source: &io::Error) -> bool {
    source.get_ref().is_some()
}

/// Adds what the user can do about it.
pub(crate) fn explained(error: stack::Error) -> anyhow::Error {
    use carstone::encrypt::ErrorKind as Encrypt;
    let no_key = match error.kind() {
        ErrorKind::NoKey => true,
        ErrorKind::Encrypt(error) => matches!(error.kind(), Encrypt::NoKey),
        _ => false,
    };
    if no_key {
        return anyhow!("the pack is encrypted, and {}: use -i FILE or -p", no_key_given());
    }
    // A failing key says all there is to say; the layer around it would only add noise.
    let source = match error.kind() {
        ErrorKind::Encrypt(fault) => match fault.kind() {
            Encrypt::Io(source) => Some(source),
            _ => None,
        },
        ErrorKind::Io(source) => Some(source),
        _ => None,
    };
    if let Some(key_error) = source.and_then(carstone::keys::Error::of) {
        return anyhow!("{}", chain(key_error));
    }
    if let Some(variable) = source.and_then(Variable::of) {
        return anyhow!("{IDENTITY}: {variable}");
    }
    error.into()
}

/// Why there is no key.
pub(crate) fn no_key_given() -> String {
    match std::env::var_os(IDENTITY) {
        Some(path) if !path.is_empty() => format!("{IDENTITY} does not open it"),
        _ => "no key was given".to_owned(),
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        line = format!("{line}: {error}");
        next = error.source();
    }
    line
}

/// The same for an I/O error, which often only carries a layer's own error.
pub(crate) fn io_chain(error: &io::Error) -> String {
    match error.get_ref() {
        Some(inner) => chain(inner),
        None => chain(error),
    }
}

/// Where the pack is damaged, in bytes of the file where that can be told.
pub(crate) fn damage(mut gap: &Gap) -> String {
    while let Cause::Below(below) = &gap.cause {
        gap = below;
    }
    let layer = gap.layer;
    let (at, place) = match &gap.stored {
        Some(stored) => (stored.start, format!(" ({layer} layer)")),
        None => (gap.at, format!(" of the {layer} layer")),
    };
    match (&gap.cause, &gap.stored) {
        (Cause::Truncated, Some(_)) => format!("the pack is cut off at byte {at}"),
        (Cause::Missing, _) => format!("a part of the pack is missing at byte {at}{place}"),
        (cause, _) => format!("the pack is {cause} at byte {at}{place}"),
    }
}
