//! The strict reader: every byte it gives has been authenticated, at any offset.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carstone_layer::{PackId, ReadAt, SeekSource};

use crate::aead::Aead;
use crate::ahead::{Ahead, Cache, Shared};
use crate::format::FRAME_LEN;
use crate::header::HeaderFrame;
use crate::keys::Keys;
use crate::options::layers_or_alone;
use crate::stream::{Chunk, Frames, Stream};
use crate::{Error, ErrorKind, KeySource, LayerHeader, ReadOptions};

/// Reads an encrypted stream from any offset on.
///
/// A clone reads on its own, with its own position and cache; keys and threads are shared.
pub struct EncryptReader<R> {
    inner: R,
    shared: Arc<Shared>,
    cache: Mutex<Cache>,
    pos: u64,
    current: Option<Arc<Chunk>>,
    // Frames of the next sequential chunk: grows, so that a short read after a seek decrypts one frame only.
    stride: u64,
    ahead: Ahead,
}

impl<R: Read + Seek> EncryptReader<SeekSource<R>> {
    /// Opens the stream that starts at offset 0 of `inner` and ends where `inner` ends.
    ///
    /// Key, end and last frame are checked before the first byte is given.
    ///
    /// # Errors
    /// As [`with_options`](EncryptReader::with_options).
    pub fn open(inner: R, keys: impl KeySource) -> Result<Self, Error> {
        Self::open_at(SeekSource::new(inner), keys)
    }
}

impl<R: ReadAt> EncryptReader<R> {
    /// Opens the stream that `inner` holds.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn open_at(inner: R, keys: impl KeySource) -> Result<Self, Error> {
        Self::with_options(inner, keys, ReadOptions::default())
    }

    /// Opens the stream that `inner` holds.
    ///
    /// # Errors
    /// [`ErrorKind::NoKey`] and [`ErrorKind::WrongKey`] before anything else about the content, [`ErrorKind::Truncated`] when the end is
    /// missing, [`ErrorKind::BadLength`] when bytes were added or taken away, and the fault of the last frame.
    pub fn with_options(
        inner: R,
        mut keys: impl KeySource,
        options: ReadOptions,
    ) -> Result<Self, Error> {
        let front = HeaderFrame::read(&inner, 0)?;
        if options.pack_id.is_some_and(|pack| pack != front.frame.pack) {
            return Err(Error::new(ErrorKind::Foreign, 0));
        }
        let content_key = keys
            .content_key(&front.layer.envelope)
            .map_err(|error| Error::io(error, 0))?
            .ok_or_else(|| Error::new(ErrorKind::NoKey, 0))?;
        let layers = layers_or_alone(options.layers);
        let keys = Keys::of_stream(&front.layer, &content_key, &layers)?;
        let layout = front.layout(&inner)?;
        let aead = Aead::new(&keys.payload, options.work.backend);
        let frames = Frames { pack: front.frame.pack, layout };
        let stream = Stream { header: front.layer, frames, aead, corrections: options.corrections };
        let cache = options.cache.unwrap_or(CACHE);
        let mut reader =
            Self::of_shared(inner, Arc::new(Shared::new(stream, &options.work)), cache);
        let last = reader.shared.load(&reader.inner, layout.frames - 1, 1, Vec::new())?;
        reader.cache_mut().insert(last);
        Ok(reader)
    }

    /// Plain bytes in the stream. Authenticated.
    #[expect(clippy::len_without_is_empty, reason = "a length in bytes, as of a file")]
    pub fn len(&self) -> u64 {
        self.shared.stream.frames.layout.plain_len()
    }

    /// The pack that the stream belongs to.
    pub fn pack_id(&self) -> PackId {
        self.shared.stream.header.pack_id
    }

    /// The parameters of the stream, with the key envelope.
    pub fn layer_header(&self) -> &LayerHeader {
        &self.shared.stream.header
    }

    /// The source below.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The stream, and how the work on it is done.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A reader of the same stream that starts at its front, with nothing in its cache.
    pub(crate) fn restarted(&self) -> EncryptReader<&R> {
        EncryptReader::of_shared(&self.inner, Arc::clone(&self.shared), 0)
    }

    fn of_shared(inner: R, shared: Arc<Shared>, cache: usize) -> Self {
        let cache = Mutex::new(Cache::new(cache));
        Self { inner, shared, cache, pos: 0, current: None, stride: 1, ahead: Ahead::default() }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // The cache holds whole chunks only, whatever happened to the thread that held it.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache_mut(&mut self) -> &mut Cache {
        self.cache.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chunk with the frame at the current position, for a read of `wanted` bytes.
    fn sequential(&mut self, wanted: usize) -> Result<Arc<Chunk>, Error> {
        let frame = self.pos / FRAME_LEN as u64;
        let follows = match &self.current {
            Some(chunk) if chunk.holds(frame) => return Ok(Arc::clone(chunk)),
            Some(chunk) => chunk.end() == frame,
            None => false,
        };
        let cache = self.cache.get_mut().unwrap_or_else(PoisonError::into_inner);
        let on_the_way = self.ahead.is_at(frame);
        if !on_the_way && let Some(chunk) = cache.get(frame) {
            self.current = Some(Arc::clone(&chunk));
            return Ok(chunk);
        }
        let most = self.shared.chunk_frames;
        self.stride = if follows { (self.stride * 2).min(most) } else { 1 };
        let needed = frames_of(self.pos, wanted);
        let mut chunk = None;
        if on_the_way || (follows && self.stride == most && self.shared.is_parallel()) {
            let until = self.shared.stream.frames.layout.frames;
            let spare = &mut cache.spare;
            chunk = self.ahead.take(&self.shared, &self.inner, frame, until, spare);
        }
        let chunk = chunk.unwrap_or_else(|| {
            let bytes = cache.spare.pop().unwrap_or_default();
            self.shared.load(&self.inner, frame, self.stride.max(needed), bytes)
        })?;
        // Dropped before the cache looks for a buffer to use again.
        self.current = None;
        let chunk = cache.insert(chunk);
        self.current = Some(Arc::clone(&chunk));
        Ok(chunk)
    }

    /// Reads many frames, decrypting them side by side. Gives what there was before a fault.
    fn read_wide(&self, buf: &mut [u8], from: u64) -> Result<usize, Error> {
        let first = from / FRAME_LEN as u64;
        let until = first + frames_of(from, buf.len());
        let (mut ahead, mut spare) = (Ahead::default(), Vec::new());
        let mut done = 0;
        while done < buf.len() {
            let at = from + done as u64;
            let frame = at / FRAME_LEN as u64;
            let chunk = match ahead.take(&self.shared, &self.inner, frame, until, &mut spare) {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) if done == 0 => return Err(error),
                None if done == 0 => self.shared.load(&self.inner, frame, 1, Vec::new())?,
                _ => break,
            };
            done += chunk.copy(at, &mut buf[done..]);
            if done < buf.len() {
                spare.push(chunk.bytes);
            } else {
                // The next read may start in the middle of the last frame.
                self.cache().insert(chunk);
            }
        }
        Ok(done)
    }

    /// Reads a few frames at a time, all into the same buffer. Gives what there was before a fault.
    fn read_narrow(&self, buf: &mut [u8], from: u64) -> Result<usize, Error> {
        let mut bytes = self.cache().spare.pop().unwrap_or_default();
        let mut done = 0;
        loop {
            let at = from + done as u64;
            let needed = frames_of(at, buf.len() - done).min(NARROW);
            let chunk = match self.shared.load(&self.inner, at / FRAME_LEN as u64, needed, bytes) {
                Ok(chunk) => chunk,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            };
            let copied = chunk.copy(at, &mut buf[done..]);
            done += copied;
            if done == buf.len() || copied == 0 {
                // The next read may start in the middle of the last frame.
                self.cache().insert(chunk);
                return Ok(done);
            }
            bytes = chunk.bytes;
        }
    }

    fn read_some(&self, buf: &mut [u8], from: u64) -> Result<usize, Error> {
        let frame = from / FRAME_LEN as u64;
        let kept = self.cache().get(frame);
        if let Some(chunk) = kept {
            return Ok(chunk.copy(from, buf));
        }
        match frames_of(from, buf.len()) {
            needed if needed >= WIDE && self.shared.is_parallel() => self.read_wide(buf, from),
            _ => self.read_narrow(buf, from),
        }
    }
}

