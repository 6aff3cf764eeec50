//! `carstone create`: packs files and directories.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use carstone::layer::default_threads;
use carstone::pack::fs::{
    Order, SkipReason, TreeOptions, TreeSummary, WalkEvent, add_tree, read_names,
};
use carstone::pack::{
    EntrySink, ErrorKind, Metadata, PackOptions, PackWriter, PlainWriter, Problem, ProblemKind,
    Summary, Timestamp,
};
use carstone::stack::{self, WriteOptions};
use serde_json::Map;

use crate::cli::{CreateArgs, OrderArg};
use crate::exit::Exit;
use crate::keys::{is_stdin, once, protection};
use crate::names::human;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;
use crate::target::{Counted, Target};

/// Packs.
pub(crate) fn run(args: CreateArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let plain = args.plain || args.output.extension().is_some_and(|extension| extension == "car");
    check_usage(&args, plain)?;
    let protection = protection(&args)?;
    let mut tree = Tree::new(&args, plain)?;
    let name = match is_stdin(&args.output) {
        true => "standard output".to_owned(),
        false => args.output.display().to_string(),
    };
    let target = Target::create(&args.output, args.force, output)?;
    for own in target.identities() {
        tree.options = tree.options.own_output(own);
    }
    let threads = args.threads.unwrap_or_else(default_threads);
    let packing = PackOptions::default().threads(threads);
    let progress = Progress::new(output, "packing", None);
    let mut job = Job { tree, output, progress, name: &name };
    let (told, summary, stored) = if plain {
        job.output.note(PLAIN_LOSES);
        job.plain(&target, packing)?
    } else {
        let mut options =
            WriteOptions::default().codec(args.compress.unwrap_or_default()).threads(threads);
        if let Some(bytes) = args.block_size {
            options = options.block_size(bytes);
        }
        if let Some(protection) = protection {
            options = options.protection(protection);
        }
        job.pack(&target, options, packing)?
    };
    let Job { output, progress, .. } = job;
    progress.finish();
    if signals::stopped() {
        bail!("interrupted");
    }
    // Behind a pack in a pipe the root would be taken for a part of it.
    let shows_root = target.is_seekable();
    target.finish()?;
    report(&told, &summary, stored, shows_root, output)?;
    Ok(Exit::found(output.problems() > 0))
}

fn check_usage(args: &CreateArgs, plain: bool) -> anyhow::Result<()> {
    if args.paths.is_empty() && args.files_from.is_none() && args.stdin_name.is_none() {
        bail!("nothing to pack: give PATHs, -T FILE or --stdin-name NAME");
    }
    let content = args.stdin_name.as_ref().map(|_| Path::new("-"));
    let files = args.recipients_file.iter().chain(&args.files_from).chain(&args.exclude_from);
    once(files.map(PathBuf::as_path).chain(content))?;
    if !plain {
        return Ok(());
    }
    let passphrase = &args.passphrase;
    let encrypts = !args.recipient.is_empty()
        || !args.recipients_file.is_empty()
        || passphrase.passphrase
        || passphrase.passphrase_file.is_some()
        || passphrase.passphrase_command.is_some();
    if encrypts {
        bail!("a plain CAR cannot be encrypted: name the output .cstone, and leave --plain out");
    }
    if args.compress.is_some() || args.block_size.is_some() {
        bail!("a plain CAR cannot be compressed: name the output .cstone, and leave --plain out");
    }
    Ok(())
}

/// What is packed.
struct Tree {
    inputs: Vec<PathBuf>,
    options: TreeOptions,
    /// Standard input as one file.
    stdin: Option<Vec<u8>>,
}

