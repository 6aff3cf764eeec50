//! Whether a bad section is the torn end of a write, or damage in the middle of a file.

use super::window::Window;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{digest_len, hash_code, verify};
use crate::options::ReaderOptions;
use crate::read_at::{ReadAt, read_full};
use crate::section::{Head, SectionHead, parse_head};

/// Whether nothing follows the bad section at this offset that speaks against a torn write.
///
/// What lies inside of the section does not, for a block may hold a CAR: unless the data is whole where one of the sections in there
/// begins, since then it is the length that is damaged. Where no head can be read every byte is tried. What would cost too much to find
/// out is not called torn.
pub(super) fn is_torn<R: ReadAt>(
    payload: &Window<R>,
    at: u64,
    options: &ReaderOptions,
) -> Result<bool> {
    let mut head = [0; HEAD_LEN];
    let read = read_part(payload, &mut head, at)?;
    let is_last = |from: u64| {
        let found = Search::new(payload, options, from, payload.len).next()?;
        Ok(matches!(found, Found::Nothing))
    };
    match parse_head(&head[..read], options) {
        Head::NeedMore(_) => Ok(true),
        Head::Bad(ErrorKind::TooLarge { .. }) => Ok(false),
        Head::Bad(_) => is_last(at.saturating_add(1)),
        Head::Complete(head) => {
            let data = at.saturating_add(head.head_len as u64);
            let end = data.saturating_add(head.data_len as u64);
            Ok(!is_whole_elsewhere(payload, &head, data, options)? && is_last(end)?)
        }
    }
}

/// Whether the data that starts here is whole, and ends before the section says: where another section begins, or the payload ends.
fn is_whole_elsewhere<R: ReadAt>(
    payload: &Window<R>,
    head: &SectionHead,
    data: u64,
    options: &ReaderOptions,
) -> Result<bool> {
    let rest = usize::try_from(payload.len.saturating_sub(data)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; rest.min(head.data_len)]; // The payload is as long as that.
    read_part(payload, &mut bytes, data)?;
    let is_whole = |len: usize| {
        bytes.get(..len).is_some_and(|bytes| is_evidence(head) && verify(&head.cid, bytes).is_ok())
    };
    if is_whole(bytes.len()) {
        return Ok(true);
    }
    let until = data.saturating_add(bytes.len() as u64).saturating_add(1);
    let mut search = Search::new(payload, options, data, until.min(payload.len));
    for _ in 0..CANDIDATES {
        let Found::At(end) = search.next()? else { break };
        if usize::try_from(end - data).is_ok_and(is_whole) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks for sound sections at every byte.
struct Search<'a, R> {
    payload: &'a Window<R>,
    options: &'a ReaderOptions,
    at: u64,
    /// No section that starts here or later is looked for.
    until: u64,
    /// Bytes of the payload from `start` on.
    buf: Vec<u8>,
    start: u64,
    /// Bytes that may still be hashed.
    budget: u64,
}

enum Found {
    At(u64),
    Nothing,
    /// The bytes are made such that it would take too long.
    TooMuch,
}

impl<'a, R: ReadAt> Search<'a, R> {
    fn new(payload: &'a Window<R>, options: &'a ReaderOptions, at: u64, until: u64) -> Self {
        let rest = until.saturating_sub(at);
        let budget = rest.saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET);
        Search { payload, options, at, until, buf: Vec::new(), start: 0, budget }
    }

    fn next(&mut self) -> Result<Found> {
        let mut data = Vec::new();
        while self.at < self.until {
            let (at, options) = (self.at, self.options);
            let head = parse_head(self.head()?, options);
            self.at += 1;
            let Head::Complete(head) = head else { continue };
            if head.len() as u64 > self.payload.len - at || !is_evidence(&head) {
                continue;
            }
            let Some(budget) = self.budget.checked_sub(head.data_len as u64 + HASH_COST) else {
                return Ok(Found::TooMuch);
            };
            self.budget = budget;
            data.resize(head.data_len, 0); // The payload is as long as that.
            read_part(self.payload, &mut data, at.saturating_add(head.head_len as u64))?;
            if verify(&head.cid, &data).is_ok() {
                return Ok(Found::At(at));
            }
        }
        Ok(Found::Nothing)
    }

    /// The bytes at the place, enough of them for any head.
    fn head(&mut self) -> Result<&[u8]> {
        let used = self.at.checked_sub(self.start).and_then(|used| usize::try_from(used).ok());
        match used.and_then(|used| self.buf.get(used..)).map(<[u8]>::len) {
            Some(len)
                if len >= HEAD_LEN || self.start + self.buf.len() as u64 == self.payload.len => {}
            _ => {
                let rest = usize::try_from(self.payload.len - self.at).unwrap_or(usize::MAX);
                self.buf.resize(rest.min(BUF_LEN), 0);
                let read = read_part(self.payload, &mut self.buf, self.at)?;
                self.buf.truncate(read);
                self.start = self.at;
            }
        }
        let used = (self.at - self.start) as usize; // Inside of the buffer.
        let bytes = self.buf.get(used..).unwrap_or_default();
        Ok(&bytes[..bytes.len().min(HEAD_LEN)])
    }
}

/// Whether data that hashes to this CID proves a section. Identity CIDs are too short for that, and can stand in an index.
fn is_evidence(head: &SectionHead) -> bool {
    let hash = head.cid.hash();
    hash.code() != hash_code::IDENTITY && digest_len(hash.code()) == Some(usize::from(hash.size()))
}

/// Reads as much as there is.
fn read_part<R: ReadAt>(payload: &Window<R>, buf: &mut [u8], at: u64) -> Result<usize> {
    read_full(payload, buf, at).map_err(|error| Error::at(ErrorKind::Io(error), at))
}

/// More than the head of any section has.
const HEAD_LEN: usize = 128;

const BUF_LEN: usize = 256 << 10;

/// Sound sections inside of a bad one that are tried as the true end of it.
const CANDIDATES: usize = 64;

/// Bytes that are hashed for each byte that is searched, and in any case.
const BUDGET_PER_BYTE: u64 = 4;
const BUDGET: u64 = 256 << 20;

/// What it costs to hash a block of no bytes, in bytes.
const HASH_COST: u64 = 64;
