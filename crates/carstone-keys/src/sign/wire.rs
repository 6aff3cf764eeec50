//! Fields of the SSH wire format: RFC 4251, section 5.

use super::{Error, ErrorKind};

/// Reads fields one after the other.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next field begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// So many bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| Error::new(ErrorKind::Truncated).at(self.bytes.len()))?;
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    /// `uint32`.
    pub(super) fn number(&mut self) -> Result<u32, Error> {
        let mut number = [0; 4];
        number.copy_from_slice(self.take(4)?);
        Ok(u32::from_be_bytes(number))
    }

    /// `string`: a length and so many bytes.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Error> {
        let len = self.number()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Result<(), Error> {
        match self.at == self.bytes.len() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Malformed("something follows its end")).at(self.at)),
        }
    }
}

/// Text of others for a message.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
