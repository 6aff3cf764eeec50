//! Between the I/O traits of `futures` and those of tokio.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

/// Makes a source or sink of tokio one of `futures`, and the other way round. It costs nothing but for the other way round, where memory is
/// filled with zeros before a read.
///
/// ```
/// use carstone_car::{AsyncCarReader, AsyncCarWriter, TokioIo, codec};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (near, far) = tokio::io::duplex(64);
/// let write = async {
///     let mut writer = AsyncCarWriter::new(TokioIo::new(near), &[])?;
///     writer.write_data(codec::RAW, b"hello").await?;
///     writer.close().await
/// };
/// let read = async { AsyncCarReader::open(TokioIo::new(far)).await?.next_block().await };
/// let (block, ()) = futures::try_join!(read, write)?;
/// assert_eq!(block.expect("one").data, b"hello");
/// # Ok::<(), carstone_car::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokioIo<T> {
    inner: T,
}

impl<T> TokioIo<T> {
    /// Wraps a source or a sink.
    pub fn new(inner: T) -> Self {
        TokioIo { inner }
    }

    /// The source or sink.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The source or sink, to tell it something.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the source or sink back.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Unpin> TokioIo<T> {
    fn pinned(self: Pin<&mut Self>) -> Pin<&mut T> {
        Pin::new(&mut self.get_mut().inner)
    }
}

impl<T: tokio::io::AsyncRead + Unpin> futures_io::AsyncRead for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        let read = ready!(self.pinned().poll_read(context, &mut buf));
        Poll::Ready(read.map(|()| buf.filled().len()))
    }
}

impl<T: tokio::io::AsyncWrite + Unpin> futures_io::AsyncWrite for TokioIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(context, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write_vectored(context, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_shutdown(context)
    }
}

impl<T: futures_io::AsyncRead + Unpin> tokio::io::AsyncRead for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let len = room.len();
        let read = ready!(self.pinned().poll_read(context, room))?;
        buf.advance(read.min(len));
        Poll::Ready(Ok(()))
    }
}

impl<T: futures_io::AsyncWrite + Unpin> tokio::io::AsyncWrite for TokioIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(context, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_close(context)
    }
}
