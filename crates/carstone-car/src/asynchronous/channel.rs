//! A channel with blocks at one end, and the bytes of a CAR at the other.

use std::future::poll_fn;
use std::sync::Arc;

use super::bytes::CarBytes;
use super::queue::Queue;
use crate::error::{Error, ErrorKind, Result};
use crate::options::WriterOptions;
use crate::section::{Section, section_len};
use crate::{CarWriter, Cid, cid_of, verify};

/// Makes a channel: blocks are put into one end, and a CARv1 with these roots, of which there may be none, comes out of the other. The
/// counterpart of `CarWriter.create` in @ipld/car, which gives `writer` and `out`.
///
/// Memory is bounded: whoever [puts](CarSender::put) waits until the other end has taken the block. The two ends belong into two tasks, or
/// into futures that are joined. No runtime is needed.
///
/// ```
/// use carstone_car::{CarReader, ChannelOptions, car_channel, codec};
/// use futures::TryStreamExt;
/// # futures::executor::block_on(async {
/// let (mut sender, bytes) = car_channel(&[], ChannelOptions::default())?;
/// let put = async {
///     sender.put_data(codec::RAW, b"hello").await?;
///     sender.close()
/// };
/// let ((), bytes) = futures::try_join!(put, bytes.try_concat())?;
/// assert_eq!(CarReader::open(&bytes[..])?.into_cids().count(), 1);
/// # Ok::<(), carstone_car::Error>(())
/// # })?;
/// # Ok::<(), carstone_car::Error>(())
/// ```
///
/// # Errors
/// If the roots are over a limit.
pub fn car_channel(roots: &[Cid], options: ChannelOptions) -> Result<(CarSender, CarBytes)> {
    let car = CarWriter::with_options(Vec::new(), roots, options.writer)?;
    let (mut sender, bytes) = ends(car, 0, options);
    sender.send()?;
    Ok((sender, bytes))
}

/// Makes a channel for sections without a header, to be put behind a CAR of `position` bytes. The counterpart of `CarWriter.createAppender`
/// in @ipld/car.
///
/// ```
/// use carstone_car::{CarReader, ChannelOptions, Header, car_appender, codec};
/// use futures::AsyncReadExt;
/// # futures::executor::block_on(async {
/// let mut car = Header::default().encode();
/// let (mut sender, mut bytes) = car_appender(car.len() as u64, ChannelOptions::default());
/// sender.enqueue_data(codec::RAW, b"hello")?;
/// sender.close()?;
/// bytes.read_to_end(&mut car).await?;
/// assert_eq!(CarReader::open(&car[..])?.into_cids().count(), 1);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn car_appender(position: u64, options: ChannelOptions) -> (CarSender, CarBytes) {
    let car = CarWriter::append(Vec::new(), position).options(options.writer);
    ends(car, position, options)
}

fn ends(car: CarWriter<Vec<u8>>, start: u64, options: ChannelOptions) -> (CarSender, CarBytes) {
    let queue = Arc::new(Queue::new(options.queue_limit));
    (CarSender { car, queue: Arc::clone(&queue) }, CarBytes::new(queue, start))
}

/// The end of a channel that takes blocks: see [`car_channel`]. The counterpart of `writer` in @ipld/car.
///
/// Dropped without [`close`](Self::close), it makes the stream of bytes end with [`ErrorKind::Disconnected`], so that nobody takes it for
/// a whole CAR.
///
/// A future of one of its functions may be dropped at any time: its block is then either not put, or queued as a whole.
/// [`position`](Self::position) tells which.
#[derive(Debug)]
#[must_use = "the CAR is complete only when `close` has been called"]
pub struct CarSender {
    /// Puts sections together in its sink, from where they go into the queue.
    car: CarWriter<Vec<u8>>,
    queue: Arc<Queue>,
}

/// Options of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelOptions {
    /// What is written.
    pub writer: WriterOptions,
    /// Bytes of memory for what waits to be taken, where each section counts with 64 bytes more than it has. Default: 16 MiB.
    ///
    /// One section beyond it is an error where it is [enqueued](CarSender::enqueue). One that is [put](CarSender::put) waits, and is let in
    /// alone if it is larger than that by itself.
    pub queue_limit: usize,
}

impl ChannelOptions {
    /// Sets what is written.
    #[must_use]
    pub fn writer(mut self, options: WriterOptions) -> Self {
        self.writer = options;
        self
    }

    /// Sets the bytes of memory for what waits to be taken.
    #[must_use]
    pub fn queue_limit(mut self, bytes: usize) -> Self {
        self.queue_limit = bytes;
        self
    }
}

impl Default for ChannelOptions {
    fn default() -> Self {
        ChannelOptions { writer: WriterOptions::default(), queue_limit: 16 << 20 }
    }
}

