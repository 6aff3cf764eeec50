//! Reading a CAR from an asynchronous source.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;

use super::polled::Polled;
use crate::error::Result;
use crate::header::Header;
use crate::input::Input;
use crate::open::Opening;
use crate::options::ReaderOptions;
use crate::section::{self, Block, Section};
use crate::v2::V2Header;
use crate::{CarReader, Cid};

/// Reads the blocks of a CAR one after the other from an asynchronous source, and verifies them. The asynchronous twin of [`CarReader`],
/// which says what is read, verified and refused, and where errors are. The counterpart of `CarBlockIterator` in @ipld/car.
///
/// It is a [`Stream`](futures_core::Stream) of blocks, and turns into one of [CIDs](Self::into_cid_stream) or of
/// [places](Self::into_place_stream).
///
/// A future of one of its functions may be dropped at any time, as `select!` does it: what has been read is kept, and the next call of
/// the same function goes on there. (After a dropped [`next_section`](Self::next_section), a function that gives blocks leaves out the block
/// that was being passed over.)
///
/// Blocks are hashed where the future is polled, some milliseconds for each MiB at worst.
///
/// ```
/// use carstone_car::{AsyncCarReader, CarWriter, cid_of, codec};
/// let cid = cid_of(codec::RAW, b"hello");
/// let mut writer = CarWriter::new(Vec::new(), &[cid])?;
/// writer.write_block(&cid, b"hello")?;
/// let bytes = writer.finish()?;
///
/// # futures::executor::block_on(async {
/// let mut reader = AsyncCarReader::open(&bytes[..]).await?;
/// assert_eq!(reader.roots(), [cid]);
/// while let Some(block) = reader.next_block().await? {
///     assert_eq!((block.cid, &block.data[..]), (cid, &b"hello"[..]));
/// }
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AsyncCarReader<R> {
    reader: CarReader<Polled<R>>,
    /// The section whose data is being read, or passed over.
    current: Option<Current>,
    /// The data of the section that is being read, and how much of it is there.
    data: Vec<u8>,
    filled: usize,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    section: Section,
    /// Whether some of its data may be gone.
    is_passed: bool,
}

impl<R: AsyncRead + Unpin> AsyncCarReader<R> {
    /// Reads the header. The CAR starts where `inner` stands. The counterpart of `fromIterable` in @ipld/car.
    ///
    /// The future owns the source: who drops it gives up the CAR.
    ///
    /// # Errors
    /// As with [`CarReader::open`].
    pub async fn open(inner: R) -> Result<Self> {
        AsyncCarReader::with_options(inner, ReaderOptions::default()).await
    }

