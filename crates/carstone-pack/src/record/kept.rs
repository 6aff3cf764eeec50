//! Entries as the writer keeps them until the manifest is written; not part of the format.

use carstone_car::Cid;
use carstone_unixfs::Link;

use super::manifest::{decode_listed, encode_listed};
use super::{In, Out};
use crate::entry::Listed;
use crate::error::Error;

/// Encodes an entry with the link its directory will hold.
pub(crate) fn encode_kept(entry: &Listed, link: Option<&Link>) -> Vec<u8> {
    let mut out = Out::new();
    match link {
        Some(link) => out.array(2).link(&link.cid).uint(link.tsize),
        None => out.array(0),
    };
    encode_listed(&mut out, entry);
    out.finish()
}

/// Reads back what [`encode_kept`] wrote.
pub(crate) fn decode_kept(bytes: &[u8]) -> Result<(Listed, Option<Link>), Error> {
    let mut input = In::new(bytes, 0);
    let (mut cid, mut tsize): (Option<Cid>, u64) = (None, 0);
    input.array(2, |input| {
        match cid {
            None => cid = Some(input.link()?),
            Some(_) => tsize = input.uint()?,
        }
        Ok(())
    })?;
    let entry = decode_listed(&mut input, 0)?;
    Ok((entry, cid.map(|cid| Link { cid, tsize })))
}
