//! The same frames under another key envelope (`docs/format.md`, section 4.4).

use std::io::Write;

use carstone_layer::{Ordered, Pool, ReadAt};

use crate::format::{ANCHOR_EVERY, CONTAINER_LEN, STORED_FRAME, check_envelope};
use crate::layout::Layout;
use crate::stream::{Chunk, Frames};
use crate::verify::{check_frame, read_anchor};
use crate::{EncryptReader, Error, ErrorKind, LayerHeader, Stats};

impl<R: ReadAt> EncryptReader<R> {
    /// Writes the stored stream once more, with `envelope` in its layer headers and anchors, and gives the sink back, flushed.
    ///
    /// The content key stays, and so does every data frame, byte for byte: nothing is decrypted. Place, CRC-64 and digest of each frame are checked on the way, by
    /// several threads; [`verify`](Self::verify) checks the tags. `container` is the container header that anchors repeat, or empty where the stream
    /// has none. `progress` hears how many stored bytes of this stream have been copied.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`] for an envelope over the limit; [`ErrorKind::BadOption`] for a container header of another length; the first
    /// fault of the stream, holes among them; [`ErrorKind::BadAnchor`] where an anchor repeats another container or layer header;
    /// [`ErrorKind::Write`] for what the sink gives. What was written is worthless then.
    pub fn rewrap<W: Write>(
        &self,
        mut sink: W,
        envelope: Vec<u8>,
        container: &[u8],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(W, Stats), Error> {
        check_envelope(envelope.len() as u64, 0)?;
        if !matches!(container.len(), 0 | CONTAINER_LEN) {
            return Err(Error::new(ErrorKind::BadOption("a container header has 256 bytes"), 0));
        }
        let old = self.layer_header();
        let new = LayerHeader { envelope, ..old.clone() };
        let shared = self.shared();
        let copy = Copy {
            source: self.get_ref(),
            frames: shared.stream.frames,
            old: old.encode(),
            new: &new,
            container,
        };
        let layout = copy.frames.layout;
        write(&mut sink, &new.front_frame())?;
        let chunk_frames = shared.chunk_frames;
        let cost = chunk_frames as usize * STORED_FRAME;
        let frames = copy.frames;
        let pool = Pool::new(shared.threads(), move |chunk: Chunk| check(&frames, chunk));
        let mut checking = Ordered::new(pool, shared.depth * cost);
        let (mut next, mut spare) = (0, Vec::new());
        loop {
            while next < layout.frames && checking.has_room(cost) {
                let bytes = spare.pop().unwrap_or_default();
                let chunk = frames.read(copy.source, next, chunk_frames, bytes)?;
                next = chunk.end();
                checking.push(chunk, cost);
            }
            let Some(checked) = checking.pop() else { break };
            let lost = |_| Error::new(ErrorKind::WorkerLost, layout.position(next));
            let chunk = checked.map_err(lost).flatten()?;
            write(&mut sink, &chunk.bytes)?;
            let end = chunk.end();
            spare.push(chunk.bytes);
            if end.is_multiple_of(ANCHOR_EVERY) && end < layout.frames {
                write(&mut sink, &copy.anchor_behind(end - 1)?)?;
            }
            progress(layout.position(end).min(layout.stored_len()));
        }
        write(&mut sink, &new.end_frame(layout.plain_len()))?;
        sink.flush().map_err(|error| Error::new(ErrorKind::Write(error), 0))?;
        let empty = Layout::new(new.envelope.len(), container.len());
        let (frames, last_len) = (layout.frames, layout.last_len);
        Ok((sink, Stats::of(&Layout { frames, last_len, ..empty })))
    }
}

/// What is copied, and what takes the place of what.
struct Copy<'a, R> {
    source: &'a R,
    frames: Frames,
    /// Payload of the old layer header.
    old: Vec<u8>,
    new: &'a LayerHeader,
    container: &'a [u8],
}

impl<R: ReadAt> Copy<'_, R> {
    /// The new anchor behind data frame `frame`, where a sound old one stands.
    fn anchor_behind(&self, frame: u64) -> Result<Vec<u8>, Error> {
        let anchor = read_anchor(self.source, &self.frames, frame)?;
        if anchor.layer_header != self.old || anchor.container != self.container {
            let layout = &self.frames.layout;
            let at = layout.position(frame + 1) - layout.anchor_len;
            return Err(Error::new(ErrorKind::BadAnchor { frame }, at));
        }
        Ok(self.new.anchor_frame(self.container, frame / ANCHOR_EVERY))
    }
}

/// The work on another thread.
fn check(frames: &Frames, chunk: Chunk) -> Result<Chunk, Error> {
    for (sequence, stored) in (chunk.first..).zip(chunk.bytes.chunks(STORED_FRAME)) {
        check_frame(frames, sequence, stored)?;
    }
    Ok(chunk)
}

fn write(sink: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    sink.write_all(bytes).map_err(|error| Error::new(ErrorKind::Write(error), 0))
}
