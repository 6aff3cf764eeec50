//! Files in a plain CAR: a walk over its DAG.

use std::io::{Read as _, Seek, SeekFrom};
use std::ops::Range;

use carstone::car::Cid;
use carstone::car::dag::{NodeLimits, links};
use carstone::pack::{EntryKind, Timestamp};
use carstone::unixfs::{
    self, BlockSource, ErrorKind, FileReader, Limits, State, Step, check_file, is_unixfs, resolve,
    walk,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::input::{PlainCar, chain};
use crate::losses::ranges;
use crate::rows::Row;
use crate::signals;

/// An entry and its root block, or what cannot be used.
pub(crate) type Found = Result<(Row, Cid), Unusable>;

/// What is no file, directory or link that can be restored.
pub(crate) struct Unusable {
    pub(crate) path: Vec<u8>,
    pub(crate) why: String,
    /// Its block is sound, and holds something else.
    pub(crate) is_foreign: bool,
}

/// Visits all entries below all roots. Below several roots each path starts with the root's CID; one root that is no
/// directory is called [`UNNAMED`]. Where a block of a directory or the root of a file is lost, what nothing links to any more comes too, under its CID.
pub(crate) fn visit(
    car: &PlainCar,
    digests: bool,
    found: &mut dyn FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let is_hurt = visit_each(car, car.roots(), false, digests, found)?;
    if is_hurt {
        visit_each(car, car.loose()?, true, digests, found)?;
    }
    Ok(())
}

/// Gives whether something is lost. Loose roots stand under their CIDs.
fn visit_each(
    car: &PlainCar,
    roots: &[Cid],
    is_loose: bool,
    digests: bool,
    found: &mut dyn FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut is_hurt = false;
    for root in roots {
        let mut failed = None;
        let mut visitor = |entry: unixfs::Entry| {
            let path = path_of(roots.len() > 1 || is_loose, root, &entry);
            let row = row(car, entry, path, digests);
            is_hurt |= row.as_ref().is_err_and(|problem| !problem.is_foreign);
            match found(row) {
                Ok(()) => Ok(Step::Into),
                Err(error) => {
                    failed = Some(error);
                    Ok(Step::Stop)
                }
            }
        };
        walk(car, root, &car.limits(), &mut visitor)?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(is_hurt)
}

/// What became of an entry that was read.
pub(crate) enum Read {
    Whole,
    /// A sound block that is no UnixFS.
    Foreign,
    Lost(Lost),
}

/// An entry that cannot be read, or not all of it.
pub(crate) struct Lost {
    pub(crate) path: Vec<u8>,
    /// What is wrong, where it begins.
    why: String,
    /// Bytes of a file that are missing.
    missing: Vec<Range<u64>>,
}

impl Lost {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let bytes: u64 = self.missing.iter().map(|range| range.end - range.start).sum();
        match &self.missing[..] {
            [] => self.why.clone(),
            [range] => {
                format!("{}; bytes {}–{} are lost", self.why, range.start, range.end - 1)
            }
            ranges => {
                format!("{}; {bytes} bytes are lost in {} places", self.why, ranges.len())
            }
        }
    }

    /// For programs.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if !self.missing.is_empty() {
            fields.insert("missing".to_owned(), ranges(&self.missing));
        }
        fields
    }
}

/// Reads all files below all roots.
///
/// # Errors
/// The source fails, or `heard` does.
pub(crate) fn read_all(
    car: &PlainCar,
    heard: &mut dyn FnMut(Read) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    visit(car, false, &mut |found| {
        signals::check()?;
        heard(match found {
            Err(problem) if problem.is_foreign => Read::Foreign,
            Err(problem) => {
                Read::Lost(Lost { path: problem.path, why: problem.why, missing: Vec::new() })
            }
            Ok((row, cid)) if row.kind == EntryKind::File => read(car, row, &cid, &mut buffer)?,
            Ok(_) => Read::Whole,
        })
    })
}

/// Looks at a file, and where something is wrong reads it, and past what cannot be read of it.
fn read(car: &PlainCar, row: Row, cid: &Cid, buffer: &mut [u8]) -> anyhow::Result<Read> {
    let why = match check_file(car, cid, None, &Limits::default()) {
        Ok(_) => return Ok(Read::Whole),
        Err(error) => {
            signals::check()?;
            if let ErrorKind::Io(source) = error.kind()
                && source.get_ref().is_none()
            {
                return Err(error.into());
            }
            chain(&error)
        }
    };
    // What repeats itself may take longer to read than anybody waits; which of its bytes are lost is not told then.
    if row.size.is_none_or(|size| size > car.most_to_read()) {
        return Ok(Read::Lost(Lost { path: row.path, why, missing: Vec::new() }));
    }
    let (mut why, mut missing) = (None, Vec::<Range<u64>>::new());
    match FileReader::open(car, cid) {
        Err(error) => why = Some(chain(&error)),
        Ok(mut reader) => loop {
            let error = match reader.read(buffer) {
                Ok(0) => break,
                Ok(_) => continue,
                Err(error) => unixfs::Error::from(error),
            };
            signals::check()?;
            if let ErrorKind::Io(source) = error.kind()
                && source.get_ref().is_none()
            {
                return Err(error.into());
            }
            why.get_or_insert_with(|| chain(&error));
            let hole = reader.unreadable();
            if hole.is_empty() {
                break;
            }
            reader.seek(SeekFrom::Start(hole.end))?;
            match missing.last_mut() {
                Some(last) if last.end == hole.start => last.end = hole.end,
                _ => missing.push(hole),
            }
        },
    }
    Ok(why.map_or(Read::Whole, |why| Read::Lost(Lost { path: row.path, why, missing })))
}

