//! Making an index over many CARs.

use std::io::Write;
use std::path::Path;

use multihash::Multihash;

use super::files::{FileEntry, MAX_FILES};
use super::leaf::{MultiPlace, PLACE, renumber};
use super::segment::SegmentWriter;
use crate::cid_bytes::MAX_DIGEST;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::files::write_whole;
use crate::hash_code;
use crate::index::{DEFAULT_BUDGET, Index, Runs};
use crate::options::ReaderOptions;
use crate::read_at::ReadAt;

/// Makes a [`MultiIndex`](crate::MultiIndex): CARs are added one after the other, and then it is written.
///
/// Entries beyond a budget, 16 MiB by default, are sorted in a temporary file. The same files in the same order give the same bytes.
/// Identity CIDs hold their data themselves and are left out, unless they are [asked for](Self::with_identity).
///
/// ```
/// use carstone_car::{CarWriter, MultiIndex, MultiIndexBuilder, codec};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// let section = writer.write_data(codec::RAW, b"hello")?;
/// let car = writer.finish()?;
///
/// let mut builder = MultiIndexBuilder::new();
/// assert_eq!(builder.add_car("blocks.car", &car)?, 0); // Or a `File`, or `SeekSource::new` of anything that seeks.
/// assert!(builder.add_car("broken.car", &car[..50]).is_err()); // It is left out.
/// assert_eq!(builder.add_car("again.car", &car)?, 1);
///
/// let index = MultiIndex::open(builder.write(Vec::new())?)?;
/// let places: Result<Vec<_>, _> = index.find_all(&section.cid)?.collect();
/// assert_eq!(places?.iter().map(|place| place.file).collect::<Vec<_>>(), [0, 1]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "there is no index until it is written"]
pub struct MultiIndexBuilder {
    options: ReaderOptions,
    identity: bool,
    runs: Runs<PLACE>,
    files: Vec<FileEntry>,
    /// The number of the file that was added in each try, `None` where that failed: its entries are left out.
    numbers: Vec<Option<u32>>,
}

impl MultiIndexBuilder {
    /// Starts an index without files.
    pub fn new() -> Self {
        MultiIndexBuilder::with_budget(DEFAULT_BUDGET)
    }

    /// Starts an index that takes about so many bytes of memory for entries, however many there will be. The list of files takes its
    /// names and some hundred bytes for each.
    pub fn with_budget(bytes: usize) -> Self {
        let (options, runs) = (ReaderOptions::default(), Runs::new(bytes));
        MultiIndexBuilder { options, identity: false, runs, files: Vec::new(), numbers: Vec::new() }
    }

