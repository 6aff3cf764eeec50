//! `carstone extract`: restores files from a pack.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io;

use anyhow::{Context, anyhow};
use carstone::car::Cid;
use carstone::layer::default_threads;
use carstone::pack::ErrorKind;
use carstone::pack::fs::{
    ExtractOptions, ExtractReport, Overwrite, RestoreError, RestoreErrorKind, RestoreEvent,
    RestoreOptions, Selection, Skip, extract_dag, extract_damaged, extract_events,
};
use carstone::unixfs::BlockSource;
use serde_json::{Map, Value, json};

use super::list::{report_unmatched, selection};
use crate::cli::{ExtractArgs, OverwriteArg, RestoreArgs};
use crate::exit::Exit;
use crate::front::{Front, Heard};
use crate::input::{Input, chain, restart};
use crate::keys::Keys;
use crate::losses::{object, ranges};
use crate::names::{self, human};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::Source;

/// Restores.
pub(crate) fn run(args: ExtractArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::new(&args.keys, &args.pack)?;
    let source = Source::open(&args.pack)?.accepting(args.reading);
    source.tell_kept(output);
    let name = source.name.clone();
    let again = source.again()?;
    let selection = selection(&args.patterns);
    let options = options(&args.restore);
    let mut input = match args.restore.salvage {
        true => Input::salvage(source, &keys, args.restore.threads)?,
        false => Input::open(source, &keys, args.restore.threads)?,
    };
    input.start_at(args.root).with_context(|| name.clone())?;
    let total = match &input {
        Input::Pack(pack) if selection.is_all() => Some(pack.reader.tail().size),
        _ => None,
    };
    let teller = RefCell::new(Teller::new(total, output));
    let target = &args.restore.directory;
    let place = || target.display().to_string();
    let mut told = |event| teller.borrow_mut().tell(&name, event);
    let mut damaged = false;
    let report = match input {
        Input::Pack(pack) => {
            let (mut front, mut times): (Option<Front>, u64) = (None, 0);
            // Where something is damaged, the whole pack is read front to back, and told of the first time.
            let mut rest = || {
                let reading = match &mut front {
                    Some(front) => front,
                    None => front.insert(restarted(again.as_ref(), &keys, args.restore.threads)?),
                };
                let event = reading.next(&mut |what| {
                    if times == 0 {
                        teller.borrow_mut().damage(&name, what);
                    }
                })?;
                if event.is_none() {
                    (front, times) = (None, times + 1);
                }
                Ok(event)
            };
            let (reader, mut told) = (&pack.reader, |event| teller.borrow_mut().tell(&name, event));
            let report =
                extract_damaged(reader, &mut rest, target, &selection, &options, &mut told)
                    .with_context(place)?;
            pack.tell_corrections(&name, teller.borrow_mut().output)?;
            pack.tell_footers(&name, teller.borrow_mut().output)?;
            report
        }
        Input::Front(mut front, fault) => {
            let mut next = || {
                front.next(&mut |what| {
                    damaged = true;
                    teller.borrow_mut().damage(&name, what);
                })
            };
            let report = extract_events(&mut next, target, &selection, &options, &mut told)
                .with_context(place)?;
            if let Some(fault) = fault.filter(|_| !damaged && report.stopped.is_none()) {
                teller.borrow_mut().output.problem(name.as_bytes(), &chain(&fault))?;
            }
            report
        }
        Input::Car(car) => {
            let roots = car.roots();
            let mut report =
                extract_dag(&*car, roots, None, target, &selection, &options, &mut told)
                    .with_context(place)?;
            let is_hurt = teller.borrow().done.is_hurt;
            if is_hurt && selection.is_all() && report.stopped.is_none() {
                let loose = car.loose().with_context(|| name.clone())?;
                car.note_loose(&name, teller.borrow_mut().output)?;
                let options = options.loose_roots(loose.to_vec());
                report = extract_dag(&*car, &[], None, target, &selection, &options, &mut told)
                    .with_context(place)?;
            }
            car.tell_faults(&name, teller.borrow_mut().output)?;
            report
        }
    };
    teller.into_inner().finish(&name, &report, damaged, &selection)
}

/// Restores what is selected of the tree under a root, out of blocks that are verified. A root that is no directory gets this name.
pub(crate) fn from_blocks(
    source: &impl BlockSource,
    (root, name): (Cid, &str),
    patterns: &[OsString],
    args: &RestoreArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let selection = selection(patterns);
    let teller = RefCell::new(Teller::new(None, output));
    let mut told = |event| teller.borrow_mut().tell(name, event);
    let (directory, options) = (&args.directory, options(args));
    let name_of_file = Some(name.as_bytes());
    let report =
        extract_dag(source, &[root], name_of_file, directory, &selection, &options, &mut told);
    let report = report.with_context(|| directory.display().to_string())?;
    teller.into_inner().finish(name, &report, false, &selection)
}

fn options(args: &RestoreArgs) -> ExtractOptions {
    let restore = RestoreOptions::default()
        .overwrite(match args.overwrite {
            OverwriteArg::Never => Overwrite::Never,
            OverwriteArg::Always => Overwrite::Always,
            OverwriteArg::IfNewer => Overwrite::IfNewer,
        })
        .strip_components(args.strip_components)
        .same_permissions(args.same_permissions)
        .same_owner(args.same_owner);
    ExtractOptions::default()
        .restore(restore)
        .keep_partial(args.salvage)
        .cancel(signals::flag())
        .threads(args.threads.unwrap_or_else(default_threads))
}

