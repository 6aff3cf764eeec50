//! Making one index over many CARs of several, with or without all of their files.

use std::io::Write;
use std::path::Path;

use super::entries::Walk;
use super::files::{FileEntry, MAX_FILES};
use super::footer::Shape;
use super::index::MultiIndex;
use super::leaf::renumber;
use super::segment::SegmentWriter;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::files::write_whole;
use crate::index::{Records, merge};
use crate::read_at::ReadAt;

/// Joins several [`MultiIndex`]es into one, without a look at the CARs. Files may be left out, and so a file leaves an index.
///
/// The files of each follow those of the one before, in their order, with new numbers; the result is, byte for byte, what a
/// [`MultiIndexBuilder`](crate::MultiIndexBuilder) makes of these files. Entries are read as they are written, 64 KiB of each index at a
/// time.
///
/// ```
/// use carstone_car::{CarWriter, MultiIndex, MultiIndexBuilder, MultiIndexMerge, codec};
/// let index = |name: &str| -> std::io::Result<_> {
///     let mut writer = CarWriter::new(Vec::new(), &[])?;
///     writer.write_data(codec::RAW, name.as_bytes())?;
///     let mut builder = MultiIndexBuilder::new();
///     builder.add_car(name, &writer.finish()?)?;
///     Ok(MultiIndex::open(builder.write(Vec::new())?)?)
/// };
/// let mut merge = MultiIndexMerge::new();
/// merge.add(index("old.car")?)?;
/// merge.add(index("new.car")?)?;
/// let both = MultiIndex::open(merge.write(Vec::new())?)?;
/// assert_eq!((both.files_len(), both.len()), (2, 2));
///
/// let mut merge = MultiIndexMerge::new();
/// merge.add_without(both, |_, file| file.name == b"old.car")?;
/// let one = MultiIndex::open(merge.write(Vec::new())?)?;
/// assert_eq!((one.file(0)?.name(), one.len()), ("new.car".into(), 1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "there is no index until it is written"]
pub struct MultiIndexMerge<R> {
    parts: Vec<Segment<R>>,
    files: Vec<FileEntry>,
}

/// An index that goes into another one.
#[derive(Debug)]
struct Segment<R> {
    source: R,
    shape: Shape,
    /// The number of each of its files in the new index.
    numbers: Vec<Option<u32>>,
}

impl<R: ReadAt> MultiIndexMerge<R> {
    /// Starts an index without files.
    pub fn new() -> Self {
        MultiIndexMerge { parts: Vec::new(), files: Vec::new() }
    }

    /// Adds an index with all of its files.
    ///
    /// # Errors
    /// [`ErrorKind::BadPage`] if its list of files is damaged, [`ErrorKind::TooLarge`] if there are too many files in all. Then nothing is
    /// added.
    pub fn add(&mut self, index: MultiIndex<R>) -> Result<()> {
        self.add_without(index, |_, _| false)
    }

    /// Adds an index without those of its files for which `is_out` is true, given their numbers.
    ///
    /// # Errors
    /// As with [`add`](Self::add).
    pub fn add_without(
        &mut self,
        index: MultiIndex<R>,
        mut is_out: impl FnMut(u32, &FileEntry) -> bool,
    ) -> Result<()> {
        let (mut numbers, mut files) = (Vec::new(), Vec::new());
        for (number, file) in (0..).zip(index.files()) {
            let file = file?;
            let kept = !is_out(number, file);
            numbers.push(kept.then(|| (self.files.len() + files.len()) as u32));
            if kept {
                files.push(file.clone());
            }
            if self.files.len() + files.len() > MAX_FILES as usize {
                let (size, limit) = (u64::from(MAX_FILES) + 1, u64::from(MAX_FILES));
                return Err(Error::new(ErrorKind::TooLarge { part: Part::Files, size, limit }));
            }
        }
        let (source, shape) = index.into_parts();
        self.files.append(&mut files);
        self.parts.push(Segment { source, shape, numbers });
        Ok(())
    }

    /// The files that the index will have, in the order of their numbers.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Writes the index, from the first byte to the last, and gives the sink back, flushed.
    ///
    /// # Errors
    /// [`ErrorKind::BadPage`] where an index is damaged.
    pub fn write<W: Write>(self, sink: W) -> Result<W> {
        let write = || {
            let mut writer = SegmentWriter::new(sink, &self.files)?;
            let mut parts: Vec<_> = self.parts.iter().map(Renumbered::new).collect();
            merge(&mut parts, |record| writer.push(record))?;
            writer.finish()
        };
        write().map_err(Error::from_io)
    }

    /// Writes the index to a file. It is written next to `path` and takes its place when it is complete and on the disk: a crash leaves
    /// what was there. It may be the file of one of the indexes that are joined.
    pub fn write_file(self, path: impl AsRef<Path>) -> Result<()> {
        write_whole(path.as_ref(), |sink| self.write(sink).map(drop))
    }
}

/// The entries of an index, with the numbers that their files have in the new one.
struct Renumbered<'a, R> {
    walk: Walk<'a, R>,
    numbers: &'a [Option<u32>],
}

impl<'a, R: ReadAt> Renumbered<'a, R> {
    fn new(part: &'a Segment<R>) -> Self {
        Renumbered { walk: Walk::new(&part.source, &part.shape), numbers: &part.numbers }
    }
}

impl<R: ReadAt> Records for Renumbered<'_, R> {
    fn next(&mut self, out: &mut Vec<u8>) -> std::io::Result<bool> {
        while self.walk.next(out)? {
            // Numbers keep their order, and so do entries.
            if renumber(out, self.numbers) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<R: ReadAt> Default for MultiIndexMerge<R> {
    fn default() -> Self {
        MultiIndexMerge::new()
    }
}
