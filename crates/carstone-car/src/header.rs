//! The header of a CAR: the list of its roots, in strict DAG-CBOR.

use crate::cid_bytes::{self, MAX_CID, Parsed};
use crate::error::{Error, ErrorKind, Part, Result};
use crate::options::Limits;
use crate::{Cid, varint};

/// The header of a CARv1.
///
/// The format leaves open how many roots there are (zero is fine) and whether they are among the blocks.
///
/// ```
/// let header = carstone_car::Header { roots: Vec::new() };
/// assert_eq!(header.encode(), b"\x11\xa2\x65roots\x80\x67version\x01");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header {
    /// The CIDs where the DAGs in this CAR start.
    pub roots: Vec<Cid>,
}

impl Header {
    /// The bytes of the header, with its length varint. The format is that of the CARv1 specification, section *Header*.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.roots)
    }

    /// The length of [`encode`](Self::encode), without encoding. The counterpart of `headerLength` in @ipld/car.
    pub fn encoded_len(&self) -> usize {
        let body = body_len(&self.roots);
        varint::encoded_len(body as u64) + body
    }

    /// Decodes the body of a header: the DAG-CBOR map behind the length varint, and nothing else.
    ///
    /// Accepted is canonical DAG-CBOR alone (no indefinite lengths, no repeated keys, shortest integers), but the two keys may
    /// stand in either order.
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Self> {
        if body.len() > limits.header {
            return Err(too_large(body.len() as u64, limits));
        }
        match decode_first(body, limits)? {
            First::V1(header) => Ok(header),
            First::V2 => Err(Error::at(ErrorKind::UnsupportedVersion(2), 0)),
        }
    }
}

/// What stands at the start of a file.
pub(crate) enum First {
    /// The header of a CARv1.
    V1(Header),
    /// The pragma of a CARv2, which has no other canonical form than its 11 bytes.
    V2,
}

/// Decodes the map at the start of a file, of either version.
pub(crate) fn decode_first(body: &[u8], limits: &Limits) -> Result<First> {
    Decoder { rest: body, limits }.first().map_err(|kind| Error::at(kind, 0))
}

/// The bytes of a header with these roots, with its length varint.
pub(crate) fn encode(roots: &[Cid]) -> Vec<u8> {
    let body = body_len(roots);
    let mut length = [0; 10];
    let length_len = varint::encode(body as u64, &mut length);
    let mut out = Vec::with_capacity(length_len + body);
    out.extend_from_slice(&length[..length_len]);
    out.push(MAP | 2);
    out.extend_from_slice(b"\x65roots");
    push_head(&mut out, ARRAY, roots.len() as u64);
    for root in roots {
        let mut bytes = [0; MAX_CID];
        let len = cid_bytes::encode(root, &mut bytes);
        push_head(&mut out, TAG, LINK_TAG);
        push_head(&mut out, BYTES, len as u64 + 1);
        out.push(0); // The multibase prefix of a binary CID.
        out.extend_from_slice(&bytes[..len]);
    }
    out.extend_from_slice(b"\x67version\x01");
    debug_assert_eq!(out.len(), length_len + body);
    out
}

/// Checks the length of a header, as its varint states it.
pub(crate) fn check_len(len: u64, limits: &Limits) -> Result<usize> {
    if len == 0 {
        return Err(Error::at(ErrorKind::BadHeader("its length is zero"), 0));
    }
    let checked = usize::try_from(len).ok().filter(|&len| len <= limits.header);
    checked.ok_or_else(|| too_large(len, limits))
}

/// The error for a header that is longer than the limit.
pub(crate) fn too_large(len: u64, limits: &Limits) -> Error {
    let kind = ErrorKind::TooLarge { part: Part::Header, size: len, limit: limits.header as u64 };
    Error::at(kind, 0)
}

/// The length of a header with these roots, without its length varint.
pub(crate) fn body_len(roots: &[Cid]) -> usize {
    let links = roots.iter().map(|root| link_len(cid_bytes::encoded_len(root))).sum();
    body_len_of(roots.len(), links)
}

/// The length of a header with so many roots whose CIDs have this length, with its length varint.
pub(crate) fn encoded_len_of(roots: usize, cid_len: usize) -> usize {
    let body = body_len_of(roots, roots.saturating_mul(link_len(cid_len)));
    body.saturating_add(varint::encoded_len(body as u64))
}

/// The length of a header whose roots are CIDs of these lengths, with its length varint, before the CIDs are known. The counterpart of
/// `calculateHeaderLength` in @ipld/car.
///
/// ```
/// use carstone_car::{Header, cid_of, codec, header_len};
/// let roots = vec![cid_of(codec::RAW, b"hello"), cid_of(codec::DAG_JSON, b"{}")];
/// assert_eq!(header_len([36, 37]), Header { roots }.encoded_len());
/// ```
pub fn header_len(root_lens: impl IntoIterator<Item = usize>) -> usize {
    let (count, links) = root_lens.into_iter().fold((0usize, 0usize), |(count, links), len| {
        (count.saturating_add(1), links.saturating_add(link_len(len)))
    });
    let body = body_len_of(count, links);
    body.saturating_add(varint::encoded_len(body as u64))
}

