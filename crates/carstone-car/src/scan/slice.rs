//! Verifies the blocks of a CAR in memory on several threads, without copying them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use crate::error::Result;
use crate::options::Checks;
use crate::section::{self, BlockRef, Section};
use crate::slice::{CarSlice, SliceBlocks};

type Item<'a> = Result<(Section, BlockRef<'a>)>;

impl<'a> CarSlice<'a> {
    /// Hands every block to `each`, in their order, verified on `threads` threads besides the calling one. Until `each` breaks.
    ///
    /// Errors are handed over where [`blocks`](Self::blocks) gives them: behind a [block error](crate::Error::is_block_error) come more
    /// blocks, behind all others nothing. With [no verification](crate::ReaderOptions::danger_skip_verification), or where the system
    /// gives no threads, the calling one does all of it.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use carstone_car::{CarSlice, CarWriter, codec};
    /// let mut writer = CarWriter::new(Vec::new(), &[])?;
    /// for data in [&b"hello"[..], b"car"] {
    ///     writer.write_data(codec::RAW, data)?;
    /// }
    /// let bytes = writer.finish()?;
    ///
    /// let mut sum = 0;
    /// let ended = CarSlice::parse(&bytes)?.try_for_each_block(2, |item| match item {
    ///     Ok((_section, block)) => {
    ///         sum += block.data.len();
    ///         ControlFlow::Continue(())
    ///     }
    ///     Err(error) => ControlFlow::Break(error),
    /// });
    /// assert!(ended.is_continue() && sum == 8);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_for_each_block<B>(
        &self,
        threads: usize,
        mut each: impl FnMut(Item<'a>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut blocks = self.blocks();
        let checks = blocks.leave_unverified();
        if threads == 0 || checks.is_none() {
            return self.blocks().try_for_each(each);
        }
        let (permit, permits) = channel();
        for _ in 0..threads.saturating_mul(2) {
            let _ = permit.send(());
        }
        let turn = Mutex::new(Turn { blocks, next: 0, permits });
        let source = Source { turn, checks, base: self.payload_start() };
        let source = &source;
        std::thread::scope(|scope| {
            // With this closure the permits end, and then the threads.
            let permit = permit;
            let (sender, receiver) = channel();
            let start = |number: usize| {
                let (sender, builder) = (sender.clone(), Builder::new());
                let builder = builder.name(format!("car-slice-{number}"));
                builder.spawn_scoped(scope, move || source.work(&sender)).ok()
            };
            if (0..threads).map_while(start).count() == 0 {
                return self.blocks().try_for_each(each);
            }
            drop(sender);
            let (mut early, mut next) = (BTreeMap::new(), 0);
            for (number, share) in receiver {
                early.insert(number, share);
                while let Some(share) = early.remove(&next) {
                    share.into_iter().try_for_each(&mut each)?;
                    next += 1;
                    let _ = permit.send(()); // Nobody takes it when all blocks are taken.
                }
            }
            ControlFlow::Continue(())
        })
    }
}

/// What the threads share.
struct Source<'a> {
    turn: Mutex<Turn<'a>>,
    checks: Checks,
    base: u64,
}

/// Whose turn it is takes the next share.
struct Turn<'a> {
    /// The blocks that are not taken yet, unverified.
    blocks: SliceBlocks<'a>,
    /// The number of the next share.
    next: u64,
    /// One for each share that may be on its way, so that nobody runs far ahead.
    permits: Receiver<()>,
}

impl<'a> Source<'a> {
    /// Verifies shares until there are no more, or nobody wants them.
    fn work(&self, finished: &Sender<(u64, Vec<Item<'a>>)>) {
        while let Some((number, mut share)) = self.take() {
            self.verify(&mut share);
            if finished.send((number, share)).is_err() {
                return;
            }
        }
    }

    fn verify(&self, share: &mut [Item<'a>]) {
        let items = share.iter().enumerate();
        let (numbers, blocks): (Vec<_>, Vec<_>) =
            items.filter_map(|(number, item)| Some((number, item.as_ref().ok()?))).unzip();
        let blocks = blocks.iter().map(|(section, block)| (section, block.data));
        let mut faults = Vec::new();
        section::check_each(blocks, self.checks, |at, error| faults.push((numbers[at], error)));
        for (number, error) in faults {
            share[number] = Err(error.with_base(self.base));
        }
    }

    fn take(&self) -> Option<(u64, Vec<Item<'a>>)> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.permits.recv().ok()?;
        let (mut share, mut bytes) = (Vec::new(), 0);
        while bytes < SHARE_LEN
            && let Some(item) = turn.blocks.next()
        {
            bytes += item.as_ref().map_or(0, |(section, _)| section.len());
            share.push(item);
        }
        let number = turn.next;
        turn.next += 1;
        (!share.is_empty()).then_some((number, share))
    }
}

/// Bytes of sections that a thread takes at a time.
const SHARE_LEN: u64 = if cfg!(fuzzing) { 256 } else { 2 << 20 };
