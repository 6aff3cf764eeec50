//! Writing an index over many CARs, front to back, of entries that come in order.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use tempfile::SpooledTempFile;

use super::files::{self, FileEntry, MAX_FILE_PAGES, MAX_FILES};
use super::footer::{LEVELS, Shape, TOP_PAGES};
use super::leaf::{LeafBody, separator};
use super::page::{BODY, Id, Kind, cut, seal};
use crate::error::{Error, ErrorKind, Part};

/// Writes pages of entries as records come, and at the end all else. Errors of this crate are inside of I/O errors.
pub(super) struct SegmentWriter<'a, W> {
    sink: W,
    files: &'a [FileEntry],
    /// `levels` and `entries` count what has been written.
    shape: Shape,
    leaf: LeafBody,
    last: Vec<u8>,
    separators: Separators,
}

impl<'a, W: Write> SegmentWriter<'a, W> {
    /// Writes the head page.
    pub(super) fn new(mut sink: W, files: &'a [FileEntry]) -> io::Result<Self> {
        if files.len() > MAX_FILES as usize {
            return Err(too_large(Part::Files, files.len() as u64, MAX_FILES.into()));
        }
        let (id, file_pages) = survey(files);
        if file_pages > MAX_FILE_PAGES {
            return Err(too_large(Part::FileList, file_pages << 12, MAX_FILE_PAGES << 12));
        }
        sink.write_all(&Shape::head_page(&id))?;
        let files_len = files.len() as u32;
        let shape = Shape { id, entries: 0, files: files_len, file_pages, levels: [0; LEVELS] };
        let (leaf, last) = (LeafBody::default(), Vec::new());
        Ok(SegmentWriter { sink, files, shape, leaf, last, separators: Separators::new() })
    }

    /// Adds an entry, which is not smaller than the one before it. Of equal ones there is one.
    pub(super) fn push(&mut self, record: &[u8]) -> io::Result<()> {
        if self.last == record {
            return Ok(());
        }
        if self.shape.entries == 0 {
            self.separators.push(&[])?; // All that is smaller would stand in the first page.
        }
        if !self.leaf.push(record) {
            self.write_leaf()?;
            self.separators.push(separator(&self.last, record))?;
            self.leaf.push(record); // An empty page has room.
        }
        self.shape.entries += 1;
        self.last.clear();
        self.last.extend_from_slice(record);
        Ok(())
    }

    /// Writes what follows the entries, and flushes the sink.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.shape.entries > 0 {
            self.write_leaf()?;
        }
        let mut level = 0;
        while self.shape.pages(level) > TOP_PAGES {
            level += 1;
            if level == LEVELS {
                let size = self.shape.pages(level - 1) << 12;
                return Err(too_large(Part::SearchPages, size, TOP_PAGES << 12));
            }
            self.write_level(level)?;
        }
        let (mut number, id, sink) = (self.shape.files_start(), self.shape.id, &mut self.sink);
        files::bodies(self.files, |count, body| {
            let page = seal(Kind::Files, number, count, body, &id);
            number += 1;
            sink.write_all(&page)
        })?;
        self.sink.write_all(&self.shape.footer_page())?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    fn write_leaf(&mut self) -> io::Result<()> {
        let (count, body) = self.leaf.parts();
        let number = self.shape.start(0) + self.shape.pages(0);
        self.sink.write_all(&seal(Kind::Leaf, number, count, body, &self.shape.id))?;
        self.shape.levels[0] += 1;
        self.leaf.clear();
        Ok(())
    }

    /// Writes the pages that separate those of the level below.
    fn write_level(&mut self, level: usize) -> io::Result<()> {
        let below = std::mem::replace(&mut self.separators, Separators::new());
        let (mut body, mut count, mut child) = (Vec::with_capacity(BODY), 0, 0u64);
        let mut below = below.read()?;
        let mut item = Vec::new();
        loop {
            let is_end = !next(&mut below, &mut item)?;
            if count > 0 && (is_end || body.len() + 1 + item.len() > BODY) {
                let number = self.shape.start(level) + self.shape.pages(level);
                let kind = Kind::of_level(level);
                self.sink.write_all(&seal(kind, number, count, &body, &self.shape.id))?;
                self.shape.levels[level] += 1;
                body.clear();
                count = 0;
            }
            if is_end {
                return Ok(());
            }
            if count == 0 {
                self.separators.push(&item)?;
                body.extend_from_slice(&child.to_be_bytes());
            }
            body.push(item.len() as u8);
            body.extend_from_slice(&item);
            count += 1;
            child += 1;
        }
    }
}

/// The id of an index of these files, and the number of pages that they take.
fn survey(files: &[FileEntry]) -> (Id, u64) {
    let (mut hasher, mut record) = (blake3::Hasher::new(), Vec::new());
    for file in files {
        record.clear();
        file.encode(&mut record);
        hasher.update(&record);
    }
    let mut pages = 0;
    let counted = files::bodies(files, |_, _| {
        pages += 1;
        Ok::<_, std::convert::Infallible>(())
    });
    match counted {
        Ok(()) => (cut(&hasher), pages),
    }
}

/// Separators, each with its length in front, in memory or in an unnamed temporary file.
struct Separators(BufWriter<SpooledTempFile>);

impl Separators {
    fn new() -> Self {
        Separators(BufWriter::new(SpooledTempFile::new(SPOOL)))
    }

    /// Adds one, which is shorter than a record of the longest digest.
    fn push(&mut self, item: &[u8]) -> io::Result<()> {
        self.0.write_all(&[item.len() as u8])?;
        self.0.write_all(item)
    }

    fn read(self) -> io::Result<BufReader<SpooledTempFile>> {
        let mut file = self.0.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(BufReader::new(file))
    }
}

/// Makes `item` the next separator; `false` at the end.
fn next(from: &mut impl Read, item: &mut Vec<u8>) -> io::Result<bool> {
    let mut len = [0];
    item.clear();
    if from.read(&mut len)? == 0 {
        return Ok(false);
    }
    item.resize(usize::from(len[0]), 0);
    from.read_exact(item)?;
    Ok(true)
}

fn too_large(part: Part, size: u64, limit: u64) -> io::Error {
    Error::new(ErrorKind::TooLarge { part, size, limit }).into()
}

/// Separators that are kept in memory.
const SPOOL: usize = 1 << 20;
