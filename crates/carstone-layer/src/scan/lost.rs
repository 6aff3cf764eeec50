//! Stretches of a damaged stream without a frame.

use std::ops::Range;

use super::{Frame, Scanned};
use crate::Cause;

/// What a step of a scan comes to.
pub(super) enum Step {
    Frame(Frame),
    Lost(Lost),
    /// The held loss is to be handed out first.
    Held,
    End,
}

/// Stored bytes that hold no frame.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) stored: Range<u64>,
    pub(super) cause: Cause,
    pub(super) broken: Option<Frame>,
    /// The last of these bytes, or none.
    pub(super) bytes: Vec<u8>,
}

impl Lost {
    #[expect(clippy::new_ret_no_self, reason = "each loss is a step")]
    pub(super) fn new(stored: Range<u64>, cause: Cause, broken: Option<Frame>) -> Step {
        Step::Lost(Self { stored, cause, broken, bytes: Vec::new() })
    }

    pub(super) fn goes_on_in(&self, next: &Self) -> bool {
        self.cause == next.cause && next.broken.is_none() && self.stored.end == next.stored.start
    }

    /// Takes `next` in, and keeps the last `most` bytes.
    pub(super) fn go_on(&mut self, next: Self, most: usize) {
        let len = next.stored.end.saturating_sub(next.stored.start);
        self.stored.end = next.stored.end;
        match next.bytes.len() as u64 == len {
            true => keep(&mut self.bytes, &next.bytes, most),
            false => self.bytes = next.bytes,
        }
    }
}

impl From<Lost> for Scanned {
    fn from(Lost { stored, cause, broken, bytes }: Lost) -> Self {
        Self::Lost { stored, cause, broken, bytes }
    }
}

/// Appends `more`, and forgets what is in front of the last `most` bytes.
pub(super) fn keep(bytes: &mut Vec<u8>, more: &[u8], most: usize) {
    bytes.extend_from_slice(more.get(more.len().saturating_sub(most)..).unwrap_or_default());
    // Moving them costs no more than what came since.
    if bytes.len() >= most.saturating_mul(2) {
        bytes.drain(..bytes.len() - most);
    }
}
