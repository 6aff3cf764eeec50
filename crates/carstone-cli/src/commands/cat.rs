//! `carstone cat`: the content of one file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use anyhow::{Context, anyhow, bail};
use carstone::car::Cid;
use carstone::pack::{EntryKind, Error as PackError, Event};
use carstone::unixfs::{self, FileReader, resolve};
use sha2::{Digest, Sha256};

use crate::cli::{ByteRange, CatArgs};
use crate::dag;
use crate::exit::Exit;
use crate::input::{Input, Pack, PlainCar, chain, io_chain, is_damage_of_pack, restart};
use crate::keys::Keys;
use crate::names::escaped;
use crate::output::{Output, stdout_error};
use crate::signals;
use crate::source::Source;

/// Writes the file to standard output.
pub(crate) fn run(args: CatArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::new(&args.keys, &args.pack)?;
    // A hard link or a repeated block may need what came before, so a pipe is kept in a temporary file.
    let source = Source::open(&args.pack)?.accepting(args.reading).spooled()?;
    source.tell_kept(output);
    let name = source.name.clone();
    let path = args.path.as_bytes();
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let again = source.again()?.ok_or_else(|| anyhow!("{name}: cannot be read twice"))?;
    let mut job = Job { path, range: args.range, sent: 0, output };
    match Input::open(source, &keys, None)? {
        Input::Pack(pack) => {
            let sent = job.give_pack(&pack);
            pack.tell_corrections(&name, job.output)?;
            match sent {
                Err(Stop::Damaged(what)) => {
                    job.output.problem(name.as_bytes(), &what)?;
                    job.give_front(&again, &keys).with_context(|| name.clone())?;
                }
                sent => {
                    sent.map_err(anyhow::Error::from).with_context(|| name.clone())?;
                    pack.tell_footers(&name, job.output)?;
                }
            }
        }
        Input::Car(car) => {
            job.give_car(&car).map_err(anyhow::Error::from).with_context(|| name.clone())?;
            car.tell_faults(&name, job.output)?;
        }
        Input::Front(front, fault) => {
            drop(front);
            let damage = job.give_front(&again, &keys).with_context(|| name.clone())?;
            if let Some(what) = fault.map(|fault| chain(&fault)).or(damage) {
                job.output.problem(name.as_bytes(), &what)?;
            }
        }
    }
    Ok(Exit::found(output.problems() > 0))
}

/// What is to be written.
struct Job<'a> {
    path: &'a [u8],
    range: Option<ByteRange>,
    /// How many bytes of it have been.
    sent: u64,
    output: &'a mut Output,
}

/// Why not all of it was written.
enum Stop {
    /// The pack is damaged, so that another way to read it may give more.
    Damaged(String),
    Failed(anyhow::Error),
}

impl From<PackError> for Stop {
    fn from(error: PackError) -> Self {
        match is_damage_of_pack(&error) && !signals::stopped() {
            true => Self::Damaged(chain(&error)),
            false => Self::Failed(error.into()),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stop> for anyhow::Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Damaged(what) => anyhow!(what),
            Stop::Failed(error) => error,
        }
    }
}

/// What is known of the content that is to be read.
struct Content {
    /// Size of the whole file.
    size: u64,
    is_size_known: bool,
    missing: Vec<Range<u64>>,
    sha256: Option<[u8; 32]>,
}

impl Content {
    fn whole(size: u64, sha256: Option<[u8; 32]>) -> Self {
        Self { size, is_size_known: true, missing: Vec::new(), sha256 }
    }
}

