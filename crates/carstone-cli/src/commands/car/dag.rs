//! `carstone car get-dag`, `complete` and `split`: the DAGs that blocks make up.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carstone::car::dag::{
    DagError, DagErrorKind, ExportOptions, NodeLimits, Parts, Selector, Split, SplitOptions,
    WalkLimits, WalkOptions, check_complete, export_to, implicit_roots, links,
    split as split_simply, split_dag,
};
use carstone::car::{Cid, IndexedCar, ReaderOptions, hash_code};
use carstone::unixfs;
use serde_json::Map;

use super::files::{Stored, stored};
use super::write::Writing;
use crate::cli::{CompleteArgs, GetDagArgs, ScopeArg, SplitArgs};
use crate::exit::Exit;
use crate::input::chain;
use crate::keys::is_stdin;
use crate::output::Output;
use crate::signals;
use crate::sink::OutFile;
use crate::source::Watched;

/// Copies a DAG.
pub(super) fn get(
    args: &GetDagArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    let car = open(&input, reading)?;
    let root = match (args.root, car.roots()) {
        (Some(root), _) => root,
        (None, [root]) => *root,
        (None, roots) => {
            bail!("{}: names {} roots: which DAG? Give a CID", input.name, roots.len())
        }
    };
    let mut walk = WalkOptions::default();
    if let Some(json) = &args.selector {
        let selector = Selector::parse(json.as_bytes()).context("the selector")?;
        walk = walk.selector(selector);
    }
    let options = ExportOptions::default().walk(walk).skip_missing(!args.strict);
    let file = args.version.options(car.version());
    let mut writing = Writing::create(&args.out, &[root], file, output)?;
    if args.path.is_some() || args.scope.is_some() || args.bytes.is_some() {
        entity(args, &car, &root, &mut writing).with_context(|| input.name.clone())?;
        writing.finish()?;
        tell_fault(&car, &input.name, output)?;
        return Ok(Exit::found(output.problems() > 0));
    }
    let done = export_to(&car, &[root], &options, |cid, data| writing.put(cid, data).map(drop));
    let done = done.with_context(|| input.name.clone())?;
    if done.blocks == 0 && root.hash().code() != hash_code::IDENTITY {
        bail!("{}: has no block {root}", input.name);
    }
    writing.finish()?;
    tell_fault(&car, &input.name, output)?;
    if done.missing > 0 {
        let what =
            format!("{} blocks that are linked are not there, and were left out", done.missing);
        output.problem(input.name.as_bytes(), &what)?;
    }
    Ok(Exit::found(output.problems() > 0))
}

/// Copies what it takes to read a file, a part of it, or a directory.
fn entity(
    args: &GetDagArgs,
    car: &IndexedCar<Watched<&File>>,
    root: &Cid,
    writing: &mut Writing,
) -> Result<(), unixfs::Error> {
    let path = args.path.as_deref().unwrap_or_default().as_bytes();
    let scope = args.scope.map(ScopeArg::scope).unwrap_or_default();
    let limits = unixfs::Limits::default();
    let mut put = |cid: &Cid, data: &[u8]| Ok(writing.put(cid, data).map(drop)?);
    unixfs::export_entity(car, root, path, scope, args.bytes, &limits, &mut put).map(drop)
}

/// Tells what is missing.
pub(super) fn complete(
    args: &CompleteArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    let car = open(&input, reading)?;
    let roots = if args.roots.is_empty() { car.roots() } else { &args.roots };
    if roots.is_empty() {
        bail!("{}: names no root: give a CID", input.name);
    }
    let walk = WalkOptions::default().leave_leaves(args.quick);
    let found = check_complete(&car, roots, &walk, args.most);
    let found = found.with_context(|| input.name.clone())?;
    for fault in &found.faults {
        tell(fault, &input.name, output)?;
    }
    tell_fault(&car, &input.name, output)?;
    let counted = found.missing.saturating_add(found.unusable);
    if counted > found.faults.len() as u64 {
        output.note(&format!("{} more are not named", counted - found.faults.len() as u64));
    }
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("complete".to_owned(), found.is_complete().into());
        fields.insert("blocks".to_owned(), found.blocks.into());
        fields.insert("bytes".to_owned(), found.bytes.into());
        fields.insert("missing".to_owned(), found.missing.into());
        fields.insert("unusable".to_owned(), found.unusable.into());
        output.object("summary", fields)?;
    } else if found.is_complete() {
        output
            .line(format!("complete: {} blocks, {} bytes", found.blocks, found.bytes).as_bytes())?;
    } else {
        let (missing, unusable) = (found.missing, found.unusable);
        output.line(
            format!("not complete: {missing} blocks missing, {unusable} damaged").as_bytes(),
        )?;
    }
    Ok(Exit::found(!found.is_complete() || output.problems() > 0))
}

