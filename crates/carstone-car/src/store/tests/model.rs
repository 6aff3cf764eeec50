//! A disk in memory that knows what has been done to it, and what may be left of it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::read_at::ReadAt;
use crate::store::disk::{Disk, Fill};

/// What is on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) car: Option<Vec<u8>>,
    pub(super) journal: Option<Vec<u8>>,
}

/// A step of a run.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    Remove,
    Journal(Option<Vec<u8>>),
    SyncFolder,
    /// The put of this number has returned.
    Acknowledged(usize),
}

impl Image {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Write(at, bytes) => {
                let car = self.car.get_or_insert_default();
                let at = *at as usize;
                car.resize(car.len().max(at + bytes.len()), 0);
                car[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Op::SetLen(len) => self.car.get_or_insert_default().resize(*len as usize, 0),
            Op::Remove => self.car = None,
            Op::Journal(journal) => self.journal = journal.clone(),
            Op::Sync | Op::SyncFolder | Op::Acknowledged(_) => {}
        }
    }

    /// What is there after these steps, and the first bytes of the next one.
    pub(super) fn after(&self, log: &[Op], next: Option<&Op>, bytes: usize) -> Image {
        let mut image = self.clone();
        log.iter().for_each(|op| image.apply(op));
        if let Some(Op::Write(at, all)) = next
            && bytes > 0
        {
            image.apply(&Op::Write(*at, all[..bytes].to_vec()));
        }
        image
    }

    /// What may be there after these steps and a power cut: of what was not synced, each sector or not.
    pub(super) fn after_power_cut(&self, log: &[Op], random: &mut Random) -> Image {
        let synced = log.iter().rposition(|op| matches!(op, Op::Sync)).map_or(0, |at| at + 1);
        let folder = log.iter().rposition(|op| matches!(op, Op::SyncFolder)).map_or(0, |at| at + 1);
        let mut image = self.clone();
        let keeps = random.below(4); // Rarely, sometimes, often.
        for (number, op) in log.iter().enumerate() {
            match op {
                Op::Write(at, bytes) if number >= synced => {
                    for (at, sector) in sectors(*at, bytes) {
                        if random.below(4) <= keeps {
                            image.apply(&Op::Write(at, sector.to_vec()));
                        }
                    }
                    // The length may be there without the data.
                    if random.below(4) == 0 {
                        let end = *at + bytes.len() as u64;
                        let len = image.car.as_ref().map_or(0, Vec::len) as u64;
                        image.apply(&Op::SetLen(len.max(end)));
                    }
                }
                Op::SetLen(_) if number >= synced && random.below(4) > keeps => {}
                Op::Journal(_) | Op::Remove if number >= folder && random.below(2) == 0 => {}
                op => image.apply(op),
            }
        }
        image
    }
}

/// The pieces of a write that are written as a whole or not at all.
fn sectors(mut at: u64, mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let len = bytes.len().min(SECTOR - at as usize % SECTOR);
        let (piece, rest) = bytes.split_at(len);
        pieces.push((at, piece));
        (at, bytes) = (at + len as u64, rest);
    }
    pieces
}

const SECTOR: usize = 512;

/// A disk that several stores may use, one after the other.
#[derive(Clone)]
pub(super) struct Model(Arc<Mutex<State>>);

struct State {
    image: Image,
    log: Vec<Op>,
    /// Steps after which nothing works any more.
    works_for: usize,
    write_fails: bool,
    sync_fails: bool,
}

impl Model {
    pub(super) fn new(image: Image) -> Self {
        Model::failing_after(image, usize::MAX)
    }

    pub(super) fn failing_after(image: Image, steps: usize) -> Self {
        let (log, works_for) = (Vec::new(), steps);
        let state = State { image, log, works_for, write_fails: false, sync_fails: false };
        Model(Arc::new(Mutex::new(state)))
    }

    /// The next write stops in the middle.
    pub(super) fn fail_next_write(&self) {
        self.state().write_fails = true;
    }

    pub(super) fn fail_next_sync(&self) {
        self.state().sync_fails = true;
    }

    pub(super) fn note(&self, op: Op) {
        self.state().log.push(op);
    }

    pub(super) fn log(&self) -> Vec<Op> {
        self.state().log.clone()
    }

    pub(super) fn image(&self) -> Image {
        self.state().image.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    fn act(&self, op: Op) -> io::Result<()> {
        let mut state = self.state();
        if state.works_for == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        state.works_for -= 1;
        state.image.apply(&op);
        state.log.push(op);
        Ok(())
    }
}

impl Disk for Model {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fails = std::mem::take(&mut self.state().write_fails);
        if fails {
            self.act(Op::Write(offset, bytes[..bytes.len() / 2].to_vec()))?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.act(Op::Write(offset, bytes.to_vec()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Op::SetLen(len))
    }

    fn sync(&self) -> io::Result<()> {
        let fails = std::mem::take(&mut self.state().sync_fails);
        match fails {
            true => Err(io::Error::other("cannot sync")),
            false => self.act(Op::Sync),
        }
    }

    fn sync_name(&self) -> io::Result<()> {
        self.act(Op::SyncFolder)
    }

    fn remove(&self) -> io::Result<()> {
        self.act(Op::Remove)?;
        self.act(Op::SyncFolder)
    }

    fn journal(&self) -> io::Result<Option<Box<dyn ReadAt + Send + Sync>>> {
        let journal = self.state().image.journal.clone();
        Ok(journal.map(|journal| Box::new(journal) as Box<dyn ReadAt + Send + Sync>))
    }

    fn make_journal(&self, fill: Fill<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        fill(&mut bytes)?;
        self.act(Op::Journal(Some(bytes)))?;
        self.act(Op::SyncFolder)
    }

    fn remove_journal(&self) -> io::Result<()> {
        self.act(Op::Journal(None))?;
        self.act(Op::SyncFolder)
    }
}

impl ReadAt for Model {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state().image.car.as_deref().unwrap_or_default().read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.state().image.car.as_ref().map_or(0, Vec::len) as u64)
    }
}

/// Numbers that are the same in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
