//! A pack from a pipe, that can still be read from both ends where its front does not open it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use carstone::layer::{FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind, LayerId, PackId};
use carstone::raw::Container;
use tempfile::SpooledTempFile;

/// A pipe that keeps what has been read of it, until it is [forgotten](Self::forget).
#[derive(Clone)]
pub(super) struct Kept(Arc<Mutex<State>>);

struct State {
    pipe: Box<dyn Read + Send>,
    /// The first bytes of it, in which container header and key envelope stand.
    front: Vec<u8>,
    all: Option<SpooledTempFile>,
}

impl Kept {
    pub(super) fn new(pipe: Box<dyn Read + Send>) -> Self {
        Self(Arc::new(Mutex::new(State {
            pipe,
            front: Vec::new(),
            all: Some(SpooledTempFile::new(IN_MEMORY)),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps nothing any more.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        (state.all, state.front) = (None, Vec::new());
    }

    /// Whether what stands at the front can be told to be damaged: the container header, or the first frame, which is one of this pack, and has
    /// the key envelope where that is encrypted. Then copies of them further on may be whole.
    pub(super) fn has_damaged_front(&self) -> bool {
        let state = self.state();
        let Some((container, frame)) = state.front.split_first_chunk() else { return true };
        let Ok(container) = Container::decode(container) else { return true };
        let is_encrypted = container.layers.get(LayerId::ENCRYPTION).is_some();
        let Some(header) = frame.first_chunk().and_then(FrameHeader::probe) else {
            return is_encrypted;
        };
        let len = header.stored_len as usize;
        let payload = frame.get(FRAME_HEADER_LEN..).and_then(|rest| rest.get(..len));
        let is_whole = || payload.is_some_and(|payload| header.payload_matches_crc(payload));
        header.pack != container.pack_id
            || is_encrypted && !(header.kind == Kind::LAYER_HEADER && is_whole())
    }

    /// Whether the container header can be told to be of another pack than what follows: no whole frame of its pack with content is there, and one of
    /// another pack is.
    pub(super) fn has_foreign_front(&self) -> bool {
        let state = self.state();
        let Some((container, rest)) = state.front.split_first_chunk() else { return false };
        let Ok(container) = Container::decode(container) else { return false };
        let has_frames = [LayerId::ENCRYPTION, LayerId::COMPRESSION]
            .iter()
            .any(|layer| container.layers.get(*layer).is_some());
        let packs =
            memchr::memmem::find_iter(rest, &FRAME_MAGIC).filter_map(|at| content_of(&rest[at..]));
        let mut packs = packs.map(|pack| pack == container.pack_id).peekable();
        has_frames && packs.peek().is_some() && !packs.any(|is_own| is_own)
    }

    /// Reads on, as far as that needs.
    pub(super) fn read_front(&self) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        let mut pipe = self.clone();
        while self.state().front.len() < LONGEST_FRONT {
            if pipe.read(&mut buffer)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Keeps all of it in an unnamed temporary file.
    pub(super) fn spool(self) -> anyhow::Result<File> {
        let mut state = self.state();
        let Some(mut all) = state.all.take() else { bail!("cannot read it twice") };
        let mut keep = || {
            let mut file = tempfile::tempfile()?;
            all.rewind()?;
            io::copy(&mut (&mut all).chain(&mut state.pipe), &mut file)?;
            Ok::<_, io::Error>(file)
        };
        keep().context("cannot keep it in a temporary file")
    }
}

impl Read for Kept {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let State { pipe, front, all } = &mut *self.state();
        let n = pipe.read(buf)?;
        if let Some(all) = all {
            let read = buf.get(..n).unwrap_or_default();
            let room = LONGEST_FRONT.saturating_sub(front.len());
            front.extend_from_slice(&read[..read.len().min(room)]);
            all.write_all(read)?;
        }
        Ok(n)
    }
}

/// Bytes of what is kept that stay in memory.
const IN_MEMORY: usize = 8 << 20;
/// Neither the envelope nor the first frame with content ends behind so many bytes, of a pack in its usual form.
const LONGEST_FRONT: usize = 20 << 20;
const READ: usize = 1 << 20;

/// The pack of the whole frame with content that begins here.
fn content_of(bytes: &[u8]) -> Option<PackId> {
    let (header, rest) = bytes.split_at_checked(FRAME_HEADER_LEN)?;
    let header = FrameHeader::probe(header.first_chunk()?)?;
    let payload = rest.get(..header.stored_len as usize)?;
    (header.kind == Kind::DATA && header.payload_matches_crc(payload)).then_some(header.pack)
}
