//! What is packed: a stream of bytes.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::pieces::Pieces;

/// Bytes that are packed: from a file, from memory, or as they come.
pub struct Blob {
    source: Box<dyn Read + Send>,
    /// How many there are, if that is known.
    len: Option<u64>,
}

impl Blob {
    /// What a reader gives, to its end. It is read on a thread that may wait.
    pub fn reader(source: impl Read + Send + 'static) -> Self {
        Self { source: Box::new(source), len: None }
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len = Some(bytes.len() as u64);
        Self { source: Box::new(bytes.reader()), len }
    }

    /// What a stream gives, to its end. It is asked for more when what it gave has been packed.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn stream(mut stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        let (send, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(piece) = stream.next().await {
                if send.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Self::reader(Pieces::new(pieces))
    }

    /// Says how many bytes there are, which saves work where it is right, and does no harm where it is wrong.
    #[must_use]
    pub fn with_len(mut self, len: u64) -> Self {
        self.len = Some(len);
        self
    }

    pub(crate) fn into_parts(self) -> (Box<dyn Read + Send>, Option<u64>) {
        (self.source, self.len)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("len", &self.len).finish_non_exhaustive()
    }
}
