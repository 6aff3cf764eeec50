//! `carstone cat`: the content of one file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use anyhow::{Context, anyhow, bail};
use carstone::car::Cid;
use carstone::pack::{EntryKind, Event};
use carstone::unixfs::{self, FileReader, resolve};
use sha2::{Digest, Sha256};

use crate::cli::{ByteRange, CatArgs};
use crate::dag;
use crate::exit::Exit;
use crate::input::{Input, Pack, PlainCar, chain, restart};
use crate::keys::Keys;
use crate::names::escaped;
use crate::output::{Output, stdout_error};
use crate::source::{Bytes, Source};

/// Writes the file to standard output.
pub(crate) fn run(args: CatArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::new(&args.keys, &args.pack)?;
    // A hard link or a repeated block may need what came before, so a pipe is kept in a temporary file.
    let source = Source::open(&args.pack)?.spooled()?;
    source.tell_kept(output);
    let name = source.name.clone();
    let path = args.path.as_bytes();
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let again = match &source.bytes {
        Bytes::File(file) => file.try_clone().context("cannot open it again")?,
        Bytes::Pipe(_) => bail!("{name}: cannot be read twice"),
    };
    let range = args.range;
    match Input::open(source, &keys, None)? {
        Input::Pack(pack) => {
            from_pack(&pack, path, range, output).with_context(|| name.clone())?;
            pack.tell_corrections(&name, output)?;
        }
        Input::Car(car) => {
            from_car(&car, path, range, output).with_context(|| name.clone())?;
            car.tell_faults(&name, output)?;
        }
        Input::Front(front, fault) => {
            drop(front);
            let found = from_front(&again, &keys, path, output).with_context(|| name.clone())?;
            send(found.content, found.size, range, found.sha256, path, output)?;
            if let Some(fault) = fault {
                output.problem(name.as_bytes(), &chain(&fault))?;
            }
        }
    }
    Ok(Exit::found(output.problems() > 0))
}

fn from_pack(
    pack: &Pack,
    path: &[u8],
    range: Option<ByteRange>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let reader = &pack.reader;
    let entry = reader.find(path)?.ok_or_else(|| no_entry(path))?;
    let entry = match entry.kind {
        EntryKind::HardLink => reader.original(&entry)?.unwrap_or(entry),
        _ => entry,
    };
    check_kind(entry.kind, path, entry.target.as_deref())?;
    let file = reader.open_file(&entry)?;
    // The leaf of a file that is one leaf has been compared with its digest already.
    let several = entry.sha256.is_some();
    let sha256 = if several && range.is_none() { reader.sha256(&entry)? } else { None };
    let size = file.len();
    send(file, size, range, sha256, path, output)
}

fn from_car(
    car: &PlainCar,
    path: &[u8],
    range: Option<ByteRange>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let (root, below) = dag::locate(car, path).ok_or_else(|| no_entry(path))?;
    let entry = resolve(car, root, below)?.ok_or_else(|| no_entry(path))?;
    match entry.kind {
        unixfs::EntryKind::Directory => check_kind(EntryKind::Directory, path, None)?,
        unixfs::EntryKind::Symlink { target } => {
            check_kind(EntryKind::Symlink, path, Some(&target))?;
        }
        _ => {}
    }
    let file = FileReader::open(car, &entry.cid)?;
    let size = file.len();
    send(file, size, range, None, path, output)
}

/// A file out of a pack that can only be read front to back.
struct Found {
    content: File,
    size: u64,
    /// `None` where only its beginning is left.
    sha256: Option<[u8; 32]>,
}

/// Reads the pack once to learn of which leaves the file is made, and once to collect them. Of a file with holes, what stands before the
/// first is given.
fn from_front(file: &File, keys: &Keys, path: &[u8], output: &mut Output) -> anyhow::Result<Found> {
    let mut path = path.to_vec();
    let plan = loop {
        match plan(file, keys, &path)? {
            Planned::File(plan) => break plan,
            Planned::Link(original) => path = original,
        }
    };
    if !plan.missing.is_empty() || plan.sha256.is_none() {
        output.problem(&path, &"parts of it are missing; what stands before them is given")?;
    }
    let content = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut front = restart(file, keys, None)?;
    let mut missing = plan.places.len();
    while missing > 0 {
        match front.next(&mut |_| {}).map_err(|error| anyhow!("{}", chain(&error)))? {
            Some(Event::Leaf { cid, data, .. }) => {
                for offset in plan.places.get(&cid).into_iter().flatten() {
                    content.write_all_at(&data, *offset).context("cannot keep the file's parts")?;
                }
                missing -= usize::from(plan.places.contains_key(&cid));
            }
            Some(_) => {}
            None => bail!("{}: parts of it are not in the pack", escaped(&path)),
        }
    }
    let size = plan.missing.first().map_or(plan.size, |hole| hole.start);
    Ok(Found { content, size, sha256: plan.sha256 })
}

enum Planned {
    File(Plan),
    /// The path is another name of this one.
    Link(Vec<u8>),
}

struct Plan {
    /// File offsets at which each leaf is content.
    places: HashMap<Cid, Vec<u64>>,
    size: u64,
    missing: Vec<Range<u64>>,
    sha256: Option<[u8; 32]>,
}

fn plan(file: &File, keys: &Keys, path: &[u8]) -> anyhow::Result<Planned> {
    let mut front = restart(file, keys, None)?;
    let mut wanted = None;
    let mut places: HashMap<Cid, Vec<u64>> = HashMap::new();
    let (mut end, mut damage) = (0, None);
    loop {
        let event = front.next(&mut |what| {
            damage.get_or_insert_with(|| what.to_owned());
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
                let (missing, sha256) = (Vec::new(), Some(sha256));
                return Ok(Planned::File(Plan { places, size, missing, sha256 }));
            }
            Event::Incomplete { id, size, missing } if Some(id) == wanted => {
                let size = size.unwrap_or(end);
                return Ok(Planned::File(Plan { places, size, missing, sha256: None }));
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

/// Writes a range of `source`, and compares the whole with `sha256`.
fn send(
    mut source: impl Read + Seek,
    size: u64,
    range: Option<ByteRange>,
    sha256: Option<[u8; 32]>,
    path: &[u8],
    output: &mut Output,
) -> anyhow::Result<()> {
    let (start, end) = bounds(range, size)?;
    let sha256 = sha256.filter(|_| start == 0 && end == size);
    source.seek(SeekFrom::Start(start)).context("cannot seek")?;
    let mut hasher = Sha256::new();
    let mut content = output.content(true)?;
    let mut left = end - start;
    let mut buffer = vec![0; BUFFER];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = match source.read(&mut buffer[..most]) {
            Ok(0) => bail!("{}: stops before byte {end}", escaped(path)),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(anyhow!("{}", crate::input::io_chain(&error))),
        };
        if sha256.is_some() {
            hasher.update(&buffer[..n]);
        }
        content.write_all(&buffer[..n]).map_err(stdout_error)?;
        left -= n as u64;
    }
    content.flush().map_err(stdout_error)?;
    if sha256.is_some_and(|stated| stated[..] != hasher.finalize()[..]) {
        output.problem(path, &"its content does not have the SHA-256 that the pack states")?;
    }
    Ok(())
}

/// Start and end of a range in a file of `size` bytes.
fn bounds(range: Option<ByteRange>, size: u64) -> anyhow::Result<(u64, u64)> {
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
