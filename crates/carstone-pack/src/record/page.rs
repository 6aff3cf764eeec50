//! What pages of manifest and index share.

use super::{In, VERSION};
use crate::error::{Error, ErrorKind};

/// A page whose head has been read, and whose entries have not.
pub(super) struct Page<'b> {
    /// 0 for leaves.
    pub(super) level: u64,
    /// The encoded entries.
    pub(super) body: &'b [u8],
    /// The index's two widths: of a digest prefix, and of a position.
    pub(super) prefix: Option<u64>,
    pub(super) width: Option<u64>,
}

impl<'b> Page<'b> {
    /// Reads the head of a page of type `due`, whose entries stand under `key`, in one pass.
    pub(super) fn open(data: &'b [u8], at: u64, due: u64, key: &str) -> Result<Self, Error> {
        let (mut kind, mut version, mut level, mut body) = (None, None, None, None);
        let (mut prefix, mut width) = (None, None);
        let mut input = In::new(data, at);
        input.map(|input, found| {
            match found {
                "l" => level = Some(input.uint()?),
                "n" => prefix = Some(input.uint()?),
                "t" => kind = Some(input.uint()?),
                "v" => version = Some(input.uint()?),
                "w" => width = Some(input.uint()?),
                _ if found == key => body = Some(input.raw()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        input.end()?;
        if kind != Some(due) {
            return Err(input.fail("a page of manifest or index is due"));
        }
        if let Some(other) = version.filter(|&version| version != VERSION) {
            return Err(Error::new(ErrorKind::Newer(format!("record version {other}")), at));
        }
        match (level.filter(|&level| level <= MAX_LEVEL), version, body) {
            (Some(level), Some(_), Some(body)) => Ok(Self { level, body, prefix, width }),
            _ => Err(input.fail("a page lacks a key, or has too high a level")),
        }
    }
}

const MAX_LEVEL: u64 = 16;
