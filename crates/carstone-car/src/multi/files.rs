//! The files of an index over many CARs, as it knows them, and the pages they stand in.

use std::borrow::Cow;

use super::page::{BODY, Fields, Page, SUM, bad_page, cut};
use crate::CarReader;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::options::ReaderOptions;
use crate::read_at::{AtReader, ReadAt, read_full};
use crate::v2::V2Header;

/// A CAR of an index over many, as it was when the index was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileEntry {
    /// The name that was given for it: a path, an address, whatever its opener understands. It need not be text.
    pub name: Vec<u8>,
    /// Length of the file in bytes.
    pub len: u64,
    /// The version of the format: 1 or 2.
    pub version: u8,
    /// Where the payload starts in the file: 0 for a CARv1.
    pub payload_start: u64,
    /// Length of the payload in bytes.
    pub payload_len: u64,
    /// The first 16 bytes of the BLAKE3 hash of the headers: of a CARv2 its first 51 bytes, and of both versions the header of the
    /// payload with its length varint.
    pub header_digest: [u8; 16],
    /// Whether its entries were taken from an index, so that they do not say how long sections are.
    pub is_claimed: bool,
}

impl FileEntry {
    /// Reads the headers of a CAR, which starts at the first byte of `source`.
    pub fn read<R: ReadAt + ?Sized>(
        name: impl Into<Vec<u8>>,
        source: &R,
        options: ReaderOptions,
    ) -> Result<Self> {
        FileEntry::open(name.into(), source, options).map(|(entry, _)| entry)
    }

    /// The same, and the reader, which stands at the first section.
    pub(super) fn open<R: ReadAt + ?Sized>(
        name: Vec<u8>,
        source: &R,
        options: ReaderOptions,
    ) -> Result<(Self, CarReader<AtReader<&R>>)> {
        if name.len() > MAX_NAME {
            let (size, limit) = (name.len() as u64, MAX_NAME as u64);
            return Err(Error::new(ErrorKind::TooLarge { part: Part::FileName, size, limit }));
        }
        let len = source.size().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let reader = CarReader::open_seekable(AtReader::new(source), options)?;
        let (start, version) = (reader.payload_start(), if reader.version() == 2 { 2 } else { 1 });
        let payload_len = reader.v2_header().map_or(len, |v2| v2.data_size);
        let mut hasher = blake3::Hasher::new();
        if version == 2 {
            hash(source, 0, V2Header::DATA_OFFSET, &mut hasher)?;
        }
        hash(source, start, start.saturating_add(reader.position()), &mut hasher)?;
        let header_digest = cut(&hasher);
        let entry = FileEntry {
            name,
            len,
            version,
            payload_start: start,
            payload_len,
            header_digest,
            is_claimed: false,
        };
        Ok((entry, reader))
    }

    /// The name as text, with `U+FFFD` for what is none.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Whether the CAR in `source` has the length and the headers that the index knows. One that does not has been replaced or changed, and
    /// should be indexed anew; where its blocks still lie at their places, they are found all the same.
    pub fn is_current<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        options: ReaderOptions,
    ) -> Result<bool> {
        let mut now = FileEntry::read(self.name.clone(), source, options)?;
        now.is_claimed = self.is_claimed;
        Ok(now == *self)
    }

    /// The record of the file.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.len, self.payload_start, self.payload_len] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&[self.version, u8::from(self.is_claimed)]);
        out.extend_from_slice(&self.header_digest);
        out.extend_from_slice(&(self.name.len() as u16).to_be_bytes()); // At most `MAX_NAME`.
        out.extend_from_slice(&self.name);
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        let short = "a file is cut short";
        let mut number = || fields.u64().ok_or(short);
        let (len, payload_start, payload_len) = (number()?, number()?, number()?);
        let [version, flags] = fields.array().ok_or(short)?;
        let header_digest = fields.array::<SUM>().ok_or(short)?;
        let name = fields.u16().and_then(|len| fields.bytes(len.into())).ok_or(short)?.to_vec();
        if !matches!((version, payload_start), (1, 0) | (2, V2Header::DATA_OFFSET..)) || flags > 1 {
            return Err("a file has a version or a flag that is not known");
        }
        if payload_start.checked_add(payload_len).is_none_or(|end| end > len) {
            return Err("a payload is not inside of its file");
        }
        let is_claimed = flags == 1;
        Ok(FileEntry { name, len, version, payload_start, payload_len, header_digest, is_claimed })
    }
}

