//! `carstone scrub`: looks through directories for damage, and heals.

mod found;
mod guess;
mod healing;
mod journal;

use std::fmt;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carstone::parity::Survey;
use serde_json::{Map, json};

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
use found::{Found, Verdict, healed_text};
use healing::Outcome;
use journal::Journal;

/// Looks through all of it.
pub(crate) fn run(args: ScrubArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let journal = args.resume.as_deref().map(Journal::open).transpose()?;
    let mut job = Job { args: &args, output, journal, done: Done::default(), heals: args.heal };
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
    /// Whether the file at hand is healed.
    heals: bool,
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

impl Job<'_> {
    fn directory(&mut self, path: &Path) -> anyhow::Result<()> {
        for file in Below::of(path) {
            signals::check()?;
            let (file, metadata) = match file {
                Ok(found) => found,
                Err((file, why)) => {
                    self.problem(&file, &why)?;
                    continue;
                }
            };
            let is_protected = beside(&file).exists();
            if is_parity(&file) {
                self.only_by_parity(&file)?;
            } else if is_left_over(&file) && !is_protected {
                self.done.passed += 1;
            }
            if is_protected || !(is_parity(&file) || is_left_over(&file)) {
                self.file(&file, &metadata)?;
            }
        }
        Ok(())
    }

    /// What only its parity leads to. Of a file that is gone it is told: the file may be what somebody looks for. A link is looked at as the file that it leads to.
    fn only_by_parity(&mut self, parity: &Path) -> anyhow::Result<()> {
        let of = parity.with_extension("");
        if beside(&of) != parity {
            return Ok(());
        }
        match of.symlink_metadata() {
            Err(_) => self.problem(&of, &"is gone, and its parity is there"),
            Ok(metadata) if metadata.is_symlink() => match fs::metadata(&of) {
                Ok(metadata) if metadata.is_file() => self.link(&of, &metadata),
                _ => self.problem(&of, &"is a link to no file, and its parity is there"),
            },
            Ok(_) => Ok(()),
        }
    }

    /// A file that a link leads to. Only what lies below what was named is changed.
    fn link(&mut self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        let real = fs::canonicalize(path).unwrap_or_default();
        let is_below =
            |named: &PathBuf| fs::canonicalize(named).is_ok_and(|named| real.starts_with(named));
        self.heals = self.args.heal && self.args.paths.iter().any(is_below);
        let end = self.file(path, metadata);
        self.heals = self.args.heal;
        end
    }

    /// A file; what is wrong with it stops nothing but itself.
    fn file(&mut self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        if metadata.file_type().is_fifo() || metadata.file_type().is_socket() {
            return self.problem(path, &"is no regular file");
        }
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
        let spots = spots(&UseParityArgs::default(), path, &file)?;
        let (guessed, own): (Vec<_>, Vec<_>) = spots.into_iter().partition(Spot::is_guessed);
        let own = self.by_own(path, &file, own)?;
        let own = match own {
            Some(own) if own.is_settled => return Ok(own),
            own => own,
        };
        for spot in guessed {
            let Some(found) = self.by_guess(path, &file, spot)? else { continue };
            // The sidecar did not help, and may fit what was healed.
            let is_again = own.is_some() && found.verdict == Verdict::Healed;
            let sidecar = is_again.then(|| Spot::Beside(beside(path)));
            let file = File::open(path).context("cannot open it again")?;
            let again = self.by_own(path, &file, sidecar.into_iter().collect())?;
            return Ok(again.into_iter().fold(found, Found::and));
        }
        if let Some(own) = own {
            return Ok(own);
        }
        match self.is_sound_pack(path, &file)? {
            None => Ok(Found::new(Verdict::Passed, Vec::new())),
            Some(true) => Ok(Found::new(Verdict::Sound, Vec::new())),
            Some(false) => {
                let line =
                    "it is damaged, and no parity heals it; `carstone repair` makes the best of it";
                Ok(Found::new(Verdict::Damaged, vec![line.to_owned()]))
            }
        }
    }

    /// What all parity that is in its place says.
    fn by_own(
        &mut self,
        path: &Path,
        file: &File,
        spots: Vec<Spot>,
    ) -> anyhow::Result<Option<Found>> {
        let mut file = file.try_clone().context("cannot open it again")?;
        let mut all: Option<Found> = None;
        for spot in spots {
            let found = match (self.by_parity(path, &file, spot), &all) {
                (Ok(found), _) => found,
                (Err(error), None) => return Err(error),
                // What was done before is told all the same.
                (Err(error), Some(_)) => {
                    signals::check()?;
                    Found::open(vec![format!("{error:#}")])
                }
            };
            if found.verdict == Verdict::Healed {
                file = File::open(path).context("cannot open it again")?;
            }
            all = Some(match all {
                None => found,
                Some(before) => before.and(found),
            });
        }
        Ok(all)
    }

    /// What one parity says of a file.
    fn by_parity(&mut self, path: &Path, file: &File, spot: Spot) -> anyhow::Result<Found> {
        let threads = threads(self.args.threads);
        let held = match spot.open(file, threads)? {
            Ok(held) => held,
            Err(useless) if useless.is_unread => bail!(useless.why),
            Err(useless) => return Ok(Found::open(vec![useless.why])),
        };
        let state = held.examine(threads, self.output, !self.heals)?;
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
        Ok(Found { parity: Some(fields), ..found })
    }

    /// A file as it was protected; its parity may be damaged.
    fn sound(&mut self, path: &Path, file: &File, held: &Held) -> anyhow::Result<Found> {
        let Some(own) = held.own_damage() else {
            return Ok(Found::new(Verdict::Sound, Vec::new()));
        };
        self.renewed(path, file, held, vec![own])
    }

    /// Damaged parity of a sound file.
    fn renewed(
        &mut self,
        path: &Path,
        file: &File,
        held: &Held,
        mut lines: Vec<String>,
    ) -> anyhow::Result<Found> {
        if !self.heals {
            lines.extend(self.elsewhere(path));
            return Ok(Found::new(Verdict::Damaged, lines));
        }
        match healing::parity(path, file, held, self.args, self.output) {
            Ok(kept) => {
                lines.push("the parity is made anew".to_owned());
                Ok(Found::healed(kept, lines))
            }
            Err(error) => {
                signals::check()?;
                lines.push(format!("the parity is not made anew: {error:#}"));
                Ok(Found::new(Verdict::Damaged, lines))
            }
        }
    }

    /// Why a file is not healed although that is asked for.
    fn elsewhere(&self, path: &Path) -> Option<String> {
        let real = fs::canonicalize(path).ok().filter(|_| self.args.heal && !self.heals)?;
        let real = escaped(real.as_os_str().as_bytes()).into_owned();
        Some(format!(
            "it is a link to {real}, which lies elsewhere and is left as it is: with --heal, name the link or the file itself"
        ))
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
            healable if !self.heals => {
                let can = healable.text();
                lines.push(format!("it {can} be healed, with --heal: {used}"));
                lines.extend(self.elsewhere(path));
                return Ok(Found::new(Verdict::Damaged, lines));
            }
            _ => {}
        }
        let can = healable.text();
        let outcome = match healing::stream(path, file, held, &mut survey, self.args, self.output) {
            Ok(outcome) => outcome,
            Err(error) => {
                signals::check()?;
                lines.push(format!("it {can} be healed, and is not: {error:#}; {used}"));
                return Ok(Found::new(Verdict::Damaged, lines));
            }
        };
        match outcome {
            Outcome::Healed(kept) => {
                lines.push(healed_text(path, kept.as_deref()));
                Ok(Found::healed(kept, lines))
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

    fn tell(&mut self, path: &Path, metadata: &Metadata, found: Found) -> anyhow::Result<()> {
        let (state, count) = match &found.verdict {
            Verdict::Passed => ("passed", &mut self.done.passed),
            Verdict::Sound => ("sound", &mut self.done.sound),
            Verdict::Healed => ("healed", &mut self.done.healed),
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
            if let Some(kept) = &found.kept {
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