impl Tree {
    fn new(args: &CreateArgs, plain: bool) -> anyhow::Result<Self> {
        let mut inputs = args.paths.clone();
        if let Some(list) = &args.files_from {
            let separator = if args.null { 0 } else { b'\n' };
            let name = || list.display().to_string();
            let names = match is_stdin(list) {
                true => read_names(io::stdin().lock(), separator),
                false => {
                    File::open(list).and_then(|file| read_names(BufReader::new(file), separator))
                }
            };
            inputs.extend(names.context("cannot read the list").with_context(name)?);
        }
        let order = match args.order {
            _ if plain => Order::Path,
            OrderArg::Type => Order::Type,
            OrderArg::Path => Order::Path,
            OrderArg::Given => Order::Given,
        };
        let mut options = TreeOptions::default()
            .order(order)
            .one_file_system(args.one_file_system)
            .recurse(!args.no_recursion)
            .unwrap_single(args.files_from.is_none())
            .owners(!plain)
            .xattrs(!plain)
            .cancel(signals::flag());
        if let Some(base) = &args.directory {
            options = options.base(base);
        }
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
        let stdin = args.stdin_name.as_ref().map(|name| name.as_bytes().to_vec());
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

    fn add(
        &self,
        sink: &mut impl EntrySink,
        observer: &mut dyn FnMut(WalkEvent<'_>),
    ) -> io::Result<TreeSummary> {
        let Some(name) = &self.stdin else {
            return add_tree(sink, &self.inputs, &self.options, observer);
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mtime = Timestamp { seconds, nanos: now.subsec_nanos() };
        let id = sink.start_entry(name, Metadata::new(0o644, mtime))?;
        let mut summary = TreeSummary::default();
        let mut stdin = Watched(io::stdin().lock());
        let mut bytes = 0;
        sink.fill_entry(id, &mut stdin, &mut |n| {
            bytes += n as u64;
            observer(WalkEvent::Content { bytes: n as u64 });
        })?;
        sink.end_entry(id)?;
        sink.settle()?;
        (summary.files, summary.bytes) = (1, bytes);
        Ok(summary)
    }
}

/// Content goes in, and what happens is told.
struct Job<'a> {
    tree: Tree,
    output: &'a mut Output,
    progress: Progress,
    name: &'a str,
}

/// What was added, what the pack holds, and the bytes it takes.
type Outcome = (TreeSummary, Summary, u64);

impl Job<'_> {
    fn pack(
        &mut self,
        target: &Target,
        options: WriteOptions,
        packing: PackOptions,
    ) -> anyhow::Result<Outcome> {
        let sink = Counted { inner: target.file(), count: 0 };
        let pipe = stack::write(sink, options).map_err(|error| self.explain(error))?;
        let id = pipe.pack_id();
        let writer = PackWriter::with_options(pipe, id, packing);
        let mut writer = writer.map_err(|error| self.explain(error))?;
        let told = self.add(&mut writer)?;
        let (pipe, summary) = writer.finish().map_err(|error| self.explain(error))?;
        let sink = pipe.finish().map_err(|error| self.explain(error))?;
        Ok((told, summary, sink.count))
    }

    fn plain(&mut self, target: &Target, packing: PackOptions) -> anyhow::Result<Outcome> {
        let file = target.file();
        let (told, summary) = if target.is_seekable() {
            let sink = BufWriter::with_capacity(256 << 10, file);
            let writer = PlainWriter::with_options(sink, packing);
            let mut writer = writer.map_err(|error| self.explain(error))?;
            let told = self.add(&mut writer)?;
            (told, writer.finish().map_err(|error| self.explain(error))?.1)
        } else {
            let mut writer = PlainWriter::spooled(packing).map_err(|error| self.explain(error))?;
            let told = self.add(&mut writer)?;
            (told, writer.finish_to(file).map_err(|error| self.explain(error))?.1)
        };
        let stored = summary.stream_len;
        Ok((told, summary, stored))
    }

    fn add(&mut self, sink: &mut impl EntrySink) -> anyhow::Result<TreeSummary> {
        let (output, progress) = (&mut *self.output, &self.progress);
        let mut failed = None;
        let told = self.tree.add(sink, &mut |event| {
            if let Err(error) = tell(event, output, progress) {
                failed.get_or_insert(error);
            }
        });
        match (told, failed) {
            (Ok(_), Some(error)) => Err(error),
            (Ok(told), None) => Ok(told),
            (Err(error), _) => Err(self.explain(error)),
        }
    }

    /// What the writer gives is about the output, unless it is about a name that was given.
    fn explain(&self, error: io::Error) -> anyhow::Error {
        if let Some(fault) = carstone::pack::Error::of(&error) {
            return match fault.kind() {
                ErrorKind::Io(source) => anyhow!("{}: cannot write: {source}", self.name),
                _ => anyhow!("{}", crate::input::chain(fault)),
            };
        }
        anyhow!("{}: cannot write: {}", self.name, crate::input::io_chain(&error))
    }
}

fn tell(event: WalkEvent<'_>, output: &mut Output, progress: &Progress) -> anyhow::Result<()> {
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    match event {
        WalkEvent::Total { bytes, .. } => progress.total(bytes),
        WalkEvent::Content { bytes } => progress.add(bytes),
        WalkEvent::Stripped { given, .. } => {
            let given = given.display();
            progress.suspend(|| {
                output.note(&format!("carstone: {given}: packed without its leading /"))
            });
        }
        WalkEvent::Skipped { path, reason } => match reason {
            SkipReason::Special => {
                let what = "skipped: it is a socket, a fifo or a device";
                return progress.suspend(|| output.problem(&bytes(path), &what));
            }
            // The temporary file goes by itself; nobody asked for it to be packed.
            SkipReason::OwnOutput if path.extension().is_some_and(|end| end == "part") => {}
            SkipReason::OwnOutput => {
                let path = path.display();
                progress.suspend(|| {
                    output.note(&format!("carstone: {path}: is the output, which is not packed"))
                });
            }
            _ => {}
        },
        WalkEvent::Unreadable { path, error } => {
            let what = format!("cannot read: {error}");
            return progress.suspend(|| output.problem(&bytes(path), &what));
        }
        WalkEvent::Problem(problem) => {
            let what = describe(&problem);
            return progress.suspend(|| output.problem(&problem.path, &what));
        }
        _ => {}
    }
    Ok(())
}

fn describe(problem: &Problem) -> String {
    match &problem.kind {
        ProblemKind::Unreadable(error) => format!("cannot read: {error}; it is not in the pack"),
        ProblemKind::Changed => {
            "changed while it was read; the pack holds what was read".to_owned()
        }
        ProblemKind::AttributesLost(error) => {
            format!("its extended attributes cannot be read: {error}")
        }
        ProblemKind::NotUtf8 => "its name is not UTF-8; left out".to_owned(),
        ProblemKind::LostOriginal => {
            "is another name of a file that could not be packed; left out".to_owned()
        }
        _ => "is left out".to_owned(),
    }
}

fn report(
    told: &TreeSummary,
    summary: &Summary,
    stored: u64,
    shows_root: bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    let ratio = summary.size as f64 / stored.max(1) as f64;
    if output.is_json() {
        let mut fields = Map::new();
        let mut put = |key: &str, value: serde_json::Value| fields.insert(key.to_owned(), value);
        put("root", summary.root.to_string().into());
        put("files", told.files.into());
        put("directories", told.directories.into());
        put("symlinks", told.symlinks.into());
        put("hard_links", told.hard_links.into());
        put("bytes", summary.size.into());
        put("stored", stored.into());
        put("ratio", ratio.into());
        put("problems", output.problems().into());
        return output.object("summary", fields);
    }
    if shows_root {
        output.line(format!("root {}", summary.root).as_bytes())?;
        output.flush()?;
    }
    output.note(&format!(
        "{} files, {} in, {} out, ratio {ratio:.2}",
        told.files,
        human(summary.size),
        human(stored),
    ));
    Ok(())
}

const PLAIN_LOSES: &str = "carstone: a plain CAR keeps names and contents; mode, times, owner and extended \
attributes are lost, and names that are not UTF-8 are left out";
