//! Blocks read at the places where they lie, and sections at those that an index gives.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Part, Result};
use crate::options::ReaderOptions;
use crate::place::BlockPlace;
use crate::read_at::{ReadAt, read_full};
use crate::section::{self, Head, Section, parse_head};

/// A section that was found.
pub(crate) struct Found {
    pub(crate) section: Section,
    head_len: usize,
    /// Its first bytes, and perhaps others behind it.
    bytes: Vec<u8>,
}

/// The section at this offset of a payload that lies there in a source, of which so many bytes are read; `None` if there is none.
pub(crate) fn find_at<R: ReadAt + ?Sized>(
    source: &R,
    payload: &Range<u64>,
    offset: u64,
    ahead: usize,
    options: &ReaderOptions,
) -> Result<Option<Found>> {
    let place = payload.start.saturating_add(offset);
    let rest = payload.end.saturating_sub(place);
    let mut bytes = vec![0; rest.min(ahead as u64) as usize];
    let read = read_full(source, &mut bytes, place)
        .map_err(|error| Error::at(ErrorKind::Io(error), offset).with_base(payload.start))?;
    bytes.truncate(read);
    match parse_head(&bytes, options) {
        Head::Complete(head) if head.len() as u64 <= rest => {
            let section = Section::new(&head, offset);
            Ok(Some(Found { section, head_len: head.head_len, bytes }))
        }
        _ => Ok(None),
    }
}

impl Found {
    /// The data, which is not verified. What has been read of it is not read again, if it is all there.
    pub(crate) fn into_data<R: ReadAt + ?Sized>(
        self,
        source: &R,
        payload: &Range<u64>,
        options: &ReaderOptions,
    ) -> Result<Vec<u8>> {
        let Found { section, head_len, bytes: mut data } = self;
        if data.len() < head_len.saturating_add(section.data_len) {
            let options = ReaderOptions::default().limits(options.limits);
            let options = options.danger_skip_verification();
            let block = BlockPlace { section, payload_start: payload.start };
            return block.read_inside(source, payload.end, &options);
        }
        data.drain(..head_len);
        data.truncate(section.data_len);
        Ok(data)
    }
}

impl BlockPlace {
    /// Reads the data, verified as the options say, in one read. `source` may be shared by threads. The counterpart of `readRaw` in @ipld/car.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if `source` ends before the data does; else what is wrong with the block.
    pub fn read<R: ReadAt + ?Sized>(&self, source: &R, options: ReaderOptions) -> Result<Vec<u8>> {
        let size = source.size().map_err(|error| self.error(ErrorKind::Io(error)))?;
        self.read_inside(source, size, &options)
    }

    /// The same in a file of which nothing from `end` on belongs to the payload.
    pub(crate) fn read_inside<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        end: u64,
        options: &ReaderOptions,
    ) -> Result<Vec<u8>> {
        let (offset, data_len) = (self.file_data_offset(), self.section.data_len);
        if offset.saturating_add(data_len as u64) > end {
            return Err(self.error(ErrorKind::Truncated(Part::Data)));
        }
        if data_len > options.limits.section {
            return Err(self.error(section::too_large(data_len as u64, &options.limits)));
        }
        let mut data = vec![0; data_len]; // The file is as long as that.
        match read_full(source, &mut data, offset) {
            Ok(read) if read == data.len() => {}
            Ok(_) => return Err(self.error(ErrorKind::Truncated(Part::Data))),
            Err(error) => return Err(self.error(ErrorKind::Io(error))),
        }
        section::check(&self.section, &data, options.checks())
            .map_err(|error| error.with_base(self.payload_start))?;
        Ok(data)
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::at(kind, self.section.offset).with_base(self.payload_start)
    }
}

/// More than the head of any section has.
pub(crate) const HEAD_LEN: usize = 128;

/// What is read of a section at once whose data is wanted: a block of 16 KiB takes one read, and a smaller one costs little more for it.
pub(crate) const AHEAD: usize = HEAD_LEN + (16 << 10);