fn body_len_of(roots: usize, links: usize) -> usize {
    let fixed = 1 + 6 + head_len(roots as u64) + 8 + 1;
    links.saturating_add(fixed)
}

/// The length of a root in the list.
fn link_len(cid_len: usize) -> usize {
    let len = cid_len.saturating_add(1);
    len.saturating_add(2 + head_len(len as u64))
}

fn head_len(value: u64) -> usize {
    match value {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

fn push_head(out: &mut Vec<u8>, major: u8, value: u64) {
    let bytes = value.to_be_bytes();
    match head_len(value) {
        1 => out.push(major | bytes[7]),
        2 => out.extend_from_slice(&[major | 24, bytes[7]]),
        3 => out.extend_from_slice(&[major | 25, bytes[6], bytes[7]]),
        5 => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Reads the little of DAG-CBOR that a header may consist of.
struct Decoder<'a> {
    rest: &'a [u8],
    limits: &'a Limits,
}

type Step<T> = Result<T, ErrorKind>;

impl<'a> Decoder<'a> {
    fn first(&mut self) -> Step<First> {
        let keys = self.expect(MAP, "it is not a map")?;
        let (mut roots, mut version) = (None, None);
        for _ in 0..keys {
            let key_len = self.expect(TEXT, "a key is not a string")?;
            match self.take(key_len)? {
                b"roots" if roots.is_none() => roots = Some(self.roots()?),
                b"version" if version.is_none() => {
                    version = Some(self.expect(UINT, "its version is not a positive integer")?);
                }
                b"roots" | b"version" => return bad("it has a key twice"),
                _ => return bad("it has a key that is neither roots nor version"),
            }
        }
        if !self.rest.is_empty() {
            return bad("there are bytes behind its map");
        }
        match (version, roots) {
            (None, _) => bad("it has no version"),
            (Some(1), Some(roots)) => Ok(First::V1(Header { roots })),
            (Some(1), None) => bad("it has no roots"),
            (Some(2), None) => Ok(First::V2),
            (Some(2), Some(_)) => bad("it is the pragma of a CARv2, and has roots"),
            (Some(version), _) => Err(ErrorKind::UnsupportedVersion(version)),
        }
    }

    fn roots(&mut self) -> Step<Vec<Cid>> {
        let count = self.expect(ARRAY, "its roots are not an array")?;
        if count > self.limits.roots as u64 {
            return Err(ErrorKind::TooLarge {
                part: Part::Roots,
                size: count,
                limit: self.limits.roots as u64,
            });
        }
        // The vector grows as roots are found: nothing is allocated on the word of `count`.
        let mut roots = Vec::new();
        for _ in 0..count {
            roots.push(self.link()?);
        }
        Ok(roots)
    }

    fn link(&mut self) -> Step<Cid> {
        const NO_LINK: &str = "a root is not a link";
        if self.expect(TAG, NO_LINK)? != LINK_TAG {
            return bad(NO_LINK);
        }
        let len = self.expect(BYTES, NO_LINK)?;
        let [0, bytes @ ..] = self.take(len)? else {
            return bad("a root does not start with the byte zero");
        };
        match cid_bytes::parse(bytes, self.limits) {
            Parsed::Cid(cid, len) if len == bytes.len() => Ok(cid),
            Parsed::Cid(..) => bad("a root has bytes behind its CID"),
            Parsed::NeedMore(_) => bad("the CID of a root is cut short"),
            Parsed::Bad(kind) => Err(kind),
        }
    }

    /// Reads the head of an item of this major type and returns its value: the number itself, the length or the count.
    fn expect(&mut self, major: u8, otherwise: &'static str) -> Step<u64> {
        let first = self.take(1)?[0];
        if first & MAJOR != major {
            return bad(otherwise);
        }
        let (value, least) = match first & !MAJOR {
            small @ 0..24 => (u64::from(small), 0),
            24 => (self.number(1)?, 24),
            25 => (self.number(2)?, 0x100),
            26 => (self.number(4)?, 0x1_0000),
            27 => (self.number(8)?, 0x1_0000_0000),
            _ => return bad("it has an item of indefinite length"),
        };
        if value < least {
            return bad("an integer or length is not in its shortest form");
        }
        Ok(value)
    }

    fn number(&mut self, len: u64) -> Step<u64> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
    }

    fn take(&mut self, len: u64) -> Step<&'a [u8]> {
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((taken, rest)) = split else {
            return bad("its map is cut short");
        };
        self.rest = rest;
        Ok(taken)
    }
}

fn bad<T>(what: &'static str) -> Step<T> {
    Err(ErrorKind::BadHeader(what))
}

const MAJOR: u8 = 0xe0;
const UINT: u8 = 0x00;
const BYTES: u8 = 0x40;
const TEXT: u8 = 0x60;
const ARRAY: u8 = 0x80;
const MAP: u8 = 0xa0;
const TAG: u8 = 0xc0;
const LINK_TAG: u64 = 42;

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
