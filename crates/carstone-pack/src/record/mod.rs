//! carstone's own records inside the CAR stream (`docs/format.md`, section 7).

mod cbor;
mod content;
mod far;
mod kept;
mod manifest;
mod page;
#[cfg(test)]
mod vectors;

use std::ops::Range;

use carstone_car::Cid;
use carstone_layer::PackId;

pub(crate) use cbor::{In, Out};
pub use content::{Batch, End, Reference, Resume};
pub use far::Tail;
pub(crate) use far::{IndexPage, LeafIndex, ParentIndex};
pub(crate) use kept::{decode_kept, encode_kept};
pub(crate) use manifest::{LeafManifest, ManifestPage, ParentManifest};

use crate::entry::Listed;
use crate::error::{Error, ErrorKind};

/// A record of the CAR stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// Announces entries.
    Batch(Batch),
    /// Says to which entry the following leaves belong.
    Resume(Resume),
    /// Ends an entry.
    End(End),
    /// A page of the manifest.
    Manifest,
    /// A page of the index.
    Index,
    /// The last section.
    Tail(Tail),
    /// A type that this version does not know.
    Unknown(u64),
}

impl Record {
    /// Whether a block is a record of this pack: by codec and first bytes, without decoding.
    pub fn is_record(cid: &Cid, data: &[u8], pack: &PackId) -> bool {
        is_record(cid, data, pack)
    }

    /// Decodes a block that [is a record](Self::is_record); `at` is its position in the CAR stream, for errors.
    ///
    /// # Errors
    /// [`ErrorKind::Newer`] for a record that this version must not pass over; what breaks the format.
    pub fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        decode(data, at)
    }

    /// The entries of a record that is a page of the manifest; none for a page that leads to others.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn listed(data: &[u8], at: u64) -> Result<Vec<Listed>, Error> {
        match ManifestPage::decode(data, at)? {
            ManifestPage::Leaf(entries) => Ok(entries),
            ManifestPage::Parent { .. } => Ok(Vec::new()),
        }
    }
}

/// Codec number of DAG-CBOR.
pub(crate) const DAG_CBOR: u64 = 0x71;
/// Codec number of raw leaves.
pub(crate) const RAW: u64 = 0x55;

/// Numbers of the record types.
pub(crate) mod kind {
    pub(crate) const BATCH: u64 = 1;
    pub(crate) const RESUME: u64 = 2;
    pub(crate) const END: u64 = 3;
    pub(crate) const MANIFEST: u64 = 4;
    pub(crate) const INDEX: u64 = 5;
    pub(crate) const TAIL: u64 = 6;
}

/// Whether a block is a record of this pack: by codec and first bytes, without decoding.
pub(crate) fn is_record(cid: &Cid, data: &[u8], pack: &PackId) -> bool {
    id_of_record(cid, data).is_some_and(|id| data[id] == *pack.as_bytes())
}

/// Where the pack id stands in a block that begins as a record does.
pub(crate) fn id_of_record(cid: &Cid, data: &[u8]) -> Option<Range<usize>> {
    if cid.codec() != DAG_CBOR {
        return None;
    }
    let map = match data {
        [0xa3..=0xb7, ..] => 1,
        [0xb8, _, ..] => 2,
        _ => return None,
    };
    let key = data.get(map..)?.strip_prefix(&[0x61, b'#', 0x50])?;
    let start = map + 3;
    (key.len() >= 16).then_some(start..start + 16)
}

/// Decodes a block that [`is_record`]; `at` is its position, for errors.
pub(crate) fn decode(data: &[u8], at: u64) -> Result<Record, Error> {
    Ok(match record_type(data, at)? {
        kind::BATCH => Record::Batch(Batch::decode(data, at)?),
        kind::RESUME => Record::Resume(Resume::decode(data, at)?),
        kind::END => Record::End(End::decode(data, at)?),
        kind::MANIFEST => Record::Manifest,
        kind::INDEX => Record::Index,
        kind::TAIL => Record::Tail(Tail::decode(data, at)?),
        other => Record::Unknown(other),
    })
}

/// The type of a record, after checking its version.
pub(crate) fn record_type(data: &[u8], at: u64) -> Result<u64, Error> {
    let (mut found, mut version) = (None, None);
    let mut input = In::new(data, at);
    input.map(|input, key| {
        match key {
            "t" => found = Some(input.uint()?),
            "v" => version = Some(input.uint()?),
            // The full decoder of the type judges keys that must be understood.
            _ => return skip_any(input),
        }
        Ok(true)
    })?;
    input.end()?;
    match (found, version) {
        (Some(found), Some(VERSION)) => Ok(found),
        (Some(_), Some(other)) => {
            Err(Error::new(ErrorKind::Newer(format!("record version {other}")), at))
        }
        _ => Err(input.fail("type or version is not there")),
    }
}

/// Begins a record with `more` keys besides the three that all records have. All their names sort behind `#` and, but for `t` and
/// `v`, are written by the caller in canonical order.
pub(crate) fn begin(pack: &PackId, more: usize) -> Out {
    let mut out = Out::new();
    out.map(more + 3).key("#").bytes(pack.as_bytes());
    out
}

/// Reads the keys all records share; `field` gets the others.
pub(crate) fn read<'b>(
    data: &'b [u8],
    at: u64,
    mut field: impl FnMut(&mut In<'b>, &'b str) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut input = In::new(data, at);
    input.map(|input, key| match key {
        "#" | "t" | "v" => Ok(false),
        _ => field(input, key),
    })?;
    input.end()
}

fn skip_any(input: &mut In<'_>) -> Result<bool, Error> {
    input.skip()?;
    Ok(true)
}

pub(crate) const VERSION: u64 = 1;
