//! `carstone verify --against`: compares a pack with a directory.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use carstone::car::ReaderOptions;
use carstone::layer::default_threads;
use carstone::pack::Timestamp;
use carstone::pack::fs::{CompareOptions, Difference, DifferenceKind, compare_dag, compare_tree};
use carstone::stack::Format;
use serde_json::Map;

use crate::exit::Exit;
use crate::input::{PlainCar, chain, explained, open_strict};
use crate::keys::Keys;
use crate::names;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;

/// Compares the pack in `file` with `directory`.
pub(crate) fn run(
    file: File,
    format: Format,
    reading: ReaderOptions,
    keys: &Keys,
    directory: &Path,
    threads: Option<usize>,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let progress = Progress::new(output, "comparing", None);
    let mut failed = None;
    let mut tell = |difference: Difference| {
        if signals::stopped() {
            return;
        }
        if let Err(error) = progress.suspend(|| print(&difference, output)) {
            failed.get_or_insert(error);
        }
    };
    let place = || directory.display().to_string();
    let report = match format {
        Format::Car => {
            let car = PlainCar::with_files(file, reading)?;
            compare_dag(&car, car.roots(), None, directory, &mut tell).with_context(place)?
        }
        _ => {
            let pack = open_strict(file, keys, threads).map_err(explained)?;
            let options =
                CompareOptions::default().threads(threads.unwrap_or_else(default_threads));
            compare_tree(&pack.reader, directory, &options, &mut tell).with_context(place)?
        }
    };
    progress.finish();
    signals::check()?;
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(fault) = &report.stopped {
        anyhow::bail!("{}", chain(fault));
    }
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("entries".to_owned(), report.entries.into());
        fields.insert("bytes".to_owned(), report.bytes.into());
        fields.insert("differences".to_owned(), report.differences.into());
        output.object("summary", fields)?;
    } else if report.differences == 0 {
        let text = format!("identical: {} entries, {}", report.entries, names::human(report.bytes));
        output.line(text.as_bytes())?;
    }
    Ok(Exit::found(report.differences > 0))
}

fn print(difference: &Difference, output: &mut Output) -> anyhow::Result<()> {
    let (what, text) = describe(&difference.kind);
    if output.is_json() {
        let mut fields = Map::new();
        names::put(&mut fields, "path", &difference.path);
        fields.insert("what".to_owned(), what.into());
        fields.insert("message".to_owned(), text.into());
        return output.object("difference", fields);
    }
    output.line(format!("{}: {text}", names::shown(&difference.path)).as_bytes())
}

/// One word for programs, and a text for people.
fn describe(kind: &DifferenceKind) -> (&'static str, String) {
    match kind {
        DifferenceKind::Missing => ("missing", "missing in the directory".to_owned()),
        DifferenceKind::Extra => ("extra", "not in the pack".to_owned()),
        DifferenceKind::Kind { expected } => ("kind", format!("is no {expected}")),
        DifferenceKind::Size { expected, found } => {
            ("size", format!("has {found} bytes instead of {expected}"))
        }
        DifferenceKind::Content => ("content", "has other content".to_owned()),
        DifferenceKind::Mode { expected, found } => {
            ("mode", format!("has mode {found:04o} instead of {expected:04o}"))
        }
        DifferenceKind::Mtime { expected, found } => {
            ("mtime", format!("was modified at {} instead of {}", time(found), time(expected)))
        }
        DifferenceKind::Target { expected, found } => {
            let (expected, found) = (names::escaped(expected), names::escaped(found));
            ("target", format!("points to {found} instead of {expected}"))
        }
        DifferenceKind::Xattrs => ("xattrs", "has other extended attributes".to_owned()),
        DifferenceKind::HardLink { original } => {
            ("hardlink", format!("is not another name of {}", names::escaped(original)))
        }
        DifferenceKind::Unreadable(error) => ("unreadable", chain(error)),
        DifferenceKind::Source(error) => ("source", format!("in the pack: {}", chain(error))),
        _ => ("other", "differs".to_owned()),
    }
}

fn time(time: &Timestamp) -> String {
    crate::rows::time(*time)
}
