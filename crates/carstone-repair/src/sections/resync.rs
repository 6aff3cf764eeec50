//! Sections in bytes that no frame proves: one behind the other while they hash to their CIDs, and behind damage wherever one is found by its content.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use carstone_car::{ErrorKind, Limits, SectionHead, parse_section};

use super::{Block, Proof};
use crate::car::{BlockSearch, Judged, Stops, is_provable};

/// A part of such bytes. Parts come in order.
pub(super) enum Part {
    /// A block that hashes to its CID.
    Block(Block),
    /// Bytes in which there is no block.
    Lost(Range<u64>),
    /// A section may begin here whose end is not there, or not even all of its head.
    Open { head: Option<SectionHead>, proof: Proof },
}

/// Reads such bytes. Nothing inside of a block that hashes to its CID is looked at, nor inside of one that does not where the next one stands right behind it.
#[derive(Debug)]
pub(super) struct Resync<R> {
    search: BlockSearch<R>,
    /// Offset in the CAR stream of the first byte.
    base: u64,
    here: Here,
    proof: Proof,
    /// No section begins before this byte, unless one is due.
    from: u64,
    /// Up to where sections that are damaged say that they go.
    claimed: u64,
    /// Blocks that stand before it.
    held: Vec<Block>,
    /// The last ones did, and led nowhere.
    is_inside: bool,
    /// Sections may go on behind the bytes.
    has_more: bool,
    ready: VecDeque<Block>,
}

/// What is known of the next byte.
#[derive(Debug, PartialEq, Eq)]
enum Here {
    /// Nothing.
    Unknown,
    /// A section begins, or the bytes end.
    Due,
    /// This stands there.
    Known(Judged),
    /// A section began there, and could not be completed.
    Abandoned,
}

impl<R: Read> Resync<R> {
    /// Reads `inner`, whose first byte stands at `base` of the CAR stream. Nothing is known of it.
    pub(super) fn new(inner: R, base: u64) -> Self {
        Self {
            search: BlockSearch::new(inner, Limits::default()),
            base,
            here: Here::Unknown,
            proof: Proof::Found,
            from: 0,
            claimed: 0,
            held: Vec::new(),
            is_inside: false,
            has_more: false,
            ready: VecDeque::new(),
        }
    }

    /// Tells of sections that may go on behind the bytes.
    #[must_use]
    pub(super) fn with_more(mut self) -> Self {
        self.has_more = true;
        self
    }

    /// The same for other bytes.
    pub(super) fn restart(&mut self, base: u64) {
        self.search.restart();
        (self.base, self.here, self.proof) = (base, Here::Unknown, Proof::Found);
        (self.from, self.claimed, self.is_inside) = (0, 0, false);
    }

    /// A section is due `n` bytes further on. Those that follow each other from there without a fault have this `proof`.
    ///
    /// # Errors
    /// Only what is read gives.
    pub(super) fn expect(&mut self, n: usize, proof: Proof) -> io::Result<()> {
        (self.here, self.proof) = (Here::Due, proof);
        self.search.skip(n as u64)
    }

    /// The next `n` bytes are known to belong to the section that begins here: none begins in them.
    pub(super) fn begun(&mut self, n: usize) {
        self.from = self.search.at().saturating_add(n as u64);
    }

    /// Bytes from here on that are known to belong to a section that has begun.
    pub(super) fn known(&self) -> usize {
        usize::try_from(self.from.saturating_sub(self.search.at())).unwrap_or(usize::MAX)
    }

    pub(super) fn search(&mut self) -> &mut BlockSearch<R> {
        &mut self.search
    }

