//! Streams of what an asynchronous reader finds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_io::AsyncRead;

use super::reader::AsyncCarReader;
use crate::Cid;
use crate::error::Result;
use crate::place::BlockPlace;
use crate::section::Block;

/// The CIDs of the blocks of an [`AsyncCarReader`], whose data is read over. Nothing is verified. An error ends the stream.
/// The counterpart of `CarCIDIterator` in @ipld/car.
#[derive(Debug)]
#[must_use = "streams do nothing unless they are polled"]
pub struct IntoCidStream<R> {
    places: IntoPlaceStream<R>,
}

/// The places of the blocks of an [`AsyncCarReader`], whose data is read over. Nothing is verified. An error ends the stream.
/// The counterpart of `CarIndexer` in @ipld/car.
#[derive(Debug)]
#[must_use = "streams do nothing unless they are polled"]
pub struct IntoPlaceStream<R> {
    reader: AsyncCarReader<R>,
}

impl<R: AsyncRead + Unpin> AsyncCarReader<R> {
    /// The CIDs of the blocks from here on. The counterpart of `CarCIDIterator` in @ipld/car.
    ///
    /// ```
    /// use carstone_car::{AsyncCarReader, CarWriter, codec};
    /// use futures::TryStreamExt;
    /// let mut writer = CarWriter::new(Vec::new(), &[])?;
    /// let cid = writer.write_data(codec::RAW, b"hello")?.cid;
    /// let bytes = writer.finish()?;
    ///
    /// # futures::executor::block_on(async {
    /// let cids = AsyncCarReader::open(&bytes[..]).await?.into_cid_stream();
    /// assert_eq!(cids.try_collect::<Vec<_>>().await?, [cid]);
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_cid_stream(self) -> IntoCidStream<R> {
        IntoCidStream { places: self.into_place_stream() }
    }

    /// Where the blocks from here on lie, in the payload and in the file. The counterpart of `CarIndexer` in @ipld/car.
    ///
    /// ```
    /// use carstone_car::{AsyncCarReader, CarWriter, codec};
    /// use futures::TryStreamExt;
    /// let mut writer = CarWriter::new(Vec::new(), &[])?;
    /// let section = writer.write_data(codec::RAW, b"hello")?;
    /// let bytes = writer.finish()?;
    ///
    /// # futures::executor::block_on(async {
    /// let mut places = AsyncCarReader::open(&bytes[..]).await?.into_place_stream();
    /// assert_eq!(places.try_next().await?.expect("a block").section, section);
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_place_stream(self) -> IntoPlaceStream<R> {
        IntoPlaceStream { reader: self }
    }
}

/// The blocks from here on, verified. A [block error](crate::Error::is_block_error) does not end the stream, all others do.
impl<R: AsyncRead + Unpin> Stream for AsyncCarReader<R> {
    type Item = Result<Block>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reader = self.get_mut();
        if reader.is_broken() {
            return Poll::Ready(None); // The error has been handed out.
        }
        reader.poll_next_block(context).map(Result::transpose)
    }
}

impl<R> IntoPlaceStream<R> {
    /// The reader, to ask for its header and its position.
    pub fn get_ref(&self) -> &AsyncCarReader<R> {
        &self.reader
    }
}

impl<R: AsyncRead + Unpin> Stream for IntoPlaceStream<R> {
    type Item = Result<BlockPlace>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reader = &mut self.get_mut().reader;
        if reader.is_broken() {
            return Poll::Ready(None);
        }
        let section = ready!(reader.poll_section(context)).transpose();
        let payload_start = reader.payload_start();
        let place = |section| BlockPlace { section, payload_start };
        Poll::Ready(section.map(|section| section.map(place)))
    }
}

impl<R> IntoCidStream<R> {
    /// The reader, to ask for its header and its position.
    pub fn get_ref(&self) -> &AsyncCarReader<R> {
        self.places.get_ref()
    }
}

impl<R: AsyncRead + Unpin> Stream for IntoCidStream<R> {
    type Item = Result<Cid>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let place = ready!(Pin::new(&mut self.get_mut().places).poll_next(context));
        Poll::Ready(place.map(|place| place.map(|place| *place.cid())))
    }
}
