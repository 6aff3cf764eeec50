//! Asynchronous readers, writers and channels, over sources and sinks that keep one waiting.

mod channel;
mod interop;
mod reader;
mod writer;

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite};

/// A source that gives as many bytes at a time as a list says, over and over; a zero in the list is a call that has to be made again.
pub struct Fitful<'a> {
    bytes: &'a [u8],
    steps: Vec<usize>,
    turn: usize,
    /// What comes after the bytes, if not the end.
    fails_with: Option<io::ErrorKind>,
}

impl<'a> Fitful<'a> {
    pub fn new(bytes: &'a [u8], mut steps: Vec<usize>) -> Self {
        steps.push(1); // Not waiting for ever.
        Fitful { bytes, steps, turn: 0, fails_with: None }
    }

    pub fn failing(self, kind: io::ErrorKind) -> Self {
        Fitful { fails_with: Some(kind), ..self }
    }
}

impl AsyncRead for Fitful<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_vectored(context, &mut [IoSliceMut::new(buf)])
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = self.steps[self.turn % self.steps.len()];
        self.turn += 1;
        if step == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let (true, Some(kind)) = (self.bytes.is_empty(), self.fails_with) {
            return Poll::Ready(Err(kind.into()));
        }
        let mut read = 0;
        for buf in bufs {
            let len = (step - read).min(buf.len()).min(self.bytes.len());
            let (taken, rest) = self.bytes.split_at(len);
            buf[..len].copy_from_slice(taken);
            self.bytes = rest;
            read += len;
        }
        Poll::Ready(Ok(read))
    }
}

/// A sink that takes as many bytes at a time as a list says, over and over, and fails for good after so many. A zero in the list is a call
/// that has to be made again.
#[derive(Debug)]
pub struct FitfulSink {
    pub taken: Vec<u8>,
    pub is_closed: bool,
    pub flushed: usize,
    pub fails_after: usize,
    steps: Vec<usize>,
    turn: usize,
}

impl FitfulSink {
    pub fn new(mut steps: Vec<usize>) -> Self {
        steps.push(1);
        let taken = Vec::new();
        FitfulSink { taken, is_closed: false, flushed: 0, fails_after: usize::MAX, steps, turn: 0 }
    }

    fn turn(&mut self, context: &Context<'_>) -> Poll<usize> {
        let step = self.steps[self.turn % self.steps.len()];
        self.turn += 1;
        if step == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(step)
    }
}

impl AsyncWrite for FitfulSink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.is_closed, "written to after it was closed");
        self.turn(context).map(|step| {
            let room = self.fails_after - self.taken.len();
            if room == 0 {
                return Err(io::Error::other("the sink is full"));
            }
            let len = buf.len().min(step).min(room);
            self.taken.extend_from_slice(&buf[..len]);
            Ok(len)
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turn(context).map(|_| {
            self.flushed = self.taken.len();
            Ok(())
        })
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turn(context).map(|_| {
            self.flushed = self.taken.len();
            self.is_closed = true;
            Ok(())
        })
    }
}

/// Polls a future so many times, and drops it.
pub fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}
