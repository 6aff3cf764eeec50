//! The writing side: frames are sealed in place, on several threads, and written in order.

use std::fmt;
use std::io::{self, Write};

use carstone_layer::{
    FRAME_HEADER_LEN, FrameHeader, Hint, LayerId, LayerWrite, Ordered, PackId, Pool,
};

use crate::aead::Aead;
use crate::format::{
    AES_256_GCM, ANCHOR_EVERY, Anchor, CONTAINER_LEN, FRAME_LEN, LayerHeader, MAX_FRAMES,
    STORED_FRAME, TAG_LEN, check_envelope,
};
use crate::keys::Keys;
use crate::options::layers_or_alone;
use crate::{EncryptOptions, Error, ErrorKind};

/// Encrypts what is written to it, in frames of [`FRAME_LEN`] plain bytes.
///
/// Frames leave when they are full and more bytes come; [`flush`](Write::flush) cuts none. After an error the writer is
/// broken for ever, since a frame that was begun must never be sealed with other bytes.
#[must_use = "the stream reads as truncated until `finish` has returned `Ok`"]
pub struct EncryptWriter<W> {
    inner: W,
    sealing: Ordered<Batch, Batch>,
    batch: Batch,
    batch_frames: usize,
    cost: usize,
    spare: Vec<Batch>,
    pack: PackId,
    header: Vec<u8>,
    anchor: Vec<u8>,
    frame_limit: u64,
    boundary: bool,
    broken: bool,
}

impl<W: Write> EncryptWriter<W> {
    /// Writes a stream under `key` with a random pack id, and its layer header at once.
    ///
    /// # Errors
    /// Whatever `inner` gives, and the system when it has no random bytes.
    pub fn new(inner: W, key: &[u8; 32]) -> io::Result<Self> {
        Self::with_options(inner, key, EncryptOptions::default())
    }

    /// Writes a stream under `key`, and its layer header at once.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ErrorKind::TooLong`] or [`ErrorKind::BadOption`] for options that cannot be used.
    pub fn with_options(mut inner: W, key: &[u8; 32], options: EncryptOptions) -> io::Result<Self> {
        check_envelope(options.envelope.len() as u64, 0)?;
        if !matches!(options.container.len(), 0 | CONTAINER_LEN) {
            return Err(bad_option("a container header has 256 bytes"));
        }
        let layers = layers_or_alone(options.layers);
        if layers.get(LayerId::ENCRYPTION) != Some(&crate::slot()) {
            return Err(bad_option("the list of layers lacks this layer's slot"));
        }
        let pack = options.pack_id.map_or_else(random_pack_id, Ok)?;
        let keys = Keys::derive(key, pack, &layers);
        let header = LayerHeader {
            pack_id: pack,
            algorithm: AES_256_GCM,
            commitment: keys.commitment,
            envelope: options.envelope,
        };
        let header = header.encode();
        let anchor = Anchor { container: options.container, layer_header: header.clone() };
        let aead = Aead::new(&keys.payload, options.work.backend);
        let (batches, batch_frames) = options.work.split(STORED_FRAME, BATCH_FRAMES);
        let cost = batch_frames * STORED_FRAME;
        let pool = Pool::new(options.work.threads, move |batch: Batch| batch.seal(&aead, pack));
        inner.write_all(&LayerHeader::write_frame(&header, pack, 0, 0))?;
        Ok(Self {
            inner,
            sealing: Ordered::new(pool, batches * cost),
            batch: Batch::default(),
            batch_frames,
            cost,
            spare: Vec::new(),
            pack,
            header,
            anchor: anchor.encode(),
            frame_limit: MAX_FRAMES,
            boundary: false,
            broken: false,
        })
    }

    /// Says that a CAR section starts at the next byte: the frame that will hold it records the place.
    ///
    /// # Errors
    /// [`ErrorKind::Broken`] after a failed write.
    pub fn boundary(&mut self) -> io::Result<()> {
        self.usable()?;
        self.boundary = true;
        Ok(())
    }

