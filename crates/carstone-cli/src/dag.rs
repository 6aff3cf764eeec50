//! Files in a plain CAR: a walk over its DAG.

use std::io::Read;

use carstone::car::Cid;
use carstone::pack::{EntryKind, Timestamp};
use carstone::unixfs::{self, FileReader, Limits, State, Step, resolve, walk};
use sha2::{Digest, Sha256};

use crate::input::{PlainCar, chain};
use crate::rows::Row;

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
/// directory is called [`UNNAMED`].
pub(crate) fn visit(
    car: &PlainCar,
    digests: bool,
    found: &mut dyn FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for root in car.roots() {
        let mut failed = None;
        let mut visitor = |entry: unixfs::Entry| {
            let path = path_of(car, root, &entry);
            match found(row(car, entry, path, digests)) {
                Ok(()) => Ok(Step::Into),
                Err(error) => {
                    failed = Some(error);
                    Ok(Step::Stop)
                }
            }
        };
        walk(car, root, &Limits::default(), &mut visitor)?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
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
        roots => {
            let cut = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            let root = roots.iter().find(|root| root.to_string().as_bytes() == &path[..cut])?;
            Some((root, path.get(cut + 1..).unwrap_or_default()))
        }
    }
}

fn path_of(car: &PlainCar, root: &Cid, entry: &unixfs::Entry) -> Vec<u8> {
    let mut path = match car.roots() {
        [_] if entry.path.is_empty() && !is_directory(&entry.kind) => UNNAMED.to_vec(),
        [_] => Vec::new(),
        _ => root.to_string().into_bytes(),
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
        return unusable(path, fault, false);
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
    };
    Ok((row, entry.cid))
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
