//! Writing: header first, trailer at the end, and the bytes between passed straight through.

use std::io::{self, Write};

use carstone_layer::{Hint, LayerList, LayerWrite, PackId};

use crate::trailer::{self, TRAILER_LEN};
use crate::{Container, Error};

/// What a writer can be told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RawOptions {
    /// The pack id; drawn from the operating system when it is not given. A pack id must never be used twice, because
    /// payload keys depend on it: set it only to make a test repeatable.
    pub pack_id: Option<PackId>,
}

impl RawOptions {
    /// Sets the pack id.
    #[must_use]
    pub fn with_pack_id(mut self, pack_id: PackId) -> Self {
        self.pack_id = Some(pack_id);
        self
    }
}

/// Writes container header and trailer around what is written to it.
///
/// The header is written at the place where `inner` stands, so a pack may follow other bytes.
#[derive(Debug)]
#[must_use = "the pack is unreadable until `finish` has returned `Ok`"]
pub struct RawWriter<W> {
    inner: W,
    container: Container,
    header: [u8; Container::LEN],
    stored: u64,
    broken: bool,
}

impl<W: Write> RawWriter<W> {
    /// Draws a pack id and writes the header.
    ///
    /// # Errors
    /// Whatever `inner` gives; [`io::ErrorKind::InvalidInput`] with an [`Error`] inside when the format does not allow `layers`.
    pub fn new(inner: W, layers: LayerList) -> io::Result<Self> {
        Self::with_options(inner, layers, RawOptions::default())
    }

    /// As [`new`](Self::new), with a choice.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(inner: W, layers: LayerList, options: RawOptions) -> io::Result<Self> {
        let pack_id = options.pack_id.map_or_else(random_id, Ok)?;
        let container = Container::new(pack_id, layers)
            .map_err(|error: Error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Self::again(inner, container)
    }

    /// Writes the header of a pack that is there already, for bytes that carry its id.
    ///
    /// # Errors
    /// Whatever `inner` gives.
    pub fn again(mut inner: W, container: Container) -> io::Result<Self> {
        let header = container.encode();
        inner.write_all(&header)?;
        Ok(Self { inner, container, header, stored: header.len() as u64, broken: false })
    }

    /// What the header states.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// The id for the frames of this pack.
    pub fn pack_id(&self) -> PackId {
        self.container.pack_id
    }

    /// The writer below.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Writes the trailer, flushes the writer below and gives it back.
    ///
    /// # Errors
    /// Whatever the writer below gives. The pack then reads as truncated.
    pub fn finish(mut self) -> io::Result<W> {
        self.usable()?;
        let stored_len = self.stored.saturating_add(TRAILER_LEN as u64);
        self.inner.write_all(&trailer::encode(&self.header, stored_len))?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn usable(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::Error::other("an earlier write to the pack failed")),
            false => Ok(()),
        }
    }
}

impl<W: Write> Write for RawWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.usable()?;
        self.broken = true;
        let result = self.inner.write(buf);
        match &result {
            Ok(n) => {
                self.stored = self.stored.saturating_add(*n as u64);
                self.broken = false;
            }
            // Nothing was written, and the caller is meant to try again.
            Err(error) => self.broken = error.kind() != io::ErrorKind::Interrupted,
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.usable()?;
        self.broken = true;
        self.inner.flush()?;
        self.broken = false;
        Ok(())
    }
}

/// The base of a stack: the writer below is the sink.
impl<W: Write> LayerWrite for RawWriter<W> {
    type Sink = W;

    /// Hints end here: there are no frames to cut.
    fn hint(&mut self, _: Hint) -> io::Result<()> {
        self.usable()
    }

    fn finish_stack(self: Box<Self>) -> io::Result<W> {
        (*self).finish()
    }
}

fn random_id() -> io::Result<PackId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(error.to_string()),
    })?;
    Ok(PackId::from_bytes(bytes))
}
