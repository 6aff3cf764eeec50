//! Iterators over what a stream holds. Each goes over it once: those that take the reader cannot be made a second time.

use std::io::{Read, Seek};
use std::iter::FusedIterator;

use crate::Cid;
use crate::error::Result;
use crate::place::BlockPlace;
use crate::reader::CarReader;
use crate::section::{Block, Section};

/// The blocks of a borrowed [`CarReader`], verified.
///
/// A [block error](crate::Error::is_block_error) does not end the iteration, all others do.
#[derive(Debug)]
pub struct Blocks<'r, R> {
    reader: &'r mut CarReader<R>,
}

/// The blocks of a [`CarReader`], verified. The counterpart of `CarBlockIterator` in @ipld/car.
///
/// A [block error](crate::Error::is_block_error) does not end the iteration, all others do.
#[derive(Debug)]
pub struct IntoBlocks<R> {
    reader: CarReader<R>,
}

/// The places of the blocks of a [`CarReader`], whose data is read over. Nothing is verified. An error ends the iteration.
#[derive(Debug)]
pub struct IntoSections<R> {
    reader: CarReader<R>,
}

/// The places of the blocks of a [`CarReader`] in its file, whose data is passed over. Nothing is verified. An error ends the iteration.
/// The counterpart of `CarIndexer` in @ipld/car.
#[derive(Debug)]
pub struct IntoPlaces<R> {
    reader: CarReader<R>,
    next: fn(&mut CarReader<R>) -> Result<Option<Section>>,
}

/// The CIDs of the blocks of a [`CarReader`], whose data is read over. Nothing is verified. An error ends the iteration.
/// The counterpart of `CarCIDIterator` in @ipld/car.
#[derive(Debug)]
pub struct IntoCids<R> {
    sections: IntoSections<R>,
}

impl<R: Read> CarReader<R> {
    /// The blocks from here on, verified. An owned reader is an iterator of them in a `for` loop.
    pub fn blocks(&mut self) -> Blocks<'_, R> {
        Blocks { reader: self }
    }

    /// Where the blocks from here on lie, in bytes from the start of the payload, for an index of one's own. Add
    /// [`payload_start`](Self::payload_start) for offsets in the file.
    pub fn into_sections(self) -> IntoSections<R> {
        IntoSections { reader: self }
    }

    /// Where the blocks from here on lie, in the payload and in the file. The counterpart of `CarIndexer` in @ipld/car.
    pub fn into_places(self) -> IntoPlaces<R> {
        IntoPlaces { reader: self, next: CarReader::next_section }
    }

    /// The CIDs of the blocks from here on. The counterpart of `CarCIDIterator` in @ipld/car.
    ///
    /// ```
    /// use carstone_car::{CarReader, CarWriter, codec};
    /// let mut writer = CarWriter::new(Vec::new(), &[])?;
    /// let cid = writer.write_data(codec::RAW, b"hello")?.cid;
    /// let bytes = writer.finish()?;
    ///
    /// let cids: Result<Vec<_>, _> = CarReader::open(&bytes[..])?.into_cids().collect();
    /// assert_eq!(cids?, [cid]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_cids(self) -> IntoCids<R> {
        IntoCids { sections: self.into_sections() }
    }
}

impl<R: Read + Seek> CarReader<R> {
    /// The same as [`into_places`](Self::into_places), seeking over the data where that is faster. A last section that is cut short is noticed.
    pub fn into_places_seeking(self) -> IntoPlaces<R> {
        IntoPlaces { reader: self, next: CarReader::skip_section }
    }
}

impl<R: Read> IntoIterator for CarReader<R> {
    type Item = Result<Block>;
    type IntoIter = IntoBlocks<R>;

    fn into_iter(self) -> IntoBlocks<R> {
        IntoBlocks { reader: self }
    }
}

impl<'r, R: Read> IntoIterator for &'r mut CarReader<R> {
    type Item = Result<Block>;
    type IntoIter = Blocks<'r, R>;

    fn into_iter(self) -> Blocks<'r, R> {
        self.blocks()
    }
}

impl<R: Read> Iterator for Blocks<'_, R> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        next_of(self.reader, CarReader::next_block)
    }
}

impl<R: Read> FusedIterator for Blocks<'_, R> {}

impl<R: Read> Iterator for IntoBlocks<R> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        next_of(&mut self.reader, CarReader::next_block)
    }
}

impl<R: Read> FusedIterator for IntoBlocks<R> {}

impl<R: Read> IntoSections<R> {
    /// The reader, to ask for its header and its position.
    pub fn get_ref(&self) -> &CarReader<R> {
        &self.reader
    }
}

impl<R: Read> Iterator for IntoSections<R> {
    type Item = Result<Section>;

    fn next(&mut self) -> Option<Self::Item> {
        next_of(&mut self.reader, CarReader::next_section)
    }
}

impl<R: Read> FusedIterator for IntoSections<R> {}

impl<R: Read> IntoPlaces<R> {
    /// The reader, to ask for its header and its position.
    pub fn get_ref(&self) -> &CarReader<R> {
        &self.reader
    }
}

impl<R: Read> Iterator for IntoPlaces<R> {
    type Item = Result<BlockPlace>;

    fn next(&mut self) -> Option<Self::Item> {
        let section = next_of(&mut self.reader, self.next)?;
        let payload_start = self.reader.payload_start();
        Some(section.map(|section| BlockPlace { section, payload_start }))
    }
}

impl<R: Read> FusedIterator for IntoPlaces<R> {}

impl<R: Read> IntoCids<R> {
    /// The reader, to ask for its header and its position.
    pub fn get_ref(&self) -> &CarReader<R> {
        self.sections.get_ref()
    }
}

impl<R: Read> Iterator for IntoCids<R> {
    type Item = Result<Cid>;

    fn next(&mut self) -> Option<Self::Item> {
        self.sections.next().map(|section| section.map(|section| section.cid))
    }
}

impl<R: Read> FusedIterator for IntoCids<R> {}

fn next_of<R: Read, T>(
    reader: &mut CarReader<R>,
    read: impl FnOnce(&mut CarReader<R>) -> Result<Option<T>>,
) -> Option<Result<T>> {
    if reader.is_broken() {
        return None; // The error has been handed out.
    }
    read(reader).transpose()
}
