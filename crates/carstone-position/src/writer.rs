//! Writing: counts what passes, and writes the count at the end.

use std::io::{self, Write};

use carstone_layer::{Hint, LayerWrite, PackId};

use crate::footer::Footer;

/// Passes bytes on, counts them, and ends the stream with a footer that states their number and a mark.
#[derive(Debug)]
#[must_use = "the stream reads as truncated until `finish` has returned `Ok`"]
pub struct PositionWriter<W> {
    inner: W,
    pack: PackId,
    position: u64,
    mark: Option<u64>,
    broken: bool,
}

impl<W> PositionWriter<W> {
    /// Counts from 0. The footer will carry `pack`.
    pub fn new(inner: W, pack: PackId) -> Self {
        Self { inner, pack, position: 0, mark: None, broken: false }
    }

    /// Plain bytes written so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Remembers the place of the next byte, instead of an earlier mark. A mark that no byte follows is none.
    pub fn mark(&mut self) {
        self.mark = Some(self.position);
    }

    /// The writer below.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    fn usable(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::Error::other("an earlier write to the position layer failed")),
            false => Ok(()),
        }
    }
}

impl<W: Write> PositionWriter<W> {
    /// Writes the footer, flushes the writer below and gives it back.
    ///
    /// # Errors
    /// Whatever the writer below gives. The stream then reads as truncated.
    pub fn finish(mut self) -> io::Result<W> {
        self.usable()?;
        // A mark at the very end marks nothing.
        let mark = self.mark.filter(|&mark| mark < self.position);
        let footer = Footer { len: self.position, mark, pack: self.pack };
        self.inner.write_all(&footer.encode())?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for PositionWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.usable()?;
        self.broken = true;
        let result = self.inner.write(buf);
        match &result {
            Ok(n) => {
                self.position = self.position.saturating_add(*n as u64);
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

impl<W: LayerWrite> LayerWrite for PositionWriter<W> {
    type Sink = W::Sink;

    /// Keeps a mark and passes every other hint on.
    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        self.usable()?;
        if hint == Hint::Mark {
            self.mark();
            return Ok(());
        }
        self.broken = true; // A hint can make the layer below write a frame.
        self.inner.hint(hint)?;
        self.broken = false;
        Ok(())
    }

    fn finish_stack(self: Box<Self>) -> io::Result<W::Sink> {
        Box::new((*self).finish()?).finish_stack()
    }
}
