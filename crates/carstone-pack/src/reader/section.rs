//! One section at a position.

use std::sync::Arc;

use carstone_car::{Cid, Limits, Section, SectionHead, parse_section, verify};
use carstone_layer::{PackId, ReadAt, read_full};

use crate::error::{Error, ErrorKind};
use crate::record::{RAW, is_record};

/// Reads sections of a CAR stream at any position.
#[derive(Clone)]
pub(crate) struct SectionReader<R> {
    source: R,
    pack: PackId,
    len: u64,
    limits: Arc<Limits>,
}

impl<R: ReadAt> SectionReader<R> {
    pub(crate) fn new(source: R, pack: PackId) -> Result<Self, Error> {
        let len = source.size()?;
        Ok(Self { source, pack, len, limits: Arc::default() })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn into_inner(self) -> R {
        self.source
    }

    /// Whether a block is one of carstone's records in this pack.
    pub(crate) fn is_record(&self, cid: &Cid, data: &[u8]) -> bool {
        is_record(cid, data, &self.pack)
    }

    /// The section at `position` and its verified bytes; `None` at the end of the stream.
    pub(crate) fn read(&self, position: u64) -> Result<Option<(Section, Vec<u8>)>, Error> {
        let mut data = Vec::new();
        Ok(self.read_into(position, &mut data)?.map(|section| (section, data)))
    }

    /// Like [`read`](Self::read), into a buffer that can be used again.
    pub(crate) fn read_into(
        &self,
        position: u64,
        data: &mut Vec<u8>,
    ) -> Result<Option<Section>, Error> {
        let mut head = [0; HEAD];
        let Some((section, in_head)) = self.head_into(position, &mut head)? else {
            return Ok(None);
        };
        data.clear();
        let known = &head[in_head..];
        let known = &known[..known.len().min(section.data_len)];
        data.extend_from_slice(known);
        data.resize(section.data_len, 0);
        let have = known.len();
        let from = section.data_offset + have as u64;
        let n = self.fill(&mut data[have..], from)?;
        if have + n < section.data_len {
            let at = section.data_offset + (have + n) as u64;
            return Err(Error::new(ErrorKind::Io(std::io::ErrorKind::UnexpectedEof.into()), at));
        }
        verify(&section.cid, data).map_err(|error| Error::from(error.with_offset(position)))?;
        Ok(Some(section))
    }

    /// What stands at `position`, without its data.
    pub(crate) fn head(&self, position: u64) -> Result<Option<Section>, Error> {
        Ok(self.head_into(position, &mut [0; HEAD])?.map(|(section, _)| section))
    }

    /// The first raw leaf at or behind `position`, and its bytes.
    pub(crate) fn leaf(
        &self,
        mut position: u64,
        data: &mut Vec<u8>,
    ) -> Result<Option<Section>, Error> {
        while let Some(section) = self.head(position)? {
            if section.cid.codec() == RAW {
                return self.read_into(position, data);
            }
            position = section.end();
        }
        Ok(None)
    }

    /// Lets the layers below know that what stands up to `end` is wanted, when something before it is read first.
    ///
    /// Where they keep the stream in compressed blocks, both often stand in one, which is then decoded once and no further than
    /// here. A fault shows when the bytes are read.
    pub(crate) fn foresee(&self, end: u64) {
        if let Some(last) = end.min(self.len).checked_sub(1) {
            let _ = self.source.read_at(&mut [0], last);
        }
    }

    /// Reads as much as there is. What fails below says where it failed there; this adds where in the CAR stream.
    fn fill(&self, buffer: &mut [u8], position: u64) -> Result<usize, Error> {
        read_full(&self.source, buffer, position).map_err(|error| Error::io(error, position))
    }

    /// Gives the section and the length of its head; `head` then holds the first bytes of the section.
    fn head_into(
        &self,
        position: u64,
        head: &mut [u8; HEAD],
    ) -> Result<Option<(Section, usize)>, Error> {
        if position >= self.len {
            return Ok(None);
        }
        let n = self.fill(head, position)?;
        let parsed = parse_section(&head[..n], &self.limits);
        let SectionHead { head_len, cid, data_len, .. } = match parsed {
            Ok(parsed) => parsed,
            // A CID may be longer than what was read at first.
            Err(_) if n == HEAD => {
                let mut more = vec![0; HEAD + self.limits.cid];
                let n = self.fill(&mut more, position)?;
                let parsed = parse_section(&more[..n], &self.limits);
                parsed.map_err(|error| Error::from(error.with_offset(position)))?
            }
            Err(error) => return Err(Error::from(error.with_offset(position))),
        };
        let data_offset = position + head_len as u64;
        let end = data_offset.checked_add(data_len as u64);
        if end.is_none_or(|end| end > self.len) {
            let cut = std::io::ErrorKind::UnexpectedEof.into();
            return Err(Error::new(ErrorKind::Io(cut), self.len));
        }
        let section = Section { cid, offset: position, data_offset, data_len };
        Ok(Some((section, head_len.min(HEAD))))
    }
}

/// Enough for a varint, a usual CID and the first bytes of the data.
const HEAD: usize = 128;
