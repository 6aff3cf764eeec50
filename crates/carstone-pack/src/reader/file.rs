//! One file of a pack, read at any offset.

use std::io::{self, Read, Seek, SeekFrom};

use carstone_car::Cid;
use carstone_layer::ReadAt;
use carstone_unixfs::FileReader;
use sha2::{Digest, Sha256};

use super::PackReader;
use crate::entry::{Listed, Run};
use crate::error::{Error, ErrorKind};

/// A file of a pack: `Read + Seek`, one leaf in memory.
///
/// Every leaf is checked against its CID, and the leaf of a whole file against the file's root. The SHA-256 of a longer
/// file's content is for the caller to compare after reading all of it ([`PackReader::sha256`]).
pub struct PackFile<R> {
    source: Source<R>,
    size: u64,
    position: u64,
}

enum Source<R> {
    Runs(Box<Runs<R>>),
    /// A file of very many runs is read through its nodes.
    Nodes(Box<FileReader<PackReader<R>>>),
}

/// Leaves found by the manifest's runs.
struct Runs<R> {
    reader: PackReader<R>,
    path: Vec<u8>,
    runs: Vec<Run>,
    /// Root of a file that is one leaf.
    whole: Option<Cid>,
    leaf: Vec<u8>,
    last_len: u32,
    /// CIDs of the leaves that were read, while they were read in order.
    sequence: Option<Sha256>,
    /// File offset of the leaf, and where the section behind it starts; `None` before the first.
    at: Option<(u64, u64)>,
}

impl<R: ReadAt + Clone> PackFile<R> {
    pub(super) fn open(reader: PackReader<R>, entry: &Listed) -> Result<Self, Error> {
        let announced = match &entry.root {
            None => {
                // The content stands behind its batch.
                if let ([run], Some(size)) = (&*entry.runs, entry.size) {
                    reader.sections.foresee(run.position.saturating_add(size.min(FORESEEN)));
                }
                reader.announced(entry)?
            }
            Some(_) => None,
        };
        Self::of_announced(reader, entry, announced.and_then(|announced| announced.root))
    }

    /// Opens a file whose batch gives `whole` as its root.
    pub(super) fn of_announced(
        reader: PackReader<R>,
        entry: &Listed,
        whole: Option<Cid>,
    ) -> Result<Self, Error> {
        let size = entry.size.ok_or_else(|| Error::mismatch(&entry.path, "its size", 0))?;
        if let Some(root) = &entry.root {
            let nodes = FileReader::open(reader, root)
                .map_err(|error| Error::new(ErrorKind::UnixFs(error), 0))?;
            if nodes.len() != size {
                return Err(Error::mismatch(&entry.path, "the size of its root", 0));
            }
            return Ok(Self { source: Source::Nodes(Box::new(nodes)), size, position: 0 });
        }
        let source = Source::Runs(Box::new(Runs {
            reader,
            path: entry.path.clone(),
            runs: entry.runs.clone(),
            whole,
            leaf: Vec::new(),
            last_len: 0,
            sequence: Some(Sha256::new()),
            at: None,
        }));
        Ok(Self { source, size, position: 0 })
    }
}

impl<R> PackFile<R> {
    /// Bytes of content.
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }
}

impl<R> PackFile<R> {
    /// A digest of the CIDs of the leaves, if all so far were read in order.
    pub(super) fn leaf_sequence(self) -> Option<[u8; 32]> {
        match self.source {
            Source::Runs(runs) => runs.sequence.map(|sequence| sequence.finalize().into()),
            Source::Nodes(_) => None,
        }
    }
}

impl<R: ReadAt> Runs<R> {
    /// The bytes of the leaf that covers `position`, from there on.
    fn bytes_at(&mut self, position: u64) -> Result<&[u8], Error> {
        while !self.covers(position) {
            let (offset, section) = self.next_leaf(position)?;
            let found = self.reader.sections.leaf(section, &mut self.leaf)?;
            let unfinished = || {
                let path = self.path.escape_ascii().to_string();
                Error::new(ErrorKind::Unfinished { path }, section)
            };
            let found = found.ok_or_else(unfinished)?;
            if self.whole.is_some_and(|root| root != found.cid) {
                return Err(Error::mismatch(&self.path, "its leaf", found.offset));
            }
            if self.leaf.is_empty() {
                // A file with content has no empty leaves; without this the walk might never end.
                return Err(Error::mismatch(&self.path, "an empty leaf", found.offset));
            }
            let due = self.at.map_or(0, |(before, _)| before + u64::from(self.last_len));
            match &mut self.sequence {
                Some(sequence) if offset == due => sequence.update(found.cid.to_bytes()),
                sequence => *sequence = None,
            }
            self.last_len = u32::try_from(self.leaf.len()).unwrap_or(u32::MAX);
            self.at = Some((offset, found.end()));
        }
        let start = self.at.map_or(0, |(offset, _)| offset);
        let skip = usize::try_from(position - start).unwrap_or(usize::MAX);
        Ok(self.leaf.get(skip..).unwrap_or_default())
    }

    fn covers(&self, position: u64) -> bool {
        let len = self.leaf.len() as u64;
        self.at.is_some_and(|(offset, _)| offset <= position && position - offset < len)
    }

    /// File offset of the next leaf on the way to `position`, and where to look for it.
    fn next_leaf(&self, position: u64) -> Result<(u64, u64), Error> {
        let after = self.runs.partition_point(|run| run.offset <= position);
        let Some(run) = after.checked_sub(1).and_then(|i| self.runs.get(i)) else {
            return Err(Error::mismatch(&self.path, "its list of runs", 0));
        };
        // Go on behind the current leaf when that is nearer than the start of the run.
        if let Some((offset, section)) = self.at {
            let end = offset + self.leaf.len() as u64;
            if run.offset < end && end <= position {
                return Ok((end, section));
            }
        }
        Ok((run.offset, run.position))
    }
}

impl<R: ReadAt> Read for PackFile<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buf.is_empty() {
            return Ok(0);
        }
        let n = match &mut self.source {
            Source::Nodes(nodes) => {
                nodes.seek(SeekFrom::Start(self.position))?;
                nodes.read(buf)?
            }
            Source::Runs(runs) => {
                let left = self.size - self.position;
                let bytes = runs.bytes_at(self.position)?;
                let n = bytes.len().min(buf.len());
                if n as u64 > left {
                    let what = "its size, which is less than its leaves hold,";
                    return Err(Error::mismatch(&runs.path, what, 0).into());
                }
                buf[..n].copy_from_slice(&bytes[..n]);
                n
            }
        };
        self.position += n as u64;
        Ok(n)
    }
}

impl<R> Seek for PackFile<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek to before the start of the file")
        })?;
        Ok(self.position)
    }
}

/// Content that is foreseen at most: about a chunk.
const FORESEEN: u64 = 1 << 20;
