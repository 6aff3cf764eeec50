//! `carstone hppr detach`, `collect` and `check`: keeping it in order.

use std::path::Path;

use anyhow::Context;
use carstone_hppr::{CheckOptions, Checked, Finding, Repository};
use serde_json::json;

use super::{count, counted, object};
use crate::cli::{HpprCheckArgs, HpprDetachArgs};
use crate::exit::Exit;
use crate::names::human;
use crate::output::Output;

/// Takes a packet out of the index.
pub(super) fn detach(
    repository: &Repository,
    args: &HpprDetachArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let was_attached = repository.detach(&args.hash).with_context(|| args.hash.to_string())?;
    if output.is_json() {
        let fields = json!({ "hash": args.hash.to_string(), "was_attached": was_attached });
        output.object("detached", object(fields))?;
    }
    if !was_attached {
        output.note(&format!("{}: was detached already", args.hash));
    }
    Ok(Exit::Intact)
}

/// Removes data that nothing has.
pub(super) fn collect(repo: &Path, output: &mut Output) -> anyhow::Result<Exit> {
    let (repository, progress) = counted(repo, false, "collecting", output)?;
    let done = repository.collect();
    progress.finish();
    let done = done?;
    if output.is_json() {
        let fields = json!({
            "blobs": done.blobs, "plexes": done.plexes, "seals": done.seals, "bytes": done.bytes,
            "kept": done.kept,
        });
        output.object("summary", object(fields))?;
    }
    output.note(&format!(
        "{}, {} and {} removed, {}",
        count(done.blobs, "Blob"),
        count(done.plexes, "Plex"),
        count(done.seals, "Seal"),
        human(done.bytes)
    ));
    Ok(Exit::Intact)
}

/// Looks for what is wrong.
pub(super) fn check(
    repo: &Path,
    args: &HpprCheckArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (repository, progress) = counted(repo, true, "checking", output)?;
    let mut told = Ok(());
    let mut tell = |finding: &Finding| {
        if told.is_ok() {
            told = progress.suspend(|| tell_finding(&repository, finding, None, output));
        }
    };
    let checked = repository.check(&CheckOptions::default().verify(!args.quick), &mut tell);
    progress.finish();
    let checked = checked?;
    told?;
    summary(&checked, output)?;
    Ok(Exit::found(checked.faults > 0))
}

/// The same, and puts right what can be.
pub(super) fn repair(
    repo: &Path,
    args: &HpprCheckArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (repository, progress) = counted(repo, false, "checking", output)?;
    let (mut told, mut left) = (Ok(()), 0);
    let mut tell = |finding: &Finding, is_mended: bool| {
        left += u64::from(finding.is_fault() && !is_mended);
        if told.is_ok() {
            let mut tell = || tell_finding(&repository, finding, Some(is_mended), output);
            told = progress.suspend(&mut tell);
        }
    };
    let checked = repository.repair(!args.quick, &mut tell);
    progress.finish();
    let checked = checked?;
    told?;
    summary(&checked, output)?;
    Ok(Exit::found(left > 0))
}

/// Tells a finding: a fault that is still there is a problem.
fn tell_finding(
    repository: &Repository,
    finding: &Finding,
    is_mended: Option<bool>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mended = is_mended == Some(true);
    if finding.is_fault() && !mended {
        let fields = object(json!({ "finding": finding.name() }));
        let place = repository.root().as_os_str().as_encoded_bytes();
        return output.problem_with(place, finding, fields);
    }
    if output.is_json() {
        let fields = json!({
            "finding": finding.name(), "what": finding.to_string(), "mended": mended,
        });
        return output.object("finding", object(fields));
    }
    output.note(&format!("{finding}{}", if mended { " (put right)" } else { "" }));
    Ok(())
}

fn summary(checked: &Checked, output: &mut Output) -> anyhow::Result<()> {
    if output.is_json() {
        let fields = json!({
            "packets": checked.packets, "entries": checked.entries, "faults": checked.faults,
            "notes": checked.notes, "mended": checked.mended,
        });
        return output.object("summary", object(fields));
    }
    let (packets, entries) = (count(checked.packets, "packet"), checked.entries);
    match checked.faults {
        0 => output.line(format!("sound: {packets}, {entries} in the index").as_bytes()),
        _ => Ok(()),
    }
}
