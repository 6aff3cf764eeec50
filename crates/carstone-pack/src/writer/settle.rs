//! Writes what the pool has finished, in order, and remembers it for the manifest.

use std::collections::HashMap;
use std::io;

use carstone_car::Cid;
use carstone_layer::{Hint, LayerWrite, PackId};
use carstone_unixfs::{Link, Profile, symlink};

use super::directories::BlockOut;
use super::front::Settle;
use super::jobs::{Done, Hashed};
use super::options::{PackOptions, Problem, ProblemKind, Summary};
use super::sections::Sections;
use super::streamed::OpenFile;
use super::{directories, far};
use crate::entry::{Announced, EntryKind, Listed, Run};
use crate::record::Batch;
use crate::sorter::Sorter;

/// The writing half of a pack writer.
pub(super) struct Settled<W: LayerWrite> {
    pub(super) sections: Sections<W>,
    pub(super) problems: Vec<Problem>,
    pub(super) open: HashMap<u64, OpenFile>,
    pub(super) manifest: Sorter,
    /// Where the leaves that come next would be attributed to.
    pub(super) current: Option<u64>,
    /// Entries that hard links will name, and their links once they are written.
    originals: HashMap<u64, Option<Link>>,
    profile: Profile,
    entries: u64,
    pub(super) size: u64,
}

impl<W: LayerWrite> Settled<W> {
    pub(super) fn new(
        pipe: W,
        pack: PackId,
        profile: &Profile,
        options: &PackOptions,
    ) -> io::Result<Self> {
        Ok(Self {
            sections: Sections::new(pipe, pack, options.index_budget())?,
            problems: Vec::new(),
            open: HashMap::new(),
            manifest: Sorter::new(options.manifest_budget()),
            current: None,
            originals: HashMap::new(),
            profile: profile.clone(),
            entries: 0,
            size: 0,
        })
    }

    pub(super) fn finish(mut self, profile: &Profile) -> io::Result<(W, Summary)> {
        // Entries that were never ended do not count; what is in the stream of them is dropped by readers.
        self.open.clear();
        let manifest = std::mem::replace(&mut self.manifest, Sorter::new(0)).finish()?;
        self.sections.hint(Hint::SeekUnit(SEEK_UNIT))?;
        let built = directories::write(&mut self.sections, &manifest, profile)?;
        let (entries, size) = (self.entries, self.size);
        far::write(&mut self.sections, &manifest, &built, entries, size)?;
        let summary = Summary {
            root: built.root,
            entries,
            blocks: self.sections.blocks(),
            size,
            stream_len: self.sections.position(),
        };
        Ok((self.sections.finish()?, summary))
    }

    /// Writes batch records, each followed by the data of its entries.
    fn batch(
        &mut self,
        entries: Vec<Result<Hashed, Box<(Announced, io::Error)>>>,
    ) -> io::Result<()> {
        let mut group: Vec<Hashed> = Vec::new();
        for entry in entries {
            let mut hashed = match entry {
                Ok(hashed) => hashed,
                Err(lost) => {
                    let (entry, error) = *lost;
                    self.problem(&entry.path, ProblemKind::Unreadable(error));
                    continue;
                }
            };
            let there = |id| {
                matches!(self.originals.get(&id), Some(Some(_)))
                    || group.iter().any(|earlier| earlier.entry.id == id)
            };
            if hashed.entry.target_id.is_some_and(|id| !there(id)) {
                self.problem(&hashed.entry.path, ProblemKind::LostOriginal);
                continue;
            }
            if std::mem::take(&mut hashed.changed) {
                self.problem(&hashed.entry.path, ProblemKind::Changed);
            }
            // The ids of a batch are consecutive.
            if group.last().is_some_and(|last| last.entry.id + 1 != hashed.entry.id) {
                self.group(std::mem::take(&mut group))?;
            }
            group.push(hashed);
        }
        match group.is_empty() {
            true => Ok(()),
            false => self.group(group),
        }
    }