impl CarSender {
    /// Puts a block, verified, and returns when the other end has taken its bytes. A block that the options leave out is not looked at, and
    /// gives `None` at once. The counterpart of `put` in @ipld/car.
    ///
    /// # Errors
    /// As with [`CarWriter::put_block`]: nothing has been put, and the sender can be used. [`ErrorKind::Closed`] after
    /// [`close`](Self::close), [`ErrorKind::Disconnected`] if the other end is dropped before it has taken the block.
    pub async fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        if !self.wants(cid)? {
            return Ok(None);
        }
        verify(cid, data).map_err(|error| error.with_offset(self.position()))?;
        self.put_wanted(cid, data).await.map(Some)
    }

    /// Puts a block of this data, under its CIDv1 with sha2-256, as [`put`](Self::put) does it, and returns the CID. `codec` is a
    /// multicodec code, see [`codec`](crate::codec).
    ///
    /// # Errors
    /// As with [`put`](Self::put).
    pub async fn put_data(&mut self, codec: u64, data: &[u8]) -> Result<Cid> {
        let cid = cid_of(codec, data);
        self.danger_put_unverified(&cid, data).await.map(|_| cid)
    }

    /// Puts a block without hashing its data, for callers who have just made the CID from the data.
    ///
    /// # Errors
    /// As with [`put`](Self::put).
    pub async fn danger_put_unverified(
        &mut self,
        cid: &Cid,
        data: &[u8],
    ) -> Result<Option<Section>> {
        match self.wants(cid)? {
            true => self.put_wanted(cid, data).await.map(Some),
            false => Ok(None),
        }
    }

    /// Puts a block, verified, without waiting for anybody to take it. Blocks come out in the order in which they were put and enqueued.
    ///
    /// ```
    /// use carstone_car::{ChannelOptions, ErrorKind, car_channel, cid_of, codec};
    /// let options = ChannelOptions::default().queue_limit(500);
    /// let (mut sender, _bytes) = car_channel(&[], options)?;
    /// let cid = cid_of(codec::RAW, b"hello");
    /// sender.enqueue(&cid, b"hello")?;
    /// assert_eq!(sender.waiting(), 18 + 42);
    /// let error = sender.enqueue_data(codec::RAW, &[0; 400]).unwrap_err();
    /// assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 500, .. }));
    /// # Ok::<(), carstone_car::Error>(())
    /// ```
    ///
    /// # Errors
    /// As with [`put`](Self::put), and [`ErrorKind::TooLarge`] if the [queue](ChannelOptions::queue_limit) has no room. Nothing has been put
    /// then.
    pub fn enqueue(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        if !self.wants(cid)? {
            return Ok(None);
        }
        self.check_room(cid, data)?;
        verify(cid, data).map_err(|error| error.with_offset(self.position()))?;
        self.encode(cid, data).map(|(section, _)| Some(section))
    }

    /// Puts a block of this data, under its CIDv1 with sha2-256, as [`enqueue`](Self::enqueue) does it, and returns the CID.
    ///
    /// # Errors
    /// As with [`enqueue`](Self::enqueue).
    pub fn enqueue_data(&mut self, codec: u64, data: &[u8]) -> Result<Cid> {
        let cid = cid_of(codec, data);
        self.danger_enqueue_unverified(&cid, data).map(|_| cid)
    }

    /// Puts a block as [`enqueue`](Self::enqueue) does it, without hashing its data.
    ///
    /// # Errors
    /// As with [`enqueue`](Self::enqueue).
    pub fn danger_enqueue_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        if !self.wants(cid)? {
            return Ok(None);
        }
        self.check_room(cid, data)?;
        self.encode(cid, data).map(|(section, _)| Some(section))
    }

    /// Bytes that wait to be taken, of the header too.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// The offset at which the next section will start, in bytes from the start of the CAR.
    pub fn position(&self) -> u64 {
        self.car.position()
    }

    /// Waits until the other end has taken all that has been put.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] if it is dropped before.
    pub async fn taken(&mut self) -> Result<()> {
        self.wait_for(None).await
    }

    /// Ends the CAR: the other end comes to an end when it has taken what was put. The counterpart of `close` in @ipld/car, which also waits
    /// for that, as [`taken`](Self::taken) does.
    ///
    /// A second call does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] if the other end has been dropped.
    pub fn close(&mut self) -> Result<()> {
        self.queue.close().map_err(|kind| self.error(kind))
    }

    async fn put_wanted(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        let len = section_len(cid, data.len() as u64);
        let room = poll_fn(|context| self.queue.poll_room(context, len)).await;
        room.map_err(|kind| self.error(kind))?;
        let (section, mark) = self.encode(cid, data)?;
        self.wait_for(Some(mark)).await?;
        Ok(section)
    }

    async fn wait_for(&mut self, mark: Option<u64>) -> Result<()> {
        let taken = poll_fn(|context| self.queue.poll_taken(context, mark)).await;
        taken.map_err(|kind| self.error(kind))
    }

    fn wants(&self, cid: &Cid) -> Result<bool> {
        self.queue.usable().map_err(|kind| self.error(kind))?;
        self.car.wants(cid)
    }

    fn check_room(&self, cid: &Cid, data: &[u8]) -> Result<()> {
        let len = section_len(cid, data.len() as u64);
        self.queue.check_room(len).map_err(|kind| self.error(kind))
    }

    /// Queues a section, and gives the mark at which it has been taken.
    fn encode(&mut self, cid: &Cid, data: &[u8]) -> Result<(Section, u64)> {
        let len = section_len(cid, data.len() as u64);
        let len = usize::try_from(len).unwrap_or(data.len());
        self.car.danger_get_mut().reserve_exact(len);
        let section = self.car.danger_write_unverified(cid, data)?;
        Ok((section, self.send()?))
    }

    fn send(&mut self) -> Result<u64> {
        let section = std::mem::take(self.car.danger_get_mut());
        self.queue.push(section).map_err(|kind| self.error(kind))
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::at(kind, self.position())
    }
}

impl Drop for CarSender {
    fn drop(&mut self) {
        self.queue.drop_sender();
    }
}
