//! Restores a file by its parity.

use std::fs::File;
use std::io::Seek;

use anyhow::{Context, bail};
use carstone::layer::ReadAt;
use carstone::parity::{Error, ErrorKind, Healed, Section, Survey};
use carstone::stack::Format;
use serde_json::{Map, Value, json};

use super::out::Out;
use super::over::Over;
use crate::cli::RepairArgs;
use crate::input::{chain, options};
use crate::losses::object;
use crate::names::{counted, escaped, human};
use crate::output::Output;
use crate::parity::{Held, Spot, State, Whose, has_end_of_pack, is_intact_pack, threads};
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
    /// Not all could be restored: it goes on with this, or with the file as it is.
    Rest(File),
    /// Not all could be restored, and it is no pack. What could be is in the target.
    Lost,
    /// So little is left of what is no pack that nothing was restored.
    TooLittle,
}

/// What came of one parity.
enum Tried {
    Done(Attempt),
    /// It can restore a part.
    Over(Box<(Held, Survey)>),
    /// Too little is left of what it protects, which is no pack.
    Little(Box<(Held, Error)>),
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
        let (mut over, mut little) = (None, None);
        for spot in spots {
            match self.attempt(spot, target, output)? {
                Tried::Done(attempt) => return Ok(attempt),
                Tried::Over(found) => over = over.or(Some(found)),
                Tried::Little(found) => little = little.or(Some(found)),
                Tried::Other => {}
            }
        }
        if let Some(found) = over {
            let (held, survey) = *found;
            return self.part(&held, survey, target, output);
        }
        let Some(found) = little else { return Ok(Attempt::Nothing) };
        let over = Over { name: self.name, args: self.args, held: &found.0 };
        over.tell_little(&found.1, output)?;
        Ok(Attempt::TooLittle)
    }

    fn attempt(
        &self,
        spot: Spot,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Tried> {
        let threads = threads(self.args.threads);
        carstone::parity::prepare();
        let held = match spot.open(self.file, threads)? {
            Ok(held) => held,
            Err(useless) => {
                let text = format!("{}: {}", self.name, useless.why);
                match useless.is_unread {
                    true => output.warn(&text)?,
                    false => output.note(&text),
                }
                return Ok(Tried::Other);
            }
        };
        let state = held.examine(threads, output, false).with_context(|| self.name.to_owned())?;
        let is_other = matches!(state, State::Damaged(_))
            && is_intact_pack(self.file, &options(self.args.threads), output);
        signals::check()?;
        // Frames that were found may be content of a file in the pack, about which nobody wants to hear.
        if output.is_json() && !(held.spot.is_guessed() && matches!(state, State::Foreign(_))) {
            output.object("parity", held.fields(&state, is_other))?;
        }
        match state {
            State::Sound => self.sound(&held, target, output).map(Tried::Done),
            State::Foreign(error) if self.is_little(&held, &error)? => {
                Ok(Tried::Little(Box::new((held, error))))
            }
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
        mut survey: Survey,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Tried> {
        if !survey.can_heal() {
            return Ok(Tried::Over(Box::new((held, survey))));
        }
        let out = match target {
            Some(target) => Some(Out::new(target)?),
            // What nobody can promise is tried.
            None if !self.is_sure(&held, &survey)? => Some(Out::temporary()?),
            None => None,
        };
        let mut healed = None;
        if let Some(out) = &out {
            let made = self.healed(&held, &mut survey, out, output)?;
            if let Some(why) = self.other(&held, out, output)? {
                return self.dismiss(&held, why, output);
            }
            if !made.whole {
                return Ok(Tried::Over(Box::new((held, survey))));
            }
            healed = Some(made);
        }
        if let (Some(target), Some(out)) = (target, &out) {
            self.restore(&held, out, output)?;
            out.finish(target, self.args)?;
        }
        Ok(Tried::Done(Attempt::Whole(self.whole(
            &held,
            Some((&survey, healed.as_ref())),
            Vec::new(),
        ))))
    }

    /// Whether it can be promised, without trying, that what is protected can be restored, and that this is the pack at hand.
    fn is_sure(&self, held: &Held, survey: &Survey) -> anyhow::Result<bool> {
        let may_be_older = held.spot.path().is_some() && has_end_of_pack(self.file)?;
        Ok(!may_be_older && survey.can_surely_heal())
    }

    /// Puts together what is left and what can be restored.
    fn part(
        &self,
        held: &Held,
        mut survey: Survey,
        target: Option<&Target>,
        output: &mut Output,
    ) -> anyhow::Result<Attempt> {
        let out = Out::temporary()?;
        let healed = self.healed(held, &mut survey, &out, output)?;
        if let Some(why) = self.other(held, &out, output)? {
            self.dismiss(held, why, output)?;
            return Ok(Attempt::Nothing);
        }
        if healed.whole {
            if let Some(target) = target {
                let to = Out::new(target)?;
                to.take(&out.0, output)?;
                self.restore(held, &to, output)?;
                to.finish(target, self.args)?;
            }
            let whole = self.whole(held, Some((&survey, Some(&healed))), Vec::new());
            return Ok(Attempt::Whole(whole));
        }
        let again = out.0.0.try_clone().context("cannot open it again")?;
        let is_pack = self.format(again).is_some();
        let over = Over { name: self.name, args: self.args, held };
        over.tell(&survey, &healed.lost, is_pack, output)?;
        if !is_pack {
            if let Some(target) = target {
                let to = Out::new(target)?;
                to.take(&out.0, output)?;
                to.finish(target, self.args)?;
            }
            return Ok(Attempt::Lost);
        }
        // What is left in a lost cell may be all that a frame needs.
        healed.lost.iter().try_for_each(|range| self.fill(held, &survey, &out, range))?;
        let mut rest = out.0.0;
        rest.rewind().context("cannot read it again")?;
        Ok(Attempt::Rest(rest))
    }

    fn healed(
        &self,
        held: &Held,
        survey: &mut Survey,
        out: &Out,
        output: &Output,
    ) -> anyhow::Result<Healed> {
        let healed = held.heal(survey, &out.0, threads(self.args.threads), output);
        healed.with_context(|| format!("{}: cannot be healed", self.name))
    }

    /// Why what was healed is not the pack at hand; `None` if it may be, or is no pack. Parity that was named restores what it protects, whoever can read that.
    fn other(
        &self,
        held: &Held,
        out: &Out,
        output: &mut Output,
    ) -> anyhow::Result<Option<&'static str>> {
        let whose = held.whose(self.file, &out.0.0, &options(self.args.threads));
        match whose.with_context(|| self.name.to_owned())? {
            Whose::Own => Ok(None),
            Whose::OtherPack => Ok(Some("it is of another pack")),
            Whose::OtherReaders if held.spot.is_given() => {
                let called = held.spot.called();
                output.warn(&format!("{}: {called} is of the pack as it was before it was given to other readers, and so is what it restores", self.name))?;
                Ok(None)
            }
            Whose::OtherReaders => Ok(Some(
                "it is of the pack as it was before it was given to other readers; --parity-file restores that one",
            )),
        }
    }

    /// Whether parity that cannot restore anything is all that is known of a file, which is no pack, and is not clearly that of another one.
    fn is_little(&self, held: &Held, error: &Error) -> anyhow::Result<bool> {
        let is_some_left = matches!(error.kind(), ErrorKind::Foreign { found, .. } if *found > 0);
        let again = self.file.try_clone().context("cannot open it again")?;
        Ok(is_some_left && held.spot.path().is_some() && self.format(again).is_none())
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

    fn whole(
        &self,
        held: &Held,
        what: Option<(&Survey, Option<&Healed>)>,
        mut lines: Vec<String>,
    ) -> Whole {
        let is_dry = self.args.dry_run;
        let mut restored = None;
        if let Some((survey, healed)) = what {
            lines.extend(held.damage(survey));
            restored = healed.map(|healed| healed.restored);
            let unseen = restored.unwrap_or(0).saturating_sub(survey.counts().missing);
            if unseen > 0 {
                let cells = counted(unseen, "cell");
                lines.push(format!("{cells} more restored, which the table does not tell"));
            }
            lines.extend(held.own_damage());
            let called = held.spot.called();
            lines.push(match healed.map_or(survey.used(), Healed::used) {
                used if used > 1.0 => format!("what {called} could not restore was zeros"),
                used => format!("{:.1} % of what {called} can restore was needed", used * 100.0),
            });
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
            "restored_cells": restored,
        }));
        Whole { lines, fields }
    }
}

const OTHER: &str =
    "it is of another state of the pack, whose frames, header and trailer are all sound";
