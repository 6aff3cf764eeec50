//! A pack from a pipe, that can still be read from both ends where its front does not open it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use carstone::layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId};
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
        self.state().all = None;
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

    /// Whether the first frame can be told to be of another pack than the container header.
    pub(super) fn has_foreign_front(&self) -> bool {
        let state = self.state();
        let Some((container, frame)) = state.front.split_first_chunk() else { return false };
        let header = frame.first_chunk().and_then(FrameHeader::probe);
        let container = Container::decode(container).ok();
        header.zip(container).is_some_and(|(header, container)| header.pack != container.pack_id)
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
            front.extend_from_slice(&read[..read.len().min(LONGEST_FRONT - front.len())]);
            all.write_all(read)?;
        }
        Ok(n)
    }
}

/// Bytes of what is kept that stay in memory.
const IN_MEMORY: usize = 8 << 20;
/// No envelope ends behind so many bytes.
const LONGEST_FRONT: usize = 2 << 20;
