//! The blocks of a CAR stream with holes, each compared with its CID, in order.

mod bare;
mod broken;
mod cut;
mod proof;
mod resync;
#[cfg(test)]
mod tests;

use std::io;

use carstone_car::{Cid, Limits, Section, parse_section, verify};
use carstone_layer::{FailSafeRead, Gap, Ordered, Pool};
use carstone_pack::Error;

use crate::car::is_provable;
use bare::BareCutter;
use cut::Cutter;
pub(crate) use proof::Proof;

/// What comes next in the stream.
pub(crate) enum Found {
    /// A block that hashes to its CID.
    Block(Block),
    /// A section begins whose end is missing.
    Begun(Begun),
    Gap(Gap),
    /// Bytes that are no block.
    Fault(Error),
}

/// What a stream is cut into.
enum Piece {
    /// A section from whole frames, whose hash is still to be compared.
    Section { section: Section, data: Vec<u8> },
    /// A block that hashes to its CID.
    Block(Block),
    /// A section begins whose end is missing.
    Begun(Begun),
    /// Bytes are missing.
    Gap(Gap),
    /// Bytes are there, but are no section.
    Fault(Error),
}

/// A block, and where its section stands.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) cid: Cid,
    pub(crate) at: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) proof: Proof,
}

/// The beginning of a block, up to where the rest is missing. No hash proves it.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) cid: Cid,
    pub(crate) data: Vec<u8>,
    /// Bytes at its beginning that frames prove.
    pub(crate) proved: usize,
}

/// Reads sections ahead, and hashes them on a pool.
pub(crate) struct Sections<R> {
    cutter: Cut<R>,
    queue: Ordered<Piece, Found>,
    /// What the source gave behind what is in the queue.
    stopped: Option<io::Result<()>>,
    /// Where the last section that was given ends.
    position: u64,
}

#[expect(clippy::large_enum_variant, reason = "there is one of it")]
enum Cut<R> {
    Framed(Cutter<R>),
    Bare(BareCutter<R>),
}

impl<R: FailSafeRead> Sections<R> {
    /// Reads from what a stack gives, whose bytes stand in frames or not.
    pub(crate) fn new(reader: R, has_frames: bool, threads: usize, budget: usize) -> Self {
        let position = reader.position();
        let queue = Ordered::new(Pool::new(threads, check), budget);
        let cutter = match has_frames {
            true => Cut::Framed(Cutter::new(reader)),
            false => Cut::Bare(BareCutter::new(reader)),
        };
        Self { cutter, queue, stopped: None, position }
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// Only what the source gives.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, Error> {
        self.read_ahead();
        let Some(checked) = self.queue.pop() else {
            let ended = self.stopped.take().unwrap_or(Ok(()));
            self.stopped = Some(Ok(()));
            return ended.map(|()| None).map_err(|error| Error::io(error, self.position));
        };
        let lost = |error: carstone_layer::Error| Error::io(error.into(), self.position);
        let found = checked.map_err(lost)?;
        if let Found::Gap(gap) = &found {
            self.position = gap.at.saturating_add(gap.len.unwrap_or(0));
        }
        Ok(Some(found))
    }

    /// Where the stream stands, for errors.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What is read from.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        match &mut self.cutter {
            Cut::Framed(cutter) => cutter.get_mut(),
            Cut::Bare(cutter) => cutter.get_mut(),
        }
    }

    fn read_ahead(&mut self) {
        let depth = self.queue.threads().max(1) * DEPTH;
        while self.stopped.is_none() && self.queue.len() < depth && self.queue.has_room(0) {
            let next = match &mut self.cutter {
                Cut::Framed(cutter) => cutter.next(),
                Cut::Bare(cutter) => cutter.next(),
            };
            match next {
                Ok(Some(piece)) => {
                    let cost = piece.cost();
                    match piece {
                        Piece::Section { .. } => self.queue.push(piece, cost),
                        // Nothing is to be hashed.
                        _ => self.queue.push_done(check(piece), cost),
                    }
                }
                Ok(None) => self.stopped = Some(Ok(())),
                Err(error) => self.stopped = Some(Err(error)),
            }
        }
    }
}

impl Piece {
    fn cost(&self) -> usize {
        match self {
            Self::Section { data, .. }
            | Self::Block(Block { data, .. })
            | Self::Begun(Begun { data, .. }) => data.len(),
            _ => STATEMENT,
        }
    }
}

impl Begun {
    /// What there is of the block of a section that begins so, with so many bytes that frames prove; `None` where it is all there, or nothing.
    fn of(section: &[u8], proved: usize) -> Option<Self> {
        let head = parse_section(section, &Limits::default()).ok()?;
        let data = section.get(head.head_len..).filter(|data| !data.is_empty())?;
        let is_begun = data.len() < head.data_len && is_provable(&head);
        let proved = proved.saturating_sub(head.head_len).min(data.len());
        is_begun.then(|| Self { cid: head.cid, data: data.to_vec(), proved })
    }
}

fn check(piece: Piece) -> Found {
    let (section, data) = match piece {
        Piece::Gap(gap) => return Found::Gap(gap),
        Piece::Fault(error) => return Found::Fault(error),
        Piece::Block(block) => return Found::Block(block),
        Piece::Begun(begun) => return Found::Begun(begun),
        Piece::Section { section, data } => (section, data),
    };
    let Section { cid, offset, .. } = section;
    match verify(&cid, &data) {
        Ok(()) => Found::Block(Block { cid, at: offset, data, proof: Proof::Frame }),
        Err(error) => Found::Fault(error.with_offset(offset).into()),
    }
}

/// The header of every pack's CAR stream: CARv1, no roots.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";
/// Blocks per thread that are read ahead.
const DEPTH: usize = 4;
const STATEMENT: usize = 1 << 10;
