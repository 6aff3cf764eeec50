//! What stands behind the last data frame.

use std::io;
use std::ops::Range;

use carstone_layer::{Cause, FailSafeRead, Gap, LayerId};

use super::CompressFailSafe;
use crate::salvage::{Done, Footer, Lost};
use crate::{Error, ErrorKind};

impl<R: FailSafeRead> CompressFailSafe<R> {
    /// Reads on behind the last frame, and gives the damage that is there.
    pub(super) fn check_footer(&mut self) -> io::Result<Option<Gap>> {
        let mut lost = None;
        loop {
            self.read_ahead();
            match self.queue.pop() {
                Some(Ok(Done::Lost(Lost { stored, cause, .. }))) => {
                    lost.get_or_insert((stored, cause));
                }
                Some(Ok(Done::Footer(footer))) => self.footer.take(&footer),
                Some(Ok(_)) => {}
                Some(Err(_)) => {
                    return Err(Error::new(ErrorKind::WorkerLost, self.scan.position()).into());
                }
                None => match self.failure.take() {
                    Some(error) => return Err(error),
                    None => break,
                },
            }
        }
        let broken = self.footer.broken.take().map(|stored| (stored, Cause::Corrupt));
        let gap = |cause| Gap::new(LayerId::COMPRESSION, self.next, Some(0), cause);
        let behind = match lost.or(broken) {
            Some((stored, cause)) => Some(gap(cause).with_stored(stored)),
            None if !self.footer.is_whole => Some(gap(Cause::Missing)),
            None => None,
        };
        let moved = self.scan.out_of_order();
        let moved = moved.map(|stored| gap(Cause::OutOfOrder).with_stored(stored));
        let below = self.scan.check_end()?;
        Ok(behind.or(moved).or_else(|| below.map(|below| gap(Cause::Below(Box::new(below))))))
    }
}

/// What has come of the footer.
#[derive(Default)]
pub(super) struct FooterSeen {
    /// Number of the next frame.
    next: u64,
    /// All of it, up to its tail.
    pub(super) is_whole: bool,
    /// The first frame that is broken.
    broken: Option<Range<u64>>,
}

impl FooterSeen {
    pub(super) fn take(&mut self, footer: &Footer) {
        if !footer.is_sound {
            self.broken.get_or_insert(footer.stored.clone());
        } else if footer.sequence == self.next {
            self.next += 1;
            self.is_whole |= footer.is_tail;
        }
    }
}
