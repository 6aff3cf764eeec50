//! `carstone list`: what a pack holds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::error::Error as StdError;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::Context;
use carstone::pack::fs::Selection;
use carstone::pack::{Announced, EntryKind, Error, Event, Listed, compare_paths};

use crate::cli::ListArgs;
use crate::dag;
use crate::exit::Exit;
use crate::front::Front;
use crate::input::{Input, Pack, PlainCar, chain, is_damage_of_pack, restart};
use crate::keys::Keys;
use crate::output::Output;
use crate::rows::{Row, Style};
use crate::source::Source;

/// Lists.
pub(crate) fn run(args: ListArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::new(&args.keys, &args.pack)?;
    let source = Source::open(&args.pack)?.accepting(args.reading);
    source.tell_kept(output);
    let name = source.name.clone();
    let again = source.again()?;
    let style = match (args.long, args.null) {
        (true, _) => Style::Long,
        (_, true) => Style::Nul,
        _ => Style::Names,
    };
    let selection = selection(&args.patterns);
    let printer = Printer { style, digests: args.long || output.is_json(), selection: &selection };
    let mut input = Input::open(source, &keys, args.threads)?;
    input.start_at(args.root).with_context(|| name.clone())?;
    match input {
        Input::Pack(pack) => {
            let mut last = None;
            let listed = printer.pack(&pack, &mut last, output);
            pack.tell_corrections(&name, output)?;
            match (listed, again) {
                (Ok(()), _) => pack.tell_footers(&name, output)?,
                (Err(Stopped::Damaged(fault)), Some(file)) => {
                    let front =
                        restart(&file, &keys, args.threads).with_context(|| name.clone())?;
                    printer.rest(front, last.as_deref(), &fault, &name, output)?;
                }
                (Err(stopped), _) => return Err(anyhow::Error::from(stopped).context(name)),
            }
        }
        Input::Front(front, fault) => match fault {
            Some(fault) => printer.rest(*front, None, &fault, &name, output)?,
            None => drop(printer.front(*front, None, &name, output).with_context(|| name.clone())?),
        },
        Input::Car(car) => printer.car(&car, &name, output)?,
    }
    report_unmatched(&selection, output)
}

/// Everything, or what the patterns say.
pub(crate) fn selection(patterns: &[OsString]) -> Selection {
    match patterns {
        [] => Selection::all(),
        patterns => Selection::patterns(patterns.iter().map(|pattern| pattern.as_bytes())),
    }
}

/// Says which patterns matched nothing; the exit status that follows from everything said so far.
pub(crate) fn report_unmatched(selection: &Selection, output: &mut Output) -> anyhow::Result<Exit> {
    let unmatched = selection.unmatched();
    for pattern in &unmatched {
        output.problem(pattern, &"matches nothing in the pack")?;
    }
    match unmatched.is_empty() {
        true => Ok(Exit::found(output.problems() > 0)),
        false => Ok(Exit::Failed),
    }
}

struct Printer<'a> {
    style: Style,
    /// Whether digests are shown, which may take reading a little more.
    digests: bool,
    selection: &'a Selection,
}

impl Printer<'_> {
    /// All entries by path, unless damage stops it. `last` becomes the path of the last one that was looked at.
    fn pack(
        &self,
        pack: &Pack,
        last: &mut Option<Vec<u8>>,
        output: &mut Output,
    ) -> Result<(), Stopped> {
        for entry in pack.reader.entries() {
            let entry = entry?;
            if self.selection.selects(&entry.path) {
                let row = self.row(pack, &entry)?;
                row.print(self.style, output).map_err(Stopped::Failed)?;
            }
            *last = Some(entry.path);
        }
        Ok(())
    }

    fn row(&self, pack: &Pack, entry: &Listed) -> Result<Row, Error> {
        let mut row = row_of(entry);
        if self.digests {
            row.sha256 = pack.reader.sha256(entry)?;
            if entry.kind == EntryKind::HardLink {
                row.size = pack.reader.original(entry)?.and_then(|original| original.size);
            }
        }
        Ok(row)
    }

    /// What is left of a pack that `fault` has made unreadable at random. What comes up to `last` in the order of paths has been shown.
    fn rest(
        &self,
        front: Front,
        last: Option<&[u8]>,
        fault: &(dyn StdError + 'static),
        name: &str,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let told = self.front(front, last, name, output).with_context(|| name.to_owned())?;
        match told {
            true => Ok(()),
            false => output.problem(name.as_bytes(), &chain(fault)),
        }
    }

    /// Entries as they come. A row is shown when its content has come, in the order of announcement; none up to `last` in the order of paths.
    /// Gives whether anything was damaged.
    fn front(
        &self,
        mut front: Front,
        last: Option<&[u8]>,
        name: &str,
        output: &mut Output,
    ) -> anyhow::Result<bool> {
        let is_new = |path: &[u8]| last.is_none_or(|last| compare_paths(last, path).is_lt());
        let (mut waiting, mut heard) = (Waiting::default(), Vec::new());
        let mut told = false;
        loop {
            let event = front.next(&mut |what| heard.push(what))?;
            for what in heard.drain(..) {
                told = true;
                output.problem_with(name.as_bytes(), &what.text, what.fields)?;
            }
            match event {
                Some(Event::Entry(entry)) if is_new(&entry.path) => {
                    waiting.announce(&entry, self.selection);
                }
                Some(Event::End { id, size, sha256, .. }) => waiting.end(id, size, sha256),
                Some(Event::Incomplete { id, size, .. }) => waiting.give_up(id, size),
                Some(Event::Abandoned { id }) => waiting.abandon(id),
                Some(_) => {}
                None => break,
            }
            waiting.print(false, self.style, output)?;
        }
        waiting.print(true, self.style, output)?;
        Ok(told)
    }

    fn car(&self, car: &PlainCar, name: &str, output: &mut Output) -> anyhow::Result<()> {
        let mut problems = Vec::new();
        dag::visit(car, self.digests, &mut |row| match row {
            Ok((row, _)) if self.selection.selects(&row.path) => row.print(self.style, output),
            Ok(_) => Ok(()),
            Err(problem) => {
                problems.push(problem);
                Ok(())
            }
        })
        .with_context(|| name.to_owned())?;
        for problem in problems {
            output.problem(&problem.path, &problem.why)?;
        }
        car.tell_faults(name, output)
    }
}

