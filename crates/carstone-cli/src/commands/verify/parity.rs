//! What the parity of a file says of it.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use carstone::layer::LayerId;
use carstone::parity::Survey;
use carstone::raw::RawReader;
use carstone::stack::Format;

use super::Findings;
use crate::cli::{UseParityArgs, VerifyArgs};
use crate::exit::Exit;
use crate::input::chain;
use crate::names::{counted, escaped, human};
use crate::output::Output;
use crate::parity::{
    Healable, Held, Spot, State, has_end_of_pack, healable, spots, threads, used_text,
};
use crate::source::{Source, Watched, any_file};

/// Opens what is checked; `None` where it is no pack, and its parity has said all there is to say.
pub(super) fn opened(
    args: &VerifyArgs,
    output: &mut Output,
) -> anyhow::Result<Result<Source, Exit>> {
    let may_be_any = args.against.is_none() && args.signed.signer.is_none();
    // A pipe has no parity but that which was named.
    let is_any = may_be_any && (args.pack.is_file() || args.parity.parity_file.is_some());
    if !is_any {
        return Source::open(&args.pack).map(Ok);
    }
    let (file, name) = any_file(&args.pack)?;
    let again = || file.try_clone().context("cannot open it again");
    // Remains of packs in a file that is none are no matter of its.
    let is_other = !is_like_a_pack(&file).with_context(|| name.clone())?;
    if is_other && let Some(exit) = by_parity(args, (&file, &name), output)? {
        return Ok(Err(exit));
    }
    match Source::sound_file(again()?, &name) {
        Ok(source) => Ok(Ok(source)),
        Err(error) if !is_other => by_parity(args, (&file, &name), output)?.map(Err).ok_or(error),
        Err(error) => Err(error),
    }
}

/// Whether a file is a plain CAR, or has an end of a pack.
fn is_like_a_pack(file: &File) -> io::Result<bool> {
    if has_end_of_pack(file)? {
        return Ok(true);
    }
    let again = file.try_clone()?;
    let format = Source::sound_file(again, "").ok().map(|source| source.format);
    Ok(format == Some(Format::Car))
}

/// What its parity alone says of a file; `None` where there is none that is its own.
fn by_parity(
    args: &VerifyArgs,
    (file, name): (&File, &str),
    output: &mut Output,
) -> anyhow::Result<Option<Exit>> {
    let mut findings = Findings { name, output, count: 0 };
    let job = Job { args, file, format: None };
    let Some(text) = job.run(&mut findings)? else { return Ok(None) };
    let sound = findings.count == 0;
    if output.is_json() {
        let mut fields = serde_json::Map::new();
        fields.insert("sound".to_owned(), sound.into());
        output.object("summary", fields)?;
    } else if sound {
        output.line(format!("{}: {text}", escaped(name.as_bytes())).as_bytes())?;
    }
    Ok(Some(Exit::found(!sound)))
}

/// A file, and what it is.
pub(super) struct Job<'a> {
    pub(super) args: &'a VerifyArgs,
    pub(super) file: &'a File,
    /// Nothing that can be checked without parity, if none.
    pub(super) format: Option<Format>,
}

