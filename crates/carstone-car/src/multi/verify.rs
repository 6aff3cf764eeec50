//! Whether all of an index over many CARs is as it was written.

use std::io::{self, Write};

use super::entries::Walk;
use super::files::FileEntry;
use super::footer::Shape;
use super::index::MultiIndex;
use super::leaf::MultiPlace;
use super::page::{PAGE, bad_page};
use super::segment::SegmentWriter;
use crate::error::{Error, Result};
use crate::read_at::{ReadAt, read_full};

impl<R: ReadAt> MultiIndex<R> {
    /// Goes over all pages: each one is what was written, entries are in order and inside of their files, and every other page is what the
    /// format makes of the entries and files. The CARs are not looked at.
    ///
    /// # Errors
    /// The first fault: [`ErrorKind::BadPage`](crate::ErrorKind::BadPage), with the number of the page.
    pub fn verify(&self) -> Result<()> {
        let files: Vec<_> = self.files().collect::<Result<_>>()?;
        let files: Vec<FileEntry> = files.into_iter().cloned().collect();
        let mut walk = Walk::new(self.get_ref(), self.shape());
        let same = Same { source: self.get_ref(), shape: self.shape(), at: 0, buf: Vec::new() };
        let check = || {
            let mut writer = SegmentWriter::new(same, &files)?;
            let mut record = Vec::new();
            while walk.advance(&mut record)? {
                let place = record.last_chunk::<{ super::leaf::PLACE }>();
                let place = place.and_then(|place| MultiPlace::decode(place));
                let end = |place: MultiPlace| {
                    let file = files.get(place.file as usize)?;
                    (place.end() <= file.payload_len).then_some(())
                };
                if place.and_then(end).is_none() {
                    return Err(walk.fault("an entry is not inside of its file").into());
                }
                writer.push(&record)?;
            }
            writer.finish().map(drop)
        };
        check().map_err(Error::from_io)
    }
}

/// Takes the bytes that are in the index, and no others.
struct Same<'a, R> {
    source: &'a R,
    shape: &'a Shape,
    at: u64,
    buf: Vec<u8>,
}

impl<R: ReadAt> Write for Same<'_, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buf.resize(bytes.len(), 0);
        let read = read_full(self.source, &mut self.buf, self.at)?;
        if self.buf[..read] != *bytes {
            let same = self.buf.iter().zip(bytes).take_while(|(a, b)| a == b).count() as u64;
            let page = (self.at.saturating_add(same)) / PAGE as u64;
            let page = page.min(self.shape.footer());
            return Err(
                bad_page(page, "it is not what the format makes of entries and files").into()
            );
        }
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