/// The root and the path below it that a path means.
pub(crate) fn locate<'a>(car: &'a PlainCar, path: &'a [u8]) -> Option<(&'a Cid, &'a [u8])> {
    match car.roots() {
        [root] if path == UNNAMED => {
            let entry = resolve(car, root, b"").ok().flatten();
            let is_it = entry.is_some_and(|entry| !is_directory(&entry.kind));
            Some((root, if is_it { b"" } else { path }))
        }
        [root] => Some((root, path)),
        roots => below_cid(roots, path),
    }
}

/// The loose root and the path below it that a path means.
pub(crate) fn locate_loose<'a>(
    car: &'a PlainCar,
    path: &'a [u8],
) -> anyhow::Result<Option<(&'a Cid, &'a [u8])>> {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    match std::str::from_utf8(first).is_ok_and(|first| Cid::try_from(first).is_ok()) {
        true => Ok(below_cid(car.loose()?, path)),
        false => Ok(None),
    }
}

fn below_cid<'a>(roots: &'a [Cid], path: &'a [u8]) -> Option<(&'a Cid, &'a [u8])> {
    let cut = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let root = roots.iter().find(|root| root.to_string().as_bytes() == &path[..cut])?;
    Some((root, path.get(cut + 1..).unwrap_or_default()))
}

fn path_of(is_under_cid: bool, root: &Cid, entry: &unixfs::Entry) -> Vec<u8> {
    let mut path = match is_under_cid {
        true => root.to_string().into_bytes(),
        false if entry.path.is_empty() && !is_directory(&entry.kind) => UNNAMED.to_vec(),
        false => Vec::new(),
    };
    if !path.is_empty() && !entry.path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(&entry.path);
    path
}

/// Whether it is a directory, or a part of one.
fn is_directory(kind: &unixfs::EntryKind) -> bool {
    matches!(kind, unixfs::EntryKind::Directory | unixfs::EntryKind::Shard)
}

fn row(car: &PlainCar, entry: unixfs::Entry, path: Vec<u8>, digests: bool) -> Found {
    let unusable = |path, why: String, is_foreign| Err(Unusable { path, why, is_foreign });
    let fault = match &entry.state {
        State::Present => None,
        State::Missing => Some(format!("block {} is not in the CAR", entry.cid)),
        State::Damaged(error) => Some(chain(error)),
        State::BadName(fault) => Some(format!("its name cannot be used: {fault}")),
        State::Duplicate => Some("the name stands twice".to_owned()),
        _ => Some("the entry is misplaced".to_owned()),
    };
    if let Some(fault) = fault {
        let is_foreign = entry.path.is_empty() && is_other_node(car, &entry);
        return unusable(path, fault, is_foreign);
    }
    let (kind, target) = match entry.kind {
        unixfs::EntryKind::File => (EntryKind::File, None),
        unixfs::EntryKind::Directory => (EntryKind::Directory, None),
        unixfs::EntryKind::Symlink { target } => (EntryKind::Symlink, Some(target)),
        unixfs::EntryKind::Other { codec: DAG_PB } => {
            return unusable(path, "is a DAG-PB node without UnixFS in it".to_owned(), true);
        }
        unixfs::EntryKind::Other { codec } => {
            return unusable(path, format!("is not UnixFS, but of the codec {codec:#x}"), true);
        }
        _ => return unusable(path, "a part of the directory is missing".to_owned(), false),
    };
    let sha256 = match (kind, digests) {
        (EntryKind::File, true) => match digest(car, &entry.cid) {
            Ok(digest) => Some(digest),
            Err(error) => return unusable(path, chain(&error), false),
        },
        _ => None,
    };
    let row = Row {
        path,
        kind,
        mode: entry.mode,
        mtime: entry.mtime.map(|(seconds, nanos)| Timestamp { seconds, nanos }),
        size: entry.size.filter(|_| kind == EntryKind::File),
        sha256,
        target,
        complete: true,
        cid: Some(entry.cid),
    };
    Ok((row, entry.cid))
}

/// Whether the block is what its CID says, and a sound dag-pb node with something else in it than UnixFS, well formed or not.
fn is_other_node(car: &PlainCar, entry: &unixfs::Entry) -> bool {
    let State::Damaged(error) = &entry.state else { return false };
    let is_node = |data: &Vec<u8>| {
        links(&entry.cid, data, &NodeLimits::default()).is_ok() && !is_unixfs(data)
    };
    matches!(error.kind(), ErrorKind::Malformed(_))
        && car.block(&entry.cid).is_ok_and(|data| data.as_ref().is_some_and(is_node))
}

/// SHA-256 of a file's content; of a raw leaf its CID tells it.
fn digest(car: &PlainCar, cid: &Cid) -> Result<[u8; 32], unixfs::Error> {
    let of_leaf = cid.codec() == RAW && cid.hash().code() == SHA2_256;
    if of_leaf && let Ok(digest) = cid.hash().digest().try_into() {
        return Ok(digest);
    }
    let mut reader = FileReader::open(car, cid)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// What a root without a name is called.
pub(crate) const UNNAMED: &[u8] = b"unknown";
const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const SHA2_256: u64 = 0x12;
