//! `carstone create`: packs files and directories.

mod dry;
mod parity;
pub(super) mod report;
mod reproducible;
mod settings;
mod tree;

use std::io::{self, BufWriter, Seek};

use anyhow::{anyhow, bail};
use carstone::car::FileOptions;
use carstone::layer::default_threads;
use carstone::pack::fs::{TreeSummary, WalkEvent};
use carstone::pack::{EntrySink, ErrorKind, PackOptions, PackWriter, PlainWriter, Summary};
use carstone::stack::{self, WriteOptions};
use carstone::unixfs::{Layout, Profile};

use crate::cli::{CarVersion, CreateArgs};
use crate::exit::Exit;
use crate::keys::{is_stdin, protection};
use crate::output::Output;
use crate::parity::note_older;
use crate::progress::Progress;
use crate::signals;
use crate::target::{Counted, Target};
use parity::Sink;
use settings::Settings;
use tree::Tree;

/// Packs.
pub(crate) fn run(args: CreateArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let settings = Settings::new(&args)?;
    let protection = protection(&args.readers, args.dry_run)?;
    let Some(path) = args.output.as_deref().filter(|_| !args.dry_run) else {
        return dry::run(&args, &settings, output);
    };
    let mut parity = parity::Plan::of(&args, settings.plain)?;
    let mut tree = Tree::new(&args, &settings)?;
    let name = match is_stdin(path) {
        true => "standard output".to_owned(),
        false => path.display().to_string(),
    };
    let target = Target::create(path, args.force, output)?;
    if let Some(parity) = &mut parity {
        parity.fits(&target)?;
    }
    let sidecar = parity.as_ref().and_then(parity::Plan::replaced);
    for own in target.identities().into_iter().chain(sidecar) {
        tree.options = tree.options.own_output(own);
    }
    let threads = args.threads.unwrap_or_else(default_threads);
    let packing = PackOptions::default()
        .threads(threads)
        .profile(settings.profile.clone())
        .wrap(!args.shape.no_wrap || is_one_directory(&args))
        .leaf_root(is_one_leaf(&args, &settings.profile));
    let (told, summary, stored) = if settings.plain {
        output.note(PLAIN_LOSES);
        let version = settings.car_version.unwrap_or(match target.is_seekable() {
            true => CarVersion::V2,
            false => CarVersion::V1,
        });
        let packing = packing.plain(match version {
            CarVersion::V1 => FileOptions::v1(),
            CarVersion::V2 => FileOptions::v2(),
        });
        Job::new(&tree, output, &name).plain(&target, packing)?
    } else {
        let mut options =
            WriteOptions::default().codec(args.compress.unwrap_or_default()).threads(threads);
        if let Some(bytes) = args.block_size {
            options = options.block_size(bytes);
        }
        if let Some(protection) = protection {
            options = options.protection(protection);
        }
        match settings.reproducible {
            None => {
                Job::new(&tree, output, &name).pack(&sink(&target, &parity), options, packing)?
            }
            Some(_) => {
                let sink = sink(&target, &parity);
                reproducible::pack(&tree, output, &name, &sink, options, packing)?
            }
        }
    };
    if signals::stopped() {
        bail!("interrupted");
    }
    // Behind a pack in a pipe the root would be taken for a part of it.
    let before = if args.bare_root { "" } else { "root " };
    let root = target.is_seekable().then_some(before);
    let made = match parity {
        None => {
            target.finish()?;
            None
        }
        Some(plan) => Some(plan.make(target, &name, stored, output)?),
    };
    report::summary(&told, &summary, (stored, made.as_ref()), root, output)?;
    if made.is_none_or(|made| made.path.is_none()) {
        note_older(path, output);
    }
    Ok(Exit::found(output.problems() > 0))
}

/// Where a pack goes, and goes too where it is needed once more.
fn sink<'a>(target: &'a Target, parity: &'a Option<parity::Plan>) -> Sink<'a> {
    Sink { file: target.file(), keep: parity.as_ref().and_then(parity::Plan::keep) }
}

/// Whether what is packed is one file that fits into a leaf, which then is the root where nothing is wrapped around it.
/// Whether one directory is packed, which is the root then in any case.
fn is_one_directory(args: &CreateArgs) -> bool {
    one_path(args).is_some_and(|path| path.is_dir())
}

fn is_one_leaf(args: &CreateArgs, profile: &Profile) -> bool {
    let fits = |len: u64| len <= profile.chunker().min() as u64;
    profile.layout() == Layout::Balanced
        && one_path(args)
            .and_then(|path| path.metadata().ok())
            .is_some_and(|metadata| metadata.is_file() && fits(metadata.len()))
}

