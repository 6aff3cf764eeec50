//! `carstone scrub`: looks through directories for damage, and heals.

mod healing;
mod journal;

use std::fmt;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carstone::parity::Survey;
use carstone::stack::Format;
use serde_json::{Map, Value, json};

use crate::below::Below;
use crate::cli::{ScrubArgs, UseParityArgs};
use crate::exit::Exit;
use crate::input::{chain, options};
use crate::losses::object;
use crate::names::{self, counted, escaped, human};
use crate::output::Output;
use crate::parity::{
    Healable, Held, Spot, State, beside, healable, is_intact_pack, is_left_over, is_parity, spots,
    threads, used_text,
};
use crate::signals;
use crate::source::Source;
use healing::Outcome;
use journal::Journal;

/// Looks through all of it.
pub(crate) fn run(args: ScrubArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let journal = args.resume.as_deref().map(Journal::open).transpose()?;
    let mut job = Job { args: &args, output, journal, done: Done::default() };
    for path in &args.paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => job.directory(path)?,
            Ok(metadata) => job.file(path, &metadata)?,
            Err(error) => job.problem(path, &format!("cannot open: {error}"))?,
        }
    }
    job.finish()
}

struct Job<'a> {
    args: &'a ScrubArgs,
    output: &'a mut Output,
    journal: Option<Journal>,
    done: Done,
}

/// How many files there are of each verdict.
#[derive(Default)]
struct Done {
    files: u64,
    bytes: u64,
    sound: u64,
    healed: u64,
    damaged: u64,
    passed: u64,
    resumed: u64,
}

/// What is said of a file.
enum Verdict {
    /// Nothing tells what it should be.
    Passed,
    /// It is as it should be.
    Sound,
    /// It is again, or its parity is.
    Healed { kept: Option<PathBuf> },
    /// It is not.
    Damaged,
}

/// A verdict, the words for it, and what programs are told of the parity.
struct Found {
    verdict: Verdict,
    lines: Vec<String>,
    parity: Option<Map<String, Value>>,
    /// Whether other parity of the file need not be asked.
    is_settled: bool,
}

impl Found {
    fn new(verdict: Verdict, lines: Vec<String>) -> Self {
        Self { verdict, lines, parity: None, is_settled: true }
    }

    fn open(lines: Vec<String>) -> Self {
        Self { is_settled: false, ..Self::new(Verdict::Damaged, lines) }
    }
}