/// Says what ended the CAR before its end.
fn tell_fault(
    car: &IndexedCar<Watched<&File>>,
    name: &str,
    output: &mut Output,
) -> anyhow::Result<()> {
    match car.scan_fault() {
        Some(fault) => output.problem(name.as_bytes(), &chain(fault)),
        None => Ok(()),
    }
}

fn tell(fault: &DagError, name: &str, output: &mut Output) -> anyhow::Result<()> {
    let mut fields = Map::new();
    let mut field = |key: &str, cid: Option<&Cid>| {
        if let Some(cid) = cid {
            fields.insert(key.to_owned(), cid.to_string().into());
        }
    };
    field("cid", fault.cid());
    field("parent", fault.parent());
    fields.insert("links".to_owned(), fault.path().into());
    let what = match (fault.kind(), fault.cid(), fault.parent()) {
        (DagErrorKind::Missing, Some(cid), Some(parent)) => {
            format!("block {cid} is missing, to which {parent} links")
        }
        (DagErrorKind::Missing, Some(cid), None) => format!("root {cid} is missing"),
        _ => chain(fault),
    };
    output.problem_with(name.as_bytes(), &what, fields)
}

/// Cuts a CAR into parts.
pub(super) fn split(
    args: &SplitArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    let stem = match is_stdin(&args.input.car) {
        true => "part".into(),
        false => args.input.car.file_stem().unwrap_or_default().to_owned(),
    };
    std::fs::create_dir_all(&args.directory)
        .with_context(|| format!("{}: cannot make it", args.directory.display()))?;
    let mut files = Files { args, stem, current: None, made: Vec::new() };
    let options = SplitOptions::new(args.size);
    let done = match args.simple {
        true => split_simply(&mut input.reader(reading)?, &mut files, options),
        false => {
            let car = open(&input, reading)?;
            split_dag(&car, car.roots(), &mut files, &WalkOptions::default(), options)
        }
    };
    if done.is_err() {
        // What there is of them is of no use, and in the way of another try.
        files.made.iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
    let Split { parts, blocks, repeated, .. } = done.with_context(|| input.name.clone())?;
    if !args.simple {
        tell_unreached(&input, reading, output)?;
    }
    for path in files.made {
        if output.is_json() {
            let fields = Map::from_iter([("path".to_owned(), path.display().to_string().into())]);
            output.object("part", fields)?;
        } else {
            output.line(path.display().to_string().as_bytes())?;
        }
    }
    output.note(&format!("{parts} parts of {blocks} blocks, {repeated} of them repeated"));
    Ok(Exit::found(output.problems() > 0))
}

/// Says that blocks are in no part, since no root leads to them.
fn tell_unreached(
    input: &Stored,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut reader = input.reader(reading)?;
    let roots: HashSet<Cid> = reader.roots().iter().copied().collect();
    let tops = implicit_roots(&mut reader, &WalkLimits::default());
    let tops = tops.with_context(|| input.name.clone())?;
    // Roots that hold themselves are no blocks, and lead to some.
    let is_inline = |root: &&Cid| root.hash().code() == hash_code::IDENTITY;
    let inline = roots.iter().filter(is_inline).flat_map(|root| {
        links(root, root.hash().digest(), &NodeLimits::default()).unwrap_or_default()
    });
    let roots: HashSet<Cid> = roots.iter().copied().chain(inline).collect();
    let loose = tops.iter().filter(|top| !roots.contains(top)).count();
    if loose > 0 {
        let what = format!(
            "no root leads to {loose} blocks, which are in no part, nor is what is below them: --simple keeps all"
        );
        output.problem(input.name.as_bytes(), &what)?;
    }
    Ok(())
}

/// The files that parts are written to. Each gets its name when it is complete.
struct Files<'a> {
    args: &'a SplitArgs,
    stem: std::ffi::OsString,
    current: Option<(PathBuf, OutFile)>,
    made: Vec<PathBuf>,
}

impl Parts for Files<'_> {
    type Sink = BufWriter<File>;

    fn open(&mut self, number: u64) -> io::Result<BufWriter<File>> {
        let mut name = self.stem.clone();
        name.push(format!("-{number:04}.car"));
        let path = Path::new(&self.args.directory).join(name);
        let file = OutFile::create(&path, self.args.force).map_err(io::Error::other)?;
        let sink = file.file().try_clone()?;
        self.current = Some((path, file));
        Ok(BufWriter::with_capacity(256 << 10, sink))
    }

    fn close(&mut self, _number: u64, mut sink: BufWriter<File>) -> io::Result<()> {
        sink.flush()?;
        signals::check()?;
        if let Some((path, file)) = self.current.take() {
            file.finish().map_err(io::Error::other)?;
            self.made.push(path);
        }
        Ok(())
    }
}

/// All blocks by their CIDs. An index need not have all of them.
fn open(input: &Stored, reading: ReaderOptions) -> anyhow::Result<IndexedCar<Watched<&File>>> {
    IndexedCar::ignoring_index(Watched(&input.car), reading).with_context(|| input.name.clone())
}