/// Why a listing stopped.
enum Stopped {
    /// The pack is damaged.
    Damaged(Error),
    /// The rows cannot be written, or the pack cannot be read.
    Failed(anyhow::Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        match is_damage_of_pack(&error) {
            true => Self::Damaged(error),
            false => Self::Failed(error.into()),
        }
    }
}

impl From<Stopped> for anyhow::Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Damaged(error) => error.into(),
            Stopped::Failed(error) => error,
        }
    }
}

fn row_of(entry: &Listed) -> Row {
    Row {
        path: entry.path.clone(),
        kind: entry.kind,
        mode: entry.mode,
        mtime: entry.mtime,
        size: entry.size,
        sha256: None,
        target: entry.target.clone(),
        complete: true,
        cid: None,
    }
}

/// Rows that are announced and not yet shown.
#[derive(Default)]
struct Waiting {
    rows: VecDeque<Option<Row>>,
    /// Number of the row at the front.
    first: usize,
    /// Files whose content is still to come.
    open: HashMap<u64, usize>,
    /// Numbers of rows that will not be complete.
    lost: HashSet<usize>,
}

impl Waiting {
    fn announce(&mut self, entry: &Announced, selection: &Selection) {
        if !selection.selects(&entry.path) {
            return;
        }
        let is_file = entry.kind == EntryKind::File;
        if is_file {
            self.open.insert(entry.id, self.first + self.rows.len());
        }
        self.rows.push_back(Some(Row {
            path: entry.path.clone(),
            kind: entry.kind,
            mode: entry.metadata.mode,
            mtime: entry.metadata.mtime,
            size: entry.size,
            sha256: None,
            target: entry.target.clone(),
            complete: !is_file,
            cid: None,
        }));
    }

    fn end(&mut self, id: u64, size: u64, sha256: Option<[u8; 32]>) {
        if let Some(Some(row)) = self.take(id) {
            row.size = Some(size);
            row.sha256 = sha256;
            row.complete = true;
        }
    }

    /// Nothing more comes of a file.
    fn give_up(&mut self, id: u64, size: Option<u64>) {
        if let Some(number) = self.open.remove(&id)
            && let Some(n) = number.checked_sub(self.first)
            && let Some(Some(row)) = self.rows.get_mut(n)
        {
            row.size = size.or(row.size);
            self.lost.insert(number);
        }
    }

    fn abandon(&mut self, id: u64) {
        if let Some(row) = self.take(id) {
            *row = None;
        }
    }

    fn take(&mut self, id: u64) -> Option<&mut Option<Row>> {
        let number = self.open.remove(&id)?;
        self.rows.get_mut(number.checked_sub(self.first)?)
    }

    /// Shows the rows at the front that are complete, or all of them.
    fn print(&mut self, all: bool, style: Style, output: &mut Output) -> anyhow::Result<()> {
        while let Some(row) = self.rows.front() {
            let is_lost = self.lost.remove(&self.first);
            if !all && !is_lost && row.as_ref().is_some_and(|row| !row.complete) {
                break;
            }
            if let Some(row) = row {
                row.print(style, output)?;
            }
            self.rows.pop_front();
            self.first += 1;
        }
        Ok(())
    }
}
