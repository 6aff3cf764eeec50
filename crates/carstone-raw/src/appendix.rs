//! Appendices behind the trailer, made, and stepped over from the end (`docs/format.md`, section 2.3).

use std::ops::Range;

use carstone_layer::{ReadAt, crc64};

use crate::container::{array_at, u32_at, u64_at};
use crate::{Error, ErrorKind};

/// Something that was added behind the trailer of a pack, such as parity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appendix {
    /// What it is.
    pub kind: u32,
    /// The pack id or other id that binds it.
    pub id: [u8; 16],
    /// Its bytes, header and footer included, counted from the start of the pack.
    pub range: Range<u64>,
}

impl Appendix {
    /// The kind of an appendix that holds parity.
    pub const PARITY: u32 = 1;
    /// Length of header and footer each, in bytes.
    pub const EDGE_LEN: u64 = EDGE_LEN;

    /// What stands before and behind `body_len` bytes to make an appendix of them; `None` where the whole of it has more than 2⁶⁴ − 1.
    pub fn edges(kind: u32, id: [u8; 16], body_len: u64) -> Option<([u8; 64], [u8; 64])> {
        let mut body = [0; BODY_LEN];
        body[..4].copy_from_slice(&kind.to_le_bytes());
        body[LENGTH_AT..ID_AT].copy_from_slice(&body_len.checked_add(MIN_LEN)?.to_le_bytes());
        body[ID_AT..ID_AT + 16].copy_from_slice(&id);
        let (mut header, mut footer) = ([0; EDGE_LEN as usize], [0; EDGE_LEN as usize]);
        let sum = crc64(&[&body]).to_le_bytes();
        header[..8].copy_from_slice(&HEADER_MAGIC);
        header[8..56].copy_from_slice(&body);
        header[56..].copy_from_slice(&sum);
        footer[..48].copy_from_slice(&body);
        footer[48..56].copy_from_slice(&sum);
        footer[56..].copy_from_slice(&FOOTER_MAGIC);
        Some((header, footer))
    }

    /// Its bytes without header and footer, counted from the start of the pack.
    pub fn body(&self) -> Range<u64> {
        let Range { start, end } = self.range;
        (start + EDGE_LEN).min(end)..end.saturating_sub(EDGE_LEN).max(start)
    }
}

/// Steps over the appendices that end at `end` and gives them in stored order. The first one starts where the trailer ends.
///
/// Offsets are those of `source`; nothing before `start` is read.
pub(crate) fn step_back<R: ReadAt + ?Sized>(
    source: &R,
    start: u64,
    end: u64,
) -> Result<Vec<Appendix>, Error> {
    let mut appendices = Vec::new();
    let mut end = end;
    while let Some(body) = footer_before(source, start, end)? {
        let footer_at = end - EDGE_LEN - start;
        if appendices.len() == MAX_APPENDICES {
            return Err(Error::new(ErrorKind::TooManyAppendices, end - start));
        }
        if body[4..LENGTH_AT].iter().chain(&body[ID_AT + 16..]).any(|&byte| byte != 0) {
            let kind = ErrorKind::BadField("reserved bytes of an appendix footer");
            return Err(Error::new(kind, footer_at));
        }
        let stated = u64_at(&body, LENGTH_AT);
        let lies = || Error::new(ErrorKind::AppendixLength { stated }, footer_at);
        let first = end.checked_sub(stated).filter(|&first| first >= start && stated >= MIN_LEN);
        let first = first.ok_or_else(lies)?;
        let mut header = [0; EDGE_LEN as usize];
        source
            .read_exact_at(&mut header, first)
            .map_err(|error| Error::io(error, first - start))?;
        let body_of_header = array_at::<BODY_LEN>(&header, 8);
        if header[..8] != HEADER_MAGIC || body_of_header != body || !sum_agrees(&header[8..]) {
            return Err(lies());
        }
        let (kind, id) = (u32_at(&body, 0), array_at(&body, ID_AT));
        appendices.push(Appendix { kind, id, range: first - start..end - start });
        end = first;
    }
    appendices.reverse();
    Ok(appendices)
}

/// Whether these are the last bytes of an appendix.
pub(crate) fn ends_in_appendix(bytes: &[u8]) -> bool {
    let footer = bytes.last_chunk::<{ EDGE_LEN as usize }>();
    footer.is_some_and(|footer| footer[56..] == FOOTER_MAGIC && sum_agrees(footer))
}

/// What the footer before `end` states, or `None` where no footer stands.
fn footer_before<R: ReadAt + ?Sized>(
    source: &R,
    start: u64,
    end: u64,
) -> Result<Option<[u8; BODY_LEN]>, Error> {
    let Some(at) = end.checked_sub(EDGE_LEN).filter(|&at| at >= start) else { return Ok(None) };
    let mut footer = [0; EDGE_LEN as usize];
    source.read_exact_at(&mut footer, at).map_err(|error| Error::io(error, at - start))?;
    if footer[56..] != FOOTER_MAGIC {
        return Ok(None);
    }
    if !sum_agrees(&footer) {
        return Err(Error::new(ErrorKind::AppendixDamaged, at - start));
    }
    Ok(Some(array_at(&footer, 0)))
}

/// Whether 48 bytes match the checksum that follows them.
fn sum_agrees(bytes: &[u8]) -> bool {
    crc64(&[&bytes[..BODY_LEN]]) == u64_at(bytes, BODY_LEN)
}

const MAX_APPENDICES: usize = 64;
/// Length of header and footer each.
const EDGE_LEN: u64 = 64;
const MIN_LEN: u64 = 2 * EDGE_LEN;
/// The bytes from *kind* to the end of *reserved*, which header and footer share.
const BODY_LEN: usize = 48;
const LENGTH_AT: usize = 8;
const ID_AT: usize = 16;
pub(crate) const HEADER_MAGIC: [u8; 8] = [0x89, b'C', b'S', b'T', b'a', 0x0D, 0x0A, 0x1A];
const FOOTER_MAGIC: [u8; 8] = [0x1A, 0x0A, 0x0D, b'a', b'T', b'S', b'C', 0x89];