impl Job<'_> {
    fn give_pack(&mut self, pack: &Pack) -> Result<(), Stop> {
        let (reader, path) = (&pack.reader, self.path);
        let entry = reader.find(path)?.ok_or_else(|| no_entry(path))?;
        let entry = match entry.kind {
            EntryKind::HardLink => reader.original(&entry)?.unwrap_or(entry),
            _ => entry,
        };
        check_kind(entry.kind, path, entry.target.as_deref())?;
        let file = reader.open_file(&entry)?;
        // The leaf of a file that is one leaf has been compared with its digest already.
        let several = entry.sha256.is_some();
        let sha256 = if several && self.range.is_none() { reader.sha256(&entry)? } else { None };
        let content = Content::whole(file.len(), sha256);
        self.send(file, &content)
    }

    fn give_car(&mut self, car: &PlainCar) -> Result<(), Stop> {
        let path = self.path;
        let look = |(root, below): (&Cid, &[u8])| resolve(car, root, below);
        let mut found = dag::locate(car, path).map_or(Ok(None), look);
        if !matches!(found, Ok(Some(_)))
            && let Some(loose) = dag::locate_loose(car, path)?
        {
            found = look(loose);
        }
        let entry = found.map_err(anyhow::Error::from)?.ok_or_else(|| no_entry(path))?;
        match entry.kind {
            unixfs::EntryKind::Directory => check_kind(EntryKind::Directory, path, None)?,
            unixfs::EntryKind::Symlink { target } => {
                check_kind(EntryKind::Symlink, path, Some(&target))?;
            }
            _ => {}
        }
        let file = FileReader::open(car, &entry.cid).map_err(anyhow::Error::from)?;
        let content = Content::whole(file.len(), None);
        self.send(file, &content)
    }

    /// Out of a pack that can only be read front to back: once to learn of which leaves the file is made, and once to collect them. Of a file with
    /// holes, what stands before the first is given. Gives what is damaged before the file, if anything is.
    fn give_front(&mut self, file: &File, keys: &Keys) -> anyhow::Result<Option<String>> {
        let mut plan = match plan(file, keys, self.path)? {
            Planned::File(plan) => plan,
            Planned::Link(original) => match plan(file, keys, &original)? {
                Planned::File(plan) => plan,
                Planned::Link(_) => bail!("{}: is a link to a link", escaped(self.path)),
            },
        };
        let content = tempfile::tempfile().context("cannot make a temporary file")?;
        let mut front = restart(file, keys, None)?;
        while !plan.places.is_empty() {
            match front.next(&mut |_| {}).map_err(|error| anyhow!("{}", chain(&error)))? {
                Some(Event::Leaf { cid, data, .. }) => {
                    // A leaf may come more than once where damage repeats bytes.
                    for offset in plan.places.remove(&cid).into_iter().flatten() {
                        let written = content.write_all_at(&data, offset);
                        written.context("cannot keep the file's parts")?;
                    }
                }
                Some(_) => {}
                None => bail!("{}: parts of it are not in the pack", escaped(self.path)),
            }
        }
        self.send(content, &plan.content)?;
        Ok(plan.damage)
    }

    /// Writes the range of `source`, up to the first hole in it, and compares the whole with what is stated.
    fn send(&mut self, mut source: impl Read + Seek, content: &Content) -> Result<(), Stop> {
        let path = self.path;
        if !content.is_size_known && matches!(self.range, Some(ByteRange::Last(_))) {
            return Err(
                anyhow!("{}: its size is lost, and so where its end is", escaped(path)).into()
            );
        }
        let (start, end) = bounds(self.range, content.size)?;
        let hole = content.missing.iter().find(|hole| hole.end > start);
        let stop = hole.map_or(end, |hole| hole.start.clamp(start, end));
        let is_cut = stop < end || (!content.is_size_known && end == content.size);
        let sha256 = content.sha256.filter(|_| (start, stop) == (0, content.size));
        source.seek(SeekFrom::Start(start)).context("cannot seek")?;
        let mut hasher = Sha256::new();
        let (mut at, mut buffer) = (start, vec![0; BUFFER]);
        let mut out = self.output.content(true)?;
        while at < stop {
            let most = usize::try_from(stop - at).unwrap_or(usize::MAX).min(buffer.len());
            let n = match source.read(&mut buffer[..most]) {
                Ok(0) => {
                    return Err(anyhow!("{}: stops before byte {stop}", escaped(path)).into());
                }
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.get_ref().is_none() || signals::stopped() => {
                    return Err(anyhow!("{}", io_chain(&error)).into());
                }
                Err(error) => return Err(Stop::Damaged(io_chain(&error))),
            };
            if sha256.is_some() {
                hasher.update(&buffer[..n]);
            }
            // Some of it may have been written before the way that was tried first led no further.
            let known = (start + self.sent).saturating_sub(at);
            let new = usize::try_from(known).unwrap_or(usize::MAX).min(n);
            out.write_all(&buffer[new..n]).map_err(stdout_error)?;
            at += n as u64;
            self.sent = self.sent.max(at - start);
        }
        out.flush().map_err(stdout_error)?;
        if is_cut {
            self.output.problem(path, &missing_text(&content.missing, stop, end))?;
        }
        if sha256.is_some_and(|stated| stated[..] != hasher.finalize()[..]) {
            let what = "its content does not have the SHA-256 that the pack states";
            self.output.problem(path, &what)?;
        }
        Ok(())
    }
}

/// What is said of a file that was given up to byte `stop` where `end` was wanted.
fn missing_text(missing: &[Range<u64>], stop: u64, end: u64) -> String {
    let before = "what stands before them is given";
    match missing.iter().find(|hole| hole.start <= stop && stop < hole.end) {
        Some(hole) if stop < end => {
            let last = hole.end.saturating_sub(1);
            format!("bytes {}–{last} of it are missing; {before}", hole.start)
        }
        _ => format!("the bytes from {stop} on are missing; {before}"),
    }
}

