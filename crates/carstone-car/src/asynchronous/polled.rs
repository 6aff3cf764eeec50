//! An asynchronous source for code that blocks.

use std::io::{self, IoSliceMut, Read};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_io::AsyncRead;

/// Reads what an asynchronous source has, and fails where it has nothing yet. Then the task that was [named](Self::arm) last is woken
/// when there is more.
#[derive(Debug)]
pub(super) struct Polled<R> {
    inner: R,
    waker: Waker,
    is_pending: bool,
}

impl<R> Polled<R> {
    pub(super) fn new(inner: R) -> Self {
        Polled { inner, waker: Waker::noop().clone(), is_pending: false }
    }

    /// Names the task that reads from now on.
    pub(super) fn arm(&mut self, context: &Context<'_>) {
        self.waker.clone_from(context.waker());
        self.is_pending = false;
    }

    /// Whether the last read failed because there was nothing yet. An error of the source is none of these, whatever its kind.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.inner
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    fn take(&mut self, result: Poll<io::Result<usize>>) -> io::Result<usize> {
        match result {
            Poll::Ready(result) => result,
            Poll::Pending => {
                self.is_pending = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

impl<R: AsyncRead + Unpin> Read for Polled<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut context = Context::from_waker(&self.waker);
        let result = Pin::new(&mut self.inner).poll_read(&mut context, buf);
        self.take(result)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut context = Context::from_waker(&self.waker);
        let result = Pin::new(&mut self.inner).poll_read_vectored(&mut context, bufs);
        self.take(result)
    }
}
