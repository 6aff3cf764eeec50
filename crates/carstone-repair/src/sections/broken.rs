//! What can still be read of a gap: bytes of a damaged frame, with which no sum agrees.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::ops::Range;

use carstone_car::{Limits, SectionHead, parse_section, verify};
use carstone_layer::{Cause, FailSafeRead, Gap, LayerId};

use super::resync::{Part, Resync};
use super::{Begun, Block, HEADER, Piece, Proof};
use crate::car::is_provable;

/// The sections in such bytes, gap after gap.
pub(super) struct Broken {
    resync: Resync<Cursor<Vec<u8>>>,
    gap: Option<Known>,
    ready: VecDeque<Piece>,
}

/// The gap that is read, and what of it is lost.
struct Known {
    gap: Gap,
    /// Where the bytes end.
    end: u64,
    /// They are proved.
    is_sealed: bool,
    lost: Option<Range<u64>>,
    is_told: bool,
}

/// Gives the bytes from behind a gap up to where the next section is stated to start; where so many are wanted, only if it is so many.
pub(super) type More<'a> = &'a mut dyn FnMut(Option<usize>) -> io::Result<Option<Vec<u8>>>;

impl Broken {
    pub(super) fn new() -> Self {
        let resync = Resync::new(Cursor::new(Vec::new()), 0).with_more();
        Self { resync, gap: None, ready: VecDeque::new() }
    }

    /// Takes what `source` still has of the gap that it just gave; if that is nothing, the gap comes back, and what there is of a section right in front of it.
    /// `due` is where a section is due or has begun, and what there is of it.
    ///
    /// # Errors
    /// Only what the source gives.
    pub(super) fn take_up<R: FailSafeRead>(
        &mut self,
        source: &mut R,
        gap: Gap,
        due: Option<(u64, Vec<u8>)>,
    ) -> io::Result<Option<(Gap, Vec<u8>)>> {
        let is_next =
            |(at, begun): &(u64, Vec<u8>)| at.checked_add(begun.len() as u64) == Some(gap.at);
        let due = due.filter(is_next);
        let is_due = due.is_some();
        let (base, mut bytes) = due.unwrap_or((gap.at, Vec::new()));
        let begun = bytes.len();
        let read = Unchecked(source).take(MOST_UNCHECKED).read_to_end(&mut bytes)?;
        if read == 0 {
            return Ok(Some((gap, bytes)));
        }
        let is_sealed = is_sealed(&gap);
        let proof = if is_sealed || is_cut(&gap) { Proof::Cut } else { Proof::Broken };
        let is_front = gap.at == 0 && bytes.starts_with(HEADER);
        let end = base.saturating_add(bytes.len() as u64);
        *self.resync.search().get_mut() = Cursor::new(bytes);
        self.resync.restart(base);
        if is_due {
            self.resync.expect(0, proof)?;
            self.resync.begun(begun);
        } else if is_front {
            self.resync.expect(HEADER.len(), proof)?;
        }
        self.gap = Some(Known { gap, end, is_sealed, lost: None, is_told: false });
        Ok(None)
    }

    /// What comes next of the gap; `None` behind it.
    ///
    /// # Errors
    /// Only what `more` gives.
    pub(super) fn next(&mut self, more: More<'_>) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            let Some(known) = &mut self.gap else { return Ok(None) };
            match self.resync.next()? {
                Some(Part::Block(block)) => known.block(block, &mut self.ready),
                Some(Part::Lost(range)) => known.lose(range),
                Some(Part::Open { head, proof }) => {
                    let (at, in_frames) = (self.resync.at(), self.resync.known());
                    let search = self.resync.search();
                    let mut section = search.ahead(1)?.to_vec();
                    let begun = section.len();
                    let missing = head.map(|head| head.len().saturating_sub(begun));
                    section.extend(more(missing)?.unwrap_or_default());
                    if section.len() > begun
                        && let Some((head, data)) = whole(&section)
                        && search.afford(data.len() as u64, 0)
                        && verify(&head.cid, data).is_ok()
                    {
                        search.skip(begun as u64)?;
                        let (cid, data) = (head.cid, data.to_vec());
                        known.block(Block { cid, at, data, proof }, &mut self.ready);
                        continue;
                    }
                    section.truncate(if proof == Proof::Cut { begun } else { in_frames });
                    let proved = if known.is_sealed { begun } else { in_frames };
                    known.begun(&section, proved, &mut self.ready);
                }
                None => {
                    known.finish(&mut self.ready);
                    self.gap = None;
                }
            }
        }
    }
}

