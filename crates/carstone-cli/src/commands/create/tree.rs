//! What is packed: trees of the file system, or standard input.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, bail};
use carstone::pack::fs::{
    Order, TreeOptions, TreeSummary, WalkEvent, add_tree, dry_run_tree, read_names,
};
use carstone::pack::{EntrySink, Metadata, Timestamp};

use super::settings::{Fixed, Settings};
use super::{Failed, watch};
use crate::cli::{CreateArgs, OrderArg};
use crate::keys::is_stdin;
use crate::signals;
use crate::source::Watched;

/// Hears of events, which may fail.
type Tell<'a> = dyn FnMut(WalkEvent<'_>) -> anyhow::Result<()> + 'a;

/// What is packed.
pub(super) struct Tree {
    inputs: Vec<PathBuf>,
    pub(super) options: TreeOptions,
    /// Standard input as one file.
    stdin: Option<Stdin>,
}

struct Stdin {
    name: Vec<u8>,
    metadata: Metadata,
    /// All of it, where it is read more than once.
    spool: Option<File>,
}

impl Tree {
    pub(super) fn new(args: &CreateArgs, settings: &Settings) -> anyhow::Result<Self> {
        let order = match args.order {
            _ if settings.plain => Order::Path,
            None | Some(OrderArg::Type) => Order::Type,
            Some(OrderArg::Path) => Order::Path,
            Some(OrderArg::Given) => Order::Given,
        };
        let mut options = TreeOptions::default()
            .order(order)
            .one_file_system(args.one_file_system)
            .recurse(!args.no_recursion)
            .unwrap_single(args.files_from.is_none())
            .owners(!settings.plain)
            .xattrs(!settings.plain)
            .cancel(signals::flag());
        if let Some(fixed) = settings.reproducible {
            options = options.reproducible(fixed.mtime);
        }
        if let Some(base) = &args.directory {
            options = options.base(base);
        }
        let inputs = inputs(args)?;
        let options = excluding(args, options)?;
        let stdin = match &args.stdin_name {
            Some(name) => Some(Stdin::new(name.as_bytes(), settings)?),
            None => None,
        };
        let base = args.directory.clone().unwrap_or_default();
        let missing = |input: &PathBuf| base.join(input).symlink_metadata().is_err();
        if stdin.is_none() && inputs.iter().all(missing) {
            let Some(first) = inputs.first() else { bail!("the list names nothing to pack") };
            // With the reason, which is the same for most mistakes of this kind.
            if let Err(error) = base.join(first).symlink_metadata() {
                bail!("{}: {error}; nothing is packed", first.display());
            }
        }
        Ok(Self { inputs, options, stdin })
    }

    /// Adds all to `sink`.
    pub(super) fn add(
        &self,
        sink: &mut impl EntrySink,
        tell: &mut Tell<'_>,
    ) -> Result<TreeSummary, Failed> {
        watch(
            |observer| match &self.stdin {
                Some(stdin) => stdin.add(sink, observer),
                None => add_tree(sink, &self.inputs, &self.options, observer),
            },
            tell,
        )
    }

    /// Tells what would be added to a pack or, `plain`, to a plain CAR.
    pub(super) fn dry_run(&self, plain: bool, tell: &mut Tell<'_>) -> Result<TreeSummary, Failed> {
        watch(|observer| dry_run_tree(&self.inputs, &self.options, plain, observer), tell)
    }
}

impl Stdin {
    fn new(name: &[u8], settings: &Settings) -> anyhow::Result<Self> {
        let (metadata, spool) = match settings.reproducible {
            None => (Metadata::new(0o644, now()), None),
            Some(Fixed { mtime }) => {
                let mut metadata = Metadata::default();
                (metadata.mode, metadata.mtime) = (Some(0o644), mtime);
                // A plain CAR takes one pass.
                (metadata, if settings.plain { None } else { Some(spooled()?) })
            }
        };
        Ok(Self { name: name.to_vec(), metadata, spool })
    }

    fn add(
        &self,
        sink: &mut impl EntrySink,
        observer: &mut dyn FnMut(WalkEvent<'_>),
    ) -> io::Result<TreeSummary> {
        let id = sink.start_entry(&self.name, self.metadata.clone())?;
        let mut bytes = 0;
        let mut fill = |reader: &mut dyn Read| {
            sink.fill_entry(id, reader, &mut |n| {
                bytes += n as u64;
                observer(WalkEvent::Content { bytes: n as u64 });
            })
        };
        match &self.spool {
            None => fill(&mut Watched(io::stdin().lock()))?,
            Some(file) => {
                let mut file = file;
                file.rewind()?;
                fill(&mut Watched(file))?;
            }
        }
        sink.end_entry(id)?;
        sink.settle()?;
        let mut summary = TreeSummary::default();
        (summary.files, summary.bytes) = (1, bytes);
        Ok(summary)
    }
}

/// Standard input in an unnamed temporary file.
fn spooled() -> anyhow::Result<File> {
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    io::copy(&mut Watched(io::stdin().lock()), &mut file)
        .context("standard input: cannot keep it in a temporary file")?;
    Ok(file)
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds, nanos: now.subsec_nanos() }
}

/// Paths from the command line and from the list.
fn inputs(args: &CreateArgs) -> anyhow::Result<Vec<PathBuf>> {
    let mut inputs = args.paths.clone();
    if let Some(list) = &args.files_from {
        let separator = if args.null { 0 } else { b'\n' };
        let source: io::Result<Box<dyn Read>> = match is_stdin(list) {
            true => Ok(Box::new(io::stdin().lock())),
            false => File::open(list).map(|file| Box::new(file) as _),
        };
        let names = source.and_then(|source| read_names(BufReader::new(source), separator));
        let name = || list.display().to_string();
        inputs.extend(names.context("cannot read the list").with_context(name)?);
    }
    Ok(inputs)
}

fn excluding(args: &CreateArgs, mut options: TreeOptions) -> anyhow::Result<TreeOptions> {
    for glob in &args.exclude {
        options = options.exclude(glob)?;
    }
    for path in &args.exclude_from {
        let name = || path.display().to_string();
        let text = match is_stdin(path) {
            true => io::read_to_string(io::stdin().lock()),
            false => std::fs::read_to_string(path),
        };
        let text = text.context("cannot read").with_context(name)?;
        for glob in text.lines().filter(|line| !line.is_empty()) {
            options = options.exclude(glob).with_context(name)?;
        }
    }
    Ok(options)
}
