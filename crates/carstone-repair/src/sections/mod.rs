//! The blocks of a CAR stream with holes, each compared with its CID, in order.

mod cut;

use std::io;

use carstone_car::{Cid, Section, verify};
use carstone_layer::{FailSafeRead, Gap, Ordered, Pool};
use carstone_pack::Error;

pub(crate) use cut::Proof;
use cut::{Cutter, Piece};

/// What comes next in the stream.
pub(crate) enum Found {
    /// A block that hashes to its CID.
    Block(Block),
    Gap(Gap),
    /// Bytes that are no block.
    Fault(Error),
}

/// A block, and where its section stands.
pub(crate) struct Block {
    pub(crate) cid: Cid,
    pub(crate) at: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) proof: Proof,
}

/// Reads sections ahead, and hashes them on a pool.
pub(crate) struct Sections<R> {
    cutter: Cutter<R>,
    queue: Ordered<Piece, Checked>,
    /// What the source gave behind what is in the queue.
    stopped: Option<io::Result<()>>,
    /// A block without proof failed: what follows it before the next gap is not looked at.
    spoiled: bool,
    /// Where the last section that was given ends.
    position: u64,
}

enum Checked {
    Found(Found),
    /// A block without proof that does not hash to its CID.
    Spoiled,
}

impl<R: FailSafeRead> Sections<R> {
    pub(crate) fn new(reader: R, threads: usize, budget: usize) -> Self {
        let position = reader.position();
        let queue = Ordered::new(Pool::new(threads, check), budget);
        Self { cutter: Cutter::new(reader), queue, stopped: None, spoiled: false, position }
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// Only what the source gives.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, Error> {
        loop {
            self.read_ahead();
            let Some(checked) = self.queue.pop() else {
                let ended = self.stopped.take().unwrap_or(Ok(()));
                self.stopped = Some(Ok(()));
                return ended.map(|()| None).map_err(|error| Error::io(error, self.position));
            };
            let lost = |error: carstone_layer::Error| Error::io(error.into(), self.position);
            match checked.map_err(lost)? {
                Checked::Spoiled => self.spoiled = true,
                Checked::Found(Found::Block(block)) if block.proof != Proof::Frame => {
                    if !self.spoiled {
                        return Ok(Some(Found::Block(block)));
                    }
                }
                Checked::Found(found) => {
                    if let Found::Gap(gap) = &found {
                        self.spoiled = false;
                        self.position = gap.at.saturating_add(gap.len.unwrap_or(0));
                    }
                    return Ok(Some(found));
                }
            }
        }
    }

    /// Where the stream stands, for errors.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What is read from.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        self.cutter.get_mut()
    }

    fn read_ahead(&mut self) {
        let depth = self.queue.threads().max(1) * DEPTH;
        while self.stopped.is_none() && self.queue.len() < depth && self.queue.has_room(0) {
            match self.cutter.next() {
                Ok(Some(piece)) => {
                    let cost = piece.cost();
                    self.queue.push(piece, cost);
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
            Self::Section { data, .. } => data.len(),
            _ => STATEMENT,
        }
    }
}

fn check(piece: Piece) -> Checked {
    let (section, data, proof) = match piece {
        Piece::Gap(gap) => return Checked::Found(Found::Gap(gap)),
        Piece::Fault(error) => return Checked::Found(Found::Fault(error)),
        Piece::Section { section, data, proof } => (section, data, proof),
    };
    let Section { cid, offset, .. } = section;
    match verify(&cid, &data) {
        Ok(()) => Checked::Found(Found::Block(Block { cid, at: offset, data, proof })),
        Err(_) if proof != Proof::Frame => Checked::Spoiled,
        Err(error) => Checked::Found(Found::Fault(error.with_offset(offset).into())),
    }
}

/// Blocks per thread that are read ahead.
const DEPTH: usize = 4;
const STATEMENT: usize = 1 << 10;