/// Whether the stream is cut off where what can be read of a gap ends, so that it stands as it was written.
fn is_cut(gap: &Gap) -> bool {
    match &gap.cause {
        Cause::Truncated => true,
        Cause::Below(below) => is_cut(below),
        _ => false,
    }
}

/// Whether what is missing was encrypted, and so the bytes before it are proved.
fn is_sealed(gap: &Gap) -> bool {
    let Cause::Below(below) = &gap.cause else { return false };
    below.layer == LayerId::ENCRYPTION || is_sealed(below)
}

/// The head and the data of bytes that are a section and nothing more.
fn whole(bytes: &[u8]) -> Option<(SectionHead, &[u8])> {
    let head = parse_section(bytes, &Limits::default()).ok()?;
    let is_whole = head.len() == bytes.len() && is_provable(&head);
    bytes.get(head.head_len..).filter(|_| is_whole).map(|data| (head, data))
}

impl Known {
    fn block(&mut self, mut block: Block, ready: &mut VecDeque<Piece>) {
        if let Some(range) = self.lost.take() {
            self.tell(range, ready);
        }
        // Where bytes were put in, places run over.
        block.at = self.gap_end().map_or(block.at, |end| block.at.min(end));
        ready.push_back(Piece::Block(block));
    }

    fn begun(&mut self, section: &[u8], proved: usize, ready: &mut VecDeque<Piece>) {
        if let Some(begun) = Begun::of(section, proved) {
            if let Some(range) = self.lost.take() {
                self.tell(range, ready);
            }
            ready.push_back(Piece::Begun(begun));
        }
    }

    fn lose(&mut self, range: Range<u64>) {
        match &mut self.lost {
            Some(lost) => lost.end = range.end,
            none => *none = Some(range),
        }
    }

    fn gap_end(&self) -> Option<u64> {
        self.gap.len.map(|len| self.gap.at.saturating_add(len))
    }

    fn tell(&mut self, range: Range<u64>, ready: &mut VecDeque<Piece>) {
        let start = range.start.max(self.gap.at);
        let end = self.gap_end().map_or(range.end, |end| range.end.min(end));
        if start < end {
            self.push(start, Some(end - start), ready);
        }
    }

    fn push(&mut self, at: u64, len: Option<u64>, ready: &mut VecDeque<Piece>) {
        self.is_told = true;
        let mut gap = self.gap.clone();
        (gap.at, gap.len) = (at, len);
        ready.push_back(Piece::Gap(gap));
    }

    /// Tells what is missing at the end. Damage that leaves nothing missing is told as a gap of no bytes.
    fn finish(&mut self, ready: &mut VecDeque<Piece>) {
        let lost = self.lost.take();
        let from = lost.as_ref().map_or(self.end, |lost| lost.start);
        match self.gap_end() {
            None => self.push(from.max(self.gap.at), None, ready),
            Some(end) => {
                let is_short = self.end < end;
                if lost.is_some() || is_short {
                    let to = lost.map_or(end, |lost| if is_short { end } else { lost.end });
                    self.tell(from..to, ready);
                }
                if !self.is_told {
                    self.push(self.gap.at, Some(0), ready);
                }
            }
        }
    }
}

/// The bytes of a gap that can still be read.
struct Unchecked<'a, R>(&'a mut R);

impl<R: FailSafeRead> Read for Unchecked<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_unchecked(buf)
    }
}

/// Bytes of one gap that are looked at: more than a frame has.
const MOST_UNCHECKED: u64 = 40 << 20;