    /// Offset in the CAR stream of what has not been looked at yet.
    pub(super) fn at(&self) -> u64 {
        self.base.saturating_add(self.search.at())
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// Only what `inner` gives.
    pub(super) fn next(&mut self) -> io::Result<Option<Part>> {
        loop {
            if let Some(block) = self.ready.pop_front() {
                return Ok(Some(Part::Block(block)));
            }
            if self.search.ahead(1)?.is_empty() {
                if self.held.is_empty() {
                    return Ok(None);
                }
                self.release(Proof::Inside);
                continue;
            }
            let judged = match std::mem::replace(&mut self.here, Here::Due) {
                Here::Known(judged) => judged,
                Here::Due => self.search.judge(true)?,
                here => return self.lose(here == Here::Abandoned).map(Some),
            };
            if let Judged::Block(head) = judged {
                self.block(&head)?;
                continue;
            }
            if !self.held.is_empty() {
                // They lead nowhere.
                self.release(Proof::Inside);
                self.here = Here::Known(judged);
                continue;
            }
            return self.fault(judged).map(Some);
        }
    }

    fn block(&mut self, head: &SectionHead) -> io::Result<()> {
        let (cid, at, proof) = (head.cid, self.at(), self.proof);
        let bytes = self.search.ahead(head.len())?;
        let data = bytes.get(head.head_len..head.len()).unwrap_or_default().to_vec();
        self.search.skip(head.len() as u64)?;
        let block = Block { cid, at, data, proof };
        if proof == Proof::Found && self.search.at() <= self.claimed {
            self.held.push(block);
        } else {
            self.release(Proof::Found);
            self.ready.push_back(block);
        }
        Ok(())
    }

    fn release(&mut self, proof: Proof) {
        self.is_inside = proof == Proof::Inside;
        self.ready.extend(self.held.drain(..).map(|block| Block { proof, ..block }));
    }

    /// No sound section stands where one is due.
    fn fault(&mut self, judged: Judged) -> io::Result<Part> {
        let from = self.at();
        match judged {
            Judged::Truncated(head)
                if (self.has_more || self.proof == Proof::Chain) && is_provable(&head) =>
            {
                self.here = Here::Abandoned;
                return Ok(Part::Open { head: Some(head), proof: self.proof });
            }
            Judged::Mismatch(head) if is_provable(&head) => {
                self.proof = Proof::Found;
                if self.leads_on(head.len(), MORE_MISMATCHES)? {
                    self.search.skip(head.len() as u64)?;
                    return Ok(Part::Lost(from..self.at()));
                }
                if !self.is_inside {
                    let end = self.search.at().saturating_add(head.len() as u64);
                    self.claimed = self.claimed.max(end);
                }
            }
            Judged::Nothing if self.has_more && self.ends_in_head(0)? => {
                self.here = Here::Abandoned;
                return Ok(Part::Open { head: None, proof: self.proof });
            }
            _ => {}
        }
        self.lose(true)
    }

    /// Whether the bytes end before it is known what begins `passed` bytes further on.
    fn ends_in_head(&mut self, passed: usize) -> io::Result<bool> {
        let bytes = self.search.ahead(passed.saturating_add(1))?.get(passed..);
        let parsed = parse_section(bytes.unwrap_or_default(), &Limits::default());
        Ok(parsed.is_err_and(|error| matches!(error.kind(), ErrorKind::NeedMore { .. })))
    }

    /// Whether a sound section begins `passed` bytes further on, or the bytes end there, or in the head of one that may go on behind them.
    fn leads_on(&mut self, passed: usize, more: u8) -> io::Result<bool> {
        if self.search.ahead(passed.saturating_add(1))?.len() == passed {
            return Ok(true);
        }
        match self.search.judge_behind(passed, true)? {
            Judged::Block(head) => Ok(is_provable(&head)),
            Judged::Mismatch(head) if more > 0 && is_provable(&head) => {
                self.leads_on(passed.saturating_add(head.len()), more - 1)
            }
            Judged::Nothing => Ok(self.has_more && self.ends_in_head(passed)?),
            _ => Ok(false),
        }
    }

    /// Goes to the next section that is found by its content, behind the next byte if none `is_here`.
    fn lose(&mut self, is_here: bool) -> io::Result<Part> {
        let from = self.at();
        self.proof = Proof::Found;
        let known = self.from.saturating_sub(self.search.at());
        self.search.skip(known.max(is_here.into()))?;
        while self.search.pass_to(&Stops::SECTIONS)?.is_found {
            match self.search.judge(false)? {
                Judged::Truncated(_) if !self.has_more => {}
                judged @ (Judged::Block(_) | Judged::Truncated(_)) => {
                    self.here = Here::Known(judged);
                    break;
                }
                _ => {}
            }
            self.search.skip(1)?;
        }
        Ok(Part::Lost(from..self.at()))
    }
}

/// Sections in a row that may be damaged while their heads are believed.
const MORE_MISMATCHES: u8 = 1;