    /// Sets how CARs are read from now on.
    pub fn with_options(mut self, options: ReaderOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets whether identity CIDs get entries.
    pub fn with_identity(mut self, yes: bool) -> Self {
        self.identity = yes;
        self
    }

    /// The files that have been added, in the order of their numbers.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Adds all sections of a CAR, which starts at the first byte of `source`, and returns its number. Bodies are skipped, and nothing is
    /// verified. `name` is what the index will call it; two files may have the same.
    ///
    /// # Errors
    /// What a reader without verification finds. The file is left out then, and the others are not concerned.
    pub fn add_car<R: ReadAt + ?Sized>(
        &mut self,
        name: impl Into<Vec<u8>>,
        source: &R,
    ) -> Result<u32> {
        let try_number = self.start()?;
        let (entry, mut reader) = FileEntry::open(name.into(), source, self.options)?;
        while let Some(section) = reader.skip_section()? {
            self.push(try_number, section.cid.hash(), section.offset, section.len())?;
        }
        self.keep(entry)
    }

    /// Adds a CARv2 by the index that it has inside, or by a scan if it has none. Of the CAR itself nothing but its headers is read then,
    /// which is what this is for: CARs that are far away.
    ///
    /// What the index says is believed until a block is looked for, and what it does not list is not found. It does not say how long
    /// sections are, so that a block takes one more read.
    ///
    /// # Errors
    /// What is wrong with headers or index, [`ErrorKind::BadIndex`] if it does not tell hash functions. The file is left out then.
    pub fn add_by_own_index<R: ReadAt + ?Sized>(
        &mut self,
        name: impl Into<Vec<u8>>,
        source: &R,
    ) -> Result<u32> {
        let (name, try_number) = (name.into(), self.start()?);
        let (entry, reader) = FileEntry::open(name, source, self.options)?;
        let v2 = reader.v2_header().copied();
        let Some((start, v2)) = v2.and_then(|v2| Some((v2.index_offset?, v2))) else {
            self.numbers.pop();
            return self.add_car(entry.name, source);
        };
        let (range, legacy) = (start..entry.len, self.options.legacy_index);
        let index = Index::read(source, range, Some(v2.data_size), legacy)?;
        self.add_claims(try_number, entry, &index)
    }

    /// Adds a CAR by an index that is stored elsewhere, as [`add_by_own_index`](Self::add_by_own_index) does.
    ///
    /// # Errors
    /// As there.
    pub fn add_by_index<R: ReadAt + ?Sized, I: ReadAt>(
        &mut self,
        name: impl Into<Vec<u8>>,
        source: &R,
        index: &Index<I>,
    ) -> Result<u32> {
        let try_number = self.start()?;
        let entry = FileEntry::read(name, source, self.options)?;
        self.add_claims(try_number, entry, index)
    }

    /// Writes the index, from the first byte to the last, and gives the sink back, flushed.
    pub fn write<W: Write>(mut self, sink: W) -> Result<W> {
        self.runs.finish().map_err(Error::from_io)?;
        let write = || {
            let mut writer = SegmentWriter::new(sink, &self.files)?;
            let mut own = Vec::new();
            self.runs.for_each_record(|record| {
                own.clear();
                own.extend_from_slice(record);
                match renumber(&mut own, &self.numbers) {
                    true => writer.push(&own),
                    false => Ok(()),
                }
            })?;
            writer.finish()
        };
        write().map_err(Error::from_io)
    }

    /// Writes the index to a file. It is written next to `path` and takes its place when it is complete and on the disk: a crash leaves
    /// what was there.
    pub fn write_file(self, path: impl AsRef<Path>) -> Result<()> {
        write_whole(path.as_ref(), |sink| self.write(sink).map(drop))
    }

    /// Starts to add a file.
    fn start(&mut self) -> Result<u32> {
        if self.files.len() >= MAX_FILES as usize {
            let (size, limit) = (self.files.len() as u64 + 1, u64::from(MAX_FILES));
            return Err(Error::new(ErrorKind::TooLarge { part: Part::Files, size, limit }));
        }
        let number = u32::try_from(self.numbers.len()).map_err(|_| {
            let (size, limit) = (self.numbers.len() as u64, u64::from(u32::MAX));
            Error::new(ErrorKind::TooLarge { part: Part::Files, size, limit })
        })?;
        self.numbers.push(None);
        Ok(number)
    }

    /// Takes the file of the last try into the list.
    fn keep(&mut self, entry: FileEntry) -> Result<u32> {
        let number = self.files.len() as u32; // At most `MAX_FILES`.
        self.files.push(entry);
        if let Some(last) = self.numbers.last_mut() {
            *last = Some(number);
        }
        Ok(number)
    }

    fn push(&mut self, try_number: u32, hash: &Multihash<64>, offset: u64, len: u64) -> Result<()> {
        self.push_digest(try_number, hash.code(), hash.digest(), offset, len)
    }

    fn push_digest(
        &mut self,
        try_number: u32,
        code: u64,
        digest: &[u8],
        offset: u64,
        len: u64,
    ) -> Result<()> {
        if code == hash_code::IDENTITY && !self.identity {
            return Ok(());
        }
        if digest.len() > MAX_DIGEST {
            let (size, limit) = (digest.len() as u64, MAX_DIGEST as u64);
            return Err(Error::new(ErrorKind::TooLarge { part: Part::Digest, size, limit }));
        }
        let place = MultiPlace::encode(try_number, offset, len)?;
        self.runs.push_placed(code, digest, &place).map_err(Error::from_io)
    }

    fn add_claims<I: ReadAt>(
        &mut self,
        try_number: u32,
        mut entry: FileEntry,
        index: &Index<I>,
    ) -> Result<u32> {
        for claim in index.entries() {
            let claim = claim?;
            let code = claim.hash_code.ok_or_else(|| bad("it does not tell hash functions"))?;
            if claim.offset >= entry.payload_len {
                return Err(bad("an offset is not in the payload").with_offset(claim.offset));
            }
            self.push_digest(try_number, code, &claim.digest, claim.offset, 0)?;
        }
        entry.is_claimed = true;
        self.keep(entry)
    }
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::BadIndex(what))
}

impl Default for MultiIndexBuilder {
    fn default() -> Self {
        MultiIndexBuilder::new()
    }
}
