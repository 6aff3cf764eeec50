//! The outer shape of a node: links, and one piece of data.
//!
//! The writer puts links before data, as the specification demands. The reader accepts both orders, since
//! programs of both kinds exist, but at most one piece of data and no gap in the run of links.

use std::io;

use carstone_car::Cid;

use crate::error::Error;
use crate::proto::{Field, Fields, Value, put_bytes, put_number, put_varint, varint_len};

/// A link of a node, borrowed from the node's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeLink<'a> {
    /// Name as stored: of a directory the entry's, of a shard with the slot in front, of a file empty.
    /// Any bytes; see [`check_name`](crate::check_name).
    pub name: &'a [u8],
    /// What is linked.
    pub cid: Cid,
    /// Size of the linked DAG in bytes, as the writer claims; 0 where it is not stated.
    pub tsize: u64,
}

/// The links of a node in stored order, read from its block one by one.
#[derive(Debug, Clone)]
pub struct Links<'a> {
    fields: Fields<'a>,
    left: usize,
}

impl<'a> Links<'a> {
    /// The number of links left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether no link is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Where in the block the next link is looked for: [`resume`](Self::resume) continues there.
    pub(crate) fn cursor(&self) -> (usize, usize) {
        (self.fields.at(), self.left)
    }

    /// Continues over a block that has been parsed before.
    pub(crate) fn resume(block: &'a [u8], (at, left): (usize, usize)) -> Self {
        Self { fields: Fields::starting_at(block, at), left }
    }
}

impl<'a> Iterator for Links<'a> {
    type Item = NodeLink<'a>;

    fn next(&mut self) -> Option<NodeLink<'a>> {
        while self.left > 0 {
            // Errors cannot occur: `parse` has read every link once before it handed out `Links`.
            if let Field { number: LINKS, value: Value::Bytes(bytes), at } =
                self.fields.next().ok()??
            {
                self.left -= 1;
                return parse_link(bytes, at).ok();
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Links<'_> {}

/// A node taken apart.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    pub links: Links<'a>,
    pub data: Option<&'a [u8]>,
    /// Where the data lies in the block.
    pub data_at: usize,
}

/// Takes a block apart and checks every link.
pub(crate) fn parse(block: &[u8]) -> Result<Parsed<'_>, Error> {
    let mut parsed = Parsed { links: Links::resume(block, (0, 0)), data: None, data_at: 0 };
    let (mut fields, mut closed) = (Fields::new(block, 0), false);
    while let Some(field) = fields.next()? {
        match field {
            Field { number: LINKS, value: Value::Bytes(bytes), at } => {
                if closed {
                    return Err(Error::malformed("links stand on both sides of the data", at));
                }
                parse_link(bytes, at)?;
                parsed.links.left += 1;
            }
            Field { number: DATA, value: Value::Bytes(bytes), at } => {
                if parsed.data.is_some() {
                    return Err(Error::malformed("the node has two pieces of data", at));
                }
                closed = parsed.links.left > 0;
                (parsed.data, parsed.data_at) = (Some(bytes), at);
            }
            Field { at, .. } => return Err(Error::malformed("unknown field in a dag-pb node", at)),
        }
    }
    Ok(parsed)
}

fn parse_link(bytes: &[u8], base: usize) -> Result<NodeLink<'_>, Error> {
    let (mut fields, mut last) = (Fields::new(bytes, base), 0);
    let (mut cid, mut name, mut tsize) = (None, &b""[..], 0);
    while let Some(field) = fields.next()? {
        if field.number <= last {
            return Err(Error::malformed(
                "fields of a link are repeated or out of order",
                field.at,
            ));
        }
        last = field.number;
        match (field.number, field.value) {
            (HASH, Value::Bytes(bytes)) => cid = Some(parse_cid(bytes, field.at)?),
            (NAME, Value::Bytes(bytes)) => name = bytes,
            (TSIZE, Value::Varint(value)) => tsize = value,
            _ => return Err(Error::malformed("unknown field in a dag-pb link", field.at)),
        }
    }
    let cid = cid.ok_or_else(|| Error::malformed("a link has no CID", base))?;
    Ok(NodeLink { name, cid, tsize })
}

fn parse_cid(bytes: &[u8], at: usize) -> Result<Cid, Error> {
    let mut rest = bytes;
    match Cid::read_bytes(&mut rest) {
        Ok(cid) if rest.is_empty() => Ok(cid),
        Ok(_) => Err(Error::malformed("bytes follow the CID of a link", at)),
        Err(_) if holds_too_much(bytes) => {
            Err(Error::malformed("a link has a CID whose digest has more than 64 bytes", at))
        }
        Err(_) => Err(Error::malformed("a link has no valid CID", at)),
    }
}

