//! What is read of a damaged pack, compared with the original as it comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use anyhow::{Context, ensure};
use carstone::car::{cid_of, codec};
use carstone::layer::{FailSafeRead, ReadAt};
use carstone::pack::{Announced, EntryKind, Event, PackStream, StreamOptions};
use carstone::repair::{Item as Told, Salvage};
use carstone::stack::{self, Opened};

use super::packs::{Item, KEY, Tree, at, reading};

/// What came of a pack, all of it right.
#[derive(Default)]
pub struct Found {
    /// Paths of complete entries.
    pub whole: BTreeSet<Vec<u8>>,
    /// Paths that are known, complete or not.
    pub named: BTreeSet<Vec<u8>>,
    /// Bytes of files that are not complete.
    pub partial: u64,
    /// Where parts of leaves end that have come of files, from the first byte of the file on.
    pub begun: BTreeMap<Vec<u8>, u64>,
    /// Gaps and faults.
    pub damage: u64,
}

/// Reads all that is left; a wrong byte is an error.
pub fn salvaged<R: FailSafeRead>(mut salvage: Salvage<R>, tree: &Tree) -> anyhow::Result<Found> {
    let mut reading = Reading::new(tree);
    while let Some(told) = salvage.next().context("the source failed")? {
        match told {
            Told::Event(event) => reading.event(event)?,
            Told::Gap(_) | Told::Fault(_) => reading.found.damage += 1,
            _ => {}
        }
    }
    ensure!(reading.files.is_empty(), "a file is neither complete nor incomplete");
    Ok(reading.found)
}

/// The same, of a pack that healing may have put in order first. Nothing where no pack is left.
pub fn salvaged_at(damaged: &[u8], tree: &Tree) -> anyhow::Result<Found> {
    match stack::salvage_at(damaged, &KEY, &reading(), &mut |_| ()) {
        Ok((salvage, report)) => {
            let mut found = salvaged(salvage, tree)?;
            found.damage += u64::from(report.is_some());
            Ok(found)
        }
        Err(_) => Ok(Found { damage: 1, ..Found::default() }),
    }
}

/// Reads front to back up to the first damage, for which `Found::damage` then stands.
pub fn streamed(stored: &[u8], tree: &Tree) -> anyhow::Result<Found> {
    let mut reading = Reading::new(tree);
    let done = stream_into(stored, &mut reading)?;
    reading.found.damage += u64::from(!done);
    Ok(reading.found)
}

fn stream_into(stored: &[u8], into: &mut Reading<'_>) -> anyhow::Result<bool> {
    let Ok(streamed) = stack::stream(stored, &KEY, &reading()) else { return Ok(false) };
    let id = streamed.pack_id();
    let options = StreamOptions::default().threads(1);
    let Ok(mut pack) = PackStream::with_options(streamed, id, options) else { return Ok(false) };
    loop {
        match pack.next() {
            Ok(Some(event)) => into.event(event)?,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        }
    }
}

/// Reads a pack at random, file by file. Nothing where it cannot be opened.
pub fn listed(opened: &Opened, tree: &Tree) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let Ok(pack) = opened.pack() else { return Ok(found) };
    for entry in pack.entries() {
        let Ok(entry) = entry else { break };
        let announced = pack.announced(&entry);
        // Directories that only paths imply were never written.
        if matches!(announced, Ok(None)) {
            continue;
        }
        found.named.insert(entry.path.clone());
        let mut body = entry.target.clone().unwrap_or_default();
        let is_read = entry.kind != EntryKind::File
            || pack.open_file(&entry).is_ok_and(|mut file| file.read_to_end(&mut body).is_ok());
        if is_read && announced.is_ok() {
            same(tree, &entry.path, entry.kind, &body)?;
            found.whole.insert(entry.path);
        }
    }
    Ok(found)
}

/// Fails where the entry is another one.
fn same(tree: &Tree, path: &[u8], kind: EntryKind, body: &[u8]) -> anyhow::Result<()> {
    let mut there = at(tree, path)?;
    // Where its batch is lost, a hard link is one more file: nothing else told them apart.
    if there.kind == EntryKind::HardLink && kind != EntryKind::HardLink {
        there = at(tree, &there.body)?;
    }
    let Item { kind: due, body: content, .. } = there;
    ensure!(kind == *due, "{} is a {kind}, was a {due}", path.escape_ascii());
    ensure!(body == content, "{} is told to be complete, and is wrong", path.escape_ascii());
    Ok(())
}