    fn group(&mut self, group: Vec<Hashed>) -> io::Result<()> {
        let (entries, contents): (Vec<_>, Vec<_>) =
            group.into_iter().map(|hashed| (hashed.entry, hashed.data)).unzip();
        let record = self.sections.record(&Batch::encode(&self.sections.pack, &entries))?;
        self.current = None;
        for (entry, data) in entries.into_iter().zip(contents) {
            let (link, runs) = match entry.kind {
                EntryKind::File => self.whole_file(&entry, &data)?,
                EntryKind::Symlink => self.symlink(&entry)?,
                EntryKind::Directory => (None, Vec::new()),
                EntryKind::HardLink => {
                    self.hard_link(entry, record)?;
                    continue;
                }
            };
            if let Some(link) = link {
                self.keep_original(entry.id, link);
            }
            self.list(entry, record, link, runs, None)?;
        }
        Ok(())
    }

    fn whole_file(
        &mut self,
        entry: &Announced,
        data: &[u8],
    ) -> io::Result<(Option<Link>, Vec<Run>)> {
        let Some(cid) = entry.root else { return Err(io::ErrorKind::InvalidInput.into()) };
        let position = self.sections.content(&cid, data)?;
        self.size += data.len() as u64;
        let link = Link { cid, tsize: data.len() as u64 };
        Ok((Some(link), vec![Run { offset: 0, position }]))
    }

    fn symlink(&mut self, entry: &Announced) -> io::Result<(Option<Link>, Vec<Run>)> {
        let mut position = 0;
        let target = entry.target.as_deref().unwrap_or_default();
        let link = symlink(&self.profile, target, &mut |cid: &Cid, node: &[u8]| {
            position = self.sections.content(cid, node)?;
            Ok(())
        })?;
        Ok((Some(link), vec![Run { offset: 0, position }]))
    }

    /// In the DAG, a hard link is one more link to the same root.
    fn hard_link(&mut self, mut entry: Announced, record: u64) -> io::Result<()> {
        let link = entry.target_id.and_then(|id| self.originals.get(&id).copied().flatten());
        entry.size = None;
        self.list(entry, record, link, Vec::new(), None)
    }

    /// Keeps an entry for the manifest.
    pub(super) fn list(
        &mut self,
        entry: Announced,
        record: u64,
        link: Option<Link>,
        runs: Vec<Run>,
        sha256: Option<[u8; 32]>,
    ) -> io::Result<()> {
        self.entries += 1;
        let many = runs.len() > MAX_RUNS;
        let listed = Listed {
            path: entry.path,
            kind: entry.kind,
            id: Some(entry.id),
            record: Some(record),
            mode: entry.metadata.mode,
            mtime: entry.metadata.mtime,
            size: entry.size,
            root: link.filter(|_| many).map(|link| link.cid),
            sha256,
            target: entry.target,
            runs: if many { Vec::new() } else { runs },
        };
        directories::keep(&mut self.manifest, &listed, link)
    }

    /// Remembers the link of an entry that hard links will name.
    pub(super) fn keep_original(&mut self, id: u64, link: Link) {
        if let Some(original) = self.originals.get_mut(&id) {
            *original = Some(link);
        }
    }

    pub(super) fn problem(&mut self, path: &[u8], kind: ProblemKind) {
        self.problems.push(Problem { path: path.to_vec(), kind });
    }
}

impl<W: LayerWrite> Settle for Settled<W> {
    fn settle(&mut self, done: Done) -> io::Result<()> {
        match done {
            Done::Batch(entries) => self.batch(entries),
            Done::Leaf { id, leaf } => self.leaf(id, &leaf.block, leaf.cid),
            Done::End { id, how } => self.end(id, how),
        }
    }

    fn position(&self) -> u64 {
        self.sections.position()
    }

    fn open_entry(&mut self, entry: Announced) {
        self.open.insert(entry.id, OpenFile::new(entry, &self.profile));
    }

    fn forget_entry(&mut self, id: u64) -> Option<Announced> {
        self.open.remove(&id).map(|file| file.entry)
    }

    fn mark_streamed(&mut self, id: u64) {
        if let Some(file) = self.open.get_mut(&id) {
            file.streamed = true;
        }
    }

    fn is_streamed(&self, id: u64) -> bool {
        self.open.get(&id).is_some_and(|file| file.streamed)
    }

    fn expect_hard_links(&mut self, id: u64) {
        self.originals.insert(id, None);
    }

    fn problems(&mut self) -> &mut Vec<Problem> {
        &mut self.problems
    }
}

/// Above this a file is read through its nodes and the index.
pub(super) const MAX_RUNS: usize = 8192;
/// Plain bytes of a compression frame in the far region: half of what the format allows (`docs/format.md`, section 7.6), since a look-up decodes a few
/// of them.
const SEEK_UNIT: u32 = 128 << 10;
