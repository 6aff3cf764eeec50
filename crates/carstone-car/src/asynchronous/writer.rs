//! Writing a CAR to an asynchronous sink.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncWrite;

use crate::error::{Error, ErrorKind, Result};
use crate::options::WriterOptions;
use crate::section::Section;
use crate::{CarWriter, Cid};

/// Writes a CARv1 to an asynchronous sink: a header with the roots, then block after block. The asynchronous twin of [`CarWriter`], with
/// the same options. The counterpart of `CarWriter` in @ipld/car.
///
/// Every section is put together in memory before the sink gets any of it. So a future of one of these functions may be dropped at any
/// time, as `select!` does it: its block is then either not written, or waits as a whole, and is written before anything else is.
/// [`position`](Self::position) tells which, for it counts what waits. Where several blocks were to be written, those before are.
///
/// After a failed write the writer is [broken](ErrorKind::Broken), and so is what has been written.
///
/// ```
/// use carstone_car::{AsyncCarWriter, CarReader, codec};
/// # futures::executor::block_on(async {
/// let mut writer = AsyncCarWriter::new(Vec::new(), &[])?;
/// let section = writer.write_data(codec::RAW, b"hello").await?;
/// assert_eq!((section.offset, section.data_offset), (18, 18 + 37));
/// let bytes = writer.finish().await?;
/// assert_eq!(CarReader::open(&bytes[..])?.into_cids().count(), 1);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "what was written is complete only when `finish` or `close` has returned `Ok`"]
pub struct AsyncCarWriter<W> {
    inner: W,
    /// Puts the header and the sections together. Its sink holds what waits: one section at most, but for calls that were dropped.
    car: CarWriter<Vec<u8>>,
    /// How much of what waits the sink has taken.
    taken: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The sink has been asked to close.
    Closing,
    Closed,
    Broken,
}

impl<W: AsyncWrite + Unpin> AsyncCarWriter<W> {
    /// Starts a CAR with these roots, of which there may be none. Its header goes out with the first call that writes, or that ends the CAR.
    /// The counterpart of `create` in @ipld/car.
    ///
    /// # Errors
    /// If the roots are over a limit.
    pub fn new(inner: W, roots: &[Cid]) -> Result<Self> {
        AsyncCarWriter::with_options(inner, roots, WriterOptions::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As with [`new`](Self::new).
    pub fn with_options(inner: W, roots: &[Cid], options: WriterOptions) -> Result<Self> {
        let car = CarWriter::with_options(Vec::new(), roots, options)?;
        Ok(AsyncCarWriter { inner, car, taken: 0, state: State::Open })
    }

    /// Goes on with a CAR of `position` bytes, by writing sections without a header, to be put behind it. The counterpart of
    /// `createAppender` in @ipld/car.
    pub fn append(inner: W, position: u64) -> Self {
        let car = CarWriter::append(Vec::new(), position);
        AsyncCarWriter { inner, car, taken: 0, state: State::Open }
    }

    /// Sets the options, where a writer has been made without. It knows nothing of blocks that have been written before.
    pub fn options(mut self, options: WriterOptions) -> Self {
        self.car = self.car.options(options);
        self
    }

    /// Writes a block, after verifying that its data hashes to its CID. It returns when the sink has taken all of it. The counterpart of
    /// `put` in @ipld/car.
    ///
    /// # Errors
    /// An error in the block, or one over a limit, leaves the writer as it was: nothing has been written. One of the sink is final.
    /// [`ErrorKind::Closed`] after [`close`](Self::close).
    pub async fn write_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        self.write(|car| car.write_block(cid, data)).await
    }

    /// Writes a block of this data, under its CIDv1 with sha2-256, and returns it in the section. `codec` is a multicodec code, see
    /// [`codec`](crate::codec).
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block).
    pub async fn write_data(&mut self, codec: u64, data: &[u8]) -> Result<Section> {
        self.write(|car| car.write_data(codec, data)).await
    }

    /// Writes a block without hashing its data, for callers who have just made the CID from the data.
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block).
    pub async fn danger_write_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        self.write(|car| car.danger_write_unverified(cid, data)).await
    }

    /// The offset at which the next section will start, in bytes from the start of the CAR.
    pub fn position(&self) -> u64 {
        self.car.position()
    }

    /// The sink.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Has the sink take what waits, and flushes it.
    ///
    /// # Errors
    /// Those of the sink, which are final.
    pub async fn flush(&mut self) -> Result<()> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    /// Has the sink take what waits, and closes it. The format has no end mark. The counterpart of `close` in @ipld/car.
    ///
    /// A second call does nothing, and blocks are refused with [`ErrorKind::Closed`] from the first on.
    ///
    /// # Errors
    /// Those of the sink, which are final.
    pub async fn close(&mut self) -> Result<()> {
        poll_fn(|context| self.poll_close(context)).await
    }

    /// Has the sink take what waits, flushes it, and gives it back.
    ///
    /// # Errors
    /// Those of the sink, also of earlier calls.
    pub async fn finish(mut self) -> io::Result<W> {
        match self.state {
            State::Closed => {}
            State::Closing => self.close().await?,
            State::Open | State::Broken => self.flush().await?,
        }
        Ok(self.inner)
    }

    /// Has a section put together, when nothing waits any more, and the sink take it.
    pub(super) async fn write<T>(
        &mut self,
        write: impl FnOnce(&mut CarWriter<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        self.drain().await?;
        let written = write(&mut self.car)?;
        self.drain().await?;
        Ok(written)
    }

    /// Has the sink take what waits.
    pub(super) async fn drain(&mut self) -> Result<()> {
        poll_fn(|context| self.poll_drain(context)).await
    }

    /// The writer of sections, if it may be used.
    pub(super) fn car(&mut self) -> Result<&mut CarWriter<Vec<u8>>> {
        self.usable().map(|()| &mut self.car)
    }

    pub(super) fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.usable()?;
        self.poll_take(context)
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_drain(context))?;
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(context));
        Poll::Ready(flushed.map_err(|error| self.fail(error, self.position())))
    }

    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.state {
            State::Closed => return Poll::Ready(Ok(())),
            State::Broken => return Poll::Ready(self.usable()),
            State::Open | State::Closing => self.state = State::Closing,
        }
        ready!(self.poll_take(context))?;
        let closed = ready!(Pin::new(&mut self.inner).poll_close(context));
        closed.map_err(|error| self.fail(error, self.position()))?;
        self.state = State::Closed;
        Poll::Ready(Ok(()))
    }

    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let waiting = self.car.get_ref().len();
        let start = self.position().saturating_sub(waiting as u64);
        while let Some(rest @ [_, ..]) = self.car.get_ref().get(self.taken..) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest)) {
                Ok(0) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return Poll::Ready(Err(self.fail(error, start)));
                }
                Ok(taken) => self.taken = self.taken.saturating_add(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(self.fail(error, start))),
            }
        }
        self.taken = 0;
        self.car.danger_get_mut().clear();
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, error: io::Error, offset: u64) -> Error {
        self.state = State::Broken;
        Error::at(ErrorKind::Io(error), offset)
    }

    fn usable(&self) -> Result<()> {
        let kind = match self.state {
            State::Open => return Ok(()),
            State::Closing | State::Closed => ErrorKind::Closed,
            State::Broken => ErrorKind::Broken,
        };
        Err(Error::at(kind, self.position()))
    }
}

impl<W> fmt::Debug for AsyncCarWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncCarWriter")
            .field("car", &self.car)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
