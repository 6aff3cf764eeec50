//! Reads a pack at random: list, open by path, get by CID, verify.

mod blocks;
mod budget;
mod directory;
mod file;
mod index;
mod manifest;
#[cfg(test)]
mod page_tests;
mod section;
mod verify;

use std::sync::Arc;

use carstone_car::Cid;
#[cfg(feature = "fs")]
use carstone_car::Section;
use carstone_layer::{PackId, ReadAt};

pub use blocks::Blocks;
pub use file::PackFile;
pub use manifest::Entries;
use manifest::PageCache;
pub use verify::{Finding, VerifyReport};

use crate::entry::{Announced, EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::record::{Batch, RAW, Record, Tail, decode};
use directory::DirectoryCache;
use section::SectionReader;

/// A pack over any [`ReadAt`] that gives its CAR stream.
///
/// Every block that is handed out hashes to its CID. Readers are cheap to clone and are shared by threads where the source is.
///
/// Opening reads the tail record only; listing reads manifest pages; opening a file reads what lies on the way to it.
#[derive(Clone)]
pub struct PackReader<R> {
    sections: SectionReader<R>,
    tail: Tail,
    tail_position: u64,
    directories: Arc<DirectoryCache>,
    pages: Arc<PageCache>,
}

impl<R: ReadAt> PackReader<R> {
    /// Opens the pack whose tail record stands at `tail` (the position layer's mark).
    ///
    /// # Errors
    /// [`ErrorKind::NoTail`] when no tail record of this pack stands there. Such a pack can still be read front to back with
    /// [`PackStream`](crate::PackStream).
    pub fn open(source: R, pack: PackId, tail: u64) -> Result<Self, Error> {
        let sections = SectionReader::new(source, pack)?;
        let (section, data) = match sections.read(tail) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(Error::new(ErrorKind::NoTail, tail)),
            Err(error) => return Err(error),
        };
        if !sections.is_record(&section.cid, &data) {
            return Err(Error::new(ErrorKind::NoTail, tail));
        }
        match decode(&data, tail)? {
            Record::Tail(record) => {
                let (directories, pages) = (Arc::default(), Arc::default());
                Ok(Self { sections, tail: record, tail_position: tail, directories, pages })
            }
            _ => Err(Error::new(ErrorKind::NoTail, tail)),
        }
    }

    /// The tail record: roots and totals.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Length of the CAR stream in bytes.
    pub fn stream_len(&self) -> u64 {
        self.sections.len()
    }

    /// All entries, sorted by path.
    pub fn entries(&self) -> Entries<'_, R> {
        Entries::new(&self.sections, self.tail.manifest, Vec::new())
    }

    /// The entry `path` and all entries below it.
    pub fn entries_within(&self, path: &[u8]) -> Entries<'_, R> {
        Entries::new(&self.sections, self.tail.manifest, path.to_vec())
    }

    /// All content blocks, in the order of the stream.
    pub fn blocks(&self) -> Blocks<'_, R> {
        Blocks::new(self)
    }

    /// The entry at `path`, if there is one.
    ///
    /// # Errors
    /// A manifest page that is damaged or breaks the format.
    pub fn find(&self, path: &[u8]) -> Result<Option<Listed>, Error> {
        self.pages.find(&self.sections, self.tail.manifest, path)
    }

    /// The SHA-256 of a file's content, from the manifest or from the node of its directory. `None` for what is no file. A hard link has
    /// the digest of the entry it names.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Mismatch`] when the directory does not list the file.
    pub fn sha256(&self, entry: &Listed) -> Result<Option<[u8; 32]>, Error> {
        if entry.sha256.is_some() {
            return Ok(entry.sha256);
        }
        match entry.kind {
            EntryKind::File => {}
            EntryKind::HardLink => {
                return match self.original(entry)? {
                    Some(original) if original.kind == EntryKind::File => self.sha256(&original),
                    _ => Ok(None),
                };
            }
            _ => return Ok(None),
        }
        let cid = self.link(entry)?.filter(|cid| cid.codec() == RAW);
        let digest = cid.and_then(|cid| cid.hash().digest().try_into().ok());
        let what = "the link in its directory";
        digest.map(Some).ok_or_else(|| Error::mismatch(&entry.path, what, 0))
    }

    /// The entry that a hard link names.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn original(&self, entry: &Listed) -> Result<Option<Listed>, Error> {
        let original = match &entry.target {
            Some(target) if entry.kind == EntryKind::HardLink => self.find(target)?,
            _ => return Ok(None),
        };
        // A hard link names an entry with content, so a chain of them cannot go on for ever.
        Ok(original.filter(|original| original.kind != EntryKind::HardLink))
    }

    /// All that the pack keeps of an entry, from the record that announced it. `None` for a directory that only paths imply.
    ///
    /// # Errors
    /// A record that is damaged, or is not the one that announced this entry.
    pub fn announced(&self, entry: &Listed) -> Result<Option<Announced>, Error> {
        let (Some(position), Some(id)) = (entry.record, entry.id) else { return Ok(None) };
        let batch = self.batch(position)?;
        let found = batch.entries.into_iter().find(|announced| announced.id == id);
        match found.filter(|found| found.path == entry.path && found.kind == entry.kind) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::mismatch(&entry.path, "its entry in the batch", position)),
        }
    }

    /// The batch at `position`.
    ///
    /// # Errors
    /// No batch of this pack stands there, or it is damaged.
    pub fn batch(&self, position: u64) -> Result<Batch, Error> {
        let wrong = || Error::new(ErrorKind::BadRecord("an entry batch is due"), position);
        let (section, data) = self.sections.read(position)?.ok_or_else(wrong)?;
        if !self.sections.is_record(&section.cid, &data) {
            return Err(wrong());
        }
        match decode(&data, position)? {
            Record::Batch(batch) => Ok(batch),
            _ => Err(wrong()),
        }
    }

    /// Opens a file, or what a hard link names, for reading at any offset.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when the entry is no file; else as [`find`](Self::find).
    pub fn open_file(&self, entry: &Listed) -> Result<PackFile<R>, Error>
    where
        R: Clone,
    {
        match entry.kind {
            EntryKind::File => PackFile::open(self.clone(), entry),
            EntryKind::HardLink => match self.original(entry)? {
                Some(original) => self.open_file(&original),
                None => Err(Error::mismatch(&entry.path, "the entry it links to", 0)),
            },
            _ => Err(Error::mismatch(&entry.path, "a file is due; its kind", 0)),
        }
    }

    /// The bytes of a block, or `None` when the pack does not hold it.
    ///
    /// # Errors
    /// An index page or the block is damaged.
    pub fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, Error> {
        match self.locate(cid)? {
            Some(position) => Ok(self.sections.read(position)?.map(|(_, data)| data)),
            None => Ok(None),
        }
    }

    /// Position of a block's section, confirmed by the CID that stands there.
    ///
    /// # Errors
    /// An index page is damaged.
    pub fn locate(&self, cid: &Cid) -> Result<Option<u64>, Error> {
        index::locate(&self.sections, self.tail.index, cid)
    }

    /// The first raw leaf at or behind `position`, verified, and its bytes.
    #[cfg(feature = "fs")]
    pub(crate) fn leaf(&self, position: u64, data: &mut Vec<u8>) -> Result<Option<Section>, Error> {
        self.sections.leaf(position, data)
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.sections.into_inner()
    }

    pub(crate) fn tail_position(&self) -> u64 {
        self.tail_position
    }
}

impl<R: ReadAt> carstone_unixfs::BlockSource for PackReader<R> {
    fn block(&self, cid: &Cid) -> std::io::Result<Option<Vec<u8>>> {
        Ok(self.get(cid)?)
    }
}

/// Length of a CAR header without roots, in bytes.
const CAR_HEADER: u64 = 18;
