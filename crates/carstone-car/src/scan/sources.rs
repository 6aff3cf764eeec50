//! What threads read: a stream, in turns, or any place of a source, at the same time.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use super::batch::{BATCH_LEN, Batch, Cutter, Feed};
use super::workers::{Numbered, Source, lock};
use crate::read_at::{ReadAt, read_as_much};

/// A stream. Whoever reads from it holds it.
pub(super) struct Stream<R>(Mutex<Turn<Feed<R>>>);

/// What only one thread may have at a time.
struct Turn<T> {
    /// `None` at the end.
    part: Option<T>,
    /// The number of the next batch.
    next: u64,
}

impl<R> Stream<R> {
    pub(super) fn new(feed: Feed<R>) -> Self {
        Stream(Mutex::new(Turn { part: Some(feed), next: 0 }))
    }
}

impl<R: Read + Send> Source for Stream<R> {
    fn take(&self, mut batch: Batch) -> Option<Numbered> {
        // After a panic nobody knows where the stream stands.
        let mut turn = self.0.lock().ok()?;
        turn.part.as_mut()?.fill(&mut batch);
        if batch.is_last() {
            turn.part = None;
        }
        turn.next += 1;
        Some((turn.next - 1, batch))
    }

    fn abandon(&self) {}
}

/// A source that is read in pieces of one length, each by the thread that has taken its number. Where sections end is found in turns.
pub(super) struct Pieces<R> {
    source: R,
    /// Offset of the first piece.
    start: u64,
    /// Offset behind the last one, as far as that is known.
    end: u64,
    taken: AtomicU64,
    turn: Mutex<Turn<Cutter>>,
    changed: Condvar,
}

impl<R: ReadAt> Pieces<R> {
    /// Goes on where `cutter` stands, whose payload starts at `base`.
    pub(super) fn new(source: R, cutter: Cutter, base: u64) -> Self {
        let (start, end) = cutter.unread();
        let (start, end) = (base.saturating_add(start), base.saturating_add(end));
        let turn = Mutex::new(Turn { part: Some(cutter), next: 0 });
        Pieces { source, start, end, taken: AtomicU64::new(0), turn, changed: Condvar::new() }
    }

    /// Reads a piece: how many bytes it has, and how the source ends with it, if it does.
    fn read(&self, number: u64, batch: &mut Batch) -> (usize, Option<io::Result<()>>) {
        let from = self.start.saturating_add(number.saturating_mul(BATCH_LEN as u64));
        let rest = self.end.saturating_sub(from);
        let len = BATCH_LEN.min(usize::try_from(rest).unwrap_or(BATCH_LEN));
        let (filled, read) = read_as_much(&self.source, &mut batch.room()[..len], from);
        (filled, (filled < BATCH_LEN).then_some(read))
    }
}

impl<R: ReadAt + Send + Sync> Source for Pieces<R> {
    fn take(&self, mut batch: Batch) -> Option<Numbered> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let (read, end) = self.read(number, &mut batch);
        let mut turn = lock(&self.turn);
        while turn.part.is_some() && turn.next != number {
            turn = self.changed.wait(turn).ok()?;
        }
        turn.part.as_mut()?.cut(&mut batch, read, end);
        if batch.is_last() {
            turn.part = None;
        }
        turn.next += 1;
        self.changed.notify_all();
        Some((number, batch))
    }

    fn abandon(&self) {
        lock(&self.turn).part = None;
        self.changed.notify_all();
    }
}
