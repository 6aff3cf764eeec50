//! Reads the content of a file, at any offset.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use carstone_car::Cid;

use crate::dag_pb::Links;
use crate::decode::{Node, RAW, decode};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::source::{BlockSource, fetch_needed};

/// The content of a file as `Read + Seek`.
///
/// Holds the nodes on the way from the root to the current leaf, and that leaf. Each block is compared with
/// the size that its parent states before a byte of it is given out. A missing, damaged or wrong block fails the
/// `read` that needs it; other parts of the file stay readable after a `seek`. Children that are stated to be
/// empty are not looked at.
#[derive(Debug)]
pub struct FileReader<S> {
    source: S,
    limits: Limits,
    /// From the root down to the block that was read last; never empty.
    path: Vec<Level>,
    /// Bytes of memory that `path` holds.
    held: usize,
    position: u64,
}

/// A block of the file and the part of the content that it stands for.
#[derive(Debug)]
struct Level {
    cid: Cid,
    block: Vec<u8>,
    /// Where in the content this block's part begins.
    start: u64,
    size: u64,
    /// The block's own content, which comes first.
    data: Range<usize>,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    /// Where in the content the part of this child ends.
    end: u64,
    /// Where in the block its link is.
    link: (usize, usize),
}

/// Content of a file that lies in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLeaf {
    /// The content.
    pub content: Vec<u8>,
    /// The CID of the block, where that is raw and the content all of it.
    pub raw: Option<Cid>,
}

impl<S: BlockSource> FileReader<S> {
    /// Opens the file under `root`, with default limits. Reads the root block.
    pub fn open(source: S, root: &Cid) -> Result<Self, Error> {
        Self::with_limits(source, root, Limits::default())
    }

    /// The same with other limits; `depth` and `memory` matter here.
    pub fn with_limits(source: S, root: &Cid, limits: Limits) -> Result<Self, Error> {
        let block = fetch_needed(&source, root)?;
        let mut reader = Self { source, limits, path: Vec::new(), held: 0, position: 0 };
        reader.enter(root, block, 0, None)?;
        Ok(reader)
    }

    /// Bytes of content.
    pub fn len(&self) -> u64 {
        self.path.first().map_or(0, |root| root.size)
    }

    /// Whether the file has no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The block source.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// Gives the block source back.
    pub fn into_inner(self) -> S {
        self.source
    }

    /// After a `read` has failed: the part of the content for which the block stands that could not be used. Reading goes on behind it, after a
    /// `seek`.
    pub fn unreadable(&self) -> Range<u64> {
        let position = self.position;
        let level = self.path.iter().rev().find(|level| level.covers(position));
        let Some(level) = level else { return position..self.len().max(position) };
        let index = level.children.partition_point(|child| child.end <= position);
        let before = index.checked_sub(1).and_then(|index| level.children.get(index));
        let start = before.map_or(level.start + level.data.len() as u64, |child| child.end);
        let end = level.children.get(index).map_or(self.len(), |child| child.end);
        start.min(position)..end.max(position)
    }

