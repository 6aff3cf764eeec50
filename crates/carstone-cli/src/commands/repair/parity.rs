//! Restores a file by its parity.

use std::fs::File;
use std::io::Seek;
use std::ops::Range;

use anyhow::{Context, bail};
use carstone::layer::{ReadAt, read_full};
use carstone::parity::{self, ErrorKind, Healed, Section, Survey, WriteAt};
use carstone::stack::Format;
use serde_json::{Map, Value, json};

use super::out::Out;
use crate::cli::RepairArgs;
use crate::input::{chain, options};
use crate::losses::object;
use crate::names::{counted, escaped, human};
use crate::output::Output;
use crate::parity::{Held, Spot, State, is_intact_pack, threads};
use crate::progress::Progress;
use crate::signals;
use crate::source::{Source, Watched};
use crate::target::Target;

/// A file, and where its parity may be.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) args: &'a RepairArgs,
    pub(super) file: &'a File,
}

/// What came of it.
pub(super) enum Attempt {
    /// Nothing: it goes on as if there were no parity.
    Nothing,
    /// The output is whole, or would be.
    Whole(Whole),
    /// Not all could be restored: it goes on with this.
    Rest(File),
    /// Not all could be restored, and it is no pack.
    Lost,
}

/// What came of one parity.
enum Tried {
    Done(Attempt),
    /// It can restore a part.
    Over(Box<(Held, Survey)>),
    /// It is not that of what is left.
    Other,
}

/// What is told in the end of an output that is whole.
pub(super) struct Whole {
    lines: Vec<String>,
    fields: Map<String, Value>,
}

impl Whole {
    /// Tells it.
    pub(super) fn tell(self, name: &str, output: &mut Output) -> anyhow::Result<()> {
        if output.is_json() {
            return output.object("summary", self.fields);
        }
        let name = escaped(name.as_bytes());
        self.lines.iter().try_for_each(|line| output.told(&format!("{name}: {line}")))
    }
}

