//! Looks for sections in bytes of any kind, and hashes no more than so many of them.

use std::io::{self, Read};

use carstone_car::{ErrorKind, Header, Limits, SectionHead, digest_len, parse_section, verify};

use super::stops::{LOOK, Stops, length, looks_like_header};

/// A stream in which sections of CARs are looked for.
///
/// Memory stays within what is [looked at ahead](Self::ahead): one section, or two where the end of one is compared with what follows it. At most
/// [`HASHED_PER_BYTE`](Self::HASHED_PER_BYTE) bytes are hashed for each byte read, and two of the largest sections more.
#[derive(Debug)]
pub struct BlockSearch<R> {
    inner: R,
    limits: Limits,
    /// What has been read and is not used yet stands from `start` to `filled`.
    buf: Vec<u8>,
    start: usize,
    filled: usize,
    at: u64,
    is_ended: bool,
    taken: u64,
    hashed: u64,
}

/// What a [search](BlockSearch::pass_to) has passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// Something begins where it has stopped. Else that is the end of the stream.
    pub is_found: bool,
    /// Before that stood what looked like a section, and was too long for the bound on hashing.
    pub is_unaffordable: bool,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judged {
    /// A section whose data hashes to its CID.
    Block(SectionHead),
    /// A section whose data does not.
    Mismatch(SectionHead),
    /// A section whose hash function is not known.
    Unverifiable(SectionHead),
    /// The beginning of a section that goes on behind the end of the stream.
    Truncated(SectionHead),
    /// What looks like a section, and is not hashed because of the bound.
    Unaffordable,
    /// No section.
    Nothing,
}

impl<R: Read> BlockSearch<R> {
    /// Bytes that are hashed for each byte read, at most, in the long run. Each hash counts as some more, since short data takes longer.
    pub const HASHED_PER_BYTE: u64 = 3;

    /// Starts where `inner` stands. Larger sections than `limits` allow are none.
    pub fn new(inner: R, limits: Limits) -> Self {
        let (buf, start, filled) = (Vec::new(), 0, 0);
        Self { inner, limits, buf, start, filled, at: 0, is_ended: false, taken: 0, hashed: 0 }
    }

    /// Starts anew where the source stands, without what has been read ahead. The bound on hashing stays what it was.
    pub(crate) fn restart(&mut self) {
        (self.start, self.filled, self.at, self.is_ended) = (0, 0, 0, false);
    }

    /// What is read from. Some of it has been read ahead.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Offset of the next byte.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Bytes read so far, which may lie ahead.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes hashed so far, and those that were [afforded](Self::afford) for other checks.
    pub fn hashed(&self) -> u64 {
        self.hashed
    }

    /// The next `wanted` bytes or more; fewer only where the stream ends. Memory grows with what arrives.
    ///
    /// # Errors
    /// Whatever the source gives.
    pub fn ahead(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.filled - self.start < wanted && !self.is_ended {
            // Moving what is left costs no more than what was used before it.
            if self.start >= self.filled / 2 {
                self.buf.copy_within(self.start..self.filled, 0);
                (self.start, self.filled) = (0, self.filled - self.start);
            }
            let have = self.filled - self.start;
            let end = self.filled + (wanted - have).min(have.max(STEP)).max(STEP);
            if self.buf.len() < end {
                self.buf.resize(end, 0);
            }
            self.fill_to(end)?;
        }
        Ok(self.unused())
    }

