//! A pack from a pipe, that can still be read from both ends where its front does not open it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use carstone::layer::{FRAME_HEADER_LEN, FrameHeader};
use carstone::raw::Container;
use tempfile::SpooledTempFile;

/// A pipe that keeps what has been read of it, until it is [forgotten](Self::forget).
#[derive(Clone)]
pub(super) struct Kept(Arc<Mutex<State>>);

struct State {
    pipe: Box<dyn Read + Send>,
    /// The first bytes of it, in which the key envelope stands.
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

    /// Whether the first frame, which has the key envelope, can be told to be damaged: then a copy of it further on may be whole.
    pub(super) fn has_damaged_envelope(&self) -> bool {
        let state = self.state();
        let frame = state.front.get(Container::LEN..).unwrap_or_default();
        let header = frame.first_chunk().and_then(FrameHeader::probe);
        let payload =
            |header: &FrameHeader| frame.get(FRAME_HEADER_LEN..)?.get(..header.stored_len as usize);
        !header.is_some_and(|header| {
            payload(&header).is_some_and(|payload| header.payload_matches_crc(payload))
        })
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