impl Job<'_> {
    /// Tries one after the other. With a target that is a file of its own, it is written there.
    pub(super) fn run(
        &self,
        spots: Vec<Spot>,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Attempt> {
        let mut over = None;
        for spot in spots {
            match self.attempt(spot, target, output)? {
                Tried::Done(attempt) => return Ok(attempt),
                Tried::Over(found) => over = over.or(Some(found)),
                Tried::Other => {}
            }
        }
        match over {
            Some(found) => self.part(&found.0, &found.1, output),
            None => Ok(Attempt::Nothing),
        }
    }

    fn attempt(
        &self,
        spot: Spot,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Tried> {
        let threads = threads(self.args.threads);
        parity::prepare();
        let held = match spot.open(self.file, threads) {
            Ok(held) => held,
            Err((spot, error)) => {
                signals::check()?;
                let text = format!("{}: {}", spot.called(), chain(&error));
                if spot.is_given() || matches!(error.kind(), ErrorKind::Io(_)) {
                    bail!("{text}");
                }
                output.note(&format!("{}: {text}", self.name));
                return Ok(Tried::Other);
            }
        };
        let state = held.examine(threads, output).with_context(|| self.name.to_owned())?;
        let is_other = matches!(state, State::Damaged(_))
            && is_intact_pack(self.file, &options(self.args.threads), output);
        signals::check()?;
        // Frames that were found may be content of a file in the pack, about which nobody wants to hear.
        if output.is_json() && !(held.spot.is_guessed() && matches!(state, State::Foreign(_))) {
            output.object("parity", held.fields(&state, is_other))?;
        }
        match state {
            State::Sound => self.sound(&held, target, output).map(Tried::Done),
            State::Foreign(error) => self.dismiss(&held, &chain(&error), output),
            State::Damaged(_) if is_other => self.dismiss(&held, OTHER, output),
            State::Damaged(survey) => self.heal(held, survey, target, output),
        }
    }

    /// An error about parity that was named, and else a note.
    fn dismiss(&self, held: &Held, why: &str, output: &mut Output) -> anyhow::Result<Tried> {
        let text = format!("{}: {} is not used: {why}", self.name, held.spot.called());
        if held.spot.is_given() {
            bail!("{text}");
        }
        if !held.spot.is_guessed() {
            output.note(&text);
        }
        Ok(Tried::Other)
    }

    /// What is in a file, if it is a pack or a plain CAR, or holds frames of a pack.
    fn format(&self, file: File) -> Option<Format> {
        Source::sound_file(file, self.name).ok().map(|source| source.format)
    }

    /// The file is what was protected.
    fn sound(
        &self,
        held: &Held,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Attempt> {
        let own = held.own_damage();
        let len = held.len();
        if let Spot::Behind(found) = &held.spot
            && (own.is_some() || !found.is_in_place())
        {
            let mut lines = vec!["the pack is as it was when it was protected".to_owned()];
            lines.extend(own);
            if let Some(target) = target {
                let out = Out::new(target)?;
                out.take(&Section::new(&held.stream, 0..len), output)?;
                self.restore(held, &out, output)?;
                out.finish(target, self.args)?;
            }
            return Ok(Attempt::Whole(self.whole(held, None, lines)));
        }
        if let Some(own) = own {
            output.note(&format!("{}: {own}; `carstone protect` makes it anew", self.name));
        }
        let again = self.file.try_clone().context("cannot open it again")?;
        if let Some(Format::Pack | Format::Car) = self.format(again) {
            output.note(&format!("{}: fits {}", self.name, held.spot.called()));
            return Ok(Attempt::Nothing);
        }
        if let Some(target) = target {
            let out = Out::new(target)?;
            out.take(&held.stream, output)?;
            out.finish(target, self.args)?;
        }
        let mut whole = self.whole(held, None, Vec::new());
        whole.lines = vec!["nothing is wrong with it".to_owned()];
        whole.fields.insert("unchanged".to_owned(), true.into());
        Ok(Attempt::Whole(whole))
    }

    /// Restores all of it, if that can be done.
    fn heal(
        &self,
        held: Held,
        survey: Survey,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Tried> {
        if !survey.can_heal() {
            return Ok(Tried::Over(Box::new((held, survey))));
        }
        if let Some(target) = target {
            let out = Out::new(target)?;
            let healed = self.healed(&held, &survey, &out, output)?;
            if !self.is_own(&held, &out)? {
                return self.dismiss(&held, "it is of another pack", output);
            }
            if !healed.whole {
                return Ok(Tried::Over(Box::new((held, survey))));
            }
            self.restore(&held, &out, output)?;
            out.finish(target, self.args)?;
        }
        Ok(Tried::Done(Attempt::Whole(self.whole(&held, Some(&survey), Vec::new()))))
    }

    /// Puts together what is left and what can be restored.
    fn part(&self, held: &Held, survey: &Survey, output: &mut Output) -> anyhow::Result<Attempt> {
        let out = Out::temporary()?;
        let healed = self.healed(held, survey, &out, output)?;
        if !self.is_own(held, &out)? {
            self.dismiss(held, "it is of another pack", output)?;
            return Ok(Attempt::Nothing);
        }
        let again = out.0.0.try_clone().context("cannot open it again")?;
        let is_pack = self.format(again).is_some();
        self.tell_lost(held, survey, &healed.lost, is_pack, output)?;
        if !is_pack {
            return Ok(Attempt::Lost);
        }
        if survey.counts().moved == 0 {
            // What is left in a lost cell may be all that a frame needs.
            healed.lost.iter().try_for_each(|range| self.fill(held, &out, range))?;
        }
        let mut rest = out.0.0;
        rest.rewind().context("cannot read it again")?;
        Ok(Attempt::Rest(rest))
    }

    fn healed(
        &self,
        held: &Held,
        survey: &Survey,
        out: &Out,
        output: &Output,
    ) -> anyhow::Result<Healed> {
        let progress = Progress::new(output, "healing", Some(held.len()));
        let (threads, hear) = (threads(self.args.threads), |n| progress.add(n));
        let healed = parity::heal(&held.stream, &held.parity, survey, &out.0, threads, &hear);
        progress.finish();
        signals::check()?;
        healed.with_context(|| format!("{}: cannot be healed", self.name))
    }

    /// Whether what was healed is the pack at hand, if that is one.
    fn is_own(&self, held: &Held, out: &Out) -> anyhow::Result<bool> {
        held.is_own(self.file, &out.0).with_context(|| self.name.to_owned())
    }

    /// Takes bytes as they stand in the damaged file.
    fn fill(&self, held: &Held, out: &Out, range: &Range<u64>) -> anyhow::Result<()> {
        let (mut at, mut buf) = (range.start, vec![0; COPY]);
        while at < range.end {
            let room = usize::try_from(range.end - at).unwrap_or(COPY).min(COPY);
            let read = read_full(&held.stream, &mut buf[..room], at)
                .with_context(|| format!("{}: cannot read at byte {at}", self.name))?;
            if read == 0 {
                break;
            }
            out.0.write_all_at(&buf[..read], at).context("cannot write a temporary file")?;
            at += read as u64;
        }
        Ok(())
    }

    /// Makes the parity behind a pack again.
    fn restore(&self, held: &Held, out: &Out, output: &mut Output) -> anyhow::Result<()> {
        let Spot::Behind(found) = &held.spot else { return Ok(()) };
        let made = held.parity.descriptor();
        let progress = Progress::new(output, "making parity", Some(held.len() * 2));
        let (threads, hear) = (threads(self.args.threads), |n| progress.add(n));
        let end = found.restore(&Watched(self.file), &out.0, made, threads, &hear);
        progress.finish();
        signals::check()?;
        let end = end.context("cannot make its parity again")?;
        let behind = self.file.size()?.saturating_sub(end);
        if !found.is_in_place() && behind > 0 {
            output.note(&format!("{}: left out: {} at its end", self.name, human(behind)));
        }
        Ok(())
    }

    fn whole(&self, held: &Held, survey: Option<&Survey>, mut lines: Vec<String>) -> Whole {
        let is_dry = self.args.dry_run;
        if let Some(survey) = survey {
            lines.extend(held.damage(survey));
            lines.extend(held.own_damage());
            let (used, called) = (survey.used() * 100.0, held.spot.called());
            lines.push(format!("{used:.1} % of what {called} can restore was needed"));
        }
        let outcome = match is_dry {
            true => "this can be made the original again, byte for byte",
            false => "this is the original again, byte for byte",
        };
        lines.push(outcome.to_owned());
        let fields = object(json!({
            "original": true,
            "rebuilt": false,
            "unchanged": false,
            "dry_run": is_dry,
            "by_parity": true,
            "stored": held.len(),
            "lost": 0,
        }));
        Whole { lines, fields }
    }

    /// Says how far it is over the budget.
    fn tell_lost(
        &self,
        held: &Held,
        survey: &Survey,
        lost: &[Range<u64>],
        is_pack: bool,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
        if output.is_json() {
            let ranges: Vec<[u64; 2]> =
                lost.iter().take(MOST_RANGES).map(|range| [range.start, range.end]).collect();
            let fields = json!({
                "lost": bytes, "ranges": ranges, "all_ranges": lost.len(), "over": survey.over_budget(),
            });
            output.object("over_budget", object(fields))?;
            let fields = json!({ "original": false, "rebuilt": false, "by_parity": true, "stored": null, "lost": bytes });
            return match is_pack {
                true => Ok(()),
                false => output.object("summary", object(fields)),
            };
        }
        let (name, called) = (escaped(self.name.as_bytes()), held.spot.called());
        for line in held.damage(survey) {
            output.told(&format!("{name}: {line}"))?;
        }
        let over = counted(survey.over_budget(), "cell");
        let text = match lost.is_empty() {
            true => format!("what {called} gives back is not what was protected"),
            false => format!(
                "{:.1} % of what {called} can restore would be needed: {over} ({}) cannot be restored",
                survey.used() * 100.0,
                human(bytes)
            ),
        };
        output.told(&format!("{name}: {text}"))?;
        if is_pack {
            return Ok(());
        }
        for range in lost.iter().take(SHOWN) {
            output.told(&format!("{name}: lost: bytes {}–{}", range.start, range.end - 1))?;
        }
        if lost.len() > SHOWN {
            output.told(&format!("{name}: lost: {} more ranges", lost.len() - SHOWN))?;
        }
        output.told(&format!("{name}: it is no pack, and nothing is written"))
    }
}

const OTHER: &str =
    "it is of another state of the pack, whose frames, header and trailer are all sound";
const COPY: usize = 1 << 20;
/// Ranges that are named one by one.
const SHOWN: usize = 8;
const MOST_RANGES: usize = 10_000;