/// The only path, if there are no others.
fn one_path(args: &CreateArgs) -> Option<std::path::PathBuf> {
    let [path] = &args.paths[..] else { return None };
    Some(args.directory.as_deref().unwrap_or("".as_ref()).join(path))
}

/// Content goes in, and what happens is told.
struct Job<'a> {
    tree: &'a Tree,
    output: &'a mut Output,
    progress: Progress,
    name: &'a str,
}

/// What was added, what the pack holds, and the bytes it takes.
type Outcome = (TreeSummary, Summary, u64);

impl<'a> Job<'a> {
    fn new(tree: &'a Tree, output: &'a mut Output, name: &'a str) -> Self {
        let progress = Progress::new(output, "packing", None);
        Self { tree, output, progress, name }
    }

    fn pack(
        mut self,
        sink: &Sink<'_>,
        options: WriteOptions,
        packing: PackOptions,
    ) -> anyhow::Result<Outcome> {
        let sink = sink.counted();
        let pipe = stack::write(sink, options).map_err(|error| self.explain(error))?;
        let id = pipe.pack_id();
        let writer = PackWriter::with_options(pipe, id, packing);
        let mut writer = writer.map_err(|error| self.explain(error))?;
        let told = self.add(&mut writer)?;
        let (pipe, summary) = writer.finish().map_err(|error| self.explain(error))?;
        let sink = pipe.finish().map_err(|error| self.explain(error))?;
        self.progress.finish();
        Ok((told, summary, sink.count()))
    }

    fn plain(mut self, target: &Target, packing: PackOptions) -> anyhow::Result<Outcome> {
        let mut file = target.file();
        let (told, summary, stored) = if target.is_seekable() {
            let sink = BufWriter::with_capacity(256 << 10, file);
            let writer = PlainWriter::with_options(sink, packing);
            let mut writer = writer.map_err(|error| self.explain(error))?;
            let told = self.add(&mut writer)?;
            let (_, summary) = writer.finish().map_err(|error| self.explain(error))?;
            // The file is its own, and written from its start.
            (told, summary, file.stream_position().map_err(|error| self.explain(error))?)
        } else {
            let mut writer = PlainWriter::spooled(packing).map_err(|error| self.explain(error))?;
            let told = self.add(&mut writer)?;
            let sink = Counted { inner: file, count: 0 };
            let (sink, summary) = writer.finish_to(sink).map_err(|error| self.explain(error))?;
            (told, summary, sink.count)
        };
        self.progress.finish();
        Ok((told, summary, stored))
    }

    fn add(&mut self, sink: &mut impl EntrySink) -> anyhow::Result<TreeSummary> {
        let (output, progress) = (&mut *self.output, &self.progress);
        self.tree
            .add(sink, &mut |event| report::tell(event, output, progress))
            .map_err(|error| error.into_any(self.name))
    }

    fn explain(&self, error: io::Error) -> anyhow::Error {
        explain(error, self.name)
    }
}

/// Runs something that tells of events, and stops telling at the first event that cannot be told.
fn watch(
    run: impl FnOnce(&mut dyn FnMut(WalkEvent<'_>)) -> io::Result<TreeSummary>,
    tell: &mut dyn FnMut(WalkEvent<'_>) -> anyhow::Result<()>,
) -> Result<TreeSummary, Failed> {
    let mut failed = None;
    let told = run(&mut |event| {
        if failed.is_none() {
            failed = tell(event).err();
        }
    });
    match (told, failed) {
        (Ok(_), Some(error)) => Err(Failed::Telling(error)),
        (Ok(told), None) => Ok(told),
        (Err(error), _) => Err(Failed::Adding(error)),
    }
}

/// Why content was not added.
enum Failed {
    Adding(io::Error),
    Telling(anyhow::Error),
}

impl Failed {
    /// For people; `name` is that of the output.
    fn into_any(self, name: &str) -> anyhow::Error {
        match self {
            Self::Adding(error) => explain(error, name),
            Self::Telling(error) => error,
        }
    }
}

/// What the writer gives is about the output, unless it is about a name that was given.
fn explain(error: io::Error, name: &str) -> anyhow::Error {
    if let Some(fault) = carstone::pack::Error::of(&error) {
        return match fault.kind() {
            ErrorKind::Io(source) => anyhow!("{name}: cannot write: {source}"),
            _ => anyhow!("{}", crate::input::chain(fault)),
        };
    }
    anyhow!("{name}: cannot write: {}", crate::input::io_chain(&error))
}

const PLAIN_LOSES: &str = "carstone: a plain CAR keeps names and contents; mode, times, owner and extended \
attributes are lost, and names that are not UTF-8 are left out";
