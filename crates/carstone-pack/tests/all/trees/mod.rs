//! Extracts packs to temporary directories and looks at what came of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use carstone_pack::fs::{
    ExtractOptions, ExtractReport, RestoreEvent, RestoreOptions, Selection, Skip, extract_reader,
    extract_stream,
};
use carstone_pack::{Metadata, PackStream, Timestamp};

use crate::support::Packed;

/// A way to extract a pack.
pub type Way = fn(&Packed, &Path, &Selection, &ExtractOptions) -> Outcome;

/// What an extraction told.
#[derive(Debug, Default)]
pub struct Outcome {
    pub report: ExtractReport,
    pub restored: Vec<String>,
    pub skipped: Vec<(String, Skip)>,
    pub problems: Vec<(String, String)>,
}

impl Outcome {
    pub fn hear(&mut self, event: RestoreEvent) {
        let text = |path: &[u8]| path.escape_ascii().to_string();
        match event {
            RestoreEvent::Restored { path, .. } => self.restored.push(text(&path)),
            RestoreEvent::Skipped { path, why } => self.skipped.push((text(&path), why)),
            RestoreEvent::Problem { path, error } => {
                let causes =
                    std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
                let causes: Vec<String> = causes.map(ToString::to_string).collect();
                self.problems.push((text(&path), causes.join(": ")));
            }
            _ => {}
        }
    }

    #[track_caller]
    pub fn is_clean(&self) {
        assert!(self.report.is_complete(), "{self:?}");
        assert!(self.problems.is_empty() && self.skipped.is_empty(), "{self:?}");
    }
}

pub fn at_random(
    packed: &Packed,
    target: &Path,
    selection: &Selection,
    options: &ExtractOptions,
) -> Outcome {
    let mut outcome = Outcome::default();
    let report = extract_reader(&packed.reader(), target, selection, options, &mut |event| {
        outcome.hear(event);
    });
    outcome.report = report.expect("the target can be used");
    outcome
}

pub fn from_stream(
    packed: &Packed,
    target: &Path,
    selection: &Selection,
    options: &ExtractOptions,
) -> Outcome {
    let stream = PackStream::open(packed.bytes.as_slice(), packed.id).expect("a CAR header");
    let mut outcome = Outcome::default();
    let report = extract_stream(stream, target, selection, options, &mut |event| {
        outcome.hear(event);
    });
    outcome.report = report.expect("the target can be used");
    outcome
}

/// What stands in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    File { mode: u32, mtime: (i64, i64), content: Vec<u8> },
    Directory { mode: u32, mtime: (i64, i64) },
    Symlink { mtime: (i64, i64), target: Vec<u8> },
    Other,
}

/// Everything below `root`, and `root` itself under the empty path.
pub fn tree(root: &Path) -> BTreeMap<Vec<u8>, Thing> {
    let mut found = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let full = root.join(&path);
        let stat = fs::symlink_metadata(&full).expect("it was listed");
        let (mode, mtime) = (stat.permissions().mode() & 0o7777, (stat.mtime(), stat.mtime_nsec()));
        let thing = if stat.is_symlink() {
            let target = fs::read_link(&full).expect("a symlink").into_os_string().into_vec();
            Thing::Symlink { mtime, target }
        } else if stat.is_dir() {
            let list = fs::read_dir(&full).expect("a directory");
            todo.extend(list.map(|item| path.join(item.expect("a directory").file_name())));
            Thing::Directory { mode, mtime }
        } else if stat.is_file() {
            Thing::File { mode, mtime, content: fs::read(&full).expect("a file") }
        } else {
            Thing::Other
        };
        found.insert(path.into_os_string().into_vec(), thing);
    }
    found
}

/// Names below `root`, without `root` itself.
pub fn names(root: &Path) -> Vec<String> {
    let all = tree(root).into_keys().filter(|path| !path.is_empty());
    all.map(|path| path.escape_ascii().to_string()).collect()
}

pub fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

pub fn meta(mode: u32, seconds: i64) -> Metadata {
    Metadata::new(mode, Timestamp { seconds, nanos: 123_456_789 })
}

/// Modes exactly, so that the umask of the process does not matter.
pub fn exact() -> ExtractOptions {
    ExtractOptions::default().restore(RestoreOptions::default().same_permissions(true))
}