/// Adds bytes of a file to a hasher.
fn hash<R: ReadAt + ?Sized>(
    source: &R,
    mut at: u64,
    end: u64,
    hasher: &mut blake3::Hasher,
) -> Result<()> {
    let mut buf = [0; 4096];
    while at < end {
        let step = (end - at).min(buf.len() as u64) as usize;
        match read_full(source, &mut buf[..step], at) {
            Ok(read) if read == step => hasher.update(&buf[..step]),
            Ok(read) => {
                let stop = at.saturating_add(read as u64);
                return Err(Error::at(ErrorKind::Truncated(Part::Header), stop));
            }
            Err(error) => return Err(Error::at(ErrorKind::Io(error), at)),
        };
        at += step as u64;
    }
    Ok(())
}

/// Hands the bodies of the pages of these files to `each`, with the number of files in each.
pub(super) fn bodies<E>(
    files: &[FileEntry],
    mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut body, mut record, mut count) = (Vec::new(), Vec::new(), 0);
    for (number, file) in files.iter().enumerate() {
        record.clear();
        file.encode(&mut record);
        if body.len() + record.len() > BODY {
            each(count, &body)?;
            body.clear();
            count = 0;
        }
        if count == 0 {
            body.extend_from_slice(&(number as u32).to_be_bytes()); // At most `MAX_FILES`.
        }
        body.extend_from_slice(&record);
        count += 1;
    }
    if count > 0 {
        each(count, &body)?;
    }
    Ok(())
}

/// The files of an index, as far as their pages are intact.
#[derive(Debug)]
pub(super) struct FileTable {
    files: Vec<Option<FileEntry>>,
    /// The number of the first page.
    start: u64,
    /// For each page the number of the first file behind it, `None` if the page is bad.
    ends: Vec<Option<u32>>,
}

impl FileTable {
    /// A table of so many files, none of which is known. Their number has been compared with the room that there is for them.
    pub(super) fn new(count: u32, start: u64) -> Self {
        FileTable { files: vec![None; count as usize], start, ends: Vec::new() }
    }

    /// Takes the files of the next page; the text says what is wrong.
    pub(super) fn add_page(&mut self, page: Result<Page<'_>>) {
        let read = page.ok().and_then(|page| self.take(page).ok());
        self.ends.push(read);
    }

    fn take(&mut self, page: Page<'_>) -> Result<u32, &'static str> {
        let mut fields = Fields(page.body);
        let first = fields.u32().ok_or("a file is cut short")? as usize;
        let room = first.checked_add(page.count).and_then(|end| self.files.get_mut(first..end));
        let room = room.ok_or("there are more files than there should be")?;
        let read: Result<Vec<_>, _> = room.iter().map(|_| FileEntry::decode(&mut fields)).collect();
        if !fields.0.is_empty() || page.count == 0 {
            return Err("the number of its files is wrong");
        }
        for (file, entry) in room.iter_mut().zip(read?) {
            *file = Some(entry);
        }
        Ok((first + page.count) as u32)
    }

    pub(super) fn len(&self) -> u32 {
        self.files.len() as u32
    }

    pub(super) fn get(&self, number: u32) -> Result<&FileEntry> {
        match self.files.get(number as usize) {
            Some(Some(file)) => Ok(file),
            Some(None) => {
                // It stands behind the last good page whose files come before it.
                let before = |end: &Option<u32>| end.is_some_and(|end| end <= number);
                let page = self.ends.iter().rposition(before).map_or(0, |page| page + 1);
                Err(bad_page(self.start.saturating_add(page as u64), "its files are not known"))
            }
            None => Err(Error::new(ErrorKind::BadIndex("it has no file of this number"))),
        }
    }
}

/// Bytes of the longest name of a file.
pub(super) const MAX_NAME: usize = 4000;

/// Bytes of a file without its name.
const RECORD: usize = 3 * 8 + 2 + SUM + 2;

/// The most files that a page has room for.
pub(super) const MAX_IN_PAGE: u64 = ((BODY - 4) / RECORD) as u64;

const _: () = assert!(4 + RECORD + MAX_NAME <= BODY);

/// The most files of an index.
pub(super) const MAX_FILES: u32 = 1 << 20;

/// The most pages of files, which are held in memory: 64 MiB.
pub(super) const MAX_FILE_PAGES: u64 = 16 << 10;
