//! A pipe without layers.

use std::io::{self, Write};

use carstone_layer::{Hint, LayerWrite};

/// Makes a pipe of any `Write`, for a CAR stream that no layer wraps. Keeps where the tail record starts, which a position layer
/// would note.
#[derive(Debug)]
pub struct PlainPipe<W> {
    inner: W,
    written: u64,
    mark: Option<u64>,
}

impl<W: Write> PlainPipe<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, written: 0, mark: None }
    }

    /// Position of the tail record, once it is written.
    pub fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// Gives the sink back.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for PlainPipe<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> LayerWrite for PlainPipe<W> {
    type Sink = W;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        if hint == Hint::Mark {
            self.mark = Some(self.written);
        }
        Ok(())
    }

    fn finish_stack(mut self: Box<Self>) -> io::Result<W> {
        self.inner.flush()?;
        Ok(self.inner)
    }
}
