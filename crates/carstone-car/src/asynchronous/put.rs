//! Putting blocks into an asynchronous sink: writing those that are wanted and not there yet, one or many.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;

use super::{AsyncCarReader, AsyncCarWriter};
use crate::error::{Error, Result};
use crate::section::{Block, BlockRef, Section};
use crate::{Cid, PutCount};

impl<W: AsyncWrite + Unpin> AsyncCarWriter<W> {
    /// Writes a block, verified, unless the options leave it out: because it is [there](crate::WriterOptions::dedupe), or has an
    /// [identity CID](crate::WriterOptions::skip_identity). Then `None` is given and the data not looked at. (The functions whose names
    /// begin with `write` write in any case.) The counterpart of `Put` in go-car.
    ///
    /// ```
    /// use carstone_car::{AsyncCarWriter, Dedupe, WriterOptions, cid_of, codec};
    /// # futures::executor::block_on(async {
    /// let options = WriterOptions::default().dedupe(Dedupe::Multihash);
    /// let mut writer = AsyncCarWriter::with_options(Vec::new(), &[], options)?;
    /// let cid = cid_of(codec::RAW, b"hello");
    /// assert!(writer.put_block(&cid, b"hello").await?.is_some());
    /// assert!(writer.put_block(&cid, b"hello").await?.is_none());
    /// # Ok::<(), carstone_car::Error>(())
    /// # })?;
    /// # Ok::<(), carstone_car::Error>(())
    /// ```
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block), and when there are more blocks than the
    /// [memory for them](crate::WriterOptions::dedupe_budget) holds. Then nothing has been written.
    pub async fn put_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        self.write(|car| car.put_block(cid, data)).await
    }

    /// The same without hashing the data.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block).
    pub async fn danger_put_unverified(
        &mut self,
        cid: &Cid,
        data: &[u8],
    ) -> Result<Option<Section>> {
        self.write(|car| car.danger_put_unverified(cid, data)).await
    }

    /// Puts many blocks, in their order, up to the first that fails. The counterpart of `PutMany` in go-car.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block). What came before stays written.
    pub async fn put_many<'b>(
        &mut self,
        blocks: impl IntoIterator<Item = BlockRef<'b>>,
    ) -> Result<PutCount> {
        let mut count = PutCount::default();
        for block in blocks {
            count.add(self.put_block(&block.cid, block.data).await?);
        }
        Ok(count)
    }

    /// Puts the blocks that a reader gives from where it stands, and which are verified as the reader does it.
    ///
    /// If the future is dropped, another call goes on where this one stopped.
    ///
    /// # Errors
    /// Those of the reader and of [`put_block`](Self::put_block). What came before stays written.
    pub async fn put_all<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut AsyncCarReader<R>,
    ) -> Result<PutCount> {
        let (mut count, mut data) = (PutCount::default(), Vec::new());
        loop {
            // So that a block that has been read is put at once, and never dropped between the two.
            self.drain().await?;
            let Some(section) = reader.read_block(&mut data).await? else {
                return Ok(count);
            };
            count.add(self.danger_put_unverified(&section.cid, &data).await?);
        }
    }
}

/// Puts blocks, verified, as [`put_block`](AsyncCarWriter::put_block) does it.
///
/// ```
/// use carstone_car::{AsyncCarReader, AsyncCarWriter, CarWriter, codec};
/// use futures::StreamExt;
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let bytes = writer.finish()?;
///
/// # futures::executor::block_on(async {
/// let reader = AsyncCarReader::open(&bytes[..]).await?;
/// let mut copy = Vec::new();
/// reader.forward(AsyncCarWriter::new(&mut copy, &[])?).await?;
/// assert_eq!(copy, bytes);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
impl<W: AsyncWrite + Unpin> Sink<Block> for AsyncCarWriter<W> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_drain(context)
    }

    fn start_send(self: Pin<&mut Self>, block: Block) -> Result<()> {
        self.get_mut().car()?.put_block(&block.cid, &block.data).map(drop)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        AsyncCarWriter::poll_flush(self.get_mut(), context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        AsyncCarWriter::poll_close(self.get_mut(), context)
    }
}