    /// Reads the header, with options.
    ///
    /// # Errors
    /// As with [`CarReader::with_options`].
    pub async fn with_options(inner: R, options: ReaderOptions) -> Result<Self> {
        let mut input = Input::new(Polled::new(inner));
        let mut opening = Opening::default();
        let opened = poll_fn(|context| {
            input.get_mut().arm(context);
            let opened = opening.go_on(&mut input, &options, None, Input::discard);
            match input.get_ref().is_pending() {
                true => Poll::Pending,
                false => Poll::Ready(opened),
            }
        });
        let opened = opened.await?;
        let reader = CarReader::behind_header(input, opened, options);
        Ok(AsyncCarReader { reader, current: None, data: Vec::new(), filled: 0 })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// The version of the format: 1 or 2. The counterpart of `version` in @ipld/car.
    pub fn version(&self) -> u64 {
        self.reader.version()
    }

    /// The header of a CARv2, `None` for a CARv1.
    pub fn v2_header(&self) -> Option<&V2Header> {
        self.reader.v2_header()
    }

    /// Where the payload starts, counted in bytes from the start of the CAR: 0 for a CARv1.
    pub fn payload_start(&self) -> u64 {
        self.reader.payload_start()
    }

    /// The roots, as the header has them. They need not be among the blocks. The counterpart of `getRoots` in @ipld/car.
    pub fn roots(&self) -> &[Cid] {
        self.reader.roots()
    }

    /// The offset of the next section, in bytes from the start of the payload: of the one that is being read, if a future was dropped. At the
    /// end it is the length of the payload, as [`CarReader::position`] has it.
    pub fn position(&self) -> u64 {
        match self.current {
            Some(current) => current.section.offset,
            None => self.reader.position(),
        }
    }

    /// The source. It may have been read further than [`position`](Self::position).
    pub fn get_ref(&self) -> &R {
        self.reader.get_ref().get_ref()
    }

    /// Gives the source back. It may have been read further than [`position`](Self::position).
    pub fn into_inner(self) -> R {
        self.reader.into_inner().into_inner()
    }

    /// The next block, verified, or `None` at the end. [`read_block`](Self::read_block) does not allocate for each.
    ///
    /// # Errors
    /// As with [`CarReader::next_block`]. Behind a [block error](crate::Error::is_block_error) the reader goes on.
    pub async fn next_block(&mut self) -> Result<Option<Block>> {
        poll_fn(|context| self.poll_next_block(context)).await
    }

    /// Reads the data of the next block into `data`, replacing what is there, and says where it lies. `None` at the end.
    ///
    /// `data` holds verified bytes when this returns `Ok`, and none otherwise. It is as it was if the future is dropped.
    ///
    /// # Errors
    /// As with [`next_block`](Self::next_block).
    pub async fn read_block(&mut self, data: &mut Vec<u8>) -> Result<Option<Section>> {
        let section = poll_fn(|context| self.poll_block(context)).await;
        std::mem::swap(data, &mut self.data); // The memory of either serves again.
        if !matches!(section, Ok(Some(_))) {
            data.clear();
        }
        section
    }

    /// The next section without its data, which is read but not kept, or `None` at the end. Nothing is verified.
    ///
    /// # Errors
    /// As with [`CarReader::next_section`].
    pub async fn next_section(&mut self) -> Result<Option<Section>> {
        poll_fn(|context| self.poll_section(context)).await
    }

    pub(super) fn poll_next_block(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Block>>> {
        let section = ready!(self.poll_block(context));
        let data = std::mem::take(&mut self.data);
        Poll::Ready(section.map(|section| section.map(|Section { cid, .. }| Block { cid, data })))
    }

    /// Has the data of the next block, verified, in `data`.
    fn poll_block(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Section>>> {
        let section = ready!(self.poll_with(context, true))?;
        if let Some(section) = &section {
            section::check(section, &self.data, self.reader.options().checks())
                .map_err(|error| error.with_base(self.payload_start()))?;
        }
        Poll::Ready(Ok(section))
    }

    pub(super) fn poll_section(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Section>>> {
        self.poll_with(context, false)
    }

    fn poll_with(
        &mut self,
        context: &mut Context<'_>,
        keep: bool,
    ) -> Poll<Result<Option<Section>>> {
        self.reader.inner_mut().arm(context);
        let section = self.advance(keep);
        if self.reader.get_ref().is_pending() {
            self.reader.resume();
            return Poll::Pending;
        }
        if section.is_err() && self.current.take().is_some() {
            self.reader.break_off();
        }
        Poll::Ready(section)
    }

    /// Goes on to the end of a section. An error may be that the source has nothing yet.
    fn advance(&mut self, keep: bool) -> Result<Option<Section>> {
        loop {
            if self.current.is_none() {
                let section = self.reader.start_data()?;
                self.current = section.map(|section| Current { section, is_passed: false });
                self.filled = 0;
            }
            let Some(current) = &mut self.current else {
                return Ok(None);
            };
            current.is_passed |= !keep;
            let Current { section, is_passed } = *current;
            self.reader.go_on((!is_passed).then_some((&mut self.data, &mut self.filled)))?;
            self.current = None;
            // What a dropped call has passed over cannot be given as a block.
            if is_passed != keep {
                return Ok(Some(section));
            }
        }
    }

    /// Whether an error that ends the CAR has been handed out.
    pub(super) fn is_broken(&self) -> bool {
        self.reader.is_broken()
    }
}

impl<R> fmt::Debug for AsyncCarReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncCarReader")
            .field("reader", &self.reader)
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
