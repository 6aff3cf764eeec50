//! `carstone repair`: restores a file by its parity, mends a damaged pack without a key, or makes a new one of what is left, and so of plain CARs.

mod car;
mod fill;
mod out;
mod over;
mod parity;
mod rebuild;
mod rest;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use carstone::layer::LayerId;
use carstone::pack::fs::FileId;
use carstone::stack::{self, Conflict, HealReport, Healed, OpenOptions};
use serde_json::json;

use crate::cli::RepairArgs;
use crate::exit::Exit;
use crate::input::{explained, io_chain, options};
use crate::keys::{IDENTITY, Keys, is_for_others, is_stdin};
use crate::losses::{self, object};
use crate::names::{counted, escaped, hex, human};
use crate::output::Output;
use crate::parity::{Spot, spots};
use crate::progress::Progress;
use crate::signals;
use crate::source::{Bytes, Source, Watched, any_file};
use crate::target::Target;
use parity::Attempt;

/// Restores it by parity, mends it, or makes a new pack of what is left.
pub(crate) fn run(args: RepairArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::optional(&args.keys, &args.damaged)?;
    let (file, name) = opened(&args)?;
    let spots = spots(&args.parity, &args.damaged, &file)?;
    let job = Job { name: &name, args: &args, keys: &keys };
    if spots.is_empty() {
        return job.mend(file, output);
    }
    let target = job.target(&file, &spots, output)?;
    let by_parity = parity::Job { name: &name, args: &args, file: &file };
    match by_parity.run(spots, target.as_ref(), output)? {
        Attempt::Whole(whole) => {
            target.map(Target::finish).transpose()?;
            whole.tell(&name, output)?;
            Ok(Exit::Intact)
        }
        Attempt::Lost => {
            target.map(Target::finish).transpose()?;
            Ok(Exit::Found)
        }
        Attempt::TooLittle => Ok(Exit::Found),
        Attempt::Nothing => {
            drop(target);
            job.mend(file, output)
        }
        Attempt::Rest(rest) => {
            drop(target);
            if job.is_better_as_it_is(&file, &rest, output)? {
                output.note(&format!(
                    "{name}: goes on with the file as it is, of which more is left"
                ));
                return job.mend(file, output);
            }
            output.note(&format!("{name}: goes on with what could be restored"));
            match job.mend(rest, output)? {
                Exit::Intact => Ok(Exit::Found),
                exit => Ok(exit),
            }
        }
    }
}

/// What is damaged, and its name: with parity it may be anything.
fn opened(args: &RepairArgs) -> anyhow::Result<(File, String)> {
    if is_stdin(&args.damaged) && args.parity.parity_file.is_none() {
        let source = Source::open_damaged(&args.damaged)?.spooled()?;
        if let Bytes::File(file) = source.bytes {
            return Ok((file, source.name));
        }
    }
    any_file(&args.damaged)
}

/// What is repaired, and how.
struct Job<'a> {
    name: &'a str,
    args: &'a RepairArgs,
    keys: &'a Keys,
}

impl Job<'_> {
    /// Where it goes, if that is nothing that is read; nowhere with a dry run.
    fn target(
        &self,
        file: &File,
        spots: &[Spot],
        output: &mut Output,
    ) -> anyhow::Result<Option<Target>> {
        let name = self.name;
        let path = self.args.output.as_deref().filter(|_| !self.args.dry_run);
        let Some(path) = path else { return Ok(None) };
        let target = Target::create(path, self.args.force, output)?;
        let written = target.identities();
        if written.contains(&FileId::of(file).context("cannot look at it")?) {
            bail!(
                "{name}: is the damaged pack itself, which stays as it is; write to another file"
            );
        }
        let sidecars = spots.iter().filter_map(Spot::path);
        for path in sidecars {
            let id = path.metadata().ok().map(|metadata| FileId::from(&metadata));
            if id.is_some_and(|id| written.contains(&id)) {
                bail!(
                    "{}: is the parity, which stays as it is; write to another file",
                    path.display()
                );
            }
        }
        Ok(Some(target))
    }

    /// Repairs without parity.
    fn mend(&self, file: File, output: &mut Output) -> anyhow::Result<Exit> {
        let &Job { name, args, keys } = self;
        let source = Source::damaged_file(file, name)?;
        let is_car = source.is_car().with_context(|| name.to_owned())?;
        if is_car && (args.holes || args.keep_partial) {
            bail!("{name}: is a plain CAR: whole blocks are kept of it, and nothing else");
        }
        let Bytes::File(file) = source.bytes else { return Ok(Exit::Failed) };
        let target = self.target(&file, &[], output)?;
        if is_car {
            let job = car::Job { name, args };
            return job.run(file, target, output).with_context(|| name.to_owned());
        }
        let size = file.metadata().ok().map(|metadata| metadata.len());
        let options = options(args.threads);
        let source = Arc::new(Watched(file));
        let progress = Progress::new(output, "checking frames", size);
        let healed = stack::heal(Arc::clone(&source), &options, &mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        let healed = Arc::new(healed.map_err(explained).with_context(|| name.to_owned())?);
        let is_encrypted = healed.container().layers.get(LayerId::ENCRYPTION).is_some();
        let is_readable = !is_encrypted || !keys.is_empty();
        let is_rebuilt = is_readable && !args.holes && !healed.report().is_original();
        if is_encrypted {
            let is_asked = args.keys.passphrase.passphrase;
            tell_unfit(keys, &healed, is_rebuilt || is_asked, output)?;
        }
        if is_rebuilt {
            let job = rebuild::Job { name, args, keys, options: &options };
            if let Some(rebuild) = job.survey(source, Arc::clone(&healed), output)? {
                return job.run(&rebuild, &healed, target, output);
            }
        }
        if let Some(target) = target {
            let to = target_name(args.output.as_deref());
            let progress = Progress::new(output, "writing", Some(healed.len()));
            let written = healed.copy_to(target.file(), &mut |at| progress.at(at));
            progress.finish();
            signals::check()?;
            written.with_context(|| format!("{to}: cannot write"))?;
            target.finish()?;
        }
        match output.is_json() {
            true => tell_programs(&healed, args.dry_run, output)?,
            false => tell_people(&escaped(name.as_bytes()), size, &healed, output)?,
        }
        if !healed.report().lost.is_empty() && (!is_readable || keys.has_failed()) {
            output.note(
                "With a key (-i FILE or -p), a clean pack of all entries that are left can be made.",
            );
        }
        Ok(Exit::found(!healed.report().is_original()))
    }
}