    /// Seals the last frame, repeats the layer header, flushes `inner` and gives it back.
    ///
    /// # Errors
    /// Whatever `inner` gives. The stream is then unfinished, and reads as truncated.
    pub fn finish(mut self) -> io::Result<W> {
        self.usable()?;
        if self.batch.frames() == 0 {
            self.batch.begin_frame(); // Only an empty stream comes here with no frame begun.
        }
        let plain = self.batch.plain_end();
        self.batch.last = true;
        self.submit()?;
        self.drain()?;
        let frame = LayerHeader::write_frame(&self.header, self.pack, 1, plain);
        self.inner.write_all(&frame)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    /// Hands the batch to the threads, and writes what they are done with.
    fn submit(&mut self) -> io::Result<()> {
        // Broken until all went well: a batch that is lost on the way must not be made good by another one.
        self.broken = true;
        while !self.sealing.has_room(self.cost) {
            self.write_oldest()?;
        }
        let mut next = self.spare.pop().unwrap_or_default();
        next.restart(self.batch.end());
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.end_frame();
        self.sealing.push(batch, self.cost);
        while let Some(sealed) = self.sealing.pop_ready() {
            self.write_sealed(sealed)?;
        }
        self.broken = false;
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        self.broken = true;
        while !self.sealing.is_empty() {
            self.write_oldest()?;
        }
        self.broken = false;
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        self.sealing.pop().map_or(Ok(()), |sealed| self.write_sealed(sealed))
    }

    fn write_sealed(&mut self, sealed: Result<Batch, carstone_layer::Error>) -> io::Result<()> {
        let Ok(batch) = sealed else { return Err(Error::new(ErrorKind::WorkerLost, 0).into()) };
        self.inner.write_all(&batch.bytes)?;
        let end = batch.end();
        if end.is_multiple_of(ANCHOR_EVERY) && !batch.last {
            let index = end / ANCHOR_EVERY - 1;
            self.inner.write_all(&Anchor::write_frame(&self.anchor, self.pack, index))?;
        }
        self.spare.push(batch);
        Ok(())
    }
}

impl<W> EncryptWriter<W> {
    /// The pack id, drawn or given.
    pub fn pack_id(&self) -> PackId {
        self.pack
    }

    /// The writer below.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    fn usable(&self) -> io::Result<()> {
        if self.broken {
            return Err(Error::new(ErrorKind::Broken, 0).into());
        }
        Ok(())
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.usable()?;
        if buf.is_empty() {
            return Ok(0);
        }
        if self.batch.room() == 0 {
            // Before a byte is taken: an error then means that nothing of `buf` was.
            if self.batch.end() >= self.frame_limit {
                return Err(Error::new(ErrorKind::TooManyFrames, 0).into());
            }
            // Anchors stand between batches.
            let to_anchor = ANCHOR_EVERY - self.batch.first % ANCHOR_EVERY;
            if self.batch.frames() as u64 >= to_anchor.min(self.batch_frames as u64) {
                self.submit()?;
            }
            self.batch.begin_frame();
        }
        let taken = buf.len().min(self.batch.room());
        if std::mem::take(&mut self.boundary) {
            self.batch.mark_boundary();
        }
        self.batch.bytes.extend_from_slice(&buf[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.usable()?;
        // The newest frame stays, full or not: whether it is the last is not known yet.
        if let Some(newest) = self.batch.split_newest(&mut self.spare) {
            self.submit()?;
            let older = std::mem::replace(&mut self.batch, newest);
            self.spare.push(older);
        }
        self.drain()?;
        self.broken = true;
        self.inner.flush()?;
        self.broken = false;
        Ok(())
    }
}

impl<W: LayerWrite> LayerWrite for EncryptWriter<W> {
    type Sink = W::Sink;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        match hint {
            Hint::Boundary => Self::boundary(self),
            other => self.inner.hint(other),
        }
    }

    fn finish_stack(self: Box<Self>) -> io::Result<W::Sink> {
        Box::new((*self).finish()?).finish_stack()
    }
}

impl<W> fmt::Debug for EncryptWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptWriter").field("pack_id", &self.pack).finish_non_exhaustive()
    }
}

