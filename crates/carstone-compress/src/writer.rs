//! The writing side: cuts blocks, has them compressed by a pool, writes frames and the footer.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use carstone_layer::{
    FrameHeader, Hint, LayerId, LayerSlot, LayerWrite, Ordered, PackId, Pool, default_threads,
};

use crate::buffers::Buffers;
use crate::codec::Encoder;
use crate::footer::{Footer, anchor_frame};
use crate::format::{ANCHOR_EVERY, PAGE_ENTRIES, codec};
use crate::{CompressOptions, Error, ErrorKind};

/// Compresses a stream block by block into frames that describe themselves.
///
/// Blocks are compressed side by side; the stored bytes do not depend on the number of threads. `flush` cuts no block.
/// After a failure of the sink every call fails: the stream is unfinished, and reads as truncated.
#[must_use = "the stream is unreadable until `finish` has returned `Ok`"]
pub struct CompressWriter<W> {
    inner: W,
    queue: Ordered<Block, Sealed>,
    slot: LayerSlot,
    pack: PackId,
    anchor: Option<Vec<u8>>,

    /// The block that is being filled, and where its first byte stands in the plain stream.
    plain: Vec<u8>,
    plain_at: u64,
    first_boundary: Option<u32>,
    /// Blocks are cut at this length now.
    unit: usize,
    /// The block is complete although it is shorter.
    cut: bool,
    /// A section starts at the next byte.
    boundary: bool,
    /// Frames handed to the pool.
    sequence: u64,

    /// Stored bytes written, and where the last anchor ended.
    stored: u64,
    anchored: u64,
    anchors: u64,
    steps: Vec<Step>,
    /// Buffers of blocks that are compressed.
    spare: Arc<Buffers>,
    broken: bool,
}

impl<W: Write> CompressWriter<W> {
    /// Writes to `inner` with the default options and a random pack id.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn new(inner: W) -> io::Result<Self> {
        Self::with_options(inner, CompressOptions::default())
    }

    /// Writes to `inner`.
    ///
    /// # Errors
    /// [`ErrorKind::BadOption`] for a block size, level or anchor that the format does not allow; and as [`new`](Self::new).
    pub fn with_options(inner: W, options: CompressOptions) -> io::Result<Self> {
        options.check()?;
        let pack = match options.pack_id {
            Some(pack) => pack,
            None => random_pack_id()?,
        };
        let slot = options.layer_slot();
        let threads = if options.threads == 0 { default_threads() } else { options.threads };
        let encoder = Encoder::new(options.codec);
        let blocks = options.budget / options.block_size as usize;
        let spare = Arc::new(Buffers::new(blocks.saturating_add(1)));
        let given_back = Arc::clone(&spare);
        let pool = Pool::new(threads, move |block| seal(&encoder, block, &given_back));
        Ok(Self {
            inner,
            queue: Ordered::new(pool, options.budget),
            slot,
            pack,
            anchor: options.anchor,
            plain: Vec::new(),
            plain_at: 0,
            first_boundary: None,
            unit: options.block_size as usize,
            cut: false,
            boundary: false,
            sequence: 0,
            stored: 0,
            anchored: 0,
            anchors: 0,
            steps: Vec::new(),
            spare,
            broken: false,
        })
    }

    /// The id that the frames carry.
    pub fn pack_id(&self) -> PackId {
        self.pack
    }

    /// What the container header says about this layer.
    pub fn layer_slot(&self) -> LayerSlot {
        self.slot
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// A section starts at the next byte: the frame that holds it records the first one.
    pub fn boundary(&mut self) {
        self.boundary = true;
    }

    /// Ends the current block, and cuts blocks of at most `max` bytes from the next byte on, so that little is decoded for a
    /// small read. Never more than the block size; 0 counts as 1.
    pub fn seek_unit(&mut self, max: u32) {
        self.cut = !self.plain.is_empty();
        self.unit = max.clamp(1, self.slot.unit) as usize;
    }

    /// Writes what is left and the footer, flushes `inner` and gives it back.
    ///
    /// # Errors
    /// Whatever `inner` gives. The stream then reads as truncated.
    pub fn finish(mut self) -> io::Result<W> {
        self.usable()?;
        self.broken = true;
        self.submit(true)?;
        while let Some(sealed) = self.queue.pop() {
            self.put(sealed)?;
        }
        self.put_footer()?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn usable(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("compressed stream is broken by an earlier error"));
        }
        Ok(())
    }

    /// Writes a stage of work; a failure in it is for ever.
    fn emit(&mut self) -> io::Result<()> {
        self.broken = true;
        self.submit(false)?;
        while let Some(sealed) = self.queue.pop_ready() {
            self.put(sealed)?;
        }
        self.broken = false;
        Ok(())
    }

    /// Hands the block to the pool, after writing others to make room for it.
    fn submit(&mut self, last: bool) -> io::Result<()> {
        // A block is given up as soon as what it compresses to is there, which is never more.
        let cost = self.plain.len();
        while !self.queue.has_room(cost) {
            match self.queue.pop() {
                Some(sealed) => self.put(sealed)?,
                None => break,
            }
        }
        let len = u32::try_from(self.plain.len()).map_err(io::Error::other)?;
        let mut header =
            FrameHeader::data(LayerId::COMPRESSION, self.pack, self.sequence, self.plain_at)
                .with_lengths(len, len);
        header.last = last;
        header.first_boundary = self.first_boundary.take();
        self.sequence += 1;
        self.plain_at += u64::from(len);
        self.cut = false;
        let mut next = self.spare.find(self.unit).unwrap_or_default();
        next.clear();
        let plain = std::mem::replace(&mut self.plain, next);
        self.queue.push(Block { header, plain }, cost);
        Ok(())
    }

    fn put(&mut self, sealed: Result<Sealed, carstone_layer::Error>) -> io::Result<()> {
        let Sealed { header, payload } =
            sealed.map_err(|_| Error::new(ErrorKind::WorkerLost, self.stored))?;
        let begin = self.stored;
        self.put_frame(&header, &payload)?;
        if header.codec == codec::STORED {
            self.spare.give(payload);
        }
        if !header.last {
            self.put_anchor(&header)?;
        }
        let stored = u32::try_from(self.stored - begin).map_err(io::Error::other)?;
        self.steps.push(Step { plain: header.plain_len, stored });
        Ok(())
    }

    /// Writes an anchor behind the data frame, if one is due.
    fn put_anchor(&mut self, data: &FrameHeader) -> io::Result<()> {
        let Some(container) = &self.anchor else { return Ok(()) };
        if self.stored - self.anchored >= ANCHOR_EVERY {
            let plain_end = data.plain_offset.saturating_add(data.plain_len.into());
            let frame = anchor_frame(container, self.pack, self.anchors, plain_end);
            self.put_whole(&frame)?;
            self.anchors += 1;
            self.anchored = self.stored;
        }
        Ok(())
    }

    fn put_footer(&mut self) -> io::Result<()> {
        let footer = Footer::new(self.pack, self.plain_at, self.sequence, self.stored);
        let steps = std::mem::take(&mut self.steps);
        let (mut plain, mut stored) = (0, 0);
        for (page, steps) in (0..).zip(steps.chunks(PAGE_ENTRIES as usize)) {
            let entries = steps.iter().map(|step| {
                let entry = (plain, stored);
                plain += u64::from(step.plain);
                stored += u64::from(step.stored);
                entry
            });
            let frame = footer.page(page, entries);
            self.put_whole(&frame)?;
        }
        self.put_whole(&footer.tail())
    }

    fn put_whole(&mut self, frame: &[u8]) -> io::Result<()> {
        self.inner.write_all(frame)?;
        self.stored += frame.len() as u64;
        Ok(())
    }

    fn put_frame(&mut self, header: &FrameHeader, payload: &[u8]) -> io::Result<()> {
        self.inner.write_all(&header.encode())?;
        self.inner.write_all(payload)?;
        self.stored += header.frame_len();
        Ok(())
    }
}