impl<R: ReadAt> Read for EncryptReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.pos >= self.len() {
            return Ok(0);
        }
        let copied = self.sequential(buf.len())?.copy(self.pos, buf);
        self.pos += copied as u64;
        Ok(copied)
    }
}

impl<R: ReadAt> Seek for EncryptReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.pos.checked_add_signed(by),
        };
        self.pos = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.pos)
    }
}

impl<R: ReadAt> ReadAt for EncryptReader<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.len().saturating_sub(offset);
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
        let mut done = 0;
        while done < wanted {
            match self.read_some(&mut buf[done..wanted], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                // What came before the fault is good; the next call meets the fault first.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len())
    }
}

impl<R: ReadAt + Clone> Clone for EncryptReader<R> {
    fn clone(&self) -> Self {
        let cache = self.cache().budget();
        let mut clone = Self::of_shared(self.inner.clone(), Arc::clone(&self.shared), cache);
        clone.pos = self.pos;
        clone
    }
}

impl<R> fmt::Debug for EncryptReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptReader")
            .field("pack_id", &self.shared.stream.header.pack_id)
            .field("pos", &self.pos)
            .finish_non_exhaustive()
    }
}

/// How many frames a read of `len` bytes from `from` on touches.
fn frames_of(from: u64, len: usize) -> u64 {
    (from % FRAME_LEN as u64).saturating_add(len as u64).div_ceil(FRAME_LEN as u64)
}

/// Frames from which on other threads help with one read: for less, fresh memory and waking them cost more than decrypting.
const WIDE: u64 = 32;

/// Frames that are read at a time where no other thread helps: as many as stay in a core's cache.
const NARROW: u64 = 2;

/// Decrypted bytes that a reader keeps.
const CACHE: usize = 2 << 20;