/// Neighbouring frames in their stored shape: gaps for header and tag are filled when they are sealed, so that a plain byte is
/// copied once on its way in and encrypted where it lies.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    boundaries: Vec<Option<u32>>,
    first: u64,
    last: bool,
}

impl Batch {
    fn restart(&mut self, first: u64) {
        self.bytes.clear();
        self.boundaries.clear();
        (self.first, self.last) = (first, false);
    }

    fn frames(&self) -> usize {
        self.boundaries.len()
    }

    /// The sequence of the frame behind the batch.
    fn end(&self) -> u64 {
        self.first + self.frames() as u64
    }

    fn begin_frame(&mut self) {
        self.bytes.resize(self.frames() * STORED_FRAME + FRAME_HEADER_LEN, 0);
        self.boundaries.push(None);
    }

    fn end_frame(&mut self) {
        self.bytes.resize(self.bytes.len() + TAG_LEN, 0);
    }

    /// Plain bytes of the newest frame so far.
    fn newest_len(&self) -> usize {
        match self.frames() {
            0 => 0,
            frames => self.bytes.len() - (frames - 1) * STORED_FRAME - FRAME_HEADER_LEN,
        }
    }

    /// Plain bytes that the newest frame can take.
    fn room(&self) -> usize {
        if self.frames() == 0 { 0 } else { FRAME_LEN - self.newest_len() }
    }

    /// Plain offset behind the batch.
    fn plain_end(&self) -> u64 {
        self.end().saturating_sub(1) * FRAME_LEN as u64 + self.newest_len() as u64
    }

    fn mark_boundary(&mut self) {
        let at = self.newest_len() as u32;
        if let Some(first) = self.boundaries.last_mut() {
            first.get_or_insert(at);
        }
    }

    /// Takes the newest frame out into a batch of its own; `None` when there is no other frame.
    fn split_newest(&mut self, spare: &mut Vec<Self>) -> Option<Self> {
        let older = self.frames().checked_sub(2)? + 1;
        let mut newest = spare.pop().unwrap_or_default();
        newest.restart(self.first + older as u64);
        newest.boundaries.extend(self.boundaries.drain(older..));
        newest.bytes.extend_from_slice(&self.bytes[older * STORED_FRAME..]);
        // `submit` adds room for the tag.
        self.bytes.truncate(older * STORED_FRAME - TAG_LEN);
        Some(newest)
    }

    fn seal(mut self, aead: &Aead, pack: PackId) -> Self {
        let frames = self.bytes.chunks_mut(STORED_FRAME).zip(&self.boundaries);
        let count = self.boundaries.len();
        for (index, (frame, &boundary)) in frames.enumerate() {
            let sequence = self.first + index as u64;
            let (head, payload) = frame.split_at_mut(FRAME_HEADER_LEN);
            let stored_len = payload.len() as u32;
            let mut header =
                FrameHeader::data(LayerId::ENCRYPTION, pack, sequence, sequence * FRAME_LEN as u64)
                    .with_lengths(stored_len - TAG_LEN as u32, stored_len);
            header.codec = AES_256_GCM;
            header.last = self.last && index + 1 == count;
            header.first_boundary = boundary;
            aead.seal(&header, payload);
            head.copy_from_slice(&header.sealed(payload).encode());
        }
        self
    }
}

/// Frames that are sealed and written together: about a megabyte.
const BATCH_FRAMES: usize = 8;

fn random_pack_id() -> io::Result<PackId> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(PackId::from_bytes(id))
}

fn bad_option(what: &'static str) -> io::Error {
    Error::new(ErrorKind::BadOption(what), 0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_frames_are_sealed_than_the_key_allows() {
        let mut writer = EncryptWriter::new(Vec::new(), &[1; 32]).expect("a Vec takes all");
        writer.frame_limit = 3;
        let mut taken = 0;
        let error = loop {
            match writer.write(&[0; 50_000]) {
                Ok(n) => taken += n,
                Err(error) => break error,
            }
        };
        let inner = Error::of(&error).expect("an error of this crate");
        assert!(matches!(inner.kind(), ErrorKind::TooManyFrames));
        assert_eq!(taken, 3 * FRAME_LEN);
        assert!(writer.finish().is_ok(), "what was taken is whole");
    }
}
