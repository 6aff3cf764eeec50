//! The end of a channel where the bytes come out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_io::AsyncRead;

use super::queue::{Queue, Taken};
use crate::error::{Error, ErrorKind, Result};

/// The end of a channel that gives the bytes of a CAR: see [`car_channel`](crate::car_channel). The counterpart of `out` in @ipld/car.
///
/// It is a [`Stream`] of the header and of whole sections, and an [`AsyncRead`]. Both may be used in turns: what has been taken through one
/// of them does not come out of the other.
///
/// If the other end was dropped without being closed, this ends with [`ErrorKind::Disconnected`]. Dropped itself, it lets whoever puts
/// blocks know by the same error.
#[derive(Debug)]
#[must_use = "blocks that are put wait until their bytes have been taken here"]
pub struct CarBytes {
    queue: Arc<Queue>,
    /// The offset of the first byte.
    start: u64,
    /// Whether the error at the end has been given as an item.
    failed: bool,
}

impl CarBytes {
    pub(super) fn new(queue: Arc<Queue>, start: u64) -> Self {
        CarBytes { queue, start, failed: false }
    }

    fn disconnected(&self, sent: u64) -> Error {
        Error::at(ErrorKind::Disconnected, self.start.saturating_add(sent))
    }
}

/// The header and whole sections, or what an [`AsyncRead`] has left of one. An error ends the stream.
impl Stream for CarBytes {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.queue.poll_take(context)) {
            Taken::Some(bytes) => Some(Ok(bytes)),
            Taken::End => None,
            Taken::Gone(sent) => {
                self.failed = true;
                Some(Err(self.disconnected(sent)))
            }
        })
    }
}

/// The [`Error`] at the end, if there is one, is in the [`io::Error`], and comes with every read from then on.
impl AsyncRead for CarBytes {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Poll::Ready(match ready!(self.queue.poll_read(context, buf)) {
            Taken::Some(read) => Ok(read),
            Taken::End => Ok(0),
            Taken::Gone(sent) => Err(self.disconnected(sent).into()),
        })
    }
}

impl Drop for CarBytes {
    fn drop(&mut self) {
        self.queue.drop_receiver();
    }
}
