//! The links in the bytes of a block, by its codec.

mod cbor;
mod json;
mod keys;
mod pb;
mod text;

use std::borrow::Cow;

use super::error::{Budget, DagError, DagErrorKind, Result};
use super::options::NodeLimits;
use crate::cid_bytes::{self, Parsed};
use crate::error::{ErrorKind, Part};
use crate::options::Limits;
use crate::{Cid, codec};

/// Plain CBOR, in which nothing is a link.
const CBOR: u64 = 0x51;

/// Plain JSON, in which nothing is a link.
const JSON: u64 = 0x0200;

/// Whether blocks of this codec can have links: dag-pb, dag-cbor and dag-json can, raw blocks and plain CBOR and JSON cannot. `None` for all
/// other codecs, of which nothing is known here.
pub fn can_have_links(codec: u64) -> Option<bool> {
    match codec {
        codec::DAG_PB | codec::DAG_CBOR | codec::DAG_JSON => Some(true),
        codec::RAW | CBOR | JSON => Some(false),
        _ => None,
    }
}

/// The links in a block, in the order in which they stand there, with repetitions. The codec is that of the CID.
///
/// - *dag-pb* as its specification has it: fields in their order, a CID in each link. Data may stand on either side of the links.
/// - *dag-cbor* with definite lengths, integers in their shortest form and tag 42 alone; maps with text keys, none of them twice. Keys need
///   not be sorted, floats may be of any width, and text need not be UTF-8, since there are blocks like that.
/// - *dag-json* with `{"/": "…"}` as a link and `{"/": {"bytes": "…"}}` as bytes; no key twice. White space is fine.
/// - Of raw blocks, plain CBOR and plain JSON nothing is read.
///
/// Other codecs are [unknown](DagErrorKind::UnknownCodec).
///
/// ```
/// use carstone_car::{cid_of, codec};
/// use carstone_car::dag::{NodeLimits, links};
/// let leaf = cid_of(codec::RAW, b"hello");
/// let node = format!(r#"{{"a": {{"/": "{leaf}"}}, "b": {{"/": {{"bytes": "aGk"}}}}}}"#);
/// let cid = cid_of(codec::DAG_JSON, node.as_bytes());
/// assert_eq!(links(&cid, node.as_bytes(), &NodeLimits::default())?, [leaf]);
/// # Ok::<(), carstone_car::dag::DagError>(())
/// ```
pub fn links(cid: &Cid, data: &[u8], limits: &NodeLimits) -> Result<Vec<Cid>> {
    let mut links = Vec::new();
    let found = scan(cid.codec(), data, limits, &mut |event, _| {
        if let Event::Link(cid) = event {
            links.push(cid);
        }
        Ok(())
    });
    found.map_err(|error| error.within(cid))?;
    Ok(links)
}

/// A step through a node, from its first byte to its last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// A map starts. Keys and values take turns until its end.
    Map,
    /// A list starts.
    List,
    /// The innermost map or list ends.
    End,
    /// The key of the next value.
    Key(Cow<'a, [u8]>),
    /// A link.
    Link(Cid),
    /// Text.
    Text(Cow<'a, [u8]>),
    /// A whole number.
    Int(i128),
    /// Any other value without a value inside.
    Other,
}

/// Goes through a node, and tells the offset of every step.
pub(crate) fn scan<'a>(
    codec: u64,
    data: &'a [u8],
    limits: &NodeLimits,
    visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>,
) -> Result<()> {
    let (mut values, mut links, mut nesting) = (0, 0, 0_usize);
    let mut counted = |event, at| {
        match &event {
            Event::Map | Event::List => nesting += 1,
            Event::End => nesting = nesting.saturating_sub(1),
            Event::Link(_) => links += 1,
            _ => {}
        }
        values += 1;
        let over = |budget, limit| Err(DagError::over(budget, limit as u64).at(at));
        if values > limits.values {
            return over(Budget::Values, limits.values);
        }
        if links > limits.links {
            return over(Budget::Links, limits.links);
        }
        if nesting > limits.nesting {
            return over(Budget::Nesting, limits.nesting);
        }
        visit(event, at)
    };
    match codec {
        codec::DAG_PB => pb::scan(data, &mut counted),
        codec::DAG_CBOR => cbor::scan(data, &mut counted),
        codec::DAG_JSON => json::scan(data, &mut counted),
        codec::RAW | CBOR | JSON => counted(Event::Other, 0),
        _ => Err(DagError::new(DagErrorKind::UnknownCodec(codec))),
    }
}

/// Reads the CID of a link, which is all of these bytes.
fn link(codec: u64, bytes: &[u8], at: usize) -> Result<Cid> {
    let what = match cid_bytes::parse(bytes, &Limits::default()) {
        Parsed::Cid(cid, len) if len == bytes.len() => return Ok(cid),
        Parsed::Cid(..) => "bytes follow the CID of a link",
        Parsed::NeedMore(_) => "the CID of a link is cut short",
        Parsed::Bad(ErrorKind::TooLarge { part: Part::Digest, .. }) => {
            "a link has a digest of more than 64 bytes"
        }
        Parsed::Bad(_) => "a link has no valid CID",
    };
    Err(bad(codec, what, at))
}

fn bad(codec: u64, what: &'static str, at: usize) -> DagError {
    DagError::new(DagErrorKind::BadNode { codec, what }).at(at)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
