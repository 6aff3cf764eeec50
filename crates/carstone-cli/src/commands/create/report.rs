//! What is told while files are packed, and in the end.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use carstone::pack::fs::{SkipReason, TreeSummary, WalkEvent};
use carstone::pack::{Problem, ProblemKind, Summary};
use serde_json::{Map, Value};

use crate::names::human;
use crate::output::Output;
use crate::parity::Made;
use crate::progress::Progress;

/// Tells of an event, if it is worth it.
pub(crate) fn tell(
    event: WalkEvent<'_>,
    output: &mut Output,
    progress: &Progress,
) -> anyhow::Result<()> {
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

/// How much of what there is, as fields.
pub(super) fn counts(told: &TreeSummary, bytes: u64, fields: &mut Map<String, Value>) {
    for (key, count) in [
        ("files", told.files),
        ("directories", told.directories),
        ("symlinks", told.symlinks),
        ("hard_links", told.hard_links),
        ("bytes", bytes),
    ] {
        fields.insert(key.to_owned(), count.into());
    }
}

/// Tells what was packed, and the root behind these words, if it is shown.
pub(super) fn summary(
    told: &TreeSummary,
    summary: &Summary,
    (stored, parity): (u64, Option<&Made>),
    root: Option<&'static str>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let ratio = summary.size as f64 / stored.max(1) as f64;
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("root".to_owned(), summary.root.to_string().into());
        counts(told, summary.size, &mut fields);
        fields.insert("stored".to_owned(), stored.into());
        fields.insert("ratio".to_owned(), ratio.into());
        fields.insert("problems".to_owned(), output.problems().into());
        if let Some(parity) = parity {
            fields.insert("parity".to_owned(), parity.fields().into());
        }
        return output.object("summary", fields);
    }
    if let Some(before) = root {
        output.line(format!("{before}{}", summary.root).as_bytes())?;
        output.flush()?;
    }
    output.note(&format!(
        "{} files, {} in, {} out, ratio {ratio:.2}",
        told.files,
        human(summary.size),
        human(stored),
    ));
    if let Some(parity) = parity {
        output.note(&parity.text());
    }
    Ok(())
}