impl Job<'_> {
    fn directory(&mut self, path: &Path) -> anyhow::Result<()> {
        for file in Below::of(path) {
            signals::check()?;
            match file {
                Ok((path, _)) if is_parity(&path) && !beside(&path).exists() => {
                    self.stray(&path)?
                }
                Ok((path, _)) if is_left_over(&path) && !beside(&path).exists() => {
                    self.done.passed += 1;
                }
                Ok((path, metadata)) => self.file(&path, &metadata)?,
                Err((path, why)) => self.problem(&path, &why)?,
            }
        }
        Ok(())
    }

    /// Parity of a file that is gone is told: the file may be what somebody looks for.
    fn stray(&mut self, path: &Path) -> anyhow::Result<()> {
        let of = path.with_extension("");
        if of.symlink_metadata().is_err() && beside(&of) == path {
            return self.problem(&of, &"is gone, and its parity is there");
        }
        Ok(())
    }

    /// A file; what is wrong with it stops nothing but itself.
    fn file(&mut self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        if self.journal.as_ref().is_some_and(|journal| journal.has(path, metadata)) {
            self.done.resumed += 1;
            return Ok(());
        }
        match self.look(path) {
            Ok(found) => self.tell(path, metadata, found),
            Err(error) => {
                signals::check()?;
                self.problem(path, &format!("{error:#}"))
            }
        }
    }

    fn look(&mut self, path: &Path) -> anyhow::Result<Found> {
        let file = File::open(path).context("cannot open")?;
        let mut damaged = None;
        for spot in spots(&UseParityArgs::default(), path, &file)? {
            // A file is not replaced by what may be a part of it.
            if spot.is_guessed() {
                continue;
            }
            match self.by_parity(path, &file, spot)? {
                // Another parity may do better.
                Some(found) if !found.is_settled => damaged = damaged.or(Some(found)),
                Some(found) => return Ok(found),
                None => {}
            }
        }
        if let Some(damaged) = damaged {
            return Ok(damaged);
        }
        match self.is_sound_pack(path, &file)? {
            None => Ok(Found::new(Verdict::Passed, Vec::new())),
            Some(true) => Ok(Found::new(Verdict::Sound, Vec::new())),
            Some(false) => {
                let line = "its frames are damaged, and no parity helps; `carstone repair` makes the best of it";
                Ok(Found::new(Verdict::Damaged, vec![line.to_owned()]))
            }
        }
    }

    /// What its parity says of a file; `None` where that is of another one.
    fn by_parity(&mut self, path: &Path, file: &File, spot: Spot) -> anyhow::Result<Option<Found>> {
        let threads = threads(self.args.threads);
        let held = match spot.open(file, threads)? {
            Ok(held) => held,
            Err(useless) if useless.is_unread => bail!(useless.why),
            Err(useless) => return Ok(Some(Found::open(vec![useless.why]))),
        };
        let state = held.examine(threads, self.output, !self.args.heal)?;
        let is_other = match &state {
            State::Sound => false,
            State::Foreign(_) | State::Damaged(_) => {
                is_intact_pack(file, &options(self.args.threads), self.output)
            }
        };
        signals::check()?;
        let fields = held.fields(&state, is_other);
        let found = match state {
            State::Sound => self.sound(path, file, &held)?,
            _ if is_other => {
                let line = format!(
                    "{} is of another state of the pack, which is sound",
                    held.spot.called()
                );
                Found::new(Verdict::Sound, vec![line])
            }
            State::Foreign(error) => Found::open(vec![chain(&error)]),
            State::Damaged(survey) => self.damaged(path, file, &held, survey)?,
        };
        Ok(Some(Found { parity: Some(fields), ..found }))
    }

    /// A file as it was protected; its parity may be damaged.
    fn sound(&mut self, path: &Path, file: &File, held: &Held) -> anyhow::Result<Found> {
        let Some(own) = held.own_damage() else {
            return Ok(Found::new(Verdict::Sound, Vec::new()));
        };
        let mut lines = vec![own];
        if !self.args.heal {
            return Ok(Found::new(Verdict::Damaged, lines));
        }
        let kept = healing::parity(path, file, held, self.args, self.output)?;
        lines.push("the parity is made anew".to_owned());
        Ok(Found::new(Verdict::Healed { kept }, lines))
    }

    fn damaged(
        &mut self,
        path: &Path,
        file: &File,
        held: &Held,
        mut survey: Survey,
    ) -> anyhow::Result<Found> {
        let mut lines = held.damage(&survey);
        lines.extend(held.own_damage());
        let healable = healable(held, &survey);
        let used = used_text(healable, &survey);
        match healable {
            Healable::No => {
                lines.push(format!("it cannot be healed: {used}"));
                return Ok(Found::open(lines));
            }
            healable if !self.args.heal => {
                let can = healable.text();
                lines.push(format!("it {can} be healed, with --heal: {used}"));
                return Ok(Found::new(Verdict::Damaged, lines));
            }
            _ => {}
        }
        match healing::stream(path, file, held, &mut survey, self.args, self.output)? {
            Outcome::Healed(kept) => {
                lines.push(match &kept {
                    Some(kept) => format!("healed; the damaged file is {}", kept.display()),
                    None => "healed".to_owned(),
                });
                Ok(Found::new(Verdict::Healed { kept }, lines))
            }
            Outcome::Other(why) => {
                lines.push(format!(
                    "it is not healed: {} is {why}; `carstone repair` makes the best of it",
                    held.spot.called()
                ));
                Ok(Found::open(lines))
            }
            Outcome::NotWhole => {
                lines.push(
                    "it cannot be healed: what comes out is not what was protected".to_owned(),
                );
                Ok(Found::open(lines))
            }
        }
    }

    /// Whether all frames of a pack, header and trailer are sound; `None` where it is no pack.
    fn is_sound_pack(&self, path: &Path, file: &File) -> anyhow::Result<Option<bool>> {
        let again = file.try_clone().context("cannot open it again")?;
        let name = path.display().to_string();
        let format = Source::sound_file(again, &name).ok().map(|source| source.format);
        if format != Some(Format::Pack) {
            return Ok(None);
        }
        let is_sound = is_intact_pack(file, &options(self.args.threads), self.output);
        signals::check()?;
        Ok(Some(is_sound))
    }

    fn tell(&mut self, path: &Path, metadata: &Metadata, found: Found) -> anyhow::Result<()> {
        let (state, count) = match &found.verdict {
            Verdict::Passed => ("passed", &mut self.done.passed),
            Verdict::Sound => ("sound", &mut self.done.sound),
            Verdict::Healed { .. } => ("healed", &mut self.done.healed),
            Verdict::Damaged => ("damaged", &mut self.done.damaged),
        };
        *count += 1;
        let is_looked_at = !matches!(found.verdict, Verdict::Passed);
        if is_looked_at {
            self.done.files += 1;
            self.done.bytes += metadata.len();
        }
        if matches!(found.verdict, Verdict::Sound)
            && let Some(journal) = &mut self.journal
        {
            journal.note(path, metadata)?;
        }
        if self.output.is_json() {
            let mut fields = Map::new();
            names::put(&mut fields, "path", path.as_os_str().as_bytes());
            fields.extend(object(json!({
                "state": state, "bytes": metadata.len(), "messages": found.lines,
            })));
            if let Verdict::Healed { kept: Some(kept) } = &found.verdict {
                names::put(&mut fields, "kept", kept.as_os_str().as_bytes());
            }
            if let Some(parity) = found.parity {
                fields.insert("parity".to_owned(), parity.into());
            }
            return self.output.object("file", fields);
        }
        let name = escaped(path.as_os_str().as_bytes()).into_owned();
        for line in found.lines {
            self.output.line(format!("{name}: {line}").as_bytes())?;
        }
        Ok(())
    }

    fn problem(&mut self, path: &Path, what: &dyn fmt::Display) -> anyhow::Result<()> {
        self.output.problem(path.as_os_str().as_bytes(), what)
    }

    fn finish(self) -> anyhow::Result<Exit> {
        let problems = self.output.problems();
        let Done { files, bytes, sound, healed, damaged, passed, resumed } = self.done;
        if self.output.is_json() {
            let fields = json!({
                "files": files, "bytes": bytes, "sound": sound, "healed": healed, "damaged": damaged,
                "passed": passed, "resumed": resumed, "problems": problems,
            });
            self.output.object("summary", object(fields))?;
        } else {
            let before = match resumed {
                0 => String::new(),
                n => format!("; {} found sound before", counted(n, "file")),
            };
            self.output.told(&format!(
                "{}, {}: {sound} sound, {healed} healed, {damaged} damaged; {passed} passed over{before}",
                counted(files, "file"),
                human(bytes)
            ))?;
        }
        if let Some(journal) = self.journal {
            journal.end()?;
        }
        Ok(Exit::found(damaged + problems > 0))
    }
}
