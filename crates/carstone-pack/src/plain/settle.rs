//! Writes what the pool has finished as blocks of a plain CAR, and remembers what the directories will link to.

use std::collections::HashMap;
use std::io::{self, Seek, Write};

use carstone_car::{CarFileWriter, Cid, codec, hash_code};
use carstone_unixfs::{FileBuilder, Layout, Leaf, Link, Profile, symlink};

use crate::block_map::{BlockKey, BlockMap};
use crate::entry::{Announced, EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::sorter::Sorter;
use crate::writer::directories::{self, BlockOut, is_representable};
use crate::writer::front::Settle;
use crate::writer::jobs::{Done, Ending, Hashed};
use crate::writer::sections::SEEN_BUDGET;
use crate::writer::{PackOptions, Problem, ProblemKind, Summary};

/// The writing half of a plain writer.
pub(super) struct PlainSettled<W> {
    blocks: Blocks<W>,
    problems: Vec<Problem>,
    open: HashMap<u64, OpenFile>,
    manifest: Sorter,
    /// Entries that hard links will name, and their links once they are written.
    originals: HashMap<u64, Option<Link>>,
    profile: Profile,
    entries: u64,
    size: u64,
    wrap: bool,
    /// The entry that was kept last.
    last: Option<Link>,
}

/// A file whose chunks arrive one by one.
struct OpenFile {
    entry: Announced,
    streamed: bool,
    builder: FileBuilder,
    size: u64,
}

/// The CAR under construction.
struct Blocks<W> {
    car: CarFileWriter<W>,
    /// Its numbers mean nothing.
    seen: BlockMap,
}

impl<W: Write + Seek> PlainSettled<W> {
    /// `root` stands in the header until the end.
    pub(super) fn new(sink: W, root: &Cid, options: &PackOptions) -> io::Result<Self> {
        let car = CarFileWriter::with_options(sink, std::slice::from_ref(root), options.plain)?;
        Ok(Self {
            blocks: Blocks { car, seen: BlockMap::new(SEEN_BUDGET) },
            problems: Vec::new(),
            open: HashMap::new(),
            manifest: Sorter::new(options.manifest_budget()),
            originals: HashMap::new(),
            profile: options.profile.clone(),
            entries: 0,
            size: 0,
            wrap: options.wrap,
            last: None,
        })
    }

    /// Writes the directories, the root last, and what stands in front of the blocks and behind them.
    pub(super) fn finish(mut self, profile: &Profile) -> io::Result<(W, Summary)> {
        let root = match self.wrap {
            true => {
                let manifest = std::mem::replace(&mut self.manifest, Sorter::new(0)).finish()?;
                directories::write(&mut self.blocks, &manifest, profile)?.root
            }
            false => self.only_file()?,
        };
        let root = self.blocks.root(root, profile)?;
        let summary = Summary {
            root,
            entries: self.entries,
            blocks: self.blocks.seen.len(),
            size: self.size,
            stream_len: self.blocks.car.position(),
        };
        Ok((self.blocks.car.finish_with_roots(&[summary.root])?, summary))
    }
}

impl<W: Write> PlainSettled<W> {
    /// The one entry there is, if it is no directory.
    fn only_file(&self) -> io::Result<Cid> {
        match (self.entries, self.last) {
            (1, Some(link)) => Ok(link.cid),
            _ => Err(Error::new(ErrorKind::NotOneFile(self.entries), 0).into()),
        }
    }

    fn entry(&mut self, hashed: Hashed) -> io::Result<()> {
        let entry = hashed.entry;
        if !is_representable(&entry.path) {
            self.problem(entry.path, ProblemKind::NotUtf8);
            return Ok(());
        }
        if hashed.changed {
            self.problem(entry.path.clone(), ProblemKind::Changed);
        }
        let blocks = &mut self.blocks;
        let link = match entry.kind {
            EntryKind::Directory => None,
            EntryKind::File => {
                let cid = entry.root.ok_or(io::ErrorKind::InvalidInput)?;
                let size = entry.size.unwrap_or_default();
                self.size += size;
                match self.profile.layout() {
                    Layout::Balanced => {
                        blocks.content(&cid, &hashed.data)?;
                        Some(Link { cid, tsize: hashed.data.len() as u64 })
                    }
                    // The root is a node in any case, and a file without content has no leaf.
                    _ => {
                        let mut out = |cid: &Cid, node: &[u8]| blocks.content(cid, node).map(drop);
                        let mut builder = FileBuilder::new(&self.profile);
                        if size > 0 {
                            out(&cid, &hashed.data)?;
                            builder.add_leaf(cid, size, &mut out)?;
                        }
                        Some(Link::from(builder.finish(&mut out)?))
                    }
                }
            }
            EntryKind::Symlink => {
                let target = entry.target.as_deref().unwrap_or_default();
                Some(symlink(&self.profile, target, &mut |cid, node| {
                    blocks.content(cid, node).map(drop)
                })?)
            }
            EntryKind::HardLink => {
                let original = entry.target_id.and_then(|id| self.originals.get(&id).copied());
                let Some(link) = original.flatten() else {
                    self.problem(entry.path, ProblemKind::LostOriginal);
                    return Ok(());
                };
                Some(link)
            }
        };
        self.keep(entry, link)
    }

    fn leaf(&mut self, id: u64, leaf: Leaf) -> io::Result<()> {
        let file = self.open.get_mut(&id).ok_or(io::ErrorKind::InvalidInput)?;
        if !is_representable(&file.entry.path) {
            return Ok(());
        }
        let blocks = &mut self.blocks;
        blocks.content(&leaf.cid, &leaf.block)?;
        file.size += leaf.size;
        let mut out = |cid: &Cid, node: &[u8]| blocks.content(cid, node).map(drop);
        file.builder.add_leaf(leaf.cid, leaf.size, &mut out)
    }

    fn end(&mut self, id: u64, how: Ending) -> io::Result<()> {
        let file = self.open.remove(&id).ok_or(io::ErrorKind::InvalidInput)?;
        if how == Ending::Abandoned {
            return Ok(());
        }
        if !is_representable(&file.entry.path) {
            self.problem(file.entry.path, ProblemKind::NotUtf8);
            return Ok(());
        }
        if how == Ending::Changed {
            self.problem(file.entry.path.clone(), ProblemKind::Changed);
        }
        let blocks = &mut self.blocks;
        let mut out = |cid: &Cid, node: &[u8]| blocks.content(cid, node).map(drop);
        let root = file.builder.finish(&mut out)?;
        self.size += file.size;
        self.keep(file.entry, Some(Link::from(root)))
    }

    /// Keeps what the entry's directory will link to.
    fn keep(&mut self, entry: Announced, link: Option<Link>) -> io::Result<()> {
        self.entries += 1;
        self.last = link;
        if let (Some(link), Some(original)) = (link, self.originals.get_mut(&entry.id)) {
            *original = Some(link);
        }
        let listed = Listed {
            path: entry.path,
            kind: entry.kind,
            id: None,
            record: None,
            mode: None,
            mtime: None,
            size: None,
            root: None,
            sha256: None,
            target: None,
            runs: Vec::new(),
        };
        directories::keep(&mut self.manifest, &listed, link)
    }

    fn problem(&mut self, path: Vec<u8>, kind: ProblemKind) {
        self.problems.push(Problem { path, kind });
    }
}

impl<W: Write> Settle for PlainSettled<W> {
    fn settle(&mut self, done: Done) -> io::Result<()> {
        match done {
            Done::Batch(entries) => entries.into_iter().try_for_each(|entry| match entry {
                Ok(hashed) => self.entry(hashed),
                Err(lost) => {
                    let (entry, error) = *lost;
                    self.problem(entry.path, ProblemKind::Unreadable(error));
                    Ok(())
                }
            }),
            Done::Leaf { id, leaf } => self.leaf(id, leaf),
            Done::End { id, how } => self.end(id, how),
        }
    }

    fn position(&self) -> u64 {
        self.blocks.car.position()
    }

    fn open_entry(&mut self, entry: Announced) {
        let builder = FileBuilder::new(&self.profile);
        self.open.insert(entry.id, OpenFile { entry, streamed: false, builder, size: 0 });
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

impl<W: Write> Blocks<W> {
    /// The root as it can stand in the header, where a CID of the usual length is expected: not one that holds its block.
    fn root(&mut self, root: Cid, profile: &Profile) -> io::Result<Cid> {
        if !is_inline(&root) {
            return Ok(root);
        }
        let (data, profile) = (root.hash().digest(), profile.clone().with_inline_limit(None)?);
        let cid = match root.codec() {
            codec::DAG_PB => profile.node_cid(data),
            _ => profile.leaf(data.to_vec()).cid, // It is raw, and so are all leaves of the profile.
        };
        self.content(&cid, data)?;
        Ok(cid)
    }
}

/// What tells blocks apart that one function has hashed: its digest, or the first 32 bytes of it, in which no two agree either.
fn block_key(cid: &Cid) -> BlockKey {
    let mut digest = [0; 32];
    digest.iter_mut().zip(cid.hash().digest()).for_each(|(to, byte)| *to = *byte);
    BlockKey { digest, raw: cid.codec() == codec::RAW }
}

fn is_inline(cid: &Cid) -> bool {
    cid.hash().code() == hash_code::IDENTITY
}

impl<W: Write> BlockOut for Blocks<W> {
    /// Nobody asks for positions here; a block that is already there has none to give.
    fn content(&mut self, cid: &Cid, data: &[u8]) -> io::Result<u64> {
        if is_inline(cid) {
            return Ok(0);
        }
        match self.seen.insert(block_key(cid), 0)? {
            None => Ok(self.car.danger_write_unverified(cid, data)?.offset),
            Some(_) => Ok(0),
        }
    }
}