impl<W: Write> Write for CompressWriter<W> {
    /// Takes at most what fills the current block. An error means that no byte of this call was taken.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.usable()?;
        if buf.is_empty() {
            return Ok(0);
        }
        if self.cut || self.plain.len() >= self.unit {
            self.emit()?;
        }
        if std::mem::take(&mut self.boundary) && self.first_boundary.is_none() {
            self.first_boundary = u32::try_from(self.plain.len()).ok();
        }
        let n = buf.len().min(self.unit - self.plain.len());
        if self.plain.capacity() < self.plain.len() + n && self.plain.len() + n > GROW_UP_TO {
            // Growing by doubling would copy large blocks; memory that is not touched costs nothing.
            self.plain.reserve_exact(self.unit - self.plain.len());
        }
        self.plain.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.usable()?;
        self.broken = true;
        self.inner.flush()?;
        self.broken = false;
        Ok(())
    }
}

impl<W: LayerWrite> LayerWrite for CompressWriter<W> {
    type Sink = W::Sink;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        self.usable()?;
        match hint {
            Hint::Boundary => self.boundary(),
            Hint::SeekUnit(max) => self.seek_unit(max),
            other => return self.inner.hint(other),
        }
        Ok(())
    }

    fn finish_stack(self: Box<Self>) -> io::Result<W::Sink> {
        Box::new((*self).finish()?).finish_stack()
    }
}

impl<W: fmt::Debug> fmt::Debug for CompressWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressWriter")
            .field("inner", &self.inner)
            .field("pack_id", &self.pack)
            .field("position", &(self.plain_at + self.plain.len() as u64))
            .finish_non_exhaustive()
    }
}

/// What the pool is given: a header that lacks codec, stored length and checks.
struct Block {
    header: FrameHeader,
    plain: Vec<u8>,
}

/// What the pool gives back.
struct Sealed {
    header: FrameHeader,
    payload: Vec<u8>,
}

/// How far it is from a data frame to the next, in plain and in stored bytes. Half of an entry, since there
/// is one for each frame of the stream.
struct Step {
    plain: u32,
    stored: u32,
}

fn seal(encoder: &Encoder, Block { header, plain }: Block, spare: &Buffers) -> Sealed {
    let mut header = header;
    let encoded = encoder
        .encode(&plain)
        .and_then(|(number, payload)| Some((number, u32::try_from(payload.len()).ok()?, payload)));
    match encoded {
        Some((number, len, payload)) => {
            header.codec = number;
            header.stored_len = len;
            spare.give(plain);
            Sealed { header: header.sealed(&payload), payload }
        }
        None => {
            header.codec = codec::STORED;
            Sealed { header: header.sealed(&plain), payload: plain }
        }
    }
}

fn random_pack_id() -> io::Result<PackId> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    Ok(PackId::from_bytes(id))
}

const GROW_UP_TO: usize = 64 << 10;
