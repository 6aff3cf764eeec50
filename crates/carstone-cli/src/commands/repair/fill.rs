//! Bytes of a damaged file in the places of those that parity could not restore.

use std::ops::Range;

use anyhow::Context;
use carstone::layer::{FRAME_MAGIC, read_full};
use carstone::parity::{Survey, WriteAt};
use memchr::memmem;

use super::out::Out;
use super::parity::Job;
use crate::parity::Held;

impl Job<'_> {
    /// Takes bytes as they stand in the damaged file. Where bytes were inserted or removed among them, what stands behind that is taken from the last frame on that begins there:
    /// the one before is damaged, whatever is taken.
    pub(super) fn fill(
        &self,
        held: &Held,
        survey: &Survey,
        out: &Out,
        range: &Range<u64>,
    ) -> anyhow::Result<()> {
        let [before, behind] = survey.around(range);
        let from = before.or(behind).unwrap_or(range.start);
        self.take(held, out, range.clone(), from)?;
        let Some(from) = behind.filter(|behind| *behind != from) else { return Ok(()) };
        let (mut end, mut overlap) = (range.end, Vec::new());
        while end > range.start {
            let start = end.saturating_sub(COPY as u64).max(range.start);
            let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(COPY)];
            let at = from + (start - range.start);
            let read = read_full(&held.stream, &mut bytes, at)
                .with_context(|| format!("{}: cannot read at byte {at}", self.name))?;
            bytes.truncate(read);
            bytes.append(&mut overlap);
            if let Some(frame) = memmem::rfind(&bytes, &FRAME_MAGIC) {
                let frame = start + frame as u64;
                return self.take(held, out, frame..range.end, from + (frame - range.start));
            }
            overlap = bytes.into_iter().take(FRAME_MAGIC.len() - 1).collect();
            end = start;
        }
        Ok(())
    }

    /// Takes bytes for a range from the damaged file, from there on.
    fn take(&self, held: &Held, out: &Out, range: Range<u64>, from: u64) -> anyhow::Result<()> {
        let (mut at, mut buf) = (range.start, vec![0; COPY]);
        while at < range.end {
            let room = usize::try_from(range.end - at).unwrap_or(COPY).min(COPY);
            let place = from + (at - range.start);
            let read = read_full(&held.stream, &mut buf[..room], place)
                .with_context(|| format!("{}: cannot read at byte {place}", self.name))?;
            if read == 0 {
                break;
            }
            out.0.write_all_at(&buf[..read], at).context("cannot write a temporary file")?;
            at += read as u64;
        }
        Ok(())
    }
}

const COPY: usize = 1 << 20;