impl Job<'_> {
    /// Compares the file with its parity, and tells of both. Gives what is said of a sound one; `None` where there is no parity that is its own.
    pub(super) fn run(&self, findings: &mut Findings<'_>) -> anyhow::Result<Option<String>> {
        let (mut text, mut hopeless) = (None, None);
        for spot in spots(&self.args.parity, &self.args.pack, self.file)? {
            // What is as it was needs no parity of which nobody knows whose it is.
            if text.is_some() && spot.is_guessed() {
                continue;
            }
            match self.look(spot, text.is_some(), findings)? {
                Seen::Nothing => {}
                Seen::Told(told) => text = text.or(Some(told)),
                Seen::Damaged(found) if healable(&found.0, &found.1) == Healable::No => {
                    hopeless = hopeless.or(Some(found));
                }
                Seen::Damaged(found) => {
                    return self.damaged(&found.0, &found.1, findings).map(Some);
                }
            }
        }
        match hopeless {
            Some(found) => self.damaged(&found.0, &found.1, findings).map(Some),
            None => Ok(text),
        }
    }

    /// Looks at one parity; `is_sound` if another one says already that all is as it was.
    fn look(
        &self,
        spot: Spot,
        is_sound: bool,
        findings: &mut Findings<'_>,
    ) -> anyhow::Result<Seen> {
        let threads = threads(self.args.threads);
        let held = match spot.open(self.file, threads)? {
            Ok(held) => held,
            Err(useless) if useless.is_unread => bail!(useless.why),
            // Something is called like parity.
            Err(useless) if useless.spot.path().is_some() => {
                findings.output.note(&format!("{}: {}", findings.name, useless.why));
                return Ok(Seen::Nothing);
            }
            Err(useless) => {
                return findings.add("parity", None, None, &useless.why).map(|()| Seen::Nothing);
            }
        };
        let state = held.examine(threads, findings.output, true);
        let state = state.with_context(|| findings.name.to_owned())?;
        let is_other = is_sound || (findings.count == 0 && self.has_frames());
        if held.spot.is_guessed() && matches!(state, State::Foreign(_)) {
            return Ok(Seen::Nothing);
        }
        if findings.output.is_json() {
            let fields = held.fields(&state, is_other && !matches!(state, State::Foreign(_)));
            findings.output.object("parity", fields)?;
        }
        match state {
            State::Sound => {}
            State::Foreign(error) => return self.other(&held, &chain(&error), findings),
            State::Damaged(_) if is_other => return self.other(&held, OTHER, findings),
            State::Damaged(survey) => return Ok(Seen::Damaged(Box::new((held, survey)))),
        }
        let called = held.spot.called();
        if let Some(own) = held.own_damage() {
            findings.add("parity", None, None, &own)?;
            let remedy = match held.spot {
                Spot::Behind(_) => "carstone repair",
                _ => "carstone protect",
            };
            findings.output.note(&format!("`{remedy}` makes it anew."));
        } else if self.format.is_some() && findings.count == 0 && !findings.output.is_json() {
            findings.tell(&format!("{called} is sound, and fits"))?;
        }
        Ok(Seen::Told(format!("as it was when it was protected; {called} is sound")))
    }

    /// Parity of something else is an error where it was named.
    fn other(&self, held: &Held, why: &str, findings: &mut Findings<'_>) -> anyhow::Result<Seen> {
        let text = format!("{} does not fit: {why}", held.spot.called());
        if held.spot.is_given() {
            bail!("{}: {text}", findings.name);
        }
        // Nothing else can be said of what is no pack.
        match self.format {
            None => findings.add("parity", None, None, &text).map(|()| Seen::Told(text)),
            Some(_) => {
                findings.output.note(&format!("{}: {text}", findings.name));
                Ok(Seen::Nothing)
            }
        }
    }

    /// Whether all bytes of the pack have been checked.
    fn has_frames(&self) -> bool {
        let slot = |raw: &RawReader<_>| raw.container().layers.slots().first().map(|slot| slot.id);
        let raw = RawReader::open_at(Watched(self.file))
            .ok()
            .filter(|_| self.format == Some(Format::Pack));
        raw.as_ref().and_then(slot).is_some_and(|layer| layer != LayerId::POSITION)
    }

    /// Tells what is damaged, in the parity as well.
    fn damaged(
        &self,
        held: &Held,
        survey: &Survey,
        findings: &mut Findings<'_>,
    ) -> anyhow::Result<String> {
        let mut parts = held.damage(survey);
        let (was, layout) = (held.len(), held.parity.descriptor().layout());
        let is = self.file.metadata().map(|metadata| metadata.len()).unwrap_or(was);
        if held.spot.path().is_some() && is != was {
            parts.push(format!("{} instead of {}", counted(is, "byte"), counted(was, "byte")));
        }
        if parts.is_empty() {
            parts.push("its hash".to_owned());
        }
        let what = format!("differs from what was protected: {}", parts.join(", "));
        findings.add("parity", None, None, &what)?;
        if let Some(own) = held.own_damage() {
            findings.add("parity", None, None, &own)?;
        }
        let called = held.spot.called();
        let told = format!("differs from what {called} protects");
        if findings.output.is_json() {
            return Ok(told);
        }
        let healable = healable(held, survey);
        if healable != Healable::No {
            let (can, used) = (healable.text(), used_text(healable, survey));
            findings.tell(&format!("{can} be healed by {called}; {used}"))?;
        } else {
            let over = counted(survey.over_budget(), "cell");
            let bytes = human(survey.over_budget().saturating_mul(u64::from(layout.cell_len())));
            findings.tell(&format!(
                "cannot be healed by {called} alone: {over} ({bytes}) are more than it can restore"
            ))?;
        }
        let command = command(&self.args.parity, &self.args.pack);
        findings.output.note(&format!("`{command}` heals what can be healed."));
        Ok(told)
    }
}

/// What one parity says of the file.
enum Seen {
    /// Nothing that counts.
    Nothing,
    /// All has been told; this is said of a sound file.
    Told(String),
    /// It is damaged.
    Damaged(Box<(Held, Survey)>),
}

/// What heals it.
fn command(args: &UseParityArgs, pack: &Path) -> String {
    let file = args.parity_file.as_ref();
    let file = file.map(|file| format!(" --parity-file {}", file.display())).unwrap_or_default();
    format!("carstone repair{file} {} -o NEW", pack.display())
}

const OTHER: &str = "it is of another state of the pack, all of which is sound";