/// Says that a key does not open the pack where that would not be told otherwise. `is_tried` is whether the keys that were given are tried later, or
/// somebody would be asked.
fn tell_unfit(
    keys: &Keys,
    healed: &Arc<Healed<Arc<Watched<File>>>>,
    is_tried: bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    let stored = stack::inspect(Arc::clone(healed), &OpenOptions::default());
    // Where the layer header is lost, the keys are of no use.
    let Ok(Some(layer)) = stored.map(|stored| stored.encryption) else { return Ok(()) };
    if !keys.is_of_environment() {
        return match is_tried || keys.is_empty() {
            true => Ok(()),
            false => match keys.open(&layer.envelope) {
                Err(error) if is_for_others(&error) => {
                    let why = io_chain(&error);
                    output
                        .warn(&format!("no key was needed, and the one given is of no use: {why}"))
                }
                _ => Ok(()),
            },
        };
    }
    let _ = keys.open(&layer.envelope);
    match keys.failure() {
        Some(why) => {
            let done = "the pack is repaired as without a key";
            output.warn(&format!("{IDENTITY} does not open it, and {done}: {why}"))
        }
        None => Ok(()),
    }
}

/// How messages call the output.
fn target_name(path: Option<&Path>) -> String {
    match path {
        Some(path) if !is_stdin(path) => path.display().to_string(),
        _ => "standard output".to_owned(),
    }
}

fn tell_people<R: carstone::layer::ReadAt>(
    name: &str,
    size: Option<u64>,
    healed: &Healed<R>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let report = healed.report();
    let mut lines = done(report);
    let left_out = size.unwrap_or_default().saturating_sub(healed.len());
    // Frames that stood there twice are told already.
    if left_out > 0 && report.is_original() && report.repeated == 0 {
        lines.push(format!("left out: {}, nothing of this pack", human(left_out)));
    }
    lines.extend(report.lost.iter().map(|gap| format!("lost: {gap}")));
    lines.extend(report.conflicts.iter().map(ToString::to_string));
    lines.push(outcome(report));
    for line in lines {
        output.told(&format!("{name}: {line}"))?;
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

fn tell_programs<R: carstone::layer::ReadAt>(
    healed: &Healed<R>,
    is_dry: bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    let report = healed.report();
    parts_for_programs(report, output)?;
    for gap in &report.lost {
        output.object("finding", losses::lost_fields(gap))?;
    }
    for conflict in &report.conflicts {
        let layer = match conflict {
            Conflict::LayerHeaders { .. } => LayerId::ENCRYPTION,
            _ => LayerId::RAW,
        };
        let (layer, message) = (layer.to_string(), conflict.to_string());
        let fields = json!({ "layer": layer, "message": message });
        output.object("finding", object(fields))?;
    }
    let fields = json!({
        "original": report.is_original(),
        "rebuilt": false,
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

/// What was mended, a line for each.
fn parts_for_programs(report: &HealReport, output: &mut Output) -> anyhow::Result<()> {
    for found in &report.corrections {
        output.object("correction", losses::correction_fields(found))?;
    }
    for damage in &report.damage {
        let (at, length) = (damage.stored.start, damage.stored.end - damage.stored.start);
        let fields = json!({ "offset": at, "length": length, "cause": damage.cause.to_string() });
        output.object("damage", object(fields))?;
    }
    for rebuilt in &report.rebuilt {
        let length = rebuilt.stored.end - rebuilt.stored.start;
        let part = rebuilt.part.to_string();
        let fields = json!({ "part": part, "offset": rebuilt.stored.start, "length": length });
        output.object("rebuilt", object(fields))?;
    }
    Ok(())
}

/// Parts that are named one by one.
const SHOWN: usize = 8;
