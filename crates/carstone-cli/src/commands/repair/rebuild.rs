//! A clean pack of what is left.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use carstone::layer::ReadAt;
use carstone::repair::{Hit, RebuildOptions};
use carstone::stack::{Error, ErrorKind, Healed, OpenOptions, Rebuild, RebuiltPack};
use serde_json::json;

use super::{done, parts_for_programs, target_name};
use crate::cli::RepairArgs;
use crate::exit::Exit;
use crate::input::{chain, explained};
use crate::keys::Keys;
use crate::losses::{self, object};
use crate::names::{escaped, hex, human};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::target::{Counted, Target};

/// What is rebuilt, and how.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) args: &'a RepairArgs,
    pub(super) keys: &'a Keys,
    pub(super) options: &'a OpenOptions,
}

/// What came of it.
struct Outcome<'a> {
    /// Not with a dry run: the new pack, and its bytes.
    pack: Option<(RebuiltPack, u64)>,
    left_out: Vec<&'a Hit>,
}

impl Job<'_> {
    /// Reads all that is left; `None` where nothing is missing, and nothing needs to be made anew, and where the key file
    /// of the environment does not open the pack.
    pub(super) fn survey<R: ReadAt + Send + Sync>(
        &self,
        source: Arc<R>,
        healed: Arc<Healed<Arc<R>>>,
        output: &Output,
    ) -> anyhow::Result<Option<Rebuild<R>>> {
        let settings = RebuildOptions::default().keep_partial(self.args.keep_partial);
        let progress = Progress::new(output, "reading what is left", None);
        let (keys, mut hear) = (self.keys.source(), |at| progress.at(at));
        let rebuild = Rebuild::survey(source, healed, keys, self.options, &settings, &mut hear);
        progress.finish();
        signals::check()?;
        if self.keys.has_failed() && rebuild.as_ref().is_err_and(Error::is_about_keys) {
            return Ok(None); // As without a key.
        }
        let rebuild = rebuild.map_err(explained).with_context(|| self.name.to_owned())?;
        Ok(Some(rebuild).filter(|rebuild| !rebuild.report().is_whole()))
    }

    /// Writes the new pack, and tells what is in it and what is not.
    pub(super) fn run<R: ReadAt + Send + Sync>(
        &self,
        rebuild: &Rebuild<R>,
        healed: &Healed<Arc<R>>,
        target: Option<Target>,
        output: &mut Output,
    ) -> anyhow::Result<Exit> {
        let report = rebuild.report();
        let is_kept = |hit: &Hit| rebuild.kept_as(hit.id).is_some();
        if report.whole == 0 && !report.hit.iter().any(is_kept) {
            bail!("{}: no entry is whole; --holes keeps the frames that are sound", self.name);
        }
        let pack = target.map(|target| self.write(rebuild, target, output)).transpose()?;
        let late = pack.iter().flat_map(|(pack, _)| &pack.written.left_out);
        let left_out = report.hit.iter().chain(late).collect();
        let outcome = Outcome { pack: pack.clone(), left_out };
        match output.is_json() {
            true => self.tell_programs(rebuild, healed, &outcome, output)?,
            false => self.tell_people(rebuild, healed, &outcome, output)?,
        }
        Ok(Exit::Found)
    }

    fn write<R: ReadAt + Send + Sync>(
        &self,
        rebuild: &Rebuild<R>,
        target: Target,
        output: &Output,
    ) -> anyhow::Result<(RebuiltPack, u64)> {
        let progress = Progress::new(output, "writing", Some(rebuild.report().whole_bytes));
        let sink = Counted { inner: target.file(), count: 0 };
        let written = rebuild.write(sink, &mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        let (sink, pack) = written.map_err(|error| match error.kind() {
            ErrorKind::Write(_) => {
                anyhow!("{}: {}", target_name(self.args.output.as_deref()), chain(&error))
            }
            _ => explained(error).context(self.name.to_owned()),
        })?;
        let count = sink.count;
        target.finish()?;
        Ok((pack, count))
    }

    fn tell_people<R: ReadAt + Send + Sync>(
        &self,
        rebuild: &Rebuild<R>,
        healed: &Healed<Arc<R>>,
        outcome: &Outcome<'_>,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let (name, report) = (escaped(self.name.as_bytes()), rebuild.report());
        for line in done(healed.report()) {
            output.told(&format!("{name}: {line}"))?;
        }
        for (n, damage) in report.damage.iter().enumerate() {
            let line = losses::place_text(n as u64 + 1, damage);
            output.told(&format!("{name}: {line}"))?;
        }
        for hit in &outcome.left_out {
            output.told(&losses::hit_text(hit, rebuild.kept_as(hit.id)))?;
        }
        if report.nameless_blocks > 0 {
            let what = losses::nameless_text(report.nameless_blocks, report.nameless_bytes);
            output.told(&format!("{name}: {what}"))?;
        }
        let dropped = outcome.dropped(rebuild);
        let line = match &outcome.pack {
            Some((pack, stored)) => format!(
                "{}: a new pack of {} entries ({} of content, {} stored); {dropped} are left out",
                target_name(self.args.output.as_deref()),
                pack.written.entries,
                human(pack.written.bytes),
                human(*stored),
            ),
            None => format!(
                "{name}: {} entries are whole and would be kept; {dropped} would be left out",
                report.whole
            ),
        };
        output.told(&line)?;
        if outcome.left_out.iter().any(|hit| is_partial(hit) && rebuild.kept_as(hit.id).is_none()) {
            output.note("With --keep-partial, what is left of files with holes is kept too.");
        }
        Ok(())
    }

    fn tell_programs<R: ReadAt + Send + Sync>(
        &self,
        rebuild: &Rebuild<R>,
        healed: &Healed<Arc<R>>,
        outcome: &Outcome<'_>,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let report = rebuild.report();
        parts_for_programs(healed.report(), output)?;
        for (n, damage) in report.damage.iter().enumerate() {
            let (kind, fields) = losses::place_fields(n as u64 + 1, damage);
            output.object(kind, fields)?;
        }
        for hit in &outcome.left_out {
            output.object("damaged_entry", losses::hit_fields(hit, rebuild.kept_as(hit.id)))?;
        }
        let pack = outcome.pack.as_ref();
        let kept = outcome.left_out.iter().filter(|hit| rebuild.kept_as(hit.id).is_some());
        let fields = json!({
            "original": false,
            "rebuilt": true,
            "dry_run": self.args.dry_run,
            "damaged_pack_id": hex(healed.container().pack_id.as_bytes()),
            "pack_id": pack.map(|(pack, _)| hex(pack.pack_id.as_bytes())),
            "root": pack.map(|(pack, _)| pack.summary.root.to_string()),
            "stored": pack.map(|(_, stored)| *stored),
            "entries": pack.map_or(report.whole, |(pack, _)| pack.written.entries),
            "bytes": pack.map_or(report.whole_bytes, |(pack, _)| pack.written.bytes),
            "left_out": outcome.dropped(rebuild),
            "partial": kept.count(),
            "damage": report.places,
            "nameless_blocks": report.nameless_blocks,
            "nameless_bytes": report.nameless_bytes,
        });
        output.object("summary", object(fields))
    }
}

impl Outcome<'_> {
    /// Entries that are not in the new pack in any form.
    fn dropped<R: ReadAt + Send + Sync>(&self, rebuild: &Rebuild<R>) -> usize {
        self.left_out.iter().filter(|hit| rebuild.kept_as(hit.id).is_none()).count()
    }
}

fn is_partial(hit: &Hit) -> bool {
    matches!(hit.state, carstone::repair::State::Incomplete { .. })
}