    /// The content from the current position to the end of the block that holds it, or `None` at the end of the file. The leaves of a file in
    /// their order, when nothing else has been read.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_leaf(&mut self) -> Result<Option<FileLeaf>, Error> {
        let Some(range) = self.locate()? else { return Ok(None) };
        self.position += range.len() as u64;
        let is_root = self.path.len() == 1;
        let Some(level) = self.path.last_mut() else { return Ok(None) };
        let raw =
            (range == (0..level.block.len()) && level.cid.codec() == RAW).then_some(level.cid);
        let content = match raw {
            Some(_) if !is_root => {
                let block = std::mem::take(&mut level.block);
                self.held = self.held.saturating_sub(block.len());
                self.leave();
                block
            }
            _ => level.block.get(range).unwrap_or_default().to_vec(),
        };
        Ok(Some(FileLeaf { content, raw }))
    }

    /// Puts a block on top of the path, after checking it against the `expected` size.
    fn enter(
        &mut self,
        cid: &Cid,
        block: Vec<u8>,
        start: u64,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        let (data, sizes, cursors, size) = match decode(cid, &block)? {
            Node::Raw(data) => (0..data.len(), Vec::new(), Vec::new(), data.len() as u64),
            Node::File(file) => {
                let data = file.data_offset..file.data_offset + file.data.len();
                (data, file.blocksizes, cursors(file.links), file.size)
            }
            _ => return Err(Error::new(ErrorKind::NotAFile).within(cid)),
        };
        if let Some(expected) = expected.filter(|expected| *expected != size) {
            return Err(Error::new(ErrorKind::SizeMismatch { expected, actual: size }).within(cid));
        }
        // No sum can overflow: `decode` has added up the same numbers, and a child lies within its parent.
        let mut end = start + data.len() as u64;
        let children = sizes.into_iter().zip(cursors).map(|(size, link)| {
            end += size;
            Child { end, link }
        });
        let level = Level { cid: *cid, children: children.collect(), start, size, data, block };
        self.held = self.held.saturating_add(level.memory());
        self.path.push(level);
        if self.path.len() > self.limits.depth {
            return Err(self.refuse("depth", cid));
        }
        if self.held > self.limits.memory {
            return Err(self.refuse("memory", cid));
        }
        Ok(())
    }

    fn refuse(&mut self, limit: &'static str, cid: &Cid) -> Error {
        self.leave();
        Error::new(ErrorKind::Limit(limit)).within(cid)
    }

    fn leave(&mut self) {
        if let Some(level) = self.path.pop() {
            self.held = self.held.saturating_sub(level.memory());
        }
    }

    /// Goes to the block that holds the byte at `position`, and returns where it is in that block's bytes.
    /// `None` at the end of the file.
    fn locate(&mut self) -> Result<Option<Range<usize>>, Error> {
        let position = self.position;
        if position >= self.len() {
            return Ok(None);
        }
        while self.path.len() > 1 && self.path.last().is_some_and(|level| !level.covers(position)) {
            self.leave();
        }
        while let Some(level) = self.path.last() {
            let own = level.data.len() as u64;
            if position - level.start < own {
                // The offset is below `own`, which is a length in memory.
                let at = level.data.start + (position - level.start) as usize;
                return Ok(Some(at..level.data.end));
            }
            // The first child that ends behind the position holds it; empty ones end before.
            let index = level.children.partition_point(|child| child.end <= position);
            let before = index.checked_sub(1).and_then(|index| level.children.get(index));
            let start = before.map_or(level.start + own, |child| child.end);
            let child = level.children.get(index).map(|child| (child.end - start, child.link));
            let Some((size, link)) = child else { break };
            let Some(link) = Links::resume(&level.block, link).next() else { break };
            let cid = link.cid;
            let block = fetch_needed(&self.source, &cid)?;
            self.enter(&cid, block, start, Some(size))?;
        }
        Err(Error::new(ErrorKind::NotAFile)) // Not reached: sizes add up, or `enter` has refused the block.
    }
}

impl<S: BlockSource> Read for FileReader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let Some(range) = self.locate()? else { return Ok(0) };
        let bytes = self.path.last().and_then(|level| level.block.get(range)).unwrap_or_default();
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl<S: BlockSource> Seek for FileReader<S> {
    /// Reads nothing; a position behind the end is allowed and reads as the end.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.len().checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        let outside = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek to a negative or overflowing position",
            )
        };
        self.position = position.ok_or_else(outside)?;
        Ok(self.position)
    }
}

impl Level {
    fn covers(&self, position: u64) -> bool {
        position.checked_sub(self.start).is_some_and(|offset| offset < self.size)
    }

    fn memory(&self) -> usize {
        self.block.len() + self.children.len() * size_of::<Child>()
    }
}

fn cursors(mut links: Links<'_>) -> Vec<(usize, usize)> {
    let mut cursors = Vec::with_capacity(links.len());
    while !links.is_empty() {
        cursors.push(links.cursor());
        if links.next().is_none() {
            break;
        }
    }
    cursors
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<FileReader<std::collections::HashMap<Cid, Vec<u8>>>>();
};