    /// Reads until so much of the buffer is filled, or the stream ends.
    fn fill_to(&mut self, end: usize) -> io::Result<()> {
        while self.filled < end && !self.is_ended {
            match self.inner.read(&mut self.buf[self.filled..end]) {
                Ok(n) => {
                    self.filled += n.min(end - self.filled);
                    self.taken = self.taken.saturating_add(n as u64);
                    self.is_ended = n == 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn unused(&self) -> &[u8] {
        self.buf.get(self.start..self.filled).unwrap_or_default()
    }

    /// Passes over `n` bytes, or as many as there are.
    ///
    /// # Errors
    /// Whatever the source gives.
    pub fn skip(&mut self, mut n: u64) -> io::Result<()> {
        while n > 0 {
            let step = usize::try_from(n).unwrap_or(usize::MAX).min(STEP);
            let step = self.ahead(step)?.len().min(step);
            if step == 0 {
                break;
            }
            self.start += step;
            self.at = self.at.saturating_add(step as u64);
            n -= step as u64;
        }
        Ok(())
    }

    /// Passes over bytes up to the first place where one of `stops` may begin. Sections that cannot be [judged](Self::judge) are passed over.
    ///
    /// # Errors
    /// Whatever the source gives.
    pub fn pass_to(&mut self, stops: &Stops) -> io::Result<Passed> {
        let mut is_unaffordable = false;
        loop {
            self.ahead(STEP)?;
            let bytes = self.unused();
            let sure = match self.is_ended {
                true => bytes.len(),
                false => bytes.len().saturating_sub(LONGEST_HEAD),
            };
            let found = stops.find(bytes, sure, &mut |bytes| {
                let judged = self.judge_head(bytes, false);
                is_unaffordable |= judged == Err(Judged::Unaffordable);
                judged.is_ok()
            });
            let passed = found.unwrap_or(sure);
            self.start += passed;
            self.at = self.at.saturating_add(passed as u64);
            if found.is_some() || self.is_ended {
                return Ok(Passed { is_found: found.is_some(), is_unaffordable });
            }
        }
    }

    /// What stands here. Where a section `is_due`, since one has just ended, any will do; elsewhere it must be one that a hash can prove.
    ///
    /// # Errors
    /// Whatever the source gives.
    pub fn judge(&mut self, is_due: bool) -> io::Result<Judged> {
        self.judge_behind(0, is_due)
    }

    /// The same `passed` bytes further on. These are kept.
    pub(crate) fn judge_behind(&mut self, passed: usize, is_due: bool) -> io::Result<Judged> {
        self.ahead(passed.saturating_add(LONGEST_HEAD))?;
        let bytes = self.unused().get(passed..).unwrap_or_default();
        let head = match self.judge_head(bytes, is_due) {
            Ok(head) => head,
            Err(judged) => return Ok(judged),
        };
        let end = passed.saturating_add(head.len());
        if self.ahead(end)?.len() < end {
            return Ok(Judged::Truncated(head));
        }
        let cost = (head.data_len as u64).saturating_add(HASH_COST);
        // What may be anything leaves something for what is due.
        let reserve = if is_due { 0 } else { cost };
        if !self.afford(cost, reserve) {
            return Ok(Judged::Unaffordable);
        }
        let data = self.unused().get(passed + head.head_len..end);
        Ok(match verify(&head.cid, data.unwrap_or_default()) {
            Ok(()) => Judged::Block(head),
            Err(error) if matches!(error.kind(), ErrorKind::Unverifiable { .. }) => {
                Judged::Unverifiable(head)
            }
            Err(_) => Judged::Mismatch(head),
        })
    }

    /// The head of a section at the start of `bytes` whose data can be judged.
    fn judge_head(&self, bytes: &[u8], is_due: bool) -> Result<SectionHead, Judged> {
        if !is_due && let Some((len, _)) = length(bytes) {
            if len < SHORTEST_PROVABLE {
                return Err(Judged::Nothing);
            }
            // Where all are too dear none is read.
            if len <= self.limits.section as u64 && !self.is_affordable(len, len) {
                return Err(Judged::Unaffordable);
            }
        }
        let head = parse_section(bytes, &self.limits).ok();
        head.filter(|head| is_due || is_provable(head)).ok_or(Judged::Nothing)
    }

    /// The header of a CARv1 that stands here, and its length. Nothing is read on for what does not begin like one.
    ///
    /// # Errors
    /// Whatever the source gives.
    pub fn header(&mut self) -> io::Result<Option<(Header, u64)>> {
        let limits = self.limits;
        let front = self.ahead(LOOK)?;
        let Some((len, at)) = length(front).filter(|_| looks_like_header(front)) else {
            return Ok(None);
        };
        let Some(end) = usize::try_from(len).ok().filter(|&len| len <= limits.header) else {
            return Ok(None);
        };
        let body = self.ahead(at + end)?.get(at..at + end);
        let header = body.and_then(|body| Header::decode(body, &limits).ok());
        Ok(header.map(|header| (header, (at + end) as u64)))
    }

    /// Whether `cost` more bytes may be hashed, with `reserve` left; if so they count.
    pub fn afford(&mut self, cost: u64, reserve: u64) -> bool {
        let is_affordable = self.is_affordable(cost, reserve);
        if is_affordable {
            self.hashed = self.hashed.saturating_add(cost);
        }
        is_affordable
    }

    fn is_affordable(&self, cost: u64, reserve: u64) -> bool {
        let ahead = 2 * self.limits.section as u64;
        let bound = self.taken.saturating_mul(Self::HASHED_PER_BYTE).saturating_add(ahead);
        self.hashed.saturating_add(cost).saturating_add(reserve) <= bound
    }
}

/// Whether a hash can tell that this is a section.
pub(crate) fn is_provable(head: &SectionHead) -> bool {
    let hash = head.cid.hash();
    digest_len(hash.code()) == Some(usize::from(hash.size()))
}

/// Bytes are read in steps of this size where it is unknown whether they will come.
const STEP: usize = 64 << 10;
/// Bytes that a hash costs besides its data: no more than a CID with a hash of 256 bits has.
const HASH_COST: u64 = 32;
/// A CIDv1 with the shortest digest that can be verified.
const SHORTEST_PROVABLE: u64 = 24;
/// More than the head of any section has.
const LONGEST_HEAD: usize = 128;
