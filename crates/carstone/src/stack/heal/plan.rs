//! What the healed pack is made of: stored bytes of the source, and what is made anew.

use std::io;
use std::ops::Range;

use carstone_compress::{self as compress, Footer};
use carstone_encrypt::{self as encrypt, LayerHeader};
use carstone_layer::{FRAME_HEADER_LEN, PackId, ReadAt};
use carstone_raw::Container;

use super::order::Order;
use super::report::Part;
use super::rules::{Rules, header_at, is_data};
use super::runs::Run;

/// A piece of the healed pack.
#[derive(Debug)]
pub(super) struct Piece {
    /// Where it stands in the healed pack.
    pub(super) stored: Range<u64>,
    pub(super) bytes: Bytes,
}

/// Where the bytes of a piece come from.
#[derive(Debug)]
pub(super) enum Bytes {
    /// From the source.
    Kept {
        /// Offset in the source.
        at: u64,
        /// The first data frame, if there are any.
        first: Option<u64>,
    },
    /// Holes for a run that is lost.
    Holes(Run),
    /// Made anew, behind so many plain bytes.
    Made(Part, u64),
}

/// The pieces from the first byte on.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) pieces: Vec<Piece>,
    pub(super) footer: Option<Footer>,
}

impl Plan {
    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.stored.end)
    }

    /// Adds `len` bytes.
    pub(super) fn push(&mut self, len: u64, bytes: Bytes) {
        let start = self.len();
        if len > 0 {
            self.pieces.push(Piece { stored: start..start.saturating_add(len), bytes });
        }
    }

    /// The container header.
    pub(super) fn header(&mut self) {
        self.push(Container::LEN as u64, Bytes::Made(Part::Header, 0));
    }

    /// Adds bytes of the source in which there are no frames to be counted.
    pub(super) fn keep(&mut self, range: Range<u64>) {
        self.push(range.end - range.start, Bytes::Kept { at: range.start, first: None });
    }

    /// All frames of an encryption layer.
    pub(super) fn encrypted<R: ReadAt>(
        &mut self,
        source: &R,
        rules: Rules,
        order: &Order,
        header: &LayerHeader,
    ) -> io::Result<()> {
        let header_len = header.front_frame().len() as u64;
        let anchor_len = header.anchor_frame(&[0; Container::LEN], 0).len() as u64;
        self.push(header_len, Bytes::Made(Part::LayerHeader(0), 0));
        for run in &order.runs {
            let mut rest = Some(run.clone());
            while let Some(run) = rest.take() {
                let group = run.frames.start / encrypt::ANCHOR_EVERY;
                let due = (group + 1) * encrypt::ANCHOR_EVERY;
                let (run, later) = rules.cut(source, run, due)?;
                let is_due = run.frames.end == due && !run.is_final;
                self.run(run);
                if is_due {
                    self.push(anchor_len, Bytes::Made(Part::Anchor(group), 0));
                }
                rest = later;
            }
        }
        if order.is_ended {
            self.push(header_len, Bytes::Made(Part::LayerHeader(1), order.plain));
        }
        Ok(())
    }

    /// All frames of a compression layer in which nothing is encrypted.
    pub(super) fn compressed<R: ReadAt>(
        &mut self,
        source: &R,
        rules: Rules,
        order: &Order,
        pack: PackId,
    ) -> io::Result<()> {
        let anchor_len = compress::anchor_frame(&[0; Container::LEN], pack, 0, 0).len() as u64;
        let begin = self.len();
        let (mut anchored, mut anchors) = (begin, 0);
        for run in &order.runs {
            let mut rest = Some(run.clone());
            while let Some(run) = rest.take() {
                let room = compress::ANCHOR_EVERY.saturating_sub(self.len() - anchored);
                let due = frame_behind(source, &run, room)?;
                let (run, later) = rules.cut(source, run, due.unwrap_or(u64::MAX))?;
                let (plain, is_due) = (run.plain.end, due.is_some() && !run.is_final);
                self.run(run);
                if is_due {
                    self.push(anchor_len, Bytes::Made(Part::Anchor(anchors), plain));
                    (anchored, anchors) = (self.len(), anchors + 1);
                }
                rest = later;
            }
        }
        if order.is_ended {
            let footer = Footer::new(pack, order.plain, order.frames(), self.len() - begin);
            for page in 0..=footer.pages() {
                let len = footer.frame_len(page);
                self.push(len, Bytes::Made(Part::Footer(page), order.plain));
            }
            self.footer = Some(footer);
        }
        Ok(())
    }

    fn run(&mut self, run: Run) {
        match run.is_there() {
            true => {
                let (len, at) = (run.source.end - run.source.start, run.source.start);
                self.push(len, Bytes::Kept { at, first: Some(run.frames.start) });
            }
            false => self.push(run.len() * FRAME_HEADER_LEN as u64, Bytes::Holes(run)),
        }
    }
}

/// The frame behind the first one of `run` that ends `room` or more stored bytes behind its start.
fn frame_behind<R: ReadAt>(source: &R, run: &Run, room: u64) -> io::Result<Option<u64>> {
    if !run.is_there() {
        let frame = run.frames.start + room.div_ceil(FRAME_HEADER_LEN as u64).max(1);
        return Ok((frame <= run.frames.end).then_some(frame));
    }
    let len = run.source.end - run.source.start;
    if len < room {
        return Ok(None);
    }
    if run.last_len > 0 && len - run.last_len < room {
        return Ok(Some(run.frames.end));
    }
    let (mut at, mut frame) = (run.source.start, run.frames.start);
    while at < run.source.end {
        let header = header_at(source, at, &run.source)?;
        at += header.frame_len();
        if is_data(&header) {
            frame += 1;
            if at - run.source.start >= room {
                return Ok(Some(frame));
            }
        }
    }
    Ok(None)
}
