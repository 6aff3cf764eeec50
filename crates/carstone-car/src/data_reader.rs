//! The data of a block as a stream, for blocks that are not to be held in memory.

use std::io::{self, Read};

use crate::CarReader;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::section::Section;

/// The data of one block, as it comes, unverified. The counterpart of what `NextReader` in go-car gives.
///
/// It need not be read to its end: the reader goes on behind it in any case.
#[derive(Debug)]
pub struct DataReader<'r, R> {
    reader: &'r mut CarReader<R>,
    section: Section,
}

impl<R: Read> CarReader<R> {
    /// The data of the next block as a stream, or `None` at the end. Nobody verifies it: whoever does that by hand has to have read all of
    /// it. The counterpart of `NextReader` in go-car.
    ///
    /// The [limit](crate::Limits::section) for sections counts. No memory is needed for the data, so it may be as large as one likes.
    ///
    /// ```
    /// use std::io::Read;
    /// use carstone_car::{CarReader, CarWriter, codec, verify};
    /// let mut writer = CarWriter::new(Vec::new(), &[])?;
    /// writer.write_data(codec::RAW, b"hello")?;
    /// let bytes = writer.finish()?;
    ///
    /// let mut reader = CarReader::open(&bytes[..])?;
    /// while let Some(mut stream) = reader.danger_next_reader()? {
    ///     let mut data = Vec::new();
    ///     stream.read_to_end(&mut data)?;
    ///     verify(&stream.section().cid, &data)?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As with [`next_section`](Self::next_section). A block that is cut short is noticed when its data is read.
    pub fn danger_next_reader(&mut self) -> Result<Option<DataReader<'_, R>>> {
        let section = self.start_data()?;
        Ok(section.map(|section| DataReader { reader: self, section }))
    }
}

impl<R: Read> DataReader<'_, R> {
    /// Where the block lies.
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// Bytes that are still to come.
    pub fn left(&self) -> usize {
        self.reader.pending()
    }
}

impl<R: Read> Read for DataReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left() == 0 || buf.is_empty() {
            return Ok(0);
        }
        match self.reader.read_data(buf)? {
            0 => {
                let end = self.section.end().saturating_sub(self.left() as u64);
                let error = Error::at(ErrorKind::Truncated(Part::Data), end);
                Err(error.with_base(self.reader.payload_start()).into())
            }
            read => Ok(read),
        }
    }
}
