//! All content blocks, in the order of the stream.

use carstone_car::{Cid, Section};
use carstone_layer::ReadAt;

use super::PackReader;
use crate::error::Error;

/// The content blocks of a pack, each verified, in the order of the stream. carstone's own records are left out.
pub struct Blocks<'a, R> {
    reader: &'a PackReader<R>,
    position: u64,
    failed: bool,
}

impl<'a, R: ReadAt> Blocks<'a, R> {
    pub(super) fn new(reader: &'a PackReader<R>) -> Self {
        Self { reader, position: super::CAR_HEADER, failed: false }
    }

    /// Reads the next block into `data`, and says where it stands.
    ///
    /// # Errors
    /// A block that is damaged or does not hash to its CID; nothing can be read behind it.
    pub fn read_block(&mut self, data: &mut Vec<u8>) -> Result<Option<Section>, Error> {
        while !self.failed {
            let read = self.reader.sections.read_into(self.position, data);
            self.failed = !matches!(read, Ok(Some(_)));
            let Some(section) = read? else { break };
            self.position = section.end();
            if !self.reader.sections.is_record(&section.cid, data) {
                return Ok(Some(section));
            }
        }
        Ok(None)
    }
}

impl<R: ReadAt> Iterator for Blocks<'_, R> {
    type Item = Result<(Cid, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut data = Vec::new();
        let section = self.read_block(&mut data).transpose()?;
        Some(section.map(|section| (section.cid, data)))
    }
}
