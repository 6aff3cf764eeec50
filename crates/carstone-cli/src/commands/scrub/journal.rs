//! What a run has found sound, so that another can go on.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};

use crate::names;

/// A file of lines, one for each file that was sound, and how it looked then.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    seen: HashSet<String>,
}

impl Journal {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// It cannot be read or written to, or is something else.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        let mut seen = HashSet::new();
        match File::open(path) {
            Ok(file) => {
                for line in BufReader::new(file).lines() {
                    let line = line.with_context(name)?;
                    // The last one may have been cut off.
                    if serde_json::from_str::<Map<String, Value>>(&line).is_ok() {
                        seen.insert(line);
                    } else {
                        ensure!(
                            line.is_empty() || line.starts_with('{'),
                            "{}: is no journal of `scrub`",
                            name()
                        );
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(name),
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(name)?;
        let mut journal = Self { path: path.to_owned(), file, seen };
        journal.write("\n")?;
        Ok(journal)
    }

    /// Whether a file was sound and looks as it did then.
    pub(super) fn has(&self, path: &Path, metadata: &Metadata) -> bool {
        self.seen.contains(&line(path, metadata))
    }

    /// Notes that a file is sound.
    pub(super) fn note(&mut self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        self.write(&format!("{}\n", line(path, metadata)))
    }

    /// All was looked at.
    pub(super) fn end(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.file.write_all(text.as_bytes()).with_context(|| self.path.display().to_string())
    }
}

fn line(path: &Path, metadata: &Metadata) -> String {
    let mut fields = Map::new();
    names::put(&mut fields, "path", path.as_os_str().as_bytes());
    fields.insert("len".to_owned(), metadata.len().into());
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let stamp = since.map(|since| format!("{}.{:09}", since.as_secs(), since.subsec_nanos()));
    fields.insert("modified".to_owned(), stamp.into());
    Value::Object(fields).to_string()
}
