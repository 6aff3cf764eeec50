//! The few pieces of protobuf that dag-pb and UnixFS are made of.

use crate::error::Error;

/// Walks over the fields of one message. `base` is where the message lies in its block, for errors.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

/// One field, not yet interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
    /// Where the value's own bytes begin in the block.
    pub at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    Fixed64,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
    }

    /// Starts inside the message, at an offset that an earlier pass has seen.
    pub(crate) fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()), base: 0 }
    }

    /// Offset in the message of the next field.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next field, or `None` at the end of the message.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, Error> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let mut at = self.base + self.at;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let len = self.varint()?;
                at = self.base + self.at;
                // A length that does not fit `usize` is beyond the end anyway.
                Value::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => {
                let bytes = self.take(4)?.try_into().expect("four bytes were taken");
                Value::Fixed32(u32::from_le_bytes(bytes))
            }
            _ => return Err(Error::malformed("unknown wire type", at)),
        };
        Ok(Some(Field { number: key >> 3, value, at }))
    }

    /// Protobuf's varint: up to ten bytes, and padding is allowed.
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(Error::malformed(
                    "the message ends inside a field",
                    self.base + self.at,
                ));
            };
            if shift == 63 && byte > 1 {
                break;
            }
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::malformed("a varint exceeds 64 bits", self.base + self.at))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..]; // `at` never passes the end.
        let Some(taken) = rest.get(..len) else {
            return Err(Error::malformed(
                "a field is longer than its message",
                self.base + self.at,
            ));
        };
        self.at += len;
        Ok(taken)
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80); // The low seven bits, and "more".
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint field. `number` is below 16, so that its key is one byte.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u8, value: u64) {
    out.push(number << 3);
    put_varint(out, value);
}

/// Appends a field of bytes. `number` is below 16.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Length of a varint in bytes.
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_and_their_length_is_known() {
        for value in [0, 1, 127, 128, 300, 16383, 16384, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_len(value));
            let mut fields = Fields::new(&bytes, 0);
            assert_eq!(fields.varint().expect("just written"), value);
            assert!(fields.is_empty());
            for cut in 0..bytes.len() {
                assert!(Fields::new(&bytes[..cut], 0).varint().is_err(), "{value} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_varint_beyond_64_bits_is_refused() {
        assert!(Fields::new(&[0xff; 11], 0).varint().is_err());
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert!(Fields::new(&ten, 0).varint().is_err());
    }

    #[test]
    fn a_length_beyond_the_message_is_refused() {
        for bytes in [
            &b"\x0a\x02a"[..],
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0d\0\0\0",
            b"\x09\0",
        ] {
            assert!(Fields::new(bytes, 0).next().is_err(), "{bytes:?}");
        }
    }
}