/// The pack once more, front to back.
fn restarted(
    file: Option<&File>,
    keys: &Keys,
    threads: Option<usize>,
) -> Result<Front, carstone::pack::Error> {
    let file = file.ok_or_else(|| anyhow!("cannot read it twice"));
    let front = file.and_then(|file| restart(file, keys, threads));
    front.map_err(|error| carstone::pack::Error::io(io::Error::other(error), 0))
}

#[derive(Default)]
struct Totals {
    entries: u64,
    bytes: u64,
    /// Files of which a part is kept.
    partial: u64,
    /// Whether something is missing of what is to be read.
    is_hurt: bool,
}

/// Passes on what happens to entries.
struct Teller<'a> {
    output: &'a mut Output,
    progress: Progress,
    failed: Option<anyhow::Error>,
    done: Totals,
}

impl<'a> Teller<'a> {
    fn new(total: Option<u64>, output: &'a mut Output) -> Self {
        let progress = Progress::new(output, "extracting", total);
        Self { progress, output, failed: None, done: Totals::default() }
    }

    fn tell(&mut self, name: &str, event: RestoreEvent) {
        // After a signal everything fails, which says nothing about the entries.
        if signals::stopped() {
            return;
        }
        if let Err(error) = self.try_tell(name, event) {
            self.failed.get_or_insert(error);
        }
    }

    /// Something of the pack is damaged.
    fn damage(&mut self, name: &str, what: Heard) {
        let Self { output, progress, .. } = self;
        let Heard { text, fields } = what;
        let told = progress.suspend(|| output.problem_with(name.as_bytes(), &text, fields));
        if let Err(error) = told {
            self.failed.get_or_insert(error);
        }
    }

    fn try_tell(&mut self, name: &str, event: RestoreEvent) -> anyhow::Result<()> {
        let Self { output, progress, done, .. } = self;
        match event {
            RestoreEvent::Restored { path, kind, size } => {
                done.entries += 1;
                done.bytes += size;
                if output.is_json() {
                    let mut fields = Map::new();
                    fields.insert("kind".to_owned(), kind.to_string().into());
                    fields.insert("size".to_owned(), size.into());
                    names::put(&mut fields, "path", &path);
                    output.object("restored", fields)?;
                }
                Ok(())
            }
            RestoreEvent::Skipped { path, why: Skip::Exists } => {
                let what = "exists already; --overwrite always replaces it";
                progress.suspend(|| output.problem(&path, &what))
            }
            RestoreEvent::Skipped { path, why } => {
                if output.is_json() {
                    let why = match why {
                        Skip::NotNewer => "what is there is as new",
                        _ => "nothing of its path is left",
                    };
                    let mut fields = Map::new();
                    names::put(&mut fields, "path", &path);
                    fields.insert("message".to_owned(), why.into());
                    output.object("skipped", fields)?;
                }
                Ok(())
            }
            RestoreEvent::Problem { path, error } => {
                let is_kept =
                    matches!(error.kind(), RestoreErrorKind::Incomplete { kept: true, .. });
                done.partial += u64::from(is_kept);
                done.is_hurt |= is_missing(&error);
                progress
                    .suspend(|| output.problem_with(&path, &explain(&error), missing_of(&error)))
            }
            RestoreEvent::Unlisted { error } => {
                progress.suspend(|| output.problem(name.as_bytes(), &chain(&error)))
            }
            RestoreEvent::Progress { bytes } => {
                progress.add(bytes);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(
        self,
        name: &str,
        report: &ExtractReport,
        damaged: bool,
        selection: &Selection,
    ) -> anyhow::Result<Exit> {
        let Self { output, progress, failed, done } = self;
        progress.finish();
        if signals::stopped() {
            anyhow::bail!("interrupted");
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(fault) = &report.stopped {
            output.problem(name.as_bytes(), &chain(fault))?;
        }
        let exit = report_unmatched(selection, output)?;
        if output.is_json() {
            let mut fields = Map::new();
            fields.insert("entries".to_owned(), done.entries.into());
            fields.insert("bytes".to_owned(), done.bytes.into());
            fields.insert("problems".to_owned(), output.problems().into());
            output.object("summary", fields)?;
        } else {
            output.note(&format!("{} entries, {}", done.entries, human(done.bytes)));
        }
        // What is damaged and gives nothing has been read all the same.
        match done.entries + done.partial {
            0 if report.stopped.is_some() && !damaged => Ok(Exit::Failed),
            _ => Ok(exit),
        }
    }
}

/// Whether it is the content that is at fault, and not where it is to go.
fn is_missing(error: &RestoreError) -> bool {
    use RestoreErrorKind::{Content, Dag, Incomplete, MissingBlock};
    matches!(error.kind(), Content(_) | Dag(_) | Incomplete { .. } | MissingBlock(_))
}

/// What is missing of an entry, for programs.
fn missing_of(error: &RestoreError) -> Map<String, Value> {
    match error.kind() {
        RestoreErrorKind::Incomplete { size, missing, unproved, kept } => {
            let mut fields = object(json!({
                "size": size,
                "missing": ranges(missing),
                "end_lost": size.is_none(),
                "kept": kept,
            }));
            if !unproved.is_empty() {
                fields.insert("unproved".to_owned(), ranges(unproved));
            }
            fields
        }
        _ => Map::new(),
    }
}

/// What failed. The entry's name and place in the stream stand in the line already, or in that of the pack.
fn explain(error: &RestoreError) -> String {
    match error.kind() {
        RestoreErrorKind::Content(content)
            if matches!(content.kind(), ErrorKind::Unfinished { .. }) =>
        {
            "not restored: the pack stops before the end of it".to_owned()
        }
        _ => chain(error),
    }
}
