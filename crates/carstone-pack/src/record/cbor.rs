//! Canonical DAG-CBOR, as far as records need it.

use carstone_car::Cid;
use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};

use crate::error::{Error, ErrorKind};

/// Writes one value into memory.
pub(crate) struct Out(Encoder<Vec<u8>>);

impl Out {
    pub(crate) fn new() -> Self {
        Self(Encoder::new(Vec::new()))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.writer().len()
    }

    pub(crate) fn map(&mut self, len: usize) -> &mut Self {
        self.0.map(len as u64).expect(MEMORY);
        self
    }

    pub(crate) fn array(&mut self, len: usize) -> &mut Self {
        self.0.array(len as u64).expect(MEMORY);
        self
    }

    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.0.str(key).expect(MEMORY);
        self
    }

    pub(crate) fn uint(&mut self, value: u64) -> &mut Self {
        self.0.u64(value).expect(MEMORY);
        self
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        self.0.i64(value).expect(MEMORY);
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.bytes(value).expect(MEMORY);
        self
    }

    /// Tag 42 over the CID's bytes behind a zero byte.
    pub(crate) fn link(&mut self, cid: &Cid) -> &mut Self {
        let mut bytes = vec![0];
        cid.write_bytes(&mut bytes).expect(MEMORY);
        self.0.tag(Tag::new(LINK_TAG)).expect(MEMORY);
        self.bytes(&bytes)
    }

    /// Bytes that are already encoded.
    pub(crate) fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.0.writer_mut().extend_from_slice(encoded);
        self
    }
}

/// Reads one value; every error names the record's position in the stream.
pub(crate) struct In<'b> {
    decoder: Decoder<'b>,
    at: u64,
}

impl<'b> In<'b> {
    pub(crate) fn new(bytes: &'b [u8], at: u64) -> Self {
        Self { decoder: Decoder::new(bytes), at }
    }

    pub(crate) fn fail(&self, rule: &'static str) -> Error {
        Error::new(ErrorKind::BadRecord(rule), self.at)
    }

    /// Calls `field` with each key of a map; `field` reads the value, or gives `false` to have it skipped.
    ///
    /// A key that starts with `!` must be known; a key that stands twice is refused.
    pub(crate) fn map(
        &mut self,
        mut field: impl FnMut(&mut Self, &'b str) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.shortest()?;
        let len = self.decoder.map().ok().flatten().ok_or_else(|| self.fail("a map is due"))?;
        let mut before = "";
        for _ in 0..len {
            self.shortest()?;
            let key = self.decoder.str().map_err(|_| self.fail("a text key is due"))?;
            if (key.len(), key) <= (before.len(), before) {
                return Err(self.fail("keys are not in canonical order"));
            }
            before = key;
            if !field(self, key)? {
                if key.starts_with('!') {
                    return Err(Error::new(ErrorKind::Newer(format!("key {key:?}")), self.at));
                }
                self.skip()?;
            }
        }
        Ok(())
    }

    /// Calls `item` for each element of an array of at most `most`.
    pub(crate) fn array(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.shortest()?;
        let len =
            self.decoder.array().ok().flatten().ok_or_else(|| self.fail("an array is due"))?;
        if len > most as u64 {
            return Err(self.fail("an array is longer than the format allows"));
        }
        (0..len).try_for_each(|_| item(self))
    }

    pub(crate) fn uint(&mut self) -> Result<u64, Error> {
        self.shortest()?;
        self.decoder.u64().map_err(|_| self.fail("an unsigned integer is due"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.shortest()?;
        self.decoder.u32().map_err(|_| self.fail("an unsigned 32-bit integer is due"))
    }

    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        self.shortest()?;
        self.decoder.i64().map_err(|_| self.fail("an integer is due"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], Error> {
        self.shortest()?;
        // Indefinite lengths have a type of their own, and are not canonical.
        match self.decoder.datatype() {
            Ok(Type::Bytes) => self.decoder.bytes().map_err(|_| self.fail("bytes are cut off")),
            _ => Err(self.fail("bytes are due")),
        }
    }

    pub(crate) fn digest(&mut self) -> Result<[u8; 32], Error> {
        self.bytes()?.try_into().map_err(|_| self.fail("a digest of 32 bytes is due"))
    }

    pub(crate) fn link(&mut self) -> Result<Cid, Error> {
        self.shortest()?;
        match self.decoder.tag() {
            Ok(tag) if tag.as_u64() == LINK_TAG => {}
            _ => return Err(self.fail("a link is due")),
        }
        match self.bytes()? {
            [0, cid @ ..] => Cid::try_from(cid).map_err(|_| self.fail("a link holds no CID")),
            _ => Err(self.fail("a link holds no CID")),
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        self.decoder.skip().map_err(|_| self.fail(CUT))
    }

    /// Passes over a value, and gives its encoded bytes.
    pub(crate) fn raw(&mut self) -> Result<&'b [u8], Error> {
        let start = self.decoder.position();
        self.skip()?;
        self.decoder.input().get(start..self.decoder.position()).ok_or_else(|| self.fail(CUT))
    }

    /// Refuses a number or length that is next and not in its shortest form.
    fn shortest(&self) -> Result<(), Error> {
        let rest = self.decoder.input().get(self.decoder.position()..).unwrap_or_default();
        let is_long = match *rest {
            [head, a, ..] if head & 0x1f == 24 => a < 24,
            [head, 0, _, ..] if head & 0x1f == 25 => true,
            [head, 0, 0, _, _, ..] if head & 0x1f == 26 => true,
            [head, 0, 0, 0, 0, ..] if head & 0x1f == 27 => true,
            _ => false,
        };
        match is_long {
            true => Err(self.fail("a number or length is not in its shortest form")),
            false => Ok(()),
        }
    }

    /// Refuses what is left behind the value.
    pub(crate) fn end(&self) -> Result<(), Error> {
        match self.decoder.position() == self.decoder.input().len() {
            true => Ok(()),
            false => Err(self.fail("bytes are left behind the map")),
        }
    }
}

const LINK_TAG: u64 = 42;
const CUT: &str = "a value is cut off";
const MEMORY: &str = "memory takes every byte";
