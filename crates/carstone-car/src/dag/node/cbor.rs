//! dag-cbor, see <https://ipld.io/specs/codecs/dag-cbor/spec/>.

use std::borrow::Cow;

use super::keys::Keys;
use super::{Event, bad, link};
use crate::Cid;
use crate::codec::DAG_CBOR;
use crate::dag::error::Result;

/// Goes through all values, without recursion.
pub(super) fn scan<'a>(
    data: &'a [u8],
    visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>,
) -> Result<()> {
    let mut input = Input { data, at: 0 };
    let mut open: Vec<Open<'a>> = Vec::new();
    loop {
        let at = input.at;
        if let Some(last) = open.last_mut() {
            if last.left == 0 {
                let keys = open.pop().and_then(|last| last.keys);
                if keys.is_some_and(|keys| !keys.are_distinct()) {
                    return fail("a map has a key twice", at);
                }
                visit(Event::End, at)?;
                if open.is_empty() {
                    break;
                }
                continue;
            }
            last.left -= 1;
            if let Some(keys) = &mut last.keys {
                let key = Cow::Borrowed(input.key()?);
                keys.add(key.clone());
                visit(Event::Key(key), at)?;
            }
        }
        let at = input.at;
        let (event, opened) = input.value()?;
        visit(event, at)?;
        open.extend(opened); // Not before its nesting has been counted.
        if open.is_empty() {
            break;
        }
    }
    match input.at == data.len() {
        true => Ok(()),
        false => fail("bytes follow the value", input.at),
    }
}

/// A map or list that has not ended.
struct Open<'a> {
    /// Values that are yet to come.
    left: u64,
    /// Of a map: its keys.
    keys: Option<Keys<'a>>,
}

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn value(&mut self) -> Result<(Event<'a>, Option<Open<'a>>)> {
        let at = self.at;
        let first = self.byte()?;
        let event = match first & MAJOR {
            SIMPLE => self.simple(first, at)?,
            UINT => Event::Int(i128::from(self.number(first, at)?)),
            NEGATIVE => Event::Int(-1 - i128::from(self.number(first, at)?)),
            BYTES => {
                self.string(first, at)?;
                Event::Other
            }
            TEXT => Event::Text(Cow::Borrowed(self.string(first, at)?)),
            ARRAY => return Ok((Event::List, Some(self.open(first, at, None)?))),
            MAP => return Ok((Event::Map, Some(self.open(first, at, Some(Keys::default()))?))),
            _ => Event::Link(self.tagged(first, at)?),
        };
        Ok((event, None))
    }

    fn open(&mut self, first: u8, at: usize, keys: Option<Keys<'a>>) -> Result<Open<'a>> {
        let left = self.number(first, at)?;
        let least = if keys.is_some() { left.saturating_mul(2) } else { left };
        if least > self.left() as u64 {
            return fail("a map or list has more values than there are bytes", at);
        }
        Ok(Open { left, keys })
    }

    fn key(&mut self) -> Result<&'a [u8]> {
        let at = self.at;
        let first = self.byte()?;
        match first & MAJOR {
            TEXT => self.string(first, at),
            _ => fail("a key is not text", at),
        }
    }

    fn tagged(&mut self, first: u8, at: usize) -> Result<Cid> {
        if self.number(first, at)? != LINK_TAG {
            return fail("a tag is not that of links", at);
        }
        let at = self.at;
        let first = self.byte()?;
        if first & MAJOR != BYTES {
            return fail("a link is not a byte string", at);
        }
        match self.string(first, at)? {
            [0, cid @ ..] => link(DAG_CBOR, cid, self.at - cid.len()),
            _ => fail("a link does not start with the byte zero", at),
        }
    }

    /// False, true, null and floats.
    fn simple(&mut self, first: u8, at: usize) -> Result<Event<'a>> {
        let finite = match first & !MAJOR {
            20..=22 => true,
            // The exponent is all ones of what is no number.
            25 => self.take(2, at)?[0] & 0x7c != 0x7c,
            26 => !matches!(self.take(4, at)?, [a, b, ..] if a & 0x7f == 0x7f && b & 0x80 != 0),
            27 => !matches!(self.take(8, at)?, [a, b, ..] if a & 0x7f == 0x7f && b & 0xf0 == 0xf0),
            31 => return fail("there is a break without an indefinite length", at),
            _ => return fail("a simple value is not false, true or null", at),
        };
        match finite {
            true => Ok(Event::Other),
            false => fail("a float is not a finite number", at),
        }
    }

    /// The bytes of a string of this first byte.
    fn string(&mut self, first: u8, at: usize) -> Result<&'a [u8]> {
        let len = self.number(first, at)?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX), at)
    }

    /// The number that starts with these five bits.
    fn number(&mut self, first: u8, at: usize) -> Result<u64> {
        let (len, least) = match first & !MAJOR {
            small @ 0..24 => return Ok(u64::from(small)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            31 => return fail("there is an indefinite length", at),
            _ => return fail("there is an unassigned length", at),
        };
        let bytes = self.take(len, at)?;
        let value = bytes.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte));
        match value >= least {
            true => Ok(value),
            false => fail("a number or length is not in its shortest form", at),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1, self.at)?[0])
    }

    /// Takes exactly so many bytes.
    fn take(&mut self, len: usize, at: usize) -> Result<&'a [u8]> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..len) else {
            return fail("the block ends inside of a value", at);
        };
        self.at += len;
        Ok(taken)
    }

    fn left(&self) -> usize {
        self.data.len() - self.at
    }
}

fn fail<T>(what: &'static str, at: usize) -> Result<T> {
    Err(bad(DAG_CBOR, what, at))
}

const MAJOR: u8 = 0xe0;
const UINT: u8 = 0x00;
const NEGATIVE: u8 = 0x20;
const BYTES: u8 = 0x40;
const TEXT: u8 = 0x60;
const ARRAY: u8 = 0x80;
const MAP: u8 = 0xa0;
const SIMPLE: u8 = 0xe0;
const LINK_TAG: u64 = 42;
