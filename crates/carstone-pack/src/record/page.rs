//! What pages of manifest and index share.

use super::{read, record_type};
use crate::error::{Error, ErrorKind};

/// Fails unless the record is of the type that is due.
pub(super) fn expect_type(data: &[u8], at: u64, due: u64, rule: &'static str) -> Result<(), Error> {
    match record_type(data, at)? == due {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::BadRecord(rule), at)),
    }
}

/// The level of a page: 0 for leaves.
pub(super) fn page_level(data: &[u8], at: u64) -> Result<u64, Error> {
    let mut level = None;
    read(data, at, |input, key| {
        if key == "l" {
            level = Some(input.uint()?);
            return Ok(true);
        }
        input.skip()?;
        Ok(true)
    })?;
    match level {
        Some(level) if level <= MAX_LEVEL => Ok(level),
        _ => Err(Error::new(ErrorKind::BadRecord("a page has no level, or too high a one"), at)),
    }
}

const MAX_LEVEL: u64 = 16;
