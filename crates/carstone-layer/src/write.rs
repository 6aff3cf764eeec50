//! The writing side of a layer.

use std::io::{self, Write};

/// What the producer of a stream tells the layers below about the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// A CAR section starts at the next byte. The innermost framed layer records the first one of each
    /// frame and does not pass the hint on.
    Boundary,
    /// The tail record starts at the next byte. The position layer keeps the last one.
    Mark,
    /// From the next byte on the stream is read in small pieces: end the current frame and cut frames of at
    /// most this many plain bytes. The compression layer obeys; others pass it on.
    SeekUnit(u32),
}

/// A `Write` that ends: the object-safe half of every layer writer.
///
/// A layer forwards hints that are not meant for it, unchanged. There is no `Drop`: a stream whose writer is
/// dropped before [`finish_stack`](Self::finish_stack) reads as truncated.
pub trait LayerWrite: Write {
    /// The plain writer under the whole stack.
    type Sink;

    /// Tells this layer, and those below, what the next byte is.
    ///
    /// # Errors
    /// Whatever writing a pending frame gives.
    fn hint(&mut self, hint: Hint) -> io::Result<()>;

    /// A CAR section starts at the next byte.
    ///
    /// # Errors
    /// As [`hint`](Self::hint).
    fn boundary(&mut self) -> io::Result<()> {
        self.hint(Hint::Boundary)
    }

    /// Ends this layer and every layer below, and gives back the sink.
    ///
    /// # Errors
    /// Whatever the sink gives. The stream is then unfinished, and reads as truncated.
    fn finish_stack(self: Box<Self>) -> io::Result<Self::Sink>;
}

/// A stack of writers put together at run time.
pub type BoxWriter<'a, S> = Box<dyn LayerWrite<Sink = S> + Send + 'a>;

impl<L: LayerWrite + ?Sized> LayerWrite for Box<L> {
    type Sink = L::Sink;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        (**self).hint(hint)
    }

    fn finish_stack(self: Box<Self>) -> io::Result<Self::Sink> {
        (*self).finish_stack()
    }
}
