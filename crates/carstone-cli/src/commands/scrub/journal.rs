//! What a run has found sound, so that another can go on.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use carstone::pack::fs::FileId;
use serde_json::{Map, Value};

use crate::names;

/// A file whose first line says what it is, with a line more for each file that was sound, and how it looked then.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    seen: HashSet<String>,
}

impl Journal {
    /// Opens it, or makes it. An empty file becomes one.
    ///
    /// # Errors
    /// It cannot be read or written to, or is something else, which stays as it is.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        // Opening a pipe would wait for somebody at its other end.
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                bail!("{}: is no journal of `scrub`: no regular file", name())
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(name);
            }
            _ => {}
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = file.with_context(name)?;
        let Some((seen, end)) = read(&file).with_context(name)? else {
            bail!("{}: is no journal of `scrub`", name())
        };
        let mut journal = Self { path: path.to_owned(), file, seen };
        // The last line may have been cut off.
        journal.file.set_len(end).with_context(name)?;
        if end == 0 {
            journal.write(FIRST)?;
        }
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

    /// All was looked at: it goes, unless something else has its name by now.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let name = || self.path.display().to_string();
        // Where its name is a link, the file stays behind.
        self.file.set_len(0).with_context(name)?;
        let named = fs::metadata(&self.path).map(|metadata| FileId::from(&metadata));
        match named.ok() == FileId::of(&self.file).ok() {
            true => fs::remove_file(&self.path).with_context(name),
            false => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.file.write_all(text.as_bytes()).with_context(|| self.path.display().to_string())
    }
}

/// The lines of a journal, and where the last whole one ends; `None` where it is none.
fn read(file: &File) -> std::io::Result<Option<(HashSet<String>, u64)>> {
    let (mut reader, mut seen) = (BufReader::new(file), HashSet::new());
    let mut line = Vec::new();
    reader.by_ref().take(FIRST.len() as u64).read_to_end(&mut line)?;
    if line != FIRST.as_bytes() {
        return Ok(line.is_empty().then_some((seen, 0)));
    }
    let mut end = line.len() as u64;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        let Some(whole) = line.strip_suffix(b"\n") else {
            return Ok((read == 0 || line.starts_with(b"{")).then_some((seen, end)));
        };
        match std::str::from_utf8(whole) {
            Ok(text) if is_line(text) => seen.insert(text.to_owned()),
            _ => return Ok(None),
        };
        end += read as u64;
    }
}

/// Whether a line is as [`line`] makes them.
fn is_line(text: &str) -> bool {
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(text) else { return false };
    let is_known = |(key, value): (&String, &Value)| match key.as_str() {
        "len" => value.is_u64(),
        "modified" => value.is_string() || value.is_null(),
        "path" | "path_base64" => value.is_string(),
        _ => false,
    };
    ["len", "modified", "path"].iter().all(|key| fields.contains_key(*key))
        && fields.iter().all(is_known)
        && serde_json::to_string(&fields).is_ok_and(|made| made == text)
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

/// The first line.
const FIRST: &str = "{\"type\":\"scrub-journal\",\"version\":1}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_was_left_is_read_again() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let [path, plain] = ["journal", "plain"].map(|name| place.path().join(name));
        let odd = place.path().join(std::ffi::OsStr::from_bytes(b"odd\xff\"\n"));
        let files = [&plain, &odd].map(|file| {
            fs::write(file, "anything").expect("written");
            (file, file.metadata().expect("there"))
        });
        let mut journal = Journal::open(&path).expect("made");
        files.iter().for_each(|(file, metadata)| journal.note(file, metadata).expect("noted"));
        drop(journal);
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.starts_with(FIRST), "{text}");
        fs::write(&path, format!("{text}{{\"le")).expect("written");
        let journal = Journal::open(&path).expect("read again");
        assert!(files.iter().all(|(file, metadata)| journal.has(file, metadata)));
        assert!(!journal.has(&path, &files[0].1));
        assert_eq!(fs::read_to_string(&path).expect("read"), text, "without the half line");
        // What has got its name meanwhile is not the journal.
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "mine").expect("written");
        journal.end().expect("ended");
        assert_eq!(fs::read_to_string(&path).expect("read"), "mine");
    }
}
