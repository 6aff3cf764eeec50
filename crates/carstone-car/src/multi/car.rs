//! Blocks of many CARs, by their CIDs.

use std::io;

use super::files::FileEntry;
use super::index::MultiIndex;
use super::leaf::MultiPlace;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::found::{self, AHEAD};
use crate::options::ReaderOptions;
use crate::read_at::{ReadAt, read_full};
use crate::section::{self, Head, Section};
use crate::{Cid, hash_code};

/// Finds blocks in many CARs by their CIDs: a [`MultiIndex`], and how its files are opened.
///
/// Of a file nothing is read but the section itself, in one read. Its CID is compared and its data verified, so that an index that lies, and
/// a file that has been changed, never give a wrong block. Where one place does not give the block, the others that the index has are
/// tried, 64 of them at most.
///
/// `open` is called for each place: it may hand out files that it keeps open, such as an `Arc<File>`.
///
/// ```
/// use std::collections::HashMap;
/// use std::io;
/// use carstone_car::{CarWriter, FileEntry, MultiCar, MultiIndex, MultiIndexBuilder, codec};
/// let (mut builder, mut cars) = (MultiIndexBuilder::new(), HashMap::new());
/// let mut cid = None;
/// for (name, data) in [("one.car", b"hello"), ("two.car", b"world")] {
///     let mut writer = CarWriter::new(Vec::new(), &[])?;
///     cid = Some(writer.write_data(codec::RAW, data)?.cid);
///     let car = writer.finish()?;
///     builder.add_car(name, &car)?;
///     cars.insert(name.as_bytes().to_vec(), car);
/// }
/// let index = MultiIndex::open(builder.write(Vec::new())?)?;
///
/// // Or `|file: &FileEntry| File::open(&*file.name())`.
/// let open = |file: &FileEntry| cars.get(&file.name).ok_or_else(|| io::ErrorKind::NotFound.into());
/// let car = MultiCar::new(index, open);
/// assert_eq!(car.get(&cid.expect("two blocks"))?.as_deref(), Some(&b"world"[..]));
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct MultiCar<R, O> {
    index: MultiIndex<R>,
    open: O,
    options: ReaderOptions,
    whole_cids: bool,
}

impl<R: ReadAt, O> MultiCar<R, O> {
    /// Joins an index and what opens its files: a function from a [`FileEntry`] to an [`io::Result`] of a [`ReadAt`].
    pub fn new(index: MultiIndex<R>, open: O) -> Self {
        MultiCar::with_options(index, open, ReaderOptions::default())
    }

    /// The same, with options for limits and verification.
    pub fn with_options(index: MultiIndex<R>, open: O, options: ReaderOptions) -> Self {
        MultiCar { index, open, options, whole_cids: false }
    }

    /// Sets whether a block is found only under the CID that it is stored with.
    #[must_use]
    pub fn whole_cids(mut self, yes: bool) -> Self {
        self.whole_cids = yes;
        self
    }

    /// The index.
    pub fn index(&self) -> &MultiIndex<R> {
        &self.index
    }

    /// Gives the index back.
    pub fn into_index(self) -> MultiIndex<R> {
        self.index
    }

    /// The data of a block, verified, or `None` if the index does not have it. An identity CID holds its data itself.
    ///
    /// # Errors
    /// [`ErrorKind::InFile`] if no place that the index has gives the block: why the first one does not. What is wrong with the index.
    pub fn get<S: ReadAt>(&self, cid: &Cid) -> Result<Option<Vec<u8>>>
    where
        O: Fn(&FileEntry) -> io::Result<S>,
    {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(Some(cid.hash().digest().to_vec()));
        }
        Ok(self.get_placed(cid)?.map(|(_, data)| data))
    }

    /// The same, with the place that has given the block. Of an identity CID, that is one that the index has.
    ///
    /// # Errors
    /// As with [`get`](Self::get).
    pub fn get_placed<S: ReadAt>(&self, cid: &Cid) -> Result<Option<(MultiPlace, Vec<u8>)>>
    where
        O: Fn(&FileEntry) -> io::Result<S>,
    {
        let mut first = None;
        for place in self.index.find_all(cid)?.take(MAX_TRIES) {
            // Damage in the index behind the first place does not say more than what was wrong there.
            let place = match place {
                Ok(place) => place,
                Err(error) => return Err(first.unwrap_or(error)),
            };
            match self.read(cid, &place) {
                Ok(Some(data)) => return Ok(Some((place, data))),
                Ok(None) => {}
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        first.map_or(Ok(None), Err)
    }

    /// The block at a place; `None` if it is one of another CID with the same hash, where whole CIDs are asked for.
    fn read<S: ReadAt>(&self, cid: &Cid, place: &MultiPlace) -> Result<Option<Vec<u8>>>
    where
        O: Fn(&FileEntry) -> io::Result<S>,
    {
        let file = self.index.file(place.file)?;
        let io = |error| Error::new(ErrorKind::Io(error));
        let read =
            (self.open)(file).map_err(io).and_then(|source| self.section(&source, file, place));
        let read = read.and_then(|(section, data)| {
            if section.cid.hash() != cid.hash() {
                return Err(Error::at(ErrorKind::StaleIndex, place.offset));
            }
            if self.whole_cids && section.cid != *cid {
                return Ok(None);
            }
            section::check(&section, &data, self.options.checks())?;
            Ok(Some(data))
        });
        read.map_err(|cause| {
            let cause = Box::new(cause.with_base(file.payload_start));
            let name = file.name().into_owned();
            Error::new(ErrorKind::InFile { file: place.file, name, cause })
        })
    }

    /// The section at a place, with its data, which is not verified.
    fn section<S: ReadAt>(
        &self,
        source: &S,
        file: &FileEntry,
        place: &MultiPlace,
    ) -> Result<(Section, Vec<u8>)> {
        let at = |kind| Error::at(kind, place.offset);
        let stale = || at(ErrorKind::StaleIndex);
        let size = source.size().map_err(|error| at(ErrorKind::Io(error)))?;
        let payload = file.payload_start..file.payload_start.saturating_add(file.payload_len);
        let payload = payload.start..payload.end.min(size);
        let Some(len) = place.len else {
            let found = found::find_at(source, &payload, place.offset, AHEAD, &self.options)?;
            let found = found.ok_or_else(stale)?;
            let section = found.section;
            // It is verified when its CID has been compared.
            let data = found.into_data(source, &payload, &self.options)?;
            return Ok((section, data));
        };
        let start = payload.start.saturating_add(place.offset);
        if start.checked_add(len).is_none_or(|end| end > payload.end) {
            return Err(at(ErrorKind::Truncated(Part::Payload)));
        }
        // A section is one varint longer than what is limited.
        let limit = (self.options.limits.section as u64).saturating_add(10);
        if len > limit {
            return Err(at(section::too_large(len, &self.options.limits)));
        }
        let mut bytes = vec![0; len as usize]; // The file is as long as that.
        match read_full(source, &mut bytes, start) {
            Ok(read) if read == bytes.len() => {}
            Ok(_) => return Err(at(ErrorKind::Truncated(Part::Payload))),
            Err(error) => return Err(at(ErrorKind::Io(error))),
        }
        match section::parse_head(&bytes, &self.options) {
            Head::Complete(head) if head.len() as u64 == len => {
                bytes.drain(..head.head_len);
                Ok((Section::new(&head, place.offset), bytes))
            }
            _ => Err(stale()),
        }
    }
}

/// Places that are tried for one block.
const MAX_TRIES: usize = 64;
