//! The store: blocks in and out.

use std::fmt;
use std::io::{Read, Seek};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::disk::Disk;
use super::options::{StoreOptions, SyncPolicy};
use super::scan::{Catalog, Scanned};
use super::window::Window;
use super::writer::{Stage, Writer};
use crate::error::{Error, ErrorKind, Part, Result};
use crate::hash::{cid_of, hash_code, verify};
use crate::read_at::{AtReader, read_full};
use crate::section::{self, BlockRef, Head, Section};
use crate::v2::payload_start;
use crate::writer::check_block;
use crate::{CarReader, Cid};

/// Blocks in one CARv2 file, put and got until it is finished: go-car's `blockstore.ReadWrite`, whose unfinished files it opens and the
/// other way round.
///
/// Each block is appended to the file as it is put, and an unfinished file can be [opened](Self::open) again, whatever has ended its
/// writer: a section that was torn at the end is found by its hash and cut off. [`finalize`](Self::finalize) writes index and header.
///
/// Many threads may share a store. Puts take turns; nobody who reads waits for them. The file is locked for other stores
/// ([`ErrorKind::Locked`]). In memory are some 20 to 40 bytes for each block, and the entries of the index up to
/// [their budget](crate::FileOptions::index_budget).
///
/// Blocks are found by their multihash, unless [whole CIDs](StoreOptions::whole_cids) are asked for. An identity CID holds its data itself:
/// it is always there, and not written unless [that is asked for](StoreOptions::identity).
///
/// ```
/// use carstone_car::{CarStore, IndexedCar, StoreOptions, codec};
/// # let folder = std::env::temp_dir().join(format!("car-store-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("blocks.car");
/// let store = CarStore::create(&path, &[], StoreOptions::default())?;
/// let hello = store.put_data(codec::RAW, b"hello")?;
/// assert_eq!(store.get(&hello)?.as_deref(), Some(&b"hello"[..]));
/// drop(store); // Or the process ends in any other way.
///
/// let store = CarStore::open(&path, StoreOptions::default())?;
/// assert!(store.has(&hello)?);
/// let car = store.put_data(codec::RAW, b"car")?;
/// store.finalize()?; // A CARv2 with an index, on disk.
///
/// let car = IndexedCar::open(std::fs::File::open(&path)?)?.get(&car)?;
/// assert_eq!(car.as_deref(), Some(&b"car"[..]));
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What outlasts what
///
/// A put that has returned outlasts the end of the process. What outlasts a power cut is for [`SyncPolicy`] to say. A put that fails
/// has left nothing in the file, unless it was the sync behind it that failed; after a failed sync, or when a block cannot be cut off
/// again, the store is [broken](ErrorKind::Broken) for writing.
///
/// # The journal
///
/// To put blocks into a finished file means to overwrite its index. Before anything is changed, the old header and the bytes behind the
/// payload are copied to a file beside it, `NAME.journal`, which is on disk before the first change is made, and goes when the file is finished
/// again, or made what it was. So at any moment the file is finished, or file and journal together are all that is needed: to go on with
/// [`open`](Self::open), or to go back with [`discard`](Self::discard) or [`restore`](Self::restore). They should not be parted; a journal that belongs to
/// another file is refused ([`ErrorKind::BadJournal`]).
///
/// That a header of 40 bytes inside of one sector is written as a whole or not at all is taken for granted.
pub struct CarStore {
    disk: Box<dyn Disk>,
    options: StoreOptions,
    roots: Vec<Cid>,
    seen: RwLock<Seen>,
    writer: Mutex<Writer>,
}

/// What is in the file, as far as it can be read.
pub(super) struct Seen {
    pub(super) catalog: Catalog,
    /// Offset in the payload of the byte behind the last section.
    pub(super) end: u64,
}

impl CarStore {
    pub(super) fn new(
        disk: Box<dyn Disk>,
        options: StoreOptions,
        scanned: Scanned,
        stage: Stage,
        unsynced: u64,
    ) -> Self {
        let Scanned { roots, catalog, end } = scanned;
        let seen = RwLock::new(Seen { catalog, end });
        let writer = Mutex::new(Writer::new(stage, unsynced));
        CarStore { disk, options, roots, seen, writer }
    }

    /// The roots, as the header has them. They need not be among the blocks. The counterpart of `Roots` in go-car.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The number of sections, duplicates included.
    pub fn len(&self) -> u64 {
        self.seen().catalog.places.len()
    }