enum Planned {
    File(Plan),
    /// The path is another name of this one.
    Link(Vec<u8>),
}

struct Plan {
    /// File offsets at which each leaf is content.
    places: HashMap<Cid, Vec<u64>>,
    content: Content,
    /// What is damaged before its end.
    damage: Option<String>,
}

fn plan(file: &File, keys: &Keys, path: &[u8]) -> anyhow::Result<Planned> {
    let mut front = restart(file, keys, None)?;
    let mut wanted = None;
    let mut places: HashMap<Cid, Vec<u64>> = HashMap::new();
    let (mut end, mut damage) = (0, None);
    loop {
        let event = front.next(&mut |what| {
            damage.get_or_insert(what.text);
        });
        let event = event.map_err(|error| anyhow!("{}: {}", escaped(path), chain(&error)))?;
        let Some(event) = event else {
            return Err(match damage {
                Some(what) => anyhow!("{}: no such entry in what is left: {what}", escaped(path)),
                None => no_entry(path),
            });
        };
        match event {
            Event::Entry(entry) if entry.path == path => {
                if let (EntryKind::HardLink, Some(target)) = (entry.kind, &entry.target) {
                    return Ok(Planned::Link(target.clone()));
                }
                check_kind(entry.kind, path, entry.target.as_deref())?;
                wanted = Some(entry.id);
            }
            Event::Leaf { cid, uses, data } => {
                for place in uses.iter().filter(|place| Some(place.id) == wanted) {
                    places.entry(cid).or_default().push(place.offset);
                    end = end.max(place.offset.saturating_add(data.len() as u64));
                }
            }
            Event::Reuse { id, offset, cid, len } if Some(id) == wanted => {
                places.entry(cid).or_default().push(offset);
                end = end.max(offset.saturating_add(len.unwrap_or(0)));
            }
            Event::Abandoned { id } if Some(id) == wanted => return Err(no_entry(path)),
            Event::End { id, size, sha256, .. } if Some(id) == wanted => {
                let content = Content::whole(size, sha256);
                return Ok(Planned::File(Plan { places, content, damage }));
            }
            Event::Incomplete { id, size, missing } if Some(id) == wanted => {
                let is_size_known = size.is_some();
                let (size, sha256) = (size.unwrap_or(end), None);
                let content = Content { size, is_size_known, missing, sha256 };
                return Ok(Planned::File(Plan { places, content, damage }));
            }
            _ => {}
        }
    }
}

fn no_entry(path: &[u8]) -> anyhow::Error {
    anyhow!("{}: no such entry in the pack", escaped(path))
}

fn check_kind(kind: EntryKind, path: &[u8], target: Option<&[u8]>) -> anyhow::Result<()> {
    match (kind, target) {
        (EntryKind::File | EntryKind::HardLink, _) => Ok(()),
        (EntryKind::Symlink, Some(target)) => {
            bail!(
                "{}: is a symlink to {}, which cat does not follow",
                escaped(path),
                escaped(target)
            )
        }
        _ => bail!("{}: is a {kind}, not a file", escaped(path)),
    }
}

/// Start and end of a range in a file of `size` bytes.
pub(super) fn bounds(range: Option<ByteRange>, size: u64) -> anyhow::Result<(u64, u64)> {
    let (start, end) = match range {
        None => (0, size),
        Some(ByteRange::From(first)) => (first, size),
        Some(ByteRange::FromTo(first, last)) => (first, last.saturating_add(1).min(size)),
        Some(ByteRange::Last(count)) => (size.saturating_sub(count), size),
    };
    if start > size || (start == size && matches!(range, Some(ByteRange::FromTo(..))) && size > 0) {
        bail!("the range starts at byte {start}, but the file has {size} bytes");
    }
    Ok((start, end.max(start)))
}

const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, size: u64, expected: Option<(u64, u64)>) {
        let range = range.parse().expect("the test gives a range");
        assert_eq!(bounds(Some(range), size).ok(), expected);
    }

    #[test]
    fn ranges_are_cut_at_the_end_of_the_file() {
        check("0-0", 10, Some((0, 1)));
        check("3-5", 10, Some((3, 6)));
        check("3-99", 10, Some((3, 10)));
        check("0-18446744073709551615", 10, Some((0, 10)));
        check("4-", 10, Some((4, 10)));
        check("10-", 10, Some((10, 10)));
        check("-4", 10, Some((6, 10)));
        check("-99", 10, Some((0, 10)));
        check("-0", 10, Some((10, 10)));
        check("0-5", 0, Some((0, 0)));
        check("10-11", 10, None);
        check("11-", 10, None);
    }
}
