//! Parity of what was packed.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use carstone::pack::fs::FileId;
use carstone::parity::{Options, ProtectionId, Share};
use carstone::raw::RawReader;
use carstone::stack;
use sha2::{Digest, Sha256};

use crate::cli::CreateArgs;
use crate::keys::is_stdin;
use crate::output::Output;
use crate::parity::{Made, beside, put, threads};
use crate::progress::Progress;
use crate::signals;
use crate::sink;
use crate::source::Watched;
use crate::target::{Counted, Target};

/// What parity is made, and where it goes.
pub(super) struct Plan {
    options: Options,
    place: Place,
    force: bool,
    is_reproducible: bool,
}

enum Place {
    /// In a file beside the output.
    Beside(PathBuf),
    /// Behind the pack.
    Behind,
    /// Behind a pack that cannot be read again where it goes, and is kept here.
    BehindKept(File),
}

impl Plan {
    /// As asked for.
    ///
    /// # Errors
    /// There is no place for it, or something is there already.
    pub(super) fn of(args: &CreateArgs, is_plain: bool) -> anyhow::Result<Option<Self>> {
        let making = &args.making;
        let share = match (making.parity, making.parity_in_pack) {
            (None, false) => return Ok(None),
            (share, _) => share.unwrap_or_default(),
        };
        let place = match (making.parity_in_pack, args.output.as_deref()) {
            (true, _) if is_plain => bail!(
                "a plain CAR has no place for parity: leave --parity-in-pack out, and it goes into a file beside"
            ),
            (true, _) | (false, None) => Place::Behind,
            (false, Some(path)) if is_stdin(path) => bail!("{NO_PLACE}"),
            (false, Some(path)) => {
                let beside = beside(path);
                sink::check(&beside, args.force)?;
                Place::Beside(beside)
            }
        };
        let options = options(share, args);
        Ok(Some(Self { options, place, force: args.force, is_reproducible: args.reproducible }))
    }

    /// Looks at where the pack goes.
    ///
    /// # Errors
    /// It has no name that stays.
    pub(super) fn fits(&mut self, target: &Target) -> anyhow::Result<()> {
        match &self.place {
            _ if target.is_seekable() => {}
            Place::Beside(_) => bail!("{NO_PLACE}"),
            _ => {
                let kept = tempfile::tempfile().context("cannot make a temporary file")?;
                self.place = Place::BehindKept(kept);
            }
        }
        Ok(())
    }

    /// The file that will be replaced, which must not be packed.
    pub(super) fn replaced(&self) -> Option<FileId> {
        let Place::Beside(path) = &self.place else { return None };
        fs::metadata(path).ok().map(|metadata| FileId::from(&metadata))
    }

    /// Where the pack must go as well.
    pub(super) fn keep(&self) -> Option<&File> {
        match &self.place {
            Place::BehindKept(file) => Some(file),
            _ => None,
        }
    }

    /// Reads the pack again, and gives it and its parity their names. `name` is that of the output.
    pub(super) fn make(
        self,
        target: Target,
        name: &str,
        stored: u64,
        output: &Output,
    ) -> anyhow::Result<Made> {
        let again = target.file().try_clone().map(Watched).context("cannot open it again")?;
        match &self.place {
            Place::Beside(path) => {
                target.finish()?;
                let sidecar = Target::File(sink::OutFile::create(path, self.force)?);
                let made = put(&again, &sidecar, &self.options, output)
                    .with_context(|| format!("{name}: is written, but not its parity"))?;
                sidecar.finish()?;
                Ok(Made { path: Some(path.clone()), ..made })
            }
            Place::Behind => {
                let made = self.append(&again, name, stored, output)?;
                target.finish()?;
                Ok(made)
            }
            Place::BehindKept(file) => {
                let mut file = Watched(file.try_clone().context("cannot open it again")?);
                let made = self.append(&file, name, stored, output)?;
                file.0.seek(SeekFrom::Start(stored)).context("cannot read it again")?;
                io::copy(&mut file, &mut target.file())
                    .map_err(|error| anyhow!("{name}: cannot write: {error}"))?;
                target.finish()?;
                Ok(made)
            }
        }
    }

    fn append(
        &self,
        file: &Watched<File>,
        name: &str,
        stored: u64,
        output: &Output,
    ) -> anyhow::Result<Made> {
        let mut options = self.options.clone();
        if self.is_reproducible {
            let raw = RawReader::open_at(file).with_context(|| name.to_owned())?;
            let id = derived(raw.container().pack_id.as_bytes(), options.share);
            options = options.with_id(id);
        }
        let progress = Progress::new(output, "making parity", Some(stored.saturating_mul(2)));
        let made = stack::append_parity(file, stored, &options, &|n| progress.add(n));
        progress.finish();
        signals::check()?;
        let (made, end) = made.with_context(|| format!("{name}: cannot add its parity"))?;
        let bytes = end.saturating_sub(stored);
        Ok(Made { path: None, of: stored, bytes, share: made.layout().share() })
    }
}

fn options(share: Share, args: &CreateArgs) -> Options {
    Options::default().with_share(share).with_threads(threads(args.threads))
}

/// The protection id of a pack that is the same wherever it is made.
fn derived(pack: &[u8; 16], share: Share) -> ProtectionId {
    let mut hasher = Sha256::new();
    for part in [&b"carstone/1 parity"[..], &pack[..], &share.hundredths().to_le_bytes()] {
        hasher.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize()[..16]);
    ProtectionId::from_bytes(id)
}

/// Where a pack is written to: all at once to its target, and into a file where it is kept.
pub(super) struct Sink<'a> {
    pub(super) file: &'a File,
    pub(super) keep: Option<&'a File>,
}

/// The same, with a count of what went there.
pub(super) struct Counting<'a> {
    inner: Counted<'a>,
    keep: Option<&'a File>,
}

impl<'a> Sink<'a> {
    pub(super) fn counted(&self) -> Counting<'a> {
        Counting { inner: Counted { inner: self.file, count: 0 }, keep: self.keep }
    }
}

impl Counting<'_> {
    /// Bytes so far.
    pub(super) fn count(&self) -> u64 {
        self.inner.count
    }
}

impl Write for Counting<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        if let Some(mut keep) = self.keep {
            keep.write_all(&buf[..n])?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

const NO_PLACE: &str = "standard output or a device has no file beside it for the parity: give `-o FILE`, or put it behind the pack \
with --parity-in-pack";
