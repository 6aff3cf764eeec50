//! `carstone repair`: mends a damaged pack without a key.

use anyhow::{Context, bail};
use carstone::pack::fs::FileId;
use carstone::stack::{self, HealReport, Healed, OpenOptions};
use serde_json::{Map, Value, json};

use crate::cli::RepairArgs;
use crate::exit::Exit;
use crate::input::explained;
use crate::keys::is_stdin;
use crate::names::{escaped, hex, human};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::{Bytes, Source, Watched};
use crate::target::Target;

/// Mends.
pub(crate) fn run(args: RepairArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let source = Source::open_damaged(&args.damaged)?.spooled()?;
    let name = source.name.clone();
    let Bytes::File(file) = source.bytes else { return Ok(Exit::Failed) };
    let path = args.output.as_deref().filter(|_| !args.dry_run);
    let target = path.map(|path| Target::create(path, args.force, output)).transpose()?;
    if let Some(target) = &target
        && target.identities().contains(&FileId::of(&file).context("cannot look at it")?)
    {
        bail!("{name}: is the damaged pack itself, which stays as it is; write to another file");
    }
    let size = file.metadata().ok().map(|metadata| metadata.len());
    let progress = Progress::new(output, "checking frames", size);
    let healed = stack::heal(Watched(file), &OpenOptions::default(), &mut |at| progress.at(at));
    progress.finish();
    signals::check()?;
    let healed = healed.map_err(explained).with_context(|| name.clone())?;
    if let (Some(target), Some(path)) = (target, path) {
        let to = match is_stdin(path) {
            true => "standard output".to_owned(),
            false => path.display().to_string(),
        };
        let progress = Progress::new(output, "writing", Some(healed.len()));
        let written = healed.copy_to(target.file(), &mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        written.with_context(|| format!("{to}: cannot write"))?;
        target.finish()?;
    }
    match output.is_json() {
        true => tell_programs(&healed, args.dry_run, output)?,
        false => tell_people(&escaped(name.as_bytes()), &healed, output)?,
    }
    Ok(Exit::found(!healed.report().is_original()))
}

fn tell_people<R: carstone::layer::ReadAt>(
    name: &str,
    healed: &Healed<R>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let report = healed.report();
    let mut lines = done(report);
    lines.extend(report.lost.iter().map(|gap| format!("lost: {gap}")));
    lines.extend(report.conflicts.iter().map(ToString::to_string));
    lines.push(outcome(report));
    for line in lines {
        output.told(&format!("{name}: {line}"))?;
    }
    let is_encrypted = healed.container().layers.get(carstone::layer::LayerId::ENCRYPTION);
    if !report.lost.is_empty() && is_encrypted.is_some() {
        output.note("With a key, `extract --salvage` restores all files that are left.");
    }
    Ok(())
}

/// What was mended, a line for each way.
fn done(report: &HealReport) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.corrections.is_empty() {
        let bits: u64 = report.corrections.iter().map(|found| u64::from(found.bits)).sum();
        let places = counted(report.corrections.len() as u64, "place");
        lines.push(format!("put right: {} in {places}", counted(bits, "bit")));
    }
    if !report.rebuilt.is_empty() {
        let parts = report.rebuilt.iter().take(SHOWN).map(|rebuilt| rebuilt.part.to_string());
        let mut text = parts.collect::<Vec<_>>().join(", ");
        let more = report.rebuilt.len().saturating_sub(SHOWN);
        if more > 0 {
            text = format!("{text}, and {more} more");
        }
        lines.push(format!("made again: {text}"));
    }
    if report.moved > 0 {
        lines.push(format!("put in order: {}", counted(report.moved, "frame")));
    }
    if report.repeated > 0 {
        lines.push(format!(
            "left out: {} that stood there twice",
            counted(report.repeated, "frame")
        ));
    }
    lines
}

fn outcome(report: &HealReport) -> String {
    if report.is_original() {
        let text = match report.is_unchanged {
            true => "nothing is wrong with its frames",
            false => "this is the original again, byte for byte",
        };
        return text.to_owned();
    }
    match (report.lost.is_empty(), lost_bytes(report)) {
        (true, _) => "nobody can say that this is the original".to_owned(),
        (false, Some(bytes)) => format!("{} lost; holes stand for them", human(bytes)),
        (false, None) => "the end is lost, and nobody knows how much that is".to_owned(),
    }
}

/// `None` where the end is missing.
fn lost_bytes(report: &HealReport) -> Option<u64> {
    report.lost.iter().map(|gap| gap.len).sum()
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn tell_programs<R: carstone::layer::ReadAt>(
    healed: &Healed<R>,
    is_dry: bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    let report = healed.report();
    for found in &report.corrections {
        let (layer, offset, bits) = (found.layer.to_string(), found.at, found.bits);
        let fields = json!({ "layer": layer, "offset": offset, "bits": bits });
        output.object("correction", object(fields))?;
    }
    for rebuilt in &report.rebuilt {
        let length = rebuilt.stored.end - rebuilt.stored.start;
        let part = rebuilt.part.to_string();
        let fields = json!({ "part": part, "offset": rebuilt.stored.start, "length": length });
        output.object("rebuilt", object(fields))?;
    }
    for gap in &report.lost {
        let stored = gap.stored.as_ref().map(|stored| [stored.start, stored.end]);
        let fields = json!({
            "layer": gap.layer.to_string(),
            "offset": gap.at,
            "length": gap.len,
            "stored": stored,
            "message": gap.to_string(),
        });
        output.object("finding", object(fields))?;
    }
    for conflict in &report.conflicts {
        let fields = json!({ "layer": "raw", "message": conflict.to_string() });
        output.object("finding", object(fields))?;
    }
    let fields = json!({
        "original": report.is_original(),
        "unchanged": report.is_unchanged,
        "dry_run": is_dry,
        "pack_id": hex(healed.container().pack_id.as_bytes()),
        "stored": healed.len(),
        "lost": lost_bytes(report),
        "moved": report.moved,
        "repeated": report.repeated,
    });
    output.object("summary", object(fields))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Parts that are named one by one.
const SHOWN: usize = 8;
