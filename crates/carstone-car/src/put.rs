//! Putting blocks: writing those that are wanted and not there yet, one or many.

use std::io::{self, Read, Write};

use crate::error::Result;
use crate::section::{BlockRef, Section};
use crate::v2::CarFileWriter;
use crate::{CarReader, CarWriter, Cid};

/// What has come of many blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutCount {
    /// Blocks that have been written.
    pub written: u64,
    /// Bytes of their sections, lengths and CIDs included.
    pub bytes: u64,
    /// Blocks that the options leave out: those that were there, and those of identity CIDs.
    pub left_out: u64,
}

impl PutCount {
    pub(crate) fn add(&mut self, put: Option<Section>) {
        match put {
            Some(section) => {
                self.written += 1;
                self.bytes = self.bytes.saturating_add(section.len());
            }
            None => self.left_out += 1,
        }
    }
}

impl<W: Write, H: FnMut(&mut W, u64) -> io::Result<()>> CarWriter<W, H> {
    /// Writes a block, verified, unless the options leave it out: because it is [there](crate::WriterOptions::dedupe), or has an
    /// [identity CID](crate::WriterOptions::skip_identity). Then `None` is given and the data not looked at. (The functions whose names
    /// begin with `write` write in any case.) The counterpart of `Put` in go-car.
    ///
    /// ```
    /// use carstone_car::{CarWriter, Dedupe, WriterOptions, cid_of, codec};
    /// let options = WriterOptions::default().dedupe(Dedupe::Multihash);
    /// let mut writer = CarWriter::with_options(Vec::new(), &[], options)?;
    /// let cid = cid_of(codec::RAW, b"hello");
    /// assert!(writer.put_block(&cid, b"hello")?.is_some());
    /// assert!(writer.put_block(&cid, b"hello")?.is_none());
    /// # Ok::<(), carstone_car::Error>(())
    /// ```
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block), and when there are more blocks than the
    /// [memory for them](crate::WriterOptions::dedupe_budget) holds. Then nothing has been written.
    pub fn put_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        self.put(cid, |writer| writer.write_block(cid, data))
    }

    /// The same without hashing the data.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block).
    pub fn danger_put_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        self.put(cid, |writer| writer.danger_write_unverified(cid, data))
    }

    /// Puts many blocks, in their order, up to the first that fails. The counterpart of `PutMany` in go-car.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block). What came before stays written.
    pub fn put_many<'b>(
        &mut self,
        blocks: impl IntoIterator<Item = BlockRef<'b>>,
    ) -> Result<PutCount> {
        put_each(blocks, |block| self.put_block(&block.cid, block.data))
    }

    /// Puts the blocks that a reader gives from where it stands, and which are verified as the reader does it.
    ///
    /// # Errors
    /// Those of the reader and of [`put_block`](Self::put_block). What came before stays written.
    pub fn put_all<R: Read>(&mut self, reader: &mut CarReader<R>) -> Result<PutCount> {
        put_read(reader, |cid, data| self.danger_put_unverified(cid, data))
    }

    fn put<T>(
        &mut self,
        cid: &Cid,
        write: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.wants(cid)? {
            true => write(self).map(Some),
            false => Ok(None),
        }
    }
}

impl<W: Write> CarFileWriter<W> {
    /// Writes a block, verified, unless the options leave it out: because it is [there](crate::FileOptions::dedupe), or has an
    /// [identity CID](crate::FileOptions::skip_identity). Then `None` is given and the data not looked at. (The functions whose names
    /// begin with `write` write in any case.) The counterpart of `Put` in go-car.
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block), and when there are more blocks than the
    /// [memory for them](crate::FileOptions::dedupe_budget) holds. Then nothing has been written.
    pub fn put_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        self.put(cid, |writer| writer.write_block(cid, data))
    }

    /// The same without hashing the data.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block).
    pub fn danger_put_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        self.put(cid, |writer| writer.danger_write_unverified(cid, data))
    }

    /// Puts many blocks, in their order, up to the first that fails. The counterpart of `PutMany` in go-car.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block). What came before stays written.
    pub fn put_many<'b>(
        &mut self,
        blocks: impl IntoIterator<Item = BlockRef<'b>>,
    ) -> Result<PutCount> {
        put_each(blocks, |block| self.put_block(&block.cid, block.data))
    }

    /// Puts the blocks that a reader gives from where it stands, and which are verified as the reader does it.
    ///
    /// # Errors
    /// Those of the reader and of [`put_block`](Self::put_block). What came before stays written.
    pub fn put_all<R: Read>(&mut self, reader: &mut CarReader<R>) -> Result<PutCount> {
        put_read(reader, |cid, data| self.danger_put_unverified(cid, data))
    }

    fn put<T>(
        &mut self,
        cid: &Cid,
        write: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.car().wants(cid)? {
            true => write(self).map(Some),
            false => Ok(None),
        }
    }
}

fn put_each<'b>(
    blocks: impl IntoIterator<Item = BlockRef<'b>>,
    mut put: impl FnMut(BlockRef<'b>) -> Result<Option<Section>>,
) -> Result<PutCount> {
    let mut count = PutCount::default();
    for block in blocks {
        count.add(put(block)?);
    }
    Ok(count)
}

fn put_read<R: Read>(
    reader: &mut CarReader<R>,
    mut put: impl FnMut(&Cid, &[u8]) -> Result<Option<Section>>,
) -> Result<PutCount> {
    let (mut count, mut data) = (PutCount::default(), Vec::new());
    while let Some(section) = reader.read_block(&mut data)? {
        count.add(put(&section.cid, &data)?);
    }
    Ok(count)
}
