//! dag-pb, see <https://ipld.io/specs/codecs/dag-pb/spec/>. Its node is a map of `Links`, a list of maps of `Hash`, `Name` and `Tsize`, and
//! `Data`.

use std::borrow::Cow;

use super::{Event, bad, link};
use crate::codec::DAG_PB;
use crate::dag::error::Result;

/// Goes through a node: its links as one list, wherever the data stands.
pub(super) fn scan<'a>(
    data: &'a [u8],
    visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>,
) -> Result<()> {
    visit(Event::Map, 0)?;
    let mut fields = Fields { bytes: data, at: 0, base: 0 };
    let (mut links, mut has_data) = (Links::Before, false);
    while let Some(Field { number, value, at }) = fields.next()? {
        match (number, value) {
            (LINKS, Value::Bytes(bytes)) => {
                match links {
                    Links::Before => open_links(at, visit)?,
                    Links::Inside => {}
                    Links::Behind => return fail("links stand on both sides of the data", at),
                }
                links = Links::Inside;
                scan_link(bytes, at, visit)?;
            }
            (DATA, Value::Bytes(_)) => {
                if has_data {
                    return fail("there are two pieces of data", at);
                }
                has_data = true;
                if let Links::Inside = links {
                    links = Links::Behind;
                    visit(Event::End, at)?;
                }
                visit(Event::Key(Cow::Borrowed(b"Data")), at)?;
                visit(Event::Other, at)?;
            }
            _ => return fail("a node has an unknown field", at),
        }
    }
    if let Links::Before = links {
        open_links(data.len(), visit)?;
    }
    if !matches!(links, Links::Behind) {
        visit(Event::End, data.len())?;
    }
    visit(Event::End, data.len())
}

/// Where in a node the list of links is.
enum Links {
    Before,
    Inside,
    Behind,
}

fn open_links<'a>(at: usize, visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>) -> Result<()> {
    visit(Event::Key(Cow::Borrowed(b"Links")), at)?;
    visit(Event::List, at)
}

fn scan_link<'a>(
    bytes: &'a [u8],
    base: usize,
    visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>,
) -> Result<()> {
    visit(Event::Map, base)?;
    let (mut fields, mut last) = (Fields { bytes, at: 0, base }, 0);
    while let Some(Field { number, value, at }) = fields.next()? {
        if number <= last {
            return fail("fields of a link are repeated or out of order", at);
        }
        if last == 0 && number != HASH {
            return fail("a link has no CID", at);
        }
        last = number;
        let (key, event) = match (number, value) {
            (HASH, Value::Bytes(bytes)) => (&b"Hash"[..], Event::Link(link(DAG_PB, bytes, at)?)),
            (NAME, Value::Bytes(name)) => (&b"Name"[..], Event::Text(Cow::Borrowed(name))),
            (TSIZE, Value::Varint(size)) => (&b"Tsize"[..], Event::Int(size.into())),
            _ => return fail("a link has an unknown field", at),
        };
        visit(Event::Key(Cow::Borrowed(key)), at)?;
        visit(event, at)?;
    }
    if last == 0 {
        return fail("a link has no CID", base);
    }
    visit(Event::End, base + bytes.len())
}

/// The fields of one message. `base` is where it lies in the block.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

struct Field<'a> {
    number: u64,
    value: Value<'a>,
    /// Where its value lies in the block.
    at: usize,
}

/// The two kinds of values that there are in dag-pb.
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<Field<'a>>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.place();
        let key = self.varint()?;
        let (value, at) = match key & 7 {
            0 => {
                let at = self.place();
                (Value::Varint(self.varint()?), at)
            }
            2 => {
                let len = self.varint()?;
                let at = self.place();
                (Value::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?), at)
            }
            _ => return fail("a field is of a kind that dag-pb does not have", start),
        };
        Ok(Some(Field { number: key >> 3, value, at }))
    }

    /// The varint of protocol buffers: up to ten bytes, of any form.
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else { break };
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        fail("a varint has more than 64 bits", self.place())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..len) else {
            return fail("a field is longer than what it stands in", self.place());
        };
        self.at += len;
        Ok(taken)
    }

    fn place(&self) -> usize {
        self.base + self.at
    }
}

fn fail<T>(what: &'static str, at: usize) -> Result<T> {
    Err(bad(DAG_PB, what, at))
}

const DATA: u64 = 1;
const LINKS: u64 = 2;
const HASH: u64 = 1;
const NAME: u64 = 2;
const TSIZE: u64 = 3;