    /// Whether there are no sections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a block, after verifying that its data hashes to its CID. `false` if it was there already, and has not been written again: what
    /// is there is not hashed for that. The counterpart of `Put` in go-car.
    pub fn put(&self, cid: &Cid, data: &[u8]) -> Result<bool> {
        verify(cid, data)?;
        self.danger_put_unverified(cid, data)
    }

    /// Puts a block of this data, under its CIDv1 with sha2-256, and returns that. `codec` is a multicodec code, see
    /// [`codec`](crate::codec).
    pub fn put_data(&self, codec: u64, data: &[u8]) -> Result<Cid> {
        let cid = cid_of(codec, data);
        self.danger_put_unverified(&cid, data).map(|_| cid)
    }

    /// Puts blocks in their order, syncs at the end if a sync is due, and says how many were not there yet. Those before one that fails
    /// are in the store. The counterpart of `PutMany` in go-car.
    pub fn put_many<'a>(&self, blocks: impl IntoIterator<Item = BlockRef<'a>>) -> Result<u64> {
        let mut written = 0;
        let result = blocks.into_iter().try_for_each(|block| {
            verify(&block.cid, block.data)?;
            written += u64::from(self.append(&mut self.writer(), &block.cid, block.data)?);
            Ok(())
        });
        let synced = self.sync_if_due(&mut self.writer());
        result.and(synced).map(|()| written)
    }

    /// Puts a block without hashing its data, for callers who have just made the CID from the data. A block that does not match is taken
    /// for a torn one when the file is opened again.
    pub fn danger_put_unverified(&self, cid: &Cid, data: &[u8]) -> Result<bool> {
        let mut writer = self.writer();
        let is_new = self.append(&mut writer, cid, data)?;
        self.sync_if_due(&mut writer)?;
        Ok(is_new)
    }

    /// Whether there is a block of this CID. The counterpart of `Has` in go-car.
    pub fn has(&self, cid: &Cid) -> Result<bool> {
        Ok(self.size(cid)?.is_some())
    }

    /// The data of a block, verified, or `None` if there is no such block. Where the block is there several times, one that is
    /// intact is enough. The counterpart of `Get` in go-car.
    pub fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>> {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(Some(cid.hash().digest().to_vec()));
        }
        self.find(cid, |section| {
            let mut data = vec![0; section.data_len]; // The section is in the file.
            self.read(&mut data, section.data_offset, Part::Data)?;
            verify(&section.cid, &data).map_err(|error| error.with_offset(section.offset))?;
            Ok(data)
        })
    }

    /// Length of the data of a block, or `None` if there is no such block. The counterpart of `GetSize` in go-car.
    pub fn size(&self, cid: &Cid) -> Result<Option<usize>> {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(Some(usize::from(cid.hash().size())));
        }
        Ok(self.section(cid)?.map(|section| section.data_len))
    }

    /// Where a block lies in the payload. `None` if there is no such block.
    pub fn section(&self, cid: &Cid) -> Result<Option<Section>> {
        self.find(cid, |section| Ok(*section))
    }

    /// A reader of all blocks that there are now, in the order in which they were put. What it reads is the payload, so it speaks of a
    /// CARv1.
    pub fn reader(&self) -> Result<CarReader<impl Read + Seek>> {
        let payload =
            Window { source: &*self.disk, start: self.payload_start(), len: self.seen().end };
        let reader = CarReader::open_seekable(AtReader::new(payload), self.options.reader());
        reader.map_err(|error| error.with_base(self.payload_start()))
    }

    /// The CIDs of all blocks that there are now, in the order in which they were put, as they were given. The counterpart of `AllKeysChan` in
    /// go-car, which gives other CIDs, unless it is told to keep whole ones.
    pub fn cids(&self) -> Result<impl Iterator<Item = Result<Cid>>> {
        let mut reader = self.reader()?;
        Ok(std::iter::from_fn(move || match reader.is_broken() {
            true => None, // The error has been handed out.
            false => Some(reader.skip_section().transpose()?.map(|section| section.cid)),
        }))
    }

    /// Returns when all that has been put outlasts a power cut.
    pub fn sync(&self) -> Result<()> {
        self.writer().sync(&*self.disk)
    }

    pub(super) fn into_parts(self) -> (Box<dyn Disk>, StoreOptions, Seen, Writer) {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.disk, self.options, seen, writer)
    }

    /// Where the payload starts in the file.
    fn payload_start(&self) -> u64 {
        payload_start(&self.options.file)
    }

    // Who panics while holding one of them leaves a broken writer, or changes nothing.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> RwLockReadGuard<'_, Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, writer: &mut Writer, cid: &Cid, data: &[u8]) -> Result<bool> {
        writer.check_usable()?;
        let limits = &self.options.file.limits;
        check_block(cid, data, limits).map_err(Error::new)?;
        if cid.hash().code() == hash_code::IDENTITY && !self.options.identity {
            return Ok(false);
        }
        if !self.options.duplicates && self.section(cid)?.is_some() {
            return Ok(false);
        }
        let (start, offset) = (self.payload_start(), self.seen().end);
        let at = start.saturating_add(offset);
        writer.begin(&*self.disk, at)?;
        let head_len = writer.write_section(&*self.disk, at, cid, data)?;
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        writer.is_broken = true; // Should it panic.
        if let Err(error) = seen.catalog.add(cid, offset) {
            // A limit leaves the index as it was. Nobody knows what else does.
            writer.is_broken = !matches!(error.kind(), ErrorKind::TooLarge { .. });
            writer.take_back(&*self.disk, at);
            return Err(error);
        }
        writer.is_broken = false;
        seen.end = offset.saturating_add(head_len).saturating_add(data.len() as u64);
        Ok(true)
    }

    fn sync_if_due(&self, writer: &mut Writer) -> Result<()> {
        let is_due = match self.options.sync {
            SyncPolicy::Never | SyncPolicy::AtFinalize => false,
            SyncPolicy::EachPut => true,
            SyncPolicy::EveryBytes(bytes) => writer.unsynced >= bytes,
        };
        match is_due {
            true => writer.sync(&*self.disk),
            false => Ok(()),
        }
    }

    /// Hands the sections of a CID to `take` until it takes one. A bad block is passed over if there is another.
    fn find<T>(&self, cid: &Cid, mut take: impl FnMut(&Section) -> Result<T>) -> Result<Option<T>> {
        let (offsets, end) = {
            let seen = self.seen();
            (seen.catalog.places.of(cid.hash()).collect::<Vec<_>>(), seen.end)
        };
        let mut bad = None;
        for offset in offsets {
            let section = self.head_at(offset, end)?;
            let is_same = match self.options.whole_cids {
                true => section.cid == *cid,
                false => section.cid.hash() == cid.hash(),
            };
            match is_same.then(|| take(&section)) {
                None => {}
                Some(Ok(taken)) => return Ok(Some(taken)),
                Some(Err(error)) if error.is_block_error() => bad = bad.or(Some(error)),
                Some(Err(error)) => return Err(error),
            }
        }
        match bad {
            Some(error) => Err(error.with_base(self.payload_start())),
            None => Ok(None),
        }
    }

    /// The section at this offset, which was there when the file was opened, or has been put since.
    fn head_at(&self, offset: u64, end: u64) -> Result<Section> {
        let mut bytes = [0; HEAD_LEN];
        let rest = end.saturating_sub(offset);
        let bytes = &mut bytes[..rest.min(HEAD_LEN as u64) as usize];
        self.read(bytes, offset, Part::Section)?;
        let kind = match section::parse_head(bytes, &self.options.reader()) {
            Head::Complete(head) if head.len() as u64 <= rest => {
                return Ok(Section::new(&head, offset));
            }
            Head::Complete(_) | Head::NeedMore(_) => ErrorKind::Truncated(Part::Section),
            Head::Bad(kind) => kind,
        };
        Err(Error::at(kind, offset).with_base(self.payload_start()))
    }

    /// Fills `buf` from this offset of the payload.
    fn read(&self, buf: &mut [u8], offset: u64, part: Part) -> Result<()> {
        let kind = match read_full(&*self.disk, buf, self.payload_start().saturating_add(offset)) {
            Ok(read) if read == buf.len() => return Ok(()),
            Ok(_) => ErrorKind::Truncated(part),
            Err(error) => ErrorKind::Io(error),
        };
        Err(Error::at(kind, offset).with_base(self.payload_start()))
    }
}

impl fmt::Debug for CarStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarStore")
            .field("options", &self.options)
            .field("roots", &self.roots)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// More than the head of any section has.
const HEAD_LEN: usize = 128;