/// Whether this is a CID of version 1 but for the length of its digest.
fn holds_too_much(bytes: &[u8]) -> bool {
    let (mut fields, mut digest_len) = (Fields::new(bytes, 0), 0);
    for _ in ["version", "codec", "hash function", "length of digest"] {
        match fields.varint() {
            Ok(value) => digest_len = value,
            Err(_) => return false,
        }
    }
    let rest = (bytes.len() - fields.at()) as u64;
    bytes.first() == Some(&1) && digest_len > 64 && digest_len == rest
}

/// Appends a link field.
pub(crate) fn put_link(out: &mut Vec<u8>, cid: &Cid, name: &[&[u8]], tsize: u64) {
    let name_len = name.iter().map(|part| part.len()).sum();
    out.push(LINKS as u8 * 8 + 2);
    put_varint(out, link_body_len(cid, name_len, tsize) as u64);
    out.push(HASH as u8 * 8 + 2);
    put_varint(out, cid.encoded_len() as u64);
    put_cid(out, cid);
    out.push(NAME as u8 * 8 + 2);
    put_varint(out, name_len as u64);
    name.iter().for_each(|part| out.extend_from_slice(part));
    put_number(out, TSIZE as u8, tsize);
}

/// Appends the data field, which ends a node.
pub(crate) fn put_data(out: &mut Vec<u8>, data: &[u8]) {
    put_bytes(out, DATA as u8, data);
}

/// Bytes that [`put_link`] appends.
pub(crate) fn link_len(cid: &Cid, name_len: usize, tsize: u64) -> usize {
    let body = link_body_len(cid, name_len, tsize);
    1 + varint_len(body as u64) + body
}

fn link_body_len(cid: &Cid, name_len: usize, tsize: u64) -> usize {
    let cid_len = cid.encoded_len();
    let hash = 1 + varint_len(cid_len as u64) + cid_len;
    let name = 1 + varint_len(name_len as u64) + name_len;
    hash + name + 1 + varint_len(tsize)
}

fn put_cid(out: &mut Vec<u8>, cid: &Cid) {
    let written: io::Result<usize> = cid.write_bytes(out).map_err(io::Error::other);
    written.expect("a Vec takes every write");
}

const DATA: u64 = 1;
const LINKS: u64 = 2;
const HASH: u64 = 1;
const NAME: u64 = 2;
const TSIZE: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use carstone_car::cid_of;

    #[test]
    fn links_come_back_and_their_length_is_known() {
        for (name, tsize) in [("", 0), ("a", 1), ("a longer name", 128), ("ü", u64::MAX)] {
            let (cid, mut block) = (cid_of(0x55, name.as_bytes()), Vec::new());
            put_link(&mut block, &cid, &[name.as_bytes()], tsize);
            assert_eq!(block.len(), link_len(&cid, name.len(), tsize));
            let parsed = parse(&block).expect("just written");
            assert_eq!(
                parsed.links.collect::<Vec<_>>(),
                [NodeLink { name: name.as_bytes(), cid, tsize }]
            );
        }
    }

    #[track_caller]
    fn check_refused(block: &[u8], rule: &str) {
        let error = parse(block).expect_err("the block breaks a rule");
        assert!(error.to_string().contains(rule), "{error}");
    }

    #[test]
    fn data_may_stand_before_or_after_the_links_but_not_between() {
        let (mut link, mut data) = (Vec::new(), Vec::new());
        put_link(&mut link, &cid_of(0x55, b"x"), &[b"x"], 1);
        put_data(&mut data, b"d");
        for order in [[&link, &link, &data], [&data, &link, &link]] {
            let block = order.into_iter().flatten().copied().collect::<Vec<_>>();
            let parsed = parse(&block).expect("both orders are read");
            assert_eq!((parsed.links.count(), parsed.data), (2, Some(&b"d"[..])));
        }
        check_refused(&[&link[..], &data, &link].concat(), "both sides");
        check_refused(&[&data[..], &link, &data].concat(), "two pieces");
    }

    #[test]
    fn links_that_break_a_rule_are_refused() {
        check_refused(b"\x12\x02\x12\x00", "no CID");
        check_refused(b"\x12\x04\x12\x00\x0a\x00", "out of order");
        check_refused(b"\x12\x03\x0a\x01\x01", "no valid CID");
        check_refused(b"\x12\x02\x20\x00", "unknown field in a dag-pb link");
        check_refused(b"\x18\x00", "unknown field in a dag-pb node");
        check_refused(b"\x12\x05a", "longer than its message");
    }
}