/// Events of a pack, put together.
struct Reading<'a> {
    tree: &'a Tree,
    found: Found,
    files: HashMap<u64, Announced>,
    pieces: HashMap<u64, BTreeMap<u64, Vec<u8>>>,
    leaves: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Reading<'a> {
    fn new(tree: &'a Tree) -> Self {
        let (files, pieces, leaves) = Default::default();
        Self { tree, found: Found::default(), files, pieces, leaves }
    }

    fn event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Entry(entry) => self.entry(entry)?,
            Event::Leaf { cid, data, uses } => {
                for place in uses {
                    self.put(place.id, place.offset, &data)?;
                }
                self.leaves.insert(cid.to_bytes(), data);
            }
            Event::Reuse { id, offset, cid, .. } => {
                let data = self.leaves.get(&cid.to_bytes());
                let data = data.context("content that was not given")?.clone();
                self.put(id, offset, &data)?;
            }
            Event::Part { data, proved, uses } => {
                for place in uses {
                    self.part(place.id, place.offset, &data, proved)?;
                }
            }
            Event::End { id, size, sha256, .. } => {
                let entry = self.files.remove(&id).context("an end without an entry")?;
                let body = self.pieces.remove(&id).unwrap_or_default();
                let body: Vec<u8> = body.into_values().flatten().collect();
                // Who reads compares with the digest that is stated; what is not so is not complete.
                let cid = cid_of(codec::RAW, &body);
                let is_stated = sha256.is_none_or(|sha256| cid.hash().digest() == sha256);
                if body.len() as u64 == size && is_stated {
                    same(self.tree, &entry.path, EntryKind::File, &body)?;
                    self.whole(entry.path)?;
                }
            }
            Event::Incomplete { id, .. } => {
                let entry = self.files.remove(&id).context("an end without an entry")?;
                self.incomplete(&entry.path, id)?;
            }
            Event::Abandoned { id } => drop(self.files.remove(&id)),
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, entry: Announced) -> anyhow::Result<()> {
        let there = at(self.tree, &entry.path)?;
        if let Some(mode) = entry.metadata.mode {
            // A hard link that is told as a file has the mode of its original.
            let is_same = mode == there.mode || there.kind == EntryKind::HardLink;
            ensure!(is_same, "{} has mode {mode:o}", entry.path.escape_ascii());
        }
        self.found.named.insert(entry.path.clone());
        if entry.kind == EntryKind::File {
            let twice = self.files.insert(entry.id, entry);
            ensure!(twice.is_none(), "an entry is announced twice");
            return Ok(());
        }
        let target = entry.target.unwrap_or_default();
        same(self.tree, &entry.path, entry.kind, &target)?;
        self.whole(entry.path)
    }

    fn put(&mut self, id: u64, offset: u64, data: &[u8]) -> anyhow::Result<()> {
        ensure!(self.files.contains_key(&id), "content of no entry");
        self.pieces.entry(id).or_default().insert(offset, data.to_vec());
        Ok(())
    }

    /// What is proved of a part must be right. Without a frame there is no proof.
    fn part(&mut self, id: u64, offset: u64, data: &[u8], proved: usize) -> anyhow::Result<()> {
        let path = &self.files.get(&id).context("a part of no entry")?.path;
        let original = self.original(path)?;
        let due = original.body.get(usize::try_from(offset)?..).unwrap_or_default();
        let is_right = due.starts_with(data.get(..proved).context("more is proved than came")?);
        ensure!(is_right, "wrong bytes of a part of {} at {offset}", path.escape_ascii());
        // What is not proved counts where it is right.
        let end = self.found.begun.entry(path.clone()).or_default();
        if due.starts_with(data) {
            *end = (*end).max(offset + data.len() as u64);
        }
        Ok(())
    }

    /// The file at `path`, or the one that a hard link there links to.
    fn original(&self, path: &[u8]) -> anyhow::Result<&'a Item> {
        let there = at(self.tree, path)?;
        match there.kind {
            EntryKind::HardLink => at(self.tree, &there.body),
            _ => Ok(there),
        }
    }

    fn whole(&mut self, path: Vec<u8>) -> anyhow::Result<()> {
        let text = path.escape_ascii().to_string();
        ensure!(self.found.whole.insert(path), "{text} is told to be complete twice");
        Ok(())
    }

    fn incomplete(&mut self, path: &[u8], id: u64) -> anyhow::Result<()> {
        let there = self.original(path)?;
        for (offset, piece) in self.pieces.remove(&id).unwrap_or_default() {
            let start = usize::try_from(offset)?;
            let due = there.body.get(start..start + piece.len());
            let place = || format!("{} at {offset}", path.escape_ascii());
            ensure!(due == Some(&piece[..]), "wrong bytes of a file with holes, {}", place());
            self.found.partial += piece.len() as u64;
        }
        Ok(())
    }
}

/// All bytes of a source.
pub fn bytes_of(source: &impl ReadAt) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(source.size()?)?];
    source.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
